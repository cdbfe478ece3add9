//! The state of streams at one moment, and the causes for which their data waits.

use lacewing_conn::{
    Side, Version,
    proto::{StreamStall, StreamStats, Transmit},
};

use crate::pair::{Body, Pair, content, every_version};

fn stalled(pair: &Pair) -> Option<StreamStall> {
    let streams = pair.server.engine.stream_stats(10);
    streams.first().and_then(|stream| stream.stall)
}

/// A pair whose client grants these windows, and reads nothing.
fn small(version: Version, stream: u32, connection: u32) -> Pair {
    let mut pair = Pair::with(version, |side, config| {
        config.limits.max_stream_window = 0;
        config.limits.max_connection_window = 0;
        if connection < stream {
            // Nothing is released that is not read.
            config.limits.max_buffered_bytes = 1;
        }
        if side == Side::Client {
            config.limits.stream_window = stream;
            config.limits.connection_window = connection;
        }
    });
    pair.client.greedy = false;
    pair
}

#[test]
fn a_stream_that_is_not_read_names_its_window() {
    every_version(|version| {
        let mut pair = small(version, 70_000, 1 << 20);
        let id = pair.get("/bytes/200000");
        pair.run();
        if version == Version::Spdy2 {
            // It has no windows.
            assert_eq!(stalled(&pair), None);
            return;
        }
        assert_eq!(stalled(&pair), Some(StreamStall::StreamWindow), "{version}");
        let streams = pair.server.engine.stream_stats(10);
        let [stream] = &streams[..] else {
            panic!("{version}: {streams:?}");
        };
        assert!(stream.is_of_peer && stream.id().value() == id);
        assert_eq!((stream.sent, stream.send_window), (70_000, Some(0)));
        let client = pair.client.engine.stream_stats(10);
        assert_eq!(client[0].unread, 70_000);
        assert_eq!(client[0].receive_window, Some(70_000));
        assert_eq!(client[0].stall, Some(StreamStall::Reader), "{version}");
        pair.client.greedy = true;
        for _ in 0..100 {
            pair.client.release_all(pair.now);
            pair.run();
        }
        assert_eq!(pair.response(id).body.len(), 200_000);
        assert_eq!(pair.server.engine.stream_stats(10), []);
    });
}

#[test]
fn the_connections_window_is_a_cause_of_its_own() {
    for version in [Version::Http2, Version::Spdy31] {
        let mut pair = small(version, 200_000, 65_536);
        pair.get("/bytes/200000");
        pair.run();
        assert_eq!(
            stalled(&pair),
            Some(StreamStall::ConnectionWindow),
            "{version}"
        );
    }
}

#[test]
fn output_that_the_transport_leaves_is_a_cause() {
    every_version(|version| {
        let mut pair = Pair::new(version);
        pair.get("/bytes/1");
        pair.run();
        let id = pair.post("/never/", Body::of(1 << 20));
        let (now, key) = (pair.now, pair.client.keys[&id]);
        let mut stream = pair.client.engine.stream(now, key);
        stream.send_data(content(1 << 20), true).unwrap();
        // The client cuts what it may, and nothing is written.
        assert_eq!(pair.client.engine.poll_transmit(now), Transmit::Write);
        let streams = pair.client.engine.stream_stats(1);
        let state: &StreamStats = &streams[0];
        assert_eq!(state.stream, key);
        assert!(!state.is_of_peer && state.sent > 0, "{version}");
        assert_eq!(state.stall, Some(StreamStall::Transport), "{version}");
    });
}

#[test]
fn the_newest_streams_are_shown_if_there_are_too_many() {
    every_version(|version| {
        let mut pair = Pair::new(version);
        for _ in 0..5 {
            pair.get("/never/");
        }
        pair.run();
        let ids = |most| {
            let streams = pair.server.engine.stream_stats(most);
            streams.iter().map(|stream| stream.id().value()).collect()
        };
        let shown: Vec<u32> = ids(2);
        assert_eq!(shown, [7, 9], "{version}");
    });
}
