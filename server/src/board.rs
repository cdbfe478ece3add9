//! What a live page shows: connections and their streams, as far as somebody watches.
//!
//! Connections are known from their start, since a viewer may come later. All else is recorded
//! while somebody watches: until then a request costs one look at a flag. Each connection keeps
//! its own records; a tick, four times a second at most, collects them in the [`Model`] that all
//! viewers read. Nothing here grows with the number of requests.

mod connection;
mod figure;
mod model;
mod record;
mod sample;
mod totals;

use std::{
    collections::BTreeMap,
    fmt,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::Relaxed},
    },
    time::{Duration, Instant, SystemTime},
};

use tokio::{
    sync::{Notify, watch},
    time::{Instant as Clock, MissedTickBehavior, interval},
};

pub(crate) use self::model::Update;
use self::{
    connection::Entry,
    figure::MAX_FIGURES,
    model::{Model, Readings},
    totals::Totals,
};
pub use self::{
    connection::{ConnectionFacts, WatchedConnection},
    figure::Figure,
    sample::{Gauge, Sample, Stall, StreamSample},
};

/// The time between two looks at the connections.
const TICK: Duration = Duration::from_millis(250);

/// The time for which records are kept after the last viewer has left: it may return.
const GRACE: Duration = Duration::from_secs(3);

/// Connections that are listed; further ones are counted.
const MAX_CONNECTIONS: usize = 1_000;

/// Records of streams that all connections hold between two ticks: about 10 MB.
const MAX_RECORDS: usize = 20_000;

/// Viewers at once.
pub(crate) const MAX_VIEWERS: usize = 16;

/// What a live page shows. A clone is the same board.
///
/// A server writes to it with [`ServerOptions::board`](crate::ServerOptions::board); any other
/// program with [`watch`](Self::watch). A [`Page`](crate::live::Page) shows it.
///
/// ```
/// use lacewing_server::live::{Board, ConnectionFacts};
///
/// let board = Board::new("my program");
/// let facts = ConnectionFacts::new("h2", "192.0.2.1:4711");
/// let connection = board.watch(facts);
/// // Nobody watches: nothing is recorded.
/// assert!(!board.is_watched() && !connection.is_due());
/// ```
#[derive(Clone)]
pub struct Board(Arc<Shared>);

struct Shared {
    title: String,
    standpoint: Standpoint,
    /// Differs from that of earlier processes, whose viewers need everything.
    name: String,
    start: Instant,
    is_watched: AtomicBool,
    viewers: AtomicUsize,
    arrivals: Notify,
    tick: AtomicU64,
    /// Records of streams in all connections, as of the last tick, and those since.
    records: AtomicUsize,
    entries: Mutex<Entries>,
    model: Mutex<Model>,
    changes: watch::Sender<u64>,
    gauges: Mutex<Option<Arc<Gauges>>>,
    figures: Mutex<Option<Box<Figures>>>,
}

type Gauges = dyn Fn() -> Vec<Gauge> + Send + Sync;
type Figures = dyn FnMut() -> Vec<Figure> + Send;

/// The place of the program on the connections of its board.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Standpoint {
    /// It is one end of them.
    End,
    /// Other programs' connections pass it.
    Between,
}

/// The connections that are open.
#[derive(Default)]
struct Entries {
    listed: BTreeMap<u32, Arc<Entry>>,
    last: u32,
    unlisted: u64,
    closed: Totals,
}

impl Board {
    /// An empty board. The title is the heading of the page, such as the program's name.
    pub fn new(title: impl Into<String>) -> Self {
        Self::at(Standpoint::End, title.into())
    }

    /// An empty board of a program that stands between clients and servers. On it, *sent* is what
    /// the servers send, *received* is what the clients send, and the peer is the client.
    pub fn between(title: impl Into<String>) -> Self {
        Self::at(Standpoint::Between, title.into())
    }

    fn at(standpoint: Standpoint, title: String) -> Self {
        Self(Arc::new(Shared {
            title,
            standpoint,
            name: millis(SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default()).to_string(),
            start: Instant::now(),
            is_watched: AtomicBool::new(false),
            viewers: AtomicUsize::new(0),
            arrivals: Notify::new(),
            tick: AtomicU64::new(0),
            records: AtomicUsize::new(0),
            entries: Mutex::default(),
            model: Mutex::default(),
            changes: watch::Sender::new(0),
            gauges: Mutex::new(None),
            figures: Mutex::new(None),
        }))
    }

    /// Shows these figures beside their bounds, which no connection has alone, such as the memory
    /// of the process. `read` is called at each tick while somebody watches. It must not block.
    pub fn set_gauges(&self, read: impl Fn() -> Vec<Gauge> + Send + Sync + 'static) {
        *locked(&self.0.gauges) = Some(Arc::new(read));
    }

    /// Shows these figures, each with its course over time; the first 16 of them. `read` is called
    /// at each tick while somebody watches. It must not block, nor call this board.
    pub fn set_figures(&self, read: impl FnMut() -> Vec<Figure> + Send + 'static) {
        *locked(&self.0.figures) = Some(Box::new(read));
    }

    /// Returns `true` while somebody looks at the page, and shortly after.
    pub fn is_watched(&self) -> bool {
        self.0.is_watched.load(Relaxed)
    }

