//! Authorities (RFC 3986 §3.2): what `:authority`, `:host`, the `host` field and
//! whole URLs say of the server that a request is for.

use std::net::Ipv6Addr;

use http::{
    HeaderValue,
    uri::{self, Scheme},
};

/// An authority without user information, which is deprecated (RFC 9113
/// §8.3.1).
#[derive(Clone, Debug)]
pub(crate) enum Authority {
    /// A URI carries it.
    Uri(uri::Authority),
    /// A [`http::Uri`] has no place for it: percent-encoded bytes, such as
    /// `%2Frun%2Fsock.sock`, which gRPC stacks send over Unix sockets. The
    /// `host` field carries it.
    Field(HeaderValue),
}

impl Authority {
    /// `None` unless all of `value` is an authority with a host.
    pub(crate) fn parse(value: &[u8]) -> Option<Self> {
        if !is_plain(value) {
            HostPort::parse(value)?;
        }
        match uri::Authority::try_from(value) {
            Ok(authority) => Some(Self::Uri(authority)),
            Err(_) => HeaderValue::from_bytes(value).ok().map(Self::Field),
        }
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        match self {
            Self::Uri(authority) => authority.as_str().as_bytes(),
            Self::Field(value) => value.as_bytes(),
        }
    }

    /// As a field's value.
    pub(crate) fn to_field(&self) -> Option<HeaderValue> {
        match self {
            Self::Uri(authority) => HeaderValue::from_str(authority.as_str()).ok(),
            Self::Field(value) => Some(value.clone()),
        }
    }

    /// Both identify the same server to requests of this scheme (RFC 9113 §8.3.1, RFC 3986 §6.2).
    /// Neither case nor the scheme's own port makes a difference.
    pub(crate) fn is_same(&self, other: &[u8], scheme: Option<&Scheme>) -> bool {
        let own = self.as_bytes();
        if own.eq_ignore_ascii_case(other) {
            return true;
        }
        let (Some(own), Some(other)) = (HostPort::parse(own), HostPort::parse(other)) else {
            return false;
        };
        let default = scheme.and_then(default_port);
        own.port.or(default) == other.port.or(default) && own.is_same_host(&other)
    }
}

/// Returns `true` if `value` is an authority as requests carry it (RFC 3986 §3.2). This is a host,
/// and a port if it is not the scheme's own, without user information.
///
/// ```
/// use lacewing_conn::proto::fields::is_authority;
///
/// assert!(is_authority(b"example.org:8443") && is_authority(b"[::1]:80"));
/// assert!(is_authority(b"%2Frun%2Fsock.sock"));
/// assert!(!is_authority(b"") && !is_authority(b"user@example.org"));
/// ```
pub fn is_authority(value: &[u8]) -> bool {
    HostPort::parse(value).is_some()
}

/// Most authorities are names without a port, and seen to be valid at a glance.
fn is_plain(value: &[u8]) -> bool {
    let plain = |byte: &u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.');
    !value.is_empty() && value.iter().all(plain)
}

/// The two parts of an authority.
#[derive(Debug)]
struct HostPort<'a> {
    host: &'a [u8],
    /// `None` also if it is empty, which means the same.
    port: Option<u16>,
}

impl<'a> HostPort<'a> {
    fn parse(value: &'a [u8]) -> Option<Self> {
        let end = if value.first() == Some(&b'[') {
            value
                .iter()
                .position(|byte| *byte == b']')?
                .saturating_add(1)
        } else {
            let colon = value.iter().position(|byte| *byte == b':');
            colon.unwrap_or(value.len())
        };
        let (host, rest) = value.split_at_checked(end)?;
        let valid = match host {
            [b'[', literal @ .., b']'] => is_ip_literal(literal),
            name => !name.is_empty() && name_bytes(name).all(|byte| byte.is_some()),
        };
        if !valid {
            return None;
        }
        let port = match rest {
            [] | [b':'] => None,
            [b':', digits @ ..] if digits.iter().all(u8::is_ascii_digit) => {
                Some(std::str::from_utf8(digits).ok()?.parse().ok()?)
            }
            _ => return None,
        };
        Some(Self { host, port })
    }

    fn is_same_host(&self, other: &Self) -> bool {
        match (ipv6(self.host), ipv6(other.host)) {
            (Some(own), Some(other)) => own == other,
            (None, None) => name_bytes(self.host).eq(name_bytes(other.host)),
            _ => false,
        }
    }
}

/// The port that a scheme's URIs need not name.
fn default_port(scheme: &Scheme) -> Option<u16> {
    match scheme.as_str() {
        "http" | "ws" => Some(80),
        "https" | "wss" => Some(443),
        _ => None,
    }
}

/// The address of a literal without a zone.
fn ipv6(host: &[u8]) -> Option<Ipv6Addr> {
    let literal = host.strip_prefix(b"[")?.strip_suffix(b"]")?;
    std::str::from_utf8(literal).ok()?.parse().ok()
}

