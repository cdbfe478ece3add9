//! A header list as the codec hands it over, before anything is built of it.

use lacewing_frames::spdy as frames;

use crate::proto::wire::ListLimit;

/// Bytes that a field counts beside its own (RFC 7541 §4.1).
const FIELD_OVERHEAD: usize = 32;

/// Bytes of names and values of an ordinary list.
pub(super) const TEXT: usize = 512;

/// Fields of an ordinary list.
const FIELDS: usize = 16;

/// One text with the ends of names and values.
#[derive(Debug, Default)]
pub(super) struct RawFields {
    pub(super) text: Vec<u8>,
    pub(super) ends: Vec<(usize, usize)>,
    /// A field named `version` is among them.
    pub(super) has_version: bool,
    /// The method is CONNECT, wherever it stands.
    pub(super) connect: bool,
    /// Values beside the first of their fields.
    more_values: usize,
    /// Bytes of the names that these have.
    repeated_names: usize,
}

impl RawFields {
    /// The limit that the list is over. Each value counts as a field: NUL joins
    /// any number of them in one (SPDY/2 §2.6.9, SPDY/3 §2.6.10), and a value of
    /// one byte costs as much memory as a field.
    pub(super) fn exceeded(&self, max_fields: usize, max_size: usize) -> Option<ListLimit> {
        let count = self.ends.len().saturating_add(self.more_values);
        let size = self.text.len().saturating_add(self.repeated_names);
        let size = size.saturating_add(count.saturating_mul(FIELD_OVERHEAD));
        if count > max_fields {
            Some(ListLimit::Fields)
        } else if size > max_size {
            Some(ListLimit::Size)
        } else {
            None
        }
    }
}

impl frames::HeaderList for RawFields {
    fn push(&mut self, name: &[u8], values: frames::Values<'_>) {
        if self.ends.is_empty() {
            // An ordinary list is then built without another allocation.
            self.text.reserve(TEXT);
            self.ends.reserve(FIELDS);
        }
        let joined = values.joined();
        self.has_version |= name == b"version" || name == b":version";
        self.connect |= joined == b"CONNECT" && matches!(name, b"method" | b":method");
        let more = joined.iter().filter(|byte| **byte == 0).count();
        self.more_values = self.more_values.saturating_add(more);
        let names = more.saturating_mul(name.len());
        self.repeated_names = self.repeated_names.saturating_add(names);
        self.text.extend_from_slice(name);
        let name_end = self.text.len();
        self.text.extend_from_slice(joined);
        self.ends.push((name_end, self.text.len()));
    }
}
