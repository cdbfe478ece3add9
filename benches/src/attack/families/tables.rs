//! Compression state, SETTINGS and lengths that claim more than there is.

use std::time::Duration;

use bytes::BytesMut;
use lacewing_frames::http2::Kind;
use lacewing_frames::spdy;

use crate::attack::case::Case;
use crate::attack::dialect::{Dialect, H2, S3, SPDY};
use crate::attack::peer::Peer;
use crate::attack::play::{Play, still_answers};
use crate::attack::wire::Fin;

type Played = Result<Vec<Peer>, String>;

const COMPRESSION: &str = "COMPRESSION_ERROR";
const PROTOCOL: &str = "PROTOCOL_ERROR";

pub(super) const CASES: &[Case] = &[
    Case::closed("tables/truncated-integer", "16 HPACK", H2, |play| {
        block(play, b"\x3f")
    })
    .code(COMPRESSION)
    .beside("honest/small-requests"),
    Case::closed("tables/long-integer", "16 HPACK", H2, |play| {
        block(play, b"\x7f\xff\xff\xff\xff\xff\xff\xff\xff\x01")
    })
    .code(COMPRESSION)
    .beside("honest/small-requests"),
    Case::closed("tables/size-beyond-settings", "16 HPACK", H2, |play| {
        block(play, b"\x3f\xe1\xff\x03")
    })
    .code(COMPRESSION)
    .beside("honest/small-requests"),
    Case::bounded("tables/size-4-gib", "17", H2, large_table).beside("honest/small-requests"),
    Case::closed("tables/settings-frame-size", "20", H2, |play| {
        setting(play, 5, 0)
    })
    .code(PROTOCOL)
    .beside("honest/small-requests"),
    Case::closed("tables/settings-frame-size-large", "20", H2, |play| {
        setting(play, 5, 1 << 24)
    })
    .code(PROTOCOL)
    .beside("honest/small-requests"),
    Case::closed("tables/settings-entries", "S2 entries", H2, |play| {
        let mut peer = play.connect()?;
        peer.wire
            .http2_frame(Kind::SETTINGS, 0, 0, &vec![0; 6 * 2_000]);
        peer.flush();
        Ok(vec![peer])
    })
    .code("ENHANCE_YOUR_CALM")
    .beside("honest/small-requests"),
    Case::closed("tables/settings-count", "S1", SPDY, settings_count)
        .beside("honest/small-requests"),
    Case::closed("tables/settings-2-mib", "S2", SPDY, settings_long)
        .beside("honest/small-requests"),
    Case::refused("tables/field-count", "S1", SPDY, |play| {
        claim(play, Claim::Fields)
    })
    .beside("honest/small-requests"),
    Case::refused("tables/value-length", "S1", SPDY, |play| {
        claim(play, Claim::Value)
    })
    .beside("honest/small-requests"),
    Case::closed("tables/other-dictionary", "S5", SPDY, other_dictionary)
        .beside("honest/small-requests"),
    Case::refused("tables/stream-ids", "S9", SPDY, stream_ids).beside("honest/small-requests"),
    Case::bounded("tables/credentials", "S12", S3, credentials).beside("honest/small-requests"),
    Case::closed("tables/long-frame", "S10", SPDY, long_frame).beside("honest/small-requests"),
];

fn block(play: &mut Play<'_>, block: &[u8]) -> Played {
    let mut peer = play.connect()?;
    peer.wire.http2_frame(Kind::HEADERS, 0x5, 1, block);
    peer.flush();
    Ok(vec![peer])
}

fn setting(play: &mut Play<'_>, id: u16, value: u32) -> Played {
    let mut peer = play.connect()?;
    let mut entry = id.to_be_bytes().to_vec();
    entry.extend_from_slice(&value.to_be_bytes());
    peer.wire.http2_frame(Kind::SETTINGS, 0, 0, &entry);
    peer.flush();
    Ok(vec![peer])
}

/// A table of 4 GiB for the victim's encoder, and responses to fill it.
fn large_table(play: &mut Play<'_>) -> Played {
    let mut peer = play.connect()?;
    peer.wire
        .http2_frame(Kind::SETTINGS, 0, 0, b"\0\x01\xff\xff\xff\xff");
    for _ in 0..play.small_or(20, 200) {
        for number in 0..50 {
            peer.get(&format!("/missing/{number}"));
        }
        peer.flush();
        let ids = std::mem::take(&mut peer.opened);
        peer.wait(Duration::from_secs(3), |seen| {
            ids.iter().all(|id| seen.is_over(*id))
        });
    }
    Ok(vec![peer])
}

/// 0x1fffffff entries in a frame of 12 bytes.
fn settings_count(play: &mut Play<'_>) -> Played {
    let mut peer = play.connect()?;
    peer.wire
        .spdy_frame(4, 0, b"\x1f\xff\xff\xff\0\0\0\x01\0\0\0\x01");
    peer.flush();
    Ok(vec![peer])
}

