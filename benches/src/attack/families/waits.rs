//! Peers that stop in the middle, or go on too slowly. Every wait must end.

use std::time::{Duration, Instant};

use bytes::Bytes;
use lacewing_frames::http2::{self, Kind};

use crate::attack::case::{Case, LOWERED};
use crate::attack::dialect::{CONNECTION_WINDOWS, Dialect, H2, MULTIPLEXED, SPDY, WINDOWS};
use crate::attack::peer::{Pace, Peer};
use crate::attack::play::Play;
use crate::attack::seen::Manners;
use crate::attack::wire::{Fin, Start, field};

type Played = Result<Vec<Peer>, String>;

const LARGE: &str = "/bytes/10000000";

pub(super) const CASES: &[Case] = &[
    closed("waits/nothing", "19 preface", MULTIPLEXED, |play| {
        Ok(vec![play.socket(Manners::Mute)?])
    }),
    closed("waits/preface-drips", "19 preface", H2, |play| {
        let mut peer = play.socket(Manners::Mute)?;
        drip(play, &mut peer, http2::PREFACE);
        Ok(vec![peer])
    }),
    closed("waits/preface-alone", "19 SETTINGS", H2, |play| {
        let mut peer = play.socket(Manners::Mute)?;
        peer.wire.raw(http2::PREFACE);
        peer.flush();
        Ok(vec![peer])
    }),
    closed("waits/settings-unacknowledged", "19 SETTINGS", H2, |play| {
        let mut peer = play.socket(Manners::Mute)?;
        peer.greet();
        Ok(vec![peer])
    }),
    closed(
        "waits/headers-drip",
        "19 HEADERS",
        MULTIPLEXED,
        headers_drip,
    ),
    closed("waits/continuations-drip", "12 19", H2, continuations_drip),
    closed(
        "waits/half-a-frame-head",
        "19 HEADERS",
        MULTIPLEXED,
        |play| {
            let mut peer = play.connect()?;
            peer.wire.ping(1);
            let frame = peer.wire.take();
            peer.wire.raw(frame.slice(..5));
            peer.flush();
            peer.mid_frame = true;
            Ok(vec![peer])
        },
    ),
    Case::wait("waits/body-stops", "18 body", MULTIPLEXED, |play| {
        let mut peer = play.connect()?;
        let id = peer.post("/upload");
        peer.wire.data(id, b"some", Fin::More);
        peer.flush();
        Ok(vec![peer])
    })
    .beside("honest/slow-upload"),
    Case::wait("waits/body-drips", "18 body", MULTIPLEXED, |play| {
        let mut peer = play.connect()?;
        let id = peer.post("/upload");
        slowly(play, &mut peer, |peer| peer.wire.data(id, b"x", Fin::More));
        Ok(vec![peer])
    })
    .beside("honest/slow-upload"),
    Case::wait("waits/half-a-data-frame", "18 DATA", MULTIPLEXED, |play| {
        let mut peer = play.connect()?;
        let id = peer.post("/upload");
        peer.wire.data_head(id, 1_000, Fin::End);
        peer.wire.raw("half");
        peer.flush();
        peer.mid_frame = true;
        Ok(vec![peer])
    })
    .beside("honest/slow-upload"),
    Case::wait("waits/response-window-0", "18 window", WINDOWS, |play| {
        let mut peer = play.connect_as(Manners::Stingy)?;
        peer.wire.initial_window(0);
        for _ in 0..10 {
            peer.get(LARGE);
        }
        peer.flush();
        Ok(vec![peer])
    })
    // A few streams that wait have `stall_timeout`, as a paused player needs it.
    .within(4, 700)
    .beside("honest/paused-player"),
    Case::wait(
        "waits/connection-window",
        "18 window",
        CONNECTION_WINDOWS,
        |play| {
            let mut peer = play.connect_as(Manners::Stingy)?;
            peer.wire.initial_window(1 << 20);
            for _ in 0..10 {
                peer.get(LARGE);
            }
            peer.flush();
            Ok(vec![peer])
        },
    )
    // A few streams that wait have `stall_timeout`, as a paused player needs it.
    .within(4, 700)
    .beside("honest/paused-player"),
    Case::wait("waits/many-windows-0", "18 window", WINDOWS, |play| {
        let mut peer = play.connect_as(Manners::Stingy)?;
        peer.wire.initial_window(0);
        // More than `max_stalled_streams`.
        for _ in 0..30 {
            peer.get(LARGE);
        }
        peer.flush();
        Ok(vec![peer])
    })
    .beside("honest/paused-player"),
    Case::wait("waits/window-drips", "7 18", WINDOWS, |play| {
        let mut peer = play.connect_as(Manners::Stingy)?;
        peer.wire.initial_window(0);
        let id = peer.get(LARGE);
        peer.flush();
        slowly(play, &mut peer, |peer| peer.wire.window_update(id, 1));
        Ok(vec![peer])
    })
    .beside("honest/paused-player"),
    Case::wait("waits/tcp-unread", "8 18", MULTIPLEXED, |play| {
        tcp(play, Pace::Stopped)
    })
    .beside("honest/paused-player"),
    Case::wait("waits/tcp-slow-read", "18 slow", MULTIPLEXED, |play| {
        tcp(play, Pace::Slow(play.small_or(100, 10)))
    })
    .within(6, 150)
    .beside("honest/paused-player"),
    closed("waits/half-closed", "27 half", MULTIPLEXED, |play| {
        let mut peer = play.connect()?;
        peer.get("/sleep/3600000");
        peer.flush();
        peer.end_writing();
        Ok(vec![peer])
    }),
    closed("waits/syn-stream-head", "19 SYN_STREAM", SPDY, |play| {
        let mut peer = play.connect()?;
        peer.wire.spdy(1, 1, 200);
        peer.wire.raw([0; 20]);
        peer.flush();
        peer.mid_frame = true;
        Ok(vec![peer])
    }),
];

