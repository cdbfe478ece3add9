//! A received header list on its way to a [`Head`]: pseudo-header fields apart,
//! the rest in a map, and the first rule that it breaks. The rules of names
//! and values (RFC 9113 §8.2, §8.3; SPDY §2.6.10, §3.2) stand here once for all
//! wires.

use bytes::{BufMut, Bytes, BytesMut};
use http::{
    HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri,
    header::{self, Entry},
    uri::{self, PathAndQuery, Scheme},
};

use crate::proto::{
    ConnectProtocol, Control, Head, Priority, Rule, Semantics, authority::Authority,
};

/// A header list as far as it was read.
#[derive(Debug, Default)]
pub(crate) struct Fields {
    pub(crate) method: Option<Method>,
    pub(crate) scheme: Option<Scheme>,
    pub(crate) authority: Option<Authority>,
    pub(crate) path: Option<PathAndQuery>,
    pub(crate) protocol: Option<ConnectProtocol>,
    pub(crate) status: Option<StatusCode>,
    pub(crate) map: HeaderMap,
    /// Crumbs of the cookie after the first, joined (RFC 9113 §8.2.3).
    cookie: Option<BytesMut>,
    /// A `priority` field came (RFC 9218 §5).
    has_priority: bool,
    /// A `host` field came.
    has_host: bool,
    /// A `content-length` field came.
    pub(crate) has_length: bool,
    /// The first rule that the list breaks.
    pub(crate) malformed: Option<Rule>,
    /// The limit that the list is over, and by which it is cut short.
    pub(crate) exceeded: Option<ListLimit>,
}

/// A limit of header lists.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ListLimit {
    Size,
    Fields,
}

impl Fields {
    /// The first rule counts, and before all those by which no answer is
    /// deserved.
    pub(crate) fn malformed(&mut self, rule: Rule) {
        let earlier = self.malformed;
        if earlier.is_none_or(|earlier| earlier.is_of_target() && !rule.is_of_target()) {
            self.malformed = Some(rule);
        }
    }

    pub(crate) fn has_pseudo_fields(&self) -> bool {
        self.method.is_some()
            || self.scheme.is_some()
            || self.authority.is_some()
            || self.path.is_some()
            || self.protocol.is_some()
            || self.status.is_some()
    }

    /// Adds a field that [`check_field`] let pass.
    #[inline]
    pub(crate) fn append(&mut self, name: HeaderName, value: HeaderValue) {
        // To note them now costs less than to look for them later.
        match name.as_str() {
            "cookie" => return self.append_cookie(value),
            "priority" => self.has_priority = true,
            "host" => self.has_host = true,
            "content-length" => self.has_length = true,
            _ => {}
        }
        self.map.append(name, value);
    }

    /// Cookies are split into crumbs for the sake of compression; whoever
    /// reads them wants one (RFC 9113 §8.2.3).
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

    /// A push may leave out what a request must have.
    pub(crate) fn forgive_missing_version(&mut self) {
        self.malformed = self
            .malformed
            .filter(|rule| *rule != Rule::MissingPseudoField);
    }

    fn take_map(&mut self) -> HeaderMap {
        let mut map = std::mem::take(&mut self.map);
        if let Some(joined) = self.cookie.take() {
            let sensitive = map
                .get(header::COOKIE)
                .is_some_and(HeaderValue::is_sensitive);
            if let Ok(mut value) = HeaderValue::from_maybe_shared(joined.freeze()) {
                value.set_sensitive(sensitive);
                map.insert(header::COOKIE, value);
            }
        }
        map
    }

    /// What the `priority` field says (RFC 9218 §4).
    pub(crate) fn priority(&self) -> Option<Priority> {
        if !self.has_priority {
            return None;
        }
        let value = self.map.get("priority")?;
        Some(Priority::from_field(value.as_bytes()))
    }

    /// A request's head, or the first rule that the list breaks.
    pub(crate) fn into_request(mut self: Box<Self>, semantics: Semantics) -> Result<Head, Rule> {
        if let Some(rule) = self.malformed {
            return Err(rule);
        }
        let mut map = self.take_map();
        if semantics == Semantics::Raw {
            return Ok(Head::fields(map));
        }
        let method = self.method.take().ok_or(Rule::MissingPseudoField)?;
        if self.status.is_some() {
            return Err(Rule::InvalidPseudoField);
        }
        let protocol = self.protocol.take();
        if protocol.is_some() && method != Method::CONNECT {
            // RFC 8441 §4.
            return Err(Rule::InvalidPseudoField);
        }
        let uri = if method == Method::CONNECT && protocol.is_none() {
            self.connect_uri(&mut map)?
        } else {
            self.uri(&method, &mut map)?
        };
        Ok(Head {
            control: Control::Request {
                method,
                uri,
                protocol,
            },
            fields: map,
        })
    }

