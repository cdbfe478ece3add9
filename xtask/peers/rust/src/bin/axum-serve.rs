//! axum-serve PORT FOLDER: an axum application as its users write it, on
//! `lacewing_server::axum::serve` in place of `axum::serve`.
//!
//! ```text
//! GET  /NAME      the file NAME of FOLDER
//! GET  /who       the address of the peer by `ConnectInfo`, the version of the request, and
//!                 its `x-forwarded-for`
//! POST /digest    `LENGTH SHA256` of the request body; PUT as well
//! ```

use std::net::SocketAddr;

use axum::Router;
use axum::extract::{ConnectInfo, Request};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use lacewing_interop_peers::{Error, files};
use tokio::net::TcpListener;
use tower_http::services::ServeDir;

#[tokio::main]
async fn main() -> Result<(), Error> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [port, folder] = args.as_slice() else {
        return Err("usage: axum-serve PORT FOLDER".into());
    };
    let app = Router::new()
        .route("/who", get(who))
        .route("/digest", post(digest).put(digest))
        .fallback_service(ServeDir::new(folder));
    let listener = TcpListener::bind(("127.0.0.1", port.parse()?)).await?;
    let service = app.into_make_service_with_connect_info::<SocketAddr>();
    lacewing_server::axum::serve(listener, service).await?;
    Ok(())
}

async fn who(ConnectInfo(peer): ConnectInfo<SocketAddr>, request: Request) -> String {
    let forwarded = request.headers().get("x-forwarded-for");
    let client = forwarded.and_then(|value| value.to_str().ok());
    let client = client.unwrap_or("no client");
    format!("{} {:?} for {client}\n", peer.ip(), request.version())
}

async fn digest(request: Request) -> Response {
    match files::digest(request.into_body()).await {
        Ok(body) => format!("{} {}", body.length, body.sha256).into_response(),
        Err(error) => (http::StatusCode::BAD_REQUEST, error.to_string()).into_response(),
    }
}
