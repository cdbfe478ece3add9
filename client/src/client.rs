//! The client: requests to any origin, over connections that it keeps.

mod response;
mod transports;

use std::{
    fmt,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use http::{Request, Response};
use lacewing_conn::{Version, driver::ConnectionConfig};

pub use self::response::ClientResponse;
use self::transports::{Http1, Transports};
use crate::{
    BoxError, ClientError, ClientOptions, Connection, Incoming, MemorySettings, Origin,
    RequestError, SettingsStore,
    body::{Replay, RequestBody},
    pool::{Pool, Settings},
};

/// Sends requests to any origin. Cheap to clone; all clones share their connections.
///
/// An `https` origin selects one of the client's protocols by ALPN. One connection to each origin
/// carries all requests, in parallel; [`Concurrency`](crate::Concurrency) decides what happens
/// beyond the server's limit.
///
/// The client sends a request again if the server did not process it. Such a request is above the
/// last stream of a GOAWAY, was refused with REFUSED_STREAM, or was never sent. The client uses a new
/// connection if necessary, and sends the oldest request first. No request is lost when a server
/// shuts down gracefully, or ends connections by age or after some requests. A request is sent
/// again only if its body can be: see [`replay_limit`](ClientBuilder::replay_limit).
///
/// A client needs a tokio runtime: connections run as tasks.
///
/// ```no_run
/// # async fn run() -> Result<(), lacewing_client::ClientError> {
/// use lacewing_client::{Body, Client, Version};
///
/// let client = Client::builder().cleartext_protocol(Version::Spdy31).build();
/// let request = http::Request::get("http://127.0.0.1:8080/").body(Body::empty()).unwrap();
/// let response = client.request(request).await?;
/// println!("{}", response.status());
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Client {
    pool: Arc<Pool>,
}

/// Builds a [`Client`]; from [`Client::builder`].
///
/// ```
/// use std::time::Duration;
/// use lacewing_client::{Client, Version};
///
/// let client = Client::builder()
///     .protocols([Version::Http2, Version::Spdy31])
///     .connect_timeout(Duration::from_secs(3))
///     .max_connections(8)
///     .build();
/// # let _ = client;
/// ```
#[derive(Debug)]
#[must_use = "a builder does nothing until build()"]
pub struct ClientBuilder {
    protocols: Vec<Version>,
    cleartext: Option<Version>,
    http1: Http1,
    transports: Transports,
    settings: Settings,
}

impl Client {
    /// A client with every default: all four protocols offered to `https`
    /// origins, none for `http` origins.
    pub fn new() -> Self {
        Self::builder().build()
    }

    /// Returns a builder with every default.
    pub fn builder() -> ClientBuilder {
        ClientBuilder {
            protocols: Version::ALL.to_vec(),
            cleartext: None,
            http1: Http1::Unknown,
            transports: Transports::default(),
            settings: Settings {
                options: ClientOptions::default(),
                connect_timeout: Duration::from_secs(10),
                idle_timeout: Duration::from_secs(90),
                max_connections: 64,
                max_retries: 5,
                replay_limit: 64 << 10,
                store: Arc::new(MemorySettings::default()),
                #[cfg(feature = "h2c")]
                h2c_upgrade: false,
                #[cfg(feature = "http1")]
                max_http1_connections: 6,
            },
        }
    }

    /// Sends a request to the origin of its URI and returns the response's head; its body streams.
    /// To cancel, drop the future, or the response's body before its end: the stream is reset with
    /// CANCEL.
    ///
    /// # Errors
    ///
    /// Every [`ClientError`]. [`ClientError::is_retryable`] returns whether the server certainly
    /// did not process the request.
    pub fn request<B>(&self, request: Request<B>) -> ClientResponse
    where
        B: http_body::Body + Send + 'static,
        B::Error: Into<BoxError>,
    {
        let origin = Origin::of(request.uri());
        self.respond(origin, request)
    }

    /// Sends a request to this origin, whatever the authority of its URI: as
    /// [`request`](Self::request) does with a `host` field, which costs more. So a gateway keeps the
    /// host that its client asked for.
    ///
    /// ```no_run
    /// # async fn run() -> Result<(), Box<dyn std::error::Error>> {
    /// use lacewing_client::{Body, Client, Origin, Version};
    ///
    /// let client = Client::builder().cleartext_protocol(Version::Http2).build();
    /// let upstream = Origin::of(&"http://127.0.0.1:8080".parse()?)?;
    /// let request = http::Request::get("http://example.org/").body(Body::empty())?;
    /// let response = client.request_to(&upstream, request).await?;
    /// # drop(response);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// As [`request`](Self::request).
    pub fn request_to<B>(&self, origin: &Origin, request: Request<B>) -> ClientResponse
    where
        B: http_body::Body + Send + 'static,
        B::Error: Into<BoxError>,
    {
        self.respond(Ok(origin.clone()), request)
    }

    fn respond<B>(
        &self,
        origin: Result<Origin, RequestError>,
        request: Request<B>,
    ) -> ClientResponse
    where
        B: http_body::Body + Send + 'static,
        B::Error: Into<BoxError>,
    {
        let replay = Replay::UpTo(self.pool.settings().replay_limit);
        let request = request.map(|body| RequestBody::new(body, replay));
        ClientResponse::new(Arc::clone(&self.pool), origin, request)
    }

    /// Returns the origin's connection, or opens one if there is none. Use it for requests that must
    /// share a connection, or to learn its protocol.
    ///
    /// # Errors
    ///
    /// Those for which [`ClientError::is_connect`] is true; among them
    /// [`ClientError::Http1Only`], since HTTP/1.1 has no such connections.
    pub async fn connection(&self, origin: &Origin) -> Result<Connection, ClientError> {
        self.pool.connection(origin).await
    }

    /// Returns the number of connections in the pool. Those in HTTP/1.1 count while they are idle.
    pub fn connections(&self) -> usize {
        self.pool.len()
    }
}

impl Default for Client {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client")
            .field("connections", &self.connections())
            .field("settings", self.pool.settings())
            .finish_non_exhaustive()
    }
}

