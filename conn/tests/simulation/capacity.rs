//! The cap of a connection over all that it holds. Traffic that fills several parts at
//! once stays below it. Traffic that fills one meets the limit of that part alone.

use bytes::Bytes;
use http::StatusCode;
use lacewing_conn::{
    Limits, Side, Version,
    proto::{Config, Event, Head, Pressure, Rule, StreamKey},
};

use crate::{
    hostile::{Peer, Victim},
    pair::every_version,
};

const MIB: usize = 1 << 20;

fn server(version: Version, change: impl FnOnce(&mut Limits)) -> (Victim, Peer) {
    let mut victim = Victim::with(Config::new(version, Side::Server).with(|config| {
        config.limits.idle_timeout = None;
        config.limits.max_silence = None;
        change(&mut config.limits);
    }));
    let mut peer = Peer::new(version, Side::Client);
    peer.initial_window(0);
    victim.grant(&mut peer);
    victim.events.clear();
    (victim, peer)
}

fn opened(victim: &Victim) -> Vec<StreamKey> {
    let opened = victim.events.iter().filter_map(|event| match event {
        Event::Opened { stream, .. } => Some(*stream),
        _ => None,
    });
    opened.collect()
}

/// Opens uploads with header lists of about 20 KiB as they are built.
fn open(victim: &mut Victim, peer: &mut Peer, ids: impl Iterator<Item = u32>) {
    let names: Vec<_> = (0..150).map(|n| format!("x-{n:03}")).collect();
    let fields: Vec<_> = names.iter().map(|name| (&name[..], "v")).collect();
    for id in ids {
        peer.request_of("POST", id, false, &fields);
    }
    victim.take_unread(peer);
}

/// Replies with a piece of data, which waits for a window or the transport.
fn reply(victim: &mut Victim, stream: StreamKey) {
    let mut handle = victim.stream(stream);
    let head = Head::response(StatusCode::OK);
    handle.reply(head, false).unwrap();
    handle
        .send_data(Bytes::from(vec![7; 64 << 10]), false)
        .unwrap();
}

/// Sends so much content on each of these streams, which is not read. Returns the most
/// that the connection held.
fn fill(victim: &mut Victim, peer: &mut Peer, ids: &[u32], frames: usize) -> usize {
    let mut peak = 0;
    for _ in 0..frames {
        for &id in ids {
            peer.data(id, &[7; 16_000], false);
            victim.take_unread(peer);
            let _ = victim.engine.poll_transmit(victim.now);
            peak = peak.max(victim.engine.held_bytes());
        }
    }
    peak
}

/// The texts of the errors with this rule.
fn errors(victim: &Victim, rule: Rule) -> Vec<String> {
    let errors = victim.events.iter().filter_map(|event| match event {
        Event::Refused { error, .. } | Event::Reset { error, .. } | Event::Closed { error } => {
            (error.rule() == Some(rule)).then(|| error.to_string())
        }
        _ => None,
    });
    errors.collect()
}

#[test]
fn an_attack_on_several_parts_stays_below_the_cap() {
    every_version(|version| {
        let (mut victim, mut peer) = server(version, |_| {});
        open(&mut victim, &mut peer, (0..90).map(|n| 2 * n + 1));
        let streams = opened(&victim);
        assert!(streams.len() > 80, "{version}: {}", streams.len());
        for stream in &streams[..8] {
            reply(&mut victim, *stream);
        }
        let ids: Vec<_> = streams.iter().map(|stream| stream.id().value()).collect();
        let mut peak = 0;
        for round in 0..4 {
            peak = peak.max(fill(&mut victim, &mut peer, &ids, 1));
            let more = 181 + 4 * round;
            open(&mut victim, &mut peer, [more, more + 2].into_iter());
            peak = peak.max(victim.engine.held_bytes());
        }
        // The rest is for what the engine does not see.
        assert!(peak > 6 * MIB, "{version}: {peak}");
        assert!(peak <= 7 * MIB, "{version}: {peak}");

        let refused = errors(&victim, Rule::StreamOverBudget);
        let shed = errors(&victim, Rule::OverBudget);
        let closed = errors(&victim, Rule::ConnectionOverBudget);
        let answered = !(refused.is_empty() && shed.is_empty() && closed.is_empty());
        assert!(answered, "{version}");
        for text in refused.iter().chain(&shed).chain(&closed) {
            assert!(text.contains("max_connection_bytes"), "{version}: {text}");
            assert!(text.contains("of 8388608 bytes"), "{version}: {text}");
        }
    });
}

