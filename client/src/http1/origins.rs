//! The origins that speak HTTP/1.1, and their idle connections.

use std::{
    collections::HashMap,
    fmt,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, Weak,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use tokio::{
    sync::{Notify, OwnedSemaphorePermit, Semaphore},
    task::AbortHandle,
    time::{Instant, sleep, timeout_at},
};

use super::Http1Connection;
use crate::{ClientError, Origin, origin};

/// The shortest time between two looks at the idle connections.
const SHORTEST_LOOK: Duration = Duration::from_millis(10);

/// The origins whose server chose HTTP/1.1. Each has a bound of connections; further requests wait.
pub(crate) struct Origins {
    bounds: Bounds,
    state: Mutex<State>,
    /// Something happened to an idle connection.
    changed: Arc<Notify>,
}

/// The limits of all origins.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bounds {
    /// Connections to one origin: `max_http1_connections`.
    pub(crate) connections: usize,
    /// Requests that wait for one of them: `max_queued`.
    pub(crate) queued: usize,
    /// Idle connections in all: `max_connections`.
    pub(crate) idle: usize,
    pub(crate) idle_timeout: Duration,
}

#[derive(Default)]
struct State {
    by_origin: HashMap<Origin, Entry>,
    /// The task that closes idle connections, while there are origins.
    reaper: Option<AbortHandle>,
}

struct Entry {
    slots: Arc<Slots>,
    /// The latest is the last.
    idle: Vec<(Instant, Http1Connection)>,
    /// When the server, which offers HTTP/2, ended a request of it with HTTP_1_1_REQUIRED.
    required: Option<Instant>,
}

/// The slots for connections to one origin.
struct Slots {
    free: Arc<Semaphore>,
    waiting: AtomicUsize,
}

/// A place for one connection.
pub(crate) struct Permit {
    _place: OwnedSemaphorePermit,
    /// Keeps the origin's entry.
    _slots: Arc<Slots>,
}

impl Origins {
    pub(crate) fn new(bounds: Bounds) -> Self {
        Self {
            bounds,
            state: Mutex::default(),
            changed: Arc::default(),
        }
    }

    /// Notified of what happens to idle connections.
    pub(crate) fn keeper(&self) -> Arc<Notify> {
        Arc::clone(&self.changed)
    }

    /// Returns whether the origin's server chose HTTP/1.1.
    pub(crate) fn has(&self, origin: &Origin) -> bool {
        self.lock().by_origin.contains_key(origin)
    }

    /// The origin's server requires HTTP/1.1.
    pub(crate) fn require(self: &Arc<Self>, origin: &Origin) {
        self.entry(&mut self.lock(), origin).required = Some(Instant::now());
    }

    /// Returns whether the origin's server requires HTTP/1.1.
    pub(crate) fn is_required(&self, origin: &Origin) -> bool {
        let state = self.lock();
        let entry = state.by_origin.get(origin);
        entry.is_some_and(|entry| entry.required.is_some())
    }

    /// The number of idle connections.
    pub(crate) fn idle(&self) -> usize {
        self.lock().idle()
    }

    /// Takes the connection that was used last, if one is idle, and a place for it.
    pub(crate) fn take_with_place(&self, origin: &Origin) -> Option<(Http1Connection, Permit)> {
        let mut state = self.lock();
        let entry = origin::find(&mut state.by_origin, origin)?;
        let place = entry.slots.try_place()?;
        Some((entry.take()?, place))
    }

    /// Waits for a place for a connection, in the order of the calls.
    pub(crate) async fn place(self: &Arc<Self>, origin: &Origin) -> Result<Permit, ClientError> {
        let slots = Arc::clone(&self.entry(&mut self.lock(), origin).slots);
        if let Some(place) = slots.try_place() {
            return Ok(place);
        }
        let place = {
            let _waiting = Waiting::new(&slots, self.bounds.queued)?;
            let closed = |_| ClientError::QueueFull { limit: 0 };
            let free = Arc::clone(&slots.free);
            free.acquire_owned().await.map_err(closed)?
        };
        Ok(Permit {
            _place: place,
            _slots: slots,
        })
    }

    /// Takes the connection that was used last, if one is idle.
    pub(crate) fn take(&self, origin: &Origin) -> Option<Http1Connection> {
        self.lock().by_origin.get_mut(origin)?.take()
    }

    /// Keeps a connection for the next request.
    pub(crate) fn put(self: &Arc<Self>, origin: &Origin, mut connection: Http1Connection) {
        connection.rest();
        if connection.is_closed() {
            return;
        }
        let mut state = self.lock();
        let idle = match origin::find(&mut state.by_origin, origin) {
            Some(entry) => &mut entry.idle,
            None => &mut self.entry(&mut state, origin).idle,
        };
        idle.push((Instant::now(), connection));
        let mut closed = Vec::new();
        while state.idle() > self.bounds.idle.max(1) {
            match state.take_oldest() {
                Some(oldest) => closed.push(oldest),
                None => break,
            }
        }
        drop(state);
        drop(closed);
    }

