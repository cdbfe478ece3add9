//! The listener for clients under test: cleartext, or TLS with a self-signed
//! certificate.

use std::{net::SocketAddr, sync::Arc};

use lacewing_client::{Transport, Version};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

use crate::{console, self_signed, status::Failure};

/// Accepts connections of clients under test.
pub(super) struct ClientListener {
    listener: TcpListener,
    address: SocketAddr,
    tls: Option<Tls>,
}

struct Tls {
    acceptor: TlsAcceptor,
    version: Version,
}

impl ClientListener {
    /// Listens on `address`; with TLS if there is a protocol to offer by ALPN.
    pub(super) async fn bind(
        address: SocketAddr,
        offered: Option<Version>,
    ) -> Result<Self, Failure> {
        let failed = |error| Failure::unbound(address, &error);
        let listener = TcpListener::bind(address).await.map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        let tls = offered.map(|version| Tls::new(address, version));
        Ok(Self {
            listener,
            address,
            tls: tls.transpose()?,
        })
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    pub(super) fn url(&self) -> String {
        let scheme = match self.tls {
            Some(_) => "https",
            None => "http",
        };
        format!("{scheme}://{}/", self.address)
    }

    /// Waits for a client that speaks the protocol. Reports on stderr the
    /// clients whose handshake fails.
    pub(super) async fn accept(&self) -> Result<Box<dyn Transport>, Failure> {
        loop {
            let accepted = self.listener.accept().await;
            let (stream, peer) =
                accepted.map_err(|error| Failure::local(format!("cannot accept: {error}")))?;
            // Nagle's algorithm would delay a frame until TCP acknowledges the
            // one before.
            let _ = stream.set_nodelay(true);
            let Some(tls) = &self.tls else {
                return Ok(Box::new(stream));
            };
            match tls.accept(stream).await {
                Ok(stream) => return Ok(stream),
                Err(reason) => console::note(format_args!("{peer}: {reason}")),
            }
        }
    }
}

impl Tls {
    /// Makes a certificate for the names of the loopback and for the address.
    fn new(address: SocketAddr, version: Version) -> Result<Self, Failure> {
        let mut config = self_signed::config(address)?;
        config.alpn_protocols = vec![version.alpn().into()];
        Ok(Self {
            acceptor: TlsAcceptor::from(Arc::new(config)),
            version,
        })
    }

    async fn accept(&self, stream: TcpStream) -> Result<Box<dyn Transport>, String> {
        let accepted = self.acceptor.accept(stream).await;
        let stream = accepted.map_err(|error| format!("the TLS handshake failed: {error}"))?;
        match stream.get_ref().1.alpn_protocol() {
            Some(_) => Ok(Box::new(stream)),
            // A client without ALPN expects HTTP/1.1.
            None => Err(format!(
                "the client does not offer {} by ALPN",
                self.version
            )),
        }
    }
}
