//! DATA: small, empty, padded, claimed, too much, and for closed streams.

use std::time::{Duration, Instant};

use lacewing_frames::http2::Kind;

use crate::attack::case::Case;
use crate::attack::dialect::{CONNECTION_WINDOWS, Dialect, H2, MULTIPLEXED, SPDY, WINDOWS};
use crate::attack::peer::{BATCH, Peer};
use crate::attack::play::{Play, still_answers};
use crate::attack::seen::Manners;
use crate::attack::wire::{Fin, field};

type Played = Result<Vec<Peer>, String>;

pub(super) const CASES: &[Case] = &[
    Case::bounded("data/one-byte-unread", "11 one-byte", MULTIPLEXED, |play| {
        one_byte(play, "/unread")
    })
    .beside("honest/one-byte-drained")
    .busy(),
    Case::bounded("data/echo-held", "14 echo", MULTIPLEXED, echo_held)
        .beside("honest/echo")
        .busy(),
    Case::bounded("data/windows-grow", "31 windows", MULTIPLEXED, windows_grow)
        .beside("honest/upload")
        .busy(),
    Case::closed("data/empty-frames", "11 empty", MULTIPLEXED, empty_frames)
        .code("ENHANCE_YOUR_CALM")
        .beside("honest/small-data")
        .busy(),
    Case::bounded("data/padding", "25", H2, padding).beside("honest/small-data"),
    Case::closed("data/bad-padding", "25", H2, |play| {
        let mut peer = play.connect()?;
        let id = peer.post("/upload");
        peer.wire.http2_frame(Kind::DATA, 0x8, id, b"\xffabc");
        peer.flush();
        Ok(vec![peer])
    })
    .code("PROTOCOL_ERROR")
    .beside("honest/small-data"),
    Case::bounded("data/claimed-length", "S6", SPDY, claimed_length).beside("honest/upload"),
    Case::bounded(
        "data/unread-beside-busy",
        "S7",
        MULTIPLEXED,
        unread_beside_busy,
    )
    .beside("honest/upload"),
    Case::bounded("data/pinned-buffers", "14 pinned", MULTIPLEXED, |play| {
        let peer = play.connect()?;
        pin_buffers(play, peer, "/unread")
    })
    .beside("honest/upload"),
    Case::bounded("data/pinned-by-echo", "14 pinned", WINDOWS, |play| {
        let mut peer = play.connect()?;
        peer.wire.initial_window(0);
        pin_buffers(play, peer, "/echo")
    })
    .beside("honest/echo"),
    Case::bounded("data/after-reset", "26", CONNECTION_WINDOWS, after_reset)
        .beside("honest/upload"),
    Case::refused("data/beyond-window", "23 data", WINDOWS, beyond_window).beside("honest/upload"),
    Case::refused(
        "data/content-length",
        "28 length",
        MULTIPLEXED,
        content_length,
    )
    .beside("honest/upload"),
];

/// Frames of one byte on a hundred streams, as many as their windows take.
fn one_byte(play: &mut Play<'_>, path: &str) -> Played {
    let mut peer = play.connect_as(Manners::Stingy)?;
    send_bytes(play, &mut peer, path);
    Ok(vec![peer])
}

fn send_bytes(play: &Play<'_>, peer: &mut Peer, path: &str) {
    let ids: Vec<u32> = (0..100).map(|_| peer.post(path)).collect();
    peer.flush();
    let frames = play.small_or(4_000, 90_000);
    let mut stuck = 0;
    for _ in 0..frames {
        for id in &ids {
            peer.data_in_credit(*id, b"x", Fin::More);
            // Each such frame has waited for the victim; after a second of it, the
            // victim reads no more.
            stuck = if peer.wire.out.len() < BATCH {
                0
            } else {
                stuck + 1
            };
            if stuck > 10 || peer.seen().closed.is_some() {
                return;
            }
        }
    }
    peer.flush();
    peer.wait(Duration::from_millis(300), |_| false);
}

/// An echo whose responses have no window (or, without windows, no reader).
fn echo_held(play: &mut Play<'_>) -> Played {
    let mut peer = play.connect_as(Manners::Stingy)?;
    peer.wire.initial_window(0);
    if play.dialect == Dialect::Spdy2 {
        peer.read_at(crate::attack::peer::Pace::Stopped);
    }
    peer.flush();
    send_bytes(play, &mut peer, "/echo");
    Ok(vec![peer])
}

/// Uploads that no handler reads, by a client that answers every PING at once: do
/// the windows grow?
fn windows_grow(play: &mut Play<'_>) -> Played {
    let mut peer = play.connect()?;
    let ids: Vec<u32> = (0..100).map(|_| peer.post("/unread")).collect();
    peer.flush();
    let end = Instant::now() + play.flood_time() * 2;
    let payload = [b'x'; 8_000];
    let mut taken = 0;
    while Instant::now() < end && peer.seen().closed.is_none() {
        let mut sent = 0;
        for id in &ids {
            sent += peer.data_in_credit(*id, &payload, Fin::More);
        }
        taken += sent;
        if !peer.flush_within(Duration::from_millis(200)) {
            break;
        }
        if sent == 0 {
            peer.wait(Duration::from_millis(20), |_| false);
        }
    }
    play.note(format!("{} KiB sent", taken >> 10));
    Ok(vec![peer])
}

fn empty_frames(play: &mut Play<'_>) -> Played {
    let mut peer = play.connect()?;
    let id = peer.post("/unread");
    peer.flush();
    peer.wire.data(id, b"", Fin::More);
    let frame = peer.wire.take();
    let mut peers = vec![peer];
    crate::attack::play::flood(&mut peers, &frame, play.flood_time());
    Ok(peers)
}

