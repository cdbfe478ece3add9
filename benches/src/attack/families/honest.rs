//! Honest traffic that resembles attacks: none of it may be punished.

use std::time::{Duration, Instant};

use lacewing_frames::http2::Kind;

use crate::attack::case::Case;
use crate::attack::dialect::{Dialect, H1, H2, MULTIPLEXED, SPDY};
use crate::attack::peer::{Pace, Peer};
use crate::attack::play::{Play, answered, still_answers};
use crate::attack::seen::Manners;
use crate::attack::wire::{Field, Fin, Start, field};

type Played = Result<Vec<Peer>, String>;

pub(super) const CASES: &[Case] = &[
    Case::honest("honest/small-requests", "legit", MULTIPLEXED, |play| {
        let mut peer = play.connect()?;
        for _ in 0..1_000 {
            let id = peer.get("/");
            peer.flush();
            if !peer.wait(Duration::from_secs(3), |seen| seen.ended.contains(&id)) {
                break;
            }
        }
        answered(play, &mut peer, Duration::from_secs(3));
        Ok(vec![peer])
    }),
    Case::honest("honest/small-requests-http1", "legit", H1, |play| {
        let mut peer = play.socket(Manners::Polite)?;
        for number in 1..=200 {
            peer.get("/");
            peer.flush();
            if !peer.wait(Duration::from_secs(3), |seen| seen.statuses.len() >= number) {
                break;
            }
        }
        answered(play, &mut peer, Duration::from_secs(3));
        Ok(vec![peer])
    }),
    Case::honest("honest/cancels", "1 legit", MULTIPLEXED, cancels),
    Case::honest(
        "honest/cancel-and-reopen",
        "1 legit",
        MULTIPLEXED,
        cancel_and_reopen,
    ),
    Case::honest(
        "honest/many-before-settings",
        "1 legit",
        MULTIPLEXED,
        many_before_settings,
    ),
    Case::honest("honest/deadlines", "1 legit", MULTIPLEXED, deadlines),
    Case::honest(
        "honest/nine-continuations",
        "12 legit",
        H2,
        nine_continuations,
    ),
    Case::honest("honest/large-list", "13 legit", MULTIPLEXED, |play| {
        let mut peer = play.connect()?;
        for _ in 0..20 {
            let id = peer.request("GET", "/", Fin::End, &[field("cookie", vec![b'c'; 40_000])]);
            peer.flush();
            peer.wait(Duration::from_secs(3), |seen| seen.is_over(id));
        }
        answered(play, &mut peer, Duration::from_secs(3));
        Ok(vec![peer])
    }),
    Case::honest("honest/many-values", "S11 legit", SPDY, |play| {
        let mut peer = play.connect()?;
        let values = vec![b"a=1".to_vec(); 200];
        let cookie = Field {
            name: b"x-many".to_vec(),
            values,
        };
        for _ in 0..20 {
            peer.request("GET", "/", Fin::End, std::slice::from_ref(&cookie));
        }
        peer.flush();
        answered(play, &mut peer, Duration::from_secs(3));
        Ok(vec![peer])
    }),
    Case::honest("honest/trailers", "14 legit", MULTIPLEXED, |play| {
        let mut peer = play.connect()?;
        for _ in 0..50 {
            let id = peer.post("/upload");
            peer.wire.data(id, b"message", Fin::More);
            let list = [field("grpc-status", "0"), field("grpc-message", "fine")];
            peer.wire.head(id, Start::Trailers, Fin::End, &list);
        }
        peer.flush();
        answered(play, &mut peer, Duration::from_secs(3));
        Ok(vec![peer])
    }),
    Case::honest("honest/web-sockets", "tunnels legit", H2, web_sockets)
        .arguments(super::tunnels::EXTENDED),
    Case::honest("honest/small-data", "11 legit", MULTIPLEXED, small_data),
    Case::honest(
        "honest/one-byte-drained",
        "11 legit",
        MULTIPLEXED,
        one_byte_drained,
    )
    .busy(),
    Case::honest(
        "honest/small-data-undrained",
        "11 legit",
        MULTIPLEXED,
        small_data_undrained,
    ),
    Case::honest("honest/echo", "14 legit", MULTIPLEXED, echo),
    Case::honest("honest/upload", "31 legit", MULTIPLEXED, |play| {
        let mut peer = play.connect()?;
        let id = peer.post("/upload");
        send(&mut peer, id, 4 << 20, 16_000);
        answered(play, &mut peer, Duration::from_secs(5));
        Ok(vec![peer])
    })
    .busy(),
    Case::honest("honest/download", "31 legit", MULTIPLEXED, |play| {
        let mut peer = play.connect()?;
        peer.get("/bytes/10000000");
        peer.flush();
        answered(play, &mut peer, Duration::from_secs(10));
        if peer.seen().data != 10_000_000 {
            play.fail(format!("{} bytes of 10000000", peer.seen().data));
        }
        play.note(format!("{} PINGs of the server", peer.seen().pings));
        Ok(vec![peer])
    })
    .busy(),
    // At default limits: a wait of seconds is no stall.
    Case::honest("honest/slow-requests", "19 legit", MULTIPLEXED, |play| {
        let mut peer = play.connect()?;
        for _ in 0..100 {
            peer.get("/sleep/2500");
        }
        peer.flush();
        answered(play, &mut peer, Duration::from_secs(6));
        Ok(vec![peer])
    }),
    // Lowered limits: a handler that takes its time is not the client's fault.
    Case::honest("honest/long-poll", "18 legit", MULTIPLEXED, |play| {
        let mut peer = play.connect()?;
        peer.get("/sleep/4000");
        peer.flush();
        answered(play, &mut peer, Duration::from_secs(6));
        Ok(vec![peer])
    })
    .limits(crate::attack::case::LOWERED),
    Case::honest("honest/slow-upload", "18 legit", MULTIPLEXED, |play| {
        let mut peer = play.connect()?;
        let id = peer.post("/upload");
        for _ in 0..play.small_or(12, 120) {
            peer.wire.data(id, &[b'x'; 1_000], Fin::More);
            peer.flush();
            peer.wait(Duration::from_millis(250), |_| false);
        }
        peer.wire.data(id, b"", Fin::End);
        peer.flush();
        answered(play, &mut peer, Duration::from_secs(3));
        Ok(vec![peer])
    }),
    Case::honest(
        "honest/paused-player",
        "18 legit",
        MULTIPLEXED,
        paused_player,
    ),
    Case::honest("honest/keep-alive", "6 legit", MULTIPLEXED, |play| {
        let mut peer = play.connect()?;
        for _ in 0..30 {
            peer.wire.ping(1);
            peer.flush();
            peer.wait(Duration::from_millis(play.small_or(100, 1_000)), |_| false);
        }
        still_answers(play, &mut peer);
        Ok(vec![peer])
    }),
    Case::honest("honest/client", "legit", MULTIPLEXED, client).client(&[]),
    Case::honest(
        "honest/client-slow-server",
        "legit",
        MULTIPLEXED,
        client_slow_server,
    )
    .client(&["--requests", "8"])
    .beside(""),
    Case::honest(
        "honest/client-large-list",
        "12 legit",
        MULTIPLEXED,
        client_large_list,
    )
    .client(&["--requests", "1"]),
];

