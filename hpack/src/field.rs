use core::fmt;

use bytes::Bytes;

use crate::{StaticIndex, Summary};

/// Permits or forbids to insert a field into a table, here and at every intermediary (the
/// never-indexed literal, section 6.2.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Sensitivity {
    /// The field may be indexed.
    #[default]
    Normal,
    /// The field is secret and always sent as a never-indexed literal. No attacker can guess it
    /// from the size of compressed blocks (section 7.1).
    Sensitive,
}

/// A header field as a [`Decoder`](crate::Decoder) builds it.
///
/// The decoder builds a field once, when a block spells it out. When a block refers to the dynamic
/// table, the decoder clones the entry. A type that validates or parses in `new`, and is cheap to
/// clone, therefore pays for a repeated field with one reference count.
///
/// Building a field cannot fail: RFC 7541 has no invalid names or values. A type with rules of its
/// own stores the result of its check in itself.
///
/// ```
/// use lacewing_hpack::{Decoder, Field, ListLimits};
///
/// /// The number in a `content-length`, or any other field.
/// #[derive(Clone)]
/// enum Length {
///     Given(Option<u64>),
///     OtherField,
/// }
///
/// fn number(value: &[u8]) -> Option<u64> {
///     std::str::from_utf8(value).ok()?.parse().ok()
/// }
///
/// impl Field for Length {
///     fn new(name: &[u8], value: &[u8]) -> Self {
///         match name {
///             b"content-length" => Self::Given(number(value)),
///             _ => Self::OtherField,
///         }
///     }
///     fn with_value(&self, value: &[u8]) -> Self {
///         match self {
///             Self::Given(_) => Self::Given(number(value)),
///             Self::OtherField => Self::OtherField,
///         }
///     }
/// }
///
/// let mut decoder = Decoder::<Length>::new(4096);
/// decoder.decode(b"\x5c\x0242\xbe", ListLimits::default(), |field, _| {
///     assert!(matches!(field, Length::Given(Some(42))));
/// })?;
/// # Ok::<(), lacewing_hpack::DecodeError>(())
/// ```
pub trait Field: Clone {
    /// A field whose name and value are spelled out.
    fn new(name: &[u8], value: &[u8]) -> Self;

    /// A field with the name of `self`, an entry of the dynamic table, and another value.
    fn with_value(&self, value: &[u8]) -> Self;

    /// An entry of the static table.
    #[inline]
    fn from_static(index: StaticIndex) -> Self {
        Self::new(index.name(), index.value())
    }

    /// A field with a name from the static table and a value that is spelled out.
    #[inline]
    fn from_static_name(index: StaticIndex, value: &[u8]) -> Self {
        Self::new(index.name(), value)
    }
}

/// Receives the fields of a block from [`Decoder::decode_into`](crate::Decoder::decode_into), in
/// their order.
///
/// A sink that needs only parts of an entry saves the clone of the whole.
///
/// ```
/// use lacewing_hpack::{Decoder, FieldSink, HeaderField, ListLimits, Sensitivity};
///
/// /// The bytes of all values.
/// #[derive(Default)]
/// struct ValueBytes(usize);
///
/// impl FieldSink<HeaderField> for ValueBytes {
///     fn field(&mut self, field: HeaderField, _: Sensitivity) {
///         self.entry(&field);
///     }
///     fn entry(&mut self, field: &HeaderField) {
///         self.0 += field.value().len();
///     }
/// }
///
/// let mut bytes = ValueBytes::default();
/// Decoder::new(4096).decode_into(b"\x82\x84", ListLimits::default(), &mut bytes)?;
/// assert_eq!(bytes.0, "GET".len() + "/".len());
/// # Ok::<(), lacewing_hpack::DecodeError>(())
/// ```
pub trait FieldSink<F: Field> {
    /// A field that the block spells out and no table stores.
    fn field(&mut self, field: F, sensitivity: Sensitivity);

    /// A field with a name of the static table, whose value the block spells out and no table
    /// stores. A sink that knows the value already saves the field. The default builds it.
    #[inline]
    fn named(&mut self, name: StaticIndex, value: &[u8], sensitivity: Sensitivity) {
        self.field(F::from_static_name(name, value), sensitivity);
    }

    /// An entry of the dynamic table: an older one, or one that the block spells out. The
    /// default clones it.
    #[inline]
    fn entry(&mut self, field: &F) {
        self.field(field.clone(), Sensitivity::Normal);
    }

    /// An entry of the static table.
    #[inline]
    fn static_entry(&mut self, index: StaticIndex) {
        self.field(F::from_static(index), Sensitivity::Normal);
    }

    /// Called before each field that is an index, with the bytes of the block from there on, but
    /// not before a pseudo-header field of the static table: requests begin with these. A sink
    /// that remembers the bytes, and knows their fields, returns the number and size of these.
    /// If they are within the limits, [`add_rest`](Self::add_rest) follows and the block ends.
    ///
    /// The same bytes mean the same fields as long as `table` is the same number: the table
    /// has not changed. `before` counts the fields so far. The default knows none.
    #[inline]
    fn known_rest(&mut self, rest: &[u8], table: u64, before: Summary) -> Option<Summary> {
        let _ = (rest, table, before);
        None
    }

