//! Header lists that cost more than they weigh, and lists that are malformed.

use std::time::{Duration, Instant};

use lacewing_frames::http2::Kind;

use crate::attack::case::Case;
use crate::attack::dialect::{Dialect, H2, MULTIPLEXED, SPDY};
use crate::attack::peer::Peer;
use crate::attack::play::Play;
use crate::attack::seen::Manners;
use crate::attack::wire::{Field, Fin, Start, field};

type Played = Result<Vec<Peer>, String>;

const EYC: &str = "ENHANCE_YOUR_CALM";

pub(super) const CASES: &[Case] = &[
    Case::bounded("headers/lists-held", "14 held", MULTIPLEXED, lists_held)
        .beside("honest/slow-requests"),
    Case::bounded(
        "headers/trailers-held",
        "14 trailers",
        MULTIPLEXED,
        trailers_held,
    )
    .beside("honest/trailers"),
    Case::bounded(
        "headers/references-held",
        "14 references",
        MULTIPLEXED,
        references_held,
    )
    .beside("honest/slow-requests"),
    Case::bounded("headers/cookie-crumbs", "14 crumbs", H2, cookie_crumbs)
        .beside("honest/slow-requests"),
    Case::refused("headers/hpack-bomb", "13", H2, hpack_bomb).beside("honest/large-list"),
    Case::bounded(
        "headers/nul-joined-held",
        "nul-joined S11",
        SPDY,
        nul_joined_held,
    )
    .beside("honest/many-values"),
    Case::bounded(
        "headers/nul-joined-cpu",
        "nul-joined S11",
        SPDY,
        nul_joined_cpu,
    )
    .beside("honest/many-values")
    .busy(),
    Case::refused("headers/zlib-bomb", "S3", SPDY, zlib_bomb).beside("honest/large-list"),
    Case::closed(
        "headers/continuations-1-byte",
        "12 CONTINUATION",
        H2,
        |play| continuations(play, 1),
    )
    .code(EYC)
    .beside("honest/nine-continuations"),
    Case::closed(
        "headers/continuations-empty",
        "12 CONTINUATION",
        H2,
        |play| continuations(play, 0),
    )
    .code(EYC)
    .beside("honest/nine-continuations"),
    Case::closed(
        "headers/continuations-16-kib",
        "12 CONTINUATION",
        H2,
        |play| continuations(play, 16_384),
    )
    .code(EYC)
    .beside("honest/nine-continuations"),
    Case::bounded("headers/huffman-cpu", "15 CPU", H2, huffman_cpu)
        .beside("honest/large-list")
        .busy(),
    Case::refused("headers/empty-names", "10 empty", MULTIPLEXED, empty_names)
        .beside("honest/small-requests"),
    Case::refused("headers/malformed", "28 matrix S11", MULTIPLEXED, malformed)
        .beside("honest/small-requests"),
    Case::bounded("headers/second-lists", "14 second", MULTIPLEXED, |play| {
        // HTTP/2 permits one list of trailers, at the end; SPDY permits HEADERS in between.
        second_lists(play, Fin::More, &[field("x-a", "b")])
    })
    .beside("honest/trailers")
    .busy(),
    Case::closed("headers/second-heads", "3 28 second", MULTIPLEXED, |play| {
        // Interim responses, as only a server may send them.
        second_lists(play, Fin::More, &[field(":status", "103")])
    })
    .beside("honest/trailers")
    .busy(),
    Case::bounded(
        "headers/trailers-unread",
        "14 trailers",
        MULTIPLEXED,
        |play| second_lists(play, Fin::End, &small_fields(1)),
    )
    .beside("honest/trailers")
    .busy(),
    Case::refused("headers/every-type", "21 unknown-types", H2, every_type)
        .beside("honest/small-requests"),
];

/// A header list of `size` bytes that no table shortens.
fn large_list(size: usize, salt: usize) -> Vec<Field> {
    (0..size / 4_000)
        .map(|number| {
            let value: Vec<u8> = (0..3_900_usize)
                .map(|at| (at * 7 + number + salt * 13 + at / 16) % 16)
                .map(|at| b"abcdefghijklmnop".get(at).copied().unwrap_or(b'x'))
                .collect();
            field(format!("x-{number}"), value)
        })
        .collect()
}

