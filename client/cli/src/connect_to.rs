//! `--connect-to`: other places for the connections to a host, with the names in TLS and in requests
//! as they were.

use std::{io, str::FromStr};

use lacewing_client::{Dial, Dialing, Origin};

/// `HOST1:PORT1:HOST2:PORT2`: connections to the first go to the second. An empty part of the first
/// stands for any; one of the second changes nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Detour {
    from: (Option<String>, Option<u16>),
    to: (Option<String>, Option<u16>),
}

impl Detour {
    fn takes(&self, origin: &Origin) -> bool {
        let (host, port) = &self.from;
        host.as_deref()
            .is_none_or(|host| host.eq_ignore_ascii_case(origin.host()))
            && port.is_none_or(|port| port == origin.port())
    }

    /// The origin to which the connection goes.
    fn target(&self, origin: &Origin) -> io::Result<Origin> {
        let (host, port) = &self.to;
        let host = host.as_deref().unwrap_or(origin.host());
        let port = port.unwrap_or(origin.port());
        let scheme = origin.security().scheme();
        let url = match host.contains(':') {
            true => format!("{scheme}://[{host}]:{port}/"),
            false => format!("{scheme}://{host}:{port}/"),
        };
        let url = url.parse().map_err(io::Error::other)?;
        Origin::of(&url).map_err(io::Error::other)
    }
}

impl FromStr for Detour {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || "write it as HOST1:PORT1:HOST2:PORT2, such as a.example:443:127.0.0.1:8443";
        let (from, rest) = place(text).ok_or_else(wrong)?;
        let rest = rest.strip_prefix(':').ok_or_else(wrong)?;
        let (to, rest) = place(rest).ok_or_else(wrong)?;
        match rest.is_empty() {
            true => Ok(Self { from, to }),
            false => Err(wrong().to_owned()),
        }
    }
}

type Place = (Option<String>, Option<u16>);

/// Reads `HOST:PORT` from the start; an IPv6 address has brackets.
fn place(text: &str) -> Option<(Place, &str)> {
    let (host, rest) = match text.strip_prefix('[') {
        Some(rest) => rest.split_once("]:")?,
        None => text.split_once(':')?,
    };
    let end = rest.find(':').unwrap_or(rest.len());
    let (port, rest) = rest.split_at_checked(end)?;
    let port = match port {
        "" => None,
        port => Some(port.parse().ok()?),
    };
    let plain = |byte: u8| byte.is_ascii_graphic() && !b"/?#@[]".contains(&byte);
    let host = match host {
        "" => None,
        host => Some(host.bytes().all(plain).then(|| host.to_owned())?),
    };
    Some(((host, port), rest))
}

/// Dials the places of detours; the first that takes an origin counts, as in curl.
pub(crate) struct ConnectTo<T> {
    pub(crate) inner: T,
    pub(crate) detours: Vec<Detour>,
}

impl<T: Dial> Dial for ConnectTo<T> {
    fn dial<'a>(&'a self, origin: &'a Origin) -> Dialing<'a> {
        let mut detours = self.detours.iter();
        match detours.find(|detour| detour.takes(origin)) {
            None => self.inner.dial(origin),
            Some(detour) => Box::pin(async move {
                let target = detour.target(origin)?;
                self.inner.dial(&target).await
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn detours_are_those_of_curl() {
        for (text, url, target) in [
            (
                "a.example:443:b.example:8443",
                "https://a.example/",
                "https://b.example:8443",
            ),
            (
                "A.example:443:[::1]:1",
                "https://a.example/",
                "https://[::1]:1",
            ),
            (
                "[::1]:80:127.0.0.1:81",
                "http://[::1]/",
                "http://127.0.0.1:81",
            ),
            (
                "::127.0.0.1:81",
                "http://a.example:5/",
                "http://127.0.0.1:81",
            ),
            (":5:b:", "http://a.example:5/", "http://b:5"),
            (
                "a.example:::81",
                "http://a.example:5/",
                "http://a.example:81",
            ),
        ] {
            let detour: Detour = text.parse().unwrap();
            let origin = Origin::of(&url.parse().unwrap()).unwrap();
            assert!(detour.takes(&origin), "{text}");
            assert_eq!(
                detour.target(&origin).unwrap().to_string(),
                target,
                "{text}"
            );
        }
        let detour: Detour = "a.example:443:b:1".parse().unwrap();
        for other in ["https://a.example:444/", "https://b.example/"] {
            let origin = Origin::of(&other.parse().unwrap()).unwrap();
            assert!(!detour.takes(&origin), "{other}");
        }
        for wrong in [
            "",
            "a",
            "a:1",
            "a:1:b",
            "a:x:b:1",
            "a:1:b:1:c",
            "a:1:b/c:1",
            "[::1:1:b:1",
        ] {
            assert!(wrong.parse::<Detour>().is_err(), "{wrong}");
        }
    }
}
