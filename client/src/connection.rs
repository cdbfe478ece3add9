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
    Version,
    driver::{Connection as Driver, Incoming},
    proto::ConnectionStats,
};

use crate::{
    AlternativeService, BoxError, ClientError, ClientOptions, Origin, Pushes, Streams, Transport,
    body::{Replay, RequestBody},
    exchange::{self, Age, Command, Exchanges, Failure, Queue, State, Wait},
    pushes, telemetry,
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
/// use lacewing_client::{Body, Connection, ClientOptions, Version};
///
/// let io = tokio::net::TcpStream::connect("127.0.0.1:8080").await?;
/// let options = ClientOptions::default();
/// let (connection, task) = Connection::handshake(io, Version::Spdy31, options);
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
        options: ClientOptions,
    ) -> (
        Self,
        impl Future<Output = Result<(), lacewing_conn::Error>> + Send + 'static,
    ) {
        let (connection, driver) = Self::make(io, version, options);
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
        options: ClientOptions,
    ) -> Result<(Self, Driver<IO, Exchanges>, ResponseFuture), ClientError> {
        let (connection, driver) = Self::make(io, Version::Http2, options);
        let mut driver = driver.with_input(rest);
        let stream = driver.engine().upgrade_client(&message.head);
        let stream =
            stream.ok_or_else(|| ClientError::Connection(connection.handles.queue.over()))?;
        let wait = driver.application().adopt(stream, message);
        Ok((connection, driver, ResponseFuture::waiting(wait)))
    }

    fn make<IO: Transport>(
        io: IO,
        version: Version,
        options: ClientOptions,
    ) -> (Self, Driver<IO, Exchanges>) {
        let engine = options.engine(version);
        let waiting = options.push.map(pushes::Waiting::new);
        let queue = Queue::new(options.max_queued, options.concurrency);
        let settings = exchange::Settings {
            version,
            security: options.security,
            continue_timeout: options.continue_timeout,
            pushes: waiting.clone(),
            on_alternative: options.on_alternative,
            on_stats: options.on_stats,
            keeper: options.keeper,
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
    /// [`ClientError::Request`] if the protocol cannot express the request,
    /// [`ClientError::QueueFull`] or [`ClientError::TooManyStreams`], [`ClientError::Body`],
    /// [`ClientError::Connection`].
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
    /// [`ClientError::PingTimeout`] when no answer came in time, which leaves the
    /// connection as it is; [`ClientError::Connection`] when it is over.
    pub async fn ping(&self, timeout: Duration) -> Result<Duration, ClientError> {
        let (answer, answered) = tokio::sync::oneshot::channel();
        self.handles.queue.command(Command::Ping(answer))?;
        match tokio::time::timeout(timeout, answered).await {
            Ok(Ok(round_trip)) => Ok(round_trip),
            Ok(Err(_)) => Err(self.handles.queue.over().into()),
            Err(_) => Err(ClientError::PingTimeout { after: timeout }),
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
    /// [`ClientError::Connection`] when it is over.
    pub async fn stats(&self) -> Result<ConnectionStats, ClientError> {
        let (answer, answered) = tokio::sync::oneshot::channel();
        self.handles.queue.command(Command::Stats(answer))?;
        let over = |_| ClientError::Connection(self.handles.queue.over());
        answered.await.map_err(over)
    }

    /// What the server pushes, if [`accept_push`](ClientOptions::accept_push)
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
    type Error = ClientError;
    type Future = ResponseFuture;

    /// Ready when there is a place for this handle's request, which is then
    /// kept until `call`: in the queue, or with [`Concurrency::Fail`] among the
    /// streams that the server allows. `poll_ready` waits; `call` without it
    /// fails. Ready at once if the connection is over, so that `call` can say
    /// why.
    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), ClientError>> {
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
    type Output = Result<Response<Incoming>, ClientError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.poll_outcome(cx).map_err(|failure| failure.error)
    }
}
