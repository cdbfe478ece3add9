//! lacewingd, exposed to strangers.

use std::time::Duration;

use crate::attack::case::Case;
use crate::attack::dialect::{ALL, Dialect, MULTIPLEXED};
use crate::attack::peer::{Pace, Peer};
use crate::attack::play::{Play, answered};
use crate::attack::program::LARGE;
use crate::attack::seen::Manners;

type Played = Result<Vec<Peer>, String>;

const HONEST: &str = "lacewingd/honest";

pub(super) const CASES: &[Case] = &[
    Case::bounded("lacewingd/pages", "lacewingd pages", MULTIPLEXED, pages)
        .program()
        .beside(HONEST)
        .busy(),
    Case::bounded("lacewingd/held", "lacewingd handles", MULTIPLEXED, held)
        .program()
        .descriptors(256)
        .beside(HONEST),
    Case::bounded("lacewingd/idle", "lacewingd 19", ALL, idle)
        .program()
        .descriptors(256)
        .beside(HONEST),
    Case::refused("lacewingd/fifo", "lacewingd fifo", ALL, |play| {
        refused(play, "/fifo", 50)
    })
    .program()
    .beside(HONEST),
    Case::refused("lacewingd/link", "lacewingd links", ALL, |play| {
        refused(play, "/out", 1)
    })
    .program()
    .beside(HONEST),
    Case::refused("lacewingd/dotfile", "lacewingd dotfiles", ALL, |play| {
        refused(play, "/.secret", 1)
    })
    .program()
    .beside(HONEST),
    Case::refused("lacewingd/long-name", "lacewingd names", ALL, |play| {
        refused(play, &format!("/{}", "x".repeat(300)), 1)
    })
    .program()
    .beside(HONEST),
    Case::honest(HONEST, "lacewingd", ALL, honest).program(),
];

/// A hundred pages of a directory with 10,000 entries at once, which are not read.
fn pages(play: &mut Play<'_>) -> Played {
    let mut peers = Vec::new();
    for _ in 0..2 {
        let mut peer = play.connect_as(Manners::Stingy)?;
        peer.wire.initial_window(0);
        if play.dialect == Dialect::Spdy2 {
            peer.read_at(Pace::Stopped);
        }
        for _ in 0..100 {
            peer.get("/many/");
        }
        peer.flush();
        peers.push(peer);
    }
    std::thread::sleep(Duration::from_millis(play.small_or(500, 5_000)));
    Ok(peers)
}

/// Eleven connections of a hundred held files.
fn held(play: &mut Play<'_>) -> Played {
    let mut peers = Vec::new();
    for number in 0..11 {
        let mut peer = play.connect_as(Manners::Stingy)?;
        peer.wire.initial_window(number % 2);
        if play.dialect == Dialect::Spdy2 {
            peer.read_at(Pace::Stopped);
        }
        for number in 0..LARGE {
            peer.get(&format!("/large-{number}"));
        }
        peer.flush();
        peers.push(peer);
    }
    std::thread::sleep(Duration::from_millis(play.small_or(500, 5_000)));
    Ok(peers)
}

/// More idle connections than descriptors.
fn idle(play: &mut Play<'_>) -> Played {
    let mut peers = Vec::new();
    for _ in 0..300 {
        let Ok(mut peer) = play.socket(Manners::Polite) else {
            break;
        };
        peer.greet();
        if play.dialect == Dialect::Http1 {
            peer.get("/hello.txt");
        }
        peer.flush();
        peers.push(peer);
    }
    std::thread::sleep(Duration::from_millis(500));
    Ok(peers)
}

/// Requests for what is not served: each is answered so, and at once.
fn refused(play: &mut Play<'_>, path: &str, count: usize) -> Played {
    let mut peer = play.connect()?;
    let ids: Vec<u32> = (0..count).map(|_| peer.get(path)).collect();
    peer.flush();
    let all = |seen: &crate::attack::seen::Seen| seen.statuses.len() >= ids.len();
    if !peer.wait(Duration::from_secs(5), all) {
        play.fail("not all requests were answered");
    }
    let served = peer
        .seen()
        .statuses
        .values()
        .any(|status| !status.starts_with('4'));
    if served {
        play.fail("a request was served, or failed by our fault");
    }
    Ok(vec![peer])
}

fn honest(play: &mut Play<'_>) -> Played {
    let mut peers = Vec::new();
    for path in ["/hello.txt", "/large-1", "/"] {
        let mut peer = play.connect()?;
        peer.get(path);
        peer.flush();
        answered(play, &mut peer, Duration::from_secs(20));
        peers.push(peer);
    }
    Ok(peers)
}