/// As many fields as there may be, near the limit of their size.
fn small_fields(salt: usize) -> Vec<Field> {
    (0..900)
        .map(|number| {
            let value = format!("{salt:06}-value-of-a-field-{number}");
            field(format!("x-{number}"), value)
        })
        .collect()
}

/// Header lists near both limits on every stream, whose handlers sleep.
fn lists_held(play: &mut Play<'_>) -> Played {
    let mut peer = play.connect()?;
    for stream in 0..100 {
        peer.request("GET", "/sleep/60000", Fin::End, &small_fields(stream));
    }
    peer.flush();
    peer.wait(Duration::from_secs(1), |_| false);
    Ok(vec![peer])
}

/// The same in trailers of uploads that no handler reads, whose header lists are as
/// large.
fn trailers_held(play: &mut Play<'_>) -> Played {
    let mut peer = play.connect()?;
    for stream in 0..100 {
        let id = peer.request("POST", "/unread", Fin::More, &small_fields(stream));
        let list = small_fields(stream);
        peer.wire.head(id, Start::Trailers, Fin::End, &list);
        peer.flush_batch();
    }
    peer.flush();
    peer.wait(Duration::from_secs(1), |_| false);
    Ok(vec![peer])
}

/// A GET by static references alone; `rest` follows.
fn block(rest: &[u8]) -> Vec<u8> {
    // :method GET, :scheme http, :authority v, :path /sleep/60000
    let mut block = b"\x82\x86\x01\x01v\x04\x0c/sleep/60000".to_vec();
    block.extend_from_slice(rest);
    block
}

/// 950 fields of one byte each on the wire, on every stream.
fn references_held(play: &mut Play<'_>) -> Played {
    let mut peer = play.connect()?;
    let fields: Vec<Field> = (0..950).map(|n| field(format!("{n}"), "")).collect();
    for stream in 0..100 {
        let id = peer.next_id();
        if play.dialect == Dialect::Http2 {
            // `a` with an empty value goes into the table once.
            let mut rest = if stream == 0 {
                b"\x40\x01a\x00".to_vec()
            } else {
                Vec::new()
            };
            rest.extend_from_slice(&[0xbe; 950]);
            peer.wire.http2_frame(Kind::HEADERS, 0x5, id, &block(&rest));
        } else {
            let start = Start::Request {
                method: "GET",
                path: "/sleep/60000",
            };
            // Empty values are of SPDY/3 alone.
            let list: Vec<Field> = match play.dialect {
                Dialect::Spdy2 => fields.iter().map(|f| field(&f.name, "1")).collect(),
                _ => fields.clone(),
            };
            peer.wire.head(id, start, Fin::End, &list);
        }
        peer.opened.push(id);
        peer.flush_batch();
    }
    peer.flush();
    peer.wait(Duration::from_secs(1), |_| false);
    Ok(vec![peer])
}

/// 900 crumbs of a cookie by reference, on every stream.
fn cookie_crumbs(play: &mut Play<'_>) -> Played {
    let mut peer = play.connect()?;
    for stream in 0..100 {
        let id = peer.next_id();
        // cookie (name 32 of the static table): a=1, indexed once.
        let mut rest = if stream == 0 {
            b"\x60\x03a=1".to_vec()
        } else {
            Vec::new()
        };
        rest.extend_from_slice(&[0xbe; 900]);
        peer.wire.http2_frame(Kind::HEADERS, 0x5, id, &block(&rest));
        peer.opened.push(id);
    }
    peer.flush();
    peer.wait(Duration::from_secs(1), |_| false);
    Ok(vec![peer])
}