/// A wait that must end in a close.
const fn closed(
    name: &'static str,
    answers: &'static str,
    dialects: &'static [Dialect],
    script: crate::attack::case::Script,
) -> Case {
    Case::closed(name, answers, dialects, script)
        .within(4, 100)
        .limits(LOWERED)
        .beside("honest/slow-requests")
}

/// Sends byte by byte, for longer than any limit on a wait.
fn drip(play: &Play<'_>, peer: &mut Peer, bytes: &[u8]) {
    let end = Instant::now() + patience(play);
    peer.mid_frame = true;
    for byte in bytes {
        if Instant::now() >= end || peer.is_closed() {
            return;
        }
        peer.wire.raw([*byte]);
        peer.flush();
        peer.wait(Duration::from_millis(play.small_or(200, 1_000)), |_| false);
    }
}

/// Repeats a small step, for longer than any limit on a wait.
fn slowly(play: &Play<'_>, peer: &mut Peer, step: impl Fn(&mut Peer)) {
    let end = Instant::now() + patience(play);
    let ids = peer.opened.clone();
    while Instant::now() < end && !peer.is_closed() {
        step(peer);
        peer.flush();
        let time = Duration::from_millis(play.small_or(300, 5_000));
        peer.wait(time, |seen| ids.iter().all(|id| seen.is_over(*id)));
        if ids.iter().all(|id| peer.seen().is_over(*id)) {
            return;
        }
    }
}

fn patience(play: &Play<'_>) -> Duration {
    Duration::from_secs(play.small_or(4, 100))
}

/// A HEADERS or SYN_STREAM frame that arrives byte by byte.
fn headers_drip(play: &mut Play<'_>) -> Played {
    let mut peer = play.connect()?;
    let start = Start::Request {
        method: "GET",
        path: "/",
    };
    let id = peer.next_id();
    let list: Vec<_> = (0..20).map(|n| field(format!("x-{n}"), "value")).collect();
    peer.wire.head(id, start, Fin::End, &list);
    let frame: Bytes = peer.wire.take();
    let most = frame.len().saturating_sub(1);
    drip(play, &mut peer, frame.get(..most).unwrap_or_default());
    Ok(vec![peer])
}

fn continuations_drip(play: &mut Play<'_>) -> Played {
    let mut peer = play.connect()?;
    peer.wire.http2_frame(Kind::HEADERS, 0x1, 1, b"\x82");
    for _ in 0..6 {
        peer.wire.http2_frame(Kind::CONTINUATION, 0, 1, b"\x84");
    }
    let bytes = peer.wire.take();
    drip(play, &mut peer, &bytes);
    Ok(vec![peer])
}

/// Large responses on large windows, and a socket that is read at `pace`.
fn tcp(play: &Play<'_>, pace: Pace) -> Played {
    let mut peer = play.connect_narrow(Manners::Stingy)?;
    peer.read_at(pace);
    peer.wire.initial_window(0x7fff_ffff);
    if matches!(play.dialect, Dialect::Http2 | Dialect::Spdy31) {
        peer.wire.window_update(0, 0x7fff_0000 - 70_000);
    }
    for _ in 0..10 {
        peer.get(LARGE);
    }
    peer.flush();
    Ok(vec![peer])
}
