//! Heads to header blocks.

use http::{Method, StatusCode, header, uri::Scheme};
use lacewing_hpack::{BlockEncoder, LastEntry, Sensitivity, StaticIndex};

use crate::proto::{
    AddedFields, Control, Head,
    head::authority,
    wire::{
        fields::{is_connection_specific, without_blanks},
        target::path_of,
    },
};

/// A header block in the making, which counts what goes into it.
pub(super) struct Block<'a, 'b> {
    pub(super) encoder: &'a mut BlockEncoder<'b>,
    pub(super) plain: &'a mut u64,
}

impl Block<'_, '_> {
    #[inline]
    fn field(&mut self, name: &[u8], value: &[u8], sensitivity: Sensitivity) {
        self.count(name, value);
        self.encoder.field(name, value, sensitivity);
    }

    /// A pseudo-header field, by its place in the static table if it has one.
    #[inline]
    fn pseudo(&mut self, place: Option<StaticIndex>, name: &[u8], value: &str) {
        match place {
            Some(index) => self.static_field(index),
            None => self.field(name, value.as_bytes(), Sensitivity::Normal),
        }
    }

    /// An entry of the static table.
    #[inline]
    fn static_field(&mut self, index: StaticIndex) {
        self.count(index.name(), index.value());
        self.encoder.static_field(index);
    }

    #[inline]
    fn count(&mut self, name: &[u8], value: &[u8]) {
        let len = name.len().saturating_add(value.len());
        *self.plain = self.plain.saturating_add(len as u64);
    }
}

/// `default` is the scheme of requests whose URI names none.
pub(super) fn encode_control(head: &Head, default: &Scheme, block: &mut Block<'_, '_>) {
    let plain = Sensitivity::Normal;
    match &head.control {
        Control::None => {}
        Control::Response { status } => {
            block.pseudo(index_of_status(*status), b":status", status.as_str());
        }
        Control::Request {
            method,
            uri,
            protocol,
        } => {
            block.pseudo(index_of_method(method), b":method", method.as_str());
            if let Some(protocol) = protocol {
                block.field(b":protocol", protocol.as_str().as_bytes(), plain);
            }
            if *method != Method::CONNECT || protocol.is_some() {
                let scheme = uri.scheme().unwrap_or(default);
                block.pseudo(index_of_scheme(scheme), b":scheme", scheme.as_str());
            }
            if let Some(authority) = authority(uri, &head.fields) {
                block.field(b":authority", authority, plain);
            }
            if *method != Method::CONNECT || protocol.is_some() {
                let path = path_of(uri);
                block.pseudo(index_of_path(&path), b":path", &path);
            }
        }
    }
}

// The places of common pseudo-header fields in the static table (RFC 7541, appendix A).

fn index_of_method(method: &Method) -> Option<StaticIndex> {
    StaticIndex::new(match *method {
        Method::GET => 2,
        Method::POST => 3,
        _ => return None,
    })
}

fn index_of_path(path: &str) -> Option<StaticIndex> {
    StaticIndex::new(match path {
        "/" => 4,
        "/index.html" => 5,
        _ => return None,
    })
}

fn index_of_scheme(scheme: &Scheme) -> Option<StaticIndex> {
    let secure = *scheme == Scheme::HTTPS;
    let known = secure || *scheme == Scheme::HTTP;
    StaticIndex::new(if secure { 7 } else { 6 }).filter(|_| known)
}

fn index_of_status(status: StatusCode) -> Option<StaticIndex> {
    StaticIndex::new(match status.as_u16() {
        200 => 8,
        204 => 9,
        206 => 10,
        304 => 11,
        400 => 12,
        404 => 13,
        500 => 14,
        _ => return None,
    })
}

/// `last_date` is the entry of the last `date`: a connection sends the same one for a
/// second.
pub(super) fn encode_added(
    added: &AddedFields,
    last_date: &mut LastEntry,
    block: &mut Block<'_, '_>,
) {
    if let Some(length) = added.length {
        let (name, mut room) = (StaticIndex::CONTENT_LENGTH, [0; 20]);
        let value = decimal(length, &mut room);
        block.count(name.name(), value);
        block.encoder.static_name(name, value, Sensitivity::Normal);
    }
    if let Some(date) = &added.date {
        let (name, value) = (StaticIndex::DATE, date.as_bytes());
        block.count(name.name(), value);
        block.encoder.repeated(name, value, last_date);
    }
}

/// The decimal digits of a number, at the end of `room`.
fn decimal(mut number: u64, room: &mut [u8; 20]) -> &[u8] {
    let mut start = room.len();
    for place in room.iter_mut().rev() {
        *place = b'0'.saturating_add(u8::try_from(number % 10).unwrap_or(0));
        number /= 10;
        start = start.saturating_sub(1);
        if number == 0 {
            break;
        }
    }
    room.get(start..).unwrap_or_default()
}

pub(super) fn encode_fields(head: &Head, block: &mut Block<'_, '_>) {
    let request = matches!(head.control, Control::Request { .. });
    for (name, value) in &head.fields {
        // HTTP/1.1's connection management has no place here (§8.2.2), and
        // `host` says what `:authority` said.
        let skipped = is_connection_specific(name, value)
            || (request && *name == header::HOST && head.has_authority());
        if skipped {
            continue;
        }
        let sensitivity = if value.is_sensitive() {
            Sensitivity::Sensitive
        } else {
            Sensitivity::Normal
        };
        let value = without_blanks(value.as_bytes());
        block.field(name.as_str().as_bytes(), value, sensitivity);
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn the_static_table_has_these_fields() {
        let field = |place: Option<StaticIndex>| {
            let place = place.unwrap();
            let text = |bytes: &'static [u8]| std::str::from_utf8(bytes).unwrap();
            (text(place.name()), text(place.value()))
        };
        for method in [Method::GET, Method::POST] {
            assert_eq!(
                field(index_of_method(&method)),
                (":method", method.as_str())
            );
        }
        for scheme in [Scheme::HTTP, Scheme::HTTPS] {
            assert_eq!(
                field(index_of_scheme(&scheme)),
                (":scheme", scheme.as_str())
            );
        }
        for path in ["/", "/index.html"] {
            assert_eq!(field(index_of_path(path)), (":path", path));
        }
        for status in [200, 204, 206, 304, 400, 404, 500] {
            let status = StatusCode::from_u16(status).unwrap();
            assert_eq!(field(index_of_status(status)), (":status", status.as_str()));
        }
        assert_eq!(index_of_method(&Method::PUT), None);
        assert_eq!(index_of_scheme(&"ws".parse().unwrap()), None);
        assert_eq!(index_of_path("/index.htm"), None);
        assert_eq!(index_of_status(StatusCode::CREATED), None);
    }
}