    /// Adds a connection, until the value that is returned is dropped. Beyond 1,000 connections,
    /// further ones are counted and not listed.
    pub fn watch(&self, facts: ConnectionFacts) -> WatchedConnection {
        let mut entries = locked(&self.0.entries);
        entries.last = entries.last.wrapping_add(1);
        let id = entries.last;
        entries.closed.opened(facts.protocol);
        let entry = Arc::new(Entry::new(id, facts, self.0.start));
        if entries.listed.len() < MAX_CONNECTIONS {
            entries.listed.insert(id, Arc::clone(&entry));
        } else {
            entries.unlisted = entries.unlisted.saturating_add(1);
            entry.is_unlisted.store(true, Relaxed);
        }
        drop(entries);
        WatchedConnection::new(self.clone(), entry)
    }

    pub(crate) fn title(&self) -> &str {
        &self.0.title
    }

    pub(crate) fn standpoint(&self) -> Standpoint {
        self.0.standpoint
    }

    pub(crate) fn name(&self) -> &str {
        &self.0.name
    }

    /// A viewer comes; `None` if there are too many.
    pub(crate) fn view(&self) -> Option<Viewer> {
        let came = self.0.viewers.fetch_update(Relaxed, Relaxed, |viewers| {
            (viewers < MAX_VIEWERS).then(|| viewers.saturating_add(1))
        });
        came.ok()?;
        self.0.arrivals.notify_one();
        Some(Viewer(self.clone()))
    }

    /// The news after the update `after` of the same board; everything if that is too long ago.
    pub(crate) fn update(&self, after: Option<u64>) -> Update {
        locked(&self.0.model).update(after, self.now())
    }

    pub(crate) fn changes(&self) -> watch::Receiver<u64> {
        self.0.changes.subscribe()
    }

    /// Looks at the connections while somebody watches, without an end.
    pub(crate) async fn run(self) {
        loop {
            while self.0.viewers.load(Relaxed) == 0 {
                self.0.arrivals.notified().await;
            }
            self.0.is_watched.store(true, Relaxed);
            let mut ticks = interval(TICK);
            ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
            let mut last_viewed = Clock::now();
            while last_viewed.elapsed() < GRACE {
                ticks.tick().await;
                if self.0.viewers.load(Relaxed) > 0 {
                    last_viewed = Clock::now();
                }
                self.collect();
            }
            self.0.is_watched.store(false, Relaxed);
            self.forget();
        }
    }

    /// Collects what the connections have recorded, and asks them for more.
    fn collect(&self) {
        let tick = self.0.tick.fetch_add(1, Relaxed).wrapping_add(1);
        let entries = locked(&self.0.entries);
        let listed: Vec<_> = entries.listed.values().cloned().collect();
        let (unlisted, mut totals) = (entries.unlisted, entries.closed.clone());
        drop(entries);
        let gauges = locked(&self.0.gauges).clone();
        let readings = Readings {
            unlisted,
            left_out: 0,
            gauges: gauges.map(|read| read()).unwrap_or_default(),
            figures: self.figures(),
        };
        let mut model = locked(&self.0.model);
        model.begin(tick);
        let mut records = 0_usize;
        for entry in &listed {
            entry.read(self.now(), &self.0.records);
            records = records.saturating_add(model.take(entry, &mut totals));
        }
        self.0.records.store(records, Relaxed);
        let ids: Vec<_> = listed.iter().map(|entry| entry.id).collect();
        model.close(&ids, totals, readings);
        drop(model);
        for entry in &listed {
            entry.wake();
        }
        self.0.changes.send_replace(tick);
    }

    fn figures(&self) -> Vec<Figure> {
        let mut figures = match &mut *locked(&self.0.figures) {
            Some(read) => read(),
            None => Vec::new(),
        };
        figures.truncate(MAX_FIGURES);
        figures
    }

    /// Drops all that is recorded, since nobody watches.
    fn forget(&self) {
        let listed: Vec<_> = locked(&self.0.entries).listed.values().cloned().collect();
        for entry in listed {
            entry.forget();
        }
        self.0.records.store(0, Relaxed);
        let tick = self.0.tick.fetch_add(1, Relaxed).wrapping_add(1);
        locked(&self.0.model).forget(tick);
    }

    fn now(&self) -> u64 {
        millis(self.0.start.elapsed())
    }

    fn closed(&self, entry: &Entry, totals: &Totals) {
        let mut entries = locked(&self.0.entries);
        if entry.is_unlisted.load(Relaxed) {
            entries.unlisted = entries.unlisted.saturating_sub(1);
        }
        entries.listed.remove(&entry.id);
        entries.closed.closed(entry.facts.protocol);
        entries.closed.add(totals);
    }
}

impl fmt::Debug for Board {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Board")
            .field("title", &self.0.title)
            .field("is_watched", &self.is_watched())
            .finish_non_exhaustive()
    }
}

/// Somebody who looks at the board.
#[derive(Debug)]
pub(crate) struct Viewer(Board);

impl Drop for Viewer {
    fn drop(&mut self) {
        self.0.0.viewers.fetch_sub(1, Relaxed);
    }
}

/// Counts one record more; `false` if there are as many as may be.
fn admit(records: &AtomicUsize) -> bool {
    let more = |count: usize| (count < MAX_RECORDS).then(|| count.saturating_add(1));
    records.fetch_update(Relaxed, Relaxed, more).is_ok()
}

fn locked<T>(value: &Mutex<T>) -> MutexGuard<'_, T> {
    value.lock().unwrap_or_else(PoisonError::into_inner)
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;
