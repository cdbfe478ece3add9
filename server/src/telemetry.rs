//! Spans and events, with the feature `tracing`; counters, a gauge and a
//! histogram, with the feature `metrics`. Without them all of this is empty.

use std::time::Instant;
#[cfg(feature = "metrics")]
use std::{
    borrow::Cow,
    sync::{
        Mutex, OnceLock, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
};

use http::{Method, StatusCode, Uri};
use lacewing_conn::{
    Error,
    driver::facade::{Context, MemoryReport},
    proto::{ConnectionStats, StreamId},
};
#[cfg(feature = "metrics")]
use lacewing_conn::{Reason, driver::MemoryStep};

use crate::{ConnectionInfo, ServerOptions, StreamError};

/// Spans, events and metrics of one connection, and its place on a board.
pub(crate) struct Telemetry {
    #[cfg(feature = "live")]
    watched: Option<crate::board::WatchedConnection>,
    #[cfg(feature = "metrics")]
    protocol: &'static str,
    /// The number that the gauge has.
    #[cfg(feature = "metrics")]
    open: AtomicUsize,
    /// The figures that are counted already.
    #[cfg(feature = "metrics")]
    counted: Mutex<Figures>,
    #[cfg(feature = "metrics")]
    handles: Handles,
}

/// The metrics that every request changes. To find one by its labels costs two allocations.
#[cfg(feature = "metrics")]
#[derive(Default)]
struct Handles {
    /// By the class of the status.
    requests: [OnceLock<metrics::Counter>; CLASSES.len()],
    seconds: OnceLock<metrics::Histogram>,
    streams: OnceLock<metrics::Gauge>,
}

/// The classes of a final response's status.
#[cfg(feature = "metrics")]
const CLASSES: [&str; 4] = ["2xx", "3xx", "4xx", "5xx"];

/// The figures of a connection that only grow, by the labels that their metrics have.
#[cfg(feature = "metrics")]
#[derive(Clone, Copy, Default)]
struct Figures {
    bytes: [u64; 2],
    stalls: [u64; 3],
}

#[cfg(feature = "metrics")]
const DIRECTIONS: [&str; 2] = ["sent", "received"];
#[cfg(feature = "metrics")]
const CAUSES: [&str; 3] = ["connection_window", "stream_window", "transport"];

/// The time at which a request arrived.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Clock {
    #[cfg(any(feature = "tracing", feature = "metrics"))]
    started: Instant,
}

#[cfg_attr(
    not(any(feature = "tracing", feature = "metrics", feature = "live")),
    expect(clippy::unused_self, reason = "empty without the features")
)]
#[cfg_attr(
    not(all(feature = "tracing", feature = "metrics", feature = "live")),
    allow(unused_variables)
)]
impl Telemetry {
    pub(crate) fn new(info: &ConnectionInfo, options: &ServerOptions) -> Self {
        #[cfg(feature = "metrics")]
        {
            let protocol = info.protocol().alpn();
            metrics::counter!("lacewing_server_connections_total", "protocol" => protocol)
                .increment(1);
            metrics::gauge!("lacewing_server_connections", "protocol" => protocol).increment(1);
        }
        Self {
            #[cfg(feature = "live")]
            watched: options.board.as_ref().map(|board| board.watch(info.into())),
            #[cfg(feature = "metrics")]
            protocol: info.protocol().alpn(),
            #[cfg(feature = "metrics")]
            open: AtomicUsize::new(0),
            #[cfg(feature = "metrics")]
            counted: Mutex::default(),
            #[cfg(feature = "metrics")]
            handles: Handles::default(),
        }
    }

    /// A request arrived.
    pub(crate) fn request(
        &self,
        stream: StreamId,
        method: &Method,
        uri: &Uri,
        now: Instant,
    ) -> Clock {
        #[cfg(feature = "tracing")]
        tracing::debug!(stream = stream.value(), %method, %uri, "request");
        #[cfg(feature = "live")]
        if let Some(watched) = &self.watched {
            watched.begin(stream.value(), method.as_str(), uri.path());
        }
        Clock {
            #[cfg(any(feature = "tracing", feature = "metrics"))]
            started: now,
        }
    }

