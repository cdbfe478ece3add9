//! The limits on the input of a peer, and the compression state afterwards.

use bytes::BytesMut;
use lacewing_frames::spdy::{
    Compression, DecodeError, Decoder, DecoderLimits, EncodeError, Encoder, Exceeded, Frame,
    FrameHead, Kind, Message, Scope, SynStreamHead, WireVersion,
};

use crate::support::{List, VERSIONS, control, decoder, list};

#[test]
fn long_control_frames_are_refused_from_the_head_alone() {
    let limits = DecoderLimits::default().with(|limits| limits.max_frame_size = 10_000);
    for (limits, least) in [
        (limits, 10_000),
        // Every endpoint must accept 8,192 bytes.
        (limits.with(|limits| limits.max_frame_size = 0), 8192),
    ] {
        for kind in [1, 2, 3, 4, 6, 7, 8, 9, 10, 11, 0xffff] {
            for (length, fits) in [(least, true), (least + 1, false)] {
                let head = FrameHead::Control {
                    version: 3,
                    kind: Kind(kind),
                    flags: 0,
                    length,
                };
                let mut decoder: Decoder<List> = Decoder::new(WireVersion::V3, limits);
                let mut src = BytesMut::from(&head.to_bytes()[..]);
                let result = decoder.decode(&mut src);
                if fits {
                    assert_eq!(result, Ok(None));
                } else {
                    let limit = least;
                    let error = DecodeError::FrameTooLong { head, limit };
                    assert_eq!(result, Err(error));
                    assert_eq!(error.scope(), Scope::Connection);
                    assert_eq!(decoder.decode(&mut src), Err(error));
                }
            }
        }
    }
    let mut src = BytesMut::from(&[0, 0, 0, 1, 0, 0, 0x20, 0x01][..]);
    assert!(Frame::decode(WireVersion::V3, &mut src, 8192).is_err());
    assert_eq!(Frame::decode(WireVersion::V3, &mut src, 8193), Ok(None));
}

/// Attacks: SETTINGS with too many entries, or with a false number of entries.
#[test]
fn settings_are_counted_before_they_are_kept() {
    for version in VERSIONS {
        for (entries, fits) in [(32u32, true), (33, false), (8000, false)] {
            let mut payload = entries.to_be_bytes().to_vec();
            payload.resize(4 + 8 * entries as usize, 1);
            let wire = control(version, Kind::SETTINGS, 0, &payload);
            let result = decoder(version).decode(&mut BytesMut::from(&wire[..]));
            if fits {
                assert!(matches!(result, Ok(Some(Message::Settings(_)))));
            } else {
                let limit = 32;
                let error = DecodeError::TooManySettings { entries, limit };
                assert_eq!(result, Err(error));
            }
        }
        for payload in [
            &[][..],
            &[0, 0, 0],
            &[0x1f, 0xff, 0xff, 0xff],
            &[0, 0, 0, 0, 1],
        ] {
            let wire = control(version, Kind::SETTINGS, 0, payload);
            let result = decoder(version).decode(&mut BytesMut::from(&wire[..]));
            assert!(matches!(
                result,
                Err(DecodeError::SettingsCount { .. } | DecodeError::Length { .. })
            ));
        }
    }
}

#[test]
fn credentials_are_bounded() {
    let credential = |certificates: usize| {
        let mut payload = vec![0, 1, 0, 0, 0, 0];
        payload.resize(6 + 4 * certificates, 0);
        control(WireVersion::V3, Kind::CREDENTIAL, 0, &payload)
    };
    let decode = |wire: &[u8]| decoder(WireVersion::V3).decode(&mut BytesMut::from(wire));
    assert!(matches!(
        decode(&credential(16)),
        Ok(Some(Message::Credential(frame))) if frame.certificates.len() == 16
    ));
    assert_eq!(
        decode(&credential(17)),
        Err(DecodeError::TooManyCertificates { limit: 16 })
    );
    for payload in [
        &b""[..],
        b"\0\x01\0\0\0",
        b"\0\x01\xff\xff\xff\xff",
        b"\0\x01\0\0\0\0\0\0\0\x05abcd",
        b"\0\x01\0\0\0\0\0\0",
    ] {
        let length = payload.len() as u32;
        assert_eq!(
            decode(&control(WireVersion::V3, Kind::CREDENTIAL, 0, payload)),
            Err(DecodeError::CredentialLength { length })
        );
    }
}

/// Header blocks form one zlib stream: after any frame, the next one still decodes.
#[test]
fn the_compression_state_stays_in_step() {
    for version in VERSIONS {
        for policy in [
            Compression::WholeField,
            Compression::Stored,
            Compression::Zlib(9),
        ] {
            let mut encoder = Encoder::new(version, policy);
            let limits = DecoderLimits::default().with(|limits| limits.list.max_fields = 3);
            let mut decoder: Decoder<List> = Decoder::new(version, limits);
            let mut wire = BytesMut::new();

            // Too many fields.
            encoder
                .headers(&mut wire, 1, false, |block| {
                    for index in 0..4 {
                        block.field(format!("x-{index}").as_bytes(), [b"value"]);
                    }
                })
                .unwrap();
            let message = decoder.decode(&mut wire).unwrap().unwrap();
            let Message::Headers { block, .. } = message else {
                panic!("{message:?}");
            };
            let cut = block.list.unwrap_err();
            assert_eq!(cut.exceeded, Some(Exceeded::Fields { limit: 3 }));
            assert_eq!(cut.fields.len(), 3);

            // A SYN_STREAM of another version.
            let head = SynStreamHead::new(7);
            encoder
                .syn_stream(&mut wire, head, |block| {
                    block.field(b"x-other", [b"version"]);
                })
                .unwrap();
            wire[1] = 9;
            let error = decoder.decode(&mut wire).unwrap_err();
            let version_of_frame = 9;
            assert_eq!(
                error,
                DecodeError::UnsupportedVersion {
                    stream_id: 7,
                    version: version_of_frame
                }
            );
            assert_eq!(error.scope(), Scope::Stream(7));

            // A list that cannot be encoded is not sent, and changes nothing.
            let long = vec![b'v'; 0xff_0000];
            let result = encoder.syn_reply(&mut wire, 1, true, |block| {
                block.field(b"x-long", [&long]);
            });
            assert!(matches!(result, Err(EncodeError::Block(_))));
            assert!(wire.is_empty());

            encoder
                .syn_reply(&mut wire, 1, true, |block| {
                    block.field(b"x-other", [b"version"]);
                })
                .unwrap();
            let message = decoder.decode(&mut wire).unwrap().unwrap();
            let fields = [("x-other".into(), "version".into())];
            assert_eq!(list(&message).unwrap()[..], fields);
        }
    }
}

/// SPDY/2, "Protocol versioning": only SYN_STREAM is answered, all other frames are ignored.
#[test]
fn frames_of_other_versions_are_ignored() {
    for version in VERSIONS {
        for kind in [3, 4, 5, 6, 7, 9, 10, 77] {
            let mut wire = control(version, Kind(kind), 0, b"\0\0\0\x01");
            wire[1] = 5;
            let mut src = BytesMut::from(&wire[..]);
            let message = decoder(version).decode(&mut src).unwrap().unwrap();
            let Message::Unknown(frame) = message else {
                panic!("{message:?}");
            };
            assert_eq!((frame.version, frame.kind), (5, Kind(kind)));
            assert!(src.is_empty());
        }
    }
}
