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
    sync::{OwnedSemaphorePermit, Semaphore},
    task::AbortHandle,
    time::{Instant, sleep},
};

use super::Http1Connection;
use crate::{ClientError, Origin};

/// The shortest time between two looks at the idle connections.
const SHORTEST_LOOK: Duration = Duration::from_millis(10);

/// The origins whose server chose HTTP/1.1. Each has a bound of connections; further requests wait.
pub(crate) struct Origins {
    bounds: Bounds,
    state: Mutex<State>,
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
    /// The server offers HTTP/2, and ended a request of it with HTTP_1_1_REQUIRED.
    required: bool,
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
        }
    }

    /// Returns whether the origin's server chose HTTP/1.1.
    pub(crate) fn has(&self, origin: &Origin) -> bool {
        self.lock().by_origin.contains_key(origin)
    }

    /// The origin's server requires HTTP/1.1.
    pub(crate) fn require(self: &Arc<Self>, origin: &Origin) {
        self.entry(&mut self.lock(), origin).required = true;
    }

    /// Returns whether the origin's server requires HTTP/1.1.
    pub(crate) fn is_required(&self, origin: &Origin) -> bool {
        let state = self.lock();
        let entry = state.by_origin.get(origin);
        entry.is_some_and(|entry| entry.required)
    }

    /// The number of idle connections.
    pub(crate) fn idle(&self) -> usize {
        self.lock().idle()
    }

    /// Waits for a place for a connection, in the order of the calls.
    pub(crate) async fn place(self: &Arc<Self>, origin: &Origin) -> Result<Permit, ClientError> {
        let slots = Arc::clone(&self.entry(&mut self.lock(), origin).slots);
        let free = Arc::clone(&slots.free);
        let place = match Arc::clone(&free).try_acquire_owned() {
            Ok(place) => place,
            Err(_) => {
                let _waiting = Waiting::new(&slots, self.bounds.queued)?;
                let closed = |_| ClientError::QueueFull { limit: 0 };
                free.acquire_owned().await.map_err(closed)?
            }
        };
        Ok(Permit {
            _place: place,
            _slots: slots,
        })
    }

    /// Takes the connection that was used last, if one is idle.
    pub(crate) fn take(&self, origin: &Origin) -> Option<Http1Connection> {
        let mut state = self.lock();
        let idle = &mut state.by_origin.get_mut(origin)?.idle;
        idle.retain(|(_, connection)| !connection.is_closed());
        idle.pop().map(|(_, connection)| connection)
    }

    /// Keeps a connection for the next request.
    pub(crate) fn put(self: &Arc<Self>, origin: &Origin, connection: Http1Connection) {
        let mut state = self.lock();
        self.entry(&mut state, origin)
            .idle
            .push((Instant::now(), connection));
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
            let task = reap(Arc::downgrade(self), self.bounds.idle_timeout);
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
            required: false,
        })
    }

    /// Closes connections that were idle for the timeout, and forgets origins without any. Returns
    /// the time of the next look, if origins remain.
    fn close_idle(&self) -> Option<Instant> {
        let timeout = self.bounds.idle_timeout;
        let mut closed = Vec::new();
        let mut state = self.lock();
        state.by_origin.retain(|_, entry| {
            let late = |since: &Instant| since.elapsed() >= timeout;
            let many = entry
                .idle
                .iter()
                .take_while(|(since, _)| late(since))
                .count();
            closed.extend(entry.idle.drain(..many));
            !entry.idle.is_empty() || Arc::strong_count(&entry.slots) > 1
        });
        if state.by_origin.is_empty() {
            state.reaper = None;
            drop(state);
            return None;
        }
        let all = state.by_origin.values().flat_map(|entry| &entry.idle);
        let oldest = all.map(|(since, _)| *since).min();
        drop(state);
        let now = Instant::now();
        oldest.unwrap_or(now).checked_add(timeout).or(Some(now))
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // A panic under this lock leaves a valid map.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
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

/// Wakes when the oldest connection may have been idle for the timeout. Ends with the client, or
/// when there is no origin.
async fn reap(origins: Weak<Origins>, timeout: Duration) {
    sleep(timeout.max(SHORTEST_LOOK)).await;
    loop {
        let Some(next) = origins.upgrade().and_then(|origins| origins.close_idle()) else {
            return;
        };
        // A pause, so that no clock can cause a busy loop.
        tokio::time::sleep_until(next.max(Instant::now() + SHORTEST_LOOK)).await;
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
