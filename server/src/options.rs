//! The options of a server.

use std::{fmt, ops::Deref, sync::Arc, time::Duration};

use bytes::Bytes;
use lacewing_conn::{
    Side,
    driver::ConnectionConfig,
    proto::{ExtendedConnect, PersistentSettings, VersionSource},
};

use crate::{
    H2cUpgrade, Protocol, ServerEvent, ShutdownSignal,
    connections::{self, Place},
};

/// The options of each connection of a server, with or without a
/// [`Server`](crate::Server).
///
/// ```
/// use lacewing_server::{ConnectionConfig, ServerOptions, Side, Spawn};
///
/// let connection = ConnectionConfig::new(Side::Server)
///     .with(|config| config.limits.max_concurrent_streams = 250);
/// let options = ServerOptions::default().connection(connection).spawn(Spawn::Always);
/// # let _ = options;
/// ```
#[derive(Clone)]
pub struct ServerOptions {
    /// Behind a reference count, so that tasks with options stay small.
    pub(crate) connection: Arc<ConnectionConfig>,
    /// The preferred first.
    pub(crate) protocols: Arc<[Protocol]>,
    pub(crate) spawn: Spawn,
    pub(crate) date: DateHeader,
    pub(crate) connection_info: Extension,
    pub(crate) persistent_settings: PersistentSettings,
    pub(crate) extended_connect: ExtendedConnect,
    pub(crate) informer: Extension,
    pub(crate) pusher: Extension,
    pub(crate) h2c_upgrade: H2cUpgrade,
    pub(crate) advertisements: Arc<Advertisements>,
    pub(crate) stats_every: Option<Duration>,
    pub(crate) max_connections: usize,
    pub(crate) shutdown: Option<ShutdownSignal>,
    pub(crate) observer: Observer,
    #[cfg(feature = "live")]
    pub(crate) board: Option<crate::board::Board>,
}

/// The task on which a request's handler runs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Spawn {
    /// On the connection's task first; a handler that is not ready at its first poll moves to a
    /// task of its own. For handlers that do not compute for long between two awaits.
    #[default]
    WhenPending,
    /// On the connection's task to its end, without a spawn and a change of threads. For handlers
    /// that only wait, such as those of a proxy: one that computes delays all others of its
    /// connection. A request that waits for the service's `poll_ready` has a task of its own.
    Never,
    /// Spawns a task for each handler from the start. The handlers of one
    /// connection run on all cores, and each costs a spawn.
    Always,
}

/// Adds a `date` header field to responses that have none (RFC 9110 §6.6.1),
/// or leaves them as they are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum DateHeader {
    /// Add the field.
    #[default]
    Add,
    /// Leave responses as they are.
    Leave,
}

impl DateHeader {
    pub(crate) fn is_added(self) -> bool {
        self == Self::Add
    }
}

/// Inserts one of the server's extensions into each request, or omits it. Each
/// extension costs allocations for every request.
///
/// ```
/// use lacewing_server::{Extension, ServerOptions};
///
/// let options = ServerOptions::default()
///     .connection_info(Extension::Insert)
///     .informer(Extension::Insert);
/// # let _ = options;
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Extension {
    /// Every request carries it.
    Insert,
    /// No request carries it.
    Omit,
}

impl Extension {
    pub(crate) fn is_inserted(self) -> bool {
        self == Self::Insert
    }
}

impl ServerOptions {
    /// Configures the connections themselves: limits, header compression, window pool.
    ///
    /// HTTP/1.1 obeys these limits: `preface_timeout` (for each request's head),
    /// `max_header_list_size`, `max_header_fields`, `idle_timeout` (between two requests; without it,
    /// `preface_timeout`), `max_connection_age`, `write_stall_timeout` with `min_rate`,
    /// `body_timeout`, `upload_linger` and `drain_timeout`. If less than 64 B of a request's
    /// content arrive in `body_timeout` while its handler waits, the connection ends.
    #[must_use]
    pub fn connection(mut self, config: ConnectionConfig) -> Self {
        self.connection = Arc::new(config);
        self
    }

    /// Sets the protocols to offer, the preferred one first. Repetitions count once.
    /// [`serve_connection`](crate::serve_connection), whose protocol is known, does not use them.
    ///
    /// SPDY/3 and SPDY/3.1 have the same first bytes on a cleartext connection: the server answers
    /// in the one that is first here. They differ in the window of the connection, which SPDY/3
    /// lacks: it applies after the client sends a WINDOW_UPDATE for it.
    ///
    /// Default: `h2`, `spdy/3.1`, `spdy/3`, `spdy/2`, and with the feature `http1` also `http/1.1`.
    #[must_use]
    pub fn protocols(mut self, protocols: impl IntoIterator<Item = Protocol>) -> Self {
        let mut offered = Vec::new();
        for protocol in protocols {
            if !offered.contains(&protocol) {
                offered.push(protocol);
            }
        }
        self.protocols = offered.into();
        self
    }

