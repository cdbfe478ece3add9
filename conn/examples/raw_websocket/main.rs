//! Sends raw streams of SPDY/3.1 inside WebSocket messages, as `kubectl
//! port-forward` does since 1.30. Both ends are in this program.
//!
//! ```text
//! cargo run -p lacewing-conn --example raw_websocket
//! ```

mod transport;

use std::error::Error;

use http::HeaderMap;
use lacewing_conn::{
    Side, Version,
    driver::{Mux, MuxConfig, OpenOptions},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

use self::transport::transport;

type BoxError = Box<dyn Error + Send + Sync>;

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
    let address = listener.local_addr()?;
    let server = tokio::spawn(serve(listener));

    let io = TcpStream::connect(address).await?;
    let (socket, _response) =
        tokio_tungstenite::client_async(format!("ws://{address}/portforward"), io).await?;
    let config = MuxConfig::kubernetes(Side::Client);
    let (mux, connection) = Mux::client(transport(socket), Version::Spdy31, config);
    let connection = tokio::spawn(connection);
    let mut stream = mux.open(HeaderMap::new(), OpenOptions::default()).await?;
    stream.write_all(b"inside messages").await?;
    stream.shutdown().await?;
    let mut echo = String::new();
    stream.read_to_string(&mut echo).await?;
    println!("{echo}");

    mux.shutdown();
    connection.await??;
    server.await?
}

/// Echoes on each stream of one connection.
async fn serve(listener: TcpListener) -> Result<(), BoxError> {
    let (io, _) = listener.accept().await?;
    let socket = tokio_tungstenite::accept_async(io).await?;
    let config = MuxConfig::kubernetes(Side::Server);
    let (mux, connection) = Mux::server(transport(socket), Version::Spdy31, config);
    let connection = tokio::spawn(connection);
    while let Some((headers, stream)) = mux.accept().await {
        stream.reply(headers);
        let (mut reader, mut writer) = stream.into_split();
        tokio::io::copy(&mut reader, &mut writer).await?;
        writer.shutdown().await?;
    }
    Ok(connection.await??)
}
