//! Origins (scheme and authority): the key of the pool.

use std::{
    collections::HashMap,
    fmt,
    hash::{Hash, Hasher},
};

use http::{
    Uri,
    uri::{Authority, Scheme},
};

use crate::RequestError;

/// A scheme and an authority (RFC 6454): requests of one origin share a
/// connection.
///
/// ```
/// use lacewing_client::{Origin, Security};
///
/// let origin = Origin::of(&"https://example.org:443/a".parse().unwrap()).unwrap();
/// assert_eq!(origin.to_string(), "https://example.org");
/// assert_eq!(origin.security(), Security::Tls);
/// assert_eq!((origin.host(), origin.port()), ("example.org", 443));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    security: Security,
    /// Without the port if it is the scheme's own.
    authority: Authority,
}

/// TLS or cleartext, by an origin's scheme.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Security {
    /// `http`.
    Cleartext,
    /// `https`.
    Tls,
}

impl Security {
    /// The port where none is given.
    pub const fn default_port(self) -> u16 {
        match self {
            Self::Cleartext => 80,
            Self::Tls => 443,
        }
    }

    /// The scheme of its URIs.
    pub const fn scheme(self) -> &'static str {
        match self {
            Self::Cleartext => "http",
            Self::Tls => "https",
        }
    }

    pub(crate) fn uri_scheme(self) -> Scheme {
        match self {
            Self::Cleartext => Scheme::HTTP,
            Self::Tls => Scheme::HTTPS,
        }
    }
}

/// Looks an origin up. Many clients have one alone, which needs no hash.
pub(crate) fn find<'a, T>(all: &'a mut HashMap<Origin, T>, origin: &Origin) -> Option<&'a mut T> {
    if all.len() > 1 {
        return all.get_mut(origin);
    }
    let (only, value) = all.iter_mut().next()?;
    (only == origin).then_some(value)
}

impl Origin {
    /// The origin of an absolute `http` or `https` URI.
    ///
    /// # Errors
    ///
    /// [`RequestError`] when the URI has no host, another scheme, user
    /// information, or a port above 65535.
    pub fn of(uri: &Uri) -> Result<Self, RequestError> {
        let authority = uri.authority().ok_or(RequestError::NoHost)?;
        let security = match uri.scheme_str() {
            Some("https") => Security::Tls,
            Some("http") => Security::Cleartext,
            Some(scheme) => {
                return Err(RequestError::Scheme {
                    scheme: scheme.to_owned(),
                });
            }
            None => return Err(RequestError::NoHost),
        };
        if authority.as_str().contains('@') {
            return Err(RequestError::Userinfo);
        }
        if authority.host().is_empty() {
            return Err(RequestError::NoHost);
        }
        let port = authority.as_str().strip_prefix(authority.host());
        let port = port.and_then(|port| port.strip_prefix(':'));
        // An empty port is the default one (RFC 3986 §3.2.3).
        if let Some(port) = port.filter(|port| !port.is_empty()) {
            if port.parse::<u16>().is_err() {
                return Err(RequestError::Port {
                    port: port.to_owned(),
                });
            }
        }
        let authority = match authority.port_u16() {
            Some(port) if port == security.default_port() => authority
                .host()
                .parse()
                .unwrap_or_else(|_| authority.clone()),
            _ => authority.clone(),
        };
        Ok(Self {
            security,
            authority,
        })
    }

    /// Returns TLS or cleartext, by the scheme.
    pub fn security(&self) -> Security {
        self.security
    }

    /// The host: a name, an IPv4 address, or an IPv6 address without its
    /// brackets.
    pub fn host(&self) -> &str {
        let host = self.authority.host();
        host.strip_prefix('[')
            .and_then(|host| host.strip_suffix(']'))
            .unwrap_or(host)
    }

    /// The port, given or the scheme's own.
    pub fn port(&self) -> u16 {
        self.authority
            .port_u16()
            .unwrap_or(self.security.default_port())
    }
}

/// `Authority` hashes byte by byte, which costs more than all else that finds a connection.
impl Hash for Origin {
    fn hash<H: Hasher>(&self, state: &mut H) {
        /// Makes letters lower case, since case does not matter. Other bytes may become equal, which
        /// a hash permits.
        const LOWER: u64 = 0x2020_2020_2020_2020;
        for word in self.authority.as_str().as_bytes().chunks(8) {
            let word = word
                .iter()
                .fold(0, |word, byte| word << 8 | u64::from(*byte));
            state.write_u64(word | LOWER);
        }
        self.security.hash(state);
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}", self.security.scheme(), self.authority)
    }
}

#[cfg(test)]
mod tests {
    use std::{collections::HashSet, hash::DefaultHasher};

    use super::*;

    fn of(uri: &str) -> Result<Origin, RequestError> {
        Origin::of(&uri.parse().unwrap())
    }

    #[test]
    fn the_default_port_and_case_do_not_matter() {
        assert_eq!(of("http://a.example/x"), of("http://A.example:80/y"));
        assert_ne!(of("http://a.example/"), of("https://a.example/"));
        assert_ne!(of("http://a.example/"), of("http://a.example:8080/"));
    }

    #[test]
    fn equal_origins_have_equal_hashes() {
        let hash = |uri: &str| {
            let mut hasher = DefaultHasher::new();
            of(uri).unwrap().hash(&mut hasher);
            hasher.finish()
        };
        assert_eq!(
            hash("http://Long-Name.a.Example:8080/x"),
            hash("http://long-name.A.example:8080/y")
        );
        let others = [
            "http://a.example:8080/",
            "http://a.example:8081/",
            "http://b.example:8080/",
            "https://a.example:8080/",
            "http://[::1]:8080/",
        ];
        let hashes: HashSet<u64> = others.iter().map(|uri| hash(uri)).collect();
        assert_eq!(hashes.len(), others.len());
    }

    #[test]
    fn what_cannot_be_connected_to_is_refused() {
        assert_eq!(of("/only/a/path"), Err(RequestError::NoHost));
        assert_eq!(of("http://user@a.example/"), Err(RequestError::Userinfo));
        assert_eq!(
            of("ftp://a.example/"),
            Err(RequestError::Scheme {
                scheme: "ftp".into()
            })
        );
        for port in ["65536", "99999", "4294967376"] {
            for (scheme, host) in [("http", "a.example"), ("https", "[::1]")] {
                let error = of(&format!("{scheme}://{host}:{port}/")).unwrap_err();
                assert_eq!(error, RequestError::Port { port: port.into() });
                assert!(error.to_string().contains("at most 65535"), "{error}");
            }
        }
        assert_eq!(of("http://a.example:/").unwrap().port(), 80);
        assert_eq!(of("https://[::1]:65535/").unwrap().port(), 65_535);
    }

    #[test]
    fn an_ipv6_host_loses_its_brackets() {
        let origin = of("https://[::1]:8443/").unwrap();
        assert_eq!((origin.host(), origin.port()), ("::1", 8443));
    }
}
