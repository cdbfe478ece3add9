//! A loop of one's own that accepts connections: what each speaks is found out
//! and served by an `Acceptor`. Any transport does that can be read and
//! written.
//!
//! ```text
//! cargo run -p lacewing-server --features http1 --example accept_loop
//! curl http://127.0.0.1:3000/
//! ```

use std::io::Write as _;

use axum::{Router, routing::get};
use lacewing_server::{Acceptor, Endpoints, ServerOptions};
use tokio::net::TcpListener;

#[tokio::main]
async fn main() -> std::io::Result<()> {
    let router = Router::new().route("/", get(|| async { "hello world\n" }));
    let acceptor = Acceptor::new(ServerOptions::default());
    let listener = TcpListener::bind("127.0.0.1:3000").await?;
    let _ = writeln!(std::io::stdout(), "http://{}/", listener.local_addr()?);
    loop {
        let (socket, peer) = listener.accept().await?;
        let (acceptor, router) = (acceptor.clone(), router.clone());
        tokio::spawn(async move {
            let endpoints = Endpoints::of_tcp(&socket);
            if let Err(error) = acceptor.serve_from(endpoints, socket, router).await {
                let _ = writeln!(std::io::stderr(), "{peer}: {error}");
            }
        });
    }
}
