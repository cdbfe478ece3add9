//! The target of a request: scheme, authority and path (RFC 9113 §8.3.1, the
//! drafts' §3.2.1).

use std::{borrow::Cow, fmt::Write as _};

use bytes::Bytes;
use http::{
    HeaderMap, Method, Uri, header,
    uri::{self, PathAndQuery, Scheme},
};

use crate::proto::{Rule, authority::Authority};

/// The longest path that an [`http::Uri`] holds.
const MAX_PATH: usize = u16::MAX as usize - 1;

/// The target of a request, as far as its header list says it.
#[derive(Debug, Default)]
pub(crate) struct Target {
    pub(crate) scheme: Option<Scheme>,
    pub(crate) authority: Option<Authority>,
    pub(crate) path: Option<PathAndQuery>,
    pub(crate) host: HostField,
}

/// The `host` field beside the pseudo-header fields.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum HostField {
    #[default]
    Absent,
    Present,
}

impl Target {
    /// The list has none of the pseudo-header fields of a target.
    pub(crate) fn is_empty(&self) -> bool {
        self.scheme.is_none() && self.authority.is_none() && self.path.is_none()
    }

    /// The target of CONNECT: an authority and nothing else (RFC 9113 §8.5).
    pub(crate) fn take_connect_uri(
        &mut self,
        host: HostField,
        fields: &mut HeaderMap,
    ) -> Result<Uri, Rule> {
        if self.scheme.is_some() || self.path.is_some() {
            return Err(Rule::InvalidPseudoField);
        }
        if self.authority.is_none() {
            return Err(Rule::MissingPseudoField);
        }
        // One that a URI has no place for is no target of a connection.
        let authority = authority_of(self.authority.take(), None, host, fields)?;
        let authority = authority.ok_or(Rule::UnsupportedTarget)?;
        // There is no default port (RFC 9110 §9.3.6).
        if authority.port_u16().is_none() {
            return Err(Rule::UnsupportedTarget);
        }
        let mut parts = uri::Parts::default();
        parts.authority = Some(authority);
        Uri::from_parts(parts).map_err(|_| Rule::InvalidPseudoValue)
    }

    /// The target of any other request: scheme and path, and perhaps an
    /// authority.
    pub(crate) fn take_uri(
        &mut self,
        method: &Method,
        host: HostField,
        fields: &mut HeaderMap,
    ) -> Result<Uri, Rule> {
        let scheme = self.scheme.take().ok_or(Rule::MissingPseudoField)?;
        let path = self.path.take().ok_or(Rule::MissingPseudoField)?;
        if path.as_str() == "*" && method != Method::OPTIONS {
            return Err(Rule::InvalidPseudoValue);
        }
        let authority = authority_of(self.authority.take(), Some(&scheme), host, fields)?;
        let mut parts = uri::Parts::default();
        // Without an authority a URI cannot carry its scheme.
        parts.scheme = authority.is_some().then_some(scheme);
        parts.authority = authority;
        parts.path_and_query = Some(path);
        Uri::from_parts(parts).map_err(|_| Rule::InvalidPseudoValue)
    }
}

/// The authority for the URI. The `host` field, of which there is one at most, has the same value
/// as `:authority`. It has all of it where a URI has no place for that.
fn authority_of(
    authority: Option<Authority>,
    scheme: Option<&Scheme>,
    host: HostField,
    fields: &mut HeaderMap,
) -> Result<Option<uri::Authority>, Rule> {
    let host = match host {
        HostField::Present => fields.get(header::HOST),
        HostField::Absent => None,
    };
    let Some(host) = host else {
        return match authority {
            None => Ok(None),
            Some(Authority::Uri(authority)) => Ok(Some(authority)),
            Some(Authority::Field(host)) => {
                fields.insert(header::HOST, host);
                Ok(None)
            }
        };
    };
    if fields.get_all(header::HOST).iter().nth(1).is_some() {
        return Err(Rule::ContradictingFields);
    }
    let authority = match authority {
        // A target without an authority (RFC 9112 §3.2).
        None if host.is_empty() => return Ok(None),
        None => Authority::parse(host.as_bytes()).ok_or(Rule::InvalidPseudoValue)?,
        Some(authority) if authority.is_same(host.as_bytes(), scheme) => authority,
        Some(_) => return Err(Rule::ContradictingFields),
    };
    if host.as_bytes() != authority.as_bytes() {
        let host = authority.to_field().ok_or(Rule::InvalidPseudoValue)?;
        fields.insert(header::HOST, host);
    }
    Ok(match authority {
        Authority::Uri(authority) => Some(authority),
        Authority::Field(_) => None,
    })
}

/// A scheme, which has at least a letter (RFC 3986 §3.1).
pub(crate) fn parse_scheme(value: &[u8]) -> Option<Scheme> {
    if !value.first().is_some_and(u8::is_ascii_alphabetic) {
        return None;
    }
    Scheme::try_from(value).ok()
}

