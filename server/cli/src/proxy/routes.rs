//! Routes: which upstreams answer a request, by its host and the prefix of its path.

use std::{borrow::Cow, str::FromStr};

use super::address::UpstreamAddress;

/// The most routes, and the most upstreams of a route.
const MAX_ROUTES: usize = 256;
const MAX_UPSTREAMS: usize = 64;

/// A route of the command line: `[HOST][/PREFIX]=UPSTREAM[,UPSTREAM]`, or upstreams alone for all
/// requests.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RouteSpec {
    pub(crate) pattern: Pattern,
    pub(crate) upstreams: Vec<UpstreamAddress>,
}

/// The requests that a route takes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Pattern {
    /// In lower case, without a port. `None` for every host.
    pub(crate) host: Option<String>,
    /// Without a slash at its end: empty for every path.
    pub(crate) prefix: String,
}

impl Pattern {
    /// Returns whether the pattern takes a path, which is normalized.
    fn takes(&self, host: &str, path: &str) -> bool {
        let rest = path.strip_prefix(&*self.prefix);
        self.host.as_deref().is_none_or(|named| named == host)
            && rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
            || self.prefix.is_empty() && self.host.as_deref().is_none_or(|named| named == host)
    }

    /// A host precedes all patterns without one, then the longest prefix.
    fn rank(&self) -> (bool, usize) {
        (self.host.is_some(), self.prefix.len())
    }
}

impl std::fmt::Display for Pattern {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.host.as_deref().unwrap_or_default())?;
        f.write_str(match &*self.prefix {
            "" => "/",
            prefix => prefix,
        })
    }
}

impl FromStr for RouteSpec {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (pattern, upstreams) = match text.split_once('=') {
            Some((pattern, upstreams)) if !pattern.contains(':') => (pattern, upstreams),
            _ => ("/", text),
        };
        let pattern = pattern_of(pattern)?;
        let upstreams: Vec<UpstreamAddress> = upstreams
            .split(',')
            .map(str::parse)
            .collect::<Result<_, String>>()?;
        Ok(Self { pattern, upstreams })
    }
}

fn pattern_of(text: &str) -> Result<Pattern, String> {
    let (host, prefix) = match text.find('/') {
        Some(slash) => text.split_at(slash),
        None => (text, ""),
    };
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_');
    if !host.bytes().all(plain) {
        return Err(format!(
            "`{host}` is no name of a host; write the name without a port, such as example.org=http://127.0.0.1:3000"
        ));
    }
    let prefix = prefix.trim_end_matches('/');
    let normal = normalize(prefix).map_err(|why| format!("`{prefix}` is no prefix: {why}"))?;
    if normal.contains(['?', '#']) {
        return Err(format!("`{prefix}` is no prefix of a path"));
    }
    Ok(Pattern {
        host: (!host.is_empty()).then(|| host.to_ascii_lowercase()),
        prefix: normal.into_owned(),
    })
}

/// All routes, the most specific first. `T` is what a route leads to.
#[derive(Debug)]
pub(crate) struct Routes<T>(Vec<(Pattern, T)>);

impl<T> Routes<T> {
    /// Routes with the same pattern become one.
    pub(crate) fn new(
        specs: &[RouteSpec],
        mut make: impl FnMut(&Pattern, Vec<UpstreamAddress>) -> Result<T, String>,
    ) -> Result<Self, String> {
        let mut merged: Vec<RouteSpec> = Vec::new();
        for spec in specs {
            match merged.iter_mut().find(|one| one.pattern == spec.pattern) {
                Some(one) => one.upstreams.extend(spec.upstreams.iter().cloned()),
                None => merged.push(spec.clone()),
            }
        }
        if merged.len() > MAX_ROUTES {
            return Err(format!("--proxy: more than {MAX_ROUTES} routes"));
        }
        let mut routes = Vec::with_capacity(merged.len());
        for spec in merged {
            let RouteSpec { pattern, upstreams } = spec;
            if upstreams.len() > MAX_UPSTREAMS {
                let text = format!("--proxy {pattern}: more than {MAX_UPSTREAMS} upstreams");
                return Err(text);
            }
            let to = make(&pattern, upstreams)?;
            routes.push((pattern, to));
        }
        routes.sort_by_key(|(pattern, _)| std::cmp::Reverse(pattern.rank()));
        Ok(Self(routes))
    }