/// From 51/64 on, a new stream is refused: the client tries again later.
#[test]
fn a_connection_that_is_nearly_full_takes_no_new_stream() {
    every_version(|version| {
        let (mut victim, mut peer) = server(version, |limits| {
            limits.max_connection_bytes = 3 * MIB;
        });
        let ids = [1, 3, 5, 7];
        open(&mut victim, &mut peer, ids.into_iter());
        for id in ids.into_iter().cycle().take(200) {
            if victim.engine.held_bytes() >= 3 * MIB / 64 * 51 {
                break;
            }
            fill(&mut victim, &mut peer, &[id], 1);
        }
        assert!(victim.engine.is_nearly_full(), "{version}");
        victim.events.clear();
        peer.request(9, true, &[]);
        victim.take_unread(&mut peer);
        let refused = errors(&victim, Rule::StreamOverBudget);
        assert_eq!(refused.len(), 1, "{version}: {:?}", victim.events);
        assert!(refused[0].contains("max_connection_bytes"), "{version}");
        assert_eq!(opened(&victim), [], "{version}");
        assert!(!victim.engine.is_closed(), "{version}");
    });
}

/// Content of streams that are gone counts while the user holds it.
#[test]
fn content_of_streams_that_are_gone_counts() {
    every_version(|version| {
        let (mut victim, mut peer) = server(version, |limits| {
            limits.max_connection_bytes = 3 * MIB;
        });
        victim.engine.set_detached_bytes(3 * MIB / 64 * 51);
        assert!(victim.engine.is_nearly_full(), "{version}");
        peer.request(1, true, &[]);
        victim.take_unread(&mut peer);
        let refused = errors(&victim, Rule::StreamOverBudget);
        assert_eq!(refused.len(), 1, "{version}: {:?}", victim.events);
        victim.engine.set_detached_bytes(0);
        peer.request(3, true, &[]);
        victim.take_unread(&mut peer);
        assert_eq!(opened(&victim).len(), 1, "{version}");
    });
}

/// A new stream that is refused since the process runs short: the limit is that of the process.
#[test]
fn a_refusal_under_pressure_names_the_budget_of_the_process() {
    every_version(|version| {
        let (mut victim, mut peer) = server(version, |_| {});
        victim.engine.set_pressure(Pressure::Critical);
        peer.request(1, true, &[]);
        victim.take_unread(&mut peer);
        let refused = errors(&victim, Rule::StreamOverBudget);
        assert_eq!(refused.len(), 1, "{version}: {:?}", victim.events);
        assert!(refused[0].contains("memory_budget"), "{}", refused[0]);
        let steps = victim.engine.take_memory_steps().unwrap();
        assert_eq!((steps.refused_under_pressure, steps.refused), (1, 0));
        assert_eq!(victim.engine.take_memory_steps(), None);
    });
}

/// Streams that stand still end, the costliest first, and the others go on.
#[test]
fn streams_that_stand_still_make_room() {
    every_version(|version| {
        let (mut victim, mut peer) = server(version, |limits| {
            limits.max_connection_bytes = 3 * MIB;
        });
        open(&mut victim, &mut peer, (0..20).map(|n| 2 * n + 1));
        let streams = opened(&victim);
        for stream in &streams[..8] {
            reply(&mut victim, *stream);
        }
        let ids: Vec<_> = streams.iter().map(|stream| stream.id().value()).collect();
        let peak = fill(&mut victim, &mut peer, &ids, 7);
        assert!(peak <= 3 * MIB, "{version}: {peak}");
        let shed = errors(&victim, Rule::OverBudget);
        assert!(!shed.is_empty(), "{version}");
        assert!(shed[0].contains("max_connection_bytes"), "{}", shed[0]);
        assert!(!victim.engine.is_closed(), "{version}");
    });
}

