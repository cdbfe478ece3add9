//! The static table (section 2.3.1, appendix A).

mod entries;

use entries::{ENTRIES, FACTORS, SLOTS};

/// A place in the static table: 1 to 61.
///
/// ```
/// use lacewing_hpack::StaticIndex;
///
/// let index = StaticIndex::new(2).unwrap();
/// assert_eq!((index.name(), index.value()), (&b":method"[..], &b"GET"[..]));
/// assert!(StaticIndex::new(62).is_none());
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StaticIndex(u8);

impl StaticIndex {
    /// The last place of the table.
    pub const LAST: Self = Self(61);
    /// The place of the name `content-length`.
    pub const CONTENT_LENGTH: Self = Self(28);
    /// The place of the name `date`.
    pub const DATE: Self = Self(33);

    /// The place with this number; `None` if it isn't one of 1 to 61.
    #[inline]
    pub const fn new(number: u8) -> Option<Self> {
        if number >= 1 && number <= Self::LAST.0 {
            Some(Self(number))
        } else {
            None
        }
    }

    /// Its number, 1 to 61.
    #[inline]
    pub const fn number(self) -> u8 {
        self.0
    }

    /// Returns true for a pseudo-header field: the places 1 to 14.
    #[inline]
    pub const fn is_pseudo(self) -> bool {
        self.0 < 15
    }

    /// The name there.
    #[inline]
    pub fn name(self) -> &'static [u8] {
        self.entry().split().0
    }

    /// The value there; empty for most.
    #[inline]
    pub fn value(self) -> &'static [u8] {
        self.entry().split().1
    }

    /// The concatenation of name and value, and the length of the name.
    #[inline]
    pub(crate) fn joined(self) -> (&'static [u8], usize) {
        let entry = self.entry();
        (entry.joined, usize::from(entry.name_len))
    }

    /// The first place that has this name.
    #[inline]
    pub(crate) fn with_name(name: &[u8]) -> Option<Self> {
        let candidate = SLOTS.get(slot(name)?).and_then(|&slot| Self::new(slot))?;
        (candidate.name() == name).then_some(candidate)
    }

    /// The first place that has the name of `self`.
    #[inline]
    pub(crate) fn first(self) -> Self {
        let mut first = self;
        while first.entry().values == 0 && first.0 > 1 {
            first.0 -= 1;
        }
        first
    }

    /// The place that has the name of `self`, which is the first with this name, and this value.
    #[inline]
    pub(crate) fn with_value(self, value: &[u8]) -> Option<Self> {
        let end = self.0 + self.entry().values;
        (self.0..end).map(Self).find(|place| place.value() == value)
    }

    #[inline]
    fn entry(self) -> &'static Entry {
        // The fallback is never used. It costs less than a panic.
        ENTRIES
            .get(usize::from(self.0).wrapping_sub(1))
            .unwrap_or(&Entry {
                joined: b"",
                name_len: 0,
                values: 0,
            })
    }
}

/// An entry, in a form that needs no copy to build a field.
struct Entry {
    /// The concatenation of name and value.
    joined: &'static [u8],
    name_len: u8,
    /// At the first entry of a name: the number of entries with this name. Otherwise 0.
    values: u8,
}

impl Entry {
    #[inline]
    fn split(&self) -> (&'static [u8], &'static [u8]) {
        self.joined
            .split_at_checked(usize::from(self.name_len))
            .unwrap_or_default()
    }
}

/// The place in [`SLOTS`] of the only name that can be equal. The generator computes the same
/// function. `None` for an empty name.
#[inline]
fn slot(name: &[u8]) -> Option<usize> {
    let (&first, &middle, &last) = (name.first()?, name.get(name.len() / 2)?, name.last()?);
    // The longest name has 27 bytes. A wrong result is harmless, since the names are compared.
    #[expect(clippy::cast_possible_truncation, reason = "see above")]
    let len = name.len() as u32;
    let sum = FACTORS[0]
        .wrapping_mul(len)
        .wrapping_add(FACTORS[1] * u32::from(first))
        .wrapping_add(FACTORS[2] * u32::from(middle))
        .wrapping_add(FACTORS[3] * u32::from(last));
    Some(sum as usize % SLOTS.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_entry_is_found() {
        for number in 1..=61 {
            let place = StaticIndex::new(number).unwrap();
            let first = StaticIndex::with_name(place.name()).unwrap();
            assert!(first <= place);
            assert_eq!(place.first(), first);
            assert_eq!(first.with_value(place.value()), Some(place));
            assert_eq!(first.with_value(b"no such value"), None);
        }
    }

    #[test]
    fn named_places_have_their_names() {
        assert_eq!(StaticIndex::CONTENT_LENGTH.name(), b"content-length");
        assert_eq!(StaticIndex::DATE.name(), b"date");
    }

    #[test]
    fn other_names_are_not_found() {
        for name in [&b""[..], b"x", b"x-custom", b"Cookie", &[0xff; 300]] {
            assert_eq!(StaticIndex::with_name(name), None);
        }
    }
}
