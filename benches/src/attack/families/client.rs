//! A hostile server against our client.

use std::time::{Duration, Instant};

use lacewing_frames::http2::Kind;

use crate::attack::case::{Case, LOWERED};
use crate::attack::dialect::{CONNECTION_WINDOWS, Dialect, H2, MULTIPLEXED, SPDY};
use crate::attack::peer::{BATCH, Pace, Peer};
use crate::attack::play::{Play, flood};
use crate::attack::seen::Manners;
use crate::attack::wire::{Field, Fin, Start, Wire, field};

type Played = Result<Vec<Peer>, String>;

const OK: Start<'_> = Start::Response { status: "200" };
/// As many connections as the client has threads.
const TWO: &[&str] = &["--connections", "2"];
const HELD: &[&str] = &["--requests", "100", "--bodies", "hold"];
const HONEST: &str = "honest/client";

pub(super) const CASES: &[Case] = &[
    flooded("client/informational", "6 1xx", H2, |play| {
        let mut peers = servers(play)?;
        // 103 by the static table's name: a block that can be repeated.
        let mut wire = Wire::new(Dialect::Http2);
        for id in [1, 3] {
            wire.http2_frame(Kind::HEADERS, 0x4, id, b"\x08\x03103");
        }
        flood(&mut peers, &wire.take(), play.flood_time());
        Ok(peers)
    }),
    flooded("client/informational-one-stream", "6 1xx", H2, |play| {
        let mut peers = servers(play)?;
        let mut wire = Wire::new(Dialect::Http2);
        wire.http2_frame(Kind::HEADERS, 0x4, 1, b"\x08\x03103");
        flood(&mut peers, &wire.take(), play.flood_time());
        Ok(peers)
    }),
    // Of the client's own origin: each is accepted.
    Case::closed("client/pushes-reset", "30 reset", MULTIPLEXED, pushes_reset)
        .client(&["--connections", "2", "--push", "--bodies", "late"])
        .beside(HONEST)
        .busy(),
    flooded("client/pushes", "30", MULTIPLEXED, pushes),
    Case::closed("client/foreign-pushes", "30 foreign", H2, |play| {
        // The authority is not that of the client's requests.
        pushes(play)
    })
    .client(&["--connections", "2", "--push"])
    .beside(HONEST)
    .busy(),
    flooded("client/go-away", "27 GOAWAY", MULTIPLEXED, |play| {
        // Of the last possible stream: what is open goes on.
        floods(play, |wire| wire.go_away(0x7fff_ffff))
    }),
    flooded("client/ping", "6 PING", MULTIPLEXED, |play| {
        floods(play, |wire| wire.ping(2))
    }),
    flooded("client/pong", "6 PONG", MULTIPLEXED, |play| {
        floods(play, |wire| wire.pong(false))
    }),
    flooded("client/settings", "6 SETTINGS", MULTIPLEXED, |play| {
        floods(play, Wire::settings)
    }),
    flooded("client/window-update", "7", CONNECTION_WINDOWS, |play| {
        floods(play, |wire| wire.window_update(0, 1))
    }),
    flooded("client/unknown", "21", MULTIPLEXED, |play| {
        floods(play, |wire| wire.unknown(b""))
    }),
    flooded("client/altsvc", "21 ALTSVC", H2, |play| {
        floods(play, |wire| {
            wire.http2_frame(Kind::ALTSVC, 0, 0, b"\0\x01ah2=\":1\"")
        })
    }),
    flooded("client/origin", "21 ORIGIN", H2, |play| {
        floods(play, |wire| {
            wire.http2_frame(Kind::ORIGIN, 0, 0, b"\0\x08http://v")
        })
    }),
    flooded("client/altsvc-large", "21 ALTSVC", H2, |play| {
        // Of a stream, and of origins without end.
        let mut payload = b"\0\0h2=\":1\"".to_vec();
        payload.extend_from_slice(&b", h2=\":1\"".repeat(1_600));
        alternatives(play, move |wire, number| {
            wire.http2_frame(Kind::ALTSVC, 0, 1, &payload);
            let origin = format!("http://v{number:06}");
            let mut payload = vec![0, 14];
            payload.extend_from_slice(origin.as_bytes());
            payload.extend_from_slice(b"h2=\":1\"; ma=99999");
            wire.http2_frame(Kind::ALTSVC, 0, 0, &payload);
        })
    }),
    flooded("client/origin-large", "21 ORIGIN", H2, |play| {
        alternatives(play, |wire, number| {
            let mut payload = Vec::new();
            for part in 0..900 {
                payload.extend_from_slice(&[0, 16]);
                payload.extend_from_slice(format!("http://v{number:04}{part:04}").as_bytes());
            }
            payload.truncate(900 * 18);
            wire.http2_frame(Kind::ORIGIN, 0, 0, &payload);
        })
    }),
    Case::bounded("client/second-lists", "6 14 second", MULTIPLEXED, |play| {
        let mut peers = servers(play)?;
        let end = Instant::now() + play.flood_time();
        while Instant::now() < end && peers.iter().any(|peer| peer.seen().closed.is_none()) {
            for peer in &mut peers {
                let ids = std::mem::take(&mut peer.seen().requests);
                for id in ids {
                    peer.wire.head(id, OK, Fin::More, &[]);
                    for _ in 0..10 {
                        let list = [field("x-a", "b")];
                        peer.wire.head(id, Start::Trailers, Fin::More, &list);
                    }
                }
                peer.flush_within(Duration::from_millis(100));
            }
        }
        Ok(peers)
    })
    .client(TWO)
    .beside(HONEST)
    .busy(),
    Case::closed("client/frame-size", "20", H2, |play| {
        let mut peer = play.accept(Manners::Polite, 1)?;
        peer.wire
            .http2_frame(Kind::SETTINGS, 0, 0, b"\0\x05\0\0\0\0");
        peer.flush();
        Ok(vec![peer])
    })
    .code("PROTOCOL_ERROR")
    .client(&[])
    .beside(HONEST),
    Case::closed("client/continuations", "12 20", H2, |play| {
        let mut peer = play.accept(Manners::Polite, 1)?;
        peer.wire.http2_frame(Kind::HEADERS, 0, 1, b"\x88");
        for _ in 0..20_000 {
            peer.wire.http2_frame(Kind::CONTINUATION, 0, 1, b"");
            if peer.wire.out.len() >= 32 << 10 && !peer.flush() {
                break;
            }
        }
        peer.flush();
        Ok(vec![peer])
    })
    .code("ENHANCE_YOUR_CALM")
    .client(&[])
    .beside(HONEST),
    Case::bounded(
        "client/one-byte-unread",
        "11 one-byte",
        MULTIPLEXED,
        one_byte,
    )
    .client(HELD)
    .beside(HONEST)
    .busy(),
    Case::bounded("client/lists-held", "14 held", MULTIPLEXED, lists_held)
        .client(HELD)
        .beside(HONEST),
    Case::bounded("client/nul-joined-held", "nul-joined", SPDY, |play| {
        let mut peer = play.accept(Manners::Stingy, 50)?;
        let fields = ["x-a", "x-b"].map(|name| Field {
            name: name.as_bytes().to_vec(),
            values: vec![b"x".to_vec(); 16_000],
        });
        respond(&mut peer, &fields);
        Ok(vec![peer])
    })
    .client(HELD)
    .beside(HONEST),
    Case::bounded("client/trailers-held", "14 trailers", MULTIPLEXED, |play| {
        let mut peer = play.accept(Manners::Stingy, 50)?;
        let ids = peer.seen().requests.clone();
        // The trailers of complete responses count until they are read.
        let list = large_list();
        for id in ids {
            peer.wire.head(id, OK, Fin::More, &[]);
            peer.wire.data(id, b"x", Fin::More);
            peer.wire.head(id, Start::Trailers, Fin::End, &list);
            peer.flush_batch();
        }
        peer.flush();
        peer.wait(Duration::from_millis(500), |_| false);
        Ok(vec![peer])
    })
    .client(HELD)
    .beside(HONEST),
    waits("client/says-nothing", "19 client", MULTIPLEXED, |play| {
        Ok(vec![play.accept_silently(Manners::Mute)?])
    })
    .names(|dialect| match dialect {
        Dialect::Http2 => "preface_timeout",
        // A server of SPDY may be silent until it has an answer.
        _ => "keep_alive_timeout",
    }),
    waits(
        "client/nothing-after-settings",
        "19 client",
        MULTIPLEXED,
        |play| Ok(vec![play.accept(Manners::Acknowledging, 1)?]),
    )
    .names(|_| "keep_alive_timeout"),
    waits(
        "client/nothing-after-go-away",
        "27 client",
        MULTIPLEXED,
        |play| {
            let mut peer = play.accept(Manners::Acknowledging, 1)?;
            peer.wire.go_away(0x7fff_ffff);
            peer.flush();
            Ok(vec![peer])
        },
    )
    .names(|_| "keep_alive_timeout"),
    waits("client/headers-drip", "19 client", MULTIPLEXED, |play| {
        let mut peer = play.accept(Manners::Polite, 1)?;
        peer.wire
            .head(1, OK, Fin::End, &[field("a", "value"), field("b", "value")]);
        let frame = peer.wire.take();
        peer.mid_frame = true;
        for byte in frame
            .get(..frame.len().saturating_sub(1))
            .unwrap_or_default()
        {
            peer.wire.raw([*byte]);
            peer.flush();
            peer.wait(Duration::from_millis(play.small_or(100, 3_000)), |_| false);
            if peer.is_closed() {
                break;
            }
        }
        Ok(vec![peer])
    })
    // One frame; headers_timeout bounds blocks of several.
    .names(|_| "frame_timeout"),
    waits("client/body-stops", "18 client", MULTIPLEXED, |play| {
        let mut peer = play.accept(Manners::Acknowledging, 1)?;
        peer.wire.head(1, OK, Fin::More, &[]);
        peer.wire.data(1, b"some", Fin::More);
        peer.flush();
        Ok(vec![peer])
    })
    .names(|_| "keep_alive_timeout"),
    // A server that answers every PING.
    Case::refused(
        "client/declared-body-stops",
        "18 client",
        MULTIPLEXED,
        |play| {
            let mut peer = play.accept(Manners::Polite, 1)?;
            let length = [field("content-length", "1000")];
            peer.wire.head(1, OK, Fin::More, &length);
            peer.wire.data(1, b"some", Fin::More);
            peer.flush();
            Ok(vec![peer])
        },
    )
    .within(4, 700)
    .limits(LOWERED)
    .client(&["--requests", "1"])
    .beside("honest/client-slow-server"),
    waits(
        "client/half-a-data-frame",
        "18 client",
        MULTIPLEXED,
        |play| {
            let mut peer = play.accept(Manners::Polite, 1)?;
            peer.wire.head(1, OK, Fin::More, &[]);
            peer.wire.data_head(1, 1_000, Fin::End);
            peer.wire.raw("half");
            peer.flush();
            peer.mid_frame = true;
            Ok(vec![peer])
        },
    )
    .names(|_| "frame_timeout"),
];