impl<B> tower_service::Service<Request<B>> for Client
where
    B: http_body::Body + Send + 'static,
    B::Error: Into<BoxError>,
{
    type Response = Response<Incoming>;
    type Error = ClientError;
    type Future = ClientResponse;

    /// Returns ready always: the connection depends on the URI of a request, which is not
    /// known here. The `poll_ready` of a [`Connection`] waits for a slot.
    fn poll_ready(&mut self, _cx: &mut Context<'_>) -> Poll<Result<(), ClientError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> ClientResponse {
        self.request(request)
    }
}

impl ClientBuilder {
    /// Sets the protocols to offer to `https` origins by ALPN, first choice first.
    /// Default: all four, HTTP/2 first.
    pub fn protocols(mut self, protocols: impl IntoIterator<Item = Version>) -> Self {
        self.protocols = protocols.into_iter().collect();
        self
    }

    /// Sets the protocol for `http` origins; the servers must speak it. Default: none; a request to
    /// such an origin is an error.
    pub fn cleartext_protocol(mut self, version: Version) -> Self {
        self.cleartext = Some(version);
        self
    }

    /// Speaks HTTP/1.1 too (RFC 9112), so that a program needs no other HTTP client. It is the last
    /// choice that `https` origins are offered, and the protocol of servers without ALPN. `http`
    /// origins are spoken to in HTTP/1.1, unless [`cleartext_protocol`](Self::cleartext_protocol)
    /// names another. Default: off.
    ///
    /// Each request has a connection to itself while it is under way:
    /// [`max_http1_connections`](Self::max_http1_connections). Over HTTP/1.1 there are no tunnels
    /// ([`RequestError::NotInHttp1`](crate::RequestError::NotInHttp1)), no pushes and no
    /// [`Connection`]. A request that a server of HTTP/2 ends with HTTP_1_1_REQUIRED (RFC 9113 §7) is
    /// repeated in HTTP/1.1, if its body can be. Trailers of a request need its field `trailer`, with their names. Of
    /// [`Limits`](crate::Limits), these apply: `max_header_list_size`, `max_header_fields`,
    /// `headers_timeout`, `stall_timeout`, `write_stall_timeout`.
    ///
    /// ```
    /// use lacewing_client::Client;
    ///
    /// let client = Client::builder().http1().build();
    /// let only_http1 = Client::builder().protocols([]).http1().build();
    /// # let _ = (client, only_http1);
    /// ```
    #[cfg(feature = "http1")]
    pub fn http1(mut self) -> Self {
        self.http1 = Http1::Spoken;
        self
    }

