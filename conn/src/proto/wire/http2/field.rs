//! Header fields as HPACK's dynamic table keeps them: validated when they are
//! first decoded.

use bytes::Bytes;
use http::{
    HeaderName, HeaderValue, Method, StatusCode, header,
    uri::{PathAndQuery, Scheme},
};
use lacewing_frames::http2 as frames;
use lacewing_hpack::{Sensitivity, StaticIndex};

use super::super::{
    Fields,
    fields::{check_name, check_static_name, check_value},
    target::{parse_path, parse_scheme},
};
use crate::proto::{ConnectProtocol, Rule, authority::Authority};

impl frames::HeaderList for Box<Fields> {
    type Field = Field;

    #[inline]
    fn expect(&mut self, fields: usize) {
        Fields::expect(self, fields);
    }

    #[inline]
    fn has_rest(&self) -> bool {
        !self.map.is_empty()
    }

    fn copy_rest(&self) -> Option<Self> {
        Fields::copy_regular(self).map(Box::new)
    }

    fn add_rest(&mut self, rest: &Self) {
        Fields::add_regular(self, rest);
    }

    #[inline]
    fn push(&mut self, field: Field, sensitivity: Sensitivity) {
        match field {
            Field::Regular(name, mut value) => {
                if sensitivity == Sensitivity::Sensitive {
                    value.set_sensitive(true);
                }
                self.append(name, value);
            }
            Field::Method(method) => self.set_method(method),
            Field::Scheme(scheme) => self.set_scheme(scheme),
            Field::Authority(authority) => self.set_authority(authority),
            Field::Path(path) => self.set_path(path),
            Field::Protocol(protocol) => self.set_protocol(protocol),
            Field::Status(status) => self.set_status(status),
            Field::Invalid { rule, .. } => self.malformed(rule),
        }
    }

    #[inline]
    fn push_named(&mut self, name: StaticIndex, value: &[u8], sensitivity: Sensitivity) {
        let is_length = name == StaticIndex::CONTENT_LENGTH && sensitivity == Sensitivity::Normal;
        if !(is_length && self.append_last_length(value)) {
            let field = lacewing_hpack::Field::from_static_name(name, value);
            self.push(field, sensitivity);
        }
    }

    #[inline]
    fn push_entry(&mut self, field: &Field) {
        match field {
            Field::Regular(name, value) => self.append(name.clone(), value.clone()),
            Field::Authority(authority) => self.set_authority(authority.clone()),
            Field::Path(path) => self.set_path(path.clone()),
            other => self.push(other.clone(), Sensitivity::Normal),
        }
    }

    #[inline]
    fn push_static(&mut self, index: StaticIndex) {
        // The entries with which nearly every message begins (RFC 7541, appendix A).
        match index.number() {
            2 => self.set_method(Method::GET),
            4 => self.set_path(PathAndQuery::from_static("/")),
            6 => self.set_scheme(Scheme::HTTP),
            7 => self.set_scheme(Scheme::HTTPS),
            8 => self.set_status(StatusCode::OK),
            _ => self.push(
                lacewing_hpack::Field::from_static(index),
                Sensitivity::Normal,
            ),
        }
    }
}

/// The setters of the pseudo-header fields.
impl Fields {
    #[inline]
    fn set_method(&mut self, method: Method) {
        let earlier = self.method.replace(method);
        self.check_pseudo(earlier.is_some());
    }

    #[inline]
    fn set_scheme(&mut self, scheme: Scheme) {
        let earlier = self.target.scheme.replace(scheme);
        self.check_pseudo(earlier.is_some());
    }

    #[inline]
    fn set_authority(&mut self, authority: Authority) {
        let earlier = self.target.authority.replace(authority);
        self.check_pseudo(earlier.is_some());
    }

    #[inline]
    fn set_path(&mut self, path: PathAndQuery) {
        let earlier = self.target.path.replace(path);
        self.check_pseudo(earlier.is_some());
    }

    #[inline]
    fn set_protocol(&mut self, protocol: ConnectProtocol) {
        let earlier = self.protocol.replace(protocol);
        self.check_pseudo(earlier.is_some());
    }

    #[inline]
    fn set_status(&mut self, status: StatusCode) {
        let earlier = self.status.replace(status);
        self.check_pseudo(earlier.is_some());
    }

    /// Pseudo-header fields stand before all others, and once (§8.3).
    #[inline]
    fn check_pseudo(&mut self, repeated: bool) {
        if repeated || !self.map.is_empty() {
            self.malformed(Rule::InvalidPseudoField);
        }
    }
}

