//! The connections of a run on the live page.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed},
    },
    time::Instant,
};

use lacewing_conn::{
    driver::facade::Context,
    proto::{ConnectionStats, StreamKey},
};
use lacewing_server::live::{
    Board, ConnectionFacts, Figure, Gauge, Sample, Stall, WatchedConnection,
};

use super::{args::Args, arrivals::Arrivals, live::Look, plan::Plan, template::Template};
use crate::live_page;

/// Serves the page of a run.
pub(super) fn serve(address: SocketAddr, args: &Args) -> Result<Board, String> {
    let target = match (&args.request.har, args.urls.first()) {
        (Some(path), _) => path.display().to_string(),
        (None, Some(url)) => url.uri.to_string(),
        (None, None) => String::new(),
    };
    let target = target.split('?').next().unwrap_or_default();
    let version = env!("CARGO_PKG_VERSION");
    let board = Board::new(format!("lacewing {version} load of {target}"));
    live_page::serve(address, &board)?;
    Ok(board)
}

/// Shows the figures of the run, and the requests of an open loop that wait.
pub(super) fn show_figures(plan: &Plan, arrivals: Option<&Arc<Arrivals>>) {
    let (Some(board), Some(live)) = (&plan.board, &plan.live) else {
        return;
    };
    if let Some(arrivals) = arrivals.cloned() {
        board.set_gauges(move || {
            let (waiting, most) = (arrivals.waiting(), arrivals.max_waiting());
            vec![Gauge::new(
                "requests that wait (--max-waiting)",
                waiting,
                most,
            )]
        });
    }
    let live = Arc::clone(live);
    let mut look = Look::new(Instant::now());
    board.set_figures(move || {
        let figures = look.figures(&live, Instant::now());
        let (half, most) = figures.times.unzip();
        vec![
            Figure::rate("responses", figures.rate),
            Figure::time("service p50", half),
            Figure::time("service p99", most),
            Figure::count("answered", figures.answered),
            Figure::count("failed", figures.failed),
            Figure::count("open requests", figures.open),
            Figure::count("connections made", figures.connections),
        ]
    });
}

/// The facts of a connection. All connections go to one server: the number tells them apart.
pub(super) fn facts(protocol: &'static str, number: usize, server: &str) -> ConnectionFacts {
    ConnectionFacts::new(
        protocol,
        format!("#{} to {server}", number.saturating_add(1)),
    )
}

/// A connection with many streams, if there is a page.
pub(super) struct Streams {
    connection: Option<WatchedConnection>,
}

impl Streams {
    pub(super) fn new(connection: Option<WatchedConnection>) -> Self {
        Self { connection }
    }

    pub(super) fn begin(&self, stream: StreamKey, template: &Template) {
        if let Some(watched) = &self.connection {
            let (method, path) = template.line();
            watched.begin(stream.id().value(), method, path);
        }
    }

    pub(super) fn answered(&self, stream: StreamKey, status: Option<u16>) {
        if let (Some(watched), Some(status)) = (&self.connection, status) {
            watched.answered(stream.id().value(), status);
        }
    }

    /// The stream has ended, after so many bytes of content.
    pub(super) fn ended(&self, stream: StreamKey, sent: usize, received: usize) {
        if let Some(watched) = &self.connection {
            let id = stream.id().value();
            watched.given(id, sent);
            watched.taken(id, received);
            watched.ended(id, None);
        }
    }

    pub(super) fn reset(&self, stream: StreamKey, code: impl ToString) {
        if let Some(watched) = &self.connection {
            watched.reset(stream.id().value(), &code.to_string());
        }
    }

    /// Shows the state of the connection, if it is due. `wants_more`: whether it would open more
    /// streams if it could.
    pub(super) fn sample(&self, conn: &mut Context<'_>, wants_more: impl FnOnce() -> bool) {
        let Some(watched) = &self.connection else {
            return;
        };
        if watched.needs_waker() {
            let notifier = conn.notifier();
            watched.wake_by(move || notifier.notify());
        }
        if !watched.is_due() {
            return;
        }
        let mut sample = Sample::of(conn);
        let most = usize::try_from(conn.peer_max_concurrent_streams()).unwrap_or(usize::MAX);
        let open = conn.open_streams();
        // Those of our own are about pushes.
        sample
            .limits
            .retain(|limit| limit.name != "max_concurrent_streams");
        if most < i32::MAX as usize {
            let gauge = Gauge::new("max_concurrent_streams of the server", open, most);
            sample.limits.insert(0, gauge);
        }
        if open >= most && wants_more() {
            sample.stall = Some(Stall::MaxStreams);
        }
        watched.sampled(sample);
    }

    /// The connection has ended.
    pub(super) fn closed(&self, stats: &ConnectionStats) {
        if let Some(watched) = &self.connection {
            watched.closed(stats);
        }
    }
}

/// A connection with one request at a time, if there is a page.
pub(super) struct Single(Option<(WatchedConnection, Arc<Moved>)>);

/// The content that has passed.
#[derive(Default)]
struct Moved {
    /// The number of the last request.
    requests: AtomicUsize,
    open: AtomicUsize,
    sent: AtomicU64,
    received: AtomicU64,
}

impl Single {
    pub(super) fn new(connection: Option<WatchedConnection>) -> Self {
        Self(connection.map(|watched| {
            let moved = Arc::<Moved>::default();
            let read = Arc::clone(&moved);
            watched.read_by(move || Sample {
                stats: read.stats(),
                ..Sample::default()
            });
            (watched, moved)
        }))
    }

    pub(super) fn begin(&self, template: &Template) {
        if let Some((watched, moved)) = &self.0 {
            moved.requests.fetch_add(1, Relaxed);
            moved.open.store(1, Relaxed);
            let (method, path) = template.line();
            watched.begin(moved.id(), method, path);
            // hyper does not say when it has sent the content.
            moved.sent.fetch_add(template.content.len() as u64, Relaxed);
        }
    }

    pub(super) fn answered(&self, status: u16) {
        if let Some((watched, moved)) = &self.0 {
            watched.answered(moved.id(), status);
        }
    }

    pub(super) fn received(&self, bytes: usize) {
        if let Some((_, moved)) = &self.0 {
            moved.received.fetch_add(bytes as u64, Relaxed);
        }
    }

    /// The response is complete.
    pub(super) fn ended(&self) {
        if let Some((watched, moved)) = &self.0 {
            moved.open.store(0, Relaxed);
            let stats = moved.stats();
            watched.ended(moved.id(), Some((stats.data_sent, stats.data_received)));
        }
    }

    /// The request has no complete response.
    pub(super) fn failed(&self) {
        if let Some((watched, moved)) = &self.0 {
            moved.open.store(0, Relaxed);
            watched.reset(moved.id(), "lost");
        }
    }
}

impl Drop for Single {
    fn drop(&mut self) {
        if let Some((watched, moved)) = &self.0 {
            watched.closed(&moved.stats());
        }
    }
}

impl Moved {
    /// The request that is under way, or was.
    fn id(&self) -> u32 {
        u32::try_from(self.requests.load(Relaxed)).unwrap_or(u32::MAX)
    }

    fn stats(&self) -> ConnectionStats {
        let mut stats = ConnectionStats::default();
        stats.open_streams = self.open.load(Relaxed);
        stats.data_sent = self.sent.load(Relaxed);
        stats.data_received = self.received.load(Relaxed);
        stats
    }
}
