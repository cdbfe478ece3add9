//! Content codings (RFC 9110 §8.4.1), undone on the way to a file or to stdout.

use async_compression::{
    tokio::write::{BrotliDecoder, GzipDecoder, ZstdDecoder},
    zstd::DParameter,
};
use http::{HeaderMap, header};
use tokio::io::AsyncWrite;

/// The codings that a request with `--compressed` accepts.
pub(crate) const ACCEPTED: &str = "gzip, br, zstd";

/// The most codings of one body. A body has one, or is hostile.
const MAX_CODINGS: usize = 4;

/// The largest window of zstd, as a power of two: 8 MiB (RFC 9659 §3).
const ZSTD_WINDOW: u32 = 23;

/// A content coding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Coding {
    Gzip,
    Brotli,
    Zstd,
}

/// A writer of any kind.
pub(crate) type Writer = Box<dyn AsyncWrite + Send + Unpin>;

impl Coding {
    /// The codings of a body, in the order in which they were applied.
    ///
    /// # Errors
    ///
    /// The text about one that is unknown, or about too many.
    pub(crate) fn of(fields: &HeaderMap) -> Result<Vec<Self>, String> {
        let mut codings = Vec::new();
        for value in fields.get_all(header::CONTENT_ENCODING) {
            let text = String::from_utf8_lossy(value.as_bytes()).to_ascii_lowercase();
            for name in text.split(',').map(str::trim) {
                codings.push(match name {
                    "" | "identity" => continue,
                    "gzip" | "x-gzip" => Self::Gzip,
                    "br" => Self::Brotli,
                    "zstd" => Self::Zstd,
                    _ => {
                        return Err(format!(
                            "content-encoding {name:?} is none of {ACCEPTED}; without --compressed the \
                             bytes are written as they are"
                        ));
                    }
                });
            }
        }
        match codings.len() {
            0..=MAX_CODINGS => Ok(codings),
            more => Err(format!("{more} content codings; at most {MAX_CODINGS}")),
        }
    }

    /// A writer that undoes these codings before it writes. Its shutdown fails if the coded bytes are
    /// not complete.
    pub(crate) fn undo(codings: &[Self], writer: Writer) -> Writer {
        codings.iter().fold(writer, |writer, coding| match coding {
            Self::Gzip => Box::new(GzipDecoder::new(writer)),
            Self::Brotli => Box::new(BrotliDecoder::new(writer)),
            Self::Zstd => {
                let window = DParameter::window_log_max(ZSTD_WINDOW);
                Box::new(ZstdDecoder::with_params(writer, &[window]))
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn codings_are_read_in_their_order() {
        let mut fields = HeaderMap::new();
        assert_eq!(Coding::of(&fields), Ok(Vec::new()));
        fields.append("content-encoding", HeaderValue::from_static("GZIP , br"));
        fields.append("content-encoding", HeaderValue::from_static("zstd"));
        let all = vec![Coding::Gzip, Coding::Brotli, Coding::Zstd];
        assert_eq!(Coding::of(&fields), Ok(all));
        fields.append("content-encoding", HeaderValue::from_static("gzip,gzip"));
        assert!(Coding::of(&fields).unwrap_err().contains("5 content"));
        fields.insert("content-encoding", HeaderValue::from_static("compress"));
        assert!(Coding::of(&fields).unwrap_err().contains("\"compress\""));
    }
}
