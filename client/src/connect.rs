//! Transports: from an origin to bytes and the protocol spoken on them.

mod dial;
mod race;
mod resolve;
mod tcp;
#[cfg(unix)]
mod unix;

use std::{any::Any, fmt, future::Future, io, pin::Pin, sync::Arc};

use lacewing_conn::Version;

#[cfg(unix)]
pub use self::unix::Unix;
pub use self::{
    dial::{Dial, DialFn, Dialed, Dialing, dial_fn},
    race::AddressErrors,
    resolve::{Resolve, ResolveError, ResolveFn, Resolving, resolve_fn},
    tcp::Tcp,
};
use crate::{BoxError, ClientError, Connected, Origin, RequestError, Security, Transport};

/// The future of a transport; from [`Connect::connect`].
pub type Connecting<'a> = Pin<Box<dyn Future<Output = Result<Connected, ClientError>> + Send + 'a>>;

/// A way to make transports, TLS and the choice of a protocol included.
/// [`Connector`] is the usual one. To reach the server in another way than by
/// TCP, a [`Dial`] is enough, and leaves TLS to the connector.
///
/// ```
/// use lacewing_client::{Connect, Connected, Connecting, Origin, Version};
///
/// struct InMemory;
///
/// impl Connect for InMemory {
///     fn connect<'a>(&'a self, _origin: &'a Origin) -> Connecting<'a> {
///         Box::pin(async { Ok(Connected::new(tokio::io::duplex(64).0, Version::Http2)) })
///     }
/// }
/// ```
pub trait Connect: Send + Sync + 'static {
    /// Makes a transport to an origin, TLS and negotiation included.
    fn connect<'a>(&'a self, origin: &'a Origin) -> Connecting<'a>;

    /// Makes a transport for HTTP/1.1, to an origin whose server ended a request or a connection of
    /// HTTP/2 with HTTP_1_1_REQUIRED (RFC 9113 §7). Default: `None`, and the request fails.
    #[cfg(feature = "http1")]
    fn connect_http1<'a>(&'a self, origin: &'a Origin) -> Option<Connecting<'a>> {
        let _ = origin;
        None
    }
}

/// Connects by TCP, or by the [`dial`](Self::dial) that you set, with TLS for `https` origins.
///
/// For `https` the client offers protocols by ALPN (RFC 7301), and the server selects one. For
/// `http` both sides must know the protocol before they connect ("prior knowledge", RFC 9113 §3.3).
///
/// ```
/// use lacewing_client::{Connector, Version};
///
/// let connector = Connector::cleartext(Version::Spdy31);
/// # let _ = connector;
/// ```
#[derive(Clone, Debug)]
pub struct Connector {
    cleartext: Option<Version>,
    /// `http` origins speak HTTP/1.1, where `cleartext` names no protocol.
    #[cfg(feature = "http1")]
    http1: bool,
    dialler: Dialler,
    #[cfg(feature = "tls")]
    tls: Option<crate::tls::Tls>,
    /// Has priority over `tls`.
    #[cfg(feature = "npn")]
    npn: Option<crate::npn::Npn>,
}

/// The way to the server.
#[derive(Clone)]
enum Dialler {
    /// Its streams need no box.
    Tcp(Tcp),
    Other(Arc<dyn Dial>),
}

impl Connector {
    /// Connects to `http` origins only, with the protocol `version`.
    pub fn cleartext(version: Version) -> Self {
        Self::plain(Some(version))
    }

    /// Connects to `https` origins by these settings, and to `http` origins if
    /// a protocol is given for them.
    #[cfg(feature = "tls")]
    pub fn tls(tls: crate::tls::Tls, cleartext: Option<Version>) -> Self {
        Self {
            tls: Some(tls),
            ..Self::plain(cleartext)
        }
    }

    /// Connects to `https` origins by OpenSSL with ALPN and NPN, for legacy servers
    /// (NPN era). Connects to `http` origins if a protocol is given for them.
    #[cfg(feature = "npn")]
    pub fn npn(npn: crate::npn::Npn, cleartext: Option<Version>) -> Self {
        Self {
            npn: Some(npn),
            ..Self::plain(cleartext)
        }
    }

    /// Reaches servers in this way; TLS and the choice of a protocol stay as
    /// they are. Default: [`Tcp::new`].
    ///
    /// ```
    /// use lacewing_client::{Connector, Tcp, Version};
    ///
    /// let tcp = Tcp::new().local_address([127, 0, 0, 1].into());
    /// let connector = Connector::cleartext(Version::Http2).dial(tcp);
    /// # let _ = connector;
    /// ```
    #[must_use]
    pub fn dial(mut self, dial: impl Dial) -> Self {
        self.dialler = Dialler::new(dial);
        self
    }