/// Nothing stands still that could make room: the connection ends, and says why.
#[test]
fn a_connection_that_is_full_ends() {
    every_version(|version| {
        let (mut victim, mut peer) = server(version, |limits| {
            limits.max_connection_bytes = 3 * MIB;
        });
        open(&mut victim, &mut peer, (0..20).map(|n| 2 * n + 1));
        victim.flush();
        let ids: Vec<_> = (0..20).map(|n| 2 * n + 1).collect();
        let peak = fill(&mut victim, &mut peer, &ids, 10);
        assert!(peak <= 3 * MIB, "{version}: {peak}");
        let closed = errors(&victim, Rule::ConnectionOverBudget);
        assert!(!closed.is_empty(), "{version}");
        assert!(closed[0].contains("max_connection_bytes"), "{}", closed[0]);
        assert!(victim.engine.is_closed(), "{version}");
        let output = victim.flush();
        let text = b"max_connection_bytes";
        let named = output.windows(text.len()).any(|bytes| bytes == text);
        assert_eq!(named, version == Version::Http2, "{version}");
    });
}

/// All content, unsent data and output that the other limits permit: no step.
#[test]
fn the_parts_at_their_limits_are_below_the_first_step() {
    every_version(|version| {
        let (mut victim, mut peer) = server(version, |_| {});
        for n in 0..16 {
            peer.request_of("POST", 2 * n + 1, false, &[]);
        }
        victim.take_unread(&mut peer);
        let streams = opened(&victim);
        for stream in &streams[..8] {
            reply(&mut victim, *stream);
        }
        let ids: Vec<_> = streams.iter().map(|stream| stream.id().value()).collect();
        let peak = fill(&mut victim, &mut peer, &ids, 21);
        assert!(peak > 11 * MIB / 2, "{version}: {peak}");
        assert!(!victim.engine.is_nearly_full(), "{version}: {peak}");
        victim.events.clear();
        for stream in streams {
            victim.stream(stream).release(21 * 16_000);
        }
        peer.request(101, true, &[]);
        victim.take_unread(&mut peer);
        assert_eq!(opened(&victim).len(), 1, "{version}");
        assert!(!victim.engine.is_closed(), "{version}");
    });
}

/// A server for backups grants more content, and sets nothing else.
#[test]
fn larger_limits_of_a_part_raise_the_cap() {
    every_version(|version| {
        let (mut victim, mut peer) = server(version, |limits| {
            limits.max_buffered_bytes = 32 * MIB;
            limits.connection_window = 24 << 20;
            limits.stream_window = 12 << 20;
        });
        peer.request_of("POST", 1, false, &[]);
        peer.request_of("POST", 3, false, &[]);
        let peak = fill(&mut victim, &mut peer, &[1, 3], 700);
        assert!(peak > 20 * MIB, "{version}: {peak}");
        assert!(!victim.engine.is_nearly_full(), "{version}");
        assert!(!victim.engine.is_closed(), "{version}");
        let steps = [Rule::StreamOverBudget, Rule::OverBudget];
        assert!(steps.iter().all(|rule| errors(&victim, *rule).is_empty()));
    });
}

/// A body that the user hands over in one piece is the user's memory.
#[test]
fn a_large_body_in_one_piece_does_not_count() {
    every_version(|version| {
        let (mut victim, mut peer) = server(version, |_| {});
        peer.request(1, true, &[]);
        victim.take_unread(&mut peer);
        let stream = opened(&victim)[0];
        let mut handle = victim.stream(stream);
        handle.reply(Head::response(StatusCode::OK), false).unwrap();
        let body = Bytes::from(vec![7; 50 * MIB]);
        handle.send_data(body, true).unwrap();
        let _ = victim.engine.poll_transmit(victim.now);
        peer.request(3, true, &[]);
        victim.take_unread(&mut peer);
        assert_eq!(opened(&victim).len(), 2, "{version}");
        assert!(!victim.engine.is_nearly_full(), "{version}");
        assert!(!victim.engine.is_closed(), "{version}");
    });
}
