//! Messages that begin with the number of a channel.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use bytes::{Buf, BufMut, Bytes, BytesMut};
use tokio_tungstenite::tungstenite::{Message, Utf8Bytes};

use crate::protocol::ChannelEncoding;

/// The number of the channel that ends others, in v5.
pub(super) const CLOSE: u8 = 255;

/// Encodes a message of one channel.
pub(super) fn encode(encoding: ChannelEncoding, channel: u8, data: &[u8]) -> Message {
    match encoding {
        ChannelEncoding::Binary => {
            let mut message = BytesMut::with_capacity(data.len().saturating_add(1));
            message.put_u8(channel);
            message.put_slice(data);
            Message::Binary(message.freeze())
        }
        ChannelEncoding::Base64 => {
            let mut message = String::from(char::from(b'0'.saturating_add(channel)));
            STANDARD.encode_string(data, &mut message);
            Message::Text(Utf8Bytes::from(message))
        }
    }
}

/// A received message.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Received {
    /// Data of a channel.
    Data(u8, Bytes),
    /// Without even a channel's number.
    Empty,
    /// Not base64, in a protocol that is.
    Malformed,
}

/// Decodes the payload of a message. Clients of some languages send binary messages as
/// text and the reverse, so the kind of the message does not matter.
pub(super) fn decode(encoding: ChannelEncoding, mut payload: Bytes) -> Received {
    if payload.is_empty() {
        return Received::Empty;
    }
    let first = payload.get_u8();
    match encoding {
        ChannelEncoding::Binary => Received::Data(first, payload),
        ChannelEncoding::Base64 => match (first.checked_sub(b'0'), STANDARD.decode(&payload)) {
            (Some(channel), Ok(data)) => Received::Data(channel, Bytes::from(data)),
            _ => Received::Malformed,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_survive_both_encodings() {
        for encoding in [ChannelEncoding::Binary, ChannelEncoding::Base64] {
            for data in [&b""[..], b"a", b"\0\xff", b"hello"] {
                let sent = encode(encoding, 3, data).into_data();
                let expected = Received::Data(3, Bytes::copy_from_slice(data));
                assert_eq!(decode(encoding, sent), expected);
            }
            assert_eq!(decode(encoding, Bytes::new()), Received::Empty);
        }
        let text = encode(ChannelEncoding::Base64, 1, b"hi");
        assert_eq!(text, Message::text("1aGk="));
        for malformed in ["1a", "1a===", "1\u{e9}", "1-_-_", "\u{1}aGk="] {
            let payload = Bytes::from(malformed);
            assert_eq!(
                decode(ChannelEncoding::Base64, payload),
                Received::Malformed
            );
        }
    }
}