    /// Sets where handlers run. With HTTP/1.1 they always run on the
    /// connection's task.
    #[must_use]
    pub fn spawn(mut self, spawn: Spawn) -> Self {
        self.spawn = spawn;
        self
    }

    /// Adds a `date` to responses, or leaves them. Default: adds it.
    #[must_use]
    pub fn date(mut self, date: DateHeader) -> Self {
        self.date = date;
        self
    }

    /// Inserts a [`ConnectionInfo`](crate::ConnectionInfo) into the extensions of
    /// requests, for three allocations a request. axum's `Extension<ConnectionInfo>`
    /// needs it. Default: omits it; `axum::serve` of this crate inserts it.
    ///
    /// Every request has the information in its body too, at no cost:
    /// [`RequestBody::connection`](crate::RequestBody::connection).
    #[must_use]
    pub fn connection_info(mut self, extension: Extension) -> Self {
        self.connection_info = extension;
        self
    }

    /// Asks clients to keep these settings and to return them on their next
    /// connection, where the protocol has that (SPDY). The observer receives
    /// the settings that clients return. Default: none.
    #[must_use]
    pub fn persistent_settings(mut self, settings: PersistentSettings) -> Self {
        self.persistent_settings = settings;
        self
    }

    /// Permits clients to open WebSockets and the like by extended CONNECT (RFC
    /// 8441). Default: off. Plain CONNECT needs no permission: every CONNECT
    /// request reaches the service, with a
    /// [`ConnectRequest`](crate::ConnectRequest).
    #[must_use]
    pub fn extended_connect(mut self, connect: ExtendedConnect) -> Self {
        self.extended_connect = connect;
        self
    }

    /// Inserts an [`Informer`](crate::Informer) into requests, for informational
    /// responses such as `103 Early Hints`. Default: omits it.
    #[must_use]
    pub fn informer(mut self, informer: Extension) -> Self {
        self.informer = informer;
        self
    }

    /// Inserts a [`Pusher`](crate::Pusher) into requests, if the client accepts
    /// pushes. Default: omits it.
    #[must_use]
    pub fn pusher(mut self, pusher: Extension) -> Self {
        self.pusher = pusher;
        self
    }

    /// Permits a cleartext HTTP/1.1 request to turn its connection into an
    /// HTTP/2 one (`Upgrade: h2c`, RFC 7540 §3.2). Default: off. Needs the
    /// feature `http1`.
    #[must_use]
    pub fn h2c_upgrade(mut self, upgrade: H2cUpgrade) -> Self {
        self.h2c_upgrade = upgrade;
        self
    }

    /// Sets the origins for which this server has authority, as
    /// `https://example.org`. They are sent at the start of each HTTP/2 connection behind TLS (ORIGIN,
    /// RFC 8336). The certificate must be valid for them.
    #[must_use]
    pub fn origins(mut self, origins: impl IntoIterator<Item = impl Into<String>>) -> Self {
        let origins = origins.into_iter().map(|origin| Bytes::from(origin.into()));
        Arc::make_mut(&mut self.advertisements).origins = origins.collect();
        self
    }

    /// Adds an alternative service of an origin: a value as in the `Alt-Svc`
    /// header field. It is sent at the start of each HTTP/2 connection (ALTSVC,
    /// RFC 7838). For several origins, call it several times.
    #[must_use]
    pub fn alternative_services(
        mut self,
        origin: impl Into<String>,
        value: impl Into<String>,
    ) -> Self {
        let alternative = (Bytes::from(origin.into()), Bytes::from(value.into()));
        let advertisements = Arc::make_mut(&mut self.advertisements);
        advertisements.alternatives.push(alternative);
        self
    }

    /// Reports each connection's [`ConnectionStats`] to the observer in this
    /// interval, and at its end ([`ServerEvent::Stats`]), and counts bytes and stalls (feature
    /// `metrics`). Default: never.
    ///
    /// [`ConnectionStats`]: crate::ConnectionStats
    #[must_use]
    pub fn stats_every(mut self, interval: Duration) -> Self {
        self.stats_every = Some(interval.max(Duration::from_millis(1)));
        self
    }