    /// Speaks HTTP/1.1 too. With TLS it is offered by ALPN, as the last choice, and a server without
    /// ALPN is spoken to in HTTP/1.1. So are `http` origins, unless a protocol is given for them. OpenSSL (feature `npn`) does not
    /// offer it.
    ///
    /// ```
    /// # #[cfg(feature = "tls")] {
    /// use lacewing_client::{Connector, Version, tls::Tls};
    ///
    /// let connector = Connector::tls(Tls::new(vec![Version::Http2]), None).http1();
    /// # let _ = connector;
    /// # }
    /// ```
    #[cfg(feature = "http1")]
    #[must_use]
    pub fn http1(mut self) -> Self {
        self.http1 = true;
        #[cfg(feature = "tls")]
        {
            self.tls = self.tls.map(crate::tls::Tls::http1);
        }
        self
    }

    /// The same way to the servers, with HTTP/1.1 as the only protocol. `None` if it is not spoken.
    #[cfg(feature = "http1")]
    fn only_http1(&self) -> Option<Self> {
        // OpenSSL does not offer it.
        #[cfg(feature = "npn")]
        if self.npn.is_some() {
            return None;
        }
        self.http1.then(|| Self {
            cleartext: None,
            #[cfg(feature = "tls")]
            tls: self.tls.as_ref().map(crate::tls::Tls::only_http1),
            ..self.clone()
        })
    }

    /// Without TLS.
    pub(crate) fn plain(cleartext: Option<Version>) -> Self {
        Self {
            cleartext,
            #[cfg(feature = "http1")]
            http1: false,
            dialler: Dialler::Tcp(Tcp::new()),
            #[cfg(feature = "tls")]
            tls: None,
            #[cfg(feature = "npn")]
            npn: None,
        }
    }

    async fn make(&self, origin: &Origin) -> Result<Connected, ClientError> {
        // Before anything is dialled.
        match origin.security() {
            Security::Cleartext if !self.has_cleartext() => {
                return Err(RequestError::NoCleartextProtocol.into());
            }
            Security::Tls if !self.has_tls() => return Err(RequestError::NoTls.into()),
            Security::Cleartext | Security::Tls => {}
        }
        let failed = |error| ClientError::Connect {
            origin: origin.to_string(),
            source: Arc::new(error),
        };
        match &self.dialler {
            Dialler::Tcp(tcp) => {
                let io = tcp.connect(origin).await.map_err(failed)?;
                let address = io.peer_addr().ok();
                Ok(self.negotiate(origin, io).await?.at(address))
            }
            Dialler::Other(dial) => {
                let Dialed { io, address } = dial.dial(origin).await.map_err(failed)?;
                Ok(self.negotiate(origin, io).await?.at(address))
            }
        }
    }

    fn has_cleartext(&self) -> bool {
        #[cfg(feature = "http1")]
        if self.http1 {
            return true;
        }
        self.cleartext.is_some()
    }

    fn has_tls(&self) -> bool {
        #[cfg(feature = "npn")]
        if self.npn.is_some() {
            return true;
        }
        #[cfg(feature = "tls")]
        if self.tls.is_some() {
            return true;
        }
        false
    }

    /// Adds TLS if the origin needs it, and negotiates the protocol.
    #[cfg_attr(
        not(any(feature = "tls", feature = "npn")),
        expect(clippy::unused_async, reason = "no TLS is built in")
    )]
    async fn negotiate(
        &self,
        origin: &Origin,
        io: impl Transport,
    ) -> Result<Connected, ClientError> {
        if origin.security() == Security::Cleartext {
            #[cfg(feature = "http1")]
            if self.http1 && self.cleartext.is_none() {
                return Ok(Connected::http1(io));
            }
            let version = self.cleartext.ok_or(RequestError::NoCleartextProtocol)?;
            return Ok(Connected::new(io, version));
        }
        #[cfg(feature = "npn")]
        if let Some(npn) = &self.npn {
            return npn.handshake(origin, io).await;
        }
        #[cfg(feature = "tls")]
        if let Some(tls) = &self.tls {
            return tls.handshake(origin, io).await;
        }
        Err(RequestError::NoTls.into())
    }
}

impl Connect for Connector {
    fn connect<'a>(&'a self, origin: &'a Origin) -> Connecting<'a> {
        Box::pin(self.make(origin))
    }

    #[cfg(feature = "http1")]
    fn connect_http1<'a>(&'a self, origin: &'a Origin) -> Option<Connecting<'a>> {
        let only_http1 = self.only_http1()?;
        Some(Box::pin(async move { only_http1.make(origin).await }))
    }
}

impl Dialler {
    fn new(dial: impl Dial) -> Self {
        let mut dial = Some(dial);
        let known: &mut dyn Any = &mut dial;
        if let Some(tcp) = known.downcast_mut().and_then(Option::<Tcp>::take) {
            return Self::Tcp(tcp);
        }
        match dial {
            Some(dial) => Self::Other(Arc::new(dial)),
            None => Self::Tcp(Tcp::new()),
        }
    }
}

impl fmt::Debug for Dialler {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(tcp) => tcp.fmt(f),
            Self::Other(_) => f.write_str("Other"),
        }
    }
}

/// Converts an error, and keeps an [`io::Error`] as it is.
fn io_error(error: BoxError) -> io::Error {
    match error.downcast::<io::Error>() {
        Ok(error) => *error,
        Err(error) => io::Error::other(error),
    }
}
