//! Pushed responses: reads each to its end, reports it on stderr, and discards
//! it.

use std::{
    collections::HashSet,
    future::poll_fn,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, Waker, ready},
    time::{Duration, Instant, SystemTime},
};

use http::Uri;
use http_body::Body as _;
use lacewing_client::{Origin, Pushed, Pushes};
use tokio::task::JoinSet;

use super::{
    answer::Answer,
    dials::Dials,
    record::{Exchange, Record},
};
use crate::console;

/// The most promises whose URLs are known.
const MAX_PROMISED: usize = 100_000;

/// The time for pushes that are under way after the last fetch.
const PATIENCE: Duration = Duration::from_secs(5);

/// The pushes of a run.
#[derive(Debug, Default)]
pub(super) struct Promises {
    promised: Mutex<HashSet<(Origin, String)>>,
    reading: Mutex<JoinSet<()>>,
    record: Option<Arc<Record>>,
    dials: Dials,
}

impl Promises {
    pub(super) fn new(record: Option<Arc<Record>>, dials: Dials) -> Self {
        Self {
            record,
            dials,
            ..Self::default()
        }
    }

    /// Reads the pushes of a connection until it closes.
    pub(super) async fn read_all(self: Arc<Self>, mut pushes: Pushes) {
        while poll_fn(|cx| self.poll_take(&mut pushes, cx))
            .await
            .is_some()
        {}
    }

    /// Takes the pushes that the server has promised until now.
    pub(super) fn take_waiting(&self, pushes: &mut Pushes) {
        let mut cx = Context::from_waker(Waker::noop());
        while let Poll::Ready(Some(())) = self.poll_take(pushes, &mut cx) {}
    }

    /// Returns whether the server pushes this.
    pub(super) fn has(&self, url: &Uri) -> bool {
        key(url).is_some_and(|key| lock(&self.promised).contains(&key))
    }

    /// Waits for the pushes that are under way.
    pub(super) async fn finish(&self) {
        let mut reading = std::mem::take(&mut *lock(&self.reading));
        let all = async { while reading.join_next().await.is_some() {} };
        if tokio::time::timeout(PATIENCE, all).await.is_err() {
            console::note(format_args!("a push is not complete after {PATIENCE:?}"));
        }
    }

    /// Takes a push. Its URL is known before anybody else can look for it.
    fn poll_take(&self, pushes: &mut Pushes, cx: &mut Context<'_>) -> Poll<Option<()>> {
        let mut promised = lock(&self.promised);
        let Some(pushed) = ready!(pushes.poll_next(cx)) else {
            return Poll::Ready(None);
        };
        if let Some(key) = key(pushed.request.uri()).filter(|_| promised.len() < MAX_PROMISED) {
            promised.insert(key);
        }
        drop(promised);
        let (record, dials) = (self.record.clone(), self.dials.clone());
        lock(&self.reading).spawn(read(pushed, record, dials));
        Poll::Ready(Some(()))
    }
}

/// Reads a pushed response, and reports it.
async fn read(pushed: Pushed, record: Option<Arc<Record>>, dials: Dials) {
    let url = pushed.request.uri().clone();
    let now = Instant::now();
    let origin = Origin::of(&url).ok();
    let mut exchange = Exchange {
        began: SystemTime::now(),
        start: now,
        method: pushed.request.method().clone(),
        fields: pushed.request.headers().clone(),
        dial: origin.and_then(|origin| dials.of(&origin)),
        is_pushed: true,
        ..Exchange::new(&url)
    };
    let text = match pushed.response.await {
        Ok(response) => {
            exchange.answered = Some(Instant::now());
            let (head, mut body) = response.into_parts();
            let mut failure = None;
            while let Some(frame) = poll_fn(|cx| Pin::new(&mut body).poll_frame(cx)).await {
                match frame.map(|frame| frame.into_data().map_or(0, |data| data.len())) {
                    Ok(more) => {
                        exchange.downloaded = exchange.downloaded.saturating_add(more as u64);
                    }
                    Err(error) => failure = Some(error),
                }
            }
            exchange.answer = Some(Answer {
                status: head.status,
                version: head.version,
                fields: head.headers,
            });
            exchange.error = failure.as_ref().map(ToString::to_string);
            match failure {
                None => format!("{}, {} bytes", head.status, exchange.downloaded),
                Some(error) => format!("{}, incomplete: {error}", head.status),
            }
        }
        Err(error) => {
            exchange.error = Some(error.to_string());
            error.to_string()
        }
    };
    console::note(format_args!("pushed {url}: {text}"));
    exchange.end = Instant::now();
    if let Some(record) = record {
        record.push(exchange);
    }
}

fn key(url: &Uri) -> Option<(Origin, String)> {
    let path = url.path_and_query().map_or("/", |path| path.as_str());
    Some((Origin::of(url).ok()?, path.to_owned()))
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
