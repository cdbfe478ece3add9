//! Header fields of HTTP that both sides read, in messages of users and of peers. A
//! facade needs them to map the engine's [`Head`](super::Head) to its own messages.

use http::{
    HeaderMap, HeaderName, HeaderValue,
    header::{CONNECTION, EXPECT, TRANSFER_ENCODING, UPGRADE},
};

pub use super::authority::is_authority;

/// The fields that belong to a connection of HTTP/1.1 and have no meaning in
/// HTTP/2 and SPDY (RFC 9113 §8.2.2). `te` belongs to them too, unless its value
/// is `trailers`.
pub const CONNECTION_SPECIFIC: [HeaderName; 5] = [
    CONNECTION,
    TRANSFER_ENCODING,
    UPGRADE,
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
];

/// Returns the length on which all values of `content-length` agree (RFC 9110
/// §8.6); `None` without a value.
///
/// # Errors
///
/// The first value that is not a number, or differs from those before it.
///
/// ```
/// use http::{HeaderMap, HeaderValue, header::CONTENT_LENGTH};
/// use lacewing_conn::proto::fields::content_length;
///
/// let mut fields = HeaderMap::new();
/// fields.append(CONTENT_LENGTH, HeaderValue::from_static("12"));
/// assert_eq!(content_length(fields.get_all(CONTENT_LENGTH)), Ok(Some(12)));
/// fields.append(CONTENT_LENGTH, HeaderValue::from_static("13"));
/// assert_eq!(content_length(fields.get_all(CONTENT_LENGTH)).unwrap_err(), "13");
/// ```
pub fn content_length<'a>(
    values: impl IntoIterator<Item = &'a HeaderValue>,
) -> Result<Option<u64>, &'a HeaderValue> {
    let mut agreed = None;
    for value in values {
        let length = number(value).ok_or(value)?;
        if agreed.is_some_and(|earlier| earlier != length) {
            return Err(value);
        }
        agreed = Some(length);
    }
    Ok(agreed)
}

fn number(value: &HeaderValue) -> Option<u64> {
    let digits = value.as_bytes().trim_ascii();
    // `parse` would accept a sign.
    if !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    std::str::from_utf8(digits).ok()?.parse().ok()
}

/// Returns `true` if a request's body waits for 100 (Continue) (RFC 9110
/// §10.1.1).
pub fn expects_continue(fields: &HeaderMap) -> bool {
    fields
        .get(EXPECT)
        .is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"100-continue"))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn lengths_are_digits_and_agree() {
        let length = |values: &[&'static str]| {
            let values: Vec<_> = values
                .iter()
                .map(|value| HeaderValue::from_static(value))
                .collect();
            content_length(&values).map_err(Clone::clone)
        };
        assert_eq!(length(&[]), Ok(None));
        assert_eq!(length(&["12"]), Ok(Some(12)));
        assert_eq!(length(&["12", "012"]), Ok(Some(12)));
        for wrong in [
            &["+1"][..],
            &["-1"],
            &[""],
            &["1, 1"],
            &["1", "2"],
            &["99999999999999999999"],
        ] {
            assert!(length(wrong).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn an_expectation_has_one_value() {
        let expects = |value| {
            let mut fields = HeaderMap::new();
            fields.insert(EXPECT, HeaderValue::from_static(value));
            expects_continue(&fields)
        };
        assert!(expects("100-Continue"));
        assert!(!expects("200-ok"));
        assert!(!expects_continue(&HeaderMap::new()));
    }
}
