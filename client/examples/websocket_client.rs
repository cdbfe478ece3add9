//! A WebSocket over HTTP/2 (extended CONNECT, RFC 8441): sends lines and prints
//! the answers.
//!
//! ```text
//! cargo run --example websocket_client                                   # echoes by itself
//! cargo run --example websocket_client -- http://127.0.0.1:8080/chat     # an axum server
//! ```

use std::io::Write as _;
use std::{convert::Infallible, error::Error};

use futures_util::{SinkExt as _, StreamExt as _};
use http::{Request, Response, Uri};
use lacewing_client::{Client, ConnectProtocol, Origin, Tunnel, Version};
use lacewing_server::{ExtendedConnect, RequestBody, Server, service_fn};
use tokio::io::AsyncWriteExt as _;
use tokio_tungstenite::{
    WebSocketStream,
    tungstenite::{Message, protocol::Role},
};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let url: Uri = match std::env::args().nth(1) {
        Some(url) => url.parse()?,
        None => echo_server().await?,
    };
    let client = Client::builder().cleartext_protocol(Version::Http2).build();
    let mut socket = connect(&client, &url).await?;
    for line in ["one", "two", "three"] {
        socket.send(Message::text(line)).await?;
        if let Some(answer) = socket.next().await {
            let _ = writeln!(std::io::stdout(), "{line} -> {}", answer?);
        }
    }
    socket.close(None).await?;
    while let Some(message) = socket.next().await {
        let _ = writeln!(std::io::stdout(), "{message:?}");
    }
    Ok(())
}

/// Opens a WebSocket at a path of an origin. There is no `Sec-WebSocket-Key` in
/// HTTP/2: the protocol is named by `:protocol`.
async fn connect(client: &Client, url: &Uri) -> Result<WebSocketStream<Tunnel>, Box<dyn Error>> {
    let mut request = Request::connect(url.clone())
        .header("sec-websocket-version", "13")
        .body(())?;
    let websocket = ConnectProtocol::from_static("websocket");
    request.extensions_mut().insert(websocket);
    let (_, tunnel) = client.tunnel(&Origin::of(url)?, request).await?;
    Ok(WebSocketStream::from_raw_socket(tunnel, Role::Client, None).await)
}

/// A server on a port of its own that sends all messages back.
async fn echo_server() -> Result<Uri, Box<dyn Error>> {
    let server = Server::builder()
        .bind(([127, 0, 0, 1], 0).into())
        .options(|options| options.extended_connect(ExtendedConnect::Offer))
        .build()
        .await?;
    let address = server.local_addrs().next().ok_or("no address")?;
    let service = service_fn(|request: Request<RequestBody>| async move {
        let Ok((response, tunnel)) = lacewing_server::tunnel(&request) else {
            let mut refusal = Response::new(None);
            *refusal.status_mut() = http::StatusCode::BAD_REQUEST;
            return Ok::<_, Infallible>(refusal.map(body));
        };
        tokio::spawn(echo(tunnel));
        Ok(response.map(|tunnel| body(Some(tunnel))))
    });
    tokio::spawn(server.serve(service));
    Ok(format!("http://{address}/echo").parse()?)
}

type TunnelOrNothing =
    http_body_util::Either<lacewing_server::TunnelBody, http_body_util::Empty<bytes::Bytes>>;

fn body(tunnel: Option<lacewing_server::TunnelBody>) -> TunnelOrNothing {
    match tunnel {
        Some(tunnel) => http_body_util::Either::Left(tunnel),
        None => http_body_util::Either::Right(http_body_util::Empty::new()),
    }
}

async fn echo(tunnel: Tunnel) {
    let mut socket = WebSocketStream::from_raw_socket(tunnel, Role::Server, None).await;
    while let Some(Ok(message)) = socket.next().await {
        let answered = message.is_text() || message.is_binary();
        if answered && socket.send(message).await.is_err() {
            return;
        }
    }
    // Without it the stream would be reset, and the last word perhaps lost.
    let _ = socket.get_mut().shutdown().await;
}
