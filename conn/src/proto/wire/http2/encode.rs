//! Heads to header blocks.

use http::{Method, header, uri::Scheme};
use lacewing_hpack::{BlockEncoder, Sensitivity};

use crate::proto::{
    Control, Head,
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
        let len = name.len().saturating_add(value.len());
        *self.plain = self.plain.saturating_add(len as u64);
        self.encoder.field(name, value, sensitivity);
    }
}

/// `default` is the scheme of requests whose URI names none.
pub(super) fn encode_control(
    head: &Head,
    default: &Scheme,
    digits: &mut [u8; 3],
    block: &mut Block<'_, '_>,
) {
    let plain = Sensitivity::Normal;
    match &head.control {
        Control::None => {}
        Control::Response { status } => {
            let number = status.as_u16();
            for (place, unit) in digits.iter_mut().zip([100, 10, 1]) {
                *place = b'0'.saturating_add(u8::try_from(number / unit % 10).unwrap_or(0));
            }
            block.field(b":status", &digits[..], plain);
        }
        Control::Request {
            method,
            uri,
            protocol,
        } => {
            block.field(b":method", method.as_str().as_bytes(), plain);
            if let Some(protocol) = protocol {
                block.field(b":protocol", protocol.as_str().as_bytes(), plain);
            }
            if *method != Method::CONNECT || protocol.is_some() {
                let scheme = uri.scheme().unwrap_or(default);
                block.field(b":scheme", scheme.as_str().as_bytes(), plain);
            }
            if let Some(authority) = authority(uri, &head.fields) {
                block.field(b":authority", authority, plain);
            }
            if *method != Method::CONNECT || protocol.is_some() {
                block.field(b":path", path_of(uri).as_bytes(), plain);
            }
        }
    }
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