    /// The route of a request. `host` may have a port. `path` is normalized.
    pub(crate) fn find(&self, host: &str, path: &str) -> Option<&T> {
        let host = without_port(host).trim_end_matches('.');
        let lower;
        let host = if host.bytes().any(|byte| byte.is_ascii_uppercase()) {
            lower = host.to_ascii_lowercase();
            &lower
        } else {
            host
        };
        let mut routes = self.0.iter();
        let found = routes.find(|(pattern, _)| pattern.takes(host, path));
        found.map(|(_, to)| to)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &(Pattern, T)> {
        self.0.iter()
    }
}

fn without_port(host: &str) -> &str {
    if host.starts_with('[') {
        return host.split_inclusive(']').next().unwrap_or(host);
    }
    host.split(':').next().unwrap_or(host)
}

/// The form of a path in which routes are compared: characters that need no escape have none
/// (RFC 3986 §6.2.2.2). So no spelling of a path leads around its route.
///
/// The path itself is forwarded as it came. A path whose meaning differs between servers is an
/// error: an upstream that resolves it would leave the prefix of its route.
pub(crate) fn normalize(path: &str) -> Result<Cow<'_, str>, &'static str> {
    if path.bytes().all(is_plain) && !path.contains("/.") {
        return Ok(Cow::Borrowed(path));
    }
    let mut normal = String::with_capacity(path.len());
    // Bytes since the last separator, and whether all of them are dots.
    let (mut len, mut dots) = (0_usize, true);
    let mut rest = path.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        rest = after;
        let (byte, escape) = match byte {
            b'%' => {
                let (escaped, after) = rest
                    .split_at_checked(2)
                    .ok_or("a % without two hexadecimal digits")?;
                rest = after;
                let digits = std::str::from_utf8(escaped).ok();
                let value = digits.filter(|digits| !digits.starts_with('+'));
                let value = value.and_then(|digits| u8::from_str_radix(digits, 16).ok());
                let value = value.ok_or("a % without two hexadecimal digits")?;
                (value, true)
            }
            byte => (byte, false),
        };
        match byte {
            0 => return Err("it has a NUL"),
            b'\\' if !escape => {
                return Err("it has a backslash, which some servers read as a slash");
            }
            b'/' | b'\\' => {
                if dots && (1..=2).contains(&len) {
                    return Err(DOTS);
                }
                (len, dots) = (0, true);
            }
            byte => {
                len = len.saturating_add(1);
                dots &= byte == b'.';
            }
        }
        if !escape && !byte.is_ascii() {
            return Err("it has a character that must be percent-encoded");
        }
        if escape && !is_unreserved(byte) {
            let digit = |value: u8| char::from_digit(value.into(), 16).unwrap_or('0');
            normal.extend(['%', digit(byte >> 4), digit(byte & 15)]);
        } else {
            normal.push(char::from(byte));
        }
    }
    if dots && (1..=2).contains(&len) {
        return Err(DOTS);
    }
    Ok(Cow::Owned(normal))
}

const DOTS: &str =
    "it has the segment `.` or `..`, which a client resolves itself (RFC 3986 §5.2.4)";

fn is_unreserved(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~')
}

/// Returns whether the byte stands for itself.
fn is_plain(byte: u8) -> bool {
    byte.is_ascii() && byte != b'%' && byte != b'\\' && byte != 0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn routes(specs: &[&str]) -> Routes<String> {
        let specs: Vec<RouteSpec> = specs.iter().map(|spec| spec.parse().unwrap()).collect();
        let named = |pattern: &Pattern, upstreams: Vec<UpstreamAddress>| {
            Ok(format!("{pattern} {}", upstreams.len()))
        };
        Routes::new(&specs, named).unwrap()
    }

    #[test]
    fn the_host_decides_first_and_then_the_longest_prefix() {
        let routes = routes(&[
            "http://127.0.0.1:1",
            "/api=http://127.0.0.1:2,http://127.0.0.1:3",
            "/api/v2=http://127.0.0.1:4",
            "a.example=http://127.0.0.1:5",
            "A.example/api=http://127.0.0.1:6",
            "a.example/api/=http://127.0.0.1:7",
        ]);
        for (host, path, expected) in [
            ("b.example", "/", "/ 1"),
            ("b.example", "/apix", "/ 1"),
            ("b.example", "/api", "/api 2"),
            ("b.example:81", "/api/", "/api 2"),
            ("", "/api/v2/x", "/api/v2 1"),
            ("A.EXAMPLE.:443", "/x", "a.example/ 1"),
            ("a.example", "/api/v2", "a.example/api 2"),
            ("[::1]:80", "/", "/ 1"),
            ("b.example", "*", "/ 1"),
        ] {
            let found = routes.find(host, path).map(String::as_str);
            assert_eq!(found, Some(expected), "{host} {path}");
        }
        assert_eq!(self::routes(&["/a=http://b"]).find("", "/"), None);
    }

    #[test]
    fn no_spelling_leads_around_a_route_or_out_of_its_prefix() {
        for (path, normal) in [
            ("/a.b/..c/d..", "/a.b/..c/d.."),
            ("/%61pi", "/api"),
            ("/%2e%2ex/...", "/..x/..."),
            ("/a%2Fb%20", "/a%2fb%20"),
            ("/a%5Cb", "/a%5cb"),
            ("//a", "//a"),
        ] {
            assert_eq!(normalize(path).as_deref(), Ok(normal), "{path}");
        }
        for path in [
            "/.",
            "/..",
            "/a/../b",
            "/a/./b",
            "/a/%2e%2e/b",
            "/a/.%2E",
            "/a/..%2fb",
            "/a%2f..",
            "/a/..%5cb",
            "/a\\b",
            "/%",
            "/%4",
            "/%zz",
            "/%+1",
            "/%00",
            "/é",
        ] {
            assert!(normalize(path).is_err(), "{path}");
        }
    }

    #[test]
    fn a_route_is_read_or_its_fault_is_named() {
        let spec: RouteSpec = "/a%2f=http://a".parse().unwrap();
        assert_eq!(spec.pattern.prefix, "/a%2f");
        #[cfg(unix)]
        assert!("/a=unix:/run/a=b".parse::<RouteSpec>().is_ok());
        for wrong in [
            "",
            "/a",
            "/a=",
            "/a=127.0.0.1:80",
            "a b=http://c",
            "/../x=http://c",
            "/a=http://c,,",
            "a.example:80=http://c",
        ] {
            let parsed: Result<RouteSpec, _> = wrong.parse();
            assert!(parsed.is_err(), "{wrong}: {parsed:?}");
        }
    }
}
