//! A tunnel by CONNECT (RFC 9110 §9.3.6), in HTTP/1.1.

use bytes::Bytes;
use http::{HeaderValue, Method, Request, header};
use http_body_util::Empty;
use hyper_util::rt::TokioIo;
use lacewing_client::Dialed;

use super::error::{Login, ProxyError};

/// Asks the proxy at the other end for a tunnel to `target`.
pub(super) async fn tunnel(
    dialed: Dialed,
    proxy: String,
    target: &str,
    authorization: Option<&HeaderValue>,
) -> Result<Dialed, ProxyError> {
    let Dialed { io, address, .. } = dialed;
    let broken = |source| ProxyError::Broken {
        proxy: proxy.clone(),
        source,
    };
    let handshake = hyper::client::conn::http1::handshake::<_, Empty<Bytes>>(TokioIo::new(io));
    let (mut sender, connection) = handshake.await.map_err(broken)?;
    // It ends with the tunnel, or when the sender is dropped.
    tokio::spawn(connection.with_upgrades());
    let sent = sender.send_request(connect(target, authorization));
    let response = sent.await.map_err(broken)?;
    let status = response.status();
    if !status.is_success() {
        let login = Login::of(authorization);
        return Err(ProxyError::Refused {
            proxy,
            status,
            login,
        });
    }
    let tunnel = hyper::upgrade::on(response).await.map_err(broken)?;
    Ok(Dialed::new(TokioIo::new(tunnel)).at(address))
}

fn connect(target: &str, authorization: Option<&HeaderValue>) -> Request<Empty<Bytes>> {
    let mut request = Request::new(Empty::new());
    *request.method_mut() = Method::CONNECT;
    if let Ok(uri) = target.parse() {
        *request.uri_mut() = uri;
    }
    let fields = request.headers_mut();
    if let Ok(host) = HeaderValue::from_str(target) {
        fields.insert(header::HOST, host);
    }
    let agent = concat!("lacewing/", env!("CARGO_PKG_VERSION"));
    fields.insert(header::USER_AGENT, HeaderValue::from_static(agent));
    if let Some(authorization) = authorization {
        fields.insert(header::PROXY_AUTHORIZATION, authorization.clone());
    }
    request
}
