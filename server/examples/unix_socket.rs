//! A server on a Unix socket, in HTTP/2, SPDY and HTTP/1.1, which knows whose
//! process asks:
//!
//! ```text
//! cargo run -p lacewing-server --features http1 --example unix_socket
//! curl --unix-socket hello.sock http://localhost/
//! curl --unix-socket hello.sock --http2-prior-knowledge http://localhost/
//! ```

use std::io::Write as _;

#[cfg(unix)]
#[tokio::main]
async fn main() -> Result<(), lacewing_server::StartError> {
    use axum::{Router, routing::get};
    use lacewing_server::{Extension, Server};

    let _ = writeln!(std::io::stdout(), "hello.sock");
    Server::builder()
        .bind_unix("hello.sock")
        .options(|options| options.connection_info(Extension::Insert))
        .shutdown(async {
            let _ = tokio::signal::ctrl_c().await;
        })
        .serve(Router::new().route("/", get(hello)))
        .await
}

#[cfg(unix)]
async fn hello(
    axum::Extension(connection): axum::Extension<lacewing_server::ConnectionInfo>,
) -> String {
    match connection.peer() {
        Some(peer) => format!("hello {peer}, over {}\n", connection.protocol()),
        None => "hello\n".to_owned(),
    }
}

#[cfg(not(unix))]
fn main() {
    let _ = writeln!(std::io::stderr(), "this system has no Unix sockets");
}
