//! Values of options, from text.

use std::time::Duration;

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

/// An absolute `http` or `https` URL.
pub(crate) fn url(text: &str) -> Result<Uri, String> {
    let uri: Uri = text
        .parse()
        .map_err(|error| format!("not a URL: {error}"))?;
    lacewing_client::Origin::of(&uri).map_err(|error| error.to_string())?;
    Ok(uri)
}

#[cfg(test)]
mod tests {
    use super::*;

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
