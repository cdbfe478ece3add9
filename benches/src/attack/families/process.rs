//! Many connections against the memory of the process: each stays within its own
//! limits, and together they would hold many times the budget.

use std::time::{Duration, Instant};

use crate::attack::case::Case;
use crate::attack::dialect::{Dialect, H1, MULTIPLEXED};
use crate::attack::peer::{Pace, Peer};
use crate::attack::play::Play;
use crate::attack::seen::Manners;
use crate::attack::wire::{Fin, field};

type Played = Result<Vec<Peer>, String>;

/// MiB that the connections of the victim may hold together.
const BUDGET: u64 = 64;
const HONEST: &str = "process/honest";

pub(super) const CASES: &[Case] = &[
    Case::bounded("process/uploads-unread", "14 process", MULTIPLEXED, uploads)
        .memory(BUDGET)
        .beside(HONEST)
        .busy(),
    Case::bounded(
        "process/responses-held",
        "8 18 process",
        MULTIPLEXED,
        responses,
    )
    .memory(BUDGET)
    .beside(HONEST)
    .busy(),
    Case::bounded("process/lists-held", "14 process", MULTIPLEXED, lists)
        .memory(BUDGET)
        .beside(HONEST)
        .busy(),
    Case::bounded("process/http1-held", "8 process", H1, http1)
        .memory(BUDGET)
        .beside(HONEST)
        .busy(),
    Case::honest(HONEST, "14 process", MULTIPLEXED, honest)
        .memory(BUDGET)
        .busy(),
];

fn attackers(play: &Play<'_>) -> usize {
    play.small_or(60, 1_000)
}

/// Uploads that no handler reads, as large as the windows allow.
fn uploads(play: &mut Play<'_>) -> Played {
    let mut peers = Vec::new();
    let payload = vec![b'x'; 16_000];
    for _ in 0..attackers(play) {
        let mut peer = play.connect_as(Manners::Stingy)?;
        for _ in 0..100 {
            peer.post("/unread");
        }
        peer.flush_within(Duration::from_millis(300));
        peers.push(peer);
    }
    // In turns, so that no connection is the first to hold all that it may.
    for _ in 0..play.small_or(8, 40) {
        for peer in &mut peers {
            let ids = peer.opened.clone();
            for id in ids {
                peer.data_in_credit(id, &payload, Fin::More);
            }
            peer.flush_within(Duration::from_millis(5));
        }
    }
    Ok(peers)
}

/// Responses without a window, or without a reader.
fn responses(play: &mut Play<'_>) -> Played {
    let mut peers = Vec::new();
    for number in 0..attackers(play) {
        let mut peer = play.connect_as(Manners::Stingy)?;
        if number % 2 == 0 || play.dialect == Dialect::Spdy2 {
            peer.read_at(Pace::Stopped);
            peer.wire.initial_window(0x7fff_ffff);
        } else {
            peer.wire.initial_window(1);
        }
        for _ in 0..100 {
            peer.get("/echo-of-nothing");
            peer.get("/bytes/10000000");
        }
        peer.flush_within(Duration::from_millis(300));
        peers.push(peer);
    }
    std::thread::sleep(Duration::from_millis(500));
    Ok(peers)
}

/// Requests with header lists near the limit, which are held.
fn lists(play: &mut Play<'_>) -> Played {
    let list: Vec<_> = (0..90)
        .map(|number| field(format!("x-{number}"), vec![b'a' + number % 26; 150]))
        .collect();
    let mut peers = Vec::new();
    for _ in 0..attackers(play) {
        let mut peer = play.connect_as(Manners::Stingy)?;
        for _ in 0..90 {
            peer.request("POST", "/unread", Fin::More, &list);
        }
        peer.flush_within(Duration::from_millis(300));
        peers.push(peer);
    }
    std::thread::sleep(Duration::from_millis(300));
    Ok(peers)
}

/// Responses of HTTP/1.1 that are not read, and requests behind them.
fn http1(play: &mut Play<'_>) -> Played {
    let mut peers = Vec::new();
    for _ in 0..attackers(play) * 4 {
        let mut peer = play.socket(Manners::Mute)?;
        peer.read_at(Pace::Stopped);
        for _ in 0..20 {
            let long = field("x-long", vec![b'x'; 3_000]);
            peer.request("GET", "/bytes/100000000", Fin::End, &[long]);
        }
        peer.flush_within(Duration::from_millis(20));
        peers.push(peer);
    }
    std::thread::sleep(Duration::from_millis(300));
    Ok(peers)
}

/// As many honest connections: uploads that are read, and small requests.
fn honest(play: &mut Play<'_>) -> Played {
    let payload = vec![b'x'; 16_000];
    let mut peers = Vec::new();
    for _ in 0..attackers(play) {
        let mut peer = play.connect()?;
        for _ in 0..4 {
            peer.get("/");
        }
        let id = peer.post("/upload");
        peer.flush();
        for turn in 0..10 {
            let fin = if turn == 9 { Fin::End } else { Fin::More };
            let enough = i64::try_from(payload.len()).unwrap_or(0);
            peer.wait(Duration::from_secs(5), |seen| seen.credit(id) >= enough);
            peer.data_in_credit(id, &payload, fin);
        }
        peer.flush();
        peers.push(peer);
    }
    let end = Instant::now() + Duration::from_secs(20);
    for peer in &mut peers {
        let ids = peer.opened.clone();
        let left = end.saturating_duration_since(Instant::now());
        if !peer.wait(left, |seen| ids.iter().all(|id| seen.is_over(*id))) {
            play.fail("an honest request was not answered");
            break;
        }
    }
    Ok(peers)
}
