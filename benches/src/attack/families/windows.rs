//! Windows of the attacker: dripped, overflowed, negative, changed for ever; and
//! responses that wait for them.

use std::time::{Duration, Instant};

use crate::attack::case::Case;
use crate::attack::dialect::{Dialect, H2, MULTIPLEXED, WINDOWS};
use crate::attack::peer::{Pace, Peer};
use crate::attack::play::{Play, flood};
use crate::attack::seen::Manners;
use crate::attack::wire::Wire;

type Played = Result<Vec<Peer>, String>;

/// Larger than all windows and socket buffers.
const LARGE: &str = "/bytes/10000000";

pub(super) const CASES: &[Case] = &[
    Case::bounded(
        "windows/responses-held",
        "8 18",
        MULTIPLEXED,
        responses_held,
    )
    .beside("honest/paused-player"),
    Case::bounded("windows/tcp-unread", "8", MULTIPLEXED, tcp_unread)
        .beside("honest/paused-player"),
    Case::bounded("windows/drip", "7 dribble", WINDOWS, drip)
        .beside("honest/paused-player")
        .busy(),
    Case::closed("windows/overflow-connection", "23", H2, |play| {
        let mut peer = play.connect()?;
        peer.wire.window_update(0, 0x7fff_ffff);
        peer.flush();
        Ok(vec![peer])
    })
    .code("FLOW_CONTROL_ERROR")
    .beside("honest/download"),
    Case::refused("windows/overflow-stream", "23", WINDOWS, |play| {
        let mut peer = play.connect_as(Manners::Stingy)?;
        peer.read_at(Pace::Full);
        let id = peer.get(LARGE);
        peer.wire.window_update(id, 0x7fff_ffff);
        peer.flush();
        Ok(vec![peer])
    })
    .beside("honest/download"),
    Case::closed("windows/overflow-by-settings", "23", H2, |play| {
        let mut peer = play.connect_as(Manners::Stingy)?;
        let id = peer.get(LARGE);
        peer.wire.window_update(id, 0x7000_0000);
        peer.wire.initial_window(0x7fff_ffff);
        peer.flush();
        Ok(vec![peer])
    })
    .code("FLOW_CONTROL_ERROR")
    .beside("honest/download"),
    Case::refused(
        "windows/overflow-by-toggling",
        "23 toggle",
        WINDOWS,
        |play| {
            let mut peer = play.connect_as(Manners::Stingy)?;
            peer.read_at(Pace::Full);
            peer.wire.initial_window(0);
            for _ in 0..99 {
                let id = peer.get(LARGE);
                peer.wire.window_update(id, 0x7000_0000);
            }
            peer.flush();
            for size in [0x0fff_ffff, 0, 0x0fff_ffff, 0, 0x1fff_ffff] {
                peer.wire.initial_window(size);
            }
            peer.flush();
            Ok(vec![peer])
        },
    )
    .beside("honest/download"),
    Case::bounded("windows/settings-toggle", "24 toggle", WINDOWS, |play| {
        // From negative windows to the largest ones: responses start and stop.
        toggle(play, 0x7fff_0000)
    })
    .beside("honest/download")
    .busy(),
    Case::bounded("windows/negative", "24", WINDOWS, negative).beside("honest/download"),
    Case::bounded(
        "windows/settings-churn",
        "24 churn",
        WINDOWS,
        settings_churn,
    )
    .beside("honest/download")
    .busy(),
];

/// A hundred responses of 10 MB on a window of nothing.
fn responses_held(play: &mut Play<'_>) -> Played {
    let mut peer = play.connect_as(Manners::Stingy)?;
    peer.wire.initial_window(0);
    if play.dialect == Dialect::Spdy2 {
        peer.read_at(Pace::Stopped);
    }
    for _ in 0..100 {
        peer.get(LARGE);
    }
    peer.flush();
    peer.wait(Duration::from_secs(1), |_| false);
    Ok(vec![peer])
}

/// The same on windows of 2 GiB, and nothing is read from TCP.
fn tcp_unread(play: &mut Play<'_>) -> Played {
    let mut peer = play.connect_as(Manners::Stingy)?;
    peer.read_at(Pace::Stopped);
    peer.wire.initial_window(0x7fff_ffff);
    if matches!(play.dialect, Dialect::Http2 | Dialect::Spdy31) {
        peer.wire.window_update(0, 0x7fff_0000 - 70_000);
    }
    for _ in 0..100 {
        peer.get(LARGE);
    }
    peer.flush();
    peer.wait(Duration::from_secs(1), |_| false);
    Ok(vec![peer])
}

/// A window of one byte at a time, on many streams.
fn drip(play: &mut Play<'_>) -> Played {
    let mut peer = play.connect_as(Manners::Stingy)?;
    peer.wire.initial_window(0);
    let ids: Vec<u32> = (0..90).map(|_| peer.get(LARGE)).collect();
    peer.flush();
    let end = Instant::now() + play.flood_time();
    while Instant::now() < end && peer.seen().closed.is_none() {
        for id in &ids {
            peer.wire.window_update(*id, 1);
        }
        if !peer.flush_within(Duration::from_millis(200)) {
            break;
        }
    }
    let (data, frames) = {
        let seen = peer.seen();
        (seen.data, seen.frames)
    };
    play.note(format!("{data} bytes in {frames} frames"));
    Ok(vec![peer])
}

/// 65,535 bytes are taken, then the window shrinks to less than nothing: no more
/// until it is positive.
fn negative(play: &mut Play<'_>) -> Played {
    let mut peer = play.connect_as(Manners::Stingy)?;
    let id = peer.get(LARGE);
    peer.flush();
    peer.wait(Duration::from_millis(500), |seen| seen.data >= 65_535);
    let before = peer.seen().data;
    peer.wire.initial_window(0);
    if matches!(play.dialect, Dialect::Http2 | Dialect::Spdy31) {
        peer.wire.window_update(0, 1 << 20);
    }
    // Brings a window of -65,535 to -535: still nothing may be sent.
    peer.wire.window_update(id, 65_000);
    peer.flush();
    peer.wait(Duration::from_millis(400), |_| false);
    let after = peer.seen().data;
    if after != before {
        play.fail(format!("{} bytes on a negative window", after - before));
    }
    peer.wire.window_update(id, 2_536);
    peer.flush();
    let wanted = after + 1_000;
    if !peer.wait(Duration::from_secs(2), |seen| seen.data >= wanted) {
        play.fail("the stream does not go on");
    }
    Ok(vec![peer])
}

/// INITIAL_WINDOW_SIZE up and down, with a hundred streams to change.
fn settings_churn(play: &mut Play<'_>) -> Played {
    toggle(play, 1)
}

/// INITIAL_WINDOW_SIZE between nothing and `size`, beside a hundred responses.
fn toggle(play: &mut Play<'_>, size: u32) -> Played {
    let mut peer = play.connect_as(Manners::Stingy)?;
    peer.wire.initial_window(0);
    for _ in 0..99 {
        peer.get(LARGE);
    }
    peer.flush();
    let mut wire = Wire::new(play.dialect);
    wire.initial_window(size);
    wire.initial_window(0);
    let mut peers = vec![peer];
    flood(&mut peers, &wire.take(), play.flood_time());
    Ok(peers)
}
