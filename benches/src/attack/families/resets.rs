//! Streams that are opened to be reset, by either side.

use std::time::Duration;

use lacewing_frames::http2::Kind;

use crate::attack::case::Case;
use crate::attack::dialect::{Dialect, H2, MULTIPLEXED, WINDOWS};
use crate::attack::peer::Peer;
use crate::attack::play::Play;
use crate::attack::wire::{Fin, Start, field};

type Played = Result<Vec<Peer>, String>;

const EYC: &str = "ENHANCE_YOUR_CALM";
const HONEST: &str = "honest/cancels";

pub(super) const CASES: &[Case] = &[
    Case::closed("resets/rapid", "1 S8", MULTIPLEXED, |play| {
        rapid(play, "/sleep/60000")
    })
    .code(EYC)
    .beside(HONEST)
    .busy(),
    // A reset that crosses its response costs little: the bounds decide.
    Case::bounded("resets/rapid-small-replies", "1 2", MULTIPLEXED, |play| {
        rapid(play, "/")
    })
    .beside(HONEST)
    .busy(),
    Case::bounded(
        "resets/after-a-pause",
        "1 pause",
        MULTIPLEXED,
        after_a_pause,
    )
    .beside("honest/cancel-and-reopen"),
    made("resets/window-update-zero", "3", WINDOWS, |play| {
        again(play, |peer, id| {
            peer.wire.window_update(id, 0);
        })
    }),
    made("resets/window-overflow", "3 23", WINDOWS, |play| {
        again(play, |peer, id| {
            peer.wire.window_update(id, 0x7fff_ffff);
            peer.wire.window_update(id, 0x7fff_ffff);
        })
    }),
    made("resets/data-half-closed", "3", MULTIPLEXED, |play| {
        again(play, |peer, id| {
            peer.wire.data(id, b"", Fin::End);
            peer.wire.data(id, b"x", Fin::More);
        })
    }),
    made("resets/headers-half-closed", "3", MULTIPLEXED, |play| {
        again(play, |peer, id| {
            peer.wire.data(id, b"", Fin::End);
            peer.wire
                .head(id, Start::Trailers, Fin::End, &[field("a", "b")]);
        })
    }),
    made("resets/content-length", "3 28", MULTIPLEXED, |play| {
        again(play, |peer, _| {
            let length = [field("content-length", "1")];
            let id = peer.request("POST", "/unread", Fin::More, &length);
            peer.wire.data(id, b"xyz", Fin::End);
        })
    }),
    made("resets/self-dependency", "3 9", H2, |play| {
        again(play, |peer, id| {
            let mut payload = id.to_be_bytes().to_vec();
            payload.push(1);
            peer.wire.http2_frame(Kind::PRIORITY, 0, id, &payload);
        })
    }),
    made("resets/malformed-headers", "3 28", MULTIPLEXED, |play| {
        again(play, |peer, _| {
            peer.request("GET", "/", Fin::End, &[field("Upper", "1")]);
        })
    }),
    Case::closed("resets/made-after-go-away", "3 GOAWAY", WINDOWS, |play| {
        let mut peer = play.connect()?;
        peer.wire.go_away(0);
        make(play, &mut peer, |peer, id| peer.wire.window_update(id, 0));
        Ok(vec![peer])
    })
    .beside(HONEST),
    Case::bounded("resets/invalid-unread", "4 5", MULTIPLEXED, invalid_unread).beside(HONEST),
    Case::closed(
        "resets/refused-streams",
        "1 refused",
        MULTIPLEXED,
        refused_streams,
    )
    .beside("honest/many-before-settings")
    .busy(),
];

/// The victim resets its own streams, by a trigger of the attacker.
const fn made(
    name: &'static str,
    answers: &'static str,
    dialects: &'static [Dialect],
    script: crate::attack::case::Script,
) -> Case {
    Case::closed(name, answers, dialects, script).beside(HONEST)
}

fn again(play: &mut Play<'_>, trigger: fn(&mut Peer, u32)) -> Played {
    let mut peer = play.connect()?;
    make(play, &mut peer, trigger);
    Ok(vec![peer])
}

fn make(play: &Play<'_>, peer: &mut Peer, trigger: fn(&mut Peer, u32)) {
    for _ in 0..play.small_or(3_000, 20_000) {
        let id = peer.post("/unread");
        trigger(peer, id);
        peer.flush();
        if peer.seen().closed.is_some() {
            break;
        }
    }
}

/// HEADERS and RST_STREAM, as fast as they go.
fn rapid(play: &mut Play<'_>, path: &str) -> Played {
    let mut peer = play.connect()?;
    for _ in 0..play.small_or(20_000, 100_000) {
        let id = peer.get(path);
        peer.wire.reset(id);
        peer.opened.clear();
        if peer.seen().closed.is_some() {
            break;
        }
    }
    peer.flush();
    Ok(vec![peer])
}

/// Counts the resets that are accepted before the connection ends: at once, and after a
/// pause.
fn after_a_pause(play: &mut Play<'_>) -> Played {
    let mut peers = Vec::new();
    let mut counts = Vec::new();
    for pause in [0, play.small_or(2, 8)] {
        let mut peer = play.connect()?;
        peer.wait(Duration::from_secs(pause), |_| false);
        let mut count = 0_u64;
        while count < 2_000 {
            let id = peer.get("/sleep/60000");
            peer.wire.reset(id);
            peer.flush();
            if count.is_multiple_of(10) {
                peer.wait(Duration::from_millis(1), |_| false);
            }
            if !peer.seen().go_aways.is_empty() || peer.seen().closed.is_some() {
                break;
            }
            count += 1;
        }
        counts.push(count);
        peers.push(peer);
    }
    play.note(format!("resets taken: {counts:?} (at once, after a pause)"));
    if matches!(counts[..], [at_once, later] if later > at_once + at_once / 5) {
        play.fail("a pause lengthens the burst");
    }
    Ok(peers)
}

/// Invalid frames for many streams by a client that never reads.
fn invalid_unread(play: &mut Play<'_>) -> Played {
    let mut peer = play.connect()?;
    peer.read_at(crate::attack::peer::Pace::Stopped);
    for _ in 0..play.small_or(20_000, 500_000) {
        let id = peer.next_id();
        let start = Start::Request {
            method: "GET",
            path: "/",
        };
        peer.wire.head(id, start, Fin::End, &[field("Upper", "1")]);
        if peer.wire.out.len() >= 32 << 10 && !peer.flush_within(Duration::from_millis(500)) {
            break;
        }
    }
    peer.flush_within(Duration::from_millis(500));
    Ok(vec![peer])
}

/// More streams than there may be, for ever.
fn refused_streams(play: &mut Play<'_>) -> Played {
    let mut peer = play.connect()?;
    for _ in 0..100 {
        peer.get("/sleep/60000");
    }
    for _ in 0..play.small_or(20_000, 200_000) {
        peer.get("/");
        if peer.seen().closed.is_some() {
            break;
        }
    }
    peer.flush();
    Ok(vec![peer])
}
