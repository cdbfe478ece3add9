//! The bench routes on h2, below hyper: prior knowledge, or TLS with ALPN `h2`.

use clap::Parser;
use lacewing_benches::server_arguments::ServerArguments;
use lacewing_benches::{Error, h2_peer, runtime};
use tokio::net::TcpListener;

#[cfg(feature = "count-allocations")]
#[global_allocator]
static ALLOCATOR: lacewing_benches::allocations::Counting = lacewing_benches::allocations::Counting;

fn main() -> Result<(), Error> {
    let arguments = ServerArguments::parse();
    let tls = arguments.tls(h2_peer::PROTOCOLS)?;
    runtime::build(arguments.threads)?.block_on(async {
        let listener = TcpListener::bind(arguments.address()).await?;
        lacewing_benches::say!("h2 listens on {}", listener.local_addr()?);
        h2_peer::serve(listener, arguments.max_streams, tls).await
    })
}
