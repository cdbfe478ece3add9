//! Malformed and illegal input, built by hand from the drafts: the results of the frame layer.

use bytes::BytesMut;
use lacewing_frames::spdy::{
    BlockEncoder, Compression, DecodeError, Encoder, ErrorCode, HeaderError, Kind, Message, Scope,
    SettingId, SynStreamHead, WireVersion,
};
use lacewing_spdy_zlib::DecodeError as Broken;
use serde::Deserialize;

use crate::support::{List, VERSIONS, control, decoder, read, unhex};

#[derive(Debug, Deserialize)]
struct File {
    cases: Vec<Case>,
}

#[derive(Debug, Deserialize)]
struct Case {
    name: String,
    frames: Vec<String>,
    expect: String,
}

/// Errors that need no knowledge of streams, windows and sides.
#[derive(Debug, PartialEq)]
enum Verdict {
    /// The bytes are valid; the engine judges the frame.
    Fine,
    /// A frame to ignore.
    Unknown,
    Malformed(HeaderError),
    Error(DecodeError),
}

#[test]
fn each_case_gives_its_typed_error() {
    for version in VERSIONS {
        let file: File = read(&format!("v{}/errors.json", version.number()));
        assert!(file.cases.len() >= 38);
        // Miri is a thousand times slower.
        let step = if cfg!(miri) { 5 } else { 1 };
        for case in file.cases.into_iter().step_by(step) {
            let context = format!("{version:?} {}: {}", case.name, case.expect);
            let expected = expected(version, &case.name);
            let mut decoder = decoder(version);
            let mut wire = BytesMut::new();
            let mut verdicts = Vec::new();
            for frame in &case.frames {
                wire.extend_from_slice(&unhex(frame));
                verdicts.push(match decoder.decode(&mut wire) {
                    Ok(message) => judge(&case.name, message.expect("a frame")),
                    Err(error) => Verdict::Error(error),
                });
            }
            let last = verdicts.pop().unwrap();
            assert!(
                verdicts.iter().all(|verdict| *verdict == Verdict::Fine),
                "{context}: {verdicts:?}"
            );
            assert_eq!(last, expected, "{context}");

            // After a stream error, the decoder continues. After a connection error, it does not.
            let ping =
                BytesMut::from(&[0x80, version.number() as u8, 0, 6, 0, 0, 0, 4, 0, 0, 0, 1][..]);
            let next = decoder.decode(&mut ping.clone());
            match last {
                Verdict::Error(error) if error.scope() == Scope::Connection => {
                    assert_eq!(next, Err(error), "{context}");
                    assert!(case.expect.contains("session") || case.expect.contains("bound"));
                }
                _ => {
                    assert!(wire.is_empty(), "{context}");
                    assert!(matches!(next, Ok(Some(Message::Ping(_)))), "{context}");
                }
            }
        }
    }
}

/// A peer that always uses another version has another dictionary too. The error names the version
/// for every SYN_STREAM, and its other frames are ignored.
#[test]
fn a_peer_of_another_version_is_told_so() {
    for (ours, theirs) in [
        (WireVersion::V2, WireVersion::V3),
        (WireVersion::V3, WireVersion::V2),
    ] {
        let mut encoder = Encoder::new(theirs, Compression::Zlib(6));
        let mut wire = BytesMut::new();
        for stream in [1, 3] {
            let head = SynStreamHead::new(stream);
            let fields = |block: &mut BlockEncoder<'_>| {
                block.field(b"x", [&b"y"[..]]);
            };
            encoder.syn_stream(&mut wire, head, fields).unwrap();
            encoder.ping(&mut wire, stream);
            encoder.headers(&mut wire, stream, true, fields).unwrap();
        }
        let mut decoder = decoder(ours);
        for stream_id in [1, 3] {
            let version = theirs.number();
            let error = DecodeError::UnsupportedVersion { stream_id, version };
            assert_eq!(decoder.decode(&mut wire), Err(error), "{ours:?}");
            for _ in 0..2 {
                let message = decoder.decode(&mut wire);
                assert!(
                    matches!(message, Ok(Some(Message::Unknown(_)))),
                    "{ours:?}: {message:?}"
                );
            }
        }
        assert!(wire.is_empty());
    }
}

/// Stream 0 does not exist.
#[test]
fn replies_and_headers_on_stream_zero() {
    for version in VERSIONS {
        for kind in [Kind::SYN_REPLY, Kind::HEADERS] {
            let payload = [0; 6];
            let length = if version == WireVersion::V2 { 6 } else { 4 };
            let wire = control(version, kind, 0, &payload[..length]);
            let error = decoder(version).decode(&mut BytesMut::from(&wire[..]));
            assert_eq!(
                error,
                Err(DecodeError::StreamIdZero { kind }),
                "{version:?}"
            );
        }
    }
}

