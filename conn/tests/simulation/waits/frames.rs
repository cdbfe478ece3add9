//! Incomplete frames, on slow paths and by slow attackers.

use http::Method;
use lacewing_conn::{
    Side, Version,
    proto::{Event, Head, OpenOptions, Rule},
};

use super::*;
use crate::{
    hostile::{Peer, Victim},
    pair::every_version,
};

/// The start of an incomplete frame: a DATA frame or a header list.
fn begun(peer: &mut Peer, data: bool) -> Vec<u8> {
    let before = peer.bytes.len();
    if data {
        peer.data(1, &[7; 16_000], true);
    } else {
        let long = "v".repeat(4_000);
        let id = if peer.side == Side::Client { 3 } else { 1 };
        if peer.side == Side::Client {
            peer.request(id, true, &[("x-long", &long)]);
        } else {
            let fields: Vec<_> = peer
                .ok()
                .iter()
                .chain(&[("x-long", &*long)])
                .copied()
                .collect();
            peer.reply(id, true, &fields);
        }
    }
    peer.bytes.split_off(before).to_vec()
}

/// Both sides with stream 1 open, about to receive the slow frame.
fn frame_victim(version: Version, side: Side, data: bool) -> (Victim, Vec<u8>) {
    let mut victim = Victim::new(version, side);
    let peer_side = match side {
        Side::Server => Side::Client,
        Side::Client => Side::Server,
    };
    let mut peer = Peer::new(version, peer_side);
    peer.settings_ack();
    if side == Side::Server {
        peer.request(1, !data, &[]);
    } else {
        let head = Head::request(Method::GET, "https://example.org/".parse().unwrap());
        let options = OpenOptions::without_content();
        victim.engine.open(victim.now, head, options).unwrap();
        victim.flush();
        if data {
            let ok = peer.ok();
            peer.reply(1, false, ok);
        }
        peer.settings();
    }
    victim.take(&mut peer);
    drain(&mut victim);
    let frame = begun(&mut peer, data);
    (victim, frame)
}

#[test]
fn a_frame_that_drips_ends_the_connection() {
    every_version(|version| {
        for side in [Side::Server, Side::Client] {
            for data in [false, true] {
                let what = format!("{version} {side:?} data: {data}");
                // Half of the frame and nothing more; or one byte per second.
                for drip in [false, true] {
                    let (mut victim, frame) = frame_victim(version, side, data);
                    let (half, rest) = frame.split_at(frame.len() / 2);
                    victim.take_bytes(half);
                    let mut rest = rest.iter();
                    for _ in 0..29 {
                        pass(&mut victim, SECOND);
                        if drip {
                            victim.take_bytes(&[*rest.next().unwrap()]);
                        }
                        assert_eq!(closed(&victim), None, "{what}");
                    }
                    pass(&mut victim, SECOND * 2);
                    assert_eq!(closed(&victim), Some(Rule::FrameTimeout), "{what}");
                    let Some(Event::Closed { error }) = victim.events.last() else {
                        panic!("{what}: {:?}", victim.events);
                    };
                    let text = error.to_string();
                    assert!(text.contains("frame_timeout (30s)"), "{text}");
                }
            }
        }
    });
}

/// 16 KB at 2 kB/s, at 300 B/s, and with a pause of 25 s.
#[test]
fn a_frame_on_a_slow_path_is_received() {
    every_version(|version| {
        for side in [Side::Server, Side::Client] {
            for data in [false, true] {
                for (piece, every) in [(2_000, 1), (300, 1), (12_500, 25)] {
                    let (mut victim, frame) = frame_victim(version, side, data);
                    for piece in frame.chunks(piece) {
                        pass(&mut victim, SECOND * every);
                        victim.take_bytes(piece);
                    }
                    assert_eq!(closed(&victim), None, "{version} {side:?} {data}");
                    let arrived = victim.events.iter().any(|event| {
                        matches!(
                            event,
                            Event::Data { fin: true, .. }
                                | Event::Opened { fin: true, .. }
                                | Event::Reply { fin: true, .. }
                        )
                    });
                    assert!(arrived, "{version} {side:?} {data}");
                }
            }
        }
    });
}

/// Our side runs late after the deadline: it first reads the input that arrived meanwhile.
#[test]
fn our_own_lateness_is_not_the_peers() {
    every_version(|version| {
        let (mut victim, frame) = frame_victim(version, Side::Server, true);
        let (half, rest) = frame.split_at(frame.len() / 2);
        victim.take_bytes(half);
        victim.now += MINUTE * 10;
        victim.engine.handle_timeout(victim.now);
        victim.take_bytes(rest);
        pass(&mut victim, MINUTE);
        assert_eq!(closed(&victim), None, "{version}");
        assert_eq!(resets(&victim).len(), 0, "{version}");
    });
}
