//! Many connections against the memory of the process: each stays within its own
//! limits, and together they would hold many times the budget.

use std::time::{Duration, Instant};

use crate::attack::case::Case;
use crate::attack::dialect::{Dialect, H1, H2, MULTIPLEXED};
use crate::attack::peer::{Pace, Peer};
use crate::attack::play::Play;
use crate::attack::seen::Manners;
use crate::attack::wire::{Fin, Start, field};

type Played = Result<Vec<Peer>, String>;

/// MiB that the connections of the victim may hold together.
const BUDGET: u64 = 64;
/// For attackers that hold all kinds of memory over all protocols. A thousand of them
/// would hold 8 GiB.
const MIXED_BUDGET: u64 = 256;
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
    Case::bounded("process/mixed", "8 14 18 process", H2, mixed)
        .memory(MIXED_BUDGET)
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
            // A server that has answered may grant no more.
            if !peer.wait(Duration::from_secs(5), |seen| seen.credit(id) >= enough) {
                break;
            }
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

/// The costliest kinds of attack, in turn over all protocols that the port detects.
#[derive(Clone, Copy)]
enum Kind {
    /// Lists, responses and content at once, which no handler reads.
    AllParts,
    /// Uploads that no handler reads.
    Uploads,
    /// Content that comes back, and is not taken.
    Echo,
    /// Responses that the attacker does not read from TCP.
    Unread,
    /// Lists near the limits, and trailers as long.
    Lists,
}

const KINDS: [Kind; 5] = [
    Kind::AllParts,
    Kind::Uploads,
    Kind::Echo,
    Kind::Unread,
    Kind::Lists,
];

/// A thousand attackers at once (in a small run, fifty) against one process.
fn mixed(play: &mut Play<'_>) -> Played {
    let dialects = [
        Dialect::Http2,
        Dialect::Spdy31,
        Dialect::Spdy2,
        Dialect::Http1,
    ];
    let mut peers = Vec::new();
    for number in 0..play.small_or(50, 1_000) {
        let dialect = dialects.get(number % dialects.len());
        let dialect = dialect.copied().unwrap_or(Dialect::Http2);
        let kind = KINDS.get(number / dialects.len() % KINDS.len());
        let kind = kind.copied().unwrap_or(Kind::AllParts);
        let mut peer = play.connect_by(dialect, Manners::Stingy)?;
        begin(&mut peer, kind);
        peer.flush_within(Duration::from_millis(20));
        peers.push((peer, kind));
    }
    let payload = vec![b'x'; 16_000];
    let end = Instant::now() + play.small_or(Duration::from_secs(5), Duration::from_secs(60));
    let mut open = peers.len();
    while Instant::now() < end && open > 0 {
        open = 0;
        for (peer, kind) in &mut peers {
            if peer.seen().closed.is_none() {
                open += 1;
                go_on(peer, *kind, &payload);
                peer.flush_within(Duration::from_millis(2));
            }
        }
    }
    play.note(format!("{open} of {} open at the end", peers.len()));
    Ok(peers.into_iter().map(|(peer, _)| peer).collect())
}

fn begin(peer: &mut Peer, kind: Kind) {
    let is_http1 = peer.wire.dialect == Dialect::Http1;
    let streams = if is_http1 { 1 } else { 90 };
    match kind {
        Kind::AllParts if !is_http1 => super::capacity::begin(peer),
        Kind::AllParts | Kind::Uploads => {
            for _ in 0..streams {
                peer.post("/unread");
            }
        }
        Kind::Echo => {
            peer.read_at(Pace::Stopped);
            peer.wire.initial_window(1);
            for _ in 0..streams {
                peer.post("/echo");
            }
        }
        Kind::Unread => {
            peer.read_at(Pace::Stopped);
            peer.wire.initial_window(0x7fff_ffff);
            for _ in 0..streams {
                peer.get("/bytes/100000000");
            }
        }
        Kind::Lists => {
            let list = super::capacity::list();
            for _ in 0..streams {
                let id = peer.request("POST", "/unread", Fin::More, &list);
                if !is_http1 {
                    peer.wire.head(id, Start::Trailers, Fin::End, &list);
                }
            }
        }
    }
}

fn go_on(peer: &mut Peer, kind: Kind, payload: &[u8]) {
    match (peer.wire.dialect, kind) {
        (_, Kind::Unread | Kind::Lists) => {}
        (Dialect::Http1, _) if peer.wire.out.is_empty() => {
            peer.wire.data(1, payload, Fin::More);
        }
        (Dialect::Http1, _) => {}
        _ => {
            super::capacity::fill(peer, payload);
        }
    }
}
