//! One connection: parallel requests over one transport.

use std::{
    fmt,
    future::Future,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use http::{Request, Response};
use lacewing_conn::{
    Version,
    driver::{Incoming, facade::Driver},
    proto::ConnectionStats,
};

use crate::{
    AlternativeService, BoxError, ClientError, ClientOptions, Origin, Pushes, ResponseFuture,
    Streams, Transport,
    age::Age,
    body::{Replay, RequestBody},
    exchange::{self, Exchanges},
    link::{Link, Message, Progress, State, Submission},
    pushes,
    spare::Again,
    telemetry,
};

/// A handle to one connection. Cheap to clone; the clones share the connection, and each request
/// has its own stream.
///
/// Poll the connection's future, usually by spawning it. It ends after the last handle, response
/// and body are dropped, or when the server or the transport ends it.
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
    /// The slot that `poll_ready` reserved for this handle.
    slot: Slot,
}

/// All handles of a connection together: without them it has no purpose.
struct Handles {
    link: Arc<Link>,
    version: Version,
    pushes: Option<Arc<pushes::Waiting>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Slot {
    None,
    Taken,
}

impl Connection {
    /// Starts a connection on a transport on which both sides speak `version`. It waits for
    /// nothing: requests may be sent at once, together with the connection's first bytes.
    ///
    /// Returns a handle, and the future that does the work. The future resolves to `Ok` after a
    /// graceful end.
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

    /// Continues in HTTP/2 on a transport that began in HTTP/1.1. `rest` has the bytes that
    /// followed the response with 101; `request` is the request of the upgrade.
    #[cfg(feature = "h2c")]
    pub(crate) fn upgraded<IO: Transport>(
        io: IO,
        rest: bytes::BytesMut,
        request: exchange::PreparedRequest,
        options: ClientOptions,
    ) -> Result<(Self, Driver<IO, Exchanges>, ResponseFuture), ClientError> {
        let (connection, driver) = Self::make(io, Version::Http2, options);
        let mut driver = driver.with_input(rest);
        let stream = driver.upgrade_client(&request.head);
        let stream = stream
            .ok_or_else(|| ClientError::Connection(connection.handles.link.lifecycle.error()))?;
        let response = driver.application().adopt(stream, request);
        Ok((connection, driver, response))
    }

    fn make<IO: Transport>(
        io: IO,
        version: Version,
        options: ClientOptions,
    ) -> (Self, Driver<IO, Exchanges>) {
        let engine = options.engine(version);
        let budget = options.connection.memory_budget.clone();
        let waiting = options.push.map(pushes::Waiting::new);
        let link = Link::new(options.max_queued, options.concurrency);
        let settings = exchange::Settings {
            version,
            security: options.security,
            continue_timeout: options.continue_timeout,
            pushes: waiting.clone(),
            on_alternative: options.on_alternative,
            on_stats: options.on_stats,
            keeper: options.keeper,
        };
        let exchanges = Exchanges::new(Arc::clone(&link), settings);
        let mut driver = Driver::in_budget(io, engine, exchanges, &budget);
        link.connect(driver.notifier());
        let handles = Arc::new(Handles {
            link,
            version,
            pushes: waiting,
        });
        (
            Self {
                handles,
                slot: Slot::None,
            },
            driver,
        )
    }

    /// Sends a request and returns the response's head; its body streams. To cancel, drop the
    /// future, or the response's body before its end: the stream is reset with CANCEL.
    ///
    /// At the server's limit of streams, requests wait in their order, or follow another policy of
    /// [`Concurrency`](crate::Concurrency).
    ///
    /// A URI without scheme and authority gets the connection's scheme, and the authority of the
    /// `host` field. `content-length` is added if it is known.
    ///
    /// With a field `expect: 100-continue`, the body waits for 100 (Continue) or for the end of
    /// `continue_timeout`. If a response other than 2xx arrives first, the body is not sent at all
    /// (RFC 9110 §10.1.1). This applies to HTTP/2; over SPDY the body is sent at once.
    ///
    /// These extensions of a request have an effect: [`Priority`](lacewing_conn::proto::Priority)
    /// or [`PriorityHandle`](crate::PriorityHandle) sets its urgency, which a `priority` field also
    /// sends to the server (RFC 9218). [`OnInformational`](crate::OnInformational) receives 1xx
    /// responses.
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
        self.send(Submission::new(request, Age::next(), Again::Never))
    }

    /// Returns the protocol of the connection.
    pub fn version(&self) -> Version {
        self.handles.version
    }

    /// Returns whether the connection accepts requests: it is not over, and
    /// neither side is about to end it.
    pub fn is_open(&self) -> bool {
        self.handles.link.lifecycle.state() == State::Open
    }

    /// Returns whether no request is under way.
    pub fn is_idle(&self) -> bool {
        self.handles.link.is_idle()
    }

