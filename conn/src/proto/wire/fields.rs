//! A received header list on its way to a [`Head`]: pseudo-header fields apart,
//! the rest in a map, and the first rule that it breaks. The rules of names
//! and values (RFC 9113 §8.2, §8.3; SPDY §2.6.10, §3.2) stand here once for all
//! wires.

use bytes::{BufMut, Bytes, BytesMut};
use http::{
    HeaderMap, HeaderName, HeaderValue, Method, StatusCode,
    header::{self, Entry},
};

use super::target::{HostField, Target};
use crate::proto::{ConnectProtocol, Control, Head, Priority, Rule, Semantics, memory};

/// A header list as far as it was read.
#[derive(Debug, Default)]
pub(crate) struct Fields {
    pub(crate) method: Option<Method>,
    pub(crate) target: Target,
    pub(crate) protocol: Option<ConnectProtocol>,
    pub(crate) status: Option<StatusCode>,
    pub(crate) map: HeaderMap,
    /// Crumbs of the cookie after the first, joined (RFC 9113 §8.2.3).
    cookie: Option<BytesMut>,
    /// A `priority` field is among them (RFC 9218 §5).
    has_priority: bool,
    pub(crate) length: DeclaredLength,
    /// The `content-length` of this list or of an earlier one.
    last_length: LastLength,
    /// Bytes of names and values.
    bytes: usize,
    /// The room that the map gets with its first field, in fields.
    expected: usize,
    /// The first rule that the list breaks.
    pub(crate) malformed: Option<Rule>,
    /// The limit that the list is over, and by which it is cut short.
    pub(crate) exceeded: Option<ListLimit>,
}

/// The content-length of a header list.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum DeclaredLength {
    /// The list has none.
    #[default]
    None,
    Once(u64),
    /// Several fields, or no number: [`content_length_of`] decides.
    Unsettled,
}

impl DeclaredLength {
    /// Adds a field.
    fn add(&mut self, value: &[u8]) {
        *self = match (*self, digits(value)) {
            (Self::None, Some(length)) => Self::Once(length),
            _ => Self::Unsettled,
        };
    }
}

/// A content-length that may occur again: messages of a connection are often of one length.
/// From the second time on, the field costs no allocation.
#[derive(Debug, Default)]
struct LastLength {
    digits: [u8; 8],
    len: usize,
    /// Made when the digits occur again.
    value: Option<HeaderValue>,
}

impl LastLength {
    /// Returns a valid value of these digits if they are those of the last time. Otherwise it
    /// remembers them, unless they are too many.
    fn value_of(&mut self, digits: &[u8]) -> Option<HeaderValue> {
        if self.digits.get(..self.len) != Some(digits) {
            let room = self.digits.get_mut(..digits.len())?;
            room.copy_from_slice(digits);
            (self.len, self.value) = (digits.len(), None);
            return None;
        }
        if self.value.is_none() {
            let digits = Bytes::copy_from_slice(digits);
            self.value = check_value(&header::CONTENT_LENGTH, digits).ok();
        }
        self.value.clone()
    }
}

/// A limit of header lists.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ListLimit {
    Size,
    Fields,
}

/// The room that every map gets with its first field.
const FIRST_ROOM: usize = 6;

/// The most room that a map gets before it has the fields for it: about 7 KiB.
const MAX_EXPECTED: usize = 64;

impl Fields {
    /// Prepares for so many fields, which are likely to follow.
    pub(crate) fn expect(&mut self, fields: usize) {
        self.expected = fields.min(MAX_EXPECTED);
    }

    /// The first rule counts, and before all those by which no answer is
    /// deserved.
    pub(crate) fn malformed(&mut self, rule: Rule) {
        let earlier = self.malformed;
        if earlier.is_none_or(|earlier| earlier.is_of_target() && !rule.is_of_target()) {
            self.malformed = Some(rule);
        }
    }

    fn has_request_fields(&self) -> bool {
        self.method.is_some() || !self.target.is_empty() || self.protocol.is_some()
    }

