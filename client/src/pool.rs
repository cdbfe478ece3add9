//! Keeps connections to origins for later requests.

mod dialling;
#[cfg(feature = "http1")]
mod http1;
mod wait_queue;

use std::{
    collections::HashMap,
    fmt,
    future::poll_fn,
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
    time::Duration,
};

use http::Request;
use tokio::{sync::oneshot, task::AbortHandle, time::Instant};

use self::{
    dialling::Dialling,
    wait_queue::{Answer, Answered, Left, WaitQueue, Waiter, Waiting},
};
use crate::{
    ClientError, ClientOptions, Concurrency, Connect, Connection, Origin, ResponseFuture,
    SettingsKey, SettingsStore,
    age::Age,
    body::RequestBody,
    link::{Failure, Outcome, Submission},
    origin,
    spare::Again,
    telemetry,
};

/// The connections of a client. Their number is bounded; idle ones are closed after a timeout.
pub(crate) struct Pool {
    connector: Box<dyn Connect>,
    settings: Settings,
    entries: Mutex<Entries>,
    #[cfg(feature = "http1")]
    http1: Arc<crate::http1::Origins>,
}

#[derive(Clone)]
pub(crate) struct Settings {
    pub(crate) options: ClientOptions,
    pub(crate) connect_timeout: Duration,
    pub(crate) idle_timeout: Duration,
    pub(crate) max_connections: usize,
    pub(crate) max_retries: u32,
    pub(crate) replay_limit: usize,
    pub(crate) store: Arc<dyn SettingsStore>,
    #[cfg(feature = "h2c")]
    pub(crate) h2c_upgrade: bool,
    #[cfg(feature = "http1")]
    pub(crate) max_http1_connections: usize,
}

#[cfg(feature = "http1")]
impl Settings {
    fn http1_bounds(&self) -> crate::http1::Bounds {
        crate::http1::Bounds {
            connections: self.max_http1_connections,
            queued: self.options.max_queued,
            idle: self.max_connections,
            idle_timeout: self.idle_timeout,
        }
    }
}

impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Settings")
            .field("options", &self.options)
            .field("connect_timeout", &self.connect_timeout)
            .field("idle_timeout", &self.idle_timeout)
            .field("max_connections", &self.max_connections)
            .field("max_retries", &self.max_retries)
            .field("replay_limit", &self.replay_limit)
            .finish_non_exhaustive()
    }
}

/// A new connection.
enum Made {
    /// And the response to the request that it began with.
    Multiplexed {
        connection: Connection,
        #[cfg(feature = "h2c")]
        response: Option<ResponseFuture>,
    },
    #[cfg(feature = "http1")]
    Http1(crate::http1::Http1Connection),
}

#[derive(Default)]
struct Entries {
    by_origin: HashMap<Origin, Entry>,
    /// The number of connections that were kept so far; the next serial.
    made: u64,
    /// The number of dialling tasks so far; the next serial.
    dials: u64,
    /// The task that evicts idle connections, while there are connections.
    reaper: Option<AbortHandle>,
}

#[derive(Default)]
struct Entry {
    connections: Vec<Kept>,
    /// Requests that wait for the connection that is being made.
    queue: WaitQueue,
    /// The task that makes the connection, while requests wait.
    dial: Option<Dial>,
}

struct Dial {
    serial: u64,
    task: AbortHandle,
}

/// A connection, and the time of its last use.
struct Kept {
    /// Increases with each connection: of two with the same time, the older is evicted first.
    serial: u64,
    connection: Connection,
    last_used: Instant,
}

/// The destination of a request.
enum Choice {
    Use(Connection),
    /// A new connection; if it cannot be made, this busy one.
    Dial(Option<Connection>),
}

impl Pool {
    pub(crate) fn new(connector: Box<dyn Connect>, settings: Settings) -> Self {
        Self {
            connector,
            #[cfg(feature = "http1")]
            http1: Arc::new(crate::http1::Origins::new(settings.http1_bounds())),
            settings,
            entries: Mutex::default(),
        }
    }

    pub(crate) fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Returns a connection to the origin. Makes one if there is none, or if all are full and the
    /// policy permits another.
    pub(crate) async fn connection(
        self: &Arc<Self>,
        origin: &Origin,
    ) -> Result<Connection, ClientError> {
        let waiter = {
            let mut entries = self.lock();
            if let Choice::Use(connection) = self.choose(&mut entries, origin) {
                return Ok(connection);
            }
            let (answer, receiver) = oneshot::channel();
            let age = Age::next();
            self.enqueue(&mut entries, origin, age, Waiting::Connection(answer));
            self.waiter(origin, age, receiver)
        };
        waiter.await?
    }

