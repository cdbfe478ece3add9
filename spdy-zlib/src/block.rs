//! The name/value header block before compression: a count, then this number of pairs of
//! length-prefixed strings (SPDY/2 "Name/Value header block", SPDY/3 section 2.6.10).

use std::fmt;

use bytes::{BufMut, BytesMut};

use crate::dictionary;

/// The versions of the header block.
///
/// SPDY/3.1 has the block of SPDY/3: it is [`WireVersion::V3`] here.
///
/// ```
/// use lacewing_spdy_zlib::WireVersion;
///
/// assert_eq!(WireVersion::V2.number(), 2);
/// assert_eq!(WireVersion::from_number(3), Some(WireVersion::V3));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum WireVersion {
    /// SPDY/2: counts and lengths of 16 bits, empty values are an error.
    V2,
    /// SPDY/3 and SPDY/3.1: counts and lengths of 32 bits, empty values are legal.
    V3,
}

impl WireVersion {
    /// The number that control frames of this version carry: 2 or 3.
    pub const fn number(self) -> u16 {
        match self {
            WireVersion::V2 => 2,
            WireVersion::V3 => 3,
        }
    }

    /// The version with this number, if it exists.
    pub const fn from_number(number: u16) -> Option<WireVersion> {
        match number {
            2 => Some(WireVersion::V2),
            3 => Some(WireVersion::V3),
            _ => None,
        }
    }

    /// The zlib dictionary that both sides start with.
    ///
    /// 907 bytes in SPDY/2, its final NUL included; 1423 bytes in SPDY/3.
    pub const fn dictionary(self) -> &'static [u8] {
        match self {
            WireVersion::V2 => &dictionary::V2,
            WireVersion::V3 => &dictionary::V3,
        }
    }

    /// The Adler-32 sum of [`dictionary`](Self::dictionary). The header of a zlib stream has it.
    pub const fn dictionary_id(self) -> u32 {
        match self {
            WireVersion::V2 => dictionary::V2_ID,
            WireVersion::V3 => dictionary::V3_ID,
        }
    }

    /// The number of bytes of a count or of a length.
    pub(crate) const fn width(self) -> usize {
        match self {
            WireVersion::V2 => 2,
            WireVersion::V3 => 4,
        }
    }

    /// The largest count or length that the block can express.
    pub(crate) const fn max_length(self) -> usize {
        match self {
            WireVersion::V2 => 0xffff,
            WireVersion::V3 => 0xffff_ffff,
        }
    }

    /// Appends a count or a length. A value over [`max_length`](Self::max_length) is truncated; the
    /// caller then rejects the block.
    #[inline]
    #[allow(clippy::cast_possible_truncation)]
    pub(crate) fn put_length(self, dst: &mut BytesMut, length: usize) {
        match self {
            WireVersion::V2 => dst.put_u16(length as u16),
            WireVersion::V3 => dst.put_u32(length as u32),
        }
    }

    /// Overwrites the count or the length at `at`.
    #[allow(clippy::cast_possible_truncation)]
    pub(crate) fn patch_length(self, dst: &mut BytesMut, at: usize, length: usize) {
        let Some(slot) = dst.get_mut(at..at + self.width()) else {
            return;
        };
        match self {
            WireVersion::V2 => slot.copy_from_slice(&(length as u16).to_be_bytes()),
            WireVersion::V3 => slot.copy_from_slice(&(length as u32).to_be_bytes()),
        }
    }
}

/// The values of one header name: one string on the wire, the values joined by NUL bytes.
///
/// ```
/// use lacewing_spdy_zlib::Values;
///
/// let values = Values::from(&b"a=1\0b=2"[..]);
/// assert_eq!(values.iter().collect::<Vec<_>>(), [b"a=1", b"b=2"]);
/// assert_eq!(values.joined(), b"a=1\0b=2");
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Values<'a> {
    joined: &'a [u8],
}

