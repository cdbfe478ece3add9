//! hyper, both sides, HTTP/2 only, with its own defaults: the bench routes
//! served, and a connection to make requests on.

use std::net::SocketAddr;
use std::sync::Arc;

use http::{Request, Response};
use hyper::body::Incoming;
use hyper::client::conn::http2 as client;
use hyper::server::conn::http2 as server;
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::ServerConfig;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

use crate::Error;
use crate::load::{Peer, RequestBody};
use crate::routes::Routes;

/// The protocols that ALPN offers.
pub const PROTOCOLS: &[&str] = &["h2"];

/// Serves the routes on `listener` for ever: prior knowledge, or behind TLS.
///
/// # Errors
///
/// The listener accepts no more connections.
pub async fn serve(
    listener: TcpListener,
    max_streams: u32,
    tls: Option<ServerConfig>,
) -> Result<(), Error> {
    let acceptor = tls.map(|config| TlsAcceptor::from(Arc::new(config)));
    let mut builder = server::Builder::new(TokioExecutor::new());
    builder.max_concurrent_streams(max_streams);
    loop {
        let (socket, _) = listener.accept().await?;
        socket.set_nodelay(true)?;
        let (builder, acceptor) = (builder.clone(), acceptor.clone());
        tokio::spawn(async move {
            match acceptor {
                None => connection(&builder, socket).await,
                Some(acceptor) => match acceptor.accept(socket).await {
                    Ok(socket) => connection(&builder, socket).await,
                    Err(error) => crate::note!("TLS handshake: {error}"),
                },
            }
        });
    }
}

async fn connection<T>(builder: &server::Builder<TokioExecutor>, socket: T)
where
    T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let served = builder.serve_connection(TokioIo::new(socket), Routes);
    if let Err(error) = served.await {
        crate::note!("connection: {error}");
    }
}

/// A client's connection.
#[derive(Clone, Debug)]
pub struct HyperClient(client::SendRequest<RequestBody>);

impl Peer for HyperClient {
    type Body = Incoming;

    async fn connect(address: SocketAddr) -> Result<Self, Error> {
        let socket = TcpStream::connect(address).await?;
        socket.set_nodelay(true)?;
        let builder = client::Builder::new(TokioExecutor::new());
        let (sender, connection) = builder.handshake(TokioIo::new(socket)).await?;
        tokio::spawn(async move {
            if let Err(error) = connection.await {
                crate::note!("connection: {error}");
            }
        });
        Ok(Self(sender))
    }

    async fn send(&mut self, request: Request<RequestBody>) -> Result<Response<Incoming>, Error> {
        self.0.ready().await?;
        Ok(self.0.send_request(request).await?)
    }
}
