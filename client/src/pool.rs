//! Connections to origins, kept for the next request.

use std::{
    collections::HashMap,
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
    time::Duration,
};

use http::Request;
use tokio::{task::AbortHandle, time::Instant};

use crate::{
    Concurrency, Connect, Connection, ConnectionConfig, Error, Origin, ResponseFuture, SettingsKey,
    SettingsStore, body::RequestBody, telemetry,
};

/// The connections of a client. Bounded; those that nobody uses are closed
/// after a while.
pub(crate) struct Pool {
    connector: Box<dyn Connect>,
    settings: Settings,
    entries: Mutex<Entries>,
}

#[derive(Clone)]
pub(crate) struct Settings {
    pub(crate) connection: ConnectionConfig,
    pub(crate) connect_timeout: Duration,
    pub(crate) idle_timeout: Duration,
    pub(crate) max_connections: usize,
    pub(crate) max_retries: u32,
    pub(crate) store: Arc<dyn SettingsStore>,
    #[cfg(feature = "h2c")]
    pub(crate) h2c_upgrade: bool,
}

impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Settings")
            .field("connection", &self.connection)
            .field("connect_timeout", &self.connect_timeout)
            .field("idle_timeout", &self.idle_timeout)
            .field("max_connections", &self.max_connections)
            .field("max_retries", &self.max_retries)
            .finish_non_exhaustive()
    }
}

/// A connection, and the response to the request that it was made with.
pub(crate) struct Checkout {
    pub(crate) connection: Connection,
    pub(crate) response: Option<ResponseFuture>,
}

#[derive(Default)]
struct Entries {
    by_origin: HashMap<Origin, Entry>,
    /// Connections that were ever kept.
    made: u64,
    /// The task that evicts, while there is something to evict.
    reaper: Option<AbortHandle>,
}

#[derive(Default)]
struct Entry {
    connections: Vec<Kept>,
    /// Held by the one request that dials; the others wait for it.
    dial: Arc<tokio::sync::Mutex<Dial>>,
}

/// A connection and when it was used last.
struct Kept {
    /// Grows: of two that were used at the same time the older goes first.
    serial: u64,
    connection: Connection,
    last_used: Instant,
}

/// Where a request goes.
enum Choice {
    Use(Connection),
    /// A new connection, to be made under this lock; if that fails, one that
    /// has its hands full.
    Dial(Arc<tokio::sync::Mutex<Dial>>, Option<Connection>),
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

    /// A connection to the origin, made if there is none, or none with room
    /// for another stream and the policy wants so. The request is taken if the
    /// connection is made by it.
    pub(crate) async fn checkout(
        self: &Arc<Self>,
        origin: &Origin,
        request: &mut Option<Request<RequestBody>>,
    ) -> Result<Checkout, Error> {
        let dial = match self.choose(origin) {
            Choice::Use(connection) => return Ok(connection.into()),
            Choice::Dial(dial, _) => dial,
        };
        let mut dial = dial.lock().await;
        let busy = match self.choose(origin) {
            Choice::Use(connection) => return Ok(connection.into()),
            Choice::Dial(_, busy) => busy,
        };
        let error = match &dial.failed {
            Some(error) => error.clone(),
            None => match self.dial(origin, request).await {
                Ok(checkout) => {
                    self.keep(origin, &checkout.connection);
                    return Ok(checkout);
                }
                Err(error) => error,
            },
        };
        // Who waited for this dial gets its error; who comes later dials again.
        dial.failed = Some(error.clone());
        self.lock().forget_dial(origin);
        busy.map(Checkout::from).ok_or(error)
    }

    /// How many connections are kept.
    pub(crate) fn len(&self) -> usize {
        self.lock().count()
    }

    /// The connection that has least to do, if it is to be used.
    fn choose(&self, origin: &Origin) -> Choice {
        let mut entries = self.lock();
        let another = match self.settings.connection.concurrency_policy() {
            Concurrency::OpenAnother { max } => max,
            Concurrency::Queue | Concurrency::Fail => 1,
        };
        let crowded = another > 1 && entries.is_crowded(self.settings.max_connections);
        let entry = match entries.by_origin.get_mut(origin) {
            Some(entry) => entry,
            None => entries.by_origin.entry(origin.clone()).or_default(),
        };
        entry.connections.retain(|kept| kept.connection.is_open());
        let connections = entry.connections.len();
        let least = entry
            .connections
            .iter_mut()
            .min_by_key(|kept| kept.connection.streams().load());
        let Some(least) = least else {
            return Choice::Dial(Arc::clone(&entry.dial), None);
        };
        if connections < another && !crowded && !least.connection.streams().has_room() {
            let busy = Some(least.connection.clone());
            return Choice::Dial(Arc::clone(&entry.dial), busy);
        }
        least.last_used = Instant::now();
        Choice::Use(least.connection.clone())
    }

