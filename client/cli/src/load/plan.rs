//! The plan of a run, which all its threads share.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use lacewing_client::{Connector, Origin, Security};
use lacewing_conn::{driver::ConnectionConfig, proto::Semantics};
use lacewing_server::live::Board;
use tokio::sync::watch;

use super::{
    abort::Judged,
    args::Args,
    arrivals::{Arrivals, Joined, Wake},
    display,
    live::Live,
    requests,
    template::Template,
};
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
    pub(super) semantics: Semantics,
    /// The counts, if somebody may look at them.
    pub(super) live: Option<Arc<Live>>,
    /// The counts of `--abort-if`, if there is one.
    pub(super) judged: Option<Judged>,
    /// What the live page shows, if there is one.
    pub(super) board: Option<Board>,
    pub(super) waits: Waits,
    /// The times of each second are of interest.
    pub(super) with_series: bool,
    /// Requests that are sent, or in an open loop due, earlier belong to the warm-up.
    pub(super) steady_from: Instant,
    pub(super) phase: watch::Receiver<Phase>,
    source: Source,
    /// Some connection was made once.
    pub(super) reached: AtomicBool,
}

/// The requests that are still to be sent.
enum Source {
    /// A closed loop sends the next one as soon as it can: so many.
    Closed(AtomicU64),
    /// An open loop sends them when they are due.
    Open(Arc<Arrivals>),
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
        arrivals: Option<Arc<Arrivals>>,
        phase: watch::Receiver<Phase>,
        board: Option<Board>,
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
                .for_load(args.request.chosen())
                .map_err(|failure| Failure::usage(failure.message().unwrap_or_default()))?,
            config: ConnectionConfig::new(lacewing_conn::Side::Client).with(|config| {
                config.limits.preface_timeout = args.connect_timeout;
            }),
            requests,
            streams: args.streams,
            semantics: match args.request.mux {
                true => Semantics::Raw,
                false => Semantics::Http,
            },
            live: match display::is_wanted(args) {
                true => Some(Arc::new(Live::new(None))),
                false => board.clone().map(|board| Arc::new(Live::new(Some(board)))),
            },
            judged: (!args.report.abort_if.is_empty()).then(Judged::new),
            board,
            waits: Waits {
                response: args.timeout,
                connect: args.connect_timeout,
                reconnect: args.reconnect_for,
            },
            with_series: args.report.with_series(),
            steady_from,
            phase,
            source: match arrivals {
                Some(arrivals) => Source::Open(arrivals),
                None => Source::Closed(AtomicU64::new(args.closed_requests())),
            },
            reached: AtomicBool::new(false),
        })
    }

    pub(super) fn is_sending(&self) -> bool {
        *self.phase.borrow() == Phase::Sending
    }

    pub(super) fn is_open_loop(&self) -> bool {
        matches!(self.source, Source::Open(_))
    }

    /// A connection begins to take requests. It must set its room.
    pub(super) fn join(&self, number: usize, wake: impl FnOnce() -> Wake) -> Option<Joined> {
        match &self.source {
            Source::Closed(_) => None,
            Source::Open(arrivals) => Some(arrivals.join(number, wake())),
        }
    }

    /// Takes a request for a connection.
    pub(super) fn take(&self, number: usize) -> Option<Taken> {
        match &self.source {
            Source::Closed(left) => {
                let taken = left.fetch_update(Relaxed, Relaxed, |left| left.checked_sub(1));
                taken.is_ok().then_some(Taken::AtOnce)
            }
            Source::Open(arrivals) => arrivals.take(number).map(Taken::Due),
        }
    }

    /// Returns a request to the plan: the server left it alone.
    pub(super) fn put_back(&self, begun: Begun) {
        match &self.source {
            Source::Closed(left) => {
                left.fetch_add(1, Relaxed);
            }
            Source::Open(arrivals) => arrivals.put_back(begun.planned),
        }
    }

    /// Sets the number of requests that a connection can send now, after it took all it could.
    /// Returns whether another came meanwhile.
    pub(super) fn set_room(&self, number: usize, room: usize) -> bool {
        match &self.source {
            Source::Closed(_) => false,
            Source::Open(arrivals) => arrivals.set_room(number, room),
        }
    }

    /// Returns whether a connection has nothing more to send, now and later.
    pub(super) fn is_done(&self, number: usize) -> bool {
        match &self.source {
            Source::Closed(left) => left.load(Relaxed) == 0,
            Source::Open(arrivals) => arrivals.is_done(number),
        }
    }

    /// Returns whether there is a request to send now, by a connection that can.
    pub(super) fn has_waiting(&self) -> bool {
        match &self.source {
            Source::Closed(left) => left.load(Relaxed) > 0,
            Source::Open(arrivals) => arrivals.waiting() > 0,
        }
    }

    /// Requests of a closed loop that were not sent.
    pub(super) fn left(&self) -> u64 {
        match &self.source {
            Source::Closed(left) => left.load(Relaxed),
            Source::Open(_) => 0,
        }
    }
}

/// A request that a connection sends now.
#[derive(Clone, Copy, Debug)]
pub(super) enum Taken {
    /// Of a closed loop.
    AtOnce,
    /// Of an open loop, due at this time.
    Due(Instant),
}

impl Taken {
    /// The request is sent now.
    pub(super) fn send(self, sent: Instant) -> Begun {
        let planned = match self {
            Self::AtOnce => sent,
            Self::Due(planned) => planned,
        };
        Begun { planned, sent }
    }
}

/// The begin of a request.
#[derive(Clone, Copy, Debug)]
pub(super) struct Begun {
    /// When it was due. In a closed loop, that is when it was sent.
    pub(super) planned: Instant,
    pub(super) sent: Instant,
}
