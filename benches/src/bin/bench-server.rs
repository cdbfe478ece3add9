//! The bench routes on Lacewing: every protocol, by detection or ALPN.

use clap::Parser;
use lacewing_benches::server_arguments::ServerArguments;
use lacewing_benches::{Error, lacewing_peer, runtime};
use tokio::net::TcpListener;

#[cfg(feature = "count-allocations")]
#[global_allocator]
static ALLOCATOR: lacewing_benches::allocations::Counting = lacewing_benches::allocations::Counting;

fn main() -> Result<(), Error> {
    let arguments = ServerArguments::parse();
    let tls = arguments.tls(lacewing_peer::PROTOCOLS)?;
    runtime::build(arguments.threads)?.block_on(async {
        let listener = TcpListener::bind(arguments.address()).await?;
        println!("lacewing listens on {}", listener.local_addr()?);
        lacewing_peer::serve(listener, arguments.max_streams, tls).await
    })
}
