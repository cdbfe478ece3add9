//! The limits of a header list, and its summary.

/// The bounds of a header list.
///
/// ```
/// use lacewing_spdy_zlib::ListLimits;
///
/// let limits = ListLimits::default().with(|limits| limits.max_fields = 100);
/// assert_eq!(limits.max_size, 65_536);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct ListLimits {
    /// The bytes of names and values, and 32 for each field. A longer list is
    /// [`Exceeded::Size`](crate::Exceeded::Size). The same value limits the bytes to which a block
    /// may inflate. Beyond it, inflating stops with
    /// [`DecodeError::TooLarge`](crate::DecodeError::TooLarge), since the block may be a zlib bomb
    /// (CVE-2026-55833 is an implementation that continues). 64 KiB by default.
    pub max_size: usize,
    /// The number of fields. A longer list is [`Exceeded::Fields`](crate::Exceeded::Fields). 1,000
    /// by default.
    pub max_fields: usize,
}

impl Default for ListLimits {
    fn default() -> Self {
        ListLimits {
            max_size: 65_536,
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

/// The number and size of the fields that a block passed on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Summary {
    /// The number of fields.
    pub fields: usize,
    /// The bytes of their names and values, and 32 for each field.
    pub size: usize,
}
