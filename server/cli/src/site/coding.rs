//! Content codings: those that a client accepts, and the encoders (RFC 9110 §8.4, §12.5.3).

use std::{
    io::{self, Write},
    str::FromStr,
};

use bytes::Bytes;
use flate2::{Compression, write::GzEncoder};
use http::{HeaderMap, HeaderValue, header::ACCEPT_ENCODING};

use super::accept::members;

/// Levels that cost about as much as sending the bytes.
const GZIP_LEVEL: u32 = 5;
const ZSTD_LEVEL: i32 = 3;
const BROTLI_LEVEL: u32 = 4;
/// The window of Brotli and zstd, as a power of two: memory of each encoder.
const WINDOW: u32 = 19;
/// Bytes that Brotli's encoder passes on at once.
const BROTLI_BUFFER: usize = 16 << 10;

/// A content coding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Coding {
    Brotli,
    Zstd,
    Gzip,
}

impl Coding {
    /// The smallest results first.
    pub(crate) const BY_SIZE: [Self; 3] = [Self::Brotli, Self::Zstd, Self::Gzip];
    /// The fastest encoders first.
    pub(crate) const BY_SPEED: [Self; 3] = [Self::Zstd, Self::Brotli, Self::Gzip];

    /// The name in `content-encoding`.
    pub(crate) fn token(self) -> &'static str {
        match self {
            Self::Brotli => "br",
            Self::Zstd => "zstd",
            Self::Gzip => "gzip",
        }
    }

    /// The end of the name of a file in this coding.
    pub(crate) fn ending(self) -> &'static str {
        match self {
            Self::Brotli => ".br",
            Self::Zstd => ".zst",
            Self::Gzip => ".gz",
        }
    }

    pub(crate) fn value(self) -> HeaderValue {
        HeaderValue::from_static(self.token())
    }

    /// The codings among `offered` that the client accepts, the preferred first; of equals, the first
    /// of `offered`. None that it likes less than no coding.
    pub(crate) fn accepted(fields: &HeaderMap, offered: &[Self]) -> Vec<Self> {
        let weight = |name: &str| {
            let mut all = members(fields, &ACCEPT_ENCODING);
            let found = all.find(|(token, _)| token.eq_ignore_ascii_case(name));
            found.map(|(_, weight)| weight)
        };
        if !fields.contains_key(ACCEPT_ENCODING) {
            return Vec::new();
        }
        let others = weight("*").unwrap_or_default();
        let plain = weight("identity").unwrap_or_default();
        let weight_of = |coding: Self| match (weight(coding.token()), coding) {
            (Some(weight), _) => weight,
            (None, Self::Gzip) => weight("x-gzip").unwrap_or(others),
            (None, _) => others,
        };
        let mut accepted: Vec<_> = offered
            .iter()
            .map(|coding| (weight_of(*coding), *coding))
            .filter(|(weight, _)| *weight > 0 && *weight >= plain)
            .collect();
        // A stable sort.
        accepted.sort_by_key(|(weight, _)| std::cmp::Reverse(*weight));
        accepted.into_iter().map(|(_, coding)| coding).collect()
    }
}

impl FromStr for Coding {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut all = Self::BY_SIZE.into_iter();
        let found = all.find(|coding| {
            let ending = coding.ending();
            text == coding.token() || Some(text) == ending.strip_prefix('.')
        });
        found.ok_or_else(|| format!("`{text}` is no coding; there are br, zstd and gzip"))
    }
}

/// An encoder whose output is taken piece by piece.
pub(crate) enum Encoder {
    Brotli(Box<brotli::CompressorWriter<Vec<u8>>>),
    Zstd(Box<zstd::stream::write::Encoder<'static, Vec<u8>>>),
    Gzip(Box<GzEncoder<Vec<u8>>>),
}

impl Encoder {
    pub(crate) fn new(coding: Coding) -> io::Result<Self> {
        Ok(match coding {
            Coding::Brotli => {
                let output = Vec::new();
                let encoder =
                    brotli::CompressorWriter::new(output, BROTLI_BUFFER, BROTLI_LEVEL, WINDOW);
                Self::Brotli(Box::new(encoder))
            }
            Coding::Zstd => {
                let mut encoder = zstd::stream::write::Encoder::new(Vec::new(), ZSTD_LEVEL)?;
                encoder.window_log(WINDOW)?;
                Self::Zstd(Box::new(encoder))
            }
            Coding::Gzip => {
                let level = Compression::new(GZIP_LEVEL);
                Self::Gzip(Box::new(GzEncoder::new(Vec::new(), level)))
            }
        })
    }