/// A flood that the client must end.
const fn flooded(
    name: &'static str,
    answers: &'static str,
    dialects: &'static [Dialect],
    script: crate::attack::case::Script,
) -> Case {
    Case::closed(name, answers, dialects, script)
        .client(TWO)
        .beside(HONEST)
        .busy()
}

/// A wait of the client's that must end: the request fails, or the connection.
const fn waits(
    name: &'static str,
    answers: &'static str,
    dialects: &'static [Dialect],
    script: crate::attack::case::Script,
) -> Case {
    Case::wait(name, answers, dialects, script)
        .limits(LOWERED)
        .client(&["--requests", "1"])
        .beside("honest/client-slow-server")
}

fn servers(play: &Play<'_>) -> Result<Vec<Peer>, String> {
    (0..2).map(|_| play.accept(Manners::Polite, 2)).collect()
}

fn floods(play: &mut Play<'_>, frame: fn(&mut Wire)) -> Played {
    let mut peers = servers(play)?;
    let mut wire = Wire::new(play.dialect);
    frame(&mut wire);
    flood(&mut peers, &wire.take(), play.flood_time());
    Ok(peers)
}

/// A hundred frames, each of its own; again and again.
fn alternatives(play: &mut Play<'_>, frame: impl Fn(&mut Wire, usize)) -> Played {
    let mut peers = servers(play)?;
    let mut wire = Wire::new(play.dialect);
    for number in 0..100 {
        frame(&mut wire, number);
    }
    // 160 MB until the limit, which a busy machine needs some time for.
    flood(&mut peers, &wire.take(), 8 * play.flood_time());
    Ok(peers)
}