/// One entry of 4,000 bytes, and 16,000 references to it.
fn hpack_bomb(play: &mut Play<'_>) -> Played {
    let mut peer = play.connect()?;
    for stream in 0..50 {
        let id = peer.next_id();
        let mut rest = Vec::new();
        if stream == 0 {
            rest.extend_from_slice(b"\x40\x01a\x7f\xa1\x1e");
            rest.extend_from_slice(&[b'x'; 4_000]);
        }
        rest.extend_from_slice(&[0xbe; 12_000]);
        peer.wire.http2_frame(Kind::HEADERS, 0x5, id, &block(&rest));
        peer.opened.push(id);
    }
    peer.flush();
    Ok(vec![peer])
}

/// Two fields of 16,000 values of one byte.
fn many_values() -> Vec<Field> {
    ["x-a", "x-b"]
        .map(|name| Field {
            name: name.as_bytes().to_vec(),
            values: vec![b"x".to_vec(); 16_000],
        })
        .to_vec()
}

fn nul_joined_held(play: &mut Play<'_>) -> Played {
    let mut peer = play.connect()?;
    let fields = many_values();
    for _ in 0..100 {
        peer.request("GET", "/sleep/60000", Fin::End, &fields);
    }
    peer.flush();
    peer.wait(Duration::from_secs(2), |_| false);
    Ok(vec![peer])
}

fn nul_joined_cpu(play: &mut Play<'_>) -> Played {
    let mut peer = play.connect()?;
    let fields = many_values();
    for _ in 0..play.small_or(300, 3_000) {
        let id = peer.request("GET", "/", Fin::End, &fields);
        peer.flush();
        if !peer.wait(Duration::from_secs(3), |seen| seen.is_over(id)) {
            break;
        }
    }
    Ok(vec![peer])
}

/// A value of one megabyte of zeros.
fn zlib_bomb(play: &mut Play<'_>) -> Played {
    let mut peer = play.connect()?;
    // SPDY/2 has 16 bits for a length: many names there.
    let fields: Vec<Field> = match play.dialect {
        Dialect::Spdy2 => (0..16)
            .map(|n| field(format!("x{n}"), vec![b'0'; 65_000]))
            .collect(),
        _ => vec![field("x", vec![b'0'; 1 << 20])],
    };
    for _ in 0..20 {
        peer.request("GET", "/", Fin::End, &fields);
    }
    peer.flush();
    Ok(vec![peer])
}

/// HEADERS without END_HEADERS, then CONTINUATION frames without an end.
fn continuations(play: &mut Play<'_>, length: usize) -> Played {
    let mut peer = play.connect()?;
    peer.wire.http2_frame(Kind::HEADERS, 0x1, 1, b"\x82");
    // A new-name literal without indexing whose strings never end... one field
    // at a time: `a` with a value that fills the frame.
    let mut fragment = Vec::new();
    while fragment.len() < length {
        fragment.extend_from_slice(b"\x00\x01a\x01b");
    }
    fragment.truncate(length);
    for _ in 0..play.small_or(2_000, 100_000) {
        peer.wire.http2_frame(Kind::CONTINUATION, 0, 1, &fragment);
        if peer.wire.out.len() >= 32 << 10 && !peer.flush() {
            break;
        }
    }
    peer.flush();
    Ok(vec![peer])
}

/// Lists of 60 KiB of Huffman code, refused by nothing.
fn huffman_cpu(play: &mut Play<'_>) -> Played {
    let mut peer = play.connect()?;
    for round in 0..play.small_or(60, 600) {
        let id = peer.request("GET", "/", Fin::End, &large_list(56_000, round));
        peer.flush();
        if !peer.wait(Duration::from_secs(3), |seen| seen.is_over(id)) {
            break;
        }
    }
    Ok(vec![peer])
}

fn empty_names(play: &mut Play<'_>) -> Played {
    let mut peer = play.connect()?;
    let fields = vec![field("", ""); 100];
    for _ in 0..20 {
        peer.request("GET", "/", Fin::End, &fields);
    }
    peer.flush();
    Ok(vec![peer])
}

