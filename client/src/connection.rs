//! One connection: requests over one transport, as many at once as the server
//! allows.

use std::{
    fmt,
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use http::{Request, Response};
use lacewing_conn::{
    Limits, Side, Version,
    driver::{Connection as Driver, Incoming},
    proto::{Config, ConnectionStats, HeaderCompression, WindowPool},
};

use crate::{
    AlternativeService, BoxError, Concurrency, Error, Origin, PushPolicy, Pushes, Security,
    SettingsKey, SettingsStore, Streams, Transport,
    alternative_services::OnAlternative,
    body::{Replay, RequestBody},
    exchange::{self, Age, Command, Exchanges, Failure, Queue, State, Wait},
    pushes,
    spdy_settings::Keeper,
    stats::OnStats,
    telemetry,
};

/// A handle to one connection. Cheap to clone; requests of all clones share
/// the connection, each on a stream of its own.
///
/// The connection itself is a future that has to be polled, usually spawned.
/// It ends when the last handle, response and body are gone, or when the
/// server or the transport ends it.
///
/// ```no_run
/// # async fn run() -> Result<(), Box<dyn std::error::Error>> {
/// use lacewing_client::{Body, Connection, ConnectionConfig, Version};
///
/// let io = tokio::net::TcpStream::connect("127.0.0.1:8080").await?;
/// let config = ConnectionConfig::default();
/// let (connection, task) = Connection::handshake(io, Version::Spdy31, config);
/// tokio::spawn(task);
/// let request = http::Request::get("http://127.0.0.1:8080/").body(Body::empty())?;
/// let response = connection.request(request).await?;
/// println!("{}", response.status());
/// # Ok(())
/// # }
/// ```
pub struct Connection {
    handles: Arc<Handles>,
    /// A place in the queue that `poll_ready` promised to this handle.
    place: Place,
}

/// What a [`Connection`] is told at its start.
///
/// ```
/// use lacewing_client::{ConnectionConfig, Security};
///
/// let config = ConnectionConfig::default().security(Security::Tls).max_queued(100);
/// # let _ = config;
/// ```
#[derive(Clone, Debug)]
#[must_use = "settings are of use in Connection::handshake only"]
pub struct ConnectionConfig {
    limits: Limits,
    security: Security,
    header_compression: HeaderCompression,
    max_queued: usize,
    concurrency: Concurrency,
    continue_timeout: Duration,
    push: Option<PushPolicy>,
    window_pool: WindowPool,
    on_alternative: Option<OnAlternative>,
    on_stats: Option<OnStats>,
    keeper: Option<Keeper>,
    first_stream: u32,
}

/// All handles of a connection together: without them it has no purpose.
struct Handles {
    queue: Arc<Queue>,
    version: Version,
    pushes: Option<Arc<pushes::Waiting>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    None,
    Taken,
}

impl Connection {
    /// Starts a connection on a transport on which both sides are going to
    /// speak `version`. Nothing is awaited: requests may be made at once, and
    /// go out together with the connection's first bytes.
    ///
    /// Gives a handle, and the future that does the work. It resolves to `Ok`
    /// after a graceful end.
    pub fn handshake(
        io: impl Transport,
        version: Version,
        config: ConnectionConfig,
    ) -> (
        Self,
        impl Future<Output = Result<(), lacewing_conn::Error>> + Send + 'static,
    ) {
        let (connection, driver) = Self::make(io, version, config);
        (connection, telemetry::in_span(version, driver))
    }

    /// Goes on in HTTP/2 on a transport that began in HTTP/1.1: `rest` is what
    /// was read from it behind the response that said so, `message` the request
    /// that went out.
    #[cfg(feature = "h2c")]
    pub(crate) fn upgraded<IO: Transport>(
        io: IO,
        rest: bytes::BytesMut,
        message: exchange::Message,
        config: ConnectionConfig,
    ) -> Result<(Self, Driver<IO, Exchanges>, ResponseFuture), Error> {
        let (connection, driver) = Self::make(io, Version::Http2, config);
        let mut driver = driver.with_input(rest);
        let stream = driver.engine().upgrade_client(&message.head);
        let stream = stream.ok_or_else(|| Error::Connection(connection.handles.queue.over()))?;
        let wait = driver.application().adopt(stream, message);
        Ok((connection, driver, ResponseFuture::waiting(wait)))
    }

    fn make<IO: Transport>(
        io: IO,
        version: Version,
        config: ConnectionConfig,
    ) -> (Self, Driver<IO, Exchanges>) {
        let engine = config.engine(version);
        let waiting = config.push.map(pushes::Waiting::new);
        let queue = Queue::new(config.max_queued, config.concurrency);
        let settings = exchange::Settings {
            version,
            security: config.security,
            continue_timeout: config.continue_timeout,
            pushes: waiting.clone(),
            on_alternative: config.on_alternative,
            on_stats: config.on_stats,
            keeper: config.keeper,
        };
        let exchanges = Exchanges::new(Arc::clone(&queue), settings);
        let driver = Driver::new(io, engine, exchanges);
        queue.connect(driver.notifier());
        let handles = Arc::new(Handles {
            queue,
            version,
            pushes: waiting,
        });
        (
            Self {
                handles,
                place: Place::None,
            },
            driver,
        )
    }

    /// Sends a request and gives the response's head; its body streams.
    /// Dropping the future resets the stream with CANCEL, and so does dropping
    /// the response's body before its end.
    ///
    /// While the server allows no further stream, requests wait in their
    /// order, or do as [`Concurrency`] says.
    ///
    /// A URI without scheme and authority gets the connection's own and that
    /// of the `host` field. `content-length` is added where it is known. With a
    /// field `expect: 100-continue` the body waits until the server wants it,
    /// or `continue_timeout` is over; if the response comes before, it is not
    /// sent at all (RFC 9110 §10.1.1; HTTP/2 only, elsewhere it goes at once).
    ///
    /// Extensions of the request that are heeded: a
    /// [`Priority`](lacewing_conn::proto::Priority) or a
    /// [`PriorityHandle`](crate::PriorityHandle) says how urgent it is, to the
    /// server by a `priority` field too (RFC 9218);
    /// [`OnInformational`](crate::OnInformational) is told of 1xx responses.
    ///
    /// # Errors
    ///
    /// [`Error::Request`] if the protocol cannot express the request,
    /// [`Error::QueueFull`] or [`Error::TooManyStreams`], [`Error::Body`],
    /// [`Error::Connection`].
    pub fn request<B>(&self, request: Request<B>) -> ResponseFuture
    where
        B: http_body::Body + Send + 'static,
        B::Error: Into<BoxError>,
    {
        let request = request.map(|body| RequestBody::new(body, Replay::Never));
        self.send(request, Age::next())
    }

    /// The protocol that is spoken.
    pub fn version(&self) -> Version {
        self.handles.version
    }

    /// Whether it takes requests: it is not over, and neither side is about to
    /// end it.
    pub fn is_open(&self) -> bool {
        self.handles.queue.state() == State::Open
    }

    /// Whether no request is under way.
    pub fn is_idle(&self) -> bool {
        self.handles.queue.is_idle()
    }

    /// How many streams are open, how many requests wait for one, and how many
    /// the server allows.
    pub fn streams(&self) -> Streams {
        self.handles.queue.streams()
    }

    /// Asks the server for a sign of life, by a PING: gives the round trip.
    ///
    /// # Errors
    ///
    /// [`Error::PingTimeout`] when no answer came in time, which leaves the
    /// connection as it is; [`Error::Connection`] when it is over.
    pub async fn ping(&self, timeout: Duration) -> Result<Duration, Error> {
        let (answer, answered) = tokio::sync::oneshot::channel();
        self.handles.queue.command(Command::Ping(answer))?;
        match tokio::time::timeout(timeout, answered).await {
            Ok(Ok(round_trip)) => Ok(round_trip),
            Ok(Err(_)) => Err(self.handles.queue.over().into()),
            Err(_) => Err(Error::PingTimeout { after: timeout }),
        }
    }

    /// The round trip to the server and back as it was measured last; `None`
    /// before the first PING of any kind was answered.
    pub fn round_trip(&self) -> Option<Duration> {
        self.handles.queue.round_trip()
    }

    /// How the connection does: windows, stalls, resets, bytes.
    ///
    /// # Errors
    ///
    /// [`Error::Connection`] when it is over.
    pub async fn stats(&self) -> Result<ConnectionStats, Error> {
        let (answer, answered) = tokio::sync::oneshot::channel();
        self.handles.queue.command(Command::Stats(answer))?;
        let over = |_| Error::Connection(self.handles.queue.over());
        answered.await.map_err(over)
    }

    /// What the server pushes, if [`accept_push`](ConnectionConfig::accept_push)
    /// was set. All handles take from the same queue.
    pub fn pushes(&self) -> Pushes {
        Pushes {
            waiting: self.handles.pushes.clone(),
        }
    }

    /// The origins that the server says this connection is good for (RFC 8336).
    /// Empty as long as it said nothing, which means: those of its requests;
    /// and in cleartext, where it could be anybody's word. A client has to check
    /// the server's certificate before it believes them. At most 256.
    pub fn origins(&self) -> Vec<Origin> {
        let queue = &self.handles.queue;
        queue.announced(|announced| announced.origins.clone())
    }

    /// Where else the server says that origins are served (RFC 7838). The last
    /// word about each origin, at most 64 of them.
    pub fn alternative_services(&self) -> Vec<AlternativeService> {
        let queue = &self.handles.queue;
        queue.announced(|announced| announced.services.clone())
    }

    /// Ends the connection gracefully: takes no requests any more, and closes
    /// when those under way are done.
    pub fn shutdown(&self) {
        self.handles.queue.shut_down();
    }

    /// A request whose body's type is erased already.
    pub(crate) fn send(&self, request: Request<RequestBody>, age: Age) -> ResponseFuture {
        match self.handles.queue.take_place() {
            Ok(()) => self.send_in_place(request, age),
            Err(error) => ResponseFuture::failed(Failure::unsent(error, request)),
        }
    }

    fn send_in_place(&self, request: Request<RequestBody>, age: Age) -> ResponseFuture {
        ResponseFuture::waiting(self.handles.queue.submit(request, age))
    }
}

impl Clone for Connection {
    fn clone(&self) -> Self {
        Self {
            handles: Arc::clone(&self.handles),
            place: Place::None,
        }
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        if self.place == Place::Taken {
            self.handles.queue.release_place();
        }
    }
}

impl Drop for Handles {
    fn drop(&mut self) {
        self.queue.shut_down();
    }
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection")
            .field("version", &self.version())
            .field("open", &self.is_open())
            .field("idle", &self.is_idle())
            .finish()
    }
}