/// The names of the static table from its 15th entry on, where pseudo-header fields end (RFC
/// 7541, appendix A). They need no parser.
static NAMES: [HeaderName; 47] = [
    header::ACCEPT_CHARSET,
    header::ACCEPT_ENCODING,
    header::ACCEPT_LANGUAGE,
    header::ACCEPT_RANGES,
    header::ACCEPT,
    header::ACCESS_CONTROL_ALLOW_ORIGIN,
    header::AGE,
    header::ALLOW,
    header::AUTHORIZATION,
    header::CACHE_CONTROL,
    header::CONTENT_DISPOSITION,
    header::CONTENT_ENCODING,
    header::CONTENT_LANGUAGE,
    header::CONTENT_LENGTH,
    header::CONTENT_LOCATION,
    header::CONTENT_RANGE,
    header::CONTENT_TYPE,
    header::COOKIE,
    header::DATE,
    header::ETAG,
    header::EXPECT,
    header::EXPIRES,
    header::FROM,
    header::HOST,
    header::IF_MATCH,
    header::IF_MODIFIED_SINCE,
    header::IF_NONE_MATCH,
    header::IF_RANGE,
    header::IF_UNMODIFIED_SINCE,
    header::LAST_MODIFIED,
    header::LINK,
    header::LOCATION,
    header::MAX_FORWARDS,
    header::PROXY_AUTHENTICATE,
    header::PROXY_AUTHORIZATION,
    header::RANGE,
    header::REFERER,
    header::REFRESH,
    header::RETRY_AFTER,
    header::SERVER,
    header::SET_COOKIE,
    header::STRICT_TRANSPORT_SECURITY,
    header::TRANSFER_ENCODING,
    header::USER_AGENT,
    header::VARY,
    header::VIA,
    header::WWW_AUTHENTICATE,
];

/// A header field as the dynamic table keeps it: validated once, cloned by
/// reference count afterwards.
#[derive(Clone, Debug)]
pub(crate) enum Field {
    Method(Method),
    Scheme(Scheme),
    Authority(Authority),
    Path(PathAndQuery),
    Protocol(ConnectProtocol),
    Status(StatusCode),
    Regular(HeaderName, HeaderValue),
    Invalid { name: Name, rule: Rule },
}

/// A field's name, by the meaning of its value.
#[derive(Clone, Debug)]
pub(crate) enum Name {
    Method,
    Scheme,
    Authority,
    Path,
    Protocol,
    Status,
    Regular(HeaderName),
    Invalid(Rule),
}

impl Name {
    fn parse(name: &[u8]) -> Self {
        Self::parse_with(name, check_name)
    }

    #[inline]
    fn parse_with(name: &[u8], check: fn(&[u8]) -> Result<HeaderName, Rule>) -> Self {
        if name.first() != Some(&b':') {
            return match check(name) {
                Ok(name) => Self::Regular(name),
                Err(rule) => Self::Invalid(rule),
            };
        }
        match name {
            b":method" => Self::Method,
            b":scheme" => Self::Scheme,
            b":authority" => Self::Authority,
            b":path" => Self::Path,
            b":protocol" => Self::Protocol,
            b":status" => Self::Status,
            _ => Self::Invalid(Rule::InvalidPseudoField),
        }
    }

    /// The field of this name. `shared` makes bytes of `value` that last.
    #[inline]
    fn field(self, value: &[u8], shared: impl FnOnce() -> Bytes) -> Field {
        let field = match &self {
            Self::Method => Method::from_bytes(value).ok().map(Field::Method),
            Self::Scheme => parse_scheme(value).map(Field::Scheme),
            Self::Authority => Authority::parse(value).map(Field::Authority),
            Self::Path => match parse_path(value, shared) {
                Ok(path) => Some(Field::Path(path)),
                Err(rule) => return Field::Invalid { name: self, rule },
            },
            Self::Protocol => ConnectProtocol::from_bytes(value).map(Field::Protocol),
            Self::Status => StatusCode::from_bytes(value).ok().map(Field::Status),
            Self::Regular(name) => match check_value(name, shared()) {
                Ok(value) => Some(Field::Regular(name.clone(), value)),
                Err(rule) => return Field::Invalid { name: self, rule },
            },
            Self::Invalid(rule) => {
                let rule = *rule;
                return Field::Invalid { name: self, rule };
            }
        };
        field.unwrap_or(Field::Invalid {
            name: self,
            rule: Rule::InvalidPseudoValue,
        })
    }
}

