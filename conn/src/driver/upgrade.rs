//! From HTTP/1.1 to raw streams, by `Upgrade: SPDY/3.1` (RFC 9110 §7.8): how
//! `kubectl exec` and its kin begin.
//!
//! * [`requested`], [`switching`] and [`choose_stream_protocol`] are for those
//!   who have an HTTP/1.1 server already: it gives the upgraded transport and
//!   what was read from it, and [`MuxConnection::with_input`] takes both.
//! * With the feature `upgrade`, `Upgrade` does the HTTP/1.1 part itself, on
//!   either side and over any transport.
//!
//! Nothing of SPDY is sent before the 101 response, and nothing that came
//! right behind it is lost.
//!
//! [`MuxConnection::with_input`]: super::MuxConnection::with_input

#[cfg(feature = "upgrade")]
mod accept;
#[cfg(feature = "upgrade")]
mod error;
#[cfg(feature = "upgrade")]
mod head;
#[cfg(feature = "upgrade")]
mod request;

use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode, header};

#[cfg(feature = "upgrade")]
pub use self::{
    accept::Requested,
    error::UpgradeError,
    request::{Kubernetes, Switched},
};
use crate::Version;

/// The header field in which Kubernetes negotiates what the streams mean: a
/// client sends one for each protocol that it knows, best first, and the
/// server answers with the one that it chose.
pub const STREAM_PROTOCOL_VERSION: HeaderName =
    HeaderName::from_static("x-stream-protocol-version");

/// The header field in which a Kubernetes server that refuses says which
/// protocols it knows.
pub const ACCEPTED_STREAM_PROTOCOL_VERSIONS: HeaderName =
    HeaderName::from_static("x-accepted-stream-protocol-versions");

/// The version of SPDY that a request in HTTP/1.1 asks to go on in, if it asks
/// for one: the first that is known of its `Upgrade` field, and only if
/// `Connection` names that field (RFC 9110 §7.8). The caller makes sure that
/// the request was not of HTTP/1.0, and that its body was read to the end:
/// what follows is SPDY.
///
/// ```
/// use http::Request;
/// use lacewing_conn::{Version, driver::upgrade};
///
/// let request = Request::post("/exec").header("connection", "Upgrade").header("upgrade", "SPDY/3.1");
/// let request = request.body(())?;
/// assert_eq!(upgrade::requested(request.headers()), Some(Version::Spdy31));
/// # Ok::<(), http::Error>(())
/// ```
pub fn requested(headers: &HeaderMap) -> Option<Version> {
    if !tokens(headers, &header::CONNECTION).any(|name| name.eq_ignore_ascii_case("upgrade")) {
        return None;
    }
    tokens(headers, &header::UPGRADE).find_map(version)
}

/// The 101 response that says yes to [`requested`]; `None` for HTTP/2, which
/// has an upgrade of its own (`h2c`).
///
/// ```
/// use lacewing_conn::{Version, driver::upgrade};
///
/// let response = upgrade::switching(Version::Spdy31).ok_or("no such upgrade")?;
/// assert_eq!(response.status(), 101);
/// assert_eq!(response.headers()["upgrade"], "SPDY/3.1");
/// # Ok::<(), &str>(())
/// ```
pub fn switching(version: Version) -> Option<Response<()>> {
    let token = token(version)?;
    let mut response = Response::new(());
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    let headers = response.headers_mut();
    headers.insert(header::CONNECTION, HeaderValue::from_static("Upgrade"));
    headers.insert(header::UPGRADE, HeaderValue::from_static(token));
    Some(response)
}

/// The first of the client's protocols ([`STREAM_PROTOCOL_VERSION`]) that is
/// among ours. `None` when there is none: Kubernetes answers with 403 and
/// [`ACCEPTED_STREAM_PROTOCOL_VERSIONS`] then, unless the client named none
/// either, which stands for the oldest.
///
/// ```
/// use http::{HeaderMap, HeaderValue};
/// use lacewing_conn::driver::upgrade::{STREAM_PROTOCOL_VERSION, choose_stream_protocol};
///
/// let mut headers = HeaderMap::new();
/// headers.append(STREAM_PROTOCOL_VERSION, HeaderValue::from_static("v5.channel.k8s.io"));
/// headers.append(STREAM_PROTOCOL_VERSION, HeaderValue::from_static("v4.channel.k8s.io"));
/// let ours = ["v4.channel.k8s.io", "v3.channel.k8s.io"];
/// assert_eq!(choose_stream_protocol(&headers, &ours), Some("v4.channel.k8s.io"));
/// ```
pub fn choose_stream_protocol<'a>(headers: &HeaderMap, ours: &[&'a str]) -> Option<&'a str> {
    tokens(headers, &STREAM_PROTOCOL_VERSION)
        .find_map(|theirs| ours.iter().copied().find(|ours| *ours == theirs))
}

/// An upgrade by HTTP/1.1 over any transport: what is asked for, and the
/// bounds of the HTTP part. Feature `upgrade`.
///
/// ```
/// use lacewing_conn::driver::{MuxConfig, upgrade::Upgrade};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let (here, there) = tokio::io::duplex(4096);
/// let upgrade = Upgrade::default();
/// let server = tokio::spawn(async move {
///     let requested = Upgrade::default().accept(there).await?;
///     assert_eq!(requested.request().uri(), "/tunnel");
///     requested.switch(http::HeaderMap::new(), MuxConfig::default()).await
/// });
///
/// let request = http::Request::post("http://node:10250/tunnel").body(())?;
/// let switched = upgrade.request(here, request).await?;
/// let (client, connection) = switched.client(MuxConfig::default());
/// tokio::spawn(connection);
/// let (server, connection) = server.await??;
/// tokio::spawn(connection);
/// # let _ = (client, server);
/// # Ok(())
/// # }
/// ```
#[cfg(feature = "upgrade")]
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Upgrade {
    /// What to go on in: a version of SPDY. Default SPDY/3.1.
    pub version: Version,
    /// The longest head of a request or response, in bytes. Default 64 KiB.
    pub max_head: usize,
    /// The longest body of a request that comes before the switch, and as much
    /// as is read of the body of a response that refuses, in bytes. Default 64
    /// KiB.
    pub max_body: usize,
    /// Time for the HTTP part. Default 30 s.
    pub timeout: std::time::Duration,
}

#[cfg(feature = "upgrade")]
impl Default for Upgrade {
    fn default() -> Self {
        Self {
            version: Version::Spdy31,
            max_head: 64 << 10,
            max_body: 64 << 10,
            timeout: std::time::Duration::from_secs(30),
        }
    }
}

#[cfg(feature = "upgrade")]
impl Upgrade {
    /// The same, after `change`: for use where a value is wanted.
    #[must_use]
    pub fn with(mut self, change: impl FnOnce(&mut Self)) -> Self {
        change(&mut self);
        self
    }
}

/// The name of a version in `Upgrade`.
fn token(version: Version) -> Option<&'static str> {
    match version {
        Version::Spdy2 => Some("SPDY/2"),
        Version::Spdy3 => Some("SPDY/3"),
        Version::Spdy31 => Some("SPDY/3.1"),
        Version::Http2 => None,
    }
}

fn version(name: &str) -> Option<Version> {
    Version::ALL
        .into_iter()
        .find(|version| token(*version).is_some_and(|token| token.eq_ignore_ascii_case(name)))
}

/// The elements of a field that is a list.
fn tokens<'a>(headers: &'a HeaderMap, name: &HeaderName) -> impl Iterator<Item = &'a str> {
    headers
        .get_all(name)
        .into_iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(str::trim)
        .filter(|token| !token.is_empty())
}