impl<B> tower_service::Service<Request<B>> for Connection
where
    B: http_body::Body + Send + 'static,
    B::Error: Into<BoxError>,
{
    type Response = Response<Incoming>;
    type Error = Error;
    type Future = ResponseFuture;

    /// Ready when there is a place for this handle's request, which is then
    /// kept until `call`: in the queue, or with [`Concurrency::Fail`] among the
    /// streams that the server allows. `poll_ready` waits; `call` without it
    /// fails. Ready at once if the connection is over, so that `call` can say
    /// why.
    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        if self.place == Place::None {
            if !self.is_open() {
                return Poll::Ready(Ok(()));
            }
            std::task::ready!(self.handles.queue.poll_place(cx));
            self.place = Place::Taken;
        }
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> ResponseFuture {
        let request = request.map(|body| RequestBody::new(body, Replay::Never));
        match std::mem::replace(&mut self.place, Place::None) {
            Place::Taken => self.send_in_place(request, Age::next()),
            Place::None => self.send(request, Age::next()),
        }
    }
}

/// The response to come; from [`Connection::request`]. Dropping it cancels the
/// request.
///
/// ```
/// fn is_future<F: Future<Output = Result<http::Response<lacewing_client::Incoming>, lacewing_client::Error>>>() {}
/// is_future::<lacewing_client::ResponseFuture>();
/// ```
#[derive(Debug)]
#[must_use = "dropping it cancels the request"]
pub struct ResponseFuture(Progress);

