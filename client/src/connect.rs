//! Transports: from an origin to bytes and the protocol spoken on them.

use std::{fmt, future::Future, io, net::SocketAddr, pin::Pin, sync::Arc};

use lacewing_conn::Version;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
};

use crate::{Error, Origin, RequestError, Security};

/// A transport: any bidirectional byte stream.
///
/// ```
/// fn transport() -> impl lacewing_client::Transport {
///     tokio::io::duplex(64).0
/// }
/// # let _ = transport;
/// ```
pub trait Transport: AsyncRead + AsyncWrite + Send + Unpin + 'static {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin + 'static> Transport for T {}

/// A transport that is ready, and what is spoken on it.
///
/// ```
/// use lacewing_client::{Connected, Version};
///
/// let connected = Connected::new(tokio::io::duplex(64).0, Version::Spdy3);
/// assert_eq!(connected.version, Version::Spdy3);
/// ```
pub struct Connected {
    /// The transport.
    pub io: Box<dyn Transport>,
    /// The protocol that both sides agreed on.
    pub version: Version,
    /// The address that answered, if there is one: settings of SPDY servers
    /// are kept by it.
    pub address: Option<SocketAddr>,
}

/// What [`Connect::connect`] gives: a transport in the making.
pub type Connecting<'a> = Pin<Box<dyn Future<Output = Result<Connected, Error>> + Send + 'a>>;

/// A way to make transports. [`Connector`] is the usual one; others go through
/// proxies, Unix sockets or memory, or wrap one to look at its bytes.
///
/// ```
/// use lacewing_client::{Connect, Connected, Connecting, Origin, Version};
///
/// struct ToNobody;
///
/// impl Connect for ToNobody {
///     fn connect<'a>(&'a self, _origin: &'a Origin) -> Connecting<'a> {
///         Box::pin(async { Ok(Connected::new(tokio::io::duplex(64).0, Version::Http2)) })
///     }
/// }
/// ```
pub trait Connect: Send + Sync + 'static {
    /// Makes a transport to an origin, TLS and negotiation included.
    fn connect<'a>(&'a self, origin: &'a Origin) -> Connecting<'a>;
}

/// TCP, with TLS where the origin is `https`.
///
/// For `https` the protocols are offered by ALPN (RFC 7301) and the server
/// chooses; for `http` both sides know beforehand ("prior knowledge", RFC 9113
/// §3.3).
///
/// ```
/// use lacewing_client::{Connector, Version};
///
/// let connector = Connector::cleartext(Version::Spdy31);
/// # let _ = connector;
/// ```
#[derive(Clone, Debug)]
pub struct Connector {
    pub(crate) cleartext: Option<Version>,
    #[cfg(feature = "tls")]
    pub(crate) tls: Option<crate::tls::Tls>,
    /// Before `tls`, if both are there.
    #[cfg(feature = "npn")]
    pub(crate) npn: Option<crate::npn::Npn>,
}

impl Connected {
    /// A transport and the protocol to speak on it.
    pub fn new(io: impl Transport, version: Version) -> Self {
        Self {
            io: Box::new(io),
            version,
            address: None,
        }
    }

    /// The same with the address that answered.
    #[must_use]
    pub fn at(mut self, address: Option<SocketAddr>) -> Self {
        self.address = address;
        self
    }
}

impl fmt::Debug for Connected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connected")
            .field("version", &self.version)
            .finish_non_exhaustive()
    }
}

impl Connector {
    /// Connects to `http` origins only, and speaks `version` there.
    pub fn cleartext(version: Version) -> Self {
        Self {
            cleartext: Some(version),
            #[cfg(feature = "tls")]
            tls: None,
            #[cfg(feature = "npn")]
            npn: None,
        }
    }

    /// Connects to `https` origins by these settings, and to `http` origins if
    /// a protocol is given for them.
    #[cfg(feature = "tls")]
    pub fn tls(tls: crate::tls::Tls, cleartext: Option<Version>) -> Self {
        Self {
            tls: Some(tls),
            ..Self::secured(cleartext)
        }
    }

    /// Connects to `https` origins by OpenSSL with ALPN and NPN, for servers of
    /// the time before ALPN, and to `http` origins if a protocol is given for
    /// them.
    #[cfg(feature = "npn")]
    pub fn npn(npn: crate::npn::Npn, cleartext: Option<Version>) -> Self {
        Self {
            npn: Some(npn),
            ..Self::secured(cleartext)
        }
    }

    /// What is there beside TLS.
    #[cfg(any(feature = "tls", feature = "npn"))]
    fn secured(cleartext: Option<Version>) -> Self {
        Self {
            cleartext,
            #[cfg(feature = "tls")]
            tls: None,
            #[cfg(feature = "npn")]
            npn: None,
        }
    }

    async fn make(&self, origin: &Origin) -> Result<Connected, Error> {
        match origin.security() {
            Security::Cleartext => {
                let version = self.cleartext.ok_or(RequestError::NoCleartextProtocol)?;
                let stream = tcp(origin).await?;
                let address = stream.peer_addr().ok();
                Ok(Connected::new(stream, version).at(address))
            }
            Security::Tls => self.make_secure(origin).await,
        }
    }

    #[cfg_attr(
        not(any(feature = "tls", feature = "npn")),
        expect(unused_variables, clippy::unused_async, reason = "no TLS is built in")
    )]
    async fn make_secure(&self, origin: &Origin) -> Result<Connected, Error> {
        #[cfg(feature = "npn")]
        if let Some(npn) = &self.npn {
            return npn.handshake(origin, tcp(origin).await?).await;
        }
        #[cfg(feature = "tls")]
        if let Some(tls) = &self.tls {
            return tls.handshake(origin, tcp(origin).await?).await;
        }
        Err(RequestError::NoTls.into())
    }
}

impl Connect for Connector {
    fn connect<'a>(&'a self, origin: &'a Origin) -> Connecting<'a> {
        Box::pin(self.make(origin))
    }
}

/// The first address of the origin that answers.
async fn tcp(origin: &Origin) -> Result<TcpStream, Error> {
    let failed = |error| Error::Connect {
        origin: origin.to_string(),
        source: Arc::new(error),
    };
    let addresses = tokio::net::lookup_host((origin.host(), origin.port()))
        .await
        .map_err(failed)?;
    let mut last = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
    for address in addresses {
        match TcpStream::connect(address).await {
            Ok(stream) => {
                // Nagle's algorithm would hold a small request back until the
                // peer acknowledges the previous one (the 40 ms cliff).
                stream.set_nodelay(true).map_err(failed)?;
                return Ok(stream);
            }
            Err(error) => last = error,
        }
    }
    Err(failed(last))
}
