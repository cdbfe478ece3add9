//! Information about a request's connection, for handlers.

use std::{cell::RefCell, fmt, net::SocketAddr, sync::Arc};

use bytes::Bytes;

use crate::{Address, Endpoints, Protocol};

/// Information about the connection of a request. The body of every request has
/// it ([`RequestBody::connection`](crate::RequestBody::connection)), and so have its extensions if
/// [`ServerOptions::connection_info`](crate::ServerOptions::connection_info) asks for that. To
/// clone it costs a reference count.
///
/// ```
/// use lacewing_server::{ConnectionInfo, Protocol, RequestBody};
///
/// fn is_spdy(request: &http::Request<RequestBody>) -> bool {
///     let protocol = request.body().connection().map(ConnectionInfo::protocol);
///     matches!(protocol, Some(Protocol::Spdy2 | Protocol::Spdy3 | Protocol::Spdy31))
/// }
/// # assert!(!is_spdy(&http::Request::new(RequestBody::empty())));
/// ```
#[derive(Clone, Debug)]
pub struct ConnectionInfo(Arc<Facts>);

#[derive(Clone, Debug)]
struct Facts {
    protocol: Protocol,
    peer: Option<Address>,
    local: Option<Arc<Address>>,
    tls: Option<Box<TlsInfo>>,
}

impl ConnectionInfo {
    /// A connection without TLS of which no address is known, for example one
    /// in memory.
    pub fn new(protocol: Protocol) -> Self {
        Self(Arc::new(Facts {
            protocol,
            peer: None,
            local: None,
            tls: None,
        }))
    }

    /// Returns the same information, with the peer's address and ours.
    #[must_use]
    pub fn with_addresses(self, peer: Option<SocketAddr>, local: Option<SocketAddr>) -> Self {
        self.with_endpoints(Endpoints {
            peer: peer.map(Address::Tcp),
            local: local.map(Address::Tcp),
        })
    }

    /// Returns the same information, with addresses of any kind.
    #[must_use]
    pub fn with_endpoints(mut self, endpoints: Endpoints) -> Self {
        let facts = Arc::make_mut(&mut self.0);
        facts.peer = endpoints.peer;
        facts.local = endpoints.local.map(shared);
        self
    }

    /// Returns the same information, behind TLS without further facts.
    #[must_use]
    pub fn with_tls(self) -> Self {
        self.with_tls_info(TlsInfo::default())
    }

    /// Returns the same information, behind TLS.
    #[must_use]
    pub fn with_tls_info(mut self, tls: TlsInfo) -> Self {
        Arc::make_mut(&mut self.0).tls = Some(Box::new(tls));
        self
    }

    /// Returns the same information, with another protocol: after an upgrade.
    #[cfg(feature = "http1")]
    #[must_use]
    pub(crate) fn with_protocol(mut self, protocol: Protocol) -> Self {
        Arc::make_mut(&mut self.0).protocol = protocol;
        self
    }

    /// The protocol spoken.
    pub fn protocol(&self) -> Protocol {
        self.0.protocol
    }

    /// The peer's address, of any kind.
    pub fn peer(&self) -> Option<&Address> {
        self.0.peer.as_ref()
    }

    /// The address that the peer connected to, of any kind.
    pub fn local(&self) -> Option<&Address> {
        self.0.local.as_deref()
    }

    /// The peer's IP address and port; `None` on a Unix socket.
    pub fn peer_addr(&self) -> Option<SocketAddr> {
        self.peer().and_then(Address::socket_addr)
    }

    /// The IP address and port that the peer connected to; `None` on a Unix
    /// socket.
    pub fn local_addr(&self) -> Option<SocketAddr> {
        self.local().and_then(Address::socket_addr)
    }

    /// The connection is behind TLS.
    pub fn is_tls(&self) -> bool {
        self.0.tls.is_some()
    }

