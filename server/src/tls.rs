//! TLS by rustls: the handshake, and the protocol that it negotiated.

use std::sync::Arc;

use bytes::Bytes;
use rustls::{ServerConfig, ServerConnection};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    time::timeout,
};
use tokio_rustls::{TlsAcceptor, server::TlsStream};

use crate::{Protocol, ServeError, ServerOptions, TlsInfo};

/// The TLS of a listener.
#[derive(Clone)]
pub(crate) struct Tls {
    acceptor: TlsAcceptor,
}

impl Tls {
    /// Offers `protocols` in this order of preference, instead of the
    /// configuration's.
    pub(crate) fn new(config: Arc<ServerConfig>, protocols: &[Protocol]) -> Self {
        let mut config = Arc::unwrap_or_clone(config);
        config.alpn_protocols = protocols
            .iter()
            .map(|protocol| protocol.alpn().as_bytes().to_vec())
            .collect();
        Self {
            acceptor: TlsAcceptor::from(Arc::new(config)),
        }
    }

    /// Performs the handshake. Without a negotiated protocol, the connection speaks HTTP/1.1, as
    /// every legacy client expects.
    pub(crate) async fn accept<T>(
        &self,
        io: T,
        options: &ServerOptions,
    ) -> Result<(Protocol, TlsInfo, TlsStream<T>), ServeError>
    where
        T: AsyncRead + AsyncWrite + Unpin,
    {
        let deadline = options.connection.limits.preface_timeout;
        let io = match timeout(deadline, self.acceptor.accept(io)).await {
            Ok(result) => result.map_err(ServeError::Tls)?,
            Err(_) => return Err(ServeError::TlsTimeout { after: deadline }),
        };
        let connection = io.get_ref().1;
        let protocol = match connection.alpn_protocol() {
            // rustls negotiates only what was offered.
            Some(name) => Protocol::from_alpn(name).ok_or(ServeError::NoAlpn)?,
            None if options.protocols.contains(&Protocol::Http1) => Protocol::Http1,
            None => return Err(ServeError::NoAlpn),
        };
        Ok((protocol, TlsInfo::from(connection), io))
    }
}

/// After the handshake.
impl From<&ServerConnection> for TlsInfo {
    fn from(connection: &ServerConnection) -> Self {
        let mut info = Self::default();
        if let Some(name) = connection.server_name() {
            info = info.with_server_name(name);
        }
        if let Some(protocol) = connection.alpn_protocol().and_then(Protocol::from_alpn) {
            info = info.with_alpn(protocol);
        }
        let chain = connection.peer_certificates().unwrap_or_default();
        info.with_peer_certificates(chain.iter().map(|der| Bytes::copy_from_slice(der)))
    }
}