    /// Returns how many streams are open, how many requests wait for one, and
    /// how many streams the server allows.
    pub fn streams(&self) -> Streams {
        self.handles.link.admission.streams()
    }

    /// Sends a PING and returns the round-trip time.
    ///
    /// # Errors
    ///
    /// [`ClientError::PingTimeout`] when no answer arrived in time, which leaves the
    /// connection as it is; [`ClientError::Connection`] when it is over.
    pub async fn ping(&self, timeout: Duration) -> Result<Duration, ClientError> {
        let (answer, answered) = tokio::sync::oneshot::channel();
        self.handles.link.send(Message::Ping(answer))?;
        match tokio::time::timeout(timeout, answered).await {
            Ok(Ok(round_trip)) => Ok(round_trip),
            Ok(Err(_)) => Err(self.handles.link.lifecycle.error().into()),
            Err(_) => Err(ClientError::PingTimeout { after: timeout }),
        }
    }

    /// The round trip to the server and back as it was measured last; `None`
    /// before the first PING of any kind was answered.
    pub fn round_trip(&self) -> Option<Duration> {
        self.handles.link.figures.round_trip()
    }

    /// Returns the connection's statistics: windows, stalls, resets, bytes.
    ///
    /// # Errors
    ///
    /// [`ClientError::Connection`] when it is over.
    pub async fn stats(&self) -> Result<ConnectionStats, ClientError> {
        let (answer, answered) = tokio::sync::oneshot::channel();
        self.handles.link.send(Message::Stats(answer))?;
        let over = |_| ClientError::Connection(self.handles.link.lifecycle.error());
        answered.await.map_err(over)
    }

    /// Returns the pushes of the server, if [`accept_push`](ClientOptions::accept_push)
    /// was set. All handles take from the same queue.
    pub fn pushes(&self) -> Pushes {
        Pushes {
            waiting: self.handles.pushes.clone(),
        }
    }

    /// Returns the origins for which the server claims authority (RFC 8336), at most 256. It is
    /// empty until the server sends ORIGIN: then the connection serves the origin of its requests.
    /// It is always empty in cleartext, where anyone on the path could send the frame. Check the
    /// server's certificate before you rely on the origins.
    pub fn origins(&self) -> Vec<Origin> {
        let figures = &self.handles.link.figures;
        figures.advertised(|advertised| advertised.origins.clone())
    }

    /// Returns the alternative services that the server advertised (RFC 7838):
    /// the latest of each origin, at most 64.
    pub fn alternative_services(&self) -> Vec<AlternativeService> {
        let figures = &self.handles.link.figures;
        figures.advertised(|advertised| advertised.services.clone())
    }

    /// Ends the connection gracefully: accepts no more requests, and closes when
    /// those under way are done.
    pub fn shutdown(&self) {
        self.handles.link.shut_down();
    }

    /// Sends a request whose body's type is erased already.
    pub(crate) fn send(&self, submission: Submission) -> ResponseFuture {
        let link = &self.handles.link;
        match link.admission.take_slot() {
            Ok(()) => self.send_in_slot(submission),
            Err(error) => {
                let reply = Arc::clone(&submission.reply);
                submission.fail(error, Progress::None);
                ResponseFuture::new(reply, Arc::clone(link))
            }
        }
    }

    fn send_in_slot(&self, submission: Submission) -> ResponseFuture {
        let link = &self.handles.link;
        ResponseFuture::new(link.submit(submission), Arc::clone(link))
    }
}

impl Clone for Connection {
    fn clone(&self) -> Self {
        Self {
            handles: Arc::clone(&self.handles),
            slot: Slot::None,
        }
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        if self.slot == Slot::Taken {
            self.handles.link.admission.release_slots(1);
        }
    }
}

impl Drop for Handles {
    fn drop(&mut self) {
        self.link.shut_down();
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

    /// Waits for a slot, and reserves it until `call`. A slot is a place in the queue or, with
    /// [`Concurrency::Fail`](crate::Concurrency::Fail), one of the streams that the server permits.
    /// Without `poll_ready`, `call` fails if there is no slot. On a closed connection `poll_ready`
    /// is ready at once, and `call` returns the error.
    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), ClientError>> {
        if self.slot == Slot::None {
            if !self.is_open() {
                return Poll::Ready(Ok(()));
            }
            std::task::ready!(self.handles.link.admission.poll_slot(cx));
            self.slot = Slot::Taken;
        }
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> ResponseFuture {
        let request = request.map(|body| RequestBody::new(body, Replay::Never));
        let submission = Submission::new(request, Age::next(), Again::Never);
        match std::mem::replace(&mut self.slot, Slot::None) {
            Slot::Taken => self.send_in_slot(submission),
            Slot::None => self.send(submission),
        }
    }
}