    /// CONNECT has an authority and nothing else (RFC 9113 §8.5).
    fn connect_uri(&mut self, map: &mut HeaderMap) -> Result<Uri, Rule> {
        if self.scheme.is_some() || self.path.is_some() {
            return Err(Rule::InvalidPseudoField);
        }
        if self.authority.is_none() {
            return Err(Rule::MissingPseudoField);
        }
        let mut parts = uri::Parts::default();
        // One that a URI has no place for is no target that one can connect to.
        let authority = self.settle_authority(None, map)?;
        let authority = authority.ok_or(Rule::UnsupportedTarget)?;
        // There is no default port (RFC 9110 §9.3.6).
        if authority.port_u16().is_none() {
            return Err(Rule::UnsupportedTarget);
        }
        parts.authority = Some(authority);
        Uri::from_parts(parts).map_err(|_| Rule::InvalidPseudoValue)
    }

    fn uri(&mut self, method: &Method, map: &mut HeaderMap) -> Result<Uri, Rule> {
        let scheme = self.scheme.take().ok_or(Rule::MissingPseudoField)?;
        let path = self.path.take().ok_or(Rule::MissingPseudoField)?;
        if path.as_str() == "*" && method != Method::OPTIONS {
            return Err(Rule::InvalidPseudoValue);
        }
        let authority = self.settle_authority(Some(&scheme), map)?;
        let mut parts = uri::Parts::default();
        // Without an authority a URI cannot carry its scheme.
        parts.scheme = authority.is_some().then_some(scheme);
        parts.authority = authority;
        parts.path_and_query = Some(path);
        Uri::from_parts(parts).map_err(|_| Rule::InvalidPseudoValue)
    }

    /// The authority for the URI. Whoever reads the `host` field, of which there
    /// is one at most, reads the same: it says what `:authority` says, and all
    /// of it where a URI has no place for that.
    fn settle_authority(
        &mut self,
        scheme: Option<&Scheme>,
        map: &mut HeaderMap,
    ) -> Result<Option<uri::Authority>, Rule> {
        let authority = self.authority.take();
        let host = if self.has_host {
            map.get(header::HOST)
        } else {
            None
        };
        let Some(host) = host else {
            return match authority {
                None => Ok(None),
                Some(Authority::Uri(authority)) => Ok(Some(authority)),
                Some(Authority::Field(host)) => {
                    map.insert(header::HOST, host);
                    Ok(None)
                }
            };
        };
        if map.get_all(header::HOST).iter().nth(1).is_some() {
            return Err(Rule::ContradictingFields);
        }
        let authority = match authority {
            // A target without an authority (RFC 9112 §3.2).
            None if host.is_empty() => return Ok(None),
            None => Authority::parse(host.as_bytes()).ok_or(Rule::InvalidPseudoValue)?,
            Some(authority) if authority.is_same(host.as_bytes(), scheme) => authority,
            Some(_) => return Err(Rule::ContradictingFields),
        };
        if host.as_bytes() != authority.as_bytes() {
            let host = authority.to_field().ok_or(Rule::InvalidPseudoValue)?;
            map.insert(header::HOST, host);
        }
        Ok(match authority {
            Authority::Uri(authority) => Some(authority),
            Authority::Field(_) => None,
        })
    }

    /// A response's head, or the first rule that the list breaks.
    pub(crate) fn into_response(mut self: Box<Self>, semantics: Semantics) -> Result<Head, Rule> {
        if let Some(rule) = self.malformed {
            return Err(rule);
        }
        let map = self.take_map();
        if semantics == Semantics::Raw {
            return Ok(Head::fields(map));
        }
        let status = self.status.take().ok_or(Rule::MissingPseudoField)?;
        if self.has_pseudo_fields() {
            return Err(Rule::InvalidPseudoField);
        }
        Ok(Head {
            control: Control::Response { status },
            fields: map,
        })
    }

    /// Trailers, or the first rule that the list breaks.
    pub(crate) fn into_trailers(mut self: Box<Self>) -> Result<HeaderMap, Rule> {
        if let Some(rule) = self.malformed {
            return Err(rule);
        }
        if self.has_pseudo_fields() {
            return Err(Rule::PseudoFieldInTrailers);
        }
        Ok(self.take_map())
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

/// A value as it is sent: blanks at its ends are no part of it (RFC 9110 §5.5)
/// and must not leave (RFC 9113 §8.2.1). `HeaderValue` lets them stand.
#[inline]
pub(crate) fn without_blanks(mut value: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] | [rest @ .., b' ' | b'\t'] = value {
        value = rest;
    }
    value
}

/// What all content-length fields agree on; `None` without any. One of them is
/// left (RFC 9110 §8.6).
pub(crate) fn settle_length(fields: &mut HeaderMap) -> Result<Option<u64>, Rule> {
    let mut length = None;
    let mut repeated = false;
    for value in fields.get_all(header::CONTENT_LENGTH) {
        let bytes = value.as_bytes();
        if bytes.is_empty() || !bytes.iter().all(u8::is_ascii_digit) {
            return Err(Rule::ContentLengthMismatch);
        }
        let text = value.to_str().map_err(|_| Rule::ContentLengthMismatch)?;
        let number = text.parse().map_err(|_| Rule::ContentLengthMismatch)?;
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
            let length = settle_length(&mut map);
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