/// A path with its query, or `*`. `shared` makes bytes of `value` that last.
#[inline]
pub(crate) fn parse_path(
    value: &[u8],
    shared: impl FnOnce() -> Bytes,
) -> Result<PathAndQuery, Rule> {
    let absolute = value.first() == Some(&b'/') || value == b"*";
    // A fragment is no part of a request (RFC 9113 §8.3.1), and would be cut
    // off silently.
    if !absolute || value.contains(&b'#') {
        return Err(Rule::InvalidPseudoValue);
    }
    PathAndQuery::from_maybe_shared(shared()).map_err(|_| refused(value))
}

/// The rule that a path breaks which no URI holds. Others serve some of these,
/// so that a client deserves an answer.
#[cold]
fn refused(value: &[u8]) -> Rule {
    let control = |byte: &u8| *byte <= b' ' || *byte == 0x7f;
    if value.iter().any(control) {
        Rule::InvalidPseudoValue
    } else if value.len() > MAX_PATH {
        Rule::TargetTooLong
    } else {
        Rule::UnsupportedTarget
    }
}

/// The path with its query as it is sent: bytes that an [`http::Uri`] permits and
/// RFC 3986 (§3.3, §3.4) does not are percent-encoded.
pub(crate) fn path_of(uri: &Uri) -> Cow<'_, str> {
    let path = uri.path_and_query().map_or("/", PathAndQuery::as_str);
    if path.is_empty() {
        return Cow::Borrowed("/");
    }
    if path.bytes().all(is_of_a_path) {
        return Cow::Borrowed(path);
    }
    let mut encoded = String::with_capacity(path.len().saturating_add(16));
    for byte in path.bytes() {
        if is_of_a_path(byte) {
            encoded.push(char::from(byte));
        } else {
            // Writing to a string does not fail.
            let _ = write!(encoded, "%{byte:02X}");
        }
    }
    Cow::Owned(encoded)
}

#[expect(clippy::indexing_slicing, reason = "at compile time")]
/// By byte: all of ASCII that is seen may stand in a path or query, but for nine.
static OF_A_PATH: [bool; 256] = {
    let mut table = [false; 256];
    let mut byte = b'!';
    while byte <= b'~' {
        let odd = b"\"<>\\^`{|}";
        let mut seen = 0;
        let mut stands = true;
        while seen < odd.len() {
            stands &= odd[seen] != byte;
            seen += 1;
        }
        table[byte as usize] = stands;
        byte += 1;
    }
    table
};

fn is_of_a_path(byte: u8) -> bool {
    OF_A_PATH.get(usize::from(byte)) == Some(&true)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(value: &[u8]) -> Result<String, Rule> {
        let parsed = parse_path(value, || Bytes::copy_from_slice(value));
        parsed.map(|path| path.as_str().to_owned())
    }

    #[test]
    fn a_scheme_begins_with_a_letter() {
        assert!(parse_scheme(b"https").is_some() && parse_scheme(b"x+1").is_some());
        for bad in [&b""[..], b"1a", b"+x", b"a b"] {
            assert_eq!(parse_scheme(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn odd_bytes_of_a_path_are_encoded_on_the_way_out() {
        for (path, sent) in [
            ("/", "/"),
            ("*", "*"),
            ("/a%22?b[]=';", "/a%22?b[]=';"),
            ("/\"{|}?{}", "/%22%7B%7C%7D?%7B%7D"),
            ("/\u{e9}?\u{4e2d}", "/%C3%A9?%E4%B8%AD"),
        ] {
            let path = PathAndQuery::from_maybe_shared(Bytes::from(path)).unwrap();
            assert_eq!(path_of(&Uri::from(path)), sent);
        }
    }

    #[test]
    fn a_path_is_served_refused_or_malformed() {
        let served = ["*", "/", "/a?b", "/%22", "/\u{e9}\u{4e2d}?\u{e9}"];
        for good in served {
            assert_eq!(path(good.as_bytes()), Ok(good.to_owned()), "{good}");
        }
        for bad in [
            "", "a", "?", "*a", "/#", "/a b", "/\t", "/\r", "/\n", "/\0", "/\x7f",
        ] {
            assert_eq!(
                path(bad.as_bytes()),
                Err(Rule::InvalidPseudoValue),
                "{bad:?}"
            );
        }
        assert_eq!(path(b"/\xff"), Err(Rule::UnsupportedTarget));
        let mut long = vec![b'a'; MAX_PATH];
        long[0] = b'/';
        assert!(path(&long).is_ok());
        long.push(b'a');
        assert_eq!(path(&long), Err(Rule::TargetTooLong));
        // Every byte of ASCII beside these has an answer.
        for byte in b'!'..0x7f {
            for text in [format!("/{}", byte as char), format!("/?{}", byte as char)] {
                match path(text.as_bytes()) {
                    Ok(_) | Err(Rule::UnsupportedTarget) => assert_ne!(byte, b'#'),
                    Err(rule) => assert_eq!((byte, rule), (b'#', Rule::InvalidPseudoValue)),
                }
            }
        }
    }
}
