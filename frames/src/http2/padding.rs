//! The padding that DATA, HEADERS and PUSH_PROMISE share (RFC 9113 §6.1).

use bytes::{BufMut, Bytes, BytesMut};

use super::{DecodeError, EncodeError, FrameHead, flags};

/// Splits a payload into its content and its padding, if the frame is padded.
///
/// Accepts padding that is not zero: the specification leaves the check to the receiver, and frames
/// of real senders have text there.
#[inline]
pub(crate) fn split(
    head: FrameHead,
    payload: &[u8],
) -> Result<(&[u8], Option<&[u8]>), DecodeError> {
    if !head.has(flags::PADDED) {
        return Ok((payload, None));
    }
    let Some((&length, rest)) = payload.split_first() else {
        return Err(DecodeError::Length {
            kind: head.kind,
            length: head.length,
        });
    };
    match rest.len().checked_sub(usize::from(length)) {
        Some(content) => {
            let (content, padding) = rest.split_at(content);
            Ok((content, Some(padding)))
        }
        None => Err(DecodeError::Padding {
            kind: head.kind,
            stream_id: head.stream_id,
        }),
    }
}

/// The number of bytes that padding adds to a payload, including its length byte.
pub(crate) fn overhead(padding: Option<&Bytes>) -> Result<usize, EncodeError> {
    match padding {
        None => Ok(0),
        Some(padding) if padding.len() > usize::from(u8::MAX) => Err(EncodeError::PaddingTooLong {
            length: padding.len(),
        }),
        Some(padding) => Ok(1 + padding.len()),
    }
}

/// Writes the length byte before the content.
pub(crate) fn put_length(dst: &mut BytesMut, padding: Option<&Bytes>) {
    if let Some(length) = padding.and_then(|padding| u8::try_from(padding.len()).ok()) {
        dst.put_u8(length);
    }
}

/// Writes the padding after the content.
pub(crate) fn put(dst: &mut BytesMut, padding: Option<&Bytes>) {
    if let Some(padding) = padding {
        dst.extend_from_slice(padding);
    }
}
