//! `lacewing mux`: byte streams over one connection, without HTTP.

mod echo;
mod forward;

use std::net::SocketAddr;

use clap::Args;
use http::{HeaderMap, HeaderName, HeaderValue};
use lacewing_client::Version;
use lacewing_conn::Side;
use lacewing_conn::driver::{Mux as Streams, MuxConfig, OpenOptions, RawStream};
use tokio::{
    io::{AsyncWriteExt as _, copy, stdin, stdout},
    net::{TcpListener, TcpStream},
};

use crate::{console, parse, status::Failure};

/// The text of `lacewing mux --help` after the options.
pub(crate) const HELP: &str = "\
One stream joins stdin and stdout of both sides, as netcat does over TCP, until
both have reached their end. With --local and --to, every TCP connection is a stream: many of them share one
connection, and each has its own end and its own flow control.

Examples:
  lacewing mux --listen 127.0.0.1:7000 > copy.tar
  lacewing mux 127.0.0.1:7000 < archive.tar

  lacewing mux --listen 127.0.0.1:7000 --to 127.0.0.1:5432
  lacewing mux 127.0.0.1:7000 --local 127.0.0.1:15432

  lacewing mux --listen 127.0.0.1:7000 --echo";

/// The arguments of `lacewing mux`.
#[derive(Clone, Debug, Args)]
pub(crate) struct Mux {
    /// Listen on ADDRESS instead of connecting to it
    #[arg(short, long)]
    listen: bool,

    /// The protocol of the connection: h2, spdy/3.1, spdy/3 or spdy/2. Both sides
    /// must use the same
    #[arg(short, long, value_name = "PROTOCOL", value_parser = parse::protocol, default_value = "spdy/3.1")]
    protocol: Version,

    /// Behave as Kubernetes' peers do (Go's spdystream): no flow control, GOAWAY
    /// after the data
    #[arg(long, conflicts_with = "local")]
    kubernetes: bool,

    /// Open the stream with this header field; may be repeated
    #[arg(short = 'H', long = "header", value_name = "NAME: VALUE", value_parser = parse::header, conflicts_with = "listen")]
    headers: Vec<(HeaderName, HeaderValue)>,

    /// Accept TCP connections here, and pass each on as a stream
    #[arg(long, value_name = "ADDRESS", value_parser = parse::address, conflicts_with_all = ["listen", "headers"])]
    local: Option<SocketAddr>,

    /// Connect each stream to this address by TCP, for any number of connections
    #[arg(long, value_name = "ADDRESS", value_parser = parse::address, requires = "listen")]
    to: Option<SocketAddr>,

    /// Send each stream its own bytes back, for any number of connections: the peer of
    /// `lacewing load --mux`
    #[arg(long, requires = "listen", conflicts_with = "to")]
    echo: bool,

    /// The other side
    #[arg(value_name = "ADDRESS", value_parser = parse::address)]
    address: SocketAddr,
}

impl Mux {
    fn config(&self, side: Side) -> MuxConfig {
        match self.kubernetes {
            true => MuxConfig::kubernetes(side),
            false => MuxConfig::new(side),
        }
    }
}

pub(crate) async fn run(mux: Mux) -> Result<(), Failure> {
    let work = async {
        match (mux.listen, mux.to, mux.local) {
            (true, ..) if mux.echo => echo::serve(&mux).await,
            (true, Some(to), _) => forward::serve(&mux, to).await,
            (true, None, _) => receive(&mux).await,
            (false, _, Some(local)) => forward::accept(&mux, local).await,
            (false, _, None) => send(&mux).await,
        }
    };
    tokio::select! {
        result = work => result,
        _ = tokio::signal::ctrl_c() => Ok(()),
    }
}

/// Opens one stream for stdin and stdout.
async fn send(mux: &Mux) -> Result<(), Failure> {
    let (streams, connection) = connect(mux).await?;
    let mut headers = HeaderMap::new();
    headers.extend(mux.headers.iter().cloned());
    let opened = streams.open(headers, OpenOptions::default()).await;
    let stream = opened.map_err(|error| Failure::broken(mux.address, error))?;
    join(mux, stream).await?;
    end(streams, connection).await;
    Ok(())
}

/// Takes the first stream of the first connection for stdin and stdout.
async fn receive(mux: &Mux) -> Result<(), Failure> {
    let listener = listen(mux.address).await?;
    let (transport, peer) = accept(&listener).await?;
    let (streams, connection) = Streams::server(transport, mux.protocol, mux.config(Side::Server));
    let connection = tokio::spawn(connection);
    let Some((_, stream)) = streams.accept().await else {
        return Err(Failure::broken(
            peer,
            "the connection ended without a stream",
        ));
    };
    stream.reply(HeaderMap::new());
    join(mux, stream).await?;
    end(streams, connection).await;
    Ok(())
}

/// Copies both ways, until stdin and the peer's half have ended.
async fn join(mux: &Mux, stream: RawStream) -> Result<(), Failure> {
    let broken = |error| Failure::broken(mux.address, error);
    let (mut reader, mut writer) = stream.into_split();
    let sending = async {
        copy(&mut stdin(), &mut writer).await?;
        writer.shutdown().await
    };
    let receiving = async {
        let mut stdout = stdout();
        while let Some(chunk) = reader.read_chunk().await.map_err(broken)? {
            let written = async {
                stdout.write_all(&chunk).await?;
                stdout.flush().await
            };
            written.await.map_err(|error| console::unwritten(&error))?;
        }
        Ok(())
    };
    let sending = async { sending.await.map_err(broken) };
    tokio::try_join!(sending, receiving).map(|((), ())| ())
}

async fn connect(
    mux: &Mux,
) -> Result<
    (
        Streams,
        tokio::task::JoinHandle<Result<(), lacewing_conn::Error>>,
    ),
    Failure,
> {
    let transport = TcpStream::connect(mux.address).await;
    let transport = transport.map_err(|error| Failure::unreachable(mux.address, error))?;
    // Nagle's algorithm would delay a frame until TCP acknowledges the one before.
    let _ = transport.set_nodelay(true);
    let (streams, connection) = Streams::client(transport, mux.protocol, mux.config(Side::Client));
    Ok((streams, tokio::spawn(connection)))
}

async fn listen(address: SocketAddr) -> Result<TcpListener, Failure> {
    let failed = |error| Failure::unbound(address, &error);
    let listener = TcpListener::bind(address).await.map_err(failed)?;
    let address = listener.local_addr().map_err(failed)?;
    console::note(format_args!("listening on {address}"));
    Ok(listener)
}

async fn accept(listener: &TcpListener) -> Result<(TcpStream, SocketAddr), Failure> {
    let accepted = listener.accept().await;
    let (transport, peer) =
        accepted.map_err(|error| Failure::local(format!("cannot accept: {error}")))?;
    let _ = transport.set_nodelay(true);
    Ok((transport, peer))
}

/// Ends the connection, and waits until its last bytes are out, within its `drain_timeout`.
async fn end(
    streams: Streams,
    connection: tokio::task::JoinHandle<Result<(), lacewing_conn::Error>>,
) {
    streams.shutdown();
    drop(streams);
    let _ = connection.await;
}