    /// Its response's head is sent.
    pub(crate) fn response(&self, stream: StreamId, status: StatusCode, clock: Clock) {
        #[cfg(feature = "live")]
        if let Some(watched) = &self.watched {
            watched.answered(stream.value(), status.as_u16());
        }
        #[cfg(any(feature = "tracing", feature = "metrics"))]
        let elapsed = clock.started.elapsed();
        #[cfg(feature = "tracing")]
        tracing::debug!(
            stream = stream.value(),
            status = status.as_u16(),
            ?elapsed,
            "response"
        );
        #[cfg(feature = "metrics")]
        {
            let protocol = self.protocol;
            let class = usize::from(status.as_u16() / 100).saturating_sub(2);
            let class = class.min(CLASSES.len() - 1);
            if let (Some(handle), Some(label)) =
                (self.handles.requests.get(class), CLASSES.get(class))
            {
                let find = || {
                    metrics::counter!(
                        "lacewing_server_requests_total",
                        "protocol" => protocol, "status" => *label
                    )
                };
                handle.get_or_init(find).increment(1);
            }
            let find =
                || metrics::histogram!("lacewing_server_response_seconds", "protocol" => protocol);
            let seconds = self.handles.seconds.get_or_init(find);
            seconds.record(elapsed.as_secs_f64());
        }
    }

    /// The connection's place on the board, if there is one.
    #[cfg(feature = "live")]
    pub(crate) fn watched(&self) -> Option<&crate::board::WatchedConnection> {
        self.watched.as_ref()
    }

    /// Bytes of a response are with the engine.
    #[inline]
    pub(crate) fn given(&self, stream: StreamId, bytes: usize) {
        #[cfg(feature = "live")]
        if let Some(watched) = &self.watched {
            watched.given(stream.value(), bytes);
        }
    }

    /// All of a response is with the engine.
    #[inline]
    pub(crate) fn handed_over(&self, stream: StreamId) {
        #[cfg(feature = "live")]
        if let Some(watched) = &self.watched {
            watched.handed_over(stream.value());
        }
    }

    /// Takes the connection's state for the board, if it is due. The board wakes the connection
    /// when it wants the next.
    #[inline]
    pub(crate) fn sample(&self, conn: &mut Context<'_>) {
        #[cfg(feature = "live")]
        if let Some(watched) = &self.watched {
            if watched.needs_waker() {
                let notifier = conn.notifier();
                watched.wake_by(move || notifier.notify());
            }
            if watched.is_due() {
                watched.sampled(crate::board::Sample::of(conn));
            }
        }
    }

    /// The connection ends with these statistics.
    pub(crate) fn closed(&self, stats: impl FnOnce() -> ConnectionStats) {
        #[cfg(feature = "live")]
        if let Some(watched) = &self.watched {
            watched.closed(&stats());
        }
    }

    /// An interim response or a promise is sent.
    pub(crate) fn interim(&self, stream: StreamId, what: &'static str) {
        #[cfg(feature = "tracing")]
        tracing::trace!(stream = stream.value(), what, "ahead of the response");
    }

    /// A stream ended by a reset.
    pub(crate) fn reset(&self, stream: StreamId, error: &Error) {
        #[cfg(feature = "tracing")]
        tracing::debug!(stream = stream.value(), %error, "stream reset");
        #[cfg(feature = "live")]
        if let Some(watched) = &self.watched {
            let code = match error.is_connection() {
                true => "lost".to_owned(),
                false => error.reason().to_string(),
            };
            watched.reset(stream.value(), &code);
        }
        #[cfg(feature = "metrics")]
        metrics::counter!(
            "lacewing_server_resets_total",
            "protocol" => self.protocol, "reason" => label(error.reason())
        )
        .increment(1);
    }

    /// A request failed, or was refused.
    pub(crate) fn failed(&self, stream: StreamId, error: &StreamError) {
        #[cfg(feature = "tracing")]
        tracing::warn!(stream = stream.value(), %error, "request failed");
        #[cfg(feature = "metrics")]
        {
            let kind = match error {
                StreamError::Refused(_) => "refused",
                StreamError::Handler(_) | StreamError::HandlerPanicked => "handler",
                StreamError::Body(_)
                | StreamError::BodyPanicked
                | StreamError::ContentLength { .. } => "body",
                StreamError::Response(_) | StreamError::NoContent { .. } => "response",
            };
            metrics::counter!(
                "lacewing_server_failures_total",
                "protocol" => self.protocol, "kind" => kind
            )
            .increment(1);
        }
    }

    /// A limit of memory took a step.
    pub(crate) fn memory_step(&self, report: &MemoryReport) {
        #[cfg(feature = "tracing")]
        tracing::warn!(
            step = ?report.step,
            limit = report.limit,
            held = report.held,
            capacity = report.capacity,
            "a limit of memory is near"
        );
        #[cfg(feature = "metrics")]
        {
            let step = match report.step {
                MemoryStep::Pause => "pause",
                MemoryStep::Refuse => "refuse",
                MemoryStep::Shed => "shed",
                MemoryStep::Close => "close",
                _ => "strict",
            };
            metrics::counter!(
                "lacewing_server_memory_steps_total",
                "protocol" => self.protocol, "step" => step, "limit" => report.limit
            )
            .increment(1);
        }
    }

