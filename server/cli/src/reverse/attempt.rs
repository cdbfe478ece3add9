//! One attempt of a dialler: from a URL to a connection over which it serves.

use std::{fmt, net::SocketAddr, str::FromStr, time::Duration};

use http::{
    HeaderValue, Request, StatusCode, Uri,
    header::{AUTHORIZATION, CONNECTION, HOST, UPGRADE, USER_AGENT},
};
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use lacewing_client::{Body, ClientError, Connect as _, Connector, Origin, Security, tls::Tls};
use tokio::time::timeout;

use super::{handshake::ReverseProtocol, name::TunnelName, token::Token};
use crate::trust::Trust;

/// Time for the whole attempt: name, TCP, TLS, upgrade.
const PATIENCE: Duration = Duration::from_secs(15);

/// Bytes of the gateway's answer.
const MAX_HEAD: usize = 16 << 10;

/// The place of a tunnel, `https://GATEWAY/NAME`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct DialUrl {
    uri: Uri,
    origin: Origin,
}

impl DialUrl {
    /// Returns whether others on the way could read the token.
    pub(super) fn is_exposed(&self) -> bool {
        let host = self.origin.host();
        let here = host == "localhost"
            || host
                .parse()
                .is_ok_and(|address: std::net::IpAddr| address.is_loopback());
        self.origin.security() == Security::Cleartext && !here
    }
}

impl FromStr for DialUrl {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = |why: &dyn fmt::Display| {
            format!(
                "`{text}`: {why}; write the gateway and the tunnel's name, as https://gateway.example/office"
            )
        };
        let uri: Uri = text.parse().map_err(|error| wrong(&error))?;
        let origin = Origin::of(&uri).map_err(|error| wrong(&error))?;
        if uri.query().is_some() {
            return Err(wrong(&"it has a query"));
        }
        let name = uri.path().rsplit('/').next().unwrap_or_default();
        name.parse::<TunnelName>().map_err(|error| wrong(&error))?;
        Ok(Self { uri, origin })
    }
}

impl fmt::Display for DialUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.uri.fmt(f)
    }
}

/// A tunnel that is dialled.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Dial {
    pub(crate) url: DialUrl,
    pub(crate) protocol: ReverseProtocol,
    pub(crate) token: Token,
    pub(crate) trust: Trust,
    /// The time without a frame of the gateway after which a PING asks for it.
    pub(crate) keep_alive: Duration,
}

impl Dial {
    /// Dials, and asks for the upgrade.
    pub(super) async fn attempt(&self) -> Result<Dialled, String> {
        let attempt = timeout(PATIENCE, self.connect());
        let late = |_| Err(format!("no tunnel within {PATIENCE:?}"));
        attempt.await.unwrap_or_else(late)
    }

    async fn connect(&self) -> Result<Dialled, String> {
        let tls = Tls::with_certificates(self.trust.certificates(), Vec::new());
        let connector = Connector::tls(tls, None).http1();
        let connected = connector.connect(&self.url.origin).await;
        let connected = connected.map_err(|error| described(&error))?;
        let failed = |error: hyper::Error| format!("the gateway's answer: {error}");
        let (mut sender, connection) = hyper::client::conn::http1::Builder::new()
            .max_buf_size(MAX_HEAD)
            .handshake(TokioIo::new(connected.io))
            .await
            .map_err(failed)?;
        tokio::spawn(connection.with_upgrades());
        let mut response = sender.send_request(self.request()).await.map_err(failed)?;
        if response.status() != StatusCode::SWITCHING_PROTOCOLS {
            return Err(refused(response.status()));
        }
        if ReverseProtocol::of(response.headers()) != Some(self.protocol) {
            return Err("the gateway switched to another protocol".into());
        }
        let io = hyper::upgrade::on(&mut response).await.map_err(failed)?;
        Ok(Dialled {
            io: TokioIo::new(io),
            gateway: connected.address,
        })
    }

    fn request(&self) -> Request<Body> {
        let mut request = Request::new(Body::empty());
        *request.uri_mut() = self.url.uri.path().parse().unwrap_or_default();
        let fields = request.headers_mut();
        let authority = self.url.uri.authority();
        let host = authority.and_then(|authority| HeaderValue::from_str(authority.as_str()).ok());
        fields.extend(host.map(|host| (HOST, host)));
        fields.insert(CONNECTION, HeaderValue::from_static("upgrade"));
        fields.insert(UPGRADE, self.protocol.upgrade());
        fields.insert(AUTHORIZATION, self.token.bearer());
        fields.insert(USER_AGENT, HeaderValue::from_static("lacewingd"));
        request
    }
}

/// A connection over which the gateway sends requests.
pub(super) struct Dialled {
    pub(super) io: TokioIo<Upgraded>,
    pub(super) gateway: Option<SocketAddr>,
}

fn described(error: &ClientError) -> String {
    match error.is_certificate() {
        true => format!("{error} (--dial-ca FILE trusts another authority)"),
        false => error.to_string(),
    }
}

fn refused(status: StatusCode) -> String {
    let why = match status.as_u16() {
        401 => "the gateway does not know the tunnel's name, or the token is another one",
        403 => "something before the gateway forbids it",
        404 => "no gateway is there: is --tunnel set?",
        400 | 426 => "the gateway does not take this protocol (--dial-protocol)",
        503 => "the gateway ends, or has too many diallers of this name",
        _ => "there may be no gateway",
    };
    format!("the answer is {status}: {why}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_ends_in_the_name_of_the_tunnel() {
        for right in [
            "https://gateway.example/office",
            "http://127.0.0.1:8080/office",
            "https://[::1]:8443/behind/a/proxy/office",
        ] {
            assert_eq!(right.parse::<DialUrl>().unwrap().to_string(), right);
        }
        for wrong in [
            "gateway.example/office",
            "/office",
            "ftp://gateway.example/office",
            "https://user@gateway.example/office",
            "https://gateway.example",
            "https://gateway.example/office/",
            "https://gateway.example/office?token=1",
        ] {
            let error = wrong.parse::<DialUrl>().unwrap_err();
            assert!(error.contains("https://gateway.example/office"), "{error}");
        }
    }

    #[test]
    fn a_token_in_cleartext_is_exposed_except_to_this_machine() {
        for (url, exposed) in [
            ("https://gateway.example/office", false),
            ("http://gateway.example/office", true),
            ("http://192.0.2.1/office", true),
            ("http://127.0.0.1:80/office", false),
            ("http://[::1]/office", false),
            ("http://localhost/office", false),
        ] {
            let parsed: DialUrl = url.parse().unwrap();
            assert_eq!(parsed.is_exposed(), exposed, "{url}");
        }
    }
}