    /// Sends a request over such a connection.
    ///
    /// While a connection is made, requests wait in the order of their age. All of them then go out
    /// together, before later requests. A server that takes few requests on each connection
    /// therefore gets the oldest first.
    pub(crate) async fn send(
        self: &Arc<Self>,
        origin: &Origin,
        request: Request<RequestBody>,
        age: Age,
    ) -> Outcome {
        #[cfg(feature = "http1")]
        {
            if let Some(idle) = self.http1.take_with_place(origin) {
                return self.send_http1_over(idle, origin, request, age).await;
            }
            if self.http1.has(origin) {
                return self.send_http1(origin, request, age).await;
            }
        }
        let waiter = match self.submit(origin, request, age) {
            Ok(response) => return outcome(response).await,
            Err(waiter) => waiter,
        };
        match waiter.await {
            Ok(Ok(Answered::Response(response))) => outcome(response).await,
            #[cfg(feature = "http1")]
            Ok(Ok(Answered::InHttp1(request))) => self.send_http1(origin, *request, age).await,
            Ok(Err(failure)) => Err(failure),
            Err(error) => Err(Failure::new(error)),
        }
    }

    /// Returns the connection for a request now, if there is one in a multiplexed protocol.
    pub(crate) fn connected(&self, origin: &Origin) -> Option<Connection> {
        match self.choose(&mut self.lock(), origin) {
            Choice::Use(connection) => Some(connection),
            Choice::Dial(_) => None,
        }
    }

    /// Sends a request over an existing connection, or returns its place in the queue.
    fn submit(
        self: &Arc<Self>,
        origin: &Origin,
        request: Request<RequestBody>,
        age: Age,
    ) -> Result<ResponseFuture, Waiter<Answer>> {
        let mut entries = self.lock();
        if let Choice::Use(connection) = self.choose(&mut entries, origin) {
            drop(entries);
            return Ok(connection.send(Submission::new(request, age, Again::Possible)));
        }
        let (answer, receiver) = oneshot::channel();
        let waiting = Waiting::Response(Box::new(request), answer);
        self.enqueue(&mut entries, origin, age, waiting);
        Err(self.waiter(origin, age, receiver))
    }

    fn waiter<T>(
        self: &Arc<Self>,
        origin: &Origin,
        age: Age,
        answer: oneshot::Receiver<T>,
    ) -> Waiter<T> {
        Waiter {
            pool: Arc::clone(self),
            origin: origin.clone(),
            age,
            answer,
            left: Left::No,
        }
    }

    /// Adds an entry to the queue, and makes a connection if no task does so yet.
    fn enqueue(self: &Arc<Self>, entries: &mut Entries, origin: &Origin, age: Age, who: Waiting) {
        let serial = entries.dials.saturating_add(1);
        let entry = entries.by_origin.entry(origin.clone()).or_default();
        entry.queue.push(age, who);
        if entry.dial.is_none() {
            let dialling = Dialling {
                pool: Arc::clone(self),
                origin: origin.clone(),
                serial,
            };
            let task = tokio::spawn(telemetry::in_current_span(dialling.run())).abort_handle();
            entry.dial = Some(Dial { serial, task });
            entries.dials = serial;
        }
    }

    /// Leaves the queue. When the queue is empty, no connection is needed: its task ends.
    fn leave(&self, origin: &Origin, age: Age) {
        let mut entries = self.lock();
        let Some(entry) = entries.by_origin.get_mut(origin) else {
            return;
        };
        entry.queue.leave(age);
        if entry.queue.is_empty() {
            if let Some(dial) = entry.dial.take() {
                dial.task.abort();
            }
            entries.forget_empty(origin);
        }
    }

    /// The number of connections.
    pub(crate) fn len(&self) -> usize {
        let multiplexed = self.lock().count();
        #[cfg(feature = "http1")]
        return multiplexed.saturating_add(self.http1.idle());
        #[cfg(not(feature = "http1"))]
        multiplexed
    }

