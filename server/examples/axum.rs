//! An axum `Router` over HTTP/2, SPDY/3.1, SPDY/3, SPDY/2 and HTTP/1.1, all on
//! one port:
//!
//! ```text
//! cargo run -p lacewing-server --features http1 --example axum
//! curl http://127.0.0.1:3000/hello/you
//! curl --http2-prior-knowledge http://127.0.0.1:3000/hello/you
//! lacewing get --protocol spdy/3.1 http://127.0.0.1:3000/hello/you
//! ```

use axum::{
    Extension, Router,
    extract::Path,
    routing::{get, post},
};
use lacewing_server::{ConnectionInfo, Server};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let router = Router::new()
        .route("/hello/{name}", get(hello))
        .route("/echo", post(echo));
    let server = Server::builder()
        .bind(([127, 0, 0, 1], 3000).into())
        .observer(|event| eprintln!("{event}"))
        .shutdown(async {
            let _ = tokio::signal::ctrl_c().await;
        })
        .build()
        .await?;
    for address in server.local_addrs() {
        println!("http://{address}/hello/you");
    }
    server.serve(router).await;
    Ok(())
}

async fn hello(
    Extension(connection): Extension<ConnectionInfo>,
    Path(name): Path<String>,
) -> String {
    format!("hello {name}, over {}\n", connection.protocol())
}

async fn echo(body: axum::body::Bytes) -> axum::body::Bytes {
    body
}
