//! Random scripts: the invariants hold for all honest actions of both sides.

use std::hash::Hasher;

use http::{Method, StatusCode};
use lacewing_conn::{Reason, Version, proto::OpenError};

use crate::{
    pair::{Body, Cut, Pair, content, every_version},
    seeds::Rng,
};

/// Also: if the connection's window is open and a sendable stream has data, every poll makes
/// progress.
#[test]
fn honest_peers_never_break_a_rule() {
    every_version(|version| {
        for seed in 0..20 {
            script(version, seed);
        }
    });
}

/// The engine reaches no clock, no randomness and no state of the process: another run of the same
/// calls gives the same bytes, even while the connection of the first run is open.
#[test]
fn equal_seeds_give_equal_bytes() {
    every_version(|version| {
        for seed in 0..5 {
            let first = script(version, seed);
            let second = script(version, seed);
            assert_eq!(first.digest.finish(), second.digest.finish(), "seed {seed}");
        }
        let other = script(version, 5);
        assert_ne!(other.digest.finish(), script(version, 6).digest.finish());
    });
}

fn script(version: Version, seed: u64) -> Pair {
    let mut rng = Rng(seed);
    let mut pair = Pair::with(version, |_, config| {
        config.limits.max_concurrent_streams = 10;
        // The cancels of a script are no attack.
        config.limits.resets.burst = 10_000;
    });
    pair.rng = Rng(seed ^ 0xabcdef);
    pair.cut = Cut::Random;
    pair.client.greedy = rng.chance(50);
    pair.server.greedy = rng.chance(50);
    let mut expected = Vec::new();
    for _ in 0..60 {
        match rng.below(10) {
            0..=4 => {
                let len = rng.below(3) * rng.below(60_000);
                let (path, method, body) = match rng.below(4) {
                    0 => (format!("/bytes/{len}"), Method::GET, None),
                    1 => (format!("/trailers/{len}"), Method::GET, None),
                    2 => ("/echo/".into(), Method::POST, Some(Body::of(len))),
                    _ => (
                        "/echo/".into(),
                        Method::POST,
                        Some(Body::of(len).with_trailers()),
                    ),
                };
                match pair.try_open(method, &path, body) {
                    Ok(stream) => expected.push((stream.id().value(), len)),
                    Err(OpenError::TooManyStreams { max: 10 | 100 }) => {}
                    Err(error) => panic!("{error}"),
                }
            }
            5 | 6 => {
                pair.step();
            }
            7 => {
                // A cancel, by either side.
                let node = if rng.chance(50) {
                    &mut pair.client
                } else {
                    &mut pair.server
                };
                let keys: Vec<_> = node.keys.values().copied().collect();
                if let Some(key) = keys.get(rng.below(keys.len().max(1))) {
                    node.engine.stream(pair.now, *key).reset(Reason::Cancel);
                    expected.retain(|(id, _)| *id != key.id().value());
                }
            }
            8 => pair.client.release_some(pair.now, &mut rng),
            _ => pair.server.release_some(pair.now, &mut rng),
        }
        pair.assert_progress();
        let accepted = pair.server.engine.open_streams();
        assert!(accepted <= 10, "{accepted} streams");
    }
    for _ in 0..10_000 {
        let moved = pair.step();
        pair.client.release_some(pair.now, &mut rng);
        pair.server.release_some(pair.now, &mut rng);
        pair.assert_progress();
        if !moved && pair.client.holds() == 0 && pair.server.holds() == 0 {
            break;
        }
    }
    assert!(
        pair.client.closed.is_none(),
        "{:?} (seed {seed})",
        pair.client.closed
    );
    assert!(
        pair.server.closed.is_none(),
        "{:?} (seed {seed})",
        pair.server.closed
    );
    for (id, len) in expected {
        let seen = pair.response(id);
        if seen.reset == Some(Reason::RefusedStream) {
            // Opened before the server's SETTINGS arrived.
            assert!(pair.client.errors[&id].is_retryable());
            continue;
        }
        assert_eq!(seen.reset, None, "stream {id}, seed {seed}");
        assert_eq!(
            seen.status,
            Some(StatusCode::OK),
            "stream {id}, seed {seed}"
        );
        assert!(
            seen.ended && seen.body == content(len),
            "stream {id}, seed {seed}"
        );
    }
    pair.assert_quiescent();
    pair.assert_alive();
    pair.assert_quiescent();
    pair
}

/// Frames of every type in any order, each valid by itself. Each leads to a transition or a
/// violation, never to a panic. After an error, the engine sends one GOAWAY and nothing more.
#[test]
fn any_sequence_of_frames_has_a_reaction() {
    every_version(|version| {
        let mut ended = 0;
        for seed in 0..1_000 {
            ended += usize::from(crate::hostile::random_frames(version, seed));
        }
        assert!(ended > 30, "the frames cause too few errors");
    });
}
