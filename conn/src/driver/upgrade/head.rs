//! Heads of HTTP/1.1: reading them, writing them, and the bodies between them.

use std::{
    future::poll_fn,
    io,
    pin::{Pin, pin},
    task::ready,
};

use bytes::{Bytes, BytesMut};
use http::{
    HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode, Uri, Version, header,
};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_util::io::{poll_write_buf, read_buf};

use super::{error::UpgradeError, negotiation::tokens};

/// The most fields in a head.
const MAX_FIELDS: usize = 100;

/// The length of the body after a head (RFC 9112 §6.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Length {
    Known(u64),
    Chunked,
    /// No field gives it.
    Unsaid,
}

/// Reads until `parse` finds a whole head.
pub(super) async fn read_head<IO, T>(
    io: &mut IO,
    input: &mut BytesMut,
    max: usize,
    parse: impl Fn(&[u8]) -> Result<Option<(usize, T)>, UpgradeError>,
) -> Result<T, UpgradeError>
where
    IO: AsyncRead + Unpin,
{
    // The position at which the search for the head's end continues.
    let mut searched: usize = 0;
    loop {
        // Empty lines may precede it (RFC 9112 §2.2).
        if searched == 0 {
            let empty = input
                .iter()
                .take_while(|byte| matches!(byte, b'\r' | b'\n'));
            let _ = input.split_to(empty.count());
        }
        // Not parsed again for every byte of a peer that sends them one by one.
        let rest = input.get(searched..).unwrap_or_default();
        let ended = rest.windows(2).any(|pair| pair == b"\n\n")
            || rest.windows(3).any(|line| line == b"\n\r\n");
        if ended {
            let Some((len, head)) = parse(input)? else {
                return Err(UpgradeError::Malformed("the head's end"));
            };
            if len > max {
                return Err(UpgradeError::TooLarge(max));
            }
            let _ = input.split_to(len.min(input.len()));
            return Ok(head);
        }
        searched = input.len().saturating_sub(2);
        if input.len() >= max {
            return Err(UpgradeError::TooLarge(max));
        }
        if read_buf(io, input).await? == 0 {
            return Err(UpgradeError::Closed);
        }
    }
}

pub(super) fn parse_request(bytes: &[u8]) -> Result<Option<(usize, Request<()>)>, UpgradeError> {
    let mut fields = [httparse::EMPTY_HEADER; MAX_FIELDS];
    let mut parsed = httparse::Request::new(&mut fields);
    let len = match parsed.parse(bytes).map_err(explain)? {
        httparse::Status::Complete(len) => len,
        httparse::Status::Partial => return Ok(None),
    };
    let malformed = UpgradeError::Malformed;
    let method = parsed.method.unwrap_or_default().as_bytes();
    let mut request = Request::new(());
    *request.method_mut() =
        Method::from_bytes(method).map_err(|_| malformed("the request's method"))?;
    *request.uri_mut() = Uri::try_from(parsed.path.unwrap_or_default())
        .map_err(|_| malformed("the request's target"))?;
    *request.version_mut() = match parsed.version {
        Some(1) => Version::HTTP_11,
        _ => Version::HTTP_10,
    };
    *request.headers_mut() = collect(parsed.headers)?;
    Ok(Some((len, request)))
}

pub(super) fn parse_response(bytes: &[u8]) -> Result<Option<(usize, Response<()>)>, UpgradeError> {
    let mut fields = [httparse::EMPTY_HEADER; MAX_FIELDS];
    let mut parsed = httparse::Response::new(&mut fields);
    let len = match parsed.parse(bytes).map_err(explain)? {
        httparse::Status::Complete(len) => len,
        httparse::Status::Partial => return Ok(None),
    };
    let mut response = Response::new(());
    *response.status_mut() = StatusCode::from_u16(parsed.code.unwrap_or_default())
        .map_err(|_| UpgradeError::Malformed("the response's status"))?;
    *response.headers_mut() = collect(parsed.headers)?;
    Ok(Some((len, response)))
}

