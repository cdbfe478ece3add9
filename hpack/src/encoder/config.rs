use crate::DEFAULT_TABLE_SIZE;

/// The options of an [`Encoder`](crate::Encoder).
///
/// ```
/// use lacewing_hpack::{Encoder, EncoderConfig, Indexing};
///
/// // The encoder remembers no earlier field, so the size of a block cannot reveal one.
/// let config = EncoderConfig::DEFAULT.with(|config| config.indexing = Indexing::Nothing);
/// let encoder = Encoder::with_config(config);
/// # drop(encoder);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct EncoderConfig {
    /// The most bytes that the table may take (section 4.1), even if the peer permits more.
    pub max_table_size: usize,
    /// Selects the fields that enter the table.
    pub indexing: Indexing,
    /// The coding of strings.
    pub strings: StringCoding,
}

impl EncoderConfig {
    /// A table of [`DEFAULT_TABLE_SIZE`], and the options that compress best.
    pub const DEFAULT: Self = Self {
        max_table_size: DEFAULT_TABLE_SIZE,
        indexing: Indexing::Sensible,
        strings: StringCoding::HuffmanWhenShorter,
    };

    /// Returns these options after `change`, for use in expressions.
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
/// A field that the caller marks as sensitive is never inserted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum Indexing {
    /// Fields that are likely to repeat. Credentials and short cookies are sent as never-indexed
    /// literals, even if the caller does not mark them as sensitive.
    #[default]
    Sensible,
    /// All fields.
    Everything,
    /// No fields.
    Nothing,
}

/// The coding of an encoder's strings.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum StringCoding {
    /// Huffman-coded if that is shorter, otherwise plain.
    #[default]
    HuffmanWhenShorter,
    /// Always Huffman-coded, as in the examples of appendix C. Binary strings can become four times
    /// as long.
    Huffman,
    /// Always plain.
    Plain,
}
