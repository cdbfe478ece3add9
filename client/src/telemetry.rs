//! Spans and events, with the feature `tracing`; counters, gauges and a
//! histogram, with the feature `metrics`. Without them all of this is empty.

#![cfg_attr(
    not(all(feature = "tracing", feature = "metrics")),
    allow(
        unused_variables,
        clippy::unused_self,
        reason = "empty without the features"
    )
)]

use std::{future::Future, time::Instant};

use http::{Method, StatusCode, Uri};
#[cfg(feature = "metrics")]
use lacewing_conn::driver::MemoryStep;
use lacewing_conn::{Version, driver::facade::MemoryReport, proto::StreamId};

use crate::{ClientError, Origin};

/// Spans, events and metrics of one connection.
pub(crate) struct Telemetry {
    #[cfg(feature = "metrics")]
    protocol: &'static str,
    /// The numbers that the gauges have.
    #[cfg(feature = "metrics")]
    open: usize,
    #[cfg(feature = "metrics")]
    queued: usize,
}

/// The time at which a request was sent.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock {
    #[cfg(any(feature = "tracing", feature = "metrics"))]
    started: Instant,
}

impl Clock {
    pub(crate) fn start(now: Instant) -> Self {
        Self {
            #[cfg(any(feature = "tracing", feature = "metrics"))]
            started: now,
        }
    }
}

impl Telemetry {
    pub(crate) fn new(version: Version) -> Self {
        #[cfg(feature = "metrics")]
        {
            let protocol = version.alpn();
            metrics::counter!("lacewing_client_connections_total", "protocol" => protocol)
                .increment(1);
            metrics::gauge!("lacewing_client_connections", "protocol" => protocol).increment(1);
        }
        Self {
            #[cfg(feature = "metrics")]
            protocol: version.alpn(),
            #[cfg(feature = "metrics")]
            open: 0,
            #[cfg(feature = "metrics")]
            queued: 0,
        }
    }

    /// A request has a stream.
    pub(crate) fn request(&self, stream: StreamId) {
        #[cfg(feature = "tracing")]
        tracing::debug!(stream = stream.value(), "request sent");
    }

    /// The head of its response arrived.
    pub(crate) fn response(
        &self,
        stream: StreamId,
        status: StatusCode,
        clock: Clock,
        now: Instant,
    ) {
        #[cfg(any(feature = "tracing", feature = "metrics"))]
        let elapsed = now.saturating_duration_since(clock.started);
        #[cfg(feature = "tracing")]
        tracing::debug!(
            stream = stream.value(),
            status = status.as_u16(),
            ?elapsed,
            "response"
        );
        #[cfg(feature = "metrics")]
        {
            let class = match status.as_u16() / 100 {
                2 => "2xx",
                3 => "3xx",
                4 => "4xx",
                _ => "5xx",
            };
            metrics::counter!(
                "lacewing_client_responses_total",
                "protocol" => self.protocol, "status" => class
            )
            .increment(1);
            metrics::histogram!("lacewing_client_response_seconds", "protocol" => self.protocol)
                .record(elapsed.as_secs_f64());
        }
    }

    /// An informational response or a promise arrived.
    pub(crate) fn interim(&self, stream: StreamId, what: &'static str) {
        #[cfg(feature = "tracing")]
        tracing::trace!(stream = stream.value(), what, "ahead of the response");
    }

