//! Makes a load on a bench server (cleartext HTTP/2) with one library's client,
//! on one thread, and prints time and CPU time per request.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Instant;

use clap::{Parser, ValueEnum};
use lacewing_benches::h2_peer::H2Client;
use lacewing_benches::hyper_peer::HyperClient;
use lacewing_benches::lacewing_peer::LacewingClient;
use lacewing_benches::load::{Kind, Load, Peer};
use lacewing_benches::{Error, cpu, runtime};

/// Make a load on a bench server and print what it costs this client
#[derive(Debug, Parser)]
struct Arguments {
    /// The library
    #[arg(long)]
    peer: Library,
    /// Port on 127.0.0.1 (cleartext, HTTP/2 with prior knowledge)
    #[arg(long, value_name = "P")]
    port: u16,
    /// The target of each request
    #[arg(long, default_value = "get")]
    kind: RequestKind,
    /// Bytes of a download or an upload
    #[arg(long, value_name = "BYTES", default_value_t = 1 << 20)]
    size: u64,
    /// Requests in all
    #[arg(short = 'n', long, value_name = "N", default_value_t = 100_000)]
    requests: u64,
    /// Connections
    #[arg(short, long, value_name = "N", default_value_t = 1)]
    connections: usize,
    /// Requests at once on each connection
    #[arg(short = 'm', long, value_name = "N", default_value_t = 100)]
    streams: usize,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Library {
    Ours,
    Hyper,
    H2,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum RequestKind {
    /// GET / (11 bytes)
    Get,
    /// GET /bytes/SIZE
    Download,
    /// POST /upload with SIZE bytes
    Upload,
}

fn main() -> Result<(), Error> {
    let arguments = Arguments::parse();
    let load = Load {
        kind: match arguments.kind {
            RequestKind::Get => Kind::Small,
            RequestKind::Download => Kind::Download(arguments.size),
            RequestKind::Upload => Kind::Upload(arguments.size),
        },
        requests: arguments.requests,
        connections: arguments.connections,
        streams: arguments.streams,
    };
    let address = (Ipv4Addr::LOCALHOST, arguments.port).into();
    runtime::build(1)?.block_on(async {
        match arguments.peer {
            Library::Ours => measure::<LacewingClient>(load, address).await,
            Library::Hyper => measure::<HyperClient>(load, address).await,
            Library::H2 => measure::<H2Client>(load, address).await,
        }
    })
}

#[allow(clippy::cast_precision_loss)]
async fn measure<P: Peer>(load: Load, address: SocketAddr) -> Result<(), Error> {
    let peers = load.connect::<P>(address).await?;
    let (started, cpu_before) = (Instant::now(), cpu::used());
    load.run(&peers, address).await?;
    let (elapsed, cpu_after) = (started.elapsed(), cpu::used());

    let requests = load.requests as f64;
    let gigabytes = requests * load.bytes_per_request() as f64 / 1e9;
    lacewing_benches::say!(
        "{} requests in {elapsed:.3?}: {:.0} requests/s, {:.1} MB/s",
        load.requests,
        requests / elapsed.as_secs_f64(),
        gigabytes * 1e3 / elapsed.as_secs_f64()
    );
    if let (Some(before), Some(after)) = (cpu_before, cpu_after) {
        let cpu = after.saturating_sub(before).as_secs_f64();
        lacewing_benches::say!("client CPU: {:.3} µs/request", cpu * 1e6 / requests);
        if gigabytes > 0.0 {
            lacewing_benches::say!("client CPU: {:.1} ms/GB", cpu * 1e3 / gigabytes);
        }
    }
    Ok(())
}