    /// Returns the facts of the TLS handshake: the server name that the client sent (SNI), and its
    /// certificates.
    pub fn tls(&self) -> Option<&TlsInfo> {
        self.0.tls.as_deref()
    }
}

/// Most connections that a thread accepts have one local address. They share it.
fn shared(address: Address) -> Arc<Address> {
    thread_local! {
        static LAST: RefCell<Option<Arc<Address>>> = const { RefCell::new(None) };
    }
    LAST.with_borrow_mut(|last| {
        let known = last.take().filter(|last| **last == address);
        let shared = known.unwrap_or_else(|| Arc::new(address));
        Arc::clone(last.insert(shared))
    })
}

impl fmt::Display for ConnectionInfo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.is_tls() { "tls" } else { "cleartext" };
        write!(f, "{} over {scheme}", self.protocol())?;
        match self.peer() {
            Some(peer) => write!(f, " from {peer}"),
            None => Ok(()),
        }
    }
}

impl From<Protocol> for ConnectionInfo {
    fn from(protocol: Protocol) -> Self {
        Self::new(protocol)
    }
}

impl From<lacewing_conn::Version> for ConnectionInfo {
    fn from(version: lacewing_conn::Version) -> Self {
        Self::new(version.into())
    }
}

/// Information about the client from its TLS handshake.
///
/// ```
/// use lacewing_server::RequestBody;
///
/// /// The client's certificate in DER, if it was asked for one and had one.
/// fn certificate(request: &http::Request<RequestBody>) -> Option<&[u8]> {
///     let tls = request.body().connection()?.tls()?;
///     tls.peer_certificates().first().map(|certificate| &certificate[..])
/// }
/// # let _ = certificate;
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TlsInfo {
    server_name: Option<Box<str>>,
    alpn: Option<Protocol>,
    peer_certificates: Vec<Bytes>,
}

impl TlsInfo {
    /// Sets the name that the client asked for.
    #[must_use]
    pub fn with_server_name(mut self, name: impl Into<String>) -> Self {
        self.server_name = Some(name.into().into());
        self
    }

    /// Sets the protocol that ALPN or NPN negotiated.
    #[must_use]
    pub fn with_alpn(mut self, protocol: Protocol) -> Self {
        self.alpn = Some(protocol);
        self
    }

    /// Sets the client's certificate and those that lead to its root, in DER.
    #[must_use]
    pub fn with_peer_certificates(mut self, chain: impl IntoIterator<Item = Bytes>) -> Self {
        self.peer_certificates = chain.into_iter().collect();
        self
    }

    /// The name that the client asked for (SNI, RFC 6066 §3); `None` if it
    /// named none, as with an IP address.
    pub fn server_name(&self) -> Option<&str> {
        self.server_name.as_deref()
    }

    /// Returns the protocol that ALPN (RFC 7301) or NPN negotiated. `None` stands for HTTP/1.1:
    /// neither negotiated one.
    pub fn alpn(&self) -> Option<Protocol> {
        self.alpn
    }

    /// The client's certificate, then those that lead to its root, each in
    /// DER. Empty unless the server's configuration asks clients for
    /// certificates.
    pub fn peer_certificates(&self) -> &[Bytes] {
        &self.peer_certificates
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Credentials, UnixAddress};

    #[test]
    fn connection_info_has_a_readable_text() {
        let info = ConnectionInfo::new(Protocol::Http2);
        let tcp = info
            .clone()
            .with_addresses("192.0.2.1:4711".parse().ok(), None)
            .with_tls();
        assert_eq!(tcp.to_string(), "h2 over tls from 192.0.2.1:4711");
        let peer = UnixAddress::default().with_credentials(Credentials::new(7, 8));
        let unix = info.with_endpoints(Endpoints::default().with_peer(peer));
        assert_eq!(unix.to_string(), "h2 over cleartext from unix:user 7");
        assert_eq!(unix.peer_addr(), None);
    }
}
