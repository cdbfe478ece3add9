//! The plan of a run, which all its threads share.

use std::{
    sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    time::{Duration, Instant},
};

use lacewing_client::{Connector, Origin, Security};
use lacewing_conn::driver::ConnectionConfig;
use tokio::sync::watch;

use super::{args::Args, requests, template::Template};
use crate::status::Failure;

/// What the connections of a run do now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// They send requests.
    Sending,
    /// They send no more, and wait for the responses.
    Draining,
    /// They end at once.
    Over,
}

/// What to send, where, and when.
pub(super) struct Plan {
    pub(super) origin: Origin,
    pub(super) scheme: http::uri::Scheme,
    pub(super) connector: Connector,
    pub(super) config: ConnectionConfig,
    /// The requests, in turn, as often as their weights.
    pub(super) requests: Vec<Template>,
    /// Requests at once on each connection.
    pub(super) streams: usize,
    pub(super) waits: Waits,
    /// Requests that are sent earlier belong to the warm-up.
    pub(super) steady_from: Instant,
    pub(super) phase: watch::Receiver<Phase>,
    /// Requests that are still to be sent.
    left: AtomicU64,
    /// Some connection was made once.
    pub(super) reached: AtomicBool,
}

/// The ends of all waits.
#[derive(Clone, Copy)]
pub(super) struct Waits {
    pub(super) response: Duration,
    pub(super) connect: Duration,
    pub(super) reconnect: Duration,
}

impl Plan {
    pub(super) fn new(
        args: &Args,
        steady_from: Instant,
        phase: watch::Receiver<Phase>,
    ) -> Result<Self, Failure> {
        let (origin, requests) = requests::of(args)?;
        Ok(Self {
            scheme: match origin.security() {
                Security::Tls => http::uri::Scheme::HTTPS,
                Security::Cleartext => http::uri::Scheme::HTTP,
            },
            origin,
            // Whatever is wrong with its files: the load could not run.
            connector: args
                .dialling
                .for_load(args.request.protocol)
                .map_err(|failure| Failure::usage(failure.message().unwrap_or_default()))?,
            config: ConnectionConfig::new(lacewing_conn::Side::Client),
            requests,
            streams: args.streams,
            waits: Waits {
                response: args.timeout,
                connect: args.connect_timeout,
                reconnect: args.reconnect_for,
            },
            steady_from,
            phase,
            left: AtomicU64::new(args.requests.unwrap_or(u64::MAX)),
            reached: AtomicBool::new(false),
        })
    }

    pub(super) fn is_sending(&self) -> bool {
        *self.phase.borrow() == Phase::Sending
    }

    /// Requests that are still to be sent.
    pub(super) fn left(&self) -> u64 {
        self.left.load(Relaxed)
    }

    /// Takes a request from the plan; `false` if none is left.
    pub(super) fn take(&self) -> bool {
        self.left
            .fetch_update(Relaxed, Relaxed, |left| left.checked_sub(1))
            .is_ok()
    }

    /// Returns a request to the plan: the server left it alone.
    pub(super) fn put_back(&self) {
        self.left.fetch_add(1, Relaxed);
    }
}
