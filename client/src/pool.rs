//! One connection per origin, kept for the next request.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
    time::Duration,
};

use tokio::{task::AbortHandle, time::Instant};

use crate::{Connect, Connection, ConnectionConfig, Error, Origin};

/// The connections of a client. Bounded; those that nobody uses are closed
/// after a while.
pub(crate) struct Pool {
    connector: Box<dyn Connect>,
    settings: Settings,
    entries: Mutex<Entries>,
}

#[derive(Clone, Debug)]
pub(crate) struct Settings {
    pub(crate) connection: ConnectionConfig,
    pub(crate) connect_timeout: Duration,
    pub(crate) idle_timeout: Duration,
    pub(crate) max_connections: usize,
}

/// A connection for a request, and whether it served others before: only then
/// may it have died unnoticed.
pub(crate) struct Checkout {
    pub(crate) connection: Connection,
    pub(crate) history: History,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum History {
    Fresh,
    Reused,
}

#[derive(Default)]
struct Entries {
    by_origin: HashMap<Origin, Entry>,
    /// The task that evicts, while there is something to evict.
    reaper: Option<AbortHandle>,
}

struct Entry {
    connection: Option<Connection>,
    last_used: Instant,
    /// Held by the one request that dials; the others wait for it.
    dial: Arc<tokio::sync::Mutex<Dial>>,
}

/// What became of a dial, for those who waited for it.
#[derive(Default)]
struct Dial {
    failed: Option<Error>,
}

impl Pool {
    pub(crate) fn new(connector: Box<dyn Connect>, settings: Settings) -> Self {
        Self {
            connector,
            settings,
            entries: Mutex::default(),
        }
    }

    pub(crate) fn settings(&self) -> &Settings {
        &self.settings
    }

    /// The origin's connection, made if there is none.
    pub(crate) async fn checkout(self: &Arc<Self>, origin: &Origin) -> Result<Checkout, Error> {
        let dial = match self.look_up(origin) {
            Ok(connection) => {
                return Ok(Checkout {
                    connection,
                    history: History::Reused,
                });
            }
            Err(dial) => dial,
        };
        let mut dial = dial.lock().await;
        if let Some(error) = &dial.failed {
            return Err(error.clone());
        }
        if let Ok(connection) = self.look_up(origin) {
            return Ok(Checkout {
                connection,
                history: History::Reused,
            });
        }
        match self.dial(origin).await {
            Ok(connection) => {
                self.keep(origin, &connection);
                Ok(Checkout {
                    connection,
                    history: History::Fresh,
                })
            }
            Err(error) => {
                // Who waited for this dial gets its error; who comes later
                // dials again.
                dial.failed = Some(error.clone());
                self.lock().by_origin.remove(origin);
                Err(error)
            }
        }
    }

    /// How many connections are kept.
    pub(crate) fn len(&self) -> usize {
        let entries = self.lock();
        entries
            .by_origin
            .values()
            .filter(|entry| entry.connection.is_some())
            .count()
    }

    /// The connection if it takes requests, else the lock under which one is
    /// made.
    fn look_up(&self, origin: &Origin) -> Result<Connection, Arc<tokio::sync::Mutex<Dial>>> {
        let mut entries = self.lock();
        if let Some(entry) = entries.by_origin.get_mut(origin) {
            if let Some(connection) = &entry.connection {
                if connection.is_open() {
                    entry.last_used = Instant::now();
                    return Ok(connection.clone());
                }
                entry.connection = None;
            }
            return Err(Arc::clone(&entry.dial));
        }
        let dial = Arc::default();
        let entry = Entry {
            connection: None,
            last_used: Instant::now(),
            dial: Arc::clone(&dial),
        };
        entries.by_origin.insert(origin.clone(), entry);
        Err(dial)
    }

    async fn dial(&self, origin: &Origin) -> Result<Connection, Error> {
        let after = self.settings.connect_timeout;
        let connecting = self.connector.connect(origin);
        let connected = tokio::time::timeout(after, connecting)
            .await
            .map_err(|_| Error::ConnectTimeout {
                origin: origin.to_string(),
                after,
            })??;
        let config = self.settings.connection.clone().security(origin.security());
        let (connection, task) = Connection::handshake(connected.io, connected.version, config);
        tokio::spawn(task);
        Ok(connection)
    }

    fn keep(self: &Arc<Self>, origin: &Origin, connection: &Connection) {
        let mut entries = self.lock();
        if let Some(entry) = entries.by_origin.get_mut(origin) {
            entry.connection = Some(connection.clone());
            entry.last_used = Instant::now();
        }
        while entries.by_origin.len() > self.settings.max_connections.max(1) {
            if !entries.evict_oldest(origin) {
                break;
            }
        }
        if entries.reaper.is_none() {
            let reaper = reap(Arc::downgrade(self), self.settings.idle_timeout);
            entries.reaper = Some(tokio::spawn(reaper).abort_handle());
        }
    }

    /// Closes what nobody used for the idle timeout; says when to look again,
    /// if there is anything to look at.
    fn evict_idle(&self) -> Option<Instant> {
        let now = Instant::now();
        let idle_timeout = self.settings.idle_timeout;
        let mut entries = self.lock();
        entries
            .by_origin
            .retain(|_, entry| match &entry.connection {
                // Somebody dials under this entry, or will find it dead.
                None => Arc::strong_count(&entry.dial) > 1,
                Some(connection) if !connection.is_open() => false,
                Some(connection) => {
                    if !connection.is_idle() {
                        entry.last_used = now;
                    }
                    now.duration_since(entry.last_used) < idle_timeout
                }
            });
        let oldest = entries
            .by_origin
            .values()
            .map(|entry| entry.last_used)
            .min();
        if oldest.is_none() {
            entries.reaper = None;
        }
        oldest.map(|oldest| oldest + idle_timeout)
    }

    fn lock(&self) -> MutexGuard<'_, Entries> {
        // A panic under this lock leaves a map that is still a map.
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        if let Some(reaper) = self.lock().reaper.take() {
            reaper.abort();
        }
    }
}

impl Entries {
    /// Forgets the entry that was used least recently, but not `keep` and none
    /// that is being dialled. Requests that are under way on its connection
    /// finish: a connection closes when its last handle and stream are gone.
    fn evict_oldest(&mut self, keep: &Origin) -> bool {
        let oldest = self
            .by_origin
            .iter()
            .filter(|(origin, entry)| entry.connection.is_some() && *origin != keep)
            .min_by_key(|(_, entry)| entry.last_used)
            .map(|(origin, _)| origin.clone());
        oldest.is_some_and(|origin| self.by_origin.remove(&origin).is_some())
    }
}

/// Wakes when the oldest connection could be idle for long enough. Ends with
/// the pool, or when it is empty.
async fn reap(pool: Weak<Pool>, idle_timeout: Duration) {
    let mut next = Instant::now() + idle_timeout;
    loop {
        tokio::time::sleep_until(next).await;
        let Some(pool) = pool.upgrade() else { return };
        match pool.evict_idle() {
            // Never a busy loop, whatever the clock says.
            Some(at) => next = at.max(Instant::now() + Duration::from_millis(10)),
            None => return,
        }
    }
}
