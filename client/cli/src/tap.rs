//! `lacewing tap`: a proxy that shows every frame that passes.

mod pcap;
mod relay;
mod watching;

use std::{
    net::SocketAddr,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use clap::Args;
use http::Uri;
use lacewing_client::{Connect as _, Connected, Connector, Origin, Security, Transport, Version};
use lacewing_server::live::{Board, Gauge};
use rustls::ServerConfig;
use tokio::{
    io::AsyncReadExt as _,
    net::{TcpListener, TcpStream},
    sync::{Semaphore, mpsc},
    time::timeout,
};
use tokio_rustls::TlsAcceptor;

use self::{pcap::Capture, relay::Relay, watching::Tls};
use crate::{
    console,
    detect::{Content, detect},
    dialling::Dialling,
    frame_output::Form,
    frame_text::FrameFilter,
    live_page, parse, self_signed,
    status::Failure,
};

/// The text of `lacewing tap --help` after the options.
pub(crate) const HELP: &str = "\
Passes the bytes of each connection on, unchanged, and prints its frames: the
seconds since the start, the number of the connection, the direction (> from
the client). A reader that does not read stdout holds up the traffic.

With --tls and an https target, TLS ends on both sides: the target chooses the
protocol, and the client gets the same.

Examples:
  lacewing tap 127.0.0.1:8081 http://127.0.0.1:8080
  lacewing tap --tls 127.0.0.1:8444 -k https://127.0.0.1:8443
  lacewing tap 127.0.0.1:8081 http://127.0.0.1:8080 --type RST_STREAM --json
  lacewing tap 127.0.0.1:8081 http://127.0.0.1:8080 --pcap dump.pcap
  lacewing tap -q 127.0.0.1:8081 http://127.0.0.1:8080 --status 127.0.0.1:9000";

/// The connections at once; further clients wait.
const MAX_CONNECTIONS: usize = 1_000;

/// The time for the connection to the target, for a TLS handshake, and for the first bytes of a
/// client.
const PATIENCE: Duration = Duration::from_secs(10);

/// The first bytes of a client that decide the protocol to ask of the target.
const FIRST_BYTES: usize = 4096;

/// The arguments of `lacewing tap`.
#[derive(Clone, Debug, Args)]
pub(crate) struct Tap {
    /// Serve clients over TLS, with a self-signed certificate
    #[arg(long)]
    tls: bool,

    /// The protocol, where neither ALPN nor the client's first bytes show it: h2,
    /// spdy/3.1, spdy/3 or spdy/2
    #[arg(short, long, value_name = "PROTOCOL", value_parser = parse::protocol)]
    protocol: Option<Version>,

    /// Print one JSON object a frame
    #[arg(long)]
    json: bool,

    /// Print no frames (with --pcap or --status)
    #[arg(short, long, conflicts_with = "json")]
    quiet: bool,

    /// Write the bytes, without TLS, as a packet capture that Wireshark opens. In it the server has
    /// port 80 (h2) or 6121 (SPDY), where Wireshark looks for these protocols
    #[arg(long, value_name = "FILE")]
    pcap: Option<PathBuf>,

    /// Serve a live page at this address: connections, streams as bars, windows, stalls and
    /// resets. Port 0 takes a free one. It has no password: who reaches the address can read it
    #[arg(long, value_name = "ADDR", value_parser = parse::address)]
    status: Option<SocketAddr>,

    #[command(flatten)]
    filter: FrameFilter,

    #[command(flatten)]
    dialling: Dialling,

    /// The address to listen on
    #[arg(value_name = "LISTEN", value_parser = parse::address, help_heading = "Arguments")]
    listen: SocketAddr,

    /// The server: https by ALPN, http in cleartext
    #[arg(value_name = "TARGET", value_parser = parse::url, help_heading = "Arguments")]
    target: Uri,
}

pub(crate) async fn run(tap: Tap) -> Result<(), Failure> {
    let proxy = Arc::new(Proxy::new(tap)?);
    let failed = |error| Failure::unbound(proxy.tap.listen, &error);
    let listener = TcpListener::bind(proxy.tap.listen).await.map_err(failed)?;
    let address = listener.local_addr().map_err(failed)?;
    let room = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    if let (Some(status), Some(board)) = (proxy.tap.status, &proxy.board) {
        let room = Arc::clone(&room);
        board.set_gauges(move || {
            // The next one has its permit before it comes.
            let left = room.available_permits();
            let left = left.saturating_add(usize::from(left > 0));
            let passing = MAX_CONNECTIONS.saturating_sub(left);
            vec![Gauge::new("connections at once", passing, MAX_CONNECTIONS)]
        });
        live_page::serve(status, board).map_err(Failure::local)?;
    }
    let scheme = if proxy.tap.tls { "https" } else { "http" };
    console::note(format_args!(
        "tapping {scheme}://{address}/ -> {}",
        proxy.origin
    ));
    // The first error of the output ends the program.
    let (ended, mut end) = mpsc::channel(1);
    let accepting = async {
        loop {
            let Ok(permit) = Arc::clone(&room).acquire_owned().await else {
                continue;
            };
            let accepted = listener.accept().await;
            let (stream, client) =
                accepted.map_err(|error| Failure::local(format!("cannot accept: {error}")))?;
            let (proxy, ended) = (Arc::clone(&proxy), ended.clone());
            tokio::spawn(async move {
                if let Err(failure) = proxy.serve(stream, client).await {
                    // Only the first counts.
                    let _ = ended.try_send(failure);
                }
                drop(permit);
            });
        }
    };
    tokio::select! {
        result = accepting => result,
        failure = end.recv() => failure.map_or(Ok(()), Err),
        _ = tokio::signal::ctrl_c() => Ok(()),
    }
}

/// What all connections share.
struct Proxy {
    tap: Tap,
    origin: Origin,
    certificate: Option<ServerConfig>,
    capture: Option<Capture>,
    /// What the live page shows.
    board: Option<Board>,
    start: Instant,
    connections: AtomicUsize,
}

impl Proxy {
    fn new(tap: Tap) -> Result<Self, Failure> {
        let origin = Origin::of(&tap.target).map_err(Failure::usage)?;
        let certificate = tap
            .tls
            .then(|| self_signed::config(tap.listen))
            .transpose()?;
        let capture = tap.pcap.as_deref().map(Capture::create).transpose()?;
        let version = env!("CARGO_PKG_VERSION");
        let title = format!("lacewing {version} tap of {origin}");
        Ok(Self {
            board: tap.status.map(|_| Board::between(title)),
            tap,
            origin,
            certificate,
            capture,
            start: Instant::now(),
            connections: AtomicUsize::new(0),
        })
    }

    /// Passes one connection on. Reports on stderr what goes wrong with it.
    ///
    /// # Errors
    ///
    /// The output failed.
    async fn serve(&self, stream: TcpStream, client: SocketAddr) -> Result<(), Failure> {
        let number = self
            .connections
            .fetch_add(1, Ordering::Relaxed)
            .saturating_add(1);
        // Nagle's algorithm would delay a frame until TCP acknowledges the one before.
        let _ = stream.set_nodelay(true);
        let joined = match &self.certificate {
            Some(config) => self.join_tls(stream, config).await,
            None => self.join_cleartext(stream).await,
        };
        let joined = match joined {
            Ok(joined) => joined,
            Err(reason) => {
                console::note(format_args!("[{number}] {client}: {reason}"));
                return Ok(());
            }
        };
        let form = match self.tap {
            Tap { quiet: true, .. } => None,
            Tap { json: true, .. } => Some(Form::Json),
            _ => Some(Form::Text),
        };
        let relay = Relay {
            number,
            client,
            server: joined.address,
            version: joined.version,
            start: self.start,
            filter: &self.tap.filter,
            form,
            capture: self.capture.as_ref(),
            board: self.board.as_ref(),
            tls: match self.certificate {
                Some(_) => Tls::Ended,
                None => Tls::No,
            },
        };
        relay.run(joined.client, joined.server, &joined.first).await
    }

    /// Connects to the target first: its choice by ALPN is what the client gets.
    async fn join_tls(&self, stream: TcpStream, config: &ServerConfig) -> Result<Joined, String> {
        let connected = self.connect(self.tap.protocol).await?;
        let version = connected
            .version
            .ok_or("the target speaks HTTP/1.1, which has no frames")?;
        let mut config = config.clone();
        config.alpn_protocols = vec![version.alpn().into()];
        let accepting = TlsAcceptor::from(Arc::new(config)).accept(stream);
        let accepted = timeout(PATIENCE, accepting).await;
        let accepted = accepted.map_err(|_| format!("no TLS handshake within {PATIENCE:?}"))?;
        let client = accepted.map_err(|error| format!("the TLS handshake failed: {error}"))?;
        Ok(Joined {
            client: Box::new(client),
            address: connected.address,
            server: connected.io,
            version: Some(version),
            first: Vec::new(),
        })
    }

    /// Reads the client's first bytes, since they show the protocol to ask of the target.
    async fn join_cleartext(&self, mut stream: TcpStream) -> Result<Joined, String> {
        let mut first = Vec::new();
        let mut version = self.tap.protocol;
        if self.origin.security() == Security::Tls && version.is_none() {
            let reading = async {
                while first.len() < FIRST_BYTES {
                    if stream.read_buf(&mut first).await? == 0 {
                        break;
                    }
                    match detect(&first) {
                        Content::Undecided => {}
                        Content::Frames(found, _) => {
                            version = Some(found);
                            break;
                        }
                        _ => break,
                    }
                }
                Ok::<_, std::io::Error>(())
            };
            let read = timeout(PATIENCE, reading).await;
            let read = read.map_err(|_| format!("the client sent nothing for {PATIENCE:?}"))?;
            read.map_err(|error| error.to_string())?;
        }
        let connected = self.connect(version).await?;
        Ok(Joined {
            client: Box::new(stream),
            address: connected.address,
            server: connected.io,
            version,
            first,
        })
    }

    async fn connect(&self, version: Option<Version>) -> Result<Connected, String> {
        let connector: Connector = self
            .tap
            .dialling
            .multiplexed(version)
            .map_err(|failure| failure.message().unwrap_or_default().to_owned())?;
        let connected = timeout(PATIENCE, connector.connect(&self.origin)).await;
        connected
            .map_err(|_| format!("no connection to {} within {PATIENCE:?}", self.origin))?
            .map_err(|error| error.to_string())
    }
}

/// The two transports of a connection.
struct Joined {
    client: Box<dyn Transport>,
    server: Box<dyn Transport>,
    address: Option<SocketAddr>,
    /// `None` if the first bytes decide.
    version: Option<Version>,
    /// The client's bytes that were read already.
    first: Vec<u8>,
}