/// IPv6, with the zone of RFC 6874 if there is one, or IPvFuture (RFC 3986
/// §3.2.2).
fn is_ip_literal(literal: &[u8]) -> bool {
    let text = std::str::from_utf8(literal).unwrap_or_default();
    if let Some(future) = text.strip_prefix(['v', 'V']) {
        let Some((version, address)) = future.split_once('.') else {
            return false;
        };
        let hex = version.bytes().all(|byte| byte.is_ascii_hexdigit());
        let mut bytes = address.bytes();
        return hex
            && !version.is_empty()
            && !address.is_empty()
            && bytes.all(|byte| byte == b':' || is_name_byte(byte));
    }
    let (address, zone) = match text.split_once("%25") {
        Some((address, zone)) => (address, Some(zone)),
        None => (text, None),
    };
    let zone = zone.is_none_or(|zone| {
        !zone.is_empty() && name_bytes(zone.as_bytes()).all(|byte| byte.is_some())
    });
    zone && address.parse::<Ipv6Addr>().is_ok()
}

/// One byte of a registered name, normalised.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum NameByte {
    Plain(u8),
    /// Percent-encoded, and different from the byte itself.
    Encoded(u8),
}

/// The bytes of a registered name, normalised (RFC 3986 §6.2.2); `None` for
/// what may not be there.
fn name_bytes(name: &[u8]) -> impl Iterator<Item = Option<NameByte>> {
    let mut rest = name;
    std::iter::from_fn(move || {
        let (first, after) = rest.split_first()?;
        rest = after;
        if *first != b'%' {
            let byte = NameByte::Plain(first.to_ascii_lowercase());
            return Some(is_name_byte(*first).then_some(byte));
        }
        let [high, low, after @ ..] = rest else {
            return Some(None);
        };
        rest = after;
        let byte = hex(*high).zip(hex(*low)).map(|(high, low)| high << 4 | low);
        Some(byte.map(|byte| {
            if is_unreserved(byte) {
                NameByte::Plain(byte.to_ascii_lowercase())
            } else {
                NameByte::Encoded(byte)
            }
        }))
    })
}

fn hex(digit: u8) -> Option<u8> {
    let value = char::from(digit).to_digit(16)?;
    u8::try_from(value).ok()
}

fn is_unreserved(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~')
}

/// Unreserved or one of sub-delims (RFC 3986 §2).
fn is_name_byte(byte: u8) -> bool {
    is_unreserved(byte)
        || matches!(
            byte,
            b'!' | b'$' | b'&' | b'\'' | b'(' | b')' | b'*' | b'+' | b',' | b';' | b'='
        )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn authorities_are_those_of_rfc_3986() {
        for good in [
            "example.org",
            "example.org:80",
            "example.org:",
            "EXAMPLE.org:00080",
            "127.0.0.1:65535",
            "[::1]",
            "[2001:DB8::1]:443",
            "[::ffff:127.0.0.1]",
            "[fe80::1%25eth0]",
            "[v1.fe80::a+en1]:1",
            "a!$&'()*+,;=b",
            "%2Frun%2Fsock.sock",
            "%2frun:80",
            "_srv-1~.test",
        ] {
            assert!(is_authority(good.as_bytes()), "{good}");
            let parsed = Authority::parse(good.as_bytes()).unwrap();
            assert_eq!(parsed.as_bytes(), good.as_bytes());
            assert_eq!(parsed.to_field().unwrap(), good);
        }
        for bad in [
            "",
            ":80",
            "user@example.org",
            "user:secret@example.org",
            "@",
            "example.org:x",
            "example.org:+1",
            "example.org:65536",
            "example.org:80:80",
            "::1",
            "[::1",
            "::1]",
            "[]",
            "[::g]",
            "[::1]x",
            "[fe80::1%25]",
            "[fe80::1%eth0]",
            "[v.x]",
            "[v1.]",
            "[vg.x]",
            "a b",
            " a",
            "a\t",
            "a/b",
            "a?b",
            "a#b",
            "a%2",
            "a%",
            "a%zz",
            "a\"b",
            "a<b",
            "a\\b",
            "a^b",
            "a{b}",
            "\u{e9}",
            "a\0",
            "a\r\nb",
            "a,b c",
        ] {
            assert!(!is_authority(bad.as_bytes()), "{bad:?}");
        }
    }

    #[test]
    fn authorities_are_compared_after_normalisation() {
        let same = |one: &str, other: &str, scheme: Option<&Scheme>| {
            let one = Authority::parse(one.as_bytes()).unwrap();
            one.is_same(other.as_bytes(), scheme)
        };
        let (http, https) = (Some(&Scheme::HTTP), Some(&Scheme::HTTPS));
        for (one, other, scheme) in [
            ("a", "A", http),
            ("a", "a:80", http),
            ("a:", "a", http),
            ("a:080", "a", http),
            ("a", "a:443", https),
            ("[::1]", "[0:0:0:0:0:0:0:1]:443", https),
            ("%2frun", "%2Frun", http),
            ("%61.b", "a.b", http),
            ("a:443", "A:443", None),
        ] {
            assert!(same(one, other, scheme), "{one} {other}");
        }
        for (one, other, scheme) in [
            ("a", "b", http),
            ("a", "a:80", https),
            ("a", "a:443", http),
            ("a", "a:80", None),
            ("a", "a.", http),
            ("a", "u@a", http),
            ("a", "", http),
            ("a", "a a", http),
            ("%2Frun", "/run", http),
            ("[::1]", "[::2]", http),
            ("[::1]", "::1", http),
        ] {
            assert!(!same(one, other, scheme), "{one} {other}");
        }
    }
}
