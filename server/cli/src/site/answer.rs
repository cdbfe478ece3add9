//! Responses about a file: the whole, parts of it, or its conditions.

use std::{
    collections::VecDeque,
    hash::{BuildHasher, Hasher, RandomState},
    sync::Arc,
    time::SystemTime,
};

use bytes::Bytes;
use http::{
    HeaderMap, HeaderValue, Method, Response, StatusCode,
    header::{
        ACCEPT_RANGES, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, ETAG, LAST_MODIFIED, VARY,
    },
};

use super::{
    body::{Content, Piece},
    status_page,
};
use crate::files::{Entry, Files, Ranges, Reader, Source, Span, Verdict};

/// The parts of a request that a file's response depends on.
#[derive(Clone, Copy)]
pub(crate) struct Asked<'a> {
    pub(crate) method: &'a Method,
    pub(crate) fields: &'a HeaderMap,
}

/// The response to a request for a file, which is at `path` below the root.
pub(crate) fn answer(
    files: &Arc<Files>,
    asked: Asked<'_>,
    path: &str,
    entry: &Entry,
) -> Response<Content> {
    let validators = &entry.facts.validators;
    match validators.check(asked.fields) {
        Verdict::Proceed => {}
        Verdict::NotModified => {
            let mut response = Response::new(Content::empty());
            *response.status_mut() = StatusCode::NOT_MODIFIED;
            let fields = response.headers_mut();
            for name in [ETAG, LAST_MODIFIED, VARY] {
                if let Some(value) = entry.facts.fields.get(&name) {
                    fields.insert(name, value.clone());
                }
            }
            return response;
        }
        Verdict::PreconditionFailed => return status_page(StatusCode::PRECONDITION_FAILED),
    }
    let size = entry.facts.identity.size();
    // Only GET has ranges (RFC 9110 §14.2).
    let ranges =
        asked.method == Method::GET && validators.allow_range(asked.fields, SystemTime::now());
    let ranges = if ranges {
        Ranges::of(asked.fields, size)
    } else {
        Ranges::Whole
    };
    let file = File { files, path, entry };
    match ranges {
        Ranges::Unsatisfiable => unsatisfiable(size),
        Ranges::Whole if asked.method == Method::HEAD => file.whole_response(Content::empty()),
        Ranges::Whole => file.whole(size),
        Ranges::Parts(parts) => match parts[..] {
            [part] => file.part(part, size),
            _ => file.parts(&parts, size),
        },
    }
}

fn unsatisfiable(size: u64) -> Response<Content> {
    let mut response = status_page(StatusCode::RANGE_NOT_SATISFIABLE);
    let fields = response.headers_mut();
    fields.insert(CONTENT_RANGE, text(format!("bytes */{size}")));
    fields.insert(ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    response
}

struct File<'a> {
    files: &'a Arc<Files>,
    path: &'a str,
    entry: &'a Entry,
}

impl File<'_> {
    fn whole(&self, size: u64) -> Response<Content> {
        let content = match &self.entry.body {
            Some(body) => Content::bytes(body.clone()),
            None => {
                let all = Span {
                    start: 0,
                    len: size,
                };
                self.pieces([Piece::Span(all)].into())
            }
        };
        self.whole_response(content)
    }

    /// The fields of this response are the same each time.
    fn whole_response(&self, content: Content) -> Response<Content> {
        let mut response = Response::new(content);
        *response.headers_mut() = self.entry.facts.fields.clone();
        response
    }

    fn part(&self, part: Span, size: u64) -> Response<Content> {
        let content = self.pieces([self.piece(part)].into());
        let mut response = self.partial_response(content, part.len);
        let fields = response.headers_mut();
        fields.insert(CONTENT_RANGE, text(content_range(part, size)));
        response
    }

    /// Several parts (RFC 9110 §14.6).
    fn parts(&self, parts: &[Span], size: u64) -> Response<Content> {
        let boundary = boundary();
        let content_type = String::from_utf8_lossy(self.entry.facts.content_type.as_bytes());
        let mut pieces = VecDeque::with_capacity(2 * parts.len() + 1);
        for part in parts {
            let head = format!(
                "\r\n--{boundary}\r\ncontent-type: {content_type}\r\ncontent-range: {}\r\n\r\n",
                content_range(*part, size)
            );
            pieces.push_back(Piece::Bytes(head.into()));
            pieces.push_back(self.piece(*part));
        }
        pieces.push_back(Piece::Bytes(format!("\r\n--{boundary}--\r\n").into()));
        let len = pieces.iter().map(Piece::len).fold(0, u64::saturating_add);
        let content = self.pieces(pieces);
        let mut response = self.partial_response(content, len);
        let multipart = format!("multipart/byteranges; boundary={boundary}");
        response.headers_mut().insert(CONTENT_TYPE, text(multipart));
        response
    }

    fn partial_response(&self, content: Content, len: u64) -> Response<Content> {
        let mut response = self.whole_response(content);
        *response.status_mut() = StatusCode::PARTIAL_CONTENT;
        response.headers_mut().insert(CONTENT_LENGTH, len.into());
        response
    }

    /// From memory if it is there.
    fn piece(&self, part: Span) -> Piece {
        let in_memory = self.entry.body.as_ref().and_then(|body| {
            let start = usize::try_from(part.start).ok()?;
            let end = usize::try_from(part.end()).ok()?;
            (end <= body.len()).then(|| body.slice(start..end))
        });
        in_memory.map_or(Piece::Span(part), Piece::Bytes)
    }

    fn pieces(&self, pieces: VecDeque<Piece>) -> Content {
        let from_disk = pieces.iter().any(|piece| matches!(piece, Piece::Span(_)));
        let reader = from_disk.then(|| {
            let source = Source {
                path: self.path.to_owned(),
                identity: self.entry.facts.identity,
            };
            Reader::new(Arc::clone(self.files), source)
        });
        Content::pieces(pieces, reader)
    }
}

fn content_range(part: Span, size: u64) -> String {
    format!("bytes {}-{}/{size}", part.start, part.last())
}

/// A line that occurs in a file by chance of one in 2^128.
fn boundary() -> String {
    let random = || RandomState::new().build_hasher().finish();
    format!("{:016x}{:016x}", random(), random())
}

/// A value of digits and plain words, which is always valid.
fn text(value: String) -> HeaderValue {
    HeaderValue::from_maybe_shared(Bytes::from(value))
        .unwrap_or_else(|_| HeaderValue::from_static(""))
}