    /// Adds a field whose name and value are valid.
    #[inline]
    pub(crate) fn append(&mut self, name: HeaderName, value: HeaderValue) {
        let text = name.as_str();
        self.bytes = self
            .bytes
            .saturating_add(text.len().saturating_add(value.len()));
        // To note them now costs less than to look for them later.
        match text {
            "cookie" => return self.append_cookie(value),
            "priority" => self.has_priority = true,
            "host" => self.target.host = HostField::Present,
            "content-length" => self.length.add(value.as_bytes()),
            _ => {}
        }
        // To grow a map step by step costs more than to fill it.
        if self.expected > FIRST_ROOM && self.map.is_empty() {
            self.map.reserve(self.expected);
        }
        self.map.append(name, value);
    }

    /// Adds a content-length whose value is spelled out, if it is that of an earlier list.
    pub(super) fn append_last_length(&mut self, value: &[u8]) -> bool {
        let value = self.last_length.value_of(value);
        let known = value.is_some();
        if let Some(value) = value {
            self.append(header::CONTENT_LENGTH, value);
        }
        known
    }

    /// Cookies are split into crumbs for the sake of compression; readers expect
    /// one field (RFC 9113 §8.2.3).
    fn append_cookie(&mut self, value: HeaderValue) {
        if let Some(joined) = &mut self.cookie {
            joined.put_slice(b"; ");
            joined.put_slice(value.as_bytes());
            return;
        }
        match self.map.entry(header::COOKIE) {
            Entry::Vacant(entry) => {
                entry.insert(value);
            }
            Entry::Occupied(entry) => {
                let mut joined = BytesMut::from(entry.get().as_bytes());
                joined.put_slice(b"; ");
                joined.put_slice(value.as_bytes());
                self.cookie = Some(joined);
            }
        }
    }

    /// Returns a list of the regular fields alone; `None` if the list breaks a rule, or its
    /// cookie is not in one piece.
    pub(super) fn copy_regular(&self) -> Option<Self> {
        if self.malformed.is_some() || self.exceeded.is_some() || self.cookie.is_some() {
            return None;
        }
        let mut copy = Self::default();
        copy.add_regular(self);
        Some(copy)
    }

    /// Adds the regular fields of another list to one that has none.
    pub(super) fn add_regular(&mut self, other: &Self) {
        self.map = other.map.clone();
        self.has_priority = other.has_priority;
        self.length = other.length;
        self.bytes = other.bytes;
        self.target.host = other.target.host;
    }

    /// The memory that the list takes as it is built, which is up to a hundred
    /// times its bytes on the wire.
    pub(crate) fn memory(&self) -> usize {
        memory::of_fields(&self.map, self.bytes)
    }

    /// Counts the values as parts of one buffer of `room` bytes, which they keep alive.
    pub(super) fn count_shared(&mut self, room: usize) {
        self.bytes = self.bytes.max(room);
    }

    /// A push may leave out what a request must have.
    pub(crate) fn forgive_missing_version(&mut self) {
        self.malformed = self
            .malformed
            .filter(|rule| *rule != Rule::MissingPseudoField);
    }

    /// The priority by the `priority` field (RFC 9218 §4).
    pub(crate) fn priority(&self) -> Option<Priority> {
        if !self.has_priority {
            return None;
        }
        let value = self.map.get("priority")?;
        Some(Priority::from_field(value.as_bytes()))
    }

    /// Takes a request's head out, or returns the first rule that the list breaks. After `Ok`
    /// the list is as empty as a new one.
    pub(crate) fn take_request(&mut self, semantics: Semantics) -> Result<Head, Rule> {
        if let Some(rule) = self.malformed {
            return Err(rule);
        }
        let (method, protocol) = (self.method.take(), self.protocol.take());
        let status = self.status.take();
        let host = self.target.host;
        let mut fields = self.take_map();
        if semantics == Semantics::Raw {
            self.target = Target::default();
            return Ok(Head::fields(fields));
        }
        let method = method.ok_or(Rule::MissingPseudoField)?;
        if status.is_some() {
            return Err(Rule::InvalidPseudoField);
        }
        let connect = method == Method::CONNECT;
        if protocol.is_some() && !connect {
            // RFC 8441 §4.
            return Err(Rule::InvalidPseudoField);
        }
        let uri = if connect && protocol.is_none() {
            self.target.take_connect_uri(host, &mut fields)?
        } else {
            self.target.take_uri(&method, host, &mut fields)?
        };
        Ok(Head {
            control: Control::Request {
                method,
                uri,
                protocol,
            },
            fields,
        })
    }

