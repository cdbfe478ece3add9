//! The bytes of header blocks, before and after compression.

/// The header blocks that a decoder has read so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct BlockBytes {
    /// The bytes of names and values.
    pub plain: u64,
    /// The bytes of compressed blocks, without the heads of their frames.
    pub compressed: u64,
}

impl BlockBytes {
    /// Adds a block whose list has this size, including 32 bytes for each field.
    #[cfg(any(feature = "http2", feature = "spdy"))]
    #[inline]
    pub(crate) fn add(&mut self, compressed: usize, size: usize, fields: usize) {
        let plain = size.saturating_sub(fields.saturating_mul(32));
        self.plain = self.plain.saturating_add(plain as u64);
        self.compressed = self.compressed.saturating_add(compressed as u64);
    }
}
