//! HTTP/2 frames with their meaning: `frames/tests/vectors/http2/frames.json`. They have every
//! frame type with each of its flags, and the smallest and the largest padding. Their numbers
//! expose byte-order mistakes. A frame breaks each rule that a single frame can break. The writer
//! shares no code with the crate under test. The format is that of the http2-frame-test-case
//! collection, so that one check reads both.

use std::fmt::Write as _;
use std::path::Path;

use super::Generated;

const DATA: u8 = 0x00;
const HEADERS: u8 = 0x01;
const PRIORITY: u8 = 0x02;
const RST_STREAM: u8 = 0x03;
const SETTINGS: u8 = 0x04;
const PUSH_PROMISE: u8 = 0x05;
const PING: u8 = 0x06;
const GOAWAY: u8 = 0x07;
const WINDOW_UPDATE: u8 = 0x08;
const CONTINUATION: u8 = 0x09;
const ALTSVC: u8 = 0x0a;
const ORIGIN: u8 = 0x0c;
const PRIORITY_UPDATE: u8 = 0x10;

const END_STREAM: u8 = 0x01;
const ACK: u8 = 0x01;
const END_HEADERS: u8 = 0x04;
const PADDED: u8 = 0x08;
const WITH_PRIORITY: u8 = 0x20;

const PROTOCOL_ERROR: u32 = 0x1;
const FLOW_CONTROL_ERROR: u32 = 0x3;
const FRAME_SIZE_ERROR: u32 = 0x6;

/// A stream id with four different bytes.
const STREAM: u32 = 0x0123_4567;
const MAX_STREAM: u32 = 0x7fff_ffff;

pub fn generate(_: &Path) -> Result<Generated, String> {
    let mut cases = Vec::new();
    content(&mut cases);
    header_blocks(&mut cases);
    control(&mut cases);
    extensions(&mut cases);
    wrong_lengths(&mut cases);
    wrong_streams(&mut cases);
    wrong_values(&mut cases);
    Ok(Generated {
        path: "frames/tests/vectors/http2/frames.json",
        text: format!("[\n{}\n]\n", cases.join(",\n")),
    })
}

/// One frame: the fields of its head, and its payload.
struct Wire<'a> {
    kind: u8,
    flags: u8,
    stream: u32,
    payload: &'a [u8],
}

impl Wire<'_> {
    fn hex(&self) -> String {
        let length = u32::try_from(self.payload.len()).unwrap_or(u32::MAX);
        let mut bytes = length.to_be_bytes()[1..].to_vec();
        bytes.extend([self.kind, self.flags]);
        bytes.extend(self.stream.to_be_bytes());
        bytes.extend(self.payload);
        bytes.iter().fold(String::new(), |mut hex, byte| {
            let _ = write!(hex, "{byte:02x}");
            hex
        })
    }

    /// A frame that decodes to `fields`, the members of a JSON object.
    fn means(&self, description: &str, fields: &str) -> String {
        format!(
            "{{\"description\": \"{description}\", \"error\": null, \"wire\": \"{}\",\n \"frame\": \
             {{\"length\": {}, \"type\": {}, \"flags\": {}, \"stream_identifier\": {}, \
             \"frame_payload\": {{{fields}}}}}}}",
            self.hex(),
            self.payload.len(),
            self.kind,
            self.flags,
            self.stream
        )
    }

    /// A frame that a decoder rejects with `code`.
    fn breaks(&self, description: &str, code: u32) -> String {
        format!(
            "{{\"description\": \"{description}\", \"error\": [{code}], \"wire\": \"{}\", \
             \"frame\": null}}",
            self.hex()
        )
    }
}

fn wire(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Wire<'_> {
    Wire {
        kind,
        flags,
        stream,
        payload,
    }
}

/// `payload`, after the length of its padding and before the padding. The padding is letters:
/// receivers accept bytes other than zero (RFC 9113 §6.1).
fn padded(payload: &[u8], padding: u8) -> (Vec<u8>, String) {
    let text = "p".repeat(usize::from(padding));
    let bytes = [&[padding], payload, text.as_bytes()].concat();
    let fields = format!("\"padding_length\": {padding}, \"padding\": \"{text}\"");
    (bytes, fields)
}

