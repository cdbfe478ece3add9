//! Selects the fields that enter the table.

use crate::Indexing;
use crate::index::Name;

/// The representation of a field that is in neither table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Policy {
    /// A literal that enters the table.
    Index,
    /// A literal: the field is unlikely to repeat before its eviction.
    Skip,
    /// A literal that intermediaries must not index either (section 7.1.3).
    Never,
}

/// An attacker could guess a shorter cookie too easily from the sizes of blocks.
const SHORT_COOKIE: usize = 20;

#[inline]
pub(super) fn policy(indexing: Indexing, name: Name<'_>, value: &[u8]) -> Policy {
    match indexing {
        Indexing::Sensible => {}
        Indexing::Everything => return Policy::Index,
        Indexing::Nothing => return Policy::Skip,
    }
    // Indexed by the first static index of a name.
    match name.place().map(|place| place.number()) {
        // authorization, proxy-authorization
        Some(23 | 49) => Policy::Never,
        // cookie
        Some(32) if value.len() < SHORT_COOKIE => Policy::Never,
        // :path, age, content-length, etag, if-modified-since, if-none-match, location,
        // set-cookie
        Some(4 | 21 | 28 | 34 | 40 | 41 | 46 | 55) => Policy::Skip,
        _ => Policy::Index,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn by_name() {
        let sensible = |name: &str, value: &str| {
            policy(
                Indexing::Sensible,
                Name::new(name.as_bytes()),
                value.as_bytes(),
            )
        };
        for name in ["authorization", "proxy-authorization"] {
            assert_eq!(sensible(name, "Basic Zm9vOmJhcg=="), Policy::Never);
        }
        assert_eq!(sensible("cookie", "a=b"), Policy::Never);
        assert_eq!(
            sensible("cookie", "session=0123456789abcdef"),
            Policy::Index
        );
        for name in [
            ":path",
            "age",
            "content-length",
            "etag",
            "if-modified-since",
            "if-none-match",
            "location",
            "set-cookie",
        ] {
            assert_eq!(sensible(name, "anything"), Policy::Skip, "{name}");
        }
        for name in [":authority", "user-agent", "accept", "x-custom"] {
            assert_eq!(sensible(name, "anything"), Policy::Index, "{name}");
        }
    }
}