    /// Chooses the least loaded connection, or a new one.
    fn choose(&self, entries: &mut Entries, origin: &Origin) -> Choice {
        let another = match self.settings.options.concurrency {
            Concurrency::OpenAnother { max } => max,
            Concurrency::Queue | Concurrency::Fail => 1,
        };
        let is_full = another > 1 && entries.is_full_and_busy(self.settings.max_connections);
        let Some(entry) = origin::find(&mut entries.by_origin, origin) else {
            return Choice::Dial(None);
        };
        entry.connections.retain(|kept| kept.connection.is_open());
        let connections = entry.connections.len();
        let least = entry
            .connections
            .iter_mut()
            .min_by_key(|kept| kept.connection.streams().load());
        let Some(least) = least else {
            return Choice::Dial(None);
        };
        if connections < another && !is_full && !least.connection.streams().has_room() {
            return Choice::Dial(Some(least.connection.clone()));
        }
        least.last_used = Instant::now();
        Choice::Use(least.connection.clone())
    }

    /// Sends the queued requests over a new connection. Returns `true` if the queue needs another
    /// one.
    fn serve_queue(self: &Arc<Self>, origin: &Origin, made: &Connection) -> bool {
        let mut entries = self.lock();
        self.keep(&mut entries, origin, made);
        loop {
            // A connection that has already ended returns its error to each of them.
            let connection = if made.is_open() {
                match self.choose(&mut entries, origin) {
                    Choice::Use(connection) => connection,
                    Choice::Dial(_) => break,
                }
            } else {
                made.clone()
            };
            match entries.pop(origin) {
                Some((age, waiting)) => waiting.proceed(age, &connection),
                None => break,
            }
        }
        let Some(entry) = entries.by_origin.get_mut(origin) else {
            return false;
        };
        let more = !entry.queue.is_empty();
        if !more {
            entry.dial = None;
        }
        more
    }

    /// Fails the queued requests with the error, or sends them over a busy connection. Later
    /// requests dial again.
    fn fail_queue(&self, origin: &Origin, error: &ClientError) {
        let mut entries = self.lock();
        let busy = match self.choose(&mut entries, origin) {
            Choice::Use(connection) | Choice::Dial(Some(connection)) => Some(connection),
            Choice::Dial(None) => None,
        };
        while let Some((age, waiting)) = entries.pop(origin) {
            match &busy {
                Some(connection) => waiting.proceed(age, connection),
                None => waiting.fail(error.clone()),
            }
        }
        if let Some(entry) = entries.by_origin.get_mut(origin) {
            entry.dial = None;
        }
        entries.forget_empty(origin);
    }

