//! An axum `Router` over HTTP/2, SPDY/3.1, SPDY/3, SPDY/2 and HTTP/1.1, all on
//! one port: `lacewing_server::axum::serve` stands where `axum::serve` stood.
//!
//! ```text
//! cargo run -p lacewing-server --features axum --example axum
//! curl http://127.0.0.1:3000/hello/you
//! curl --http2-prior-knowledge http://127.0.0.1:3000/hello/you
//! lacewing get --protocol spdy/3.1 http://127.0.0.1:3000/hello/you
//! ```

use std::io::Write as _;
use std::net::SocketAddr;

use axum::{
    Extension, Router,
    extract::{ConnectInfo, Path},
    routing::{get, post},
};
use lacewing_server::ConnectionInfo;
use tokio::net::TcpListener;

#[tokio::main]
async fn main() -> std::io::Result<()> {
    let listener = TcpListener::bind("127.0.0.1:3000").await?;
    let _ = writeln!(
        std::io::stdout(),
        "http://{}/hello/you",
        listener.local_addr()?
    );
    serve(listener).await
}

/// Serves until Ctrl-C.
pub(crate) async fn serve(listener: TcpListener) -> std::io::Result<()> {
    let app = Router::new()
        .route("/hello/{name}", get(hello))
        .route("/echo", post(echo));
    let app = app.into_make_service_with_connect_info::<SocketAddr>();
    lacewing_server::axum::serve(listener, app)
        .with_graceful_shutdown(async {
            let _ = tokio::signal::ctrl_c().await;
        })
        .await
}

async fn hello(
    Extension(connection): Extension<ConnectionInfo>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    Path(name): Path<String>,
) -> String {
    format!("hello {name} at {peer}, over {}\n", connection.protocol())
}

async fn echo(body: axum::body::Bytes) -> axum::body::Bytes {
    body
}
