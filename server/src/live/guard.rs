//! Whether a request comes from the page itself, or from a person who opens it.

use std::net::IpAddr;

use http::{HeaderMap, Uri, header::HOST, uri::Authority};

/// Why a request is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refused {
    /// Its host is the name of another site.
    Host,
    /// The page of another site asks.
    Site,
}

/// Refuses what only other sites ask.
pub(super) fn check(uri: &Uri, fields: &HeaderMap) -> Result<(), Refused> {
    let host = match uri.authority() {
        Some(authority) => Some(authority.clone()),
        None => fields
            .get(HOST)
            .and_then(|host| Authority::try_from(host.as_bytes()).ok()),
    };
    if !host.is_some_and(|host| is_own(host.host())) {
        return Err(Refused::Host);
    }
    // Browsers say from where a request comes; other clients say nothing.
    match fields
        .get("sec-fetch-site")
        .map(http::HeaderValue::as_bytes)
    {
        None | Some(b"same-origin" | b"none") => Ok(()),
        // A link to the page is followed, and its data is not read.
        Some(_) if uri.path() == "/" => Ok(()),
        Some(_) => Err(Refused::Site),
    }
}

/// No other site has such a name.
fn is_own(host: &str) -> bool {
    let bare = host
        .strip_prefix('[')
        .and_then(|host| host.strip_suffix(']'));
    host.eq_ignore_ascii_case("localhost") || bare.unwrap_or(host).parse::<IpAddr>().is_ok()
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn checked(
        host: Option<&'static str>,
        site: Option<&'static str>,
        path: &str,
    ) -> Option<Refused> {
        let mut fields = HeaderMap::new();
        if let Some(host) = host {
            fields.insert(HOST, HeaderValue::from_static(host));
        }
        if let Some(site) = site {
            fields.insert("sec-fetch-site", HeaderValue::from_static(site));
        }
        check(&path.parse().unwrap(), &fields).err()
    }

    #[test]
    fn names_of_other_sites_are_refused() {
        for own in [
            "localhost",
            "LocalHost:90",
            "127.0.0.1:90",
            "[::1]:90",
            "192.0.2.7",
        ] {
            assert_eq!(checked(Some(own), None, "/events"), None, "{own}");
        }
        for other in [
            "example.org",
            "localhost.example.org",
            "127.0.0.1.example.org",
            "",
            "a b",
        ] {
            let refused = checked(Some(other), None, "/events");
            assert_eq!(refused, Some(Refused::Host), "{other}");
        }
        assert_eq!(checked(None, None, "/"), Some(Refused::Host));
        // HTTP/2 has the name in the URI.
        assert_eq!(checked(None, None, "http://127.0.0.1:90/events"), None);
        let refused = checked(Some("localhost"), None, "http://example.org/events");
        assert_eq!(refused, Some(Refused::Host));
    }

    #[test]
    fn pages_of_other_sites_open_no_events() {
        let site = |site, path| checked(Some("localhost"), Some(site), path);
        assert_eq!(site("cross-site", "/events"), Some(Refused::Site));
        assert_eq!(site("same-site", "/events"), Some(Refused::Site));
        assert_eq!(site("cross-site", "/"), None);
        assert_eq!(site("same-origin", "/events"), None);
        assert_eq!(site("none", "/events"), None);
    }
}
