//! Floods of frames that are of no use, from as many connections as the victim
//! has threads.

use std::time::Duration;

use lacewing_frames::http2::Kind;

use crate::attack::case::Case;
use crate::attack::dialect::{CONNECTION_WINDOWS, Dialect, H2, MULTIPLEXED, S2, S3, WINDOWS};
use crate::attack::peer::{Pace, Peer};
use crate::attack::play::{Play, flood};
use crate::attack::seen::Manners;
use crate::attack::wire::{Fin, Start, Wire, field};

type Played = Result<Vec<Peer>, String>;

const EYC: &str = "ENHANCE_YOUR_CALM";
/// As many as the victim has threads.
const CONNECTIONS: usize = 2;
const HONEST: &str = "honest/keep-alive";

pub(super) const CASES: &[Case] = &[
    flooded("control/ping", "6 PING S8", MULTIPLEXED, |play| {
        floods(play, |wire| wire.ping(1))
    }),
    flooded("control/pong", "6 PONG", MULTIPLEXED, |play| {
        floods(play, |wire| wire.pong(true))
    }),
    flooded("control/settings", "6 SETTINGS", MULTIPLEXED, |play| {
        floods(play, Wire::settings)
    }),
    Case::closed("control/settings-ack", "6 SETTINGS", H2, |play| {
        floods(play, Wire::settings_ack)
    })
    .beside(HONEST)
    .busy(),
    flooded("control/go-away", "27 GOAWAY", MULTIPLEXED, |play| {
        floods(play, |wire| wire.go_away(0))
    }),
    flooded(
        "control/window-update",
        "7 WINDOW_UPDATE",
        CONNECTION_WINDOWS,
        |play| {
            // Small enough for the window never to overflow.
            floods(play, |wire| wire.window_update(0, 1))
        },
    ),
    flooded(
        "control/window-update-late",
        "7 WINDOW_UPDATE",
        WINDOWS,
        late_window_update,
    ),
    flooded("control/priority", "9", H2, |play| {
        floods(play, |wire| {
            wire.http2_frame(Kind::PRIORITY, 0, 3, b"\0\0\0\x01\x10")
        })
    }),
    flooded("control/priority-update", "9 RFC9218", H2, |play| {
        floods(play, |wire| {
            wire.http2_frame(Kind::PRIORITY_UPDATE, 0, 0, b"\0\0\0\x01u=1")
        })
    }),
    flooded("control/priority-update-idle", "9 RFC9218", H2, |play| {
        // Streams that are not open, each of them another one.
        priorities(play, |number| {
            (1_001 + number * 2 % 100_000, b"u=0, i".to_vec())
        })
    }),
    flooded("control/priority-update-open", "9 RFC9218", H2, |play| {
        // The streams that `connections` opens change their place.
        priorities(play, |number| {
            (1, if number % 2 == 0 { b"u=0" } else { b"u=7" }.to_vec())
        })
    }),
    // Few fit into the time: the bounds decide.
    Case::bounded("control/priority-update-large", "9 RFC9218", H2, |play| {
        // A dictionary of sixteen kilobytes, with a member that counts at its end.
        let mut value = b"a=1,".repeat(4_000);
        value.extend_from_slice(b"u=1");
        priorities(play, move |_| (1, value.clone()))
    })
    .beside(HONEST)
    .busy(),
    flooded("control/unknown", "21", MULTIPLEXED, |play| {
        floods(play, |wire| wire.unknown(b""))
    }),
    flooded("control/altsvc", "21", H2, |play| {
        floods(play, |wire| {
            wire.http2_frame(Kind::ALTSVC, 0, 0, b"\0\x01ah2=\":1\"")
        })
    }),
    flooded("control/noop", "21", S2, |play| {
        floods(play, |wire| wire.spdy_frame(5, 0, b""))
    }),
    flooded("control/credential", "S12", S3, |play| {
        floods(play, |wire| wire.spdy_frame(10, 0, b"\0\x01\0\0\0\0"))
    }),
    flooded("control/late-data", "26 late", MULTIPLEXED, late_data),
    flooded("control/late-reset", "3 late", MULTIPLEXED, late_reset),
    Case::closed(
        "control/late-headers",
        "S8 HEADERS",
        MULTIPLEXED,
        late_headers,
    )
    .beside(HONEST)
    .busy(),
    flooded(
        "control/go-away-100-streams",
        "27 GOAWAY",
        MULTIPLEXED,
        go_away_streams,
    ),
    Case::closed("control/ping-unread", "6 unread", MULTIPLEXED, |play| {
        unread(play, |wire| wire.ping(1))
    })
    .within(5, 60)
    .limits(&[("stall", 2)])
    .beside(HONEST),
    Case::closed("control/settings-unread", "6 unread", H2, |play| {
        unread(play, Wire::settings)
    })
    .within(5, 60)
    .limits(&[("stall", 2)])
    .beside(HONEST),
    Case::closed(
        "control/after-fatal",
        "22 terminal",
        MULTIPLEXED,
        after_fatal,
    )
    .beside(HONEST),
    Case::closed(
        "control/error-after-go-away",
        "27",
        MULTIPLEXED,
        error_after_go_away,
    )
    .beside(HONEST),
];

const fn flooded(
    name: &'static str,
    answers: &'static str,
    dialects: &'static [Dialect],
    script: crate::attack::case::Script,
) -> Case {
    Case::closed(name, answers, dialects, script)
        .code(EYC)
        .beside(HONEST)
        .busy()
}

/// One frame, again and again.
fn floods(play: &mut Play<'_>, frame: fn(&mut Wire)) -> Played {
    let mut peers = connections(play)?;
    let mut wire = Wire::new(play.dialect);
    frame(&mut wire);
    flood(&mut peers, &wire.take(), play.flood_time());
    Ok(peers)
}

