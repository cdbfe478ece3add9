//! Connections that are idle between their blocks: decoders share zlib's state, and encoders forget
//! most of theirs.

use bytes::BytesMut;
use lacewing_spdy_zlib::{
    Compression, DecodeError, Decoder, Encoder, ListLimits, SpareInflater, WireVersion,
};

use crate::inflater::{self, Inflater};
use crate::vectors;

type Fields = Vec<(Vec<u8>, Vec<u8>)>;

/// All connections take turns, and have one zlib state.
#[test]
fn every_sequence_decodes_with_one_shared_state() {
    let sequences = vectors::sequences();
    let decoders = sequences.iter().map(|(_, it)| Decoder::new(it.version()));
    let mut decoders: Vec<Decoder> = decoders.collect();
    let longest = sequences.iter().map(|(_, it)| it.blocks.len()).max();
    let mut spare = None::<SpareInflater>;
    for index in 0..longest.unwrap() {
        for ((name, sequence), decoder) in sequences.iter().zip(&mut decoders) {
            let Some(block) = sequence.blocks.get(index) else {
                continue;
            };
            if let Some(spare) = spare.take() {
                decoder.lend_spare(spare);
            }
            let fields = decode(decoder, &block.compressed()).unwrap();
            assert_eq!(fields, block.headers(), "{name}, block {index}");
            let before = decoder.memory();
            spare = decoder.take_spare();
            assert!(spare.is_some(), "{name}, block {index}");
            assert!(decoder.memory() + 48 * 1024 <= before);
        }
    }
}

/// A state that comes back late is not mistaken for the present one.
#[test]
fn any_state_may_come_back_at_any_time() {
    for (name, sequence) in vectors::sequences() {
        let mut decoder = Decoder::new(sequence.version());
        let mut spares = Vec::new();
        for (index, block) in sequence.blocks.iter().enumerate() {
            match index % 5 {
                // Allocates a new one.
                0 => {}
                1 | 2 => spares
                    .pop()
                    .into_iter()
                    .for_each(|it| decoder.lend_spare(it)),
                3 => decoder.lend_spare(spares.remove(0)),
                // Still has the last one, or gives it back unused.
                _ if index % 2 == 0 => spares.extend(decoder.take_spare()),
                _ => {}
            }
            let fields = decode(&mut decoder, &block.compressed()).unwrap();
            assert_eq!(fields, block.headers(), "{name}, block {index}");
            if index % 5 != 3 {
                spares.extend(decoder.take_spare());
            }
        }
    }
}

#[test]
fn an_idle_decoder_holds_little_more_than_the_window_of_its_peer() {
    for (compression, window) in [
        (Compression::WholeField, 8 << 10),
        (Compression::Stored, 2 << 10),
    ] {
        let mut encoder = Encoder::new(WireVersion::V3, compression);
        let mut decoder = Decoder::new(WireVersion::V3);
        for number in 0..500_u32 {
            let fields = [(
                b"x-number".to_vec(),
                number.to_string().repeat(20).into_bytes(),
            )];
            assert_eq!(
                decode(&mut decoder, &encode(&mut encoder, &fields)).unwrap(),
                fields
            );
            drop(decoder.take_spare());
            assert!(decoder.memory() < window + 1024, "{}", decoder.memory());
            if number == 0 {
                assert!(decoder.memory() < 1024, "{}", decoder.memory());
            }
        }
    }
}

/// A shared state shows nothing of the connection that had it before.
#[test]
fn matches_do_not_reach_into_another_connection() {
    let mut encoder = Encoder::new(WireVersion::V3, Compression::WholeField);
    let secret = (b"x-secret".to_vec(), b"0123456789abcdef".repeat(4));
    // Farther away than the whole dictionary.
    let filler = (b"x-filler".to_vec(), b"-".repeat(3000));
    let first = encode(&mut encoder, &[secret.clone(), filler]);
    let second = encode(&mut encoder, std::slice::from_ref(&secret));

    let mut victim = Decoder::new(WireVersion::V3);
    decode(&mut victim, &first).unwrap();
    let mut attacker = Decoder::new(WireVersion::V3);
    attacker.lend_spare(victim.take_spare().unwrap());
    // The stream's header, and then the match.
    let forged = [&first[..6], &second].concat();
    assert_eq!(decode(&mut attacker, &forged), Err(DecodeError::Corrupt));
    assert_eq!(decode(&mut victim, &second).unwrap(), [secret]);

    // The same between blocks.
    let mut other = Encoder::new(WireVersion::V3, Compression::WholeField);
    let mut attacker = Decoder::new(WireVersion::V3);
    decode(&mut attacker, &encode(&mut other, &[])).unwrap();
    drop(attacker.take_spare());
    attacker.lend_spare(victim.take_spare().unwrap());
    assert_eq!(decode(&mut attacker, &second), Err(DecodeError::Corrupt));
}

