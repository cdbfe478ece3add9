//! --get-assets: fetches what a page needs.

use std::{sync::Arc, time::Instant};

use http::{Method, Uri};
use lacewing_client::Origin;
use tokio::task::JoinSet;

use super::{
    content,
    fetch::{Try, fetch},
    page,
    redirect::{Target, With},
    run::Run,
    write_out::Facts,
};
use crate::{console, output::Destination, status::Failure};

/// Fetches the assets of a page, all at once, and discards them. The first failure is returned, and
/// the others are reported.
pub(super) async fn fetch_all(run: &Arc<Run>, html: &[u8], page: &Uri) -> Result<(), Failure> {
    let assets = page::assets(html, page);
    if !run.get.telling.silent {
        for (number, what) in [
            (assets.elsewhere, "of other origins"),
            (assets.beyond, "beyond the first 500"),
        ] {
            if number > 0 {
                console::note(format_args!(
                    "{page}: assets {what}, which are not fetched: {number}"
                ));
            }
        }
    }
    if run.get.protocols.push {
        take_promises(run, page).await?;
    }
    let mut running = JoinSet::new();
    for (number, url) in assets.own.into_iter().enumerate() {
        if !run.pushed.has(&url) {
            running.spawn(fetch_one(Arc::clone(run), url, number));
        }
    }
    let mut first = Ok(());
    while let Some(joined) = running.join_next().await {
        let Err(failure) = joined.map_err(Failure::local).and_then(|done| done) else {
            continue;
        };
        if first.is_ok() {
            first = Err(failure);
        } else if let Some(message) = failure.message().filter(|_| !run.get.telling.silent) {
            console::note(message);
        }
    }
    first
}

/// The server promised before it named the assets, so no promise is missed.
async fn take_promises(run: &Run, page: &Uri) -> Result<(), Failure> {
    let trust = run.get.dialling.trust();
    let connect = run.get.course.connect_timeout();
    let failed = |error| Failure::fetch(page, &error, trust, connect);
    let origin = Origin::of(page).map_err(|error| failed(error.into()))?;
    let (client, _) = run.clients.of(&origin);
    let connection = client.connection(&origin).await.map_err(failed)?;
    run.pushed.take_waiting(&mut connection.pushes());
    Ok(())
}

async fn fetch_one(run: Arc<Run>, url: Uri, number: usize) -> Result<(), Failure> {
    let target = Target {
        method: Method::GET,
        fields: content::fields(&run.get),
        content: With::Nothing,
        url: url.clone(),
    };
    let mut facts = Facts::new(&url, number);
    let fetching = fetch(&run, &mut facts, target, &Destination::Discard, Try::Last);
    let done = match run.get.course.max_time() {
        None => fetching.await,
        Some(limit) => match tokio::time::timeout(limit, fetching).await {
            Ok(done) => done,
            Err(_) => Err(Failure::too_slow(&url, limit)),
        },
    };
    facts.times.end = Some(Instant::now());
    if let Err(failure) = &done {
        let text = failure.message().unwrap_or_default().to_owned();
        facts.failure = Some((failure.status(), text));
    }
    run.record(&mut facts);
    done
}
