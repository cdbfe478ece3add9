//! Heads to header blocks (the drafts' §3.2).

use http::{Method, header, uri::Scheme};
use lacewing_frames::spdy as frames;

use crate::proto::{
    Control, Head, Version,
    head::authority,
    wire::{
        fields::{is_connection_specific, without_blanks},
        target::path_of,
    },
};

/// A header block in the making, which counts what goes into it.
pub(super) struct Block<'a, 'b> {
    pub(super) encoder: &'a mut frames::BlockEncoder<'b>,
    pub(super) plain: &'a mut u64,
}

impl Block<'_, '_> {
    fn field<'v>(&mut self, name: &[u8], values: impl Iterator<Item = &'v [u8]>) {
        let counted = count(self.plain, name, values);
        self.encoder.field(name, counted);
    }

    /// Adds a secret field, which the compressor must not match.
    fn sensitive_field<'v>(&mut self, name: &[u8], values: impl Iterator<Item = &'v [u8]>) {
        let counted = count(self.plain, name, values);
        self.encoder.sensitive_field(name, counted);
    }
}

fn count<'p, 'v: 'p>(
    plain: &'p mut u64,
    name: &[u8],
    values: impl Iterator<Item = &'v [u8]> + 'p,
) -> impl Iterator<Item = &'v [u8]> + 'p {
    *plain = plain.saturating_add(name.len() as u64);
    values.inspect(|value| *plain = plain.saturating_add(value.len() as u64))
}

/// The control data of a response in the head of its push, beside that of the
/// request, which has the version already.
pub(super) fn encode_pushed_status(version: Version, head: &Head, block: &mut Block<'_, '_>) {
    let name = match version {
        Version::Spdy2 => "status",
        _ => ":status",
    };
    if let Some(status) = head.status() {
        let value = std::iter::once(status.as_str().as_bytes());
        block.field(name.as_bytes(), value);
    }
}

/// `default` is the scheme of requests whose URI names none.
pub(super) fn encode_control(
    version: Version,
    head: &Head,
    default: &Scheme,
    push: bool,
    block: &mut Block<'_, '_>,
) {
    let two = version == Version::Spdy2;
    let name = |name: &'static str| {
        if two {
            name.trim_start_matches(':')
        } else {
            name
        }
    };
    let mut put = |name: &str, value: &[u8]| {
        block.field(name.as_bytes(), std::iter::once(value));
    };
    match &head.control {
        Control::None => {}
        Control::Response { status } => {
            put(name(":status"), status.as_str().as_bytes());
            put(name(":version"), b"HTTP/1.1");
        }
        Control::Request { method, uri, .. } => {
            let path = path_of(uri);
            let host = authority(uri, &head.fields).unwrap_or(b"localhost");
            let scheme = uri.scheme().unwrap_or(default).as_str();
            // The drafts ask for none in a push; spdy-transport requires one.
            put(name(":method"), method.as_str().as_bytes());
            if two && push {
                let origin = [scheme.as_bytes(), b"://", host];
                put("url", &[&origin.concat(), path.as_bytes()].concat());
            } else if *method == Method::CONNECT {
                put(if two { "url" } else { ":path" }, host);
            } else {
                put(if two { "url" } else { ":path" }, path.as_bytes());
            }
            put(name(":version"), b"HTTP/1.1");
            put(name(":host"), host);
            put(name(":scheme"), scheme.as_bytes());
        }
    }
}

/// The names of control data in such a head, if they look like those of ordinary fields (SPDY/2).
/// The user's fields with these names are omitted, since no name may occur twice.
pub(super) fn control_names(version: Version, control: &Control) -> &'static [&'static str] {
    match control {
        _ if version != Version::Spdy2 => &[],
        Control::None => &[],
        Control::Request { .. } => &["method", "scheme", "url", "version"],
        Control::Response { .. } => &["status", "version"],
    }
}

/// The same for a push and its response in one frame.
pub(super) fn pushed_names(version: Version) -> &'static [&'static str] {
    match version {
        Version::Spdy2 => &["method", "scheme", "url", "version", "host", "status"],
        _ => &[],
    }
}

/// Encodes all fields except those whose names are `taken` by control data.
pub(super) fn encode_fields(
    version: Version,
    head: &Head,
    taken: &[&str],
    block: &mut Block<'_, '_>,
) {
    let http = !matches!(head.control, Control::None);
    for name in head.fields.keys() {
        let values = head.fields.get_all(name);
        let skipped = http
            && (*name == header::HOST
                || taken.contains(&name.as_str())
                || values
                    .iter()
                    .any(|value| is_connection_specific(name, value)));
        if skipped {
            continue;
        }
        // SPDY/2 has no empty value, and the others have none beside another (§2.6.10: no two NULs
        // in a row, and none at an end). White space around a value has no meaning (RFC 9110 §5.5),
        // so one space stands for an empty value.
        let padded = version == Version::Spdy2 || values.iter().nth(1).is_some();
        let values = values
            .iter()
            .map(|value| match without_blanks(value.as_bytes()) {
                b"" if padded => b" ",
                value => value,
            });
        let mut all = head.fields.get_all(name).iter();
        if all.any(http::HeaderValue::is_sensitive) {
            block.sensitive_field(name.as_str().as_bytes(), values);
        } else {
            block.field(name.as_str().as_bytes(), values);
        }
    }
}
