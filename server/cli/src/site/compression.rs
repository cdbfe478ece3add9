//! Compression while a response is sent.

use std::sync::Arc;

use http::{
    HeaderMap, HeaderValue, Method, Response, StatusCode,
    header::{
        ACCEPT_RANGES, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_RANGE,
        CONTENT_TYPE, ETAG, VARY,
    },
};
use tokio::sync::Semaphore;

use super::{
    body::Content,
    coding::{Coding, Encoder},
};
use crate::files::is_compressible;

/// Shorter content fits a packet anyway.
const MIN_LENGTH: u64 = 1 << 10;

/// Responses that are compressed at once. An encoder takes up to about 2 MiB, for as long as its
/// client takes to read. Further responses are not compressed.
const MAX_ENCODERS: usize = 64;

/// Compresses responses while they are sent.
#[derive(Debug)]
pub(crate) struct Compressor(Arc<Semaphore>);

impl Default for Compressor {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(MAX_ENCODERS)))
    }
}

impl Compressor {
    /// Compresses a response if that is of use and the client accepts it.
    pub(crate) fn apply(
        &self,
        method: &Method,
        request: &HeaderMap,
        response: &mut Response<Content>,
    ) {
        let fields = response.headers();
        if fields.contains_key(CONTENT_ENCODING) || !may_compress(fields) {
            return;
        }
        if response.status() != StatusCode::OK || length(fields) < MIN_LENGTH {
            return;
        }
        add_vary(response.headers_mut());
        let accepted = Coding::accepted(request, &Coding::BY_SPEED);
        let (Some(coding), Ok(permit)) = (
            accepted.first().copied(),
            Arc::clone(&self.0).try_acquire_owned(),
        ) else {
            return;
        };
        if method != Method::HEAD {
            let Ok(encoder) = Encoder::new(coding) else {
                return;
            };
            let plain = std::mem::replace(response.body_mut(), Content::empty());
            *response.body_mut() = Content::coded(plain, encoder, permit);
        }
        let fields = response.headers_mut();
        fields.insert(CONTENT_ENCODING, coding.value());
        fields.remove(CONTENT_LENGTH);
        // Another time the bytes could be others: no ranges, and no strong validator.
        fields.remove(ACCEPT_RANGES);
        weaken(fields);
    }
}

fn may_compress(fields: &HeaderMap) -> bool {
    let text = |name| {
        let value: Option<&HeaderValue> = fields.get(name);
        value
            .and_then(|value| value.to_str().ok())
            .unwrap_or_default()
    };
    let media_type = text(CONTENT_TYPE).split(';').next().unwrap_or_default();
    is_compressible(media_type)
        && !fields.contains_key(CONTENT_RANGE)
        && !text(CACHE_CONTROL).contains("no-transform")
}

fn length(fields: &HeaderMap) -> u64 {
    let length = fields.get(CONTENT_LENGTH);
    let length = length.and_then(|length| length.to_str().ok()?.parse().ok());
    length.unwrap_or_default()
}

/// Adds `accept-encoding` to the fields on which a response depends. Files have it already.
fn add_vary(fields: &mut HeaderMap) {
    let name = HeaderValue::from_static("accept-encoding");
    if !fields.get_all(VARY).iter().any(|value| *value == name) {
        fields.append(VARY, name);
    }
}

fn weaken(fields: &mut HeaderMap) {
    let strong = fields
        .get(ETAG)
        .filter(|etag| etag.as_bytes().starts_with(b"\""));
    let weak = strong.map(|etag| [b"W/", etag.as_bytes()].concat());
    if let Some(Ok(weak)) = weak.map(HeaderValue::try_from) {
        fields.insert(ETAG, weak);
    }
}
