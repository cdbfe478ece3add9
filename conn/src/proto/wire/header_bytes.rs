//! The size of header blocks.

/// Header bytes before and after compression.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct HeaderBytes {
    /// Bytes of names and values.
    pub plain: u64,
    /// Bytes of header blocks on the wire; of those that we sent, with the heads of their frames.
    pub compressed: u64,
}

impl HeaderBytes {
    /// Compressed over plain; `None` before the first header list.
    pub fn ratio(&self) -> Option<f64> {
        #[expect(clippy::cast_precision_loss, reason = "a ratio for people")]
        let ratio = self.compressed as f64 / self.plain as f64;
        (self.plain > 0).then_some(ratio)
    }
}
