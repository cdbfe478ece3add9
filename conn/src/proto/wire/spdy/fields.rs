//! Header lists of SPDY in neutral words (the drafts' §3.2).

use bytes::Bytes;
use http::{HeaderName, HeaderValue, Method, StatusCode, uri::PathAndQuery};
use lacewing_frames::spdy as frames;

use super::{
    Wire,
    raw_fields::{RawFields, TEXT},
};
use crate::proto::{
    Rule, Semantics, Side, Version,
    authority::Authority,
    wire::{
        Fields, HeadersKind, ListLimit,
        fields::{check_name, is_connection_specific, without_blanks},
        target::{Target, parse_path, parse_scheme},
    },
};

impl Wire {
    /// The list in neutral words.
    pub(super) fn fields(&self, block: frames::Block<RawFields>, kind: HeadersKind) -> Box<Fields> {
        let mut fields = Box::new(Fields::default());
        let raw = match block.list {
            Ok(raw) => raw,
            Err(bad) => {
                fields.exceeded = bad.exceeded.map(|exceeded| match exceeded {
                    frames::Exceeded::Fields { .. } => ListLimit::Fields,
                    _ => ListLimit::Size,
                });
                if bad.malformed.is_some() {
                    fields.malformed(Rule::InvalidFieldName);
                    return fields;
                }
                bad.fields
            }
        };
        // Before anything is built of them: a thousand values cost what a
        // thousand fields do, and are one byte each on the wire.
        fields.exceeded = fields
            .exceeded
            .or_else(|| raw.exceeded(self.max_header_fields, self.max_header_list_size));
        let built = fields.exceeded.is_none();
        let http = self.semantics == Semantics::Http;
        let mut version_given = false;
        // Values are parts of it, and keep all of it.
        let mut text = raw.text;
        text.shrink_to(text.len().max(TEXT));
        let room = text.capacity();
        let text = Bytes::from(text);
        let mut start = 0;
        // SPDY/2 marks no field as special: in HEADERS only a pushed stream's
        // response has these, and it has both. Clients send none at all.
        let whole = kind != HeadersKind::More || raw.has_version;
        let response = self.side == Side::Client && whole;
        let connect = raw.connect;
        // Fields stand in any order: the parts of a whole URL are set at last.
        let mut url = Target::default();
        for (name_end, value_end) in raw.ends {
            let name = text.get(start..name_end).unwrap_or_default();
            let value = name_end..value_end;
            start = value_end;
            match self.pseudo_field(name, kind, response).filter(|_| http) {
                Some(Pseudo::Version) => version_given = true,
                Some(Pseudo::Path) => match parse_url(&text.slice(value), connect) {
                    Ok(parsed) => url = parsed,
                    Err(rule) => fields.malformed(rule),
                },
                Some(pseudo) => {
                    let value = text.get(value).unwrap_or_default();
                    let set = set_pseudo_field(&mut fields, pseudo, value);
                    if set.is_none() {
                        fields.malformed(Rule::InvalidPseudoValue);
                    }
                }
                None if built => append(&mut fields, name, &text.slice(value), http),
                None => {}
            }
        }
        fields.count_shared(room);
        let target = &mut fields.target;
        target.path = url.path;
        target.scheme = target.scheme.take().or(url.scheme);
        // It goes before the host beside it (SPDY/2 §3.2.1, RFC 9112 §3.2.2).
        target.authority = url.authority.or(target.authority.take());
        if http && fields.method == Some(Method::CONNECT) {
            // The authority stands where a path would (the drafts do not say
            // it; Chromium's proxies did so), and is all that matters.
            target.path = None;
            target.scheme = None;
        }
        if http && kind != HeadersKind::More && !version_given {
            fields.malformed(Rule::MissingPseudoField);
        }
        let hostless = fields.target.authority.is_none() && self.version != Version::Spdy2;
        if http && kind == HeadersKind::Open && hostless {
            fields.malformed(Rule::MissingPseudoField);
        }
        fields
    }