/// DATA (RFC 9113 §6.1).
fn content(cases: &mut Vec<String>) {
    for (description, flags, data) in [
        ("DATA", 0, "content"),
        ("DATA that ends the stream", END_STREAM, "content"),
        ("DATA without content", END_STREAM, ""),
    ] {
        let fields = format!("\"data\": \"{data}\"");
        cases.push(wire(DATA, flags, STREAM, data.as_bytes()).means(description, &fields));
    }
    for (description, data, padding) in [
        ("DATA with padding of no length", "content", 0),
        ("DATA with the longest padding", "content", 255),
        ("DATA of padding alone", "", 3),
    ] {
        let (payload, padding) = padded(data.as_bytes(), padding);
        let fields = format!("\"data\": \"{data}\", {padding}");
        cases.push(wire(DATA, PADDED, MAX_STREAM, &payload).means(description, &fields));
    }
}

/// HEADERS, PUSH_PROMISE and CONTINUATION (RFC 9113 §6.2, §6.6, §6.10).
fn header_blocks(cases: &mut Vec<String>) {
    const BLOCK: &str = "a fragment";
    let block = BLOCK.as_bytes();
    let fragment = format!("\"header_block_fragment\": \"{BLOCK}\"");
    for (description, flags) in [
        ("HEADERS without a flag", 0),
        ("HEADERS that end the block", END_HEADERS),
        (
            "HEADERS that end block and stream",
            END_HEADERS | END_STREAM,
        ),
    ] {
        cases.push(wire(HEADERS, flags, STREAM, block).means(description, &fragment));
    }
    let (payload, padding) = padded(block, 2);
    let fields = format!("{fragment}, {padding}");
    let flags = PADDED | END_HEADERS;
    cases.push(wire(HEADERS, flags, STREAM, &payload).means("HEADERS with padding", &fields));
    for exclusive in [false, true] {
        let bit = u32::from(exclusive) << 31;
        let mut prioritized = (bit | 0x0765_4321).to_be_bytes().to_vec();
        // The wire has the weight minus one (RFC 7540 §6.3).
        prioritized.push(200);
        let priority = format!(
            "\"exclusive\": {exclusive}, \"stream_dependency\": {}, \"weight\": 201",
            0x0765_4321
        );
        let priority_frame = wire(PRIORITY, 0, STREAM, &prioritized);
        cases.push(priority_frame.means("PRIORITY", &priority));
        prioritized.extend(block);
        let (payload, padding) = padded(&prioritized, 7);
        let fields = format!("{fragment}, {priority}, {padding}");
        let flags = PADDED | WITH_PRIORITY | END_HEADERS;
        let headers = wire(HEADERS, flags, STREAM, &payload);
        cases.push(headers.means("HEADERS with priority and padding", &fields));
    }
    let promised = 0x0234_5678_u32;
    let promise = [&promised.to_be_bytes()[..], block].concat();
    let fields = format!("\"promised_stream_id\": {promised}, {fragment}");
    for (description, flags) in [
        ("PUSH_PROMISE", END_HEADERS),
        ("PUSH_PROMISE that goes on in CONTINUATION", 0),
    ] {
        cases.push(wire(PUSH_PROMISE, flags, STREAM, &promise).means(description, &fields));
    }
    let (payload, padding) = padded(&promise, 5);
    let fields = format!("{fields}, {padding}");
    let flags = END_HEADERS | PADDED;
    let frame = wire(PUSH_PROMISE, flags, STREAM, &payload);
    cases.push(frame.means("PUSH_PROMISE with padding", &fields));
    for flags in [0, END_HEADERS] {
        cases.push(wire(CONTINUATION, flags, STREAM, block).means("CONTINUATION", &fragment));
    }
}

