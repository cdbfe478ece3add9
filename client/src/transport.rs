//! Transports that are ready for a connection.

use std::{fmt, net::SocketAddr};

use lacewing_conn::Version;
use tokio::io::{AsyncRead, AsyncWrite};

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

/// A transport that is ready, and its protocol.
#[non_exhaustive]
pub struct Connected {
    /// The transport.
    pub io: Box<dyn Transport>,
    /// The protocol that both sides agreed on; `None` for HTTP/1.1, which is not multiplexed.
    pub version: Option<Version>,
    /// The address of the server, if there is one. The settings of SPDY servers are stored under
    /// it.
    pub address: Option<SocketAddr>,
    /// Whether the TLS handshake resumed an earlier session. `None` without TLS, and if the
    /// library does not tell.
    pub resumed: Option<bool>,
}

impl Connected {
    /// A transport, and its protocol.
    pub fn new(io: impl Transport, version: Version) -> Self {
        Self {
            io: Box::new(io),
            version: Some(version),
            address: None,
            resumed: None,
        }
    }

    /// A transport whose server speaks HTTP/1.1.
    #[cfg(feature = "http1")]
    pub fn http1(io: impl Transport) -> Self {
        Self {
            io: Box::new(io),
            version: None,
            address: None,
            resumed: None,
        }
    }

    /// Sets the address that answered.
    #[must_use]
    pub fn at(mut self, address: Option<SocketAddr>) -> Self {
        self.address = address;
        self
    }

    /// Sets whether its TLS handshake resumed an earlier session.
    #[must_use]
    pub fn resumed(mut self, resumed: bool) -> Self {
        self.resumed = Some(resumed);
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