impl Field {
    fn name(&self) -> Name {
        match self {
            Self::Method(_) => Name::Method,
            Self::Scheme(_) => Name::Scheme,
            Self::Authority(_) => Name::Authority,
            Self::Path(_) => Name::Path,
            Self::Protocol(_) => Name::Protocol,
            Self::Status(_) => Name::Status,
            Self::Regular(name, _) => Name::Regular(name.clone()),
            Self::Invalid { name, .. } => name.clone(),
        }
    }
}

impl lacewing_hpack::Field for Field {
    fn new(name: &[u8], value: &[u8]) -> Self {
        Name::parse(name).field(value, || Bytes::copy_from_slice(value))
    }

    fn from_static_name(index: StaticIndex, value: &[u8]) -> Self {
        let place = usize::from(index.number()).checked_sub(15);
        match place.and_then(|place| NAMES.get(place)) {
            Some(name) if *name != header::TRANSFER_ENCODING => {
                Name::Regular(name.clone()).field(value, || Bytes::copy_from_slice(value))
            }
            _ => Self::new(index.name(), value),
        }
    }

    fn with_value(&self, value: &[u8]) -> Self {
        self.name().field(value, || Bytes::copy_from_slice(value))
    }

    #[inline]
    fn from_static(index: StaticIndex) -> Self {
        // Nearly every message begins with some of these: they need no parser
        // (RFC 7541, appendix A).
        match index.number() {
            2 => Self::Method(Method::GET),
            3 => Self::Method(Method::POST),
            4 => Self::Path(PathAndQuery::from_static("/")),
            5 => Self::Path(PathAndQuery::from_static("/index.html")),
            6 => Self::Scheme(Scheme::HTTP),
            7 => Self::Scheme(Scheme::HTTPS),
            8 => Self::Status(StatusCode::OK),
            9 => Self::Status(StatusCode::NO_CONTENT),
            10 => Self::Status(StatusCode::PARTIAL_CONTENT),
            11 => Self::Status(StatusCode::NOT_MODIFIED),
            12 => Self::Status(StatusCode::BAD_REQUEST),
            13 => Self::Status(StatusCode::NOT_FOUND),
            14 => Self::Status(StatusCode::INTERNAL_SERVER_ERROR),
            _ => Self::parse_static(index),
        }
    }
}

impl Field {
    fn parse_static(index: StaticIndex) -> Self {
        let value = index.value();
        let name = Name::parse_with(index.name(), check_static_name);
        name.field(value, || Bytes::from_static(value))
    }
}

#[cfg(test)]
mod tests {
    use lacewing_hpack::Field as _;

    use super::*;

    /// A list that knows a length from the list before reads it as a new list does.
    #[test]
    fn a_repeated_length_means_the_same() {
        let mut used = Box::new(Fields::default());
        for value in ["5", "5", "x", "x", "6 ", "6 ", "", "", "5", "5", "5"] {
            for sensitivity in [Sensitivity::Normal, Sensitivity::Sensitive] {
                let mut fresh = Box::new(Fields::default());
                for list in [&mut used, &mut fresh] {
                    let name = StaticIndex::CONTENT_LENGTH;
                    frames::HeaderList::push_named(list, name, value.as_bytes(), sensitivity);
                }
                assert_eq!(used.length, fresh.length, "{value:?}");
                assert_eq!(used.malformed, fresh.malformed);
                assert_eq!(used.map, fresh.map);
                let marked = |list: &Fields| list.map.values().any(HeaderValue::is_sensitive);
                assert_eq!(marked(&used), marked(&fresh));
                used.malformed = None;
                used.status = Some(StatusCode::OK);
                let _ = used.take_response(crate::proto::Semantics::Http);
            }
        }
    }

    #[test]
    fn entries_of_the_static_table_are_what_their_text_says() {
        for index in (1..=StaticIndex::LAST.number()).filter_map(StaticIndex::new) {
            let parsed = Field::new(index.name(), index.value());
            let expected = format!("{parsed:?}");
            assert_eq!(format!("{:?}", Field::from_static(index)), expected);
            for value in ["1", " ", "trailers"].map(str::as_bytes) {
                let expected = format!("{:?}", Field::new(index.name(), value));
                let named = Field::from_static_name(index, value);
                assert_eq!(format!("{named:?}"), expected);
            }
        }
    }
}