fn judge(name: &str, message: Message<List>) -> Verdict {
    match message {
        Message::SynStream { block, .. }
        | Message::SynReply { block, .. }
        | Message::Headers { block, .. } => {
            let malformed = block.list.err().and_then(|bad| {
                assert_eq!(bad.exceeded, None);
                bad.malformed
            });
            malformed.map_or(Verdict::Fine, Verdict::Malformed)
        }
        Message::Unknown(_) => Verdict::Unknown,
        Message::Settings(settings) => {
            assert_eq!(name, "settings_duplicate_id");
            assert_eq!(settings.entries.len(), 2);
            assert_eq!(settings.value(SettingId::MAX_CONCURRENT_STREAMS), Some(10));
            Verdict::Fine
        }
        Message::RstStream(frame) => {
            assert_eq!((name, frame.code), ("rst_stream_status_zero", ErrorCode(0)));
            Verdict::Fine
        }
        _ => Verdict::Fine,
    }
}

fn expected(version: WireVersion, name: &str) -> Verdict {
    use HeaderError::*;
    use Verdict::*;
    let v2 = version == WireVersion::V2;
    match name {
        "empty_header_name" => Malformed(EmptyName),
        "empty_header_value" if v2 => Malformed(EmptyValue),
        "uppercase_header_name" => Malformed(UppercaseName),
        "duplicate_header_name" => Malformed(DuplicateName),
        "double_nul_in_value" | "leading_nul_in_value" | "trailing_nul_in_value" => {
            Malformed(EmptySegment)
        }
        "count_too_large" | "name_length_beyond_block" => Malformed(BlockTooShort),
        "trailing_bytes_after_pairs" => Malformed(TrailingBytes),

        "stream_id_zero" => Error(DecodeError::StreamIdZero {
            kind: Kind::SYN_STREAM,
        }),
        "not_zlib" => Error(DecodeError::Compression(Broken::Corrupt)),
        "wrong_dictionary" => {
            let other = if v2 { WireVersion::V3 } else { WireVersion::V2 };
            Error(DecodeError::Compression(Broken::WrongDictionary {
                expected: version.dictionary_id(),
                found: other.dictionary_id(),
            }))
        }
        "zlib_bomb" => Error(DecodeError::Compression(Broken::TooLarge { limit: 65_536 })),
        "unsupported_version" => Error(DecodeError::UnsupportedVersion {
            stream_id: 1,
            version: 1,
        }),
        "settings_count_mismatch" => Error(DecodeError::SettingsCount {
            entries: 3,
            length: 12,
        }),
        "settings_count_huge" => Error(DecodeError::SettingsCount {
            entries: u32::MAX,
            length: 12,
        }),
        "ping_short" => Error(DecodeError::Length {
            kind: Kind::PING,
            length: 3,
        }),
        "rst_stream_short" => Error(DecodeError::Length {
            kind: Kind::RST_STREAM,
            length: 4,
        }),
        // Eight bytes in SPDY/2, which spdy-transport sends.
        "goaway_wrong_length" if v2 => Fine,
        "goaway_wrong_length" => Error(DecodeError::Length {
            kind: Kind::GOAWAY,
            length: 4,
        }),
        "window_update_zero_delta" => Error(DecodeError::ZeroDelta { stream_id: 1 }),

        "unknown_control_type" | "window_update_in_v2" | "noop_in_v3" => Unknown,

        // Valid zlib data, but without the dictionary.
        "no_dictionary" => Fine,
        "empty_header_value" => Fine,
        // Rules about streams, windows, sides or HTTP: the engine checks them.
        "duplicate_syn_stream"
        | "decreasing_stream_id"
        | "even_stream_id_from_client"
        | "duplicate_syn_reply"
        | "syn_reply_unknown_stream"
        | "data_unknown_stream"
        | "data_stream_zero"
        | "data_before_syn_reply"
        | "data_after_fin"
        | "settings_duplicate_id"
        | "ping_even_to_server_unsolicited"
        | "ping_odd_to_client_unsolicited"
        | "rst_stream_status_zero"
        | "request_without_method"
        | "reply_without_status"
        | "push_associated_zero"
        | "push_without_url"
        | "window_overflow_stream"
        | "window_overflow_session"
        | "data_beyond_stream_window" => Fine,
        other => panic!("unknown case: {other}"),
    }
}
