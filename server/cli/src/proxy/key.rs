//! The keys of WebSocket handshakes (RFC 6455 §4).

use base64::{Engine as _, engine::general_purpose::STANDARD};
use http::HeaderValue;
use ring::{
    digest::{Context, SHA1_FOR_LEGACY_USE_ONLY},
    rand::{SecureRandom, SystemRandom},
};

const GUID: &[u8] = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/// A key for a handshake of our own: 16 random bytes. `None` if the system has no randomness.
pub(super) fn fresh() -> Option<HeaderValue> {
    let mut nonce = [0; 16];
    SystemRandom::new().fill(&mut nonce).ok()?;
    HeaderValue::try_from(STANDARD.encode(nonce)).ok()
}

/// The value of `sec-websocket-accept` for a key.
pub(super) fn accept(key: &HeaderValue) -> Option<HeaderValue> {
    let mut digest = Context::new(&SHA1_FOR_LEGACY_USE_ONLY);
    digest.update(key.as_bytes());
    digest.update(GUID);
    HeaderValue::try_from(STANDARD.encode(digest.finish())).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_example_of_the_specification_and_fresh_keys() {
        let key = HeaderValue::from_static("dGhlIHNhbXBsZSBub25jZQ==");
        assert_eq!(accept(&key).unwrap(), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
        let (one, other) = (fresh().unwrap(), fresh().unwrap());
        assert_eq!(one.len(), 24);
        assert_ne!(one, other);
    }
}