    fn pseudo_field(&self, name: &[u8], kind: HeadersKind, response: bool) -> Option<Pseudo> {
        let name = match self.version {
            Version::Spdy2 => name,
            _ => name.strip_prefix(b":")?,
        };
        let request = kind == HeadersKind::Open;
        match name {
            b"method" if request => Some(Pseudo::Method),
            b"scheme" if request => Some(Pseudo::Scheme),
            b"host" if request => Some(Pseudo::Host),
            b"url" if request && self.version == Version::Spdy2 => Some(Pseudo::Path),
            b"path" if request && self.version != Version::Spdy2 => Some(Pseudo::Path),
            b"status" if response => Some(Pseudo::Status),
            b"version" if request || response => Some(Pseudo::Version),
            _ if self.version == Version::Spdy2 => None,
            _ => Some(Pseudo::Unknown),
        }
    }
}

/// The fields in place of a start line (SPDY/2 §3.2, SPDY/3 §3.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Pseudo {
    Method,
    Scheme,
    Host,
    Path,
    Status,
    Version,
    Unknown,
}

fn set_pseudo_field(fields: &mut Fields, pseudo: Pseudo, value: &[u8]) -> Option<()> {
    match pseudo {
        Pseudo::Method => fields.method = Some(Method::from_bytes(value).ok()?),
        Pseudo::Scheme => fields.target.scheme = Some(parse_scheme(value)?),
        Pseudo::Host => fields.target.authority = Some(Authority::parse(value)?),
        // "200" or "200 OK"
        Pseudo::Status => {
            let code = value.split(|byte| *byte == b' ').next()?;
            fields.status = Some(StatusCode::from_bytes(code).ok()?);
        }
        Pseudo::Path | Pseudo::Version => {}
        Pseudo::Unknown => fields.malformed(Rule::InvalidPseudoField),
    }
    Some(())
}

/// The path; SPDY/2 also has whole URLs, in pushes and towards proxies, and
/// CONNECT has the authority.
fn parse_url(value: &Bytes, connect: bool) -> Result<Target, Rule> {
    let path = |path: Bytes| parse_path(&path.clone(), || path);
    let mut url = Target::default();
    if value.first() == Some(&b'/') || value == "*" {
        url.path = Some(path(value.clone())?);
        return Ok(url);
    }
    let authority = |value: &[u8]| Authority::parse(value).ok_or(Rule::InvalidPseudoValue);
    if connect {
        url.authority = Some(authority(value)?);
        return Ok(url);
    }
    let malformed = Rule::InvalidPseudoValue;
    let colon = value
        .iter()
        .position(|byte| *byte == b':')
        .ok_or(malformed)?;
    let (scheme, rest) = value.split_at_checked(colon).ok_or(malformed)?;
    let rest = rest.strip_prefix(b"://").ok_or(malformed)?;
    let end = rest
        .iter()
        .position(|byte| matches!(byte, b'/' | b'?' | b'#'))
        .unwrap_or(rest.len());
    let (host, rest) = rest.split_at_checked(end).ok_or(malformed)?;
    url.scheme = Some(parse_scheme(scheme).ok_or(malformed)?);
    url.authority = Some(authority(host)?);
    url.path = Some(match rest.first() {
        Some(b'/') => path(value.slice_ref(rest))?,
        // An empty path is "/" (RFC 9110 §4.2.3).
        None => PathAndQuery::from_static("/"),
        Some(_) => path([b"/", rest].concat().into())?,
    });
    Ok(url)
}

/// Adds a regular field with all its values.
fn append(fields: &mut Fields, name: &[u8], values: &Bytes, http: bool) {
    let name = if http {
        match check_name(name) {
            Ok(name) => name,
            // "Not valid, ignored when present" (SPDY/2 §3.2.1).
            Err(Rule::ConnectionSpecificField) => return,
            Err(rule) => return fields.malformed(rule),
        }
    } else {
        match HeaderName::from_lowercase(name) {
            Ok(name) => name,
            Err(_) => return fields.malformed(Rule::InvalidFieldName),
        }
    };
    for value in values.split(|byte| *byte == 0) {
        // HTTP/1.1, which SPDY maps, has blanks around a value and does not
        // count them as its own (RFC 9110 §5.5).
        let value = values.slice_ref(without_blanks(value));
        match HeaderValue::from_maybe_shared(value) {
            Ok(value) if http && is_connection_specific(&name, &value) => {}
            Ok(value) => fields.append(name.clone(), value),
            Err(_) => fields.malformed(Rule::InvalidFieldValue),
        }
    }
}