    /// Adds the fields that [`known_rest`](Self::known_rest) knew.
    #[inline]
    fn add_rest(&mut self) {}
}

/// A header field as plain bytes: any bytes for name and value.
///
/// Name and value share one allocation, which clones share too. Fields of the static table need no
/// allocation.
///
/// ```
/// use lacewing_hpack::HeaderField;
///
/// let field = HeaderField::new(b"accept", b"text/html");
/// assert_eq!(field.name(), b"accept");
/// assert_eq!(field.value(), b"text/html");
/// assert_eq!(field.size(), 6 + 9 + 32);
/// ```
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct HeaderField {
    joined: Bytes,
    name_len: usize,
}

impl HeaderField {
    /// A field with copies of `name` and `value`.
    #[inline]
    pub fn new(name: &[u8], value: &[u8]) -> Self {
        Self {
            joined: join(name, value),
            name_len: name.len(),
        }
    }

    /// The name.
    #[inline]
    pub fn name(&self) -> &[u8] {
        self.split().0
    }

    /// The value.
    #[inline]
    pub fn value(&self) -> &[u8] {
        self.split().1
    }

    /// The name. Shares the field's memory.
    pub fn name_bytes(&self) -> Bytes {
        self.joined.slice_ref(self.name())
    }

    /// The value. Shares the field's memory.
    pub fn value_bytes(&self) -> Bytes {
        self.joined.slice_ref(self.value())
    }

    /// The size of the field in a table or list (section 4.1): both lengths and
    /// [`FIELD_OVERHEAD`](crate::FIELD_OVERHEAD), in bytes.
    pub fn size(&self) -> usize {
        self.joined.len().saturating_add(crate::FIELD_OVERHEAD)
    }

    #[inline]
    fn split(&self) -> (&[u8], &[u8]) {
        self.joined
            .split_at_checked(self.name_len)
            .unwrap_or_default()
    }
}

impl Field for HeaderField {
    #[inline]
    fn new(name: &[u8], value: &[u8]) -> Self {
        Self::new(name, value)
    }

    #[inline]
    fn with_value(&self, value: &[u8]) -> Self {
        Self::new(self.name(), value)
    }

    #[inline]
    fn from_static(index: StaticIndex) -> Self {
        let (joined, name_len) = index.joined();
        Self {
            joined: Bytes::from_static(joined),
            name_len,
        }
    }
}

impl fmt::Debug for HeaderField {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "\"{}: {}\"",
            self.name().escape_ascii(),
            self.value().escape_ascii()
        )
    }
}

/// Stores `name` and `value` in one piece of memory.
fn join(name: &[u8], value: &[u8]) -> Bytes {
    let len = name.len() + value.len();
    // A `Bytes` from a vector allocates again at its first clone, and every field that enters a
    // table is cloned. An owner type holds the reference count and the bytes together. The size is
    // part of the owner's type, so there is one type for each size class.
    match len {
        0 => Bytes::new(),
        1..=32 => inline::<32>(name, value),
        33..=48 => inline::<48>(name, value),
        49..=64 => inline::<64>(name, value),
        65..=80 => inline::<80>(name, value),
        81..=96 => inline::<96>(name, value),
        97..=128 => inline::<128>(name, value),
        129..=192 => inline::<192>(name, value),
        193..=256 => inline::<256>(name, value),
        _ => {
            let mut joined = alloc::vec::Vec::with_capacity(len);
            joined.extend_from_slice(name);
            joined.extend_from_slice(value);
            Bytes::from(joined)
        }
    }
}

#[inline]
fn inline<const N: usize>(name: &[u8], value: &[u8]) -> Bytes {
    let mut array = [0; N];
    let (head, rest) = array.split_at_mut(name.len().min(N));
    for (to, from) in [(head, name), (rest, value)] {
        if let Some(to) = to.get_mut(..from.len()) {
            to.copy_from_slice(from);
        }
    }
    let mut bytes = Bytes::from_owner(array);
    bytes.truncate(name.len() + value.len());
    bytes
}

#[cfg(test)]
mod tests {
    use alloc::format;
    use alloc::vec;

    use super::*;

    #[test]
    fn joined_at_every_size_class() {
        for name_len in [0, 1, 16, 31, 100] {
            // Miri is a thousand times slower.
            for value_len in (0..300).step_by(if cfg!(miri) { 13 } else { 1 }) {
                let (name, value) = (vec![b'n'; name_len], vec![b'v'; value_len]);
                let field = HeaderField::new(&name, &value);
                assert_eq!((field.name(), field.value()), (&name[..], &value[..]));
                assert_eq!(field.clone().value_bytes(), value);
                assert_eq!(field.name_bytes(), name);
            }
        }
    }

    #[test]
    fn debug_escapes() {
        let field = HeaderField::new(b"a", b"\n\"");
        assert_eq!(format!("{field:?}"), "\"a: \\n\\\"\"");
    }
}