/// A hundred cancels a second: a photo grid, a map.
fn cancels(play: &mut Play<'_>) -> Played {
    let mut peer = play.connect()?;
    let end = Instant::now() + Duration::from_secs(play.small_or(7, 20));
    let mut count = 0_u32;
    while Instant::now() < end && peer.seen().closed.is_none() {
        // Ten images, of which the user sees none.
        let ids: Vec<u32> = (0..10).map(|_| peer.get("/sleep/300")).collect();
        peer.flush();
        peer.wait(Duration::from_millis(100), |_| false);
        for id in ids {
            peer.wire.reset(id);
            count += 1;
        }
        peer.flush();
    }
    peer.opened.clear();
    play.note(format!("{count} cancels"));
    still_answers(play, &mut peer);
    Ok(vec![peer])
}

/// A hundred streams cancelled and a hundred opened, in one flight.
fn cancel_and_reopen(play: &mut Play<'_>) -> Played {
    let mut peer = play.connect()?;
    let first: Vec<u32> = (0..100).map(|_| peer.get("/sleep/60000")).collect();
    peer.flush();
    peer.wait(Duration::from_millis(200), |_| false);
    peer.opened.clear();
    for id in first {
        peer.wire.reset(id);
    }
    for _ in 0..100 {
        peer.get("/sleep/50");
    }
    peer.flush();
    answered(play, &mut peer, Duration::from_secs(3));
    let refused = peer.seen().resets.len();
    if refused > 0 {
        play.note(format!("{refused} of 100 refused"));
    }
    Ok(vec![peer])
}

