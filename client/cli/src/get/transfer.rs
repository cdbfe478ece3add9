//! The transfer of one URL: its tries.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use http::Uri;

use super::{
    assets, content,
    fetch::{Try, fetch},
    redirect::{Target, With},
    run::Run,
    write_out::Facts,
};
use crate::{console, output::Destination, status::Failure};

/// The longest pause between two tries.
const LONGEST_PAUSE: Duration = Duration::from_secs(600);

/// Fetches a URL into its destination.
pub(super) async fn transfer(
    run: &Arc<Run>,
    number: usize,
    url: &Uri,
    destination: &Destination,
) -> Result<(), Failure> {
    let course = &run.get.course;
    let mut tries = 0;
    let mut file = None;
    loop {
        let mut facts = Facts::new(url, number);
        facts.earlier_file = file.take();
        let may_repeat = tries < course.retry.retry && !run.content.is_stdin();
        let which = if may_repeat { Try::Early } else { Try::Last };
        let target = Target {
            method: content::method(&run.get.message),
            url: url.clone(),
            fields: content::fields(&run.get),
            content: With::Content,
        };
        let fetching = fetch(run, &mut facts, target, destination, which);
        let done = match course.max_time() {
            None => fetching.await,
            Some(limit) => match tokio::time::timeout(limit, fetching).await {
                Ok(done) => done,
                Err(_) => Err(Failure::too_slow(url, limit)),
            },
        };
        facts.times.end = Some(Instant::now());
        if let Err(failure) = &done {
            let text = failure.message().unwrap_or_default().to_owned();
            facts.failure = Some((failure.status(), text));
        }
        run.record(&mut facts);
        if let Err(failure) = &done
            && may_repeat
            && !facts.committed
            && (failure.is_passing() || course.retry.retry_all_errors && failure.is_of_the_fetch())
        {
            let pause = course
                .retry
                .delay()
                .or(failure.retry_after())
                .unwrap_or_else(|| {
                    Duration::from_secs(1)
                        .saturating_mul(1 << tries.min(16))
                        .min(LONGEST_PAUSE)
                });
            if !run.get.telling.silent {
                let text = failure.message().unwrap_or_default();
                match pause {
                    Duration::ZERO => console::note(format_args!("{text}; trying again at once")),
                    pause => console::note(format_args!("{text}; trying again in {pause:?}")),
                }
            }
            tokio::time::sleep(pause.min(LONGEST_PAUSE)).await;
            tries = tries.saturating_add(1);
            file = facts.file;
            continue;
        }
        let unread = done.as_ref().is_err_and(Failure::is_unread);
        if let Some(format) = run.format.as_ref().filter(|_| !unread) {
            format.print(&facts)?;
        }
        return match facts.page.filter(|_| done.is_ok()) {
            Some(page) => assets::fetch_all(run, &page.take(), &facts.effective).await,
            None => done,
        };
    }
}
