use crate::DEFAULT_TABLE_SIZE;

/// The choices of an [`Encoder`](crate::Encoder) that the protocol leaves open.
///
/// ```
/// use lacewing_hpack::{Encoder, EncoderConfig, Indexing};
///
/// // Nothing of earlier blocks is remembered, so nothing can leak through sizes.
/// let config = EncoderConfig::DEFAULT.with(|config| config.indexing = Indexing::Nothing);
/// let encoder = Encoder::with_config(config);
/// # drop(encoder);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct EncoderConfig {
    /// The most that we spend on a table, in bytes as section 4.1 counts them, however
    /// much the peer allows.
    pub max_table_size: usize,
    /// Selects the fields that enter the table.
    pub indexing: Indexing,
    /// The coding of strings.
    pub strings: StringCoding,
}

impl EncoderConfig {
    /// A table of [`DEFAULT_TABLE_SIZE`], and what compresses best.
    pub const DEFAULT: Self = Self {
        max_table_size: DEFAULT_TABLE_SIZE,
        indexing: Indexing::Sensible,
        strings: StringCoding::HuffmanWhenShorter,
    };

    /// The same choices after `change`, for chains.
    #[must_use]
    pub fn with(mut self, change: impl FnOnce(&mut Self)) -> Self {
        change(&mut self);
        self
    }
}

impl Default for EncoderConfig {
    fn default() -> Self {
        Self::DEFAULT
    }
}

/// Selects the fields that an encoder inserts into its table.
///
/// A field that the caller calls sensitive never does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum Indexing {
    /// Fields that are likely to repeat. Credentials and short cookies are sent as
    /// never-indexed literals even if the caller doesn't call them sensitive.
    #[default]
    Sensible,
    /// All.
    Everything,
    /// None.
    Nothing,
}

/// The coding of an encoder's strings.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum StringCoding {
    /// Huffman-coded where that is shorter, else as they are.
    #[default]
    HuffmanWhenShorter,
    /// Always Huffman-coded, as the examples of appendix C do it. Binary strings get up to
    /// four times as long.
    Huffman,
    /// As they are.
    Plain,
}