    /// The server speaks another protocol now.
    pub(crate) fn forget(&self, origin: &Origin) {
        let entry = self.lock().by_origin.remove(origin);
        drop(entry);
    }

    fn entry<'a>(self: &Arc<Self>, state: &'a mut State, origin: &Origin) -> &'a mut Entry {
        if state.reaper.is_none() {
            let task = reap(
                Arc::downgrade(self),
                self.keeper(),
                self.bounds.idle_timeout,
            );
            state.reaper = Some(tokio::spawn(task).abort_handle());
        }
        let entry = state.by_origin.entry(origin.clone());
        entry.or_insert_with(|| Entry {
            slots: Arc::new(Slots {
                free: Arc::new(Semaphore::new(
                    self.bounds.connections.clamp(1, Semaphore::MAX_PERMITS),
                )),
                waiting: AtomicUsize::new(0),
            }),
            idle: Vec::new(),
            required: None,
        })
    }

    /// Drops connections that their servers closed, and those that were idle for the timeout.
    /// Forgets origins without any. Returns the time of the next look, if origins remain.
    fn close_idle(&self) -> Option<Instant> {
        let timeout = self.bounds.idle_timeout;
        let mut closed = Vec::new();
        let mut state = self.lock();
        state.by_origin.retain(|_, entry| {
            for (_, connection) in &mut entry.idle {
                connection.look();
            }
            let all = std::mem::take(&mut entry.idle).into_iter();
            let (gone, left): (Vec<_>, _) = all.partition(|(since, connection)| {
                connection.is_closed() || since.elapsed() >= timeout
            });
            closed.extend(gone);
            entry.idle = left;
            let required = entry.required.is_some_and(|at| at.elapsed() < timeout);
            required || !entry.idle.is_empty() || Arc::strong_count(&entry.slots) > 1
        });
        if state.by_origin.is_empty() {
            state.reaper = None;
            drop(state);
            return None;
        }
        let each = state.by_origin.values();
        let all = each.flat_map(|entry| {
            let idle = entry.idle.iter().map(|(since, _)| *since);
            // One that has passed keeps no entry.
            let required = entry.required.filter(|at| at.elapsed() < timeout);
            idle.chain(required)
        });
        let oldest = all.min();
        drop(state);
        Some(later(oldest.unwrap_or_else(Instant::now), timeout))
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // A panic under this lock leaves a valid map.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Entry {
    /// Takes the connection that was used last, if one is idle.
    fn take(&mut self) -> Option<Http1Connection> {
        while let Some((_, connection)) = self.idle.pop() {
            if !connection.is_closed() {
                connection.driver.wake_up();
                return Some(connection);
            }
        }
        None
    }
}

impl Slots {
    fn try_place(self: &Arc<Self>) -> Option<Permit> {
        let place = Arc::clone(&self.free).try_acquire_owned().ok()?;
        Some(Permit {
            _place: place,
            _slots: Arc::clone(self),
        })
    }
}

impl State {
    fn idle(&self) -> usize {
        self.by_origin.values().map(|entry| entry.idle.len()).sum()
    }

    fn take_oldest(&mut self) -> Option<Http1Connection> {
        let since = |entry: &Entry| entry.idle.first().map(|(since, _)| *since);
        let entries = self.by_origin.values_mut();
        let entry = entries
            .filter(|entry| !entry.idle.is_empty())
            .min_by_key(|entry| since(entry))?;
        Some(entry.idle.remove(0).1)
    }
}

/// A request that waits for a place.
struct Waiting<'a>(&'a Slots);

impl<'a> Waiting<'a> {
    fn new(slots: &'a Slots, limit: usize) -> Result<Self, ClientError> {
        let before = slots.waiting.fetch_add(1, Ordering::Relaxed);
        let waiting = Self(slots);
        match before < limit {
            true => Ok(waiting),
            false => Err(ClientError::QueueFull { limit }),
        }
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.waiting.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A time after `start`, in a day at most.
fn later(start: Instant, time: Duration) -> Instant {
    start + time.min(Duration::from_secs(24 * 3600))
}

/// Wakes when something happened to an idle connection, or when the oldest may have been idle for
/// the timeout. Ends with the client, or when there is no origin.
async fn reap(origins: Weak<Origins>, changed: Arc<Notify>, idle_timeout: Duration) {
    let mut next = later(Instant::now(), idle_timeout);
    loop {
        // A pause, so that neither a clock nor a server can cause a busy loop.
        sleep(SHORTEST_LOOK).await;
        let _ = timeout_at(next, changed.notified()).await;
        next = match origins.upgrade().and_then(|origins| origins.close_idle()) {
            Some(next) => next,
            None => return,
        };
    }
}

impl Drop for Origins {
    fn drop(&mut self) {
        if let Some(reaper) = self.lock().reaper.take() {
            reaper.abort();
        }
    }
}

impl fmt::Debug for Origins {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Origins")
            .field("bounds", &self.bounds)
            .finish_non_exhaustive()
    }
}
