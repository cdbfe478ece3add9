//! Pushed responses: reads each to its end, reports it on stderr, and discards
//! it.

use std::{future::poll_fn, pin::Pin};

use http_body::Body as _;
use lacewing_client::{Pushed, Pushes};
use tokio::task::JoinSet;

use crate::console;

/// Reports the pushes of a connection until it closes.
pub(crate) async fn report(mut pushes: Pushes) {
    let mut running = JoinSet::new();
    while let Some(pushed) = pushes.next().await {
        running.spawn(report_one(pushed));
    }
    while running.join_next().await.is_some() {}
}

async fn report_one(pushed: Pushed) {
    let uri = pushed.request.uri().clone();
    let text = match pushed.response.await {
        Ok(response) => {
            let status = response.status();
            let mut body = response.into_body();
            let mut length: u64 = 0;
            let mut failure = None;
            while let Some(frame) = poll_fn(|cx| Pin::new(&mut body).poll_frame(cx)).await {
                match frame.map(|frame| frame.into_data().map_or(0, |data| data.len())) {
                    Ok(more) => length = length.saturating_add(more as u64),
                    Err(error) => failure = Some(error),
                }
            }
            match failure {
                None => format!("{status}, {length} bytes"),
                Some(error) => format!("{status}, incomplete: {error}"),
            }
        }
        Err(error) => error.to_string(),
    };
    console::note(format_args!("pushed {uri}: {text}"));
}