    async fn dial(
        &self,
        origin: &Origin,
        request: &mut Option<Request<RequestBody>>,
    ) -> Result<Made, ClientError> {
        let after = self.settings.connect_timeout;
        let since = std::time::Instant::now();
        let had_request = request.is_some();
        let made = tokio::time::timeout(after, self.make(origin, request)).await;
        let made = made.unwrap_or_else(|_| {
            // The server may process the request that asks for the upgrade (`h2c`).
            if had_request && request.is_none() {
                let text = format!("no answer within connect_timeout ({after:?})");
                let error = std::io::Error::new(std::io::ErrorKind::TimedOut, text);
                return Err(ClientError::Upgrade(Arc::new(error)));
            }
            Err(ClientError::ConnectTimeout {
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
    ) -> Result<Made, ClientError> {
        #[cfg(feature = "http1")]
        let connecting = self.connect(origin);
        #[cfg(not(feature = "http1"))]
        let connecting = self.connector.connect(origin);
        let connected = connecting.await?;
        let Some(version) = connected.version else {
            #[cfg(feature = "http1")]
            {
                let limits = &self.settings.options.connection.limits;
                let keeper = self.http1.keeper();
                let start = crate::http1::Http1Connection::start(connected.io, limits, keeper);
                let made = start.await?;
                return Ok(Made::Http1(made));
            }
            #[cfg(not(feature = "http1"))]
            return Err(ClientError::Http1Only {
                origin: origin.to_string(),
            });
        };
        let options = self.settings.options.clone().security(origin.security());
        let key = SettingsKey {
            origin: origin.clone(),
            address: connected.address,
        };
        let options = options.settings_store(Arc::clone(&self.settings.store), key);
        #[cfg(feature = "h2c")]
        if self.settings.h2c_upgrade
            && origin.security() == crate::Security::Cleartext
            && version == crate::Version::Http2
        {
            return upgrade(connected, origin, request, options).await;
        }
        #[cfg(not(feature = "h2c"))]
        let _ = request;
        let (connection, task) = Connection::handshake(connected.io, version, options);
        tokio::spawn(task);
        Ok(connection.into())
    }

    fn keep(self: &Arc<Self>, entries: &mut Entries, origin: &Origin, connection: &Connection) {
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

    /// Closes connections that were idle for the timeout. Returns the time of the next check, if
    /// connections remain.
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
            !entry.is_empty()
        });
        if oldest.is_none() {
            entries.reaper = None;
        }
        oldest.map(|oldest| later(oldest, idle_timeout))
    }

    fn lock(&self) -> MutexGuard<'_, Entries> {
        // A panic under this lock leaves a valid map.
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Makes a connection that begins as HTTP/1.1. It upgrades with the request itself if possible,
/// else with an OPTIONS request for its path.
#[cfg(feature = "h2c")]
async fn upgrade(
    connected: crate::Connected,
    origin: &Origin,
    request: &mut Option<Request<RequestBody>>,
    options: ClientOptions,
) -> Result<Made, ClientError> {
    let own = request.take_if(|request| crate::upgrade::fits(request));
    let wanted = own.is_some();
    let path = request.as_ref().map(Request::uri);
    let first = own.unwrap_or_else(|| crate::upgrade::neutral(origin, path));
    let spare = crate::spare::Spare::new(&first);
    let (connection, task, response) =
        crate::upgrade::upgrade(connected.io, first, options).await?;
    response.keep(spare);
    tokio::spawn(task);
    Ok(Made::Multiplexed {
        connection,
        response: wanted.then_some(response),
    })
}

#[cfg(feature = "h2c")]
impl Made {
    fn take_response(&mut self) -> Option<ResponseFuture> {
        match self {
            Self::Multiplexed { response, .. } => response.take(),
            #[cfg(feature = "http1")]
            Self::Http1(_) => None,
        }
    }
}

impl From<Connection> for Made {
    fn from(connection: Connection) -> Self {
        Self::Multiplexed {
            connection,
            #[cfg(feature = "h2c")]
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

    /// Returns whether the pool is full and no connection is idle.
    fn is_full_and_busy(&self, max: usize) -> bool {
        let mut kept = self.by_origin.values().flat_map(|entry| &entry.connections);
        self.count() >= max && kept.all(|kept| !kept.connection.is_idle())
    }

    /// Removes the least recently used connection, an idle one if possible. Its open requests
    /// finish: a connection closes when its last handle and stream are gone.
    fn evict_oldest(&mut self) -> bool {
        let each = self.by_origin.iter().flat_map(|(origin, entry)| {
            let connections = entry.connections.iter().enumerate();
            connections.map(move |(index, kept)| (kept, origin, index))
        });
        // The latest connection was just made for a request.
        let oldest = each
            .filter(|(kept, _, _)| kept.serial != self.made)
            .min_by_key(|(kept, _, _)| (!kept.connection.is_idle(), kept.last_used, kept.serial));
        let Some((_, origin, index)) = oldest else {
            return false;
        };
        let origin = origin.clone();
        if let Some(entry) = self.by_origin.get_mut(&origin) {
            entry.connections.remove(index);
        }
        self.forget_empty(&origin);
        true
    }

    /// Takes the oldest entry of the origin's queue.
    fn pop(&mut self, origin: &Origin) -> Option<(Age, Waiting)> {
        self.by_origin.get_mut(origin)?.queue.pop()
    }

    fn forget_empty(&mut self, origin: &Origin) {
        if self.by_origin.get(origin).is_some_and(Entry::is_empty) {
            self.by_origin.remove(origin);
        }
    }
}

impl Entry {
    fn is_empty(&self) -> bool {
        self.connections.is_empty() && self.queue.is_empty() && self.dial.is_none()
    }
}

async fn outcome(mut response: ResponseFuture) -> Outcome {
    poll_fn(|cx| response.poll_outcome(cx)).await
}

/// A time after `start`; in a day if the clock does not reach it.
fn later(start: Instant, time: Duration) -> Instant {
    let day = Duration::from_secs(24 * 3600);
    start.checked_add(time).unwrap_or_else(|| start + day)
}

/// Wakes when the oldest connection may have been idle for the timeout. Ends with the pool, or when
/// the pool is empty.
async fn reap(pool: Weak<Pool>, idle_timeout: Duration) {
    let mut next = later(Instant::now(), idle_timeout);
    loop {
        tokio::time::sleep_until(next).await;
        let Some(pool) = pool.upgrade() else { return };
        match pool.evict_idle() {
            // A pause, so that no clock can cause a busy loop.
            Some(at) => next = at.max(Instant::now() + Duration::from_millis(10)),
            None => return,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_timeout_that_no_clock_reaches_is_no_panic() {
        let start = Instant::now();
        assert_eq!(
            later(start, Duration::MAX),
            start + Duration::from_secs(24 * 3600)
        );
        assert_eq!(
            later(start, Duration::from_secs(5)),
            start + Duration::from_secs(5)
        );
    }
}
