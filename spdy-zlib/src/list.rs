//! Limits on a header list, and the summary of one.

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
    /// Bytes of names and values, and 32 for each field: over it, the list is
    /// [`Exceeded::Size`](crate::Exceeded::Size). Also the most bytes that a block may inflate to:
    /// over it, inflating stops with [`DecodeError::TooLarge`](crate::DecodeError::TooLarge) (a zlib
    /// bomb; CVE-2026-55833 is the result of going on). 64 KiB by default.
    pub max_size: usize,
    /// Fields: over it, the list is [`Exceeded::Fields`](crate::Exceeded::Fields). 1000 by default.
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
    /// The same limits after `change`, for chains.
    #[must_use]
    pub fn with(mut self, change: impl FnOnce(&mut Self)) -> Self {
        change(&mut self);
        self
    }
}

/// The number and size of the fields that a block handed out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Summary {
    /// Fields handed out.
    pub fields: usize,
    /// Bytes of their names and values, and 32 for each.
    pub size: usize,
}
