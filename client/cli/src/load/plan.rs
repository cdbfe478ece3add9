//! The plan of a run, which all its threads share.

use std::{
    sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    time::{Duration, Instant},
};

use bytes::Bytes;
use http::header::{CONTENT_LENGTH, HeaderValue};
use lacewing_client::{Connector, Origin, Security};
use lacewing_conn::{driver::ConnectionConfig, proto::Head};
use tokio::sync::watch;

use super::args::Args;
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
    pub(super) heads: Vec<Head>,
    pub(super) content: Bytes,
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
        let content = args.request.content()?;
        let origin = origin(args)?;
        Ok(Self {
            scheme: match origin.security() {
                Security::Tls => http::uri::Scheme::HTTPS,
                Security::Cleartext => http::uri::Scheme::HTTP,
            },
            origin,
            // Whatever is wrong with its files: the load could not run.
            connector: args
                .dialling
                .multiplexed(args.request.protocol)
                .map_err(|failure| Failure::usage(failure.message().unwrap_or_default()))?,
            config: ConnectionConfig::new(lacewing_conn::Side::Client),
            heads: heads(args, &content),
            content,
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

/// The one origin of all URLs.
fn origin(args: &Args) -> Result<Origin, Failure> {
    let mut found: Option<Origin> = None;
    for url in &args.urls {
        let origin = Origin::of(&url.uri).map_err(Failure::usage)?;
        match &found {
            Some(first) if *first != origin => {
                return Err(Failure::usage(format!(
                    "the URLs have two origins, {first} and {origin}; load one origin at a time"
                )));
            }
            Some(_) => {}
            None => found = Some(origin),
        }
    }
    found.ok_or_else(|| Failure::usage("give a URL"))
}

/// One head for each turn of a round. The turns of a URL are spread over the round.
fn heads(args: &Args, content: &Bytes) -> Vec<Head> {
    let method = args.request.method.clone();
    let method = method.unwrap_or(match args.request.data {
        Some(_) => http::Method::POST,
        None => http::Method::GET,
    });
    let mut turns = Vec::new();
    for url in &args.urls {
        let mut head = Head::request(method.clone(), url.uri.clone());
        if args.request.data.is_some() {
            let length = HeaderValue::from(content.len());
            head.fields.insert(CONTENT_LENGTH, length);
        }
        for (name, value) in &args.request.headers {
            head.fields.append(name.clone(), value.clone());
        }
        for turn in 0..url.weight {
            // The middle of the turn's share of the round, as a fraction with a fixed divisor.
            let place = (2 * turn + 1) * 1_000_000 / url.weight;
            turns.push((place, head.clone()));
        }
    }
    turns.sort_by_key(|(place, _)| *place);
    turns.into_iter().map(|(_, head)| head).collect()
}