fn connections(play: &Play<'_>) -> Result<Vec<Peer>, String> {
    let mut peers = Vec::new();
    for _ in 0..CONNECTIONS {
        let mut peer = play.connect()?;
        // A stream that stays: an idle connection has less to lose.
        peer.get("/sleep/60000");
        peer.flush();
        peers.push(peer);
    }
    Ok(peers)
}

/// PRIORITY_UPDATE frames, each for a stream and with a value of its own.
fn priorities(play: &mut Play<'_>, update: impl Fn(u32) -> (u32, Vec<u8>)) -> Played {
    let mut peers = connections(play)?;
    let mut wire = Wire::new(play.dialect);
    for number in 0..1_000 {
        let (id, value) = update(number);
        let mut payload = id.to_be_bytes().to_vec();
        payload.extend_from_slice(&value);
        wire.http2_frame(Kind::PRIORITY_UPDATE, 0, 0, &payload);
    }
    flood(&mut peers, &wire.take(), play.flood_time());
    Ok(peers)
}

/// Frames for a stream that is over.
fn late(play: &mut Play<'_>, frame: impl Fn(&mut Wire, u32)) -> Played {
    let mut peers = connections(play)?;
    let mut bytes = Vec::new();
    for peer in &mut peers {
        let id = peer.get("/");
        peer.flush();
        peer.wait(Duration::from_secs(2), |seen| seen.is_over(id));
        frame(&mut peer.wire, id);
        bytes = peer.wire.take().to_vec();
    }
    flood(&mut peers, &bytes, play.flood_time());
    Ok(peers)
}

fn late_window_update(play: &mut Play<'_>) -> Played {
    late(play, |wire, id| wire.window_update(id, 1))
}

fn late_data(play: &mut Play<'_>) -> Played {
    // A stream that the client ended itself by RST_STREAM: its DATA may be late.
    let mut peers = connections(play)?;
    let mut bytes = Vec::new();
    for peer in &mut peers {
        let id = peer.post("/upload");
        peer.wire.reset(id);
        peer.flush();
        peer.wire.data(id, b"", Fin::More);
        bytes = peer.wire.take().to_vec();
    }
    flood(&mut peers, &bytes, play.flood_time());
    Ok(peers)
}

fn late_reset(play: &mut Play<'_>) -> Played {
    late(play, Wire::reset)
}

/// Header blocks for a stream that is over; of each wire the smallest one that
/// can be repeated.
fn late_headers(play: &mut Play<'_>) -> Played {
    if play.dialect == Dialect::Http2 {
        return late(play, |wire, id| {
            wire.http2_frame(Kind::HEADERS, 0x5, id, b"\x82")
        });
    }
    // A zlib stream is not repeated: every block is encoded.
    let mut peers = connections(play)?;
    let end = std::time::Instant::now() + play.flood_time();
    while std::time::Instant::now() < end {
        let mut open = 0;
        for peer in &mut peers {
            for _ in 0..200 {
                let list = [field("a", "b")];
                peer.wire.head(1, Start::Trailers, Fin::More, &list);
            }
            peer.flush_within(Duration::from_millis(100));
            open += usize::from(peer.seen().closed.is_none());
        }
        if open == 0 {
            break;
        }
    }
    Ok(peers)
}

/// GOAWAY beside a hundred open streams: each costs as much as one.
fn go_away_streams(play: &mut Play<'_>) -> Played {
    let mut peers = Vec::new();
    for _ in 0..CONNECTIONS {
        let mut peer = play.connect()?;
        for _ in 0..99 {
            peer.get("/sleep/60000");
        }
        peer.flush();
        peers.push(peer);
    }
    let mut wire = Wire::new(play.dialect);
    wire.go_away(0);
    flood(&mut peers, &wire.take(), play.flood_time());
    Ok(peers)
}

/// Frames that have to be answered, by a client that never reads.
fn unread(play: &mut Play<'_>, frame: fn(&mut Wire)) -> Played {
    let peer = play.connect_as(Manners::Mute)?;
    peer.read_at(Pace::Stopped);
    let mut wire = Wire::new(play.dialect);
    frame(&mut wire);
    let mut peers = vec![peer];
    flood(&mut peers, &wire.take(), play.flood_time());
    Ok(peers)
}

/// A fatal error and malformed frames behind it, in one piece.
fn after_fatal(play: &mut Play<'_>) -> Played {
    let mut peer = play.connect()?;
    match play.dialect {
        // DATA on an idle stream; PUSH_PROMISE of a client; half a frame.
        Dialect::Http2 => {
            peer.wire.data(99, b"x", Fin::More);
            peer.wire.http2_frame(Kind::PUSH_PROMISE, 0, 1, b"\0");
            peer.wire.http2(Kind::HEADERS, 0xff, 7, 9_999);
        }
        _ => {
            peer.wire.spdy_frame(1, 0, b"");
            peer.wire.spdy_frame(6, 0, b"123");
            peer.wire.spdy(8, 0xff, 9_999);
        }
    }
    peer.flush();
    Ok(vec![peer])
}

/// GOAWAY, then a fatal error: the close is not put off.
fn error_after_go_away(play: &mut Play<'_>) -> Played {
    let mut peer = play.connect()?;
    peer.get("/sleep/60000");
    peer.wire.go_away(0);
    match play.dialect {
        Dialect::Http2 => peer.wire.http2_frame(Kind::PING, 0, 0, b"123"),
        _ => peer.wire.spdy_frame(6, 0, b"123"),
    }
    peer.flush();
    Ok(vec![peer])
}