    /// Encodes a piece. Returns what is ready, which may be nothing.
    pub(crate) fn encode(&mut self, piece: &[u8]) -> io::Result<Bytes> {
        match self {
            Self::Brotli(encoder) => encoder.write_all(piece)?,
            Self::Zstd(encoder) => encoder.write_all(piece)?,
            Self::Gzip(encoder) => encoder.write_all(piece)?,
        }
        let output = match self {
            Self::Brotli(encoder) => encoder.get_mut(),
            Self::Zstd(encoder) => encoder.get_mut(),
            Self::Gzip(encoder) => encoder.get_mut(),
        };
        Ok(std::mem::take(output).into())
    }

    /// Ends the content. Returns the rest of it.
    pub(crate) fn finish(self) -> io::Result<Bytes> {
        let rest = match self {
            Self::Brotli(encoder) => encoder.into_inner(),
            Self::Zstd(encoder) => encoder.finish()?,
            Self::Gzip(encoder) => encoder.finish()?,
        };
        Ok(rest.into())
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;

    fn accepted(value: &'static str) -> Vec<Coding> {
        let mut fields = HeaderMap::new();
        fields.insert(ACCEPT_ENCODING, HeaderValue::from_static(value));
        Coding::accepted(&fields, &Coding::BY_SIZE)
    }

    #[test]
    fn the_client_chooses_and_the_server_breaks_ties() {
        use Coding::{Brotli, Gzip, Zstd};
        for (value, expected) in [
            ("gzip, deflate, br, zstd", &[Brotli, Zstd, Gzip][..]),
            ("gzip", &[Gzip]),
            ("GZIP;q=1.0, br;q=0.5", &[Gzip, Brotli]),
            ("x-gzip", &[Gzip]),
            ("*", &[Brotli, Zstd, Gzip]),
            ("*;q=0.5, br;q=0", &[Zstd, Gzip]),
            ("identity, br;q=0.5", &[]),
            ("identity;q=0.2, br;q=0.5", &[Brotli]),
            ("br;q=0, gzip;q=0.000", &[]),
            ("deflate", &[]),
            ("", &[]),
        ] {
            assert_eq!(accepted(value), expected, "{value}");
        }
        assert!(Coding::accepted(&HeaderMap::new(), &Coding::BY_SIZE).is_empty());
    }

    #[test]
    fn what_is_encoded_in_pieces_is_decoded() {
        let text = "as it was, piece by piece; ".repeat(20_000);
        for coding in Coding::BY_SIZE {
            let mut encoder = Encoder::new(coding).unwrap();
            let mut encoded = Vec::new();
            for piece in text.as_bytes().chunks(10_000) {
                encoded.extend(encoder.encode(piece).unwrap());
            }
            encoded.extend(encoder.finish().unwrap());
            assert!(
                encoded.len() < text.len() / 20,
                "{coding:?}: {}",
                encoded.len()
            );
            let mut decoded = String::new();
            match coding {
                Coding::Brotli => brotli::Decompressor::new(&encoded[..], 4096)
                    .read_to_string(&mut decoded)
                    .map(drop),
                Coding::Zstd => zstd::Decoder::new(&encoded[..])
                    .unwrap()
                    .read_to_string(&mut decoded)
                    .map(drop),
                Coding::Gzip => flate2::read::GzDecoder::new(&encoded[..])
                    .read_to_string(&mut decoded)
                    .map(drop),
            }
            .unwrap();
            assert!(decoded == text, "{coding:?}");
        }
    }

    #[test]
    fn codings_have_the_names_of_fields_and_of_files() {
        for name in ["br", "zstd", "zst", "gzip", "gz"] {
            assert!(name.parse::<Coding>().is_ok(), "{name}");
        }
        assert!("deflate".parse::<Coding>().is_err());
    }
}
