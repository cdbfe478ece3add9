//! axum's own WebSockets, over HTTP/1.1 and over HTTP/2 (RFC 8441) by the same
//! handler. Browsers open them so on connections that are HTTP/2 already,
//! which for them means TLS:
//!
//! ```text
//! openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes \
//!     -subj /CN=localhost -addext subjectAltName=DNS:localhost \
//!     -addext basicConstraints=critical,CA:FALSE -keyout key.pem -out cert.pem
//! cargo run -p lacewing-server --features axum,tls --example axum_websocket
//! ```

use std::io::Write as _;

use axum::{
    Router,
    extract::ws::{Message, WebSocket, WebSocketUpgrade},
    response::{Html, Response},
    routing::{any, get},
};
use lacewing_server::Identity;
use tokio::net::TcpListener;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let listener = TcpListener::bind("127.0.0.1:8443").await?;
    let _ = writeln!(std::io::stdout(), "https://localhost:8443/");
    lacewing_server::axum::serve(listener, router())
        .with_tls(Identity::from_pem_files("cert.pem", "key.pem")?)
        .await?;
    Ok(())
}

/// The method is GET over HTTP/1.1 and CONNECT over HTTP/2: hence `any`.
pub fn router() -> Router {
    Router::new()
        .route("/", get(|| async { Html(PAGE) }))
        .route("/echo", any(websocket))
}

async fn websocket(upgrade: WebSocketUpgrade) -> Response {
    upgrade.protocols(["echo"]).on_upgrade(echo)
}

/// Echoes.
async fn echo(mut socket: WebSocket) {
    while let Some(Ok(message)) = socket.recv().await {
        // Pings and the closing handshake are axum's, as long as it is asked
        // for messages.
        let is_said = matches!(message, Message::Text(_) | Message::Binary(_));
        if is_said && socket.send(message).await.is_err() {
            return;
        }
    }
}

const PAGE: &str = "<!doctype html><title>WebSocket</title><pre></pre><script>
const socket = new WebSocket(`wss://${location.host}/echo`, 'echo');
socket.onopen = () => socket.send('hello');
socket.onmessage = (message) => document.querySelector('pre').append(message.data);
</script>";
