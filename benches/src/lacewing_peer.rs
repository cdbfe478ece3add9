//! Lacewing, both sides, with its own defaults: the bench routes served, all
//! protocols by detection or ALPN, and a connection to make requests on.

use std::net::SocketAddr;

use http::{Request, Response};
use lacewing_client::{ClientOptions, Connection, ConnectionConfig, Incoming};
use lacewing_server::{Limits, Protocol, Server, ServerBuilder, Side, Version};
use tokio::net::{TcpListener, TcpStream};

use crate::Error;
use crate::load::{Peer, RequestBody};
use crate::routes::Routes;

/// The protocols that ALPN offers.
pub const PROTOCOLS: &[&str] = &["h2", "spdy/3.1", "spdy/3", "spdy/2"];

/// Serves the routes on `listener` for ever, in cleartext.
///
/// # Errors
///
/// The server does not start.
pub async fn serve(listener: TcpListener, max_streams: u32) -> Result<(), Error> {
    let server = server(max_streams, Vec::new()).listen(listener);
    server.serve(Routes).await?;
    Ok(())
}

/// A server without a listener. `protocols`, if there are any, take the place of
/// the server's own choice.
pub fn server(max_streams: u32, protocols: Vec<Protocol>) -> ServerBuilder {
    let limits =
        Limits::new(Side::Server).with(|limits| limits.max_concurrent_streams = max_streams);
    let builder = Server::builder().connection(
        ConnectionConfig::new(Side::Server).with(|config| config.limits = limits.into()),
    );
    if protocols.is_empty() {
        return builder;
    }
    builder.options(|options| options.protocols(protocols))
}

/// A client's connection.
#[derive(Clone, Debug)]
pub struct LacewingClient(Connection);

impl Peer for LacewingClient {
    type Body = Incoming;

    async fn connect(address: SocketAddr) -> Result<Self, Error> {
        let socket = TcpStream::connect(address).await?;
        socket.set_nodelay(true)?;
        let config = ClientOptions::default();
        let (connection, driver) = Connection::handshake(socket, Version::Http2, config);
        tokio::spawn(async move {
            if let Err(error) = driver.await {
                crate::note!("connection: {error}");
            }
        });
        Ok(Self(connection))
    }

    async fn send(&mut self, request: Request<RequestBody>) -> Result<Response<Incoming>, Error> {
        Ok(self.0.request(request).await?)
    }
}
