//! WebSockets over HTTP/2 (extended CONNECT, RFC 8441) with axum and
//! tokio-tungstenite: what is said is said back.
//!
//! ```text
//! cargo run -p lacewing-server --features http1 --example websocket_server
//! ```
//!
//! Browsers open WebSockets so on connections that are HTTP/2 already, which
//! for them means TLS; see `ServerBuilder::bind_tls`.

use std::io::Write as _;

use axum::{
    Router,
    body::Body,
    extract::Request,
    http::StatusCode,
    response::{Html, IntoResponse, Response},
    routing::{any, get},
};
use futures_util::{SinkExt, StreamExt};
use lacewing_server::{ConnectRequest, ExtendedConnect, Server, Tunnel};
use tokio_tungstenite::{WebSocketStream, tungstenite::protocol::Role};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let server = Server::builder()
        .bind(([127, 0, 0, 1], 3000).into())
        .options(|options| {
            options
                .extended_connect(ExtendedConnect::Offer)
                .observer(|event| {
                    // eprintln! would panic if the log is closed.
                    let _ = writeln!(std::io::stderr(), "{event}");
                })
        })
        .build()
        .await?;
    for address in server.local_addrs() {
        let _ = writeln!(std::io::stdout(), "http://{address}/echo");
    }
    server.serve(router()).await;
    Ok(())
}

pub(crate) fn router() -> Router {
    Router::new()
        .route("/", get(|| async { Html("a WebSocket is at /echo") }))
        .route("/echo", any(websocket))
}

/// Agrees to a WebSocket, whose work is a task of its own.
async fn websocket(request: Request) -> Response {
    let Some(connect) = request.extensions().get::<ConnectRequest>() else {
        return (StatusCode::BAD_REQUEST, "only over HTTP/2").into_response();
    };
    if connect.protocol() != Some("websocket") {
        return (StatusCode::NOT_IMPLEMENTED, "WebSockets only").into_response();
    }
    match connect.accept() {
        Ok((response, tunnel)) => {
            tokio::spawn(echo(tunnel));
            response.map(Body::new)
        }
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
    }
}

async fn echo(tunnel: Tunnel) {
    let mut socket = WebSocketStream::from_raw_socket(tunnel, Role::Server, None).await;
    while let Some(Ok(message)) = socket.next().await {
        if (message.is_text() || message.is_binary()) && socket.send(message).await.is_err() {
            return;
        }
    }
    // The stream ends after the closing handshake, and not before.
    let _ = tokio::io::AsyncWriteExt::shutdown(socket.get_mut()).await;
}
