//! The cap of one connection: every part stays below its own limit, and their sum does not.

use std::time::{Duration, Instant};

use crate::attack::case::Case;
use crate::attack::dialect::{Dialect, MULTIPLEXED};
use crate::attack::peer::Peer;
use crate::attack::play::{Play, answered};
use crate::attack::seen::Manners;
use crate::attack::wire::{Field, Fin, Start, field};

type Played = Result<Vec<Peer>, String>;

const LIMIT: &str = "max_connection_bytes";
const HONEST: &str = "capacity/honest";
/// MiB that the connection of a client may hold: `max_connection_bytes`, and a part of the buffers
/// that its thread keeps (1.5 MiB), which are measured with it. In one run of ten, more than 12.
const CLIENT: u64 = 13;
/// Responses whose next piece waits for a window: 512 KiB in all.
const RESPONSES: usize = 8;

pub(super) const CASES: &[Case] = &[
    Case::refused("capacity/all-parts", "14 capacity", MULTIPLEXED, all_parts)
        .names(|_| LIMIT)
        .beside(HONEST)
        .busy(),
    Case::refused("client/all-parts", "14 capacity", MULTIPLEXED, of_a_client)
        .client(&["--requests", "100", "--bodies", "late"])
        .names(|_| LIMIT)
        .peak(CLIENT)
        .beside("honest/client")
        .busy(),
    Case::honest(HONEST, "14 capacity", MULTIPLEXED, honest),
];

/// A header list of 20 KiB, as it is built, and of little on the wire.
pub(super) fn list() -> Vec<Field> {
    (0..150).map(|n| field(format!("x-{n:03}"), "v")).collect()
}

/// Opens responses that wait for a window, and uploads with long lists that no handler reads.
pub(super) fn begin(peer: &mut Peer) {
    // Without windows, a response that is not read would end the reading of requests.
    if peer.wire.dialect != Dialect::Spdy2 {
        peer.wire.initial_window(1);
        for _ in 0..RESPONSES {
            peer.get("/bytes/10000000");
        }
    }
    let list = list();
    for _ in 0..90 {
        peer.request("POST", "/unread", Fin::More, &list);
    }
}

/// Sends content on all streams, as far as their windows permit. Returns the bytes.
pub(super) fn fill(peer: &mut Peer, payload: &[u8]) -> usize {
    let ids = peer.opened.clone();
    let uploads = ids.iter().rev().take(90);
    uploads
        .map(|id| peer.data_in_credit(*id, payload, Fin::More))
        .sum()
}

fn all_parts(play: &mut Play<'_>) -> Played {
    let mut peer = play.connect_as(Manners::Stingy)?;
    begin(&mut peer);
    peer.flush();
    let payload = vec![b'x'; 16_000];
    let end = Instant::now() + Duration::from_secs(20);
    while Instant::now() < end && peer.seen().first_reaction.is_none() {
        fill(&mut peer, &payload);
        if !peer.flush_within(Duration::from_millis(500)) && peer.is_closed() {
            break;
        }
        peer.wait(Duration::from_millis(20), |seen| {
            seen.first_reaction.is_some()
        });
    }
    Ok(vec![peer])
}

/// Responses with lists and content, which the client does not read.
fn of_a_client(play: &mut Play<'_>) -> Played {
    let mut peer = play.accept(Manners::Stingy, 100)?;
    let ids = peer.seen().requests.clone();
    let list: Vec<_> = (0..290).map(|n| field(format!("x-{n:03}"), "v")).collect();
    let ok = Start::Response { status: "200" };
    for id in &ids {
        peer.wire.head(*id, ok, Fin::More, &list);
        peer.flush_batch();
    }
    let payload = vec![b'x'; 16_000];
    let end = Instant::now() + Duration::from_secs(10);
    while Instant::now() < end && peer.seen().first_reaction.is_none() {
        for id in &ids {
            peer.data_in_credit(*id, &payload, Fin::More);
        }
        if !peer.flush_within(Duration::from_millis(500)) && peer.is_closed() {
            break;
        }
        peer.wait(Duration::from_millis(20), |seen| {
            seen.first_reaction.is_some()
        });
    }
    Ok(vec![peer])
}

/// As many streams with lists as long, whose content is read, and downloads beside them.
fn honest(play: &mut Play<'_>) -> Played {
    let mut peer = play.connect()?;
    for _ in 0..RESPONSES {
        peer.get("/bytes/1000000");
    }
    let list = list();
    let ids: Vec<u32> = (0..90)
        .map(|_| peer.request("POST", "/upload", Fin::More, &list))
        .collect();
    peer.flush();
    let payload = vec![b'x'; 16_000];
    'turns: for turn in 0..8 {
        let fin = if turn == 7 { Fin::End } else { Fin::More };
        for id in &ids {
            let enough = i64::try_from(payload.len()).unwrap_or(0);
            if !peer.wait(Duration::from_secs(5), |seen| seen.credit(*id) >= enough) {
                // A server that has answered may grant no more.
                break 'turns;
            }
            if peer.data_in_credit(*id, &payload, fin) == 0 && peer.flush() {
                peer.data_in_credit(*id, &payload, fin);
            }
        }
    }
    peer.flush();
    answered(play, &mut peer, Duration::from_secs(20));
    Ok(vec![peer])
}
