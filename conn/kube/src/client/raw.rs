//! The upgrade to raw streams: SPDY/3.1, or HTTP/2.

use http::{HeaderValue, Request};
use lacewing_conn::{
    Version,
    driver::upgrade::{STREAM_PROTOCOL_VERSION, Switched, Upgrade, UpgradeError},
};
use tokio::io::{AsyncRead, AsyncWrite};

use super::{error::ConnectError, upgrade::Ask};

/// Asks the server for raw streams. Returns the transport and the stream protocol that the server
/// chose; `None` if it named none.
pub(super) async fn upgrade<IO>(
    version: Version,
    io: IO,
    ask: &Ask<'_>,
) -> Result<(Switched<IO>, Option<String>), ConnectError>
where
    IO: AsyncRead + AsyncWrite + Unpin,
{
    let mut request = Request::post(ask.uri.clone())
        .body(())
        .map_err(|_| UpgradeError::Unsendable("the URI"))?;
    *request.headers_mut() = ask.headers.clone();
    for name in &ask.stream_protocols {
        let value = HeaderValue::from_static(name);
        request.headers_mut().append(STREAM_PROTOCOL_VERSION, value);
    }
    let upgrade = Upgrade::default().with(|upgrade| {
        upgrade.version = version;
        upgrade.timeout = ask.limits.connect_timeout;
    });
    let switched = upgrade.request(io, request).await?;
    let chosen = switched.response.headers().get(STREAM_PROTOCOL_VERSION);
    let chosen = chosen.map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned());
    match &chosen {
        Some(name) if !ask.stream_protocols.contains(&name.as_str()) => {
            Err(ConnectError::WrongProtocol(chosen))
        }
        _ => Ok((switched, chosen)),
    }
}
