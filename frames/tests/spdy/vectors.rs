//! Single frames of four implementations, in both directions, with their quirks.

use bytes::{Bytes, BytesMut};
use lacewing_frames::spdy::{
    Compression, Credential, Data, Encoder, ErrorCode, Frame, GoAway, GoAwayStatus, Kind, Message,
    Noop, Ping, RstStream, Setting, SettingId, Settings, SynStreamHead, WindowUpdate, WireVersion,
    flags,
};
use serde::Deserialize;

use crate::support::{decode_one, decoder, encode, headers, latin1, list, read, round_trip, unhex};

#[derive(Debug, Deserialize)]
struct File {
    version: u16,
    #[serde(rename = "type")]
    kind: String,
    cases: Vec<Case>,
}

#[derive(Debug, Deserialize)]
struct Case {
    name: String,
    fields: Fields,
    encodings: Vec<Encoding>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Fields {
    flags: u8,
    stream_id: u32,
    associated_to: u32,
    priority: u8,
    slot: u16,
    headers: Vec<(String, String)>,
    status: Option<u32>,
    last_good_stream_id: u32,
    id: u32,
    delta: u32,
    entries: Vec<(u32, u8, u32)>,
    data: String,
    proof: String,
    certificates: Vec<String>,
}

#[derive(Debug, Deserialize)]
struct Encoding {
    hex: String,
    producers: Vec<String>,
    headers: Option<Vec<(String, String)>>,
    compressed_block: Option<String>,
}

fn files(version: WireVersion, names: &[&str]) -> Vec<File> {
    names
        .iter()
        .map(|name| {
            let file: File = read(&format!("v{}/{name}.json", version.number()));
            assert_eq!(file.version, version.number());
            assert!(!file.cases.is_empty());
            file
        })
        .collect()
}

#[test]
fn frames_without_a_block_encode_to_the_one_encoding() {
    let plain = ["data", "goaway", "ping", "rst_stream", "settings"];
    for file in files(WireVersion::V2, &[&plain[..], &["noop"]].concat()) {
        plain_frames(WireVersion::V2, &file);
    }
    for file in files(
        WireVersion::V3,
        &[&plain[..], &["window_update", "credential"]].concat(),
    ) {
        plain_frames(WireVersion::V3, &file);
    }
}

fn plain_frames(version: WireVersion, file: &File) {
    for Case {
        name,
        fields,
        encodings,
    } in &file.cases
    {
        let expected = plain_frame(version, &file.kind, fields);
        assert_eq!(encodings.len(), 1, "{name}");
        let wire = unhex(&encodings[0].hex);
        assert_eq!(round_trip(version, &wire), expected, "{name}");
        assert_eq!(encode(version, &expected), wire, "{name}");

        let message = decode_one(&mut decoder(version), &wire);
        assert_eq!(message, as_message(expected.clone()), "{name}");
        assert_eq!(encode_with_encoder(version, &expected), wire, "{name}");
    }
}

fn plain_frame(version: WireVersion, kind: &str, fields: &Fields) -> Frame {
    let undefined_flags = fields.flags;
    match kind {
        "DATA" => Frame::Data(Data {
            fin: fields.flags & flags::FIN != 0,
            undefined_flags: fields.flags & !flags::FIN,
            ..Data::new(fields.stream_id, latin1(&fields.data))
        }),
        "GOAWAY" => Frame::GoAway(GoAway {
            last_good_stream_id: fields.last_good_stream_id,
            status: fields.status.map(GoAwayStatus),
            undefined_flags,
        }),
        "PING" => Frame::Ping(Ping {
            id: fields.id,
            undefined_flags,
        }),
        "RST_STREAM" => Frame::RstStream(RstStream {
            stream_id: fields.stream_id,
            code: ErrorCode(fields.status.unwrap()),
            undefined_flags,
        }),
        "SETTINGS" => Frame::Settings(Settings {
            clear: fields.flags & flags::CLEAR_SETTINGS != 0,
            entries: fields
                .entries
                .iter()
                .map(|&(id, flags, value)| Setting {
                    id: SettingId(id),
                    flags,
                    value,
                })
                .collect(),
            undefined_flags: fields.flags & !flags::CLEAR_SETTINGS,
        }),
        "NOOP" => Frame::Noop(Noop { undefined_flags }),
        "WINDOW_UPDATE" => Frame::WindowUpdate(WindowUpdate {
            stream_id: fields.stream_id,
            delta: fields.delta,
            undefined_flags,
        }),
        "CREDENTIAL" => Frame::Credential(Credential {
            slot: fields.slot,
            proof: unhex(&fields.proof).into(),
            certificates: fields
                .certificates
                .iter()
                .map(|certificate| unhex(certificate).into())
                .collect(),
            undefined_flags,
        }),
        other => panic!("{version:?} {other}"),
    }
}

fn as_message(frame: Frame) -> Message<Vec<(Bytes, Bytes)>> {
    match frame {
        Frame::RstStream(frame) => Message::RstStream(frame),
        Frame::Settings(frame) => Message::Settings(frame),
        Frame::Noop(frame) => Message::Noop(frame),
        Frame::Ping(frame) => Message::Ping(frame),
        Frame::GoAway(frame) => Message::GoAway(frame),
        Frame::WindowUpdate(frame) => Message::WindowUpdate(frame),
        Frame::Credential(frame) => Message::Credential(frame),
        Frame::Data(frame) => Message::Data {
            stream_id: frame.stream_id,
            payload: frame.payload,
            fin: frame.fin,
            remaining: 0,
            undefined_flags: frame.undefined_flags,
        },
        other => panic!("{other:?}"),
    }
}

fn encode_with_encoder(version: WireVersion, frame: &Frame) -> Vec<u8> {
    let encoder = Encoder::new(version, Compression::Stored);
    let mut dst = BytesMut::new();
    match frame {
        Frame::RstStream(frame) => encoder.rst_stream(&mut dst, frame.stream_id, frame.code),
        Frame::Settings(frame) => encoder
            .settings(&mut dst, frame.clear, &frame.entries)
            .unwrap(),
        Frame::Ping(frame) => encoder.ping(&mut dst, frame.id),
        Frame::GoAway(frame) => {
            let status = frame.status.unwrap_or(GoAwayStatus::INTERNAL_ERROR);
            encoder.go_away(&mut dst, frame.last_good_stream_id, status);
        }
        Frame::WindowUpdate(frame) => {
            encoder.window_update(&mut dst, frame.stream_id, frame.delta);
        }
        Frame::Data(frame) => {
            let length = frame.payload.len() as u32;
            encoder.data_head(&mut dst, frame.stream_id, length, frame.fin);
            dst.extend_from_slice(&frame.payload);
        }
        other => encoder.frame(&mut dst, other).unwrap(),
    }
    dst.to_vec()
}

#[test]
fn frames_with_a_block_decode_from_every_producer_and_from_us() {
    for version in crate::support::VERSIONS {
        for file in files(version, &["syn_stream", "syn_reply", "headers"]) {
            for case in &file.cases {
                for encoding in &case.encodings {
                    block_frame(version, &file.kind, case, encoding);
                }
                for policy in [
                    Compression::WholeField,
                    Compression::Stored,
                    Compression::Zlib(6),
                ] {
                    our_block_frame(version, &file.kind, case, policy);
                }
            }
        }
    }
}

fn block_frame(version: WireVersion, kind: &str, case: &Case, encoding: &Encoding) {
    let wire = unhex(&encoding.hex);
    let context = format!("{kind} {} {:?}", case.name, encoding.producers);

    let raw = match round_trip(version, &wire) {
        Frame::SynStream(frame) => frame.block,
        Frame::SynReply(frame) => frame.block,
        Frame::Headers(frame) => frame.block,
        other => panic!("{context}: {other:?}"),
    };
    let expected = encoding.compressed_block.as_deref().unwrap();
    assert_eq!(raw[..], unhex(expected), "{context}");

    let message = decode_one(&mut decoder(version), &wire);
    check_fields(kind, &case.fields, &message, &context);
    let expected = headers(encoding.headers.as_ref().unwrap());
    assert_eq!(list(&message), Some(&expected), "{context}");
}

fn our_block_frame(version: WireVersion, kind: &str, case: &Case, policy: Compression) {
    let fields = &case.fields;
    let context = format!("{kind} {} {policy:?}", case.name);
    let expected = headers(&fields.headers);
    let mut encoder = Encoder::new(version, policy);
    let mut dst = BytesMut::from(&b"before"[..]);
    let fin = fields.flags & flags::FIN != 0;
    let put = |block: &mut lacewing_frames::spdy::BlockEncoder<'_>| {
        for (name, value) in &expected {
            block.field(name, value.split(|&byte| byte == 0));
        }
    };
    match kind {
        "SYN_STREAM" => {
            let head = SynStreamHead {
                stream_id: fields.stream_id,
                associated: fields.associated_to,
                priority: fields.priority,
                slot: fields.slot as u8,
                fin,
                unidirectional: fields.flags & flags::UNIDIRECTIONAL != 0,
            };
            encoder.syn_stream(&mut dst, head, put).unwrap();
        }
        "SYN_REPLY" => encoder
            .syn_reply(&mut dst, fields.stream_id, fin, put)
            .unwrap(),
        _ => encoder
            .headers(&mut dst, fields.stream_id, fin, put)
            .unwrap(),
    }
    let wire = &dst[6..];
    round_trip(version, wire);
    // The head is the same as that of the others, except for the length.
    let theirs = unhex(&case.encodings[0].hex);
    let fixed = if kind == "SYN_STREAM" { 18 } else { 12 };
    assert_eq!(wire[..5], theirs[..5], "{context}");
    assert_eq!(wire[8..fixed], theirs[8..fixed], "{context}");

