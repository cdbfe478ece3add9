//! The WebSocket handshake of a client (RFC 6455 §4.1).

use std::{future::poll_fn, pin::Pin};

use bytes::{Bytes, BytesMut};
use http::{HeaderValue, Request, Response, StatusCode, header};
use hyper::body::{Body, Incoming};
use hyper_util::rt::TokioIo;
use lacewing_conn::driver::upgrade::UpgradeError;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    task::JoinSet,
};
use tokio_tungstenite::{
    WebSocketStream,
    tungstenite::{
        handshake::{client::generate_key, derive_accept_key},
        protocol::Role,
    },
};

use super::{error::ConnectError, refusal::Refusal, upgrade::Ask};
use crate::{protocol::list, websocket::config};

/// Asks the server for a WebSocket. The caller bounds the wait.
pub(super) async fn handshake<IO>(
    io: IO,
    ask: &Ask<'_>,
) -> Result<WebSocketStream<IO>, ConnectError>
where
    IO: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let key = generate_key();
    let request = request(ask, &key)?;
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(io))
        .await
        .map_err(failure)?;
    // Dropped with this future: a refused upgrade closes its transport.
    let mut tasks = JoinSet::new();
    tasks.spawn(connection.with_upgrades());
    let mut response = sender.send_request(request).await.map_err(failure)?;
    if response.status() != StatusCode::SWITCHING_PROTOCOLS {
        let refusal = Refusal::new(read(response).await);
        return Err(ConnectError::Refused(Box::new(refusal)));
    }
    check(&response, &key, ask)?;
    let upgraded = hyper::upgrade::on(&mut response).await.map_err(failure)?;
    let parts = upgraded
        .downcast::<TokioIo<IO>>()
        .map_err(|_| failure("the HTTP client does not pass on the transport"))?;
    let io = parts.io.into_inner();
    let early = parts.read_buf.into();
    let config = Some(config(ask.limits));
    Ok(WebSocketStream::from_partially_read(io, early, Role::Client, config).await)
}

fn request(ask: &Ask<'_>, key: &str) -> Result<Request<String>, ConnectError> {
    let unsendable = |why| ConnectError::Upgrade(UpgradeError::Unsendable(why));
    let target = ask.uri.path_and_query().map_or("/", |path| path.as_str());
    let mut request = Request::get(target)
        .body(String::new())
        .map_err(|_| unsendable("the URI"))?;
    let headers = request.headers_mut();
    *headers = ask.headers.clone();
    if !headers.contains_key(header::HOST) {
        let authority = ask.uri.authority();
        let authority = authority
            .ok_or_else(|| unsendable("neither its URI nor a header field names the host"))?;
        // Without the userinfo before an @ (RFC 9110 §4.2.4).
        let host = authority.as_str().rsplit('@').next().unwrap_or_default();
        let host = HeaderValue::from_str(host).map_err(|_| unsendable("the URI's authority"))?;
        headers.insert(header::HOST, host);
    }
    let key = HeaderValue::from_str(key).map_err(|_| unsendable("the WebSocket's key"))?;
    headers.insert(header::CONNECTION, HeaderValue::from_static("Upgrade"));
    headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
    headers.insert(
        header::SEC_WEBSOCKET_VERSION,
        HeaderValue::from_static("13"),
    );
    headers.insert(header::SEC_WEBSOCKET_KEY, key);
    let protocol = HeaderValue::from_static(ask.websocket.name());
    headers.insert(header::SEC_WEBSOCKET_PROTOCOL, protocol);
    Ok(request)
}

/// Checks a 101 response.
fn check<B>(response: &Response<B>, key: &str, ask: &Ask<'_>) -> Result<(), ConnectError> {
    let headers = response.headers();
    let is_websocket =
        list(headers, &header::UPGRADE).any(|name| name.eq_ignore_ascii_case("websocket"));
    if !is_websocket {
        return Err(failure("the server switched to another protocol"));
    }
    let accept = headers.get(header::SEC_WEBSOCKET_ACCEPT);
    let expected = derive_accept_key(key.as_bytes());
    if accept.is_none_or(|accept| accept.as_bytes() != expected.as_bytes()) {
        return Err(failure("Sec-WebSocket-Accept has not the value of our key"));
    }
    let mut chosen = list(headers, &header::SEC_WEBSOCKET_PROTOCOL);
    let first = chosen.next();
    if first == Some(ask.websocket.name()) && chosen.next().is_none() {
        return Ok(());
    }
    Err(ConnectError::WrongProtocol(first.map(str::to_owned)))
}

/// Reads the first part of a refusal's body.
async fn read(response: Response<Incoming>) -> Response<Bytes> {
    let (parts, mut body) = response.into_parts();
    let mut start = BytesMut::new();
    while start.len() < Refusal::MAX_BODY {
        let frame = poll_fn(|cx| Pin::new(&mut body).poll_frame(cx)).await;
        // The part that arrived is of use, too.
        let Some(Ok(frame)) = frame else { break };
        if let Ok(data) = frame.into_data() {
            let room = Refusal::MAX_BODY.saturating_sub(start.len());
            start.extend_from_slice(data.get(..room).unwrap_or(&data));
        }
    }
    Response::from_parts(parts, start.freeze())
}

fn failure(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> ConnectError {
    ConnectError::WebSocket(error.into())
}
