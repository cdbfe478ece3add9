//! The addresses of upstreams: their protocol, and their host and port or socket.

use std::{fmt, path::PathBuf, str::FromStr};

use http::uri::{Authority, Scheme};
use lacewing_client::Version;

use crate::reverse::TunnelName;

/// The address of an upstream, as the command line names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct UpstreamAddress {
    text: String,
    pub(crate) speaks: Speaks,
    /// That of the URIs of its requests, and for TLS that of its certificate.
    pub(crate) authority: Authority,
    /// The path of a Unix socket, which takes the place of the authority.
    pub(crate) socket: Option<PathBuf>,
    /// The tunnel through which it dials in.
    pub(crate) tunnel: Option<TunnelName>,
}

/// The protocol that an upstream speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Speaks {
    Http1,
    /// ALPN decides.
    Tls,
    /// In cleartext, with prior knowledge.
    Multiplexed(Version),
    /// HTTP/2 or SPDY/3.1, as the dialler decides.
    Dialled,
}

impl Speaks {
    /// Upstreams are named by these schemes.
    const SCHEMES: [(&'static str, Self); 6] = [
        ("http", Self::Http1),
        ("https", Self::Tls),
        ("h2c", Self::Multiplexed(Version::Http2)),
        ("spdy31", Self::Multiplexed(Version::Spdy31)),
        ("spdy3", Self::Multiplexed(Version::Spdy3)),
        ("spdy2", Self::Multiplexed(Version::Spdy2)),
    ];

    fn of(scheme: &str) -> Option<Self> {
        let mut known = Self::SCHEMES.into_iter();
        known
            .find(|(name, _)| *name == scheme)
            .map(|(_, speaks)| speaks)
    }

    /// The scheme of URIs.
    pub(crate) fn uri_scheme(self) -> Scheme {
        match self {
            Self::Tls => Scheme::HTTPS,
            Self::Http1 | Self::Multiplexed(_) | Self::Dialled => Scheme::HTTP,
        }
    }
}

impl FromStr for UpstreamAddress {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let unknown = || {
            format!(
                "`{text}` is no upstream; write http://HOST:PORT, https://HOST, h2c://HOST:PORT, \
                 spdy31://, spdy3:// or spdy2://HOST:PORT, unix:/PATH, unix+h2c:/PATH or tunnel:NAME"
            )
        };
        let (scheme, rest) = text.split_once(':').ok_or_else(unknown)?;
        if scheme == "tunnel" {
            let name: TunnelName = rest.parse()?;
            return Ok(Self {
                text: text.to_owned(),
                speaks: Speaks::Dialled,
                authority: Authority::try_from(name.as_str()).map_err(|_| unknown())?,
                socket: None,
                tunnel: Some(name),
            });
        }
        let socket = match scheme.strip_prefix("unix") {
            Some("") => Some("http"),
            Some(speaks) => speaks.strip_prefix('+'),
            None => None,
        };
        if let Some(scheme) = socket {
            let speaks = Speaks::of(scheme).ok_or_else(unknown)?;
            let path = rest.strip_prefix("//").filter(|path| path.starts_with('/'));
            let path = path.unwrap_or(rest);
            if path.is_empty() {
                return Err(unknown());
            }
            if cfg!(not(unix)) {
                return Err(format!("`{text}`: this system has no Unix sockets"));
            }
            return Ok(Self {
                text: text.to_owned(),
                speaks,
                authority: Authority::from_static("localhost"),
                socket: Some(path.into()),
                tunnel: None,
            });
        }
        let speaks = Speaks::of(scheme).ok_or_else(unknown)?;
        let rest = rest.strip_prefix("//").ok_or_else(unknown)?;
        let rest = rest.strip_suffix('/').unwrap_or(rest);
        if rest.contains('/') {
            return Err(format!(
                "`{text}` has a path; requests are forwarded with the path that they have"
            ));
        }
        let authority: Authority = rest.parse().map_err(|_| unknown())?;
        if authority.host().is_empty() || rest.contains('@') {
            return Err(unknown());
        }
        if let Some(port) = rest.strip_prefix(authority.host()) {
            let number = port.strip_prefix(':').unwrap_or_default();
            if !port.is_empty() && number.parse::<u16>().is_err() {
                let is_number = number.bytes().all(|byte| byte.is_ascii_digit());
                return Err(match is_number && !number.is_empty() {
                    true => format!("`{text}`: the port {number} is above 65535"),
                    false => unknown(),
                });
            }
        }
        Ok(Self {
            text: text.trim_end_matches('/').to_owned(),
            speaks,
            authority,
            socket: None,
            tunnel: None,
        })
    }
}

impl fmt::Display for UpstreamAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_scheme_names_the_protocol() {
        for (text, speaks, authority, socket) in [
            (
                "http://127.0.0.1:3000/",
                Speaks::Http1,
                "127.0.0.1:3000",
                None,
            ),
            ("https://a.example", Speaks::Tls, "a.example", None),
            (
                "h2c://[::1]:50051",
                Speaks::Multiplexed(Version::Http2),
                "[::1]:50051",
                None,
            ),
            (
                "spdy31://a",
                Speaks::Multiplexed(Version::Spdy31),
                "a",
                None,
            ),
            ("unix:/run/a", Speaks::Http1, "localhost", Some("/run/a")),
            ("unix:///run/a", Speaks::Http1, "localhost", Some("/run/a")),
            ("tunnel:office", Speaks::Dialled, "office", None),
            (
                "unix+spdy2:a",
                Speaks::Multiplexed(Version::Spdy2),
                "localhost",
                Some("a"),
            ),
        ] {
            if cfg!(not(unix)) && socket.is_some() {
                continue;
            }
            let address: UpstreamAddress = text.parse().unwrap();
            assert_eq!(
                (address.speaks, address.authority.as_str()),
                (speaks, authority)
            );
            assert_eq!(address.socket, socket.map(PathBuf::from));
            assert_eq!(address.to_string(), text.trim_end_matches('/'));
        }
    }

    #[test]
    fn a_wrong_address_is_named() {
        for text in [
            "",
            "127.0.0.1:80",
            "http:/a",
            "http://",
            "http://a:",
            "http://a:x",
            "http://u@a",
            "http://a/b",
            "ftp://a",
            "unix:",
            "unixh2c:/a",
            "unix+:/a",
            "unix+h3:/a",
        ] {
            let error = text.parse::<UpstreamAddress>().unwrap_err();
            assert!(error.contains(text), "{error}");
        }
        for text in ["http://a:65536", "https://[::1]:99999/", "spdy31://a:65536"] {
            let error = text.parse::<UpstreamAddress>().unwrap_err();
            assert!(error.contains(text), "{error}");
            assert!(error.ends_with(" is above 65535"), "{error}");
        }
    }
}
