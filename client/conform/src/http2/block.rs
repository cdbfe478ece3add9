//! Header blocks to send, valid or malformed. A case writes each representation
//! (RFC 7541 §6) itself. By default no field enters the dynamic table, so that
//! blocks do not depend on each other.

use lacewing_hpack::huffman;

use crate::target::Target;

/// A header block.
#[derive(Clone, Debug, Default)]
pub(super) struct Block(Vec<u8>);

/// The fields of a complete request.
pub(super) fn request(target: &Target, method: &str, path: &str) -> Block {
    Block::of(&[
        (":method", method),
        (":scheme", &target.scheme),
        (":path", path),
        (":authority", &target.authority),
    ])
}

/// GET of the target's path.
pub(super) fn get(target: &Target) -> Block {
    request(target, "GET", &target.path)
}

/// POST to the target's POST path.
pub(super) fn post(target: &Target) -> Block {
    request(target, "POST", &target.post_path)
}

/// GET of the large path.
pub(super) fn get_large(target: &Target) -> Block {
    request(target, "GET", &target.large_path)
}

/// A response's `:status` alone.
pub(super) fn status(code: &str) -> Block {
    Block::of(&[(":status", code)])
}

impl Block {
    /// An empty block.
    pub(super) fn new() -> Self {
        Self::default()
    }

    /// Literals without indexing (§6.2.2), in this order.
    pub(super) fn of(fields: &[(&str, &str)]) -> Self {
        fields
            .iter()
            .fold(Self::new(), |block, (name, value)| block.field(name, value))
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.0
    }

    /// A literal without indexing (§6.2.2).
    pub(super) fn field(self, name: &str, value: &str) -> Self {
        self.octets(name.as_bytes(), value.as_bytes())
    }

    /// A literal without indexing, of any octets.
    pub(super) fn octets(self, name: &[u8], value: &[u8]) -> Self {
        self.raw(&[0x00]).string(name).string(value)
    }

    /// A literal with incremental indexing (§6.2.1).
    pub(super) fn indexed_field(self, name: &str, value: &str) -> Self {
        self.raw(&[0x40])
            .string(name.as_bytes())
            .string(value.as_bytes())
    }

    /// A literal never indexed (§6.2.3).
    pub(super) fn never_indexed(self, name: &str, value: &str) -> Self {
        self.raw(&[0x10])
            .string(name.as_bytes())
            .string(value.as_bytes())
    }

    /// A literal without indexing, with an indexed name.
    pub(super) fn with_name(self, index: usize, value: &str) -> Self {
        self.integer(index, 4, 0x00).string(value.as_bytes())
    }

    /// A literal without indexing, with both strings Huffman-coded (§5.2).
    pub(super) fn huffman(self, name: &str, value: &str) -> Self {
        self.raw(&[0x00])
            .coded(name.as_bytes())
            .coded(value.as_bytes())
    }

    /// An indexed field (§6.1).
    pub(super) fn entry(self, index: usize) -> Self {
        self.integer(index, 7, 0x80)
    }

    /// A dynamic table size update (§6.3).
    pub(super) fn table_size(self, size: usize) -> Self {
        self.integer(size, 5, 0x20)
    }

    /// An integer (§5.1) below the high bits.
    pub(super) fn integer(mut self, value: usize, prefix: u32, high: u8) -> Self {
        let most = (1_usize << prefix).saturating_sub(1);
        if value < most {
            self.0.push(high | low_byte(value));
            return self;
        }
        self.0.push(high | low_byte(most));
        let mut rest = value.saturating_sub(most);
        while rest >= 0x80 {
            self.0.push(low_byte(rest & 0x7f) | 0x80);
            rest >>= 7;
        }
        self.0.push(low_byte(rest));
        self
    }

    /// A string literal without Huffman code (§5.2).
    pub(super) fn string(mut self, text: &[u8]) -> Self {
        self = self.integer(text.len(), 7, 0x00);
        self.0.extend_from_slice(text);
        self
    }

    /// A Huffman-coded string.
    pub(super) fn coded(mut self, text: &[u8]) -> Self {
        let mut coded = Vec::new();
        huffman::encode(text, &mut coded);
        self = self.integer(coded.len(), 7, 0x80);
        self.0.extend_from_slice(&coded);
        self
    }

    /// Any octets.
    pub(super) fn raw(mut self, octets: &[u8]) -> Self {
        self.0.extend_from_slice(octets);
        self
    }

    /// Appends the fields of another block.
    pub(super) fn and(self, other: &Block) -> Self {
        self.raw(&other.0)
    }
}

fn low_byte(value: usize) -> u8 {
    u8::try_from(value & 0xff).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_are_those_of_the_specification() {
        // RFC 7541 C.1
        assert_eq!(Block::new().integer(10, 5, 0).0, [0x0a]);
        assert_eq!(Block::new().integer(1337, 5, 0).0, [0x1f, 0x9a, 0x0a]);
        assert_eq!(Block::new().integer(42, 8, 0).0, [0x2a]);
    }
}