/// Header lists that no handler may see. Each on a connection of its own.
fn malformed(play: &mut Play<'_>) -> Played {
    let mut peers = Vec::new();
    let bad: &[(&str, Vec<u8>)] = &[
        ("Upper", b"1".to_vec()),
        ("a b", b"1".to_vec()),
        ("a\x7f", b"1".to_vec()),
        ("a\u{e9}", b"1".to_vec()),
        ("x:y", b"1".to_vec()),
        ("x", b"a\r\nb: c".to_vec()),
        ("x", b"a\nb".to_vec()),
        ("connection", b"close".to_vec()),
        ("keep-alive", b"1".to_vec()),
        ("proxy-connection", b"close".to_vec()),
        ("transfer-encoding", b"chunked".to_vec()),
        ("upgrade", b"h2c".to_vec()),
        ("content-length", b"+1".to_vec()),
        ("content-length", b"x".to_vec()),
    ];
    let own: &[(&str, Vec<u8>)] = match play.dialect {
        Dialect::Http2 => &[
            ("x", b"a\0b".to_vec()),
            ("x", b" a".to_vec()),
            ("x", b"a ".to_vec()),
            ("te", b"gzip".to_vec()),
            (":method", b"GET".to_vec()),
            (":unknown", b"1".to_vec()),
            (":status", b"200".to_vec()),
            (":protocol", b"websocket".to_vec()),
        ],
        // An empty segment between two values.
        _ => &[("x", b"a\0\0b".to_vec()), ("x", b"\0".to_vec())],
    };
    // The drafts forbid none of these; a bridge to HTTP/1.1 does not repeat them.
    let is_spdy = play.dialect != Dialect::Http2;
    let of_http1 = [
        "upgrade",
        "connection",
        "keep-alive",
        "proxy-connection",
        "transfer-encoding",
    ];
    let mut taken = Vec::new();
    for (name, value) in bad.iter().chain(own) {
        let mut peer = play.connect()?;
        let id = peer.request("POST", "/ignore", Fin::End, &[field(name, value)]);
        peer.flush();
        peer.wait(Duration::from_secs(2), |seen| {
            seen.is_over(id) || !seen.go_aways.is_empty()
        });
        let is_refused = peer.seen().first_reaction.is_some() || peer.is_closed();
        if is_refused {
            peers.push(peer);
        } else if is_spdy && of_http1.contains(name) {
            play.leave(peer);
        } else {
            taken.push(format!(
                "{name}: {}",
                String::from_utf8_lossy(value).escape_debug()
            ));
            peers.push(peer);
        }
    }
    if !taken.is_empty() {
        play.fail(format!("taken: {}", taken.join(" | ")));
    }
    Ok(peers)
}

/// Every frame type, on no stream, an open one and a closed one.
fn every_type(play: &mut Play<'_>) -> Played {
    let mut last = None;
    for kind in 0..=u8::MAX {
        for (id, payload) in [
            (0, &b""[..]),
            (1, b"12345678"),
            (3, b"\0\0\0\0\0"),
            (2, b"1234"),
        ] {
            let mut peer = play.connect_as(Manners::Mute)?;
            peer.post("/sleep/100");
            peer.wire
                .http2_frame(Kind(kind), kind.rotate_left(3), id, payload);
            peer.wire.http2_frame(Kind(kind), 0, id, payload);
            peer.flush();
            if kind == 0 && id == 0 {
                last = Some(peer);
            } else {
                play.leave(peer);
            }
            if play.size == crate::attack::play::Size::Small && id == 0 && kind > 0x20 {
                break;
            }
        }
    }
    Ok(last.into_iter().collect())
}

/// Uploads that get header lists after their first one, on streams that are opened without end.
fn second_lists(play: &mut Play<'_>, fin: Fin, list: &[Field]) -> Played {
    let mut peer = play.connect()?;
    let end = Instant::now() + play.flood_time();
    let mut count = 0_u32;
    while Instant::now() < end && peer.seen().closed.is_none() {
        let id = peer.post("/ignore");
        for _ in 0..if fin == Fin::End { 1 } else { 10 } {
            peer.wire.head(id, Start::Trailers, fin, list);
            count += 1;
        }
        peer.opened.clear();
        peer.flush_within(Duration::from_millis(100));
    }
    play.note(format!("{count} lists"));
    peer.flush_within(Duration::from_millis(100));
    Ok(vec![peer])
}