    /// Sets the most connections that all listeners of a [`Server`](crate::Server) have open
    /// together; at least 1.
    ///
    /// Over it, connections without a request are shut down gracefully, the longest idle first
    /// ([`ServeError::MadeRoom`](crate::ServeError::MadeRoom)). If all have requests, accepting
    /// pauses until one ends ([`ServerEvent::AcceptPaused`]). An [`Acceptor`](crate::Acceptor) does
    /// not use it, since it accepts no connections.
    ///
    /// Default: five eighths of the descriptors that the system grants at the start (`ulimit -n`);
    /// 10,000 if there is no limit.
    #[must_use]
    pub fn max_connections(mut self, max: usize) -> Self {
        self.max_connections = max.max(1);
        self
    }

    /// Shuts connections down gracefully when this signal starts: clients
    /// receive GOAWAY, requests that arrived are answered, and then the
    /// connection closes.
    #[must_use]
    pub fn shutdown(mut self, signal: ShutdownSignal) -> Self {
        self.shutdown = Some(signal);
        self
    }

    /// Shows the connections and their requests on this board, for a
    /// [`live::Page`](crate::live::Page). While nobody looks at the page, a request costs one look
    /// at a flag. Default: none.
    #[cfg(feature = "live")]
    #[must_use]
    pub fn board(mut self, board: crate::live::Board) -> Self {
        self.board = Some(board);
        self
    }

    /// Calls `observer` with everything that is worth a line in a log. It must
    /// not block.
    #[must_use]
    pub fn observer(mut self, observer: impl Fn(&ServerEvent<'_>) + Send + Sync + 'static) -> Self {
        self.observer = Observer(Some(Arc::new(observer)));
        self
    }
}

/// The options of one connection: those of its server, which all share, and its own.
#[derive(Clone)]
pub(crate) struct ConnectionOptions {
    shared: Arc<ServerOptions>,
    pub(crate) version_source: VersionSource,
    pub(crate) place: Option<Place>,
}

impl ConnectionOptions {
    pub(crate) fn new(shared: Arc<ServerOptions>) -> Self {
        Self {
            shared,
            version_source: VersionSource::default(),
            place: None,
        }
    }

    pub(crate) fn place(mut self, place: Option<Place>) -> Self {
        self.place = place;
        self
    }

    /// Returns the options that all connections of the server share.
    pub(crate) fn shared(&self) -> Arc<ServerOptions> {
        Arc::clone(&self.shared)
    }

    /// Sets the source of the version: a connection that was detected as SPDY/3.1 by its first
    /// bytes may be SPDY/3.
    pub(crate) fn version_source(mut self, source: VersionSource) -> Self {
        self.version_source = source;
        self
    }
}

impl Deref for ConnectionOptions {
    type Target = ServerOptions;

    fn deref(&self) -> &ServerOptions {
        &self.shared
    }
}

impl Default for ServerOptions {
    fn default() -> Self {
        Self {
            connection: Arc::new(ConnectionConfig::new(Side::Server)),
            protocols: Protocol::default_offer().into(),
            spawn: Spawn::default(),
            date: DateHeader::default(),
            connection_info: Extension::Omit,
            persistent_settings: PersistentSettings::default(),
            extended_connect: ExtendedConnect::default(),
            informer: Extension::Omit,
            pusher: Extension::Omit,
            h2c_upgrade: H2cUpgrade::default(),
            advertisements: Arc::default(),
            stats_every: None,
            max_connections: connections::default_max(),
            shutdown: None,
            observer: Observer(None),
            #[cfg(feature = "live")]
            board: None,
        }
    }
}

impl fmt::Debug for ServerOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServerOptions")
            .field("connection", &self.connection)
            .field("spawn", &self.spawn)
            .field("date", &self.date)
            .finish_non_exhaustive()
    }
}

/// The advertisements at the start of a connection.
#[derive(Clone, Debug, Default)]
pub(crate) struct Advertisements {
    pub(crate) origins: Vec<Bytes>,
    /// Origins, and where else they are served.
    pub(crate) alternatives: Vec<(Bytes, Bytes)>,
}

#[derive(Clone)]
pub(crate) struct Observer(Option<Arc<Tell>>);

type Tell = dyn Fn(&ServerEvent<'_>) + Send + Sync;

impl Observer {
    pub(crate) fn tell(&self, event: &ServerEvent<'_>) {
        if let Some(observer) = &self.0 {
            observer(event);
        }
    }
}
