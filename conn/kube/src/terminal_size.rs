//! The sizes of the client's terminal, as JSON objects on a stream or channel.

use bytes::Bytes;
use serde_json::{Map, Value};

/// The size of a terminal, in characters.
///
/// ```
/// use lacewing_kube::TerminalSize;
///
/// let size = TerminalSize { width: 80, height: 24 };
/// assert_eq!(size.encode(), "{\"Width\":80,\"Height\":24}\n");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TerminalSize {
    /// Characters in a line.
    pub width: u16,
    /// Lines.
    pub height: u16,
}

impl TerminalSize {
    /// Returns the JSON object, with a newline behind it.
    pub fn encode(self) -> Bytes {
        let Self { width, height } = self;
        Bytes::from(format!("{{\"Width\":{width},\"Height\":{height}}}\n"))
    }

    /// Parses a whole object. Go's parser ignores the case of the names, so clients of
    /// other languages send them in any case.
    fn parse(object: &[u8]) -> Option<Self> {
        let object: Map<String, Value> = serde_json::from_slice(object).ok()?;
        let side = |wanted: &str| {
            let named = |(name, _): &(&String, &Value)| name.eq_ignore_ascii_case(wanted);
            let (_, value) = object.iter().find(named)?;
            let side = u16::try_from(value.as_u64()?).ok()?;
            // No terminal has it; a client without a terminal may send it.
            (side > 0).then_some(side)
        };
        Some(Self {
            width: side("width")?,
            height: side("height")?,
        })
    }
}

/// Decodes terminal sizes that arrive in pieces: cut anywhere, several at once, with
/// or without newlines.
///
/// Bytes that are no size are skipped: other JSON, a side that is 0 or above 65535,
/// garbage. Memory is bounded by [`MAX_OBJECT`](Self::MAX_OBJECT).
///
/// ```
/// use lacewing_kube::{TerminalSize, TerminalSizeDecoder};
///
/// let mut decoder = TerminalSizeDecoder::new();
/// assert_eq!(decoder.push(br#"{"Width":80,"#), None);
/// let last = decoder.push(br#""Height":24}{"Width":100,"Height":30}"#);
/// assert_eq!(last, Some(TerminalSize { width: 100, height: 30 }));
/// ```
#[derive(Debug, Default)]
pub struct TerminalSizeDecoder {
    /// An object from its `{` on.
    object: Vec<u8>,
    string: Quoted,
}

/// The place inside an object.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Quoted {
    /// Not in a string.
    #[default]
    No,
    Yes,
    /// In a string, behind a backslash.
    Escape,
}

impl TerminalSizeDecoder {
    /// The longest object, in bytes. A size needs 30.
    pub const MAX_OBJECT: usize = 1024;

    /// Creates a decoder at the start of a stream.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes the next bytes. Returns the last size that is complete with them: earlier
    /// ones are out of date.
    pub fn push(&mut self, bytes: &[u8]) -> Option<TerminalSize> {
        let mut last = None;
        for byte in bytes {
            if let Some(size) = self.push_byte(*byte) {
                last = Some(size);
            }
        }
        last
    }

    fn push_byte(&mut self, byte: u8) -> Option<TerminalSize> {
        match (self.string, byte) {
            // Sizes are flat: a second brace belongs to the next object.
            (Quoted::No, b'{') => self.object.clear(),
            _ if self.object.is_empty() => return None,
            // No string of JSON has one (RFC 8259 §7): garbage.
            (Quoted::Yes | Quoted::Escape, b'\n') => {
                self.abandon();
                return None;
            }
            (Quoted::No, b'"') => self.string = Quoted::Yes,
            (Quoted::Yes, b'"') | (Quoted::Escape, _) => {
                self.string = match self.string {
                    Quoted::Escape => Quoted::Yes,
                    _ => Quoted::No,
                };
            }
            (Quoted::Yes, b'\\') => self.string = Quoted::Escape,
            (Quoted::No, b'}') => {
                self.object.push(byte);
                let size = TerminalSize::parse(&self.object);
                self.abandon();
                return size;
            }
            _ => {}
        }
        self.object.push(byte);
        if self.object.len() >= Self::MAX_OBJECT {
            self.abandon();
        }
        None
    }

    fn abandon(&mut self) {
        self.object.clear();
        self.string = Quoted::No;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn size(width: u16, height: u16) -> Option<TerminalSize> {
        Some(TerminalSize { width, height })
    }

    #[test]
    fn sizes_may_be_cut_anywhere() {
        let text = b"{\"Width\":80,\"Height\":24}\n{\"height\":65535,\"WIDTH\":1}";
        for at in 0..=text.len() {
            let mut decoder = TerminalSizeDecoder::new();
            let (start, end) = text.split_at(at);
            let last = [decoder.push(start), decoder.push(end)];
            assert_eq!(last.into_iter().flatten().last(), size(1, 65535), "{at}");
        }
    }

    #[test]
    fn garbage_is_skipped_and_the_next_size_is_found() {
        let garbage = [
            "",
            "}}}{",
            "{\"Width\":80",
            "{\"Wid",
            "\"{\"",
            "{}",
            "[1,2]",
            "{\"Width\":80}",
            "{\"Width\":0,\"Height\":24}",
            "{\"Width\":65536,\"Height\":24}",
            "{\"Width\":-1,\"Height\":24}",
            "{\"Width\":80.5,\"Height\":24}",
            "{\"Width\":\"80\",\"Height\":24}",
            "{\"Width\":{\"a\":1},\"Height\":24}",
            "{\"a\":\"\\\"}{\\\\\"}",
            "\u{0}\u{1f600}",
        ];
        for garbage in garbage {
            let mut decoder = TerminalSizeDecoder::new();
            assert_eq!(decoder.push(garbage.as_bytes()), None, "{garbage}");
            let next = decoder.push(b"\n{\"Width\":80,\"Height\":24}");
            assert_eq!(next, size(80, 24), "{garbage}");
        }
    }

    #[test]
    fn a_valid_size_outlives_garbage_behind_it() {
        let mut decoder = TerminalSizeDecoder::new();
        let last = decoder.push(b"{\"Width\":80,\"Height\":24}{\"Width\":99999,\"Height\":1}x");
        assert_eq!(last, size(80, 24));
    }

    #[test]
    fn memory_is_bounded() {
        let mut decoder = TerminalSizeDecoder::new();
        for start in ["{", "{\"", "{\"a\":\"\\\\"] {
            assert_eq!(decoder.push(start.as_bytes()), None);
            for _ in 0..1000 {
                assert_eq!(decoder.push(&[b'x'; 1000]), None);
                assert!(decoder.object.len() < TerminalSizeDecoder::MAX_OBJECT);
            }
            let next = decoder.push(b"\n{\"Width\":80,\"Height\":24}");
            assert_eq!(next, size(80, 24), "{start}");
        }
    }

    #[test]
    fn a_million_sizes_leave_the_last() {
        let mut decoder = TerminalSizeDecoder::new();
        let one = b"{\"Width\":80,\"Height\":24}";
        let many = one.repeat(1_000_000);
        assert_eq!(decoder.push(&many), size(80, 24));
        assert_eq!(
            decoder.push(
                &TerminalSize {
                    width: 7,
                    height: 9
                }
                .encode()
            ),
            size(7, 9)
        );
    }
}