/// Pushes to a client that has not asked for any.
fn pushes(play: &mut Play<'_>) -> Played {
    let mut peers = servers(play)?;
    let end = Instant::now() + play.flood_time();
    let mut promised = 2_u32;
    while Instant::now() < end && peers.iter().any(|peer| peer.seen().closed.is_none()) {
        for peer in &mut peers {
            for _ in 0..300 {
                peer.wire.push(1, promised, &[]);
                promised += 2;
            }
            peer.flush_within(Duration::from_millis(100));
        }
    }
    Ok(peers)
}

/// Pushes that the client accepts and that the server resets at once.
fn pushes_reset(play: &mut Play<'_>) -> Played {
    let mut peers = servers(play)?;
    for peer in &mut peers {
        peer.wire.authority = play.authority();
    }
    let end = Instant::now() + play.flood_time();
    let mut promised = 2_u32;
    while Instant::now() < end && peers.iter().any(|peer| peer.seen().closed.is_none()) {
        for peer in &mut peers {
            for _ in 0..300 {
                peer.wire.push(1, promised, &[]);
                peer.wire.reset(promised);
                promised += 2;
            }
            peer.flush_within(Duration::from_millis(100));
        }
    }
    Ok(peers)
}

fn respond(peer: &mut Peer, fields: &[Field]) {
    let ids = peer.seen().requests.clone();
    for id in ids {
        peer.wire.head(id, OK, Fin::More, fields);
        peer.flush_batch();
    }
    peer.flush();
    peer.wait(Duration::from_secs(1), |_| false);
}

