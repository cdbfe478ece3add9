//! The header fields that a server adds to its responses.

use http::{
    HeaderMap, HeaderValue,
    header::{CONTENT_LENGTH, DATE},
};

/// The header fields that a server adds to a response, unless the response has
/// them. They are encoded behind the head's fields: to insert them into its map
/// costs more than to send them.
///
/// ```
/// use http::StatusCode;
/// use lacewing_conn::proto::{AddedFields, Head, StreamMut, UsageError};
///
/// fn not_found(mut stream: StreamMut<'_>) -> Result<(), UsageError> {
///     let added = AddedFields {
///         length: Some(0),
///         date: None,
///     };
///     stream.respond(Head::response(StatusCode::NOT_FOUND), added, true)
/// }
/// # let _ = not_found;
/// ```
#[derive(Clone, Debug, Default)]
pub struct AddedFields {
    /// The `content-length` (RFC 9110 §8.6).
    pub length: Option<u64>,
    /// The `date` (RFC 9110 §6.6.1).
    pub date: Option<HeaderValue>,
}

impl AddedFields {
    /// No field.
    pub(crate) const NONE: Self = Self {
        length: None,
        date: None,
    };

    /// Leaves out the fields that a response has.
    pub(crate) fn leave_out(&mut self, present: &HeaderMap) {
        if present.is_empty() {
            return;
        }
        if self.length.is_some() && present.contains_key(CONTENT_LENGTH) {
            self.length = None;
        }
        if self.date.is_some() && present.contains_key(DATE) {
            self.date = None;
        }
    }

    /// Inserts them into the fields of a response.
    pub(crate) fn insert_into(self, fields: &mut HeaderMap) {
        if let Some(length) = self.length {
            fields.insert(CONTENT_LENGTH, HeaderValue::from(length));
        }
        if let Some(date) = self.date {
            fields.insert(DATE, date);
        }
    }
}
