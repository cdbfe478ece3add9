//! Replies that were formed beforehand, over HTTP/2: the floor of the machine,
//! which no server can beat that does its work.

use clap::Parser;
use lacewing_benches::server_arguments::ServerArguments;
use lacewing_benches::{Error, canned, runtime};
use tokio::net::TcpListener;

#[derive(Debug, Parser)]
#[command(about = "Replies that were formed beforehand, on 127.0.0.1")]
struct Arguments {
    #[command(flatten)]
    server: ServerArguments,
    /// The body of every reply, in bytes
    #[arg(long, value_name = "BYTES", default_value_t = 11)]
    reply: u64,
}

fn main() -> Result<(), Error> {
    let Arguments {
        server: arguments,
        reply,
    } = Arguments::parse();
    let tls = arguments.tls(&["h2"])?;
    runtime::build(arguments.threads)?.block_on(async {
        let listener = TcpListener::bind(arguments.address()).await?;
        lacewing_benches::say!("canned replies on {}", listener.local_addr()?);
        canned::serve(listener, arguments.max_streams, reply, tls).await
    })
}