    /// The statistics of the connection are due.
    pub(crate) fn stats(&self, stats: &ConnectionStats) {
        #[cfg(feature = "metrics")]
        {
            let stalls = stats.stalls;
            let now = Figures {
                bytes: [stats.data_sent, stats.data_received],
                stalls: [
                    stalls.connection_window,
                    stalls.stream_window,
                    stalls.transport,
                ],
            };
            let mut counted = self.counted.lock().unwrap_or_else(PoisonError::into_inner);
            let before = std::mem::replace(&mut *counted, now);
            drop(counted);
            let protocol = self.protocol;
            for ((direction, now), before) in DIRECTIONS.iter().zip(now.bytes).zip(before.bytes) {
                metrics::counter!(
                    "lacewing_server_bytes_total",
                    "protocol" => protocol, "direction" => *direction
                )
                .increment(now.saturating_sub(before));
            }
            for ((cause, now), before) in CAUSES.iter().zip(now.stalls).zip(before.stalls) {
                if now > before {
                    metrics::counter!(
                        "lacewing_server_stalls_total",
                        "protocol" => protocol, "cause" => *cause
                    )
                    .increment(now.saturating_sub(before));
                }
            }
        }
    }

    /// Sets the number of open streams.
    pub(crate) fn streams(&self, open: usize) {
        #[cfg(feature = "metrics")]
        if open != self.open.load(Ordering::Relaxed) {
            let find = || metrics::gauge!("lacewing_server_streams", "protocol" => self.protocol);
            let gauge = self.handles.streams.get_or_init(find);
            let before = self.open.swap(open, Ordering::Relaxed);
            gauge.increment(count(open) - count(before));
        }
    }
}

#[cfg(feature = "metrics")]
impl Drop for Telemetry {
    fn drop(&mut self) {
        self.streams(0);
        metrics::gauge!("lacewing_server_connections", "protocol" => self.protocol).decrement(1);
    }
}

/// The label of a reason. A client could send as many codes as it likes: those that no protocol
/// defines have one label.
#[cfg(feature = "metrics")]
fn label(reason: Reason) -> Cow<'static, str> {
    match reason {
        Reason::Unknown(_) => "unknown".into(),
        known => known.to_string().into(),
    }
}

#[cfg(feature = "metrics")]
fn count(streams: usize) -> f64 {
    f64::from(u32::try_from(streams).unwrap_or(u32::MAX))
}

/// The span of a connection, in which everything of it happens.
pub(crate) struct Span {
    #[cfg(feature = "tracing")]
    span: tracing::Span,
}

impl Span {
    #[cfg_attr(not(feature = "tracing"), allow(unused_variables))]
    pub(crate) fn new(info: &ConnectionInfo) -> Self {
        Self {
            #[cfg(feature = "tracing")]
            span: tracing::debug_span!(
                "connection",
                protocol = info.protocol().alpn(),
                peer = info.peer().map(tracing::field::display),
            ),
        }
    }

    pub(crate) fn within<T>(&self, work: impl FnOnce() -> T) -> T {
        #[cfg(feature = "tracing")]
        let _entered = self.span.enter();
        work()
    }
}

/// A future for another task, in the span of its connection.
#[cfg(feature = "tracing")]
pub(crate) fn in_span<F: Future>(future: F) -> impl Future<Output = F::Output> {
    tracing::Instrument::in_current_span(future)
}

/// A future for another task.
#[cfg(not(feature = "tracing"))]
pub(crate) fn in_span<F: Future>(future: F) -> F {
    future
}

/// A field of HTTP/1.1 connections was left out of a response.
#[cfg_attr(not(feature = "tracing"), allow(unused_variables))]
pub(crate) fn left_out(field: &http::HeaderName) {
    #[cfg(feature = "tracing")]
    tracing::debug!(
        %field,
        "left out of the response: it is about a connection of HTTP/1.1 (RFC 9113 §8.2.2)"
    );
}

#[cfg(all(test, feature = "metrics"))]
mod tests {
    use super::*;

    #[test]
    fn codes_that_nobody_defined_have_one_label() {
        assert_eq!(label(Reason::Cancel), "CANCEL");
        for code in [0x77, 0xdead_beef] {
            assert_eq!(label(Reason::Unknown(code)), "unknown");
        }
    }
}