    /// Takes the map out, with all crumbs of the cookie in one field, and forgets what was noted
    /// about it.
    fn take_map(&mut self) -> HeaderMap {
        (self.has_priority, self.length) = (false, DeclaredLength::None);
        (self.bytes, self.expected) = (0, 0);
        self.target.host = HostField::Absent;
        if let Some(joined) = self.cookie.take() {
            set_cookie(&mut self.map, joined);
        }
        std::mem::take(&mut self.map)
    }

    /// Takes a response's head out, or returns the first rule that the list breaks. After `Ok`
    /// the list is as empty as a new one.
    pub(crate) fn take_response(&mut self, semantics: Semantics) -> Result<Head, Rule> {
        if let Some(rule) = self.malformed {
            return Err(rule);
        }
        let request = self.has_request_fields();
        let status = self.status.take();
        let fields = self.take_map();
        if semantics == Semantics::Raw {
            *self = Self::default();
            return Ok(Head::fields(fields));
        }
        let status = status.ok_or(Rule::MissingPseudoField)?;
        if request {
            return Err(Rule::InvalidPseudoField);
        }
        Ok(Head {
            control: Control::Response { status },
            fields,
        })
    }

    /// Trailers, or the first rule that the list breaks.
    pub(crate) fn into_trailers(self: Box<Self>) -> Result<HeaderMap, Rule> {
        if let Some(rule) = self.malformed {
            return Err(rule);
        }
        if self.has_request_fields() || self.status.is_some() {
            return Err(Rule::PseudoFieldInTrailers);
        }
        let Self {
            mut map, cookie, ..
        } = *self;
        if let Some(joined) = cookie {
            set_cookie(&mut map, joined);
        }
        Ok(map)
    }
}

/// Puts all crumbs of the cookie into one field.
fn set_cookie(map: &mut HeaderMap, joined: BytesMut) {
    let first = map.get(header::COOKIE);
    let sensitive = first.is_some_and(HeaderValue::is_sensitive);
    if let Ok(mut value) = HeaderValue::from_maybe_shared(joined.freeze()) {
        value.set_sensitive(sensitive);
        map.insert(header::COOKIE, value);
    }
}

/// A regular field's name: a lower-case token, and none of HTTP/1.1's
/// connection management (RFC 9113 §8.2.1, §8.2.2).
pub(crate) fn check_name(name: &[u8]) -> Result<HeaderName, Rule> {
    // `HeaderName` takes quotation marks, which no token has.
    if name.contains(&b'"') {
        return Err(Rule::InvalidFieldName);
    }
    check_static_name(name)
}

/// The same of a name without quotation marks.
pub(crate) fn check_static_name(name: &[u8]) -> Result<HeaderName, Rule> {
    // `from_lowercase` takes no upper case, `from_bytes` would fold it.
    let name = HeaderName::from_lowercase(name).map_err(|_| Rule::InvalidFieldName)?;
    let specific = [
        header::CONNECTION,
        header::TRANSFER_ENCODING,
        header::UPGRADE,
    ];
    if specific.contains(&name) || matches!(name.as_str(), "keep-alive" | "proxy-connection") {
        return Err(Rule::ConnectionSpecificField);
    }
    Ok(name)
}

/// A regular field's value: no control bytes, no white space around it
/// (RFC 9113 §8.2.1).
pub(crate) fn check_value(name: &HeaderName, value: Bytes) -> Result<HeaderValue, Rule> {
    let blank = |byte: Option<&u8>| byte.is_some_and(|byte| matches!(byte, b' ' | b'\t'));
    if blank(value.first()) || blank(value.last()) {
        return Err(Rule::InvalidFieldValue);
    }
    if *name == header::TE && !value.eq_ignore_ascii_case(b"trailers") {
        return Err(Rule::ConnectionSpecificField);
    }
    HeaderValue::from_maybe_shared(value).map_err(|_| Rule::InvalidFieldValue)
}

/// Fields that must not be sent (RFC 9113 §8.2.2).
pub(crate) fn is_connection_specific(name: &HeaderName, value: &HeaderValue) -> bool {
    match name.as_str() {
        "te" => !without_blanks(value.as_bytes()).eq_ignore_ascii_case(b"trailers"),
        "connection" | "keep-alive" | "proxy-connection" | "transfer-encoding" | "upgrade" => true,
        _ => false,
    }
}