/// What only looks like a flushed block is an error after the pause, as without it.
#[test]
fn blocks_that_look_flushed_are_not_continued() {
    const COUNT: [u8; 4] = [0, 0, 0, 0];
    // A list in a stored block; an empty one that is the stream's last.
    let last = [&[0, 4, 0, 0xfb, 0xff][..], &COUNT, &[1, 0, 0, 0xff, 0xff]].concat();
    // A stored block that is not complete: three of its bytes are missing.
    let within = [&[0, 11, 0, 0xf4, 0xff][..], &COUNT, &[0, 0, 0xff, 0xff]].concat();
    let next = [&[0, 4, 0, 0xfb, 0xff][..], &COUNT, &[0, 0, 0, 0xff, 0xff]].concat();
    for block in [last, within] {
        for pause in [false, true] {
            let mut decoder = Decoder::new(WireVersion::V3);
            // No dictionary.
            decoder.feed(&[0x78, 0x01], ListLimits::default()).unwrap();
            let _ = decoder.feed(&block, ListLimits::default());
            let _ = decoder.finish(ListLimits::default(), |_, _| {});
            if pause {
                drop(decoder.take_spare());
            }
            let result = decode(&mut decoder, &next);
            assert!(result.is_err(), "{block:?}, {pause}: {result:?}");
        }
    }
}

#[test]
fn no_state_is_taken_within_a_block() {
    let mut encoder = Encoder::new(WireVersion::V2, Compression::WholeField);
    let block = encode(&mut encoder, &[(b"a".to_vec(), b"1".to_vec())]);
    let mut decoder = Decoder::new(WireVersion::V2);
    assert!(decoder.take_spare().is_none());
    let (start, end) = block.split_at(9);
    decoder.feed(start, ListLimits::default()).unwrap();
    assert!(decoder.take_spare().is_none());
    decoder.feed(end, ListLimits::default()).unwrap();
    assert!(decoder.take_spare().is_none());
    decoder.finish(ListLimits::default(), |_, _| {}).unwrap();
    assert!(decoder.take_spare().is_some());
    assert!(decoder.take_spare().is_none());
}

#[test]
fn packed_encoders_stay_in_step_and_lose_little() {
    let mut other = None;
    for (name, sequence) in vectors::sequences() {
        let version = sequence.version();
        let (mut usual, mut packed) = (0, 0);
        for every in [1, 2, 7] {
            let mut encoder = Encoder::new(version, Compression::WholeField);
            let mut rested = Encoder::new(version, Compression::WholeField);
            let mut inflater = Inflater::new(version);
            for (index, block) in sequence.blocks.iter().enumerate() {
                let headers = block.headers();
                // Of a connection of any version.
                if index % every == 0 {
                    other = rested.take_spare().or(other);
                    if index % 3 == 0 {
                        other
                            .take()
                            .into_iter()
                            .for_each(|it| rested.lend_spare(it));
                    }
                    let lent = if index % 3 == 0 { 22 << 10 } else { 0 };
                    assert!(rested.memory() < 3_500 + lent, "{}", rested.memory());
                }
                let encoded = encode(&mut rested, &headers);
                let inflated = inflater.inflate(&encoded);
                let fields = inflater::parse(version, &inflated);
                assert_eq!(fields, headers, "{name}, block {index}");
                packed += encoded.len();
                usual += encode(&mut encoder, &headers).len();
            }
        }
        assert!(
            packed <= usual + usual / 10,
            "{name}: {packed} bytes, not {usual}"
        );
    }
}

/// A secret stays out of reach.
#[test]
fn packed_encoders_remember_which_fields_are_secret() {
    let length = |secret: &[u8], guess: &[u8]| {
        let mut encoder = Encoder::new(WireVersion::V3, Compression::WholeField);
        for pack in [false, true] {
            if pack {
                drop(encoder.take_spare());
            }
            let mut dst = BytesMut::new();
            let mut block = encoder.block(&mut dst);
            block.sensitive_field(b"x-token", [secret]);
            block.finish().unwrap();
        }
        drop(encoder.take_spare());
        encode(&mut encoder, &[(b"x-token".to_vec(), guess.to_vec())]).len()
    };
    let secret = b"b7f0d1c4a9e2";
    assert_eq!(length(secret, secret), length(secret, b"b7f0d1c4a9e3"));
}

fn encode(encoder: &mut Encoder, fields: &[(Vec<u8>, Vec<u8>)]) -> Vec<u8> {
    let mut dst = BytesMut::new();
    let mut block = encoder.block(&mut dst);
    for (name, joined) in fields {
        block.field(name, joined.split(|&byte| byte == 0));
    }
    block.finish().unwrap();
    dst.to_vec()
}

fn decode(decoder: &mut Decoder, block: &[u8]) -> Result<Fields, DecodeError> {
    let fields = decoder.decode_to_vec(block, ListLimits::default())?;
    let fields = fields.into_iter();
    Ok(fields
        .map(|(name, value)| (name.to_vec(), value.to_vec()))
        .collect())
}
