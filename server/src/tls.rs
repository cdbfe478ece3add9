//! TLS by rustls: the handshake, and the protocol that it negotiated.

use std::{io, sync::Arc};

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

    /// Performs the handshake.
    pub(crate) async fn accept<T>(
        &self,
        io: T,
        options: &ServerOptions,
    ) -> Result<(Protocol, TlsInfo, TlsStream<T>), ServeError>
    where
        T: AsyncRead + AsyncWrite + Unpin,
    {
        let io = in_time(self.acceptor.accept(io), options).await?;
        let connection = io.get_ref().1;
        let protocol = negotiated(connection.alpn_protocol(), options)?;
        Ok((protocol, TlsInfo::from(connection), io))
    }
}

/// Waits for a handshake, for `preface_timeout` at most.
pub(crate) async fn in_time<T>(
    handshake: impl Future<Output = io::Result<T>>,
    options: &ServerOptions,
) -> Result<T, ServeError> {
    let after = options.connection.limits.preface_timeout;
    match timeout(after, handshake).await {
        Ok(result) => result.map_err(ServeError::Tls),
        Err(_) => Err(ServeError::TlsTimeout { after }),
    }
}

/// Returns the protocol that the handshake negotiated. Without one, the connection speaks
/// HTTP/1.1, as every legacy client expects.
pub(crate) fn negotiated(
    name: Option<&[u8]>,
    options: &ServerOptions,
) -> Result<Protocol, ServeError> {
    match name {
        Some(name) => Protocol::from_alpn(name).ok_or(ServeError::NoAlpn),
        None if options.protocols.contains(&Protocol::Http1) => Ok(Protocol::Http1),
        None => Err(ServeError::NoAlpn),
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