/// One byte and 255 of padding, within the windows, to the end.
fn padding(play: &mut Play<'_>) -> Played {
    let mut peer = play.connect()?;
    let id = peer.post("/upload");
    let mut payload = vec![0; 257];
    if let [length, byte, ..] = payload.as_mut_slice() {
        (*length, *byte) = (255, b'x');
    }
    for _ in 0..play.small_or(20_000, 200_000) {
        if !peer.wait(Duration::from_secs(2), |seen| seen.credit(id) >= 257) {
            play.fail("padding is not given back");
            return Ok(vec![peer]);
        }
        peer.seen().debit(id, 257);
        peer.wire.http2_frame(Kind::DATA, 0x8, id, &payload);
        peer.flush_batch();
    }
    peer.wire.data(id, b"", Fin::End);
    peer.flush();
    if !peer.wait(Duration::from_secs(5), |seen| seen.ended.contains(&id)) {
        play.fail("the upload was not answered");
    }
    Ok(vec![peer])
}

/// A hundred frames that claim 16 MiB and bring one byte... the last one; the
/// others end before their first.
fn claimed_length(play: &mut Play<'_>) -> Played {
    let mut peers = Vec::new();
    for _ in 0..20 {
        let mut peer = play.connect()?;
        let id = peer.post("/upload");
        peer.wire.data_head(id, (1 << 24) - 1, Fin::More);
        peer.wire.raw("x");
        peer.flush();
        peers.push(peer);
    }
    Ok(peers)
}

/// A stream that no handler reads, and others beside it, which continue.
fn unread_beside_busy(play: &mut Play<'_>) -> Played {
    let mut peer = play.connect()?;
    let id = peer.post("/unread");
    let payload = vec![b'x'; 16_000];
    for _ in 0..40 {
        peer.data_in_credit(id, &payload, Fin::More);
    }
    peer.flush();
    still_answers(play, &mut peer);
    Ok(vec![peer])
}

/// Uploads that wait, a piece of them in each read buffer; the rest of the buffer is for an upload
/// that is read. Do the pieces keep whole buffers?
fn pin_buffers(play: &mut Play<'_>, mut peer: Peer, path: &str) -> Played {
    let held: Vec<u32> = (0..50).map(|_| peer.post(path)).collect();
    let drained = peer.post("/upload");
    peer.flush();
    let filler = vec![b'f'; 16_000];
    let end = Instant::now() + play.flood_time() * 2;
    let mut pieces = 0_usize;
    while Instant::now() < end && peer.seen().closed.is_none() {
        let id = held.get(pieces % held.len()).copied().unwrap_or(drained);
        // As long as pieces are that stay parts of the largest buffers.
        let sent = peer.data_in_credit(id, &[b'x'; 16_384], Fin::More);
        pieces += usize::from(sent > 0);
        let mut rest = 256 << 10;
        while rest > 0 && Instant::now() < end && peer.seen().closed.is_none() {
            let sent = peer.data_in_credit(drained, &filler, Fin::More);
            rest -= sent.min(rest);
            if sent == 0 {
                peer.flush_within(Duration::from_millis(50));
                peer.wait(Duration::from_millis(5), |_| false);
            }
        }
    }
    play.note(format!("{pieces} pieces"));
    Ok(vec![peer])
}

/// DATA on streams that were reset, more than the connection's window in all: the
/// window comes back. Each round is two resets: ours, and the answer to late DATA. They
/// stay below their limit.
fn after_reset(play: &mut Play<'_>) -> Played {
    /// As many frames as each stream pays for.
    const LATE: usize = 4;
    let mut peer = play.connect()?;
    let payload = vec![b'x'; 16_000];
    let wanted = i64::try_from(LATE * payload.len()).unwrap_or(0);
    for _ in 0..play.small_or(80, 500) {
        let id = peer.post("/upload");
        peer.wire.reset(id);
        peer.flush();
        if !peer.wait(Duration::from_secs(2), |seen| {
            seen.connection_credit >= wanted
        }) {
            play.fail("the connection's window is lost");
            return Ok(vec![peer]);
        }
        // Late: the reset is already on its way.
        for _ in 0..LATE {
            peer.wire.data(id, &payload, Fin::More);
            peer.seen().debit(id, payload.len());
        }
        peer.flush();
        peer.wait(Duration::from_millis(play.small_or(0, 20)), |_| false);
    }
    still_answers(play, &mut peer);
    Ok(vec![peer])
}

fn beyond_window(play: &mut Play<'_>) -> Played {
    let mut peer = play.connect_as(Manners::Stingy)?;
    let id = peer.post("/unread");
    let payload = vec![b'x'; 16_000];
    for _ in 0..2_000 {
        peer.wire.data(id, &payload, Fin::More);
        if !peer.flush_within(Duration::from_millis(500)) || peer.seen().first_reaction.is_some() {
            break;
        }
    }
    Ok(vec![peer])
}

/// More, and less, than the content-length says.
fn content_length(play: &mut Play<'_>) -> Played {
    let mut peers = Vec::new();
    for (claimed, body) in [("1", "abc"), ("5", "abc")] {
        let mut peer = play.connect()?;
        let length = field("content-length", claimed);
        let id = peer.request("POST", "/upload", Fin::More, &[length]);
        peer.wire.data(id, body.as_bytes(), Fin::End);
        peer.flush();
        peers.push(peer);
    }
    Ok(peers)
}