/// Returns a value as it is sent. Blanks at its ends are no part of it (RFC 9110 §5.5) and must not
/// be sent (RFC 9113 §8.2.1). `HeaderValue` permits them.
#[inline]
pub(crate) fn without_blanks(mut value: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] | [rest @ .., b' ' | b'\t'] = value {
        value = rest;
    }
    value
}

/// The number that these digits are.
fn digits(text: &[u8]) -> Option<u64> {
    let (first, rest) = text.split_first()?;
    let digit = |byte: u8| byte.is_ascii_digit().then(|| u64::from(byte & 15));
    rest.iter().try_fold(digit(*first)?, |number, byte| {
        number.checked_mul(10)?.checked_add(digit(*byte)?)
    })
}

/// The length that all content-length fields agree on; `None` without any. One of them is
/// left (RFC 9110 §8.6).
pub(crate) fn content_length_of(fields: &mut HeaderMap) -> Result<Option<u64>, Rule> {
    let mut length = None;
    let mut repeated = false;
    for value in fields.get_all(header::CONTENT_LENGTH) {
        let number = digits(value.as_bytes()).ok_or(Rule::ContentLengthMismatch)?;
        if length.is_some_and(|earlier: u64| earlier != number) {
            return Err(Rule::ContentLengthMismatch);
        }
        repeated |= length.is_some();
        length = Some(number);
    }
    if let (true, Some(length)) = (repeated, length) {
        fields.insert(header::CONTENT_LENGTH, HeaderValue::from(length));
    }
    Ok(length)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_is_as_new_after_its_head_was_taken() {
        let new = format!("{:?}", Fields::default());
        let regular = |fields: &mut Fields| {
            fields.expect(9);
            for (name, value) in [
                ("host", "a"),
                ("cookie", "b=c"),
                ("cookie", "d=e"),
                ("priority", "u=1"),
                ("content-length", "0"),
            ] {
                fields.append(name.parse().unwrap(), value.parse().unwrap());
            }
        };
        let mut fields = Fields::default();
        for semantics in [Semantics::Http, Semantics::Raw] {
            regular(&mut fields);
            fields.method = Some(Method::GET);
            fields.target.scheme = Some(http::uri::Scheme::HTTP);
            fields.target.path = Some(http::uri::PathAndQuery::from_static("/"));
            fields.take_request(semantics).unwrap();
            assert_eq!(format!("{fields:?}"), new);
            regular(&mut fields);
            fields.status = Some(StatusCode::OK);
            if semantics == Semantics::Raw {
                fields.method = Some(Method::GET);
            }
            fields.take_response(semantics).unwrap();
            assert_eq!(format!("{fields:?}"), new);
        }
    }

    #[test]
    fn the_regular_fields_are_copied_with_what_was_noted_about_them() {
        let mut fields = Fields::default();
        for name in ["host", "cookie", "priority", "content-length"] {
            fields.append(name.parse().unwrap(), HeaderValue::from_static("1"));
        }
        let copied = fields.copy_regular().unwrap();
        assert_eq!(format!("{copied:?}"), format!("{fields:?}"));
        fields.append(header::COOKIE, HeaderValue::from_static("2"));
        assert!(fields.copy_regular().is_none());
    }

    #[test]
    fn a_repeated_length_is_one_value() {
        let mut fields = Fields::default();
        // Only digits that occur again are kept, and never what is no value.
        for (digits, kept) in [
            ("42", false),
            ("42", true),
            ("42", true),
            ("43", false),
            ("42", false),
            ("42", true),
            (" 42", false),
            (" 42", false),
            ("", false),
            ("123456789", false),
            ("123456789", false),
        ] {
            assert_eq!(
                fields.append_last_length(digits.as_bytes()),
                kept,
                "{digits:?}"
            );
            assert_eq!(fields.map.len(), usize::from(kept));
            let length = fields.map.remove(header::CONTENT_LENGTH);
            assert_eq!(length.is_some_and(|length| length == digits), kept);
            fields.take_map();
        }
    }

    #[test]
    fn a_length_is_settled_unless_there_are_several() {
        for (values, expected) in [
            (&[][..], DeclaredLength::None),
            (&["5"], DeclaredLength::Once(5)),
            (&["5", "5"], DeclaredLength::Unsettled),
            (&["5", "6"], DeclaredLength::Unsettled),
            (&["5", "5", "5"], DeclaredLength::Unsettled),
            (&["+5"], DeclaredLength::Unsettled),
            (&["x", "5"], DeclaredLength::Unsettled),
            (&["99999999999999999999"], DeclaredLength::Unsettled),
        ] {
            let mut fields = Fields::default();
            for value in values {
                fields.append(header::CONTENT_LENGTH, HeaderValue::from_static(value));
            }
            assert_eq!(fields.length, expected, "{values:?}");
        }
    }

    #[test]
    fn names_are_lower_case_tokens() {
        assert!(check_name(b"x-ok").is_ok());
        for bad in [
            &b""[..],
            b"Upper",
            b"sp ace",
            b"co:lon",
            b"nul\0",
            b"\x7f",
            b"\xff",
        ] {
            assert_eq!(check_name(bad), Err(Rule::InvalidFieldName), "{bad:?}");
        }
        for bad in [
            "connection",
            "keep-alive",
            "proxy-connection",
            "transfer-encoding",
            "upgrade",
        ] {
            assert_eq!(
                check_name(bad.as_bytes()),
                Err(Rule::ConnectionSpecificField),
                "{bad}"
            );
        }
    }

    #[test]
    fn values_have_no_control_bytes_and_no_blanks_around() {
        let name = HeaderName::from_static("x");
        for bad in ["a\0", "a\r", "a\n", " a", "a ", "\ta", "a\t"] {
            let value = check_value(&name, Bytes::from_static(bad.as_bytes()));
            assert_eq!(value, Err(Rule::InvalidFieldValue), "{bad:?}");
        }
        assert!(check_value(&name, Bytes::new()).is_ok());
        assert!(check_value(&header::TE, Bytes::from_static(b"trailers")).is_ok());
        let te = check_value(&header::TE, Bytes::from_static(b"gzip"));
        assert_eq!(te, Err(Rule::ConnectionSpecificField));
    }

    #[test]
    fn blanks_at_the_ends_are_cut_off() {
        for (value, expected) in [
            ("", ""),
            (" ", ""),
            ("\t \t", ""),
            (" a", "a"),
            ("a\t", "a"),
            (" \ta b\t ", "a b"),
        ] {
            assert_eq!(without_blanks(value.as_bytes()), expected.as_bytes());
        }
    }

    #[test]
    fn content_lengths_must_agree() {
        let lengths = |values: &[&'static str]| {
            let mut map = HeaderMap::new();
            for value in values {
                map.append(header::CONTENT_LENGTH, HeaderValue::from_static(value));
            }
            let length = content_length_of(&mut map);
            assert!(length.is_err() || map.len() < 2);
            length
        };
        assert_eq!(lengths(&[]), Ok(None));
        assert_eq!(lengths(&["5", "5"]), Ok(Some(5)));
        for bad in [
            &["5", "6"][..],
            &["+5"],
            &[""],
            &["5, 5"],
            &["99999999999999999999"],
        ] {
            assert_eq!(lengths(bad), Err(Rule::ContentLengthMismatch), "{bad:?}");
        }
    }

    #[test]
    fn room_for_expected_fields_is_bounded() {
        let mut fields = Fields::default();
        fields.expect(usize::MAX);
        assert_eq!(fields.memory(), 0);
        fields.append(header::ACCEPT, HeaderValue::from_static("*/*"));
        assert!((MAX_EXPECTED..2 * MAX_EXPECTED).contains(&fields.map.capacity()));
    }

    #[test]
    fn cookie_crumbs_are_rejoined() {
        let mut fields = Box::new(Fields::default());
        for crumb in ["a=1", "b=2", "c=3"] {
            fields.append(header::COOKIE, HeaderValue::from_static(crumb));
        }
        let map = fields.into_trailers().unwrap();
        assert_eq!(map.get(header::COOKIE).unwrap(), "a=1; b=2; c=3");
        assert_eq!(map.len(), 1);
    }
}