fn large_list() -> Vec<Field> {
    (0..60)
        .map(|number| {
            let value: Vec<u8> = (0..3_900_usize)
                .map(|at| b"abcdefghijklmnop".get((at * 7 + number + at / 16) % 16))
                .map(|letter| letter.copied().unwrap_or(b'x'))
                .collect();
            field(format!("x-{number}"), value)
        })
        .collect()
}

fn lists_held(play: &mut Play<'_>) -> Played {
    let mut peer = play.accept(Manners::Stingy, 50)?;
    // Within a frame of the SPDY decoder and 256 KiB.
    let mut list = large_list();
    list.truncate(if play.dialect == Dialect::Http2 {
        30
    } else {
        15
    });
    respond(&mut peer, &list);
    Ok(vec![peer])
}

/// Bodies in frames of one byte, which the client does not read.
fn one_byte(play: &mut Play<'_>) -> Played {
    let mut peer = play.accept(Manners::Stingy, 50)?;
    peer.read_at(Pace::Full);
    let ids = peer.seen().requests.clone();
    for id in &ids {
        peer.wire.head(*id, OK, Fin::More, &[]);
    }
    let mut stuck = 0;
    'frames: for _ in 0..play.small_or(4_000, 90_000) {
        for id in &ids {
            peer.data_in_credit(*id, b"x", Fin::More);
            // Each such frame has waited for the client; after a second of it, the
            // client reads no more.
            stuck = if peer.wire.out.len() < BATCH {
                0
            } else {
                stuck + 1
            };
            if stuck > 10 || peer.seen().closed.is_some() {
                break 'frames;
            }
        }
    }
    peer.flush();
    peer.wait(Duration::from_millis(300), |_| false);
    Ok(vec![peer])
}
