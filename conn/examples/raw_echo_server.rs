//! Accepts raw streams on a TCP port, answers each with an empty header list, and
//! echoes its bytes until the peer's half ends.
//!
//! ```text
//! cargo run -p lacewing-conn --example raw_echo_server -- 127.0.0.1:8081 spdy/3.1
//! ```
//!
//! By default it works with peers without flow control, such as Go's
//! docker/spdystream. `--flow-control` turns windows on for other peers.

use std::io::Write as _;
use std::{error::Error, io};

use http::HeaderMap;
use lacewing_conn::{
    Side, Version,
    driver::{Mux, MuxConfig, RawStream},
};
use tokio::{
    io::AsyncWriteExt,
    net::{TcpListener, TcpStream},
};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let (options, arguments): (Vec<String>, Vec<String>) = std::env::args()
        .skip(1)
        .partition(|argument| argument.starts_with("--"));
    let [address, protocol] = arguments.as_slice() else {
        return Err("usage: raw_echo_server [--flow-control] ADDR PROTOCOL".into());
    };
    let version: Version = protocol.parse()?;
    let config = match options.iter().any(|option| option == "--flow-control") {
        true => MuxConfig::new(Side::Server),
        false => MuxConfig::kubernetes(Side::Server),
    };
    let listener = TcpListener::bind(address).await?;
    let _ = writeln!(
        std::io::stdout(),
        "listening on {} for {version}",
        listener.local_addr()?
    );
    loop {
        let (io, peer) = listener.accept().await?;
        io.set_nodelay(true)?;
        let config = config.clone();
        tokio::spawn(async move {
            match serve(io, version, config).await {
                Ok(()) => {
                    let _ = writeln!(std::io::stderr(), "{peer}: closed");
                }
                Err(error) => {
                    let _ = writeln!(std::io::stderr(), "{peer}: {error}");
                }
            }
        });
    }
}

async fn serve(
    io: TcpStream,
    version: Version,
    config: MuxConfig,
) -> Result<(), lacewing_conn::Error> {
    let (mux, connection) = Mux::server(io, version, config);
    let connection = tokio::spawn(connection);
    while let Some((_headers, stream)) = mux.accept().await {
        tokio::spawn(async move {
            let id = stream.id();
            if let Err(error) = echo(stream).await {
                let _ = writeln!(std::io::stderr(), "stream {}: {error}", id.value());
            }
        });
    }
    drop(connection);
    mux.closed().await
}

async fn echo(stream: RawStream) -> io::Result<()> {
    stream.reply(HeaderMap::new());
    let (mut reader, mut writer) = stream.into_split();
    while let Some(chunk) = reader.read_chunk().await? {
        writer.write_all(&chunk).await?;
    }
    writer.shutdown().await
}