#[derive(Debug)]
enum Progress {
    Waiting(Wait),
    Failed(Option<Box<Failure>>),
}

impl ResponseFuture {
    pub(crate) fn waiting(wait: Wait) -> Self {
        Self(Progress::Waiting(wait))
    }

    fn failed(failure: Box<Failure>) -> Self {
        Self(Progress::Failed(Some(failure)))
    }

    /// As [`Future::poll`], but a request that never went out comes back.
    pub(crate) fn poll_outcome(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Response<Incoming>, Box<Failure>>> {
        match &mut self.0 {
            Progress::Waiting(wait) => Pin::new(wait).poll(cx),
            Progress::Failed(failure) => match failure.take() {
                Some(failure) => Poll::Ready(Err(failure)),
                None => Poll::Pending,
            },
        }
    }
}

impl Future for ResponseFuture {
    type Output = Result<Response<Incoming>, Error>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.poll_outcome(cx).map_err(|failure| failure.error)
    }
}

impl Default for ConnectionConfig {
    fn default() -> Self {
        Self {
            limits: Limits::new(Side::Client),
            security: Security::Cleartext,
            header_compression: HeaderCompression::default(),
            max_queued: 1024,
            concurrency: Concurrency::default(),
            continue_timeout: Duration::from_secs(1),
            push: None,
            window_pool: WindowPool::global(),
            on_alternative: None,
            on_stats: None,
            keeper: None,
            first_stream: 1,
        }
    }
}