/// 400 slow requests before the server's SETTINGS are read: refused streams are
/// asked for again, the connection lives.
fn many_before_settings(play: &mut Play<'_>) -> Played {
    let mut peer = play.socket(Manners::Polite)?;
    peer.greet();
    for _ in 0..400 {
        peer.get("/sleep/100");
    }
    peer.flush();
    answered(play, &mut peer, Duration::from_secs(5));
    // REFUSED_STREAM says that a request is safe to repeat: what a client does.
    let again = {
        let mut seen = peer.seen();
        let refused = seen
            .resets
            .values()
            .filter(|code| *code == "REFUSED_STREAM")
            .count();
        if refused == seen.resets.len() {
            seen.resets.clear();
        }
        refused
    };
    play.note(format!("{again} refused and asked for again"));
    for chunk in 0..again.div_ceil(50) {
        peer.opened.clear();
        for _ in 0..50.min(again - chunk * 50) {
            peer.get("/sleep/100");
        }
        peer.flush();
        answered(play, &mut peer, Duration::from_secs(3));
    }
    still_answers(play, &mut peer);
    Ok(vec![peer])
}

/// Ninety calls at a time that pass their deadline, again and again.
fn deadlines(play: &mut Play<'_>) -> Played {
    let mut peer = play.connect()?;
    let deadline = Duration::from_millis(1_200);
    for _ in 0..play.small_or(5, 20) {
        let ids: Vec<u32> = (0..90).map(|_| peer.post("/unread")).collect();
        for id in &ids {
            peer.wire.data(*id, b"a message", Fin::End);
        }
        peer.flush();
        peer.wait(deadline, |_| false);
        for id in ids {
            peer.wire.reset(id);
        }
        peer.flush();
        if peer.seen().closed.is_some() {
            break;
        }
    }
    peer.opened.clear();
    still_answers(play, &mut peer);
    Ok(vec![peer])
}

/// A list within our SETTINGS, by a sender that cuts it into ten frames.
fn nine_continuations(play: &mut Play<'_>) -> Played {
    let mut peer = play.connect()?;
    for _ in 0..3 {
        let id = peer.get("/");
        // HEADERS was encoded by the same table: nothing of it is indexed anew
        // but what stands here.
        peer.flush();
        peer.wait(Duration::from_secs(2), |seen| seen.is_over(id));
        let id = peer.next_id();
        let mut block = b"\x82\x86\x84\x01\x06victim".to_vec();
        for number in 0..50_u8 {
            block.extend_from_slice(&[0, 3, b'x', b'a' + number / 26, b'a' + number % 26]);
            // 700 bytes by the integer code of 7 bits: 127 + 573.
            block.extend_from_slice(&[0x7f, 0xbd, 0x04]);
            block.extend_from_slice(&[b'v'; 700]);
        }
        let pieces: Vec<&[u8]> = block.chunks(block.len().div_ceil(10)).collect();
        for (index, piece) in pieces.iter().enumerate() {
            let end = if index + 1 == pieces.len() { 0x4 } else { 0 };
            match index {
                0 => peer.wire.http2_frame(Kind::HEADERS, 0x1 | end, id, piece),
                _ => peer.wire.http2_frame(Kind::CONTINUATION, end, id, piece),
            }
        }
        peer.opened.push(id);
        peer.flush();
    }
    answered(play, &mut peer, Duration::from_secs(3));
    Ok(vec![peer])
}

/// A page with twenty WebSockets, loaded again and again: messages go both ways before it closes.
fn web_sockets(play: &mut Play<'_>) -> Played {
    let mut peer = play.connect()?;
    let mut echoed = 0;
    for _ in 0..play.small_or(10, 100) {
        let ids: Vec<u32> = (0..20)
            .map(|_| super::tunnels::web_socket(&mut peer, "/tunnel"))
            .collect();
        for _ in 0..5 {
            for id in &ids {
                echoed += peer.data_in_credit(*id, b"a message", Fin::More) as u64;
            }
            peer.flush();
            peer.wait(Duration::from_secs(3), |seen| seen.data >= echoed);
        }
        for id in &ids {
            peer.wire.data(*id, b"", Fin::End);
        }
        peer.flush();
        answered(play, &mut peer, Duration::from_secs(3));
    }
    if peer.seen().data != echoed {
        play.fail(format!("{} bytes of {echoed} came back", peer.seen().data));
    }
    Ok(vec![peer])
}

/// Ten thousand frames of 600 bytes on one stream.
fn small_data(play: &mut Play<'_>) -> Played {
    let mut peer = play.connect()?;
    let id = peer.post("/upload");
    send(&mut peer, id, 600 * play.small_or(3_000, 10_000), 600);
    answered(play, &mut peer, Duration::from_secs(5));
    Ok(vec![peer])
}

/// Frames of one byte that are read at once: a terminal.
fn one_byte_drained(play: &mut Play<'_>) -> Played {
    let mut peer = play.connect()?;
    let id = peer.post("/upload");
    send(&mut peer, id, play.small_or(50_000, 500_000), 1);
    answered(play, &mut peer, Duration::from_secs(10));
    Ok(vec![peer])
}