impl<'a> Values<'a> {
    /// The string of the wire, NUL bytes included.
    pub const fn joined(self) -> &'a [u8] {
        self.joined
    }

    /// Each value. An empty string holds one empty value.
    pub fn iter(self) -> ValuesIter<'a> {
        ValuesIter {
            rest: Some(self.joined),
        }
    }

    /// The value, if there is exactly one.
    pub fn single(self) -> Option<&'a [u8]> {
        (!self.joined.contains(&0)).then_some(self.joined)
    }
}

impl<'a> From<&'a [u8]> for Values<'a> {
    fn from(joined: &'a [u8]) -> Self {
        Values { joined }
    }
}

impl<'a> IntoIterator for Values<'a> {
    type Item = &'a [u8];
    type IntoIter = ValuesIter<'a>;

    fn into_iter(self) -> ValuesIter<'a> {
        self.iter()
    }
}

impl fmt::Debug for Values<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list()
            .entries(self.iter().map(|value| value.escape_ascii().to_string()))
            .finish()
    }
}

/// The iterator of [`Values::iter`].
#[derive(Debug, Clone)]
pub struct ValuesIter<'a> {
    rest: Option<&'a [u8]>,
}

impl<'a> Iterator for ValuesIter<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        let rest = self.rest?;
        let end = rest.iter().position(|&byte| byte == 0);
        match end.and_then(|end| Some((rest.get(..end)?, rest.get(end + 1..)?))) {
            Some((value, after)) => {
                self.rest = Some(after);
                Some(value)
            }
            None => {
                self.rest = None;
                Some(rest)
            }
        }
    }
}

/// Reads counts, lengths and strings from an inflated block. `None` means that too few bytes are
/// left: a length of the wire never allocates by itself (CVE-2026-35469).
#[derive(Debug, Clone)]
pub(crate) struct Reader<'a> {
    version: WireVersion,
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    pub(crate) fn new(version: WireVersion, block: &'a [u8]) -> Self {
        Reader {
            version,
            rest: block,
        }
    }

    pub(crate) fn remaining(&self) -> usize {
        self.rest.len()
    }

    /// The number of pairs, if the rest of the block can hold that many.
    pub(crate) fn count(&mut self) -> Option<usize> {
        let count = self.length()?;
        (count <= self.rest.len() / (2 * self.version.width())).then_some(count)
    }

    pub(crate) fn string(&mut self) -> Option<&'a [u8]> {
        let length = self.length()?;
        let (string, rest) = self.rest.split_at_checked(length)?;
        self.rest = rest;
        Some(string)
    }

    fn length(&mut self) -> Option<usize> {
        match self.version {
            WireVersion::V2 => {
                let (bytes, rest) = self.rest.split_first_chunk()?;
                self.rest = rest;
                Some(usize::from(u16::from_be_bytes(*bytes)))
            }
            WireVersion::V3 => {
                let (bytes, rest) = self.rest.split_first_chunk()?;
                self.rest = rest;
                usize::try_from(u32::from_be_bytes(*bytes)).ok()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_split_at_every_nul() {
        let split = |joined: &'static [u8]| Values::from(joined).iter().collect::<Vec<_>>();
        assert_eq!(split(b""), [b""]);
        assert_eq!(split(b"one"), [b"one"]);
        assert_eq!(split(b"a\0\0b"), [&b"a"[..], b"", b"b"]);
        assert_eq!(split(b"\0"), [b"", b""]);
        assert_eq!(Values::from(&b"one"[..]).single(), Some(&b"one"[..]));
        assert_eq!(Values::from(&b"a\0b"[..]).single(), None);
    }

    #[test]
    fn a_count_over_the_rest_is_refused_before_anything_is_read() {
        let mut reader = Reader::new(WireVersion::V3, &[0x80, 0, 0, 0, 0, 0, 0, 0]);
        assert_eq!(reader.count(), None);
        let mut reader = Reader::new(WireVersion::V2, &[0, 1, 0, 0, 0, 0]);
        assert_eq!(reader.count(), Some(1));
        let mut reader = Reader::new(WireVersion::V2, &[0, 2, 0, 0, 0, 0]);
        assert_eq!(reader.count(), None);
    }
}