impl ConnectionConfig {
    /// The bounds against a server that sends too much. Default:
    /// [`Limits::new`] for a client.
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// Whether the transport is TLS: the scheme of requests that name none.
    /// Default: it is not.
    pub fn security(mut self, security: Security) -> Self {
        self.security = security;
        self
    }

    /// How SPDY's header blocks are compressed. Default: by whole
    /// fields, whose lengths tell no more than those of HPACK do (CRIME).
    pub fn header_compression(mut self, compression: HeaderCompression) -> Self {
        self.header_compression = compression;
        self
    }

    /// Requests that may wait while the server allows no further stream. One
    /// more is [`Error::QueueFull`], unless it was made through
    /// `tower_service::Service`, whose `poll_ready` waits. Default 1,024.
    pub fn max_queued(mut self, requests: usize) -> Self {
        self.max_queued = requests;
        self
    }

    /// What happens to requests when the server allows no further stream.
    /// Default: [`Concurrency::Queue`].
    pub fn concurrency(mut self, concurrency: Concurrency) -> Self {
        self.concurrency = concurrency;
        self
    }

    /// Time that a body with `expect: 100-continue` waits for the server's
    /// word; then it goes without. Default 1 s.
    pub fn continue_timeout(mut self, timeout: Duration) -> Self {
        self.continue_timeout = timeout;
        self
    }

    /// Bounds what the receive windows of all connections that share it may
    /// grow by where the path is long. Default: [`WindowPool::global`], shared
    /// by all connections of the process.
    pub fn window_pool(mut self, pool: WindowPool) -> Self {
        self.window_pool = pool;
        self
    }

    /// Where the settings are kept that a SPDY server asks its client to keep,
    /// and which server this is. Default: they are not kept.
    pub fn settings_store(mut self, store: Arc<dyn SettingsStore>, key: SettingsKey) -> Self {
        self.keeper = Some(Keeper::new(store, key));
        self
    }

    /// The number of the first stream, odd: for tests of what happens when
    /// they run out, at 2³¹. Default 1.
    pub fn first_stream(mut self, id: u32) -> Self {
        self.first_stream = id;
        self
    }

    /// Takes pushes, within the bounds of the policy;
    /// [`Connection::pushes`] gives them. Default: none are taken.
    pub fn accept_push(mut self, policy: PushPolicy) -> Self {
        self.push = Some(policy);
        self
    }

    /// Is called with each alternative service that the server names, on the
    /// connection's task: it must not block.
    pub fn on_alternative_service(
        mut self,
        call: impl Fn(&AlternativeService) + Send + Sync + 'static,
    ) -> Self {
        self.on_alternative = Some(OnAlternative(Arc::new(call)));
        self
    }

    /// Calls `call` with the connection's statistics every `every`, and a final
    /// time when it closes; on the connection's task: it must not block.
    pub fn on_stats(
        mut self,
        every: Duration,
        call: impl Fn(&ConnectionStats) + Send + Sync + 'static,
    ) -> Self {
        let call = Arc::new(call);
        self.on_stats = Some(OnStats { every, call });
        self
    }

    /// What the engine is made from.
    pub(crate) fn engine(&self, version: Version) -> Config {
        let mut engine = Config::new(version, Side::Client);
        engine.limits = self.limits.clone();
        engine.header_compression = self.header_compression;
        engine.window_pool = Some(self.window_pool.clone());
        engine.first_stream = self.first_stream;
        if let Some(keeper) = &self.keeper {
            engine.returned_settings = keeper.load();
        }
        if let Some(policy) = self.push {
            engine.accept_push = true;
            engine.limits.max_pushed_streams = policy.max_streams;
        }
        engine
    }

    pub(crate) fn concurrency_policy(&self) -> Concurrency {
        self.concurrency
    }
}
