//! Waits that end, and the count of tasks that are left.

#![allow(dead_code, reason = "every test program uses its part")]

use std::{future::Future, time::Duration};

use tokio::{runtime::Handle, time::timeout};

/// With paused time, a hang is noticed at once.
pub(crate) async fn soon<F: Future>(future: F) -> F::Output {
    timeout(Duration::from_secs(3_000), future)
        .await
        .expect("hangs")
}

/// The tasks of this runtime.
pub(crate) fn tasks() -> usize {
    Handle::current().metrics().num_alive_tasks()
}

/// Waits until no more tasks than `before` are left.
pub(crate) async fn tasks_end(before: usize) {
    let ended = async {
        while tasks() > before {
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
    };
    if timeout(Duration::from_secs(600), ended).await.is_err() {
        panic!("{} tasks are left, and {before} were before", tasks());
    }
}
