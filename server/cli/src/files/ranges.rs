//! The byte ranges of a request (RFC 9110 §14).

use http::{HeaderMap, header::RANGE};

/// The most ranges of a request; with more, the response is the whole file. Each range is a part
/// with header fields of its own (RFC 9110 §17.15).
const MAX_RANGES: usize = 16;

/// Bytes of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Span {
    pub(crate) start: u64,
    /// Not zero.
    pub(crate) len: u64,
}

impl Span {
    pub(crate) fn end(self) -> u64 {
        self.start.saturating_add(self.len)
    }

    /// The position of the last byte.
    pub(crate) fn last(self) -> u64 {
        self.end().saturating_sub(1)
    }
}

/// The meaning of a `range` field.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Ranges {
    /// The whole file: there is no such field, or it is ignored.
    Whole,
    /// At least one.
    Parts(Vec<Span>),
    Unsatisfiable,
}

impl Ranges {
    /// `size` is the length of the file.
    pub(crate) fn of(fields: &HeaderMap, size: u64) -> Self {
        let mut values = fields.get_all(RANGE).iter();
        match (values.next(), values.next()) {
            (Some(value), None) => Self::parse(value.as_bytes(), size).unwrap_or(Self::Whole),
            _ => Self::Whole,
        }
    }

    /// `None` for a field to be ignored: an unknown unit, a syntax error, too many
    /// ranges.
    fn parse(value: &[u8], size: u64) -> Option<Self> {
        let value = std::str::from_utf8(value).ok()?;
        let (unit, set) = value.split_once('=')?;
        if !unit.trim().eq_ignore_ascii_case("bytes") {
            return None;
        }
        let specs = set
            .split(',')
            .map(str::trim)
            .filter(|spec| !spec.is_empty());
        let mut spans = Vec::new();
        for (index, spec) in specs.enumerate() {
            if index == MAX_RANGES {
                return None;
            }
            spans.push(span(spec, size)?);
        }
        if spans.is_empty() {
            return None;
        }
        // The last bytes of an empty file are the whole of it.
        if spans.contains(&Spec::EmptySuffix) {
            return None;
        }
        let spans: Vec<_> = spans
            .into_iter()
            .filter_map(|spec| match spec {
                Spec::Span(span) => Some(span),
                _ => None,
            })
            .collect();
        Some(if spans.is_empty() {
            Self::Unsatisfiable
        } else {
            Self::Parts(coalesce(spans))
        })
    }
}

#[derive(Debug, PartialEq, Eq)]
enum Spec {
    Span(Span),
    /// Behind the end.
    Outside,
    /// Some of the last bytes of an empty file.
    EmptySuffix,
}

/// One range; `None` for a syntax error.
fn span(spec: &str, size: u64) -> Option<Spec> {
    let (first, last) = spec.split_once('-')?;
    if first.is_empty() {
        let suffix = number(last)?;
        return Some(match suffix.min(size) {
            0 if suffix > 0 => Spec::EmptySuffix,
            0 => Spec::Outside,
            len => Spec::Span(Span {
                start: size - len,
                len,
            }),
        });
    }
    let start = number(first)?;
    let last = if last.is_empty() {
        u64::MAX
    } else {
        number(last)?
    };
    if last < start {
        return None;
    }
    let end = last.saturating_add(1).min(size);
    Some(match end.checked_sub(start) {
        None | Some(0) => Spec::Outside,
        Some(len) => Spec::Span(Span { start, len }),
    })
}

/// A number that is larger than any file is the largest one.
fn number(digits: &str) -> Option<u64> {
    if digits.is_empty() || !digits.bytes().all(|digit| digit.is_ascii_digit()) {
        return None;
    }
    Some(digits.parse().unwrap_or(u64::MAX))
}

/// Ranges that overlap or touch become one (RFC 9110 §15.3.7.2): no byte is
/// sent twice. Others stay in their order.
fn coalesce(spans: Vec<Span>) -> Vec<Span> {
    let mut sorted = spans.clone();
    sorted.sort_by_key(|span| span.start);
    let mut merged: Vec<Span> = Vec::with_capacity(sorted.len());
    for span in sorted {
        match merged.last_mut() {
            Some(before) if span.start <= before.end() => {
                before.len = span.end().max(before.end()) - before.start;
            }
            _ => merged.push(span),
        }
    }
    if merged.len() == spans.len() {
        spans
    } else {
        merged
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(value: &str, size: u64) -> Ranges {
        let mut fields = HeaderMap::new();
        fields.insert(RANGE, value.parse().unwrap());
        Ranges::of(&fields, size)
    }

    fn parts(spans: &[(u64, u64)]) -> Ranges {
        let spans = spans.iter().map(|(start, len)| Span {
            start: *start,
            len: *len,
        });
        Ranges::Parts(spans.collect())
    }

    #[test]
    fn ranges_are_cut_to_the_file() {
        for (value, spans) in [
            ("bytes=0-4", &[(0, 5)][..]),
            ("bytes=6-", &[(6, 4)]),
            ("bytes=-3", &[(7, 3)]),
            ("bytes=-300", &[(0, 10)]),
            ("bytes=0-99999999999999999999999", &[(0, 10)]),
            ("Bytes=9-9", &[(9, 1)]),
            ("bytes= 0-0 , ,-1", &[(0, 1), (9, 1)]),
            ("bytes=8-,0-1", &[(8, 2), (0, 2)]),
            ("bytes=0-1,2-3", &[(0, 4)]),
            ("bytes=5-7,0-2,1-5", &[(0, 8)]),
            ("bytes=20-,0-0", &[(0, 1)]),
        ] {
            assert_eq!(of(value, 10), parts(spans), "{value}");
        }
    }

    #[test]
    fn ranges_that_are_none_are_ignored() {
        let many = format!("bytes={}", "0-0,".repeat(MAX_RANGES + 1));
        for value in [
            "lines=0-1",
            "bytes",
            "bytes=",
            "bytes=,",
            "bytes=a-b",
            "bytes=5-1",
            "bytes=-",
            "bytes=1",
            "bytes=0-1,x",
            "bytes=+1-2",
            "bytes=--1",
            &many,
        ] {
            assert_eq!(of(value, 10), Ranges::Whole, "{value}");
        }
        let mut twice = HeaderMap::new();
        twice.append(RANGE, "bytes=0-0".parse().unwrap());
        twice.append(RANGE, "bytes=1-1".parse().unwrap());
        assert_eq!(Ranges::of(&twice, 10), Ranges::Whole);
        assert_eq!(Ranges::of(&HeaderMap::new(), 10), Ranges::Whole);
    }

    #[test]
    fn ranges_behind_the_end_are_unsatisfiable() {
        for value in [
            "bytes=10-",
            "bytes=10-20,99-",
            "bytes=-0",
            "bytes=99999999999999999999-",
        ] {
            assert_eq!(of(value, 10), Ranges::Unsatisfiable, "{value}");
        }
        assert_eq!(of("bytes=0-", 0), Ranges::Unsatisfiable);
        assert_eq!(of("bytes=0-0", 0), Ranges::Unsatisfiable);
        assert_eq!(of("bytes=-5", 0), Ranges::Whole);
    }
}