    /// Sets the number of HTTP/1.1 connections to one origin at once, at least 1. Further requests
    /// wait, up to [`max_queued`](ClientOptions::max_queued) of them. Default 6, as in browsers.
    #[cfg(feature = "http1")]
    pub fn max_http1_connections(mut self, connections: usize) -> Self {
        self.settings.max_http1_connections = connections;
        self
    }

    /// Starts connections to `http` origins in HTTP/1.1, and asks the server to switch to HTTP/2
    /// (`Upgrade: h2c`, RFC 7540 §3.2). Use it for servers whose protocol is unknown.
    ///
    /// The first request carries `Upgrade`. If its body is large or not in memory, the client sends
    /// an OPTIONS request with `Upgrade` before it. If the server does not switch, the error is
    /// [`ClientError::NotUpgraded`]. Default: off.
    #[cfg(feature = "h2c")]
    pub fn h2c_upgrade(mut self) -> Self {
        self.cleartext = Some(Version::Http2);
        self.settings.h2c_upgrade = true;
        self
    }

    /// Configures the connections: limits, header compression, window pool.
    pub fn connection(self, config: ConnectionConfig) -> Self {
        self.options(|options| options.connection(config))
    }

    /// Changes what [`ClientOptions`] has: the queue of requests, pushes,
    /// `expect: 100-continue`, and callbacks of each connection.
    pub fn options(mut self, change: impl FnOnce(ClientOptions) -> ClientOptions) -> Self {
        self.settings.options = change(self.settings.options);
        self
    }

    /// Sets the number of times that a request is sent again, if servers do not process it and no
    /// other request makes progress. The client pauses before each try, from 10 ms up to 1 s. A try
    /// is not counted if the connection answered other requests. With 0, no request is sent again
    /// at all. Default: 5; the error after the last try is [`ClientError::NotProcessed`].
    pub fn max_retries(mut self, times: u32) -> Self {
        self.settings.max_retries = times;
        self
    }

    /// Sets the number of bytes of each request's body that are kept until the response begins, so
    /// that the request can be sent again. A [`Body`](crate::Body), a `String`, and a body that is
    /// one piece (such as `Full<Bytes>`) are always kept, without a copy. Default: 64 KiB.
    pub fn replay_limit(mut self, bytes: usize) -> Self {
        self.settings.replay_limit = bytes;
        self
    }

    /// Sets the store of the settings that SPDY servers ask their clients to
    /// keep (§2.6.4 of the drafts). Default: in the memory of this client and its
    /// clones, by [`MemorySettings`].
    pub fn settings_store(mut self, store: impl SettingsStore) -> Self {
        self.settings.store = Arc::new(store);
        self
    }

    /// Sets the time for a transport to be ready: names, TCP, TLS. Default 10 s.
    pub fn connect_timeout(mut self, timeout: Duration) -> Self {
        self.settings.connect_timeout = timeout;
        self
    }

    /// Sets the time after which a connection without requests is closed. Default
    /// 90 s.
    pub fn idle_timeout(mut self, timeout: Duration) -> Self {
        self.settings.idle_timeout = timeout;
        self
    }

    /// Sets the number of connections that the pool keeps, at least 1. Beyond it, the pool releases
    /// the connection that was used least recently. That one closes when its requests are done.
    /// Default 64.
    pub fn max_connections(mut self, connections: usize) -> Self {
        self.settings.max_connections = connections;
        self
    }

    /// Builds the client.
    pub fn build(self) -> Client {
        let transports = self.transports;
        let connector = transports.connector(self.protocols, self.cleartext, self.http1);
        Client {
            pool: Arc::new(Pool::new(connector, self.settings)),
        }
    }
}
