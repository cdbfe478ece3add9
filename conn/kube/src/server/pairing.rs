//! The pairing of the two streams of each forwarded connection.

use std::{collections::HashMap, sync::Arc, time::Duration};

use http::HeaderMap;
use lacewing_conn::{
    Reason,
    driver::{Mux, RawStream},
};
use tokio::{
    sync::{Semaphore, mpsc},
    time::{Instant, sleep_until},
};

use super::forward::{Forward, report};
use crate::{
    activity::ActivityClock,
    limits::KubeLimits,
    stream_headers::{StreamHeaders, StreamType},
};

/// Accepts the streams of a client, and pairs them by their request id.
#[derive(Debug)]
pub(super) struct Pairing {
    halves: HashMap<String, Half>,
    max_halves: usize,
    timeout: Duration,
    pairs: mpsc::Sender<Forward>,
    open: Arc<Semaphore>,
    activity: ActivityClock,
}

/// The first stream of a pair.
#[derive(Debug)]
struct Half {
    headers: StreamHeaders,
    stream: RawStream,
    deadline: Instant,
}

impl Pairing {
    pub(super) fn new(
        limits: &KubeLimits,
        pairs: mpsc::Sender<Forward>,
        open: Arc<Semaphore>,
        activity: ActivityClock,
    ) -> Self {
        Self {
            halves: HashMap::new(),
            max_halves: limits.max_pending_forwards,
            timeout: limits.stream_creation_timeout,
            pairs,
            open,
            activity,
        }
    }

    /// Runs until the connection is over or the session is dropped.
    pub(super) async fn run(mut self, mux: Mux) {
        loop {
            let deadline = self.halves.values().map(|half| half.deadline).min();
            tokio::select! {
                accepted = mux.accept() => match accepted {
                    Some((headers, stream)) => self.add(&headers, stream),
                    None => return,
                },
                () = sleep_until(deadline.unwrap_or_else(Instant::now)), if deadline.is_some() => {
                    self.end_late_halves();
                }
                () = self.pairs.closed() => return,
            }
        }
    }

    fn add(&mut self, headers: &HeaderMap, stream: RawStream) {
        let Ok(headers) = StreamHeaders::parse_forward(headers) else {
            // Without a reply, as Go's servers do.
            stream.reset(Reason::RefusedStream);
            return;
        };
        stream.reply(HeaderMap::new());
        let id = request_id(&headers, &stream);
        let Some(first) = self.halves.remove(&id) else {
            if self.halves.len() >= self.max_halves {
                refuse(
                    headers.stream_type,
                    stream,
                    "too many forwarded connections are incomplete",
                );
                return;
            }
            // A deadline beyond the clock's range ends at once.
            let now = Instant::now();
            let deadline = now.checked_add(self.timeout).unwrap_or(now);
            let half = Half {
                headers,
                stream,
                deadline,
            };
            self.halves.insert(id, half);
            return;
        };
        if first.headers.stream_type == headers.stream_type {
            let text = format!("a second {} stream of request {id}", headers.stream_type);
            refuse(headers.stream_type, stream, &text);
            self.halves.insert(id, first);
            return;
        }
        let (error, data, port) = match headers.stream_type {
            StreamType::Error => (stream, first.stream, first.headers.port),
            _ => (first.stream, stream, headers.port),
        };
        self.complete(error, data, port.unwrap_or_default());
    }

    fn complete(&self, error: RawStream, data: RawStream, port: u16) {
        let Ok(permit) = Arc::clone(&self.open).try_acquire_owned() else {
            refuse(
                StreamType::Error,
                error,
                "too many forwarded connections are open",
            );
            data.reset(Reason::RefusedStream);
            return;
        };
        let forward = Forward::new(error, data, port, permit, self.activity.clone());
        // There is room for as many as are permitted; a closed queue ends the session.
        let _ = self.pairs.try_send(forward);
    }

    fn end_late_halves(&mut self) {
        let now = Instant::now();
        let late = |(id, half): (&String, &Half)| (half.deadline <= now).then(|| id.clone());
        let late: Vec<String> = self.halves.iter().filter_map(late).collect();
        for id in late {
            let Some(half) = self.halves.remove(&id) else {
                continue;
            };
            let kind = half.headers.stream_type;
            let missing = match kind {
                StreamType::Error => StreamType::Data,
                _ => StreamType::Error,
            };
            let text = format!("timed out: request {id} has no {missing} stream");
            refuse(kind, half.stream, &text);
        }
    }
}

/// Ends a stream without its pair: with a text on an error stream, by a reset otherwise.
fn refuse(kind: StreamType, stream: RawStream, text: &str) {
    match kind {
        StreamType::Error => {
            tokio::spawn(report(stream, text.to_owned()));
        }
        _ => stream.reset(Reason::Cancel),
    }
}

/// Returns the id that the two streams of a pair share. Clients before Kubernetes 1.2
/// send none: they open the data stream right behind the error stream.
fn request_id(headers: &StreamHeaders, stream: &RawStream) -> String {
    match &headers.request_id {
        Some(id) => id.clone(),
        None => {
            let own = stream.id().value();
            match headers.stream_type {
                StreamType::Error => own.to_string(),
                _ => own.saturating_sub(2).to_string(),
            }
        }
    }
}