/// 262,143 entries of their own.
fn settings_long(play: &mut Play<'_>) -> Played {
    let mut peer = play.connect()?;
    let count = 262_143_u32;
    let mut payload = count.to_be_bytes().to_vec();
    for id in 0..count {
        payload.extend_from_slice(&id.to_be_bytes());
        payload.extend_from_slice(&id.to_be_bytes());
    }
    payload.truncate((1 << 21) - 4);
    peer.wire.spdy_frame(4, 0, &payload);
    peer.flush();
    Ok(vec![peer])
}

enum Claim {
    Fields,
    Value,
}

/// A stored zlib block that says 2^31.
fn claim(play: &mut Play<'_>, claim: Claim) -> Played {
    let mut peer = play.connect()?;
    let is_v2 = play.dialect == Dialect::Spdy2;
    let number = |value: u32| -> Vec<u8> {
        let [_, _, high, low] = value.to_be_bytes();
        if is_v2 {
            vec![high, low]
        } else {
            value.to_be_bytes().to_vec()
        }
    };
    let most = if is_v2 { 0xffff } else { 1 << 31 };
    let mut list = Vec::new();
    match claim {
        Claim::Fields => list.extend(number(most)),
        Claim::Value => {
            list.extend(number(1));
            list.extend(number(1));
            list.push(b'a');
            list.extend(number(most));
        }
    }
    syn_stream(&mut peer, 1, &stored(play.dialect, &list));
    peer.flush();
    Ok(vec![peer])
}

/// A zlib stream of one stored block, flushed.
fn stored(dialect: Dialect, list: &[u8]) -> Vec<u8> {
    let version = dialect.spdy().unwrap_or(spdy::WireVersion::V3);
    let mut encoder = spdy::Encoder::new(version, spdy::Compression::Stored);
    let mut frame = BytesMut::new();
    // The head of the zlib stream, taken from an empty block.
    let _ = encoder.syn_reply(&mut frame, 1, true, |_| {});
    // Frame head, stream id; two bytes of SPDY/2 that are unused.
    let at = if version == spdy::WireVersion::V2 {
        14
    } else {
        12
    };
    let mut bytes = frame.get(at..at + 6).unwrap_or_default().to_vec();
    let length = u16::try_from(list.len()).unwrap_or(0);
    bytes.push(0);
    bytes.extend_from_slice(&length.to_le_bytes());
    bytes.extend_from_slice(&(!length).to_le_bytes());
    bytes.extend_from_slice(list);
    bytes.extend_from_slice(b"\0\0\0\xff\xff");
    bytes
}

fn syn_stream(peer: &mut Peer, id: u32, block: &[u8]) {
    let mut payload = id.to_be_bytes().to_vec();
    payload.extend_from_slice(&[0; 6]);
    payload.extend_from_slice(block);
    peer.wire.spdy_frame(1, 1, &payload);
}

/// A header block with the dictionary of the other version.
fn other_dictionary(play: &mut Play<'_>) -> Played {
    let mut peer = play.connect()?;
    let other = match play.dialect {
        Dialect::Spdy2 => Dialect::Spdy3,
        _ => Dialect::Spdy2,
    };
    let block = stored(other, b"\0\0\0\0");
    syn_stream(&mut peer, 1, &block);
    peer.flush();
    Ok(vec![peer])
}

/// An even id, a lower one, and the same one twice.
fn stream_ids(play: &mut Play<'_>) -> Played {
    let mut peers = Vec::new();
    for ids in [[2, 4], [5, 3], [1, 1]] {
        let mut peer = play.connect()?;
        for id in ids {
            let start = crate::attack::wire::Start::Request {
                method: "GET",
                path: "/sleep/500",
            };
            peer.wire.head(id, start, Fin::End, &[]);
        }
        peer.flush();
        peers.push(peer);
    }
    Ok(peers)
}

/// Certificates for every slot.
fn credentials(play: &mut Play<'_>) -> Played {
    let mut peer = play.connect()?;
    // Fewer than `glitches` permits: `control/credential` sends more.
    for slot in 0..play.small_or(2_000_u16, 9_000) {
        let mut payload = slot.to_be_bytes().to_vec();
        payload.extend_from_slice(&4_u32.to_be_bytes());
        payload.extend_from_slice(b"1234");
        payload.extend_from_slice(&1_000_u32.to_be_bytes());
        payload.extend_from_slice(&[0; 1_000]);
        peer.wire.spdy_frame(10, 0, &payload);
        peer.flush_batch();
    }
    peer.flush();
    still_answers(play, &mut peer);
    Ok(vec![peer])
}

/// A control frame of 16 MiB that says nothing.
fn long_frame(play: &mut Play<'_>) -> Played {
    let mut peer = play.connect()?;
    peer.wire.spdy(1, 1, (1 << 24) - 1);
    peer.wire.raw(vec![0; 64 << 10]);
    peer.flush();
    Ok(vec![peer])
}
