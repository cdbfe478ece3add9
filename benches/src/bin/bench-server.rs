//! The bench routes on Lacewing: every protocol, by detection or ALPN.

use clap::Parser;
use lacewing_benches::server_arguments::ServerArguments;
use lacewing_benches::{Error, lacewing_peer, runtime};
use lacewing_server::Protocol;
use tokio::net::TcpListener;

#[cfg(feature = "count-allocations")]
#[global_allocator]
static ALLOCATOR: lacewing_benches::allocations::Counting = lacewing_benches::allocations::Counting;

#[derive(Debug, Parser)]
#[command(about = "A bench server on 127.0.0.1, all protocols by detection or ALPN")]
struct Arguments {
    #[command(flatten)]
    server: ServerArguments,
    /// The protocols in cleartext, preferred first: SPDY/3 and SPDY/3.1 look
    /// the same there, and the one that comes first is meant
    #[arg(long, value_name = "LIST", value_delimiter = ',')]
    protocols: Vec<Protocol>,
}

fn main() -> Result<(), Error> {
    let Arguments {
        server: arguments,
        protocols,
    } = Arguments::parse();
    let tls = arguments.tls(lacewing_peer::PROTOCOLS)?;
    runtime::build(arguments.threads)?.block_on(async {
        let listener = TcpListener::bind(arguments.address()).await?;
        lacewing_benches::say!("lacewing listens on {}", listener.local_addr()?);
        lacewing_peer::serve(listener, arguments.max_streams, protocols, tls).await
    })
}
