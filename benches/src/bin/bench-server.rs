//! The bench routes on Lacewing: every protocol, by detection or ALPN.

use std::num::NonZeroUsize;

use clap::Parser;
use lacewing_benches::routes::Routes;
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
    /// A runtime and a listener for each thread
    #[arg(long)]
    per_thread: bool,
}

fn main() -> Result<(), Error> {
    let Arguments {
        server: arguments,
        protocols,
        per_thread,
    } = Arguments::parse();
    let tls = arguments.tls(lacewing_peer::PROTOCOLS)?;
    let threads = NonZeroUsize::new(arguments.threads).filter(|_| per_thread);
    let runtime = match threads {
        Some(_) => runtime::build(1)?,
        None => runtime::build(arguments.threads)?,
    };
    runtime.block_on(async {
        let server = lacewing_peer::server(arguments.max_streams, protocols);
        let server = match (threads, tls) {
            (Some(threads), None) => server.threads(threads).bind(arguments.address()),
            (Some(threads), Some(tls)) => {
                server.threads(threads).bind_tls(arguments.address(), tls)
            }
            (None, None) => server.listen(TcpListener::bind(arguments.address()).await?),
            (None, Some(tls)) => {
                server.listen_tls(TcpListener::bind(arguments.address()).await?, tls)
            }
        };
        let server = server.build().await?;
        for address in server.local_addrs() {
            lacewing_benches::say!("lacewing listens on {address}");
        }
        server.serve(Routes).await;
        Ok(())
    })
}