fn collect(fields: &[httparse::Header<'_>]) -> Result<HeaderMap, UpgradeError> {
    let mut headers = HeaderMap::with_capacity(fields.len());
    for field in fields {
        let name = HeaderName::from_bytes(field.name.as_bytes());
        let value = HeaderValue::from_bytes(field.value);
        let (Ok(name), Ok(value)) = (name, value) else {
            return Err(UpgradeError::Malformed("a header field"));
        };
        headers.append(name, value);
    }
    Ok(headers)
}

fn explain(error: httparse::Error) -> UpgradeError {
    UpgradeError::Malformed(match error {
        httparse::Error::HeaderName => "the name of a header field",
        httparse::Error::HeaderValue => "the value of a header field",
        httparse::Error::Status => "the response's status",
        httparse::Error::TooManyHeaders => "more than 100 header fields",
        httparse::Error::Version => "another version of HTTP",
        _ => "the head's first line",
    })
}

/// Returns the length of a body. Two different lengths are an attack (request
/// smuggling).
pub(super) fn length(headers: &HeaderMap) -> Result<Length, UpgradeError> {
    let mut lengths = headers.get_all(header::CONTENT_LENGTH).into_iter();
    let first = lengths.next();
    if lengths.any(|other| Some(other) != first) {
        return Err(UpgradeError::Malformed("several values of content-length"));
    }
    let chunked = headers.contains_key(header::TRANSFER_ENCODING);
    match first {
        Some(_) if chunked => Err(UpgradeError::Malformed(
            "content-length and transfer-encoding together",
        )),
        Some(value) => {
            let digits = value.as_bytes();
            let number = value.to_str().ok().and_then(|text| text.parse().ok());
            match number {
                Some(length) if digits.iter().all(u8::is_ascii_digit) => Ok(Length::Known(length)),
                _ => Err(UpgradeError::Malformed("the value of content-length")),
            }
        }
        None if chunked => {
            let last = tokens(headers, &header::TRANSFER_ENCODING).last();
            match last {
                Some(coding) if coding.eq_ignore_ascii_case("chunked") => Ok(Length::Chunked),
                _ => Ok(Length::Unsaid),
            }
        }
        None => Ok(Length::Unsaid),
    }
}

/// Reads the next `len` bytes.
pub(super) async fn read_exactly<IO: AsyncRead + Unpin>(
    io: &mut IO,
    input: &mut BytesMut,
    len: usize,
) -> Result<Bytes, UpgradeError> {
    while input.len() < len {
        if read_buf(io, input).await? == 0 {
            return Err(UpgradeError::Closed);
        }
    }
    Ok(input.split_to(len).freeze())
}

/// Reads the start of a response's body, at most `max` bytes. An error ends it
/// early.
pub(super) async fn read_start<IO: AsyncRead + Unpin>(
    io: &mut IO,
    input: &mut BytesMut,
    length: Length,
    max: usize,
    body: &mut BytesMut,
) {
    let wanted = match length {
        Length::Known(length) => usize::try_from(length).unwrap_or(max).min(max),
        Length::Chunked | Length::Unsaid => max,
    };
    let mut chunks = Chunks::default();
    loop {
        match length {
            Length::Chunked => chunks.decode(input, body),
            Length::Known(_) | Length::Unsaid => body.unsplit(input.split()),
        }
        if body.len() >= wanted || chunks.ended {
            body.truncate(wanted);
            return;
        }
        match read_buf(io, input).await {
            Ok(0) | Err(_) => return,
            Ok(_) => {}
        }
    }
}

/// The chunked coding (RFC 9112 §7.1).
#[derive(Debug, Default)]
struct Chunks {
    /// The rest of a chunk, then its line end.
    left: u64,
    /// The rest of the line end.
    line_end: usize,
    ended: bool,
}

impl Chunks {
    fn decode(&mut self, input: &mut BytesMut, body: &mut BytesMut) {
        while !self.ended && !input.is_empty() {
            if self.left > 0 {
                let len =
                    usize::try_from(self.left).map_or(input.len(), |left| left.min(input.len()));
                body.extend_from_slice(&input.split_to(len));
                self.left = self.left.saturating_sub(len as u64);
                self.line_end = if self.left == 0 { 2 } else { 0 };
                continue;
            }
            if self.line_end > 0 {
                let len = self.line_end.min(input.len());
                let _ = input.split_to(len);
                self.line_end = self.line_end.saturating_sub(len);
                continue;
            }
            match httparse::parse_chunk_size(input) {
                Ok(httparse::Status::Complete((len, size))) => {
                    let _ = input.split_to(len.min(input.len()));
                    self.left = size;
                    self.ended = size == 0;
                }
                Ok(httparse::Status::Partial) => {
                    // The line of a chunk's size is short.
                    self.ended = input.len() > 256;
                    return;
                }
                Err(_) => self.ended = true,
            }
        }
    }
}

/// Encodes a first line, fields, and an empty line.
pub(super) fn encode_head(first_line: &str, headers: &HeaderMap) -> BytesMut {
    let mut head = BytesMut::with_capacity(512);
    head.extend_from_slice(first_line.as_bytes());
    head.extend_from_slice(b"\r\n");
    for (name, value) in headers {
        head.extend_from_slice(name.as_str().as_bytes());
        head.extend_from_slice(b": ");
        head.extend_from_slice(value.as_bytes());
        head.extend_from_slice(b"\r\n");
    }
    head.extend_from_slice(b"\r\n");
    head
}

/// Writes all bytes, and flushes the transport.
pub(super) async fn write<IO: AsyncWrite + Unpin>(
    io: &mut IO,
    mut bytes: BytesMut,
) -> io::Result<()> {
    let mut io = pin!(io);
    poll_fn(|cx| {
        while !bytes.is_empty() {
            if ready!(poll_write_buf(io.as_mut(), cx, &mut bytes))? == 0 {
                return std::task::Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
        }
        io.as_mut().poll_flush(cx)
    })
    .await
}

/// Closes our side of the transport.
pub(super) async fn close<IO: AsyncWrite + Unpin>(io: &mut IO) {
    // The answer has been sent.
    let _ = poll_fn(|cx| Pin::new(&mut *io).poll_shutdown(cx)).await;
}
