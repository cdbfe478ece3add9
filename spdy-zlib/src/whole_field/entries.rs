//! The entries of the dictionaries: the parts of them that are a name or a value.

use crate::WireVersion;

/// A name or a value in the dictionary.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Entry {
    /// The start of the entry: its length field if it has one.
    pub(super) at: usize,
    pub(super) text: &'static [u8],
    /// A length precedes the entry, as in a header block.
    pub(super) framed: bool,
}

/// All entries that are worth a match, in the order of the dictionary.
pub(super) fn all(version: WireVersion) -> Vec<Entry> {
    match version {
        WireVersion::V2 => bare(version.dictionary(), 0, &V2),
        WireVersion::V3 => {
            let mut entries = framed(version.dictionary());
            let end = entries
                .last()
                .map_or(0, |last| last.at + version.width() + last.text.len());
            entries.extend(bare(version.dictionary(), end, &V3_BARE));
            entries
        }
    }
}

/// Texts in a row, without lengths: the whole of SPDY/2's dictionary. Texts of three bytes (the
/// status codes) are omitted, since a match takes as many bits as they do.
const V2: [&str; 64] = [
    "options",
    "head",
    "post",
    "delete",
    "trace",
    "accept",
    "accept-charset",
    "accept-encoding",
    "accept-language",
    "authorization",
    "expect",
    "from",
    "host",
    "if-modified-since",
    "if-match",
    "if-none-match",
    "if-range",
    "if-unmodifiedsince",
    "max-forwards",
    "proxy-authorization",
    "range",
    "referer",
    "user-agent",
    "accept-ranges",
    "etag",
    "location",
    "proxy-authenticate",
    "public",
    "retry-after",
    "server",
    "vary",
    "warning",
    "www-authenticate",
    "allow",
    "content-base",
    "content-encoding",
    "cache-control",
    "connection",
    "date",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "content-language",
    "content-length",
    "content-location",
    "content-md5",
    "content-range",
    "content-type",
    "expires",
    "last-modified",
    "set-cookie",
    "chunked",
    "text/html",
    "image/png",
    "image/jpg",
    "image/gif",
    "application/xml",
    "text/plain",
    "utf-8",
    "gzip",
    "deflate",
    "HTTP/1.1",
    "status",
    "version",
];

/// The values at the end of SPDY/3's dictionary, which have no lengths.
const V3_BARE: [&str; 20] = [
    "203 Non-Authoritative Information",
    "204 No Content",
    "301 Moved Permanently",
    "400 Bad Request",
    "401 Unauthorized",
    "403 Forbidden",
    "404 Not Found",
    "500 Internal Server Error",
    "501 Not Implemented",
    "503 Service Unavailable",
    "chunked",
    "text/html",
    "image/png",
    "image/jpg",
    "image/gif",
    "application/xml",
    "application/xhtml+xml",
    "text/plain",
    "text/javascript",
    "gzip,deflate,sdch",
];

/// The entries with lengths at the start of a dictionary.
fn framed(dictionary: &'static [u8]) -> Vec<Entry> {
    let mut entries = Vec::new();
    let mut rest = dictionary;
    while let Some((length, after)) = rest.split_first_chunk() {
        let length = usize::try_from(u32::from_be_bytes(*length)).unwrap_or(usize::MAX);
        let Some((text, after)) = after.split_at_checked(length) else {
            break;
        };
        entries.push(Entry {
            at: dictionary.len() - rest.len(),
            text,
            framed: true,
        });
        rest = after;
    }
    entries
}

/// The place of each text in a row that starts at `from`.
fn bare(dictionary: &'static [u8], mut from: usize, texts: &[&'static str]) -> Vec<Entry> {
    let places = texts.iter().filter_map(|text| {
        let text = text.as_bytes();
        let rest = dictionary.get(from..)?;
        let at = from + rest.windows(text.len()).position(|window| window == text)?;
        from = at + text.len();
        Some(Entry {
            at,
            text,
            framed: false,
        })
    });
    places.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_text_is_where_it_is_said_to_be() {
        for (version, bare, framed) in [(WireVersion::V2, 64, 0), (WireVersion::V3, 20, 65)] {
            let entries = all(version);
            assert_eq!(entries.iter().filter(|entry| !entry.framed).count(), bare);
            assert_eq!(entries.iter().filter(|entry| entry.framed).count(), framed);
            let mut end = 0;
            for Entry { at, text, framed } in entries {
                assert!(at >= end, "{}", text.escape_ascii());
                let start = if framed { at + version.width() } else { at };
                end = start + text.len();
                assert_eq!(&version.dictionary()[start..end], text);
                // The search for an entry finds the entry itself, not a part of another.
                assert!(text.len() > 1, "{}", text.escape_ascii());
            }
        }
    }

    #[test]
    fn the_names_of_a_request_are_entries() {
        for version in [WireVersion::V2, WireVersion::V3] {
            let entries = all(version);
            for name in ["accept", "accept-encoding", "user-agent", "host", "version"] {
                assert!(entries.iter().any(|entry| entry.text == name.as_bytes()));
            }
        }
    }
}