    /// A stream ended by a reset.
    pub(crate) fn reset(&self, stream: StreamId, error: &lacewing_conn::Error) {
        #[cfg(feature = "tracing")]
        tracing::debug!(stream = stream.value(), %error, "stream reset");
        #[cfg(feature = "metrics")]
        metrics::counter!(
            "lacewing_client_resets_total",
            "protocol" => self.protocol, "reason" => error.reason().to_string()
        )
        .increment(1);
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
                "lacewing_client_memory_steps_total",
                "protocol" => self.protocol, "step" => step, "limit" => report.limit
            )
            .increment(1);
        }
    }

    /// No more streams are opened.
    pub(crate) fn draining(&self, error: &lacewing_conn::Error) {
        #[cfg(feature = "tracing")]
        tracing::debug!(%error, "the connection takes no more requests");
    }

    /// The connection is over.
    pub(crate) fn closed(&self, result: &Result<(), lacewing_conn::Error>) {
        #[cfg(feature = "tracing")]
        match result {
            Ok(()) => tracing::debug!("connection closed"),
            Err(error) => tracing::warn!(%error, "connection failed"),
        }
    }

    /// Sets the numbers of open streams and of waiting requests.
    pub(crate) fn streams(&mut self, open: usize, queued: usize) {
        #[cfg(feature = "metrics")]
        {
            let protocol = self.protocol;
            if open != self.open {
                metrics::gauge!("lacewing_client_streams", "protocol" => protocol)
                    .increment(count(open) - count(self.open));
                self.open = open;
            }
            if queued != self.queued {
                metrics::gauge!("lacewing_client_queued", "protocol" => protocol)
                    .increment(count(queued) - count(self.queued));
                self.queued = queued;
            }
        }
    }
}

#[cfg(feature = "metrics")]
impl Drop for Telemetry {
    fn drop(&mut self) {
        self.streams(0, 0);
        metrics::gauge!("lacewing_client_connections", "protocol" => self.protocol).decrement(1);
    }
}

#[cfg(feature = "metrics")]
fn count(number: usize) -> f64 {
    f64::from(u32::try_from(number).unwrap_or(u32::MAX))
}

/// A request starts on its way to an origin.
pub(crate) fn wanted(method: &Method, uri: &Uri) {
    #[cfg(feature = "tracing")]
    tracing::debug!(%method, %uri, "request");
}

/// A request is made again.
pub(crate) fn retried(origin: &Origin, error: &lacewing_conn::Error) {
    #[cfg(feature = "tracing")]
    tracing::debug!(%origin, %error, "the request is made again");
    #[cfg(feature = "metrics")]
    metrics::counter!("lacewing_client_retries_total").increment(1);
}

/// A connection was made, or not.
pub(crate) fn dialled<T>(origin: &Origin, since: Instant, result: &Result<T, ClientError>) {
    #[cfg(feature = "tracing")]
    match result {
        Ok(_) => tracing::debug!(%origin, elapsed = ?since.elapsed(), "connected"),
        Err(error) => tracing::warn!(%origin, %error, "not connected"),
    }
    #[cfg(feature = "metrics")]
    {
        let outcome = if result.is_ok() { "made" } else { "failed" };
        metrics::counter!("lacewing_client_dials_total", "outcome" => outcome).increment(1);
        metrics::histogram!("lacewing_client_dial_seconds", "outcome" => outcome)
            .record(since.elapsed().as_secs_f64());
    }
}

/// Wraps a connection's task in a span of its own.
#[cfg(feature = "tracing")]
pub(crate) fn in_span<F: Future>(version: Version, task: F) -> impl Future<Output = F::Output> {
    // It outlives the request that made it.
    let protocol = version.alpn();
    let span = tracing::debug_span!(parent: None, "connection", side = "client", protocol);
    tracing::Instrument::instrument(task, span)
}

/// A connection's task.
#[cfg(not(feature = "tracing"))]
pub(crate) fn in_span<F: Future>(_: Version, task: F) -> F {
    task
}

/// A task on behalf of the caller.
#[cfg(feature = "tracing")]
pub(crate) fn in_current_span<F: Future>(task: F) -> impl Future<Output = F::Output> {
    tracing::Instrument::in_current_span(task)
}

/// A task on behalf of the caller.
#[cfg(not(feature = "tracing"))]
pub(crate) fn in_current_span<F: Future>(task: F) -> F {
    task
}