    let message = decode_one(&mut decoder(version), wire);
    check_fields(kind, fields, &message, &context);
    assert_eq!(list(&message), Some(&expected), "{context}");
}

fn check_fields(
    kind: &str,
    fields: &Fields,
    message: &Message<Vec<(Bytes, Bytes)>>,
    context: &str,
) {
    let expected_fin = fields.flags & flags::FIN != 0;
    let (block, fin, id) = match message {
        Message::SynStream {
            stream_id,
            associated,
            priority,
            slot,
            fin,
            unidirectional,
            block,
        } => {
            assert_eq!(kind, "SYN_STREAM");
            assert_eq!(*associated, fields.associated_to, "{context}");
            assert_eq!(*priority, fields.priority, "{context}");
            assert_eq!(u16::from(*slot), fields.slot, "{context}");
            let expected = fields.flags & flags::UNIDIRECTIONAL != 0;
            assert_eq!(*unidirectional, expected, "{context}");
            (block, *fin, *stream_id)
        }
        Message::SynReply {
            stream_id,
            fin,
            block,
        } => {
            assert_eq!(kind, "SYN_REPLY");
            (block, *fin, *stream_id)
        }
        Message::Headers {
            stream_id,
            fin,
            block,
        } => {
            assert_eq!(kind, "HEADERS");
            (block, *fin, *stream_id)
        }
        other => panic!("{context}: {other:?}"),
    };
    assert_eq!((id, fin), (fields.stream_id, expected_fin), "{context}");
    assert!(block.list.is_ok(), "{context}");
}

