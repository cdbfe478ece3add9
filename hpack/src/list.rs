use core::fmt;

/// The bounds of the fields that the decoder passes on. Sizes count as in
/// SETTINGS_MAX_HEADER_LIST_SIZE: name, value and 32 bytes for each field.
///
/// The number of fields matters as much as the size. A field costs its receiver far more memory
/// than its bytes and 32 more, and one byte on the wire can repeat it.
///
/// ```
/// use lacewing_hpack::ListLimits;
///
/// let limits = ListLimits::default().with(|limits| limits.max_fields = 100);
/// assert_eq!((limits.max_size, limits.max_fields), (65_536, 100));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct ListLimits {
    /// The size of the decoded list, in bytes. Default 64 KiB.
    pub max_size: usize,
    /// The number of fields. Default 1000.
    pub max_fields: usize,
}

impl Default for ListLimits {
    /// 64 KiB and 1,000 fields.
    fn default() -> Self {
        Self {
            max_size: 64 * 1024,
            max_fields: 1000,
        }
    }
}

impl ListLimits {
    /// Returns these limits after `change`, for use in expressions.
    #[must_use]
    pub fn with(mut self, change: impl FnOnce(&mut Self)) -> Self {
        change(&mut self);
        self
    }
}

/// The number and size of a block's fields, including those beyond a limit.
///
/// ```
/// use lacewing_hpack::{Decoder, HeaderField, ListLimits};
///
/// let mut decoder = Decoder::<HeaderField>::new(4096);
/// let summary = decoder.decode(&[0x82], ListLimits::default(), |_, _| {})?;
/// assert_eq!((summary.fields, summary.size), (1, ":methodGET".len() + 32));
/// # Ok::<(), lacewing_hpack::DecodeError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Summary {
    /// The number of fields in the block, including those beyond a limit.
    pub fields: usize,
    /// The size of the list (name, value and 32 bytes for each field), including fields beyond a
    /// limit.
    pub size: usize,
}

/// The limit of [`ListLimits`] that a list exceeds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ExceededLimit {
    /// [`ListLimits::max_size`].
    Size,
    /// [`ListLimits::max_fields`].
    Fields,
}

impl fmt::Display for ExceededLimit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Size => "size of the header list",
            Self::Fields => "number of header fields",
        })
    }
}