/// A thousand small frames that wait for a slow handler.
fn small_data_undrained(play: &mut Play<'_>) -> Played {
    let mut peer = play.connect()?;
    for _ in 0..50 {
        let id = peer.post("/sleep/1000");
        for _ in 0..20 {
            peer.wire.data(id, &[b'x'; 159], Fin::More);
        }
        peer.wire.data(id, b"end", Fin::End);
    }
    peer.flush();
    answered(play, &mut peer, Duration::from_secs(5));
    Ok(vec![peer])
}

fn echo(play: &mut Play<'_>) -> Played {
    let mut peer = play.connect()?;
    for _ in 0..20 {
        let id = peer.post("/echo");
        for _ in 0..100 {
            peer.wire.data(id, b"a line of a terminal", Fin::More);
        }
        peer.wire.data(id, b"", Fin::End);
    }
    peer.flush();
    answered(play, &mut peer, Duration::from_secs(5));
    if peer.seen().data != 20 * 100 * 20 {
        play.fail(format!("{} bytes of 40000 came back", peer.seen().data));
    }
    Ok(vec![peer])
}

/// Sends a body within its windows, to its end.
fn send(peer: &mut Peer, id: u32, size: usize, frame: usize) {
    let payload = vec![b'x'; frame];
    let mut left = size;
    let end = Instant::now() + Duration::from_secs(60);
    while left > 0 && Instant::now() < end && peer.seen().closed.is_none() {
        let part = payload.get(..frame.min(left)).unwrap_or(&payload);
        let sent = peer.data_in_credit(id, part, Fin::More);
        left -= sent;
        if sent == 0 {
            peer.flush();
            peer.wait(Duration::from_secs(1), |seen| seen.credit(id) > 0);
        }
    }
    peer.wire.data(id, b"", Fin::End);
    peer.flush();
}

/// A film of 10 MB: some of it, a pause, the rest.
fn paused_player(play: &mut Play<'_>) -> Played {
    let mut peer = play.connect()?;
    peer.read_at(Pace::Slow(50_000));
    peer.get("/bytes/3000000");
    peer.flush();
    peer.wait(Duration::from_millis(500), |_| false);
    peer.read_at(Pace::Stopped);
    std::thread::sleep(Duration::from_secs(play.small_or(3, 25)));
    peer.read_at(Pace::Full);
    answered(play, &mut peer, Duration::from_secs(5));
    Ok(vec![peer])
}

/// A response whose header list is within the 256 KiB that the client
/// advertises.
fn client_large_list(play: &mut Play<'_>) -> Played {
    let mut peer = play.accept(Manners::Polite, 1)?;
    // The frames of SPDY end at 64 KiB.
    let fields = if play.dialect == Dialect::Http2 {
        45
    } else {
        12
    };
    let list: Vec<Field> = (0..fields)
        .map(|number| {
            let value: Vec<u8> = (0_u8..=255)
                .cycle()
                .take(5_000)
                .map(|at| b'!' + at % 90)
                .collect();
            field(format!("x-{number}"), value)
        })
        .collect();
    peer.wire.head(1, OK, Fin::More, &list);
    peer.wire.data(1, b"hello", Fin::End);
    peer.flush();
    peer.wait(Duration::from_millis(500), |_| false);
    if play.stats().answered != 1 {
        play.fail("the response was not taken");
    }
    Ok(vec![peer])
}

const OK: Start<'_> = Start::Response { status: "200" };

/// A server that answers at once, for a while.
fn client(play: &mut Play<'_>) -> Played {
    answer(play, Duration::ZERO)
}

/// A server that takes a while for each answer.
fn client_slow_server(play: &mut Play<'_>) -> Played {
    answer(play, Duration::from_millis(700))
}

fn answer(play: &mut Play<'_>, pause: Duration) -> Played {
    let mut peer = play.accept(Manners::Polite, 1)?;
    let end = Instant::now() + Duration::from_secs(2);
    let mut done = 0;
    while Instant::now() < end && peer.seen().closed.is_none() {
        peer.wait(pause, |_| false);
        let count = done;
        peer.wait(Duration::from_millis(100), |seen| {
            seen.requests.len() > count
        });
        let ids: Vec<u32> = peer.seen().requests.iter().skip(done).copied().collect();
        done += ids.len();
        for id in ids {
            peer.wire
                .head(id, OK, Fin::More, &[field("server", "honest")]);
            peer.wire.data(id, b"hello", Fin::End);
        }
        peer.flush();
    }
    let stats = play.stats();
    if stats.answered == 0 || stats.failed > 0 || stats.ended > 0 {
        play.fail("the client's requests failed");
    }
    if play.dialect == Dialect::Http1 {
        play.note("no HTTP/1.1 client");
    }
    Ok(vec![peer])
}
