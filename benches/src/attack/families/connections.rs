//! Many connections: idle, held, and for ever new.

use std::time::{Duration, Instant};

use crate::attack::case::Case;
use crate::attack::dialect::{ALL, Dialect, H1, H2, MULTIPLEXED};
use crate::attack::peer::{Pace, Peer};
use crate::attack::play::Play;
use crate::attack::seen::Manners;

type Played = Result<Vec<Peer>, String>;

pub(super) const CASES: &[Case] = &[
    Case::bounded(
        "connections/held-gets",
        "18 connections",
        MULTIPLEXED,
        held_gets,
    )
    .beside("honest/slow-requests"),
    Case::bounded(
        "connections/idle-at-descriptors",
        "19 descriptors",
        ALL,
        idle,
    )
    .descriptors(256)
    .beside("honest/keep-alive"),
    Case::closed(
        "connections/idle-for-ever",
        "19 idle",
        MULTIPLEXED,
        |play| {
            let mut peer = play.connect()?;
            let id = peer.get("/");
            peer.flush();
            peer.wait(Duration::from_secs(2), |seen| seen.is_over(id));
            Ok(vec![peer])
        },
    )
    .within(3, 200)
    .limits(&[("idle", 1)])
    .beside("honest/keep-alive"),
    Case::closed("connections/idle-for-ever-http1", "19 idle", H1, |play| {
        let mut peer = play.socket(Manners::Polite)?;
        peer.get("/");
        peer.flush();
        peer.wait(Duration::from_secs(2), |seen| !seen.statuses.is_empty());
        Ok(vec![peer])
    })
    .within(3, 200)
    .limits(&[("idle", 1)])
    .beside("honest/keep-alive"),
    Case::bounded("connections/churn", "19 churn", ALL, churn)
        .beside("honest/small-requests")
        .busy(),
    Case::bounded("connections/full-budgets", "14 process", H2, full_budgets)
        .beside("honest/upload"),
];

/// Eleven connections of a hundred GETs that are never answered.
fn held_gets(play: &mut Play<'_>) -> Played {
    let mut peers = Vec::new();
    for _ in 0..11 {
        let mut peer = play.connect_as(Manners::Stingy)?;
        peer.wire.initial_window(0);
        if play.dialect == Dialect::Spdy2 {
            peer.read_at(Pace::Stopped);
        }
        for _ in 0..100 {
            peer.get("/bytes/10000000");
        }
        peer.flush();
        peers.push(peer);
    }
    std::thread::sleep(Duration::from_millis(300));
    Ok(peers)
}

/// More idle connections than the victim has descriptors.
fn idle(play: &mut Play<'_>) -> Played {
    let mut peers = Vec::new();
    for _ in 0..300 {
        let Ok(mut peer) = play.socket(Manners::Polite) else {
            break;
        };
        peer.greet();
        if play.dialect == Dialect::Http1 {
            peer.get("/");
        } else if play.dialect != Dialect::Http2 {
            peer.wire.ping(1);
        }
        peer.flush();
        peers.push(peer);
    }
    std::thread::sleep(Duration::from_millis(500));
    Ok(peers)
}

/// Connections that ask once and go.
fn churn(play: &mut Play<'_>) -> Played {
    let end = Instant::now() + play.flood_time();
    let mut count = 0_u32;
    while Instant::now() < end {
        let mut peer = play.socket(Manners::Mute)?;
        peer.greet();
        peer.get("/sleep/60000");
        peer.flush();
        play.leave(peer);
        count += 1;
    }
    play.note(format!("{count} connections"));
    let mut peer = play.connect()?;
    peer.flush();
    Ok(vec![peer])
}

/// Many connections, each of them with as much unread data as it may bring.
fn full_budgets(play: &mut Play<'_>) -> Played {
    let mut peers = Vec::new();
    let payload = vec![b'x'; 16_000];
    for _ in 0..play.small_or(8, 100) {
        let mut peer = play.connect_as(Manners::Stingy)?;
        let ids: Vec<u32> = (0..100).map(|_| peer.post("/unread")).collect();
        peer.flush();
        for _ in 0..100 {
            let mut sent = 0;
            for id in &ids {
                sent += peer.data_in_credit(*id, &payload, crate::attack::wire::Fin::More);
            }
            if sent == 0 || !peer.flush_within(Duration::from_millis(300)) {
                break;
            }
        }
        peers.push(peer);
    }
    Ok(peers)
}
