//! TLS by rustls: the handshake, and the protocol that came out of it.

use std::{sync::Arc, time::Duration};

use rustls::ServerConfig;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    time::timeout,
};
use tokio_rustls::{TlsAcceptor, server::TlsStream};

use crate::{ConnectionError, Protocol};

/// What a TLS listener needs.
#[derive(Clone)]
pub(crate) struct Tls {
    acceptor: TlsAcceptor,
}

impl Tls {
    /// Offers `protocols` in this order of preference, whatever the
    /// configuration said.
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

    /// The handshake. No protocol negotiated stands for HTTP/1.1, as every
    /// client of the time before ALPN expects.
    pub(crate) async fn accept<T>(
        &self,
        io: T,
        protocols: &[Protocol],
        deadline: Duration,
    ) -> Result<(Protocol, TlsStream<T>), ConnectionError>
    where
        T: AsyncRead + AsyncWrite + Unpin,
    {
        let io = match timeout(deadline, self.acceptor.accept(io)).await {
            Ok(result) => result.map_err(ConnectionError::Tls)?,
            Err(_) => return Err(ConnectionError::TlsTimeout { after: deadline }),
        };
        let protocol = match io.get_ref().1.alpn_protocol() {
            // rustls negotiates only what was offered.
            Some(name) => Protocol::from_alpn(name).ok_or(ConnectionError::NoAlpn)?,
            None if protocols.contains(&Protocol::Http1) => Protocol::Http1,
            None => return Err(ConnectionError::NoAlpn),
        };
        Ok((protocol, io))
    }
}