/// RST_STREAM, SETTINGS, PING, GOAWAY, WINDOW_UPDATE (RFC 9113 §6.4, §6.5, §6.7–§6.9).
fn control(cases: &mut Vec<String>) {
    for code in [8_u32, 0x89ab_cdef] {
        let frame = code.to_be_bytes();
        let fields = format!("\"error_code\": {code}");
        cases.push(wire(RST_STREAM, 0, STREAM, &frame).means("RST_STREAM", &fields));
    }
    for entries in [
        &[][..],
        &[(1, 8192), (2, 0), (3, 0x1234_5678), (4, 0x7fff_ffff)],
        &[(5, 16_384), (6, u32::MAX), (8, 1), (9, 1), (5, 16_777_215)],
        &[(0xabcd, 0x89ab_cdef)],
    ] {
        let payload = settings(entries);
        let pairs: Vec<String> = entries
            .iter()
            .map(|(id, value)| format!("[{id}, {value}]"))
            .collect();
        let fields = format!("\"settings\": [{}]", pairs.join(", "));
        cases.push(wire(SETTINGS, 0, 0, &payload).means("SETTINGS", &fields));
    }
    let acknowledgement = wire(SETTINGS, ACK, 0, b"");
    cases.push(acknowledgement.means("SETTINGS acknowledgement", "\"settings\": []"));
    for flags in [0, ACK] {
        let fields = "\"opaque_data\": \"01234567\"";
        cases.push(wire(PING, flags, 0, b"01234567").means("PING", fields));
    }
    for (last, code, debug) in [
        (0, 0, ""),
        (STREAM, 0x89ab_cdef, "why"),
        (MAX_STREAM, 2, ""),
    ] {
        let payload = [
            &last.to_be_bytes()[..],
            &u32::to_be_bytes(code),
            debug.as_bytes(),
        ]
        .concat();
        let fields = format!(
            "\"last_stream_id\": {last}, \"error_code\": {code}, \"additional_debug_data\": \
             \"{debug}\""
        );
        cases.push(wire(GOAWAY, 0, 0, &payload).means("GOAWAY", &fields));
    }
    for stream in [0, STREAM] {
        for increment in [1, 0x1234_5678, 0x7fff_ffff_u32] {
            let fields = format!("\"window_size_increment\": {increment}");
            let payload = increment.to_be_bytes();
            cases.push(wire(WINDOW_UPDATE, 0, stream, &payload).means("WINDOW_UPDATE", &fields));
        }
    }
}

/// ALTSVC (RFC 7838 §4), ORIGIN (RFC 8336 §2), PRIORITY_UPDATE (RFC 9218 §7.1), and
/// a type that no specification defines.
fn extensions(cases: &mut Vec<String>) {
    let payload = b"\x00\x11https://a.exampleh2=':443'; ma=60";
    let text = "\"origin\": \"https://a.example\", \"value\": \"h2=':443'; ma=60\"";
    cases.push(wire(ALTSVC, 0, 0, payload).means("ALTSVC of an origin", text));
    let fields = "\"origin\": \"\", \"value\": \"clear\"";
    cases.push(wire(ALTSVC, 0, STREAM, b"\x00\x00clear").means("ALTSVC of a stream", fields));
    let fields = "\"origins\": [\"https://a.example\", \"\", \"https://b\"]";
    let payload = b"\x00\x11https://a.example\x00\x00\x00\x09https://b";
    cases.push(wire(ORIGIN, 0, 0, payload).means("ORIGIN", fields));
    cases.push(wire(ORIGIN, 0, 0, b"").means("ORIGIN of no entry", "\"origins\": []"));
    let payload = [&STREAM.to_be_bytes()[..], b"u=1, i"].concat();
    let fields = format!("\"prioritized_stream_id\": {STREAM}, \"value\": \"u=1, i\"");
    cases.push(wire(PRIORITY_UPDATE, 0, 0, &payload).means("PRIORITY_UPDATE", &fields));
    let unknown = wire(0xbe, 0xef, STREAM, b"anything");
    cases.push(unknown.means("an unknown type", "\"payload\": \"anything\""));
}

/// Payloads that are too short, too long, or no multiple of the entry's length (RFC 9113 §4.2 and
/// the section of each frame).
fn wrong_lengths(cases: &mut Vec<String>) {
    let kinds: [(&str, u8, u8, u32, &[usize]); 13] = [
        ("DATA", DATA, PADDED, STREAM, &[0]),
        ("HEADERS with padding", HEADERS, PADDED, STREAM, &[0]),
        (
            "HEADERS with priority",
            HEADERS,
            WITH_PRIORITY,
            STREAM,
            &[0, 4],
        ),
        ("PRIORITY", PRIORITY, 0, STREAM, &[0, 4, 6]),
        ("RST_STREAM", RST_STREAM, 0, STREAM, &[0, 3, 5]),
        ("SETTINGS", SETTINGS, 0, 0, &[1, 5, 7, 11]),
        ("SETTINGS acknowledgement", SETTINGS, ACK, 0, &[6]),
        ("PUSH_PROMISE", PUSH_PROMISE, END_HEADERS, STREAM, &[0, 3]),
        ("PING", PING, 0, 0, &[0, 7, 9]),
        ("GOAWAY", GOAWAY, 0, 0, &[0, 7]),
        ("WINDOW_UPDATE", WINDOW_UPDATE, 0, STREAM, &[0, 3, 5]),
        ("ALTSVC", ALTSVC, 0, 0, &[0, 1]),
        ("PRIORITY_UPDATE", PRIORITY_UPDATE, 0, 0, &[0, 3]),
    ];
    for (name, kind, flags, stream, lengths) in kinds {
        for &length in lengths {
            let payload = vec![0; length];
            let description = format!("{name} of {length} bytes");
            let frame = wire(kind, flags, stream, &payload);
            cases.push(frame.breaks(&description, FRAME_SIZE_ERROR));
        }
    }
    // Every peer accepts 16,384 bytes (RFC 9113 §4.2).
    let payload = vec![0; 16_385];
    let frame = wire(DATA, 0, STREAM, &payload);
    cases.push(frame.breaks("a frame over SETTINGS_MAX_FRAME_SIZE", FRAME_SIZE_ERROR));
}

