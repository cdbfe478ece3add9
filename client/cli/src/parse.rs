//! Values of options, from text.

use std::{net::SocketAddr, time::Duration};

use http::{HeaderName, HeaderValue, Uri};
use lacewing_client::{Priority, Version};

/// `name: value`.
pub(crate) fn header(text: &str) -> Result<(HeaderName, HeaderValue), String> {
    let (name, value) = text.split_once(':').ok_or("write it as 'name: value'")?;
    let name = name
        .trim()
        .parse()
        .map_err(|_| format!("{:?} is not a header field name", name.trim()))?;
    let value = value
        .trim()
        .parse()
        .map_err(|_| "the value contains control characters")?;
    Ok((name, value))
}

pub(crate) fn protocol(text: &str) -> Result<Version, String> {
    text.parse()
        .map_err(|_| "choose h2, spdy/3.1, spdy/3 or spdy/2".to_owned())
}

/// `0` to `7`, and `,i` for a response that is of use in pieces.
pub(crate) fn priority(text: &str) -> Result<Priority, String> {
    let (urgency, incremental) = match text.split_once(',') {
        Some((urgency, "i")) => (urgency, true),
        None => (text, false),
        Some(_) => ("", false),
    };
    match urgency.parse() {
        Ok(urgency @ 0..=7) => Ok(Priority::new(urgency, incremental)),
        _ => Err("write it as 0 (first) to 7 (last), or with `,i` as 2,i".to_owned()),
    }
}

/// A window in bytes: `65535`, `64K`, `1M`.
pub(crate) fn window(text: &str) -> Result<u32, String> {
    let (digits, factor) = match text.strip_suffix(['k', 'K']) {
        Some(digits) => (digits, 1 << 10),
        None => match text.strip_suffix(['m', 'M']) {
            Some(digits) => (digits, 1 << 20),
            None => (text, 1),
        },
    };
    let bytes = digits
        .parse()
        .ok()
        .and_then(|digits: u32| digits.checked_mul(factor));
    match bytes {
        // nghttp and h2load take the number of bits.
        Some(bytes @ 1..=31) => Err(format!(
            "{bytes} bytes? For 2^{bytes}, write the number, as in 64K or 1M"
        )),
        Some(bytes @ 32..=0x7fff_ffff) => Ok(bytes),
        _ => Err("write it as 65535, 64K or 1M; at most 2047M".to_owned()),
    }
}

pub(crate) fn seconds(text: &str) -> Result<Duration, String> {
    let number: f64 = text.parse().map_err(|_| "give a number of seconds")?;
    Duration::try_from_secs_f64(number).map_err(|error| error.to_string())
}

pub(crate) fn at_least_one(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(0) | Err(_) => Err("give a number, 1 or more".to_owned()),
        Ok(number) => Ok(number),
    }
}

/// Seconds of a wait, which needs some.
pub(crate) fn some_seconds(text: &str) -> Result<Duration, String> {
    match seconds(text)? {
        Duration::ZERO => Err("give more than 0".to_owned()),
        time => Ok(time),
    }
}

/// An IP address with a port.
pub(crate) fn address(text: &str) -> Result<SocketAddr, String> {
    text.parse().map_err(|_| {
        "write an IP address with a port, such as 127.0.0.1:9000 or [::1]:9000".to_owned()
    })
}

/// An absolute `http` or `https` URL.
pub(crate) fn url(text: &str) -> Result<Uri, String> {
    absolute(text).map_err(|error| match with_http(text) {
        Some(Ok(_)) => format!("it has no scheme; write http://{text} or https://{text}"),
        Some(Err(why)) => why,
        None => error,
    })
}

/// The same, for `get`: without a scheme it is `http`, as in curl.
pub(crate) fn fetched_url(text: &str) -> Result<Uri, String> {
    with_http(text).unwrap_or_else(|| absolute(text))
}

/// The URL with `http`, of a text that has no scheme.
fn with_http(text: &str) -> Option<Result<Uri, String>> {
    // A port is the only colon in what has no scheme, except in an IPv6 address.
    let host = text.split(['/', '?', '#']).next().unwrap_or_default();
    let port = host.rsplit_once(':').map_or("", |(_, port)| port);
    let has_port = host.ends_with(']') || port.bytes().all(|byte| byte.is_ascii_digit());
    // The host ends before the `//` of a scheme, and a query may have another URL in it.
    let rest = text.get(host.len()..).unwrap_or_default();
    let has_scheme = host.ends_with(':') && rest.starts_with("//");
    if has_scheme || host.contains('@') || !has_port {
        return None;
    }
    Some(absolute(&format!("http://{text}")))
}

fn absolute(text: &str) -> Result<Uri, String> {
    let uri: Uri = text
        .parse()
        .map_err(|error| format!("not a URL: {error}; write it as https://example.org/path"))?;
    lacewing_client::Origin::of(&uri).map_err(|error| error.to_string())?;
    Ok(uri)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_without_a_scheme_is_http_in_get_and_an_error_with_a_remedy_elsewhere() {
        for text in [
            "127.0.0.1:8080/x",
            "example.org",
            "localhost/a:b?c",
            "a.example/login?next=http://b.example/",
            "a.example:8080?next=http://b.example/",
            "a.example#http://b.example/",
            "a.example/http://b.example/",
            "[::1]:8080/",
            "[::1]",
        ] {
            let uri = fetched_url(text).unwrap();
            assert_eq!(uri.scheme_str(), Some("http"), "{text}");
            let error = url(text).unwrap_err();
            assert!(
                error.contains(&format!("write http://{text} or")),
                "{error}"
            );
        }
        for wrong in [
            "",
            "/x",
            "ftp://a.example/",
            "mailto:x",
            "user:pw@a",
            "http://",
            "http://?a",
            "x://y",
            "://a",
            ":80/",
        ] {
            assert!(fetched_url(wrong).is_err(), "{wrong}");
            assert!(url(wrong).is_err(), "{wrong}");
        }
        for wrong in ["a.example:65536", "[::1]:99999/", "https://a.example:65536"] {
            for error in [fetched_url(wrong).unwrap_err(), url(wrong).unwrap_err()] {
                assert!(error.contains("at most 65535"), "{wrong}: {error}");
            }
        }
    }

    #[test]
    fn an_address_has_an_ip_address_and_a_port() {
        assert_eq!(address("[::1]:9").unwrap().port(), 9);
        for wrong in ["9000", ":9000", "localhost:9000", "127.0.0.1", "off"] {
            assert!(
                address(wrong).unwrap_err().contains("127.0.0.1:9000"),
                "{wrong}"
            );
        }
        assert!(some_seconds("0").is_err() && some_seconds("0.1").is_ok());
    }

    #[test]
    fn priorities_and_windows_are_read() {
        assert_eq!(priority("0"), Ok(Priority::new(0, false)));
        assert_eq!(priority("7,i"), Ok(Priority::new(7, true)));
        for wrong in ["8", "", ",i", "1,", "1,x", "u=1"] {
            assert!(priority(wrong).is_err(), "{wrong}");
        }
        for (text, bytes) in [("65535", 65_535), ("64K", 65_536), ("1m", 1 << 20)] {
            assert_eq!(window(text), Ok(bytes));
        }
        assert!(window("20").unwrap_err().contains("2^20"));
        for wrong in ["0", "x", "2048M", "4096M", "-1"] {
            assert!(window(wrong).is_err(), "{wrong}");
        }
    }
}
