//! A peer that writes sound frames in any order: four bytes of the input for each.

use bytes::BytesMut;
use lacewing_conn::{Side, Version};
use lacewing_frames::{
    http2::{self, ErrorCode, Sensitivity, SettingId},
    spdy::{self, Compression, GoAwayStatus},
};

/// The bytes of the frames that `script` chooses, for an engine of this protocol and side.
pub(crate) fn frames(version: Version, side: Side, script: &[u8]) -> BytesMut {
    let mut out = BytesMut::new();
    if version == Version::Http2 {
        let mut encoder = http2::Encoder::new();
        if side == Side::Server {
            out.extend_from_slice(http2::PREFACE);
        }
        encoder.settings(&mut out, &[]);
        for step in script.as_chunks().0 {
            http2_frame(&mut encoder, &mut out, *step);
        }
        return out;
    }
    let wire = version.spdy_frames().unwrap_or(spdy::WireVersion::V3);
    let mut encoder = spdy::Encoder::new(wire, Compression::Stored);
    for step in script.as_chunks().0 {
        spdy_frame(&mut encoder, &mut out, *step);
    }
    out
}

fn http2_frame(encoder: &mut http2::Encoder, out: &mut BytesMut, [kind, id, what, size]: [u8; 4]) {
    let (stream, fin) = (u32::from(id & 15), id & 0x80 != 0);
    let fields = |block: &mut http2::BlockEncoder<'_>| {
        for (name, value) in list(Version::Http2, what, size) {
            block.field(name.as_bytes(), value.as_bytes(), Sensitivity::Normal);
        }
    };
    match kind % 16 {
        0..=3 => encoder.headers(out, http2::HeadersHead::new(stream.max(1), fin), fields),
        4..=6 => {
            let len = u32::from(size) * u32::from(what);
            encoder.data_head(out, stream.max(1), len.min(16_384), fin);
            out.resize(out.len() + len.min(16_384) as usize, 7);
        }
        7 | 8 => encoder.rst_stream(out, stream.max(1), ErrorCode(u32::from(what))),
        9 => encoder.window_update(out, stream, 1 << (what % 31)),
        10 => encoder.ping(out, [what; 8]),
        11 => encoder.ping_ack(out, [what; 8]),
        12 => {
            let id = SettingId(u16::from(what % 12));
            let value = u32::from(size) << (id.0 * 2);
            encoder.settings(out, &[http2::Setting { id, value }]);
        }
        13 => encoder.settings_ack(out),
        14 => {
            let promised = u32::from(what & 14).max(2);
            let head = http2::PushPromiseHead::new(stream.max(1), promised);
            encoder.push_promise(out, head, fields);
        }
        _ => encoder.go_away(out, stream, ErrorCode(u32::from(what)), b"bye"),
    }
}

fn spdy_frame(encoder: &mut spdy::Encoder, out: &mut BytesMut, [kind, id, what, size]: [u8; 4]) {
    let (stream, fin) = (u32::from(id & 15), id & 0x80 != 0);
    let version = match encoder.version() {
        spdy::WireVersion::V2 => Version::Spdy2,
        spdy::WireVersion::V3 => Version::Spdy3,
    };
    let fields = |block: &mut spdy::BlockEncoder<'_>| {
        for (name, value) in list(version, what, size) {
            block.field(name.as_bytes(), [value.as_bytes()]);
        }
    };
    let result = match kind % 16 {
        0..=2 => {
            let mut head = spdy::SynStreamHead::new(stream.max(1));
            head.fin = fin;
            head.unidirectional = id & 0x40 != 0;
            head.associated = if id & 0x20 != 0 {
                u32::from(size & 7)
            } else {
                0
            };
            encoder.syn_stream(out, head, fields)
        }
        3 | 4 => encoder.syn_reply(out, stream.max(1), fin, fields),
        5 => encoder.headers(out, stream.max(1), fin, fields),
        6..=8 => {
            let len = u32::from(size) * u32::from(what);
            encoder.data_head(out, stream.max(1), len, fin);
            out.resize(out.len() + len as usize, 7);
            Ok(())
        }
        9 | 10 => {
            encoder.rst_stream(out, stream.max(1), spdy::ErrorCode(u32::from(what)));
            Ok(())
        }
        11 if version != Version::Spdy2 => {
            encoder.window_update(out, stream, 1 << (what % 31));
            Ok(())
        }
        12 => {
            encoder.ping(out, u32::from(what));
            Ok(())
        }
        13 => {
            let setting = spdy::Setting {
                id: spdy::SettingId(u32::from(what % 10)),
                value: u32::from(size) << (what % 24),
                flags: Default::default(),
            };
            encoder.settings(out, false, &[setting])
        }
        14 => {
            encoder.go_away(out, stream, GoAwayStatus(u32::from(what)));
            Ok(())
        }
        _ => Ok(()),
    };
    result.expect("short lists");
}

/// A request, a response, or anything else.
fn list(version: Version, what: u8, size: u8) -> Vec<(String, String)> {
    let request: &[(&str, &str)] = match version {
        Version::Http2 => &[
            (":method", "POST"),
            (":scheme", "https"),
            (":authority", "example.org"),
            (":path", "/"),
        ],
        Version::Spdy2 => &[
            ("method", "POST"),
            ("scheme", "https"),
            ("host", "example.org"),
            ("url", "/"),
            ("version", "HTTP/1.1"),
        ],
        _ => &[
            (":method", "POST"),
            (":scheme", "https"),
            (":host", "example.org"),
            (":path", "/"),
            (":version", "HTTP/1.1"),
        ],
    };
    let status = if what & 8 == 0 { "200" } else { "103" };
    let response: &[(&str, &str)] = match version {
        Version::Http2 => &[(":status", status)],
        Version::Spdy2 => &[("status", status), ("version", "HTTP/1.1")],
        _ => &[(":status", status), (":version", "HTTP/1.1")],
    };
    let extra = [
        ("content-length", "5"),
        ("expect", "100-continue"),
        ("te", "trailers"),
        ("connection", "close"),
        ("x-big", "0123456789"),
    ];
    let mut list: Vec<_> = match what & 3 {
        0 => request.to_vec(),
        1 => response.to_vec(),
        2 => Vec::new(),
        _ => request[..usize::from(size & 3)].to_vec(),
    };
    if what & 4 != 0 {
        list.push(extra[usize::from(what >> 4) % extra.len()]);
    }
    let mut list: Vec<_> = list
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect();
    if what & 0x80 != 0 {
        list.push(("x-pad".to_owned(), "p".repeat(usize::from(size) * 8)));
    }
    list
}
