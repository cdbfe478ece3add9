//! Conditional requests (RFC 9110 §13).

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use http::{
    HeaderMap, HeaderValue,
    header::{
        HeaderName, IF_MATCH, IF_MODIFIED_SINCE, IF_NONE_MATCH, IF_RANGE, IF_UNMODIFIED_SINCE,
    },
};
use httpdate::parse_http_date;

/// The validators of a file, to compare with those of a client's copy.
#[derive(Clone, Debug)]
pub(crate) struct Validators {
    /// Strong.
    pub(crate) etag: Option<HeaderValue>,
    /// Whole seconds since 1970.
    pub(crate) modified: Option<u64>,
}

/// The result of a request's conditions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    Proceed,
    NotModified,
    PreconditionFailed,
}

impl Validators {
    /// Looks at the conditions in the order of RFC 9110 §13.2.2.
    pub(crate) fn check(&self, fields: &HeaderMap) -> Verdict {
        if fields.contains_key(IF_MATCH) {
            if !self.is_in(fields, &IF_MATCH, Comparison::Strong) {
                return Verdict::PreconditionFailed;
            }
        } else if let Some(since) = date(fields, &IF_UNMODIFIED_SINCE)
            && self.modified.is_some_and(|modified| modified > since)
        {
            return Verdict::PreconditionFailed;
        }
        if fields.contains_key(IF_NONE_MATCH) {
            if self.is_in(fields, &IF_NONE_MATCH, Comparison::Weak) {
                return Verdict::NotModified;
            }
        } else if let Some(since) = date(fields, &IF_MODIFIED_SINCE)
            && self.modified.is_some_and(|modified| modified <= since)
        {
            return Verdict::NotModified;
        }
        Verdict::Proceed
    }

    /// Returns true if the client's part is of this file, so that a range fits it
    /// (RFC 9110 §13.1.5).
    pub(crate) fn allow_range(&self, fields: &HeaderMap, now: SystemTime) -> bool {
        let mut values = fields.get_all(IF_RANGE).iter();
        let (Some(value), None) = (values.next(), values.next()) else {
            return !fields.contains_key(IF_RANGE);
        };
        let same = |etag: &HeaderValue| value.as_bytes() == etag.as_bytes();
        if self.etag.as_ref().is_some_and(same) {
            return true;
        }
        let (Some(since), Some(modified)) = (date(fields, &IF_RANGE), self.modified) else {
            return false;
        };
        // A date is strong once the second is over in which the file could
        // have changed again (§8.8.2.2).
        let over = UNIX_EPOCH.checked_add(Duration::from_secs(modified.saturating_add(1)));
        since == modified && over.is_some_and(|over| over <= now)
    }

    fn is_in(&self, fields: &HeaderMap, name: &HeaderName, comparison: Comparison) -> bool {
        fields.get_all(name).iter().any(|value| {
            let value = value.as_bytes().trim_ascii();
            value == b"*" || tags(value).any(|tag| self.matches(tag, comparison))
        })
    }

    fn matches(&self, tag: &[u8], comparison: Comparison) -> bool {
        let opaque = match tag.strip_prefix(b"W/") {
            Some(_) if comparison == Comparison::Strong => return false,
            Some(opaque) => opaque,
            None => tag,
        };
        self.etag
            .as_ref()
            .is_some_and(|etag| etag.as_bytes() == opaque)
    }
}

/// RFC 9110 §8.8.3.2.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Comparison {
    Strong,
    Weak,
}

/// The entity tags of a list. A comma between quotes is part of a tag.
fn tags(list: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut quoted = false;
    list.split(move |byte| {
        quoted ^= *byte == b'"';
        *byte == b',' && !quoted
    })
    .map(<[u8]>::trim_ascii)
    .filter(|tag| !tag.is_empty())
}

/// Whole seconds since 1970. A field that is not a date is ignored.
fn date(fields: &HeaderMap, name: &HeaderName) -> Option<u64> {
    let mut values = fields.get_all(name).iter();
    let (Some(value), None) = (values.next(), values.next()) else {
        return None;
    };
    let time = parse_http_date(value.to_str().ok()?).ok()?;
    time.duration_since(UNIX_EPOCH)
        .ok()
        .map(|since| since.as_secs())
}

#[cfg(test)]
mod tests {
    use super::*;

    const BEFORE: &str = "Sun, 06 Nov 1994 08:49:36 GMT";
    const SAME: &str = "Sun, 06 Nov 1994 08:49:37 GMT";
    const AFTER: &str = "Sunday, 06-Nov-94 08:49:38 GMT";
    const MODIFIED: u64 = 784_111_777;

    fn validators() -> Validators {
        Validators {
            etag: Some(HeaderValue::from_static("\"a,b\"")),
            modified: Some(MODIFIED),
        }
    }

    fn fields(fields: &[(&'static str, &'static str)]) -> HeaderMap {
        let mut map = HeaderMap::new();
        for (name, value) in fields {
            map.append(*name, HeaderValue::from_static(value));
        }
        map
    }

    #[test]
    fn conditions_have_an_order() {
        use Verdict::{NotModified, PreconditionFailed, Proceed};
        let other = "\"c\"";
        for (conditions, verdict) in [
            (&[][..], Proceed),
            (&[("if-match", "*")], Proceed),
            (&[("if-match", "\"c\", \"a,b\"")], Proceed),
            (&[("if-match", other)], PreconditionFailed),
            (&[("if-match", "W/\"a,b\"")], PreconditionFailed),
            (&[("if-match", other), ("if-match", "\"a,b\"")], Proceed),
            (
                &[("if-match", "\"a,b\""), ("if-unmodified-since", BEFORE)],
                Proceed,
            ),
            (&[("if-unmodified-since", BEFORE)], PreconditionFailed),
            (&[("if-unmodified-since", SAME)], Proceed),
            (&[("if-none-match", "*")], NotModified),
            (&[("if-none-match", "\"c\",W/\"a,b\"")], NotModified),
            (&[("if-none-match", other)], Proceed),
            (
                &[("if-none-match", other), ("if-modified-since", AFTER)],
                Proceed,
            ),
            (&[("if-modified-since", SAME)], NotModified),
            (&[("if-modified-since", AFTER)], NotModified),
            (&[("if-modified-since", BEFORE)], Proceed),
            (&[("if-modified-since", "yesterday")], Proceed),
            (
                &[("if-match", other), ("if-none-match", "*")],
                PreconditionFailed,
            ),
        ] {
            assert_eq!(
                validators().check(&fields(conditions)),
                verdict,
                "{conditions:?}"
            );
        }
    }

    #[test]
    fn a_range_needs_a_strong_validator() {
        let at = |seconds| UNIX_EPOCH + Duration::from_secs(seconds);
        let allows =
            |value, now| validators().allow_range(&fields(&[("if-range", value)]), at(now));
        let now = MODIFIED + 1;
        assert!(validators().allow_range(&HeaderMap::new(), at(now)));
        assert!(allows("\"a,b\"", now) && allows(SAME, now));
        // The file may change again in this second.
        assert!(!allows(SAME, MODIFIED));
        for value in ["W/\"a,b\"", "\"c\"", "a,b", BEFORE, AFTER, "*", ""] {
            assert!(!allows(value, now), "{value}");
        }
        let twice = fields(&[("if-range", "\"a,b\""), ("if-range", "\"a,b\"")]);
        assert!(!validators().allow_range(&twice, at(now)));
    }
}