    async fn dial(
        &self,
        origin: &Origin,
        request: &mut Option<Request<RequestBody>>,
    ) -> Result<Checkout, Error> {
        let after = self.settings.connect_timeout;
        let since = std::time::Instant::now();
        let made = tokio::time::timeout(after, self.make(origin, request)).await;
        let made = made.unwrap_or_else(|_| {
            Err(Error::ConnectTimeout {
                origin: origin.to_string(),
                after,
            })
        });
        telemetry::dialled(origin, since, &made);
        made
    }

    async fn make(
        &self,
        origin: &Origin,
        request: &mut Option<Request<RequestBody>>,
    ) -> Result<Checkout, Error> {
        let connected = self.connector.connect(origin).await?;
        let config = self.settings.connection.clone().security(origin.security());
        let key = SettingsKey {
            origin: origin.clone(),
            address: connected.address,
        };
        let config = config.settings_store(Arc::clone(&self.settings.store), key);
        #[cfg(feature = "h2c")]
        if self.settings.h2c_upgrade
            && origin.security() == crate::Security::Cleartext
            && connected.version == crate::Version::Http2
        {
            return upgrade(connected, origin, request, config).await;
        }
        #[cfg(not(feature = "h2c"))]
        let _ = request;
        let (connection, task) = Connection::handshake(connected.io, connected.version, config);
        tokio::spawn(task);
        Ok(connection.into())
    }

    fn keep(self: &Arc<Self>, origin: &Origin, connection: &Connection) {
        let mut entries = self.lock();
        entries.made = entries.made.saturating_add(1);
        let serial = entries.made;
        let entry = entries.by_origin.entry(origin.clone()).or_default();
        entry.connections.push(Kept {
            serial,
            connection: connection.clone(),
            last_used: Instant::now(),
        });
        while entries.count() > self.settings.max_connections.max(1) {
            if !entries.evict_oldest() {
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
        let mut oldest: Option<Instant> = None;
        entries.by_origin.retain(|_, entry| {
            entry.connections.retain_mut(|kept| {
                if !kept.connection.is_idle() {
                    kept.last_used = now;
                }
                kept.connection.is_open() && now.duration_since(kept.last_used) < idle_timeout
            });
            for kept in &entry.connections {
                oldest = Some(oldest.map_or(kept.last_used, |oldest| oldest.min(kept.last_used)));
            }
            // Somebody dials under this entry.
            !entry.connections.is_empty() || Arc::strong_count(&entry.dial) > 1
        });
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

/// A connection that begins as HTTP/1.1: with the request itself, or where that
/// cannot be, with one that asks for nothing else.
#[cfg(feature = "h2c")]
async fn upgrade(
    connected: crate::Connected,
    origin: &Origin,
    request: &mut Option<Request<RequestBody>>,
    config: ConnectionConfig,
) -> Result<Checkout, Error> {
    let own = request.take_if(|request| crate::upgrade::fits(request));
    let wanted = own.is_some();
    let path = request.as_ref().map(Request::uri);
    let first = own.unwrap_or_else(|| crate::upgrade::neutral(origin, path));
    let (connection, task, response) = crate::upgrade::upgrade(connected.io, first, config).await?;
    tokio::spawn(task);
    Ok(Checkout {
        connection,
        response: wanted.then_some(response),
    })
}

impl From<Connection> for Checkout {
    fn from(connection: Connection) -> Self {
        Self {
            connection,
            response: None,
        }
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
    fn count(&self) -> usize {
        let each = self.by_origin.values();
        each.map(|entry| entry.connections.len()).sum()
    }

    /// As many connections are kept as may be, and all have something to do.
    fn is_crowded(&self, max: usize) -> bool {
        let mut kept = self.by_origin.values().flat_map(|entry| &entry.connections);
        self.count() >= max && kept.all(|kept| !kept.connection.is_idle())
    }

    /// Forgets the connection that was used least recently, of those that have
    /// nothing to do if there are any. Requests that are under way on it
    /// finish: a connection closes when its last handle and stream are gone.
    fn evict_oldest(&mut self) -> bool {
        let each = self.by_origin.iter().flat_map(|(origin, entry)| {
            let connections = entry.connections.iter().enumerate();
            connections.map(move |(index, kept)| (kept, origin, index))
        });
        // The latest was made just now, for somebody.
        let oldest = each
            .filter(|(kept, _, _)| kept.serial != self.made)
            .min_by_key(|(kept, _, _)| (!kept.connection.is_idle(), kept.last_used, kept.serial));
        let Some((_, origin, index)) = oldest else {
            return false;
        };
        let origin = origin.clone();
        if let Some(entry) = self.by_origin.get_mut(&origin) {
            entry.connections.remove(index);
            if entry.connections.is_empty() && Arc::strong_count(&entry.dial) == 1 {
                self.by_origin.remove(&origin);
            }
        }
        true
    }

    /// A dial failed: the next one is a new one.
    fn forget_dial(&mut self, origin: &Origin) {
        if let Some(entry) = self.by_origin.get_mut(origin) {
            entry.dial = Arc::default();
            if entry.connections.is_empty() {
                self.by_origin.remove(origin);
            }
        }
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