/// Frames of a stream on stream 0, and the reverse.
fn wrong_streams(cases: &mut Vec<String>) {
    let of_a_stream: [(&str, u8, &[u8]); 6] = [
        ("DATA", DATA, b"content"),
        ("HEADERS", HEADERS, b"\x82"),
        ("PRIORITY", PRIORITY, b"\x00\x00\x00\x01\x0f"),
        ("RST_STREAM", RST_STREAM, b"\x00\x00\x00\x08"),
        ("PUSH_PROMISE", PUSH_PROMISE, b"\x00\x00\x00\x02\x82"),
        ("CONTINUATION", CONTINUATION, b"\x82"),
    ];
    for (name, kind, payload) in of_a_stream {
        let description = format!("{name} on stream 0");
        cases.push(wire(kind, 0, 0, payload).breaks(&description, PROTOCOL_ERROR));
    }
    let of_the_connection: [(&str, u8, &[u8]); 4] = [
        ("SETTINGS", SETTINGS, b""),
        ("PING", PING, b"01234567"),
        ("GOAWAY", GOAWAY, b"\x00\x00\x00\x00\x00\x00\x00\x00"),
        ("PRIORITY_UPDATE", PRIORITY_UPDATE, b"\x00\x00\x00\x01u=1"),
    ];
    for (name, kind, payload) in of_the_connection {
        let description = format!("{name} on a stream");
        cases.push(wire(kind, 0, STREAM, payload).breaks(&description, PROTOCOL_ERROR));
    }
}

/// Values that are invalid in every frame.
fn wrong_values(cases: &mut Vec<String>) {
    for (name, kind) in [("DATA", DATA), ("HEADERS", HEADERS)] {
        let frame = wire(kind, PADDED | END_HEADERS, STREAM, b"\x08content");
        let description = format!("{name} with more padding than payload");
        cases.push(frame.breaks(&description, PROTOCOL_ERROR));
    }
    let promise = wire(
        PUSH_PROMISE,
        PADDED | END_HEADERS,
        STREAM,
        b"\x02\0\0\0\x02\x82",
    );
    cases.push(promise.breaks(
        "PUSH_PROMISE with more padding than payload",
        PROTOCOL_ERROR,
    ));
    for promised in [0_u32, 3] {
        let payload = [&promised.to_be_bytes()[..], b"\x82"].concat();
        let description = format!("PUSH_PROMISE of stream {promised}");
        let frame = wire(PUSH_PROMISE, END_HEADERS, STREAM, &payload);
        cases.push(frame.breaks(&description, PROTOCOL_ERROR));
    }
    for stream in [0, STREAM] {
        let frame = wire(WINDOW_UPDATE, 0, stream, &[0; 4]);
        cases.push(frame.breaks("WINDOW_UPDATE of nothing", PROTOCOL_ERROR));
    }
    for (id, value, code) in [
        (2, 2, PROTOCOL_ERROR),
        (4, 0x8000_0000, FLOW_CONTROL_ERROR),
        (5, 16_383, PROTOCOL_ERROR),
        (5, 16_777_216, PROTOCOL_ERROR),
        (8, 2, PROTOCOL_ERROR),
    ] {
        let payload = settings(&[(id, value)]);
        let description = format!("SETTINGS with {value} for setting {id}");
        cases.push(wire(SETTINGS, 0, 0, &payload).breaks(&description, code));
    }
    let nothing = wire(PRIORITY_UPDATE, 0, 0, b"\0\0\0\0u=1");
    cases.push(nothing.breaks("PRIORITY_UPDATE of stream 0", PROTOCOL_ERROR));
}

/// A SETTINGS payload.
fn settings(entries: &[(u16, u32)]) -> Vec<u8> {
    let bytes = |(id, value): &(u16, u32)| [&id.to_be_bytes()[..], &value.to_be_bytes()].concat();
    entries.iter().flat_map(bytes).collect()
}