#[derive(Debug, Deserialize)]
struct Quirks {
    cases: Vec<Quirk>,
}

#[derive(Debug, Deserialize)]
struct Quirk {
    version: u16,
    case: String,
    #[serde(rename = "type")]
    kind: String,
    hex: String,
}

#[test]
fn quirks_of_real_peers_are_accepted_and_kept() {
    let quirks: Quirks = read("quirks.json");
    assert_eq!(quirks.cases.len(), 18);
    for quirk in quirks.cases {
        let version = WireVersion::from_number(quirk.version).unwrap();
        let wire = unhex(&quirk.hex);
        let context = format!("v{} {}", quirk.version, quirk.case);
        round_trip(version, &wire);
        match decode_one(&mut decoder(version), &wire) {
            Message::SynStream {
                block, priority, ..
            } => {
                assert_eq!(quirk.kind, "SYN_STREAM");
                assert!(block.list.unwrap().len() >= 3, "{context}");
                // Priorities of three bits, read as two bits: 3, 1, 2, 2 lose their last bit.
                if version == WireVersion::V2 {
                    assert_eq!(priority, wire[16] >> 6, "{context}");
                }
            }
            Message::SynReply { block, .. } => {
                assert_eq!(quirk.kind, "SYN_REPLY");
                assert_eq!(block.list.unwrap().len(), 2, "{context}");
            }
            Message::Headers { block, .. } => {
                assert_eq!(quirk.kind, "HEADERS");
                assert_eq!(block.list.unwrap().len(), 1, "{context}");
            }
            Message::Settings(settings) => {
                assert_eq!(quirk.kind, "SETTINGS");
                assert!(!settings.clear, "{context}");
            }
            Message::GoAway(frame) => {
                assert_eq!(quirk.kind, "GOAWAY");
                assert_eq!(frame.status, Some(GoAwayStatus::OK), "{context}");
            }
            other => panic!("{context}: {other:?}"),
        }
    }
}

#[test]
fn numbers_print_as_the_drafts_name_them() {
    for (shown, expected) in [
        (Kind::SYN_STREAM.to_string(), "SYN_STREAM"),
        (Kind(0xff).to_string(), "0x00ff"),
        (ErrorCode(3).to_string(), "REFUSED_STREAM"),
        (ErrorCode(0xabcd).to_string(), "0x0000abcd"),
        (GoAwayStatus(0).to_string(), "OK"),
        (SettingId(7).to_string(), "INITIAL_WINDOW_SIZE"),
        (SettingId(0x0012_3456).to_string(), "0x123456"),
    ] {
        assert_eq!(shown, expected);
    }
}
