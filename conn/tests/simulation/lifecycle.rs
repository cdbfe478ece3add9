//! The ends of connections.

use std::time::Duration;

use http::StatusCode;
use lacewing_conn::{
    Initiator, Reason, Version,
    proto::{Head, OpenError},
};

use crate::pair::{Body, Pair, content, every_version};

#[test]
fn pings_are_answered_and_timed() {
    every_version(|version| {
        let mut pair = Pair::new(version);
        pair.client.engine.ping(pair.now);
        pair.server.engine.ping(pair.now);
        pair.now += Duration::from_millis(30);
        pair.run();
        assert_eq!(pair.client.pongs, [Duration::from_millis(30)]);
        assert_eq!(pair.server.pongs, [Duration::from_millis(30)]);
        pair.client.engine.ping(pair.now);
        pair.run();
        assert_eq!(pair.client.pongs.len(), 2);
        pair.assert_quiescent();
    });
}

#[test]
fn a_graceful_shutdown_finishes_accepted_streams() {
    every_version(|version| {
        let mut pair = Pair::new(version);
        let running = pair.get("/never/");
        let large = pair.get("/bytes/300000");
        pair.run();
        // In flight when the server starts its shutdown.
        let late = pair.post("/echo/", Body::of(1_000));
        pair.server.engine.shutdown(pair.now);
        pair.run();
        assert!(pair.client.engine.is_shutting_down());
        assert!(matches!(
            pair.try_open(http::Method::GET, "/", None),
            Err(OpenError::ShuttingDown)
        ));
        assert_eq!(pair.response(large).body, content(300_000));
        if version == Version::Http2 {
            // Two GOAWAYs: the first one still accepted the late request.
            assert_eq!(pair.server.monitor.go_aways, 2);
            assert_eq!(pair.response(late).body, content(1_000));
        } else {
            assert_eq!(pair.server.monitor.go_aways, 1);
            assert!(pair.client.errors[&late].is_retryable());
        }
        assert!(!pair.server.engine.is_closed());
        let key = pair.server.keys[&running];
        pair.server_stream(key)
            .reply(Head::response(StatusCode::OK), true)
            .unwrap();
        pair.run();
        assert_eq!(pair.response(running).status, Some(StatusCode::OK));
        assert!(pair.server.engine.is_closed() && pair.client.engine.is_closed());
        assert!(
            pair.server.closed.is_none() && pair.client.closed.is_none(),
            "no error"
        );
    });
}

#[test]
fn a_shutdown_does_not_wait_for_ever() {
    every_version(|version| {
        let mut pair = Pair::new(version);
        let stuck = pair.get("/never/");
        pair.run();
        pair.server.engine.shutdown(pair.now);
        pair.run();
        pair.sleep(Duration::from_secs(29));
        assert!(!pair.server.engine.is_closed());
        pair.sleep(Duration::from_secs(2));
        assert!(pair.server.engine.is_closed());
        let error = pair.server.closed.as_ref().unwrap();
        assert!(error.to_string().contains("drain_timeout"), "{error}");
        assert!(pair.server.errors.contains_key(&stuck));
    });
}

#[test]
fn an_idle_connection_shuts_down_at_once() {
    every_version(|version| {
        for client_goes in [true, false] {
            let mut pair = Pair::new(version);
            pair.run();
            let node = if client_goes {
                &mut pair.client
            } else {
                &mut pair.server
            };
            node.engine.shutdown(pair.now);
            pair.run();
            assert!(pair.client.engine.is_closed() && pair.server.engine.is_closed());
            assert!(pair.client.closed.is_none() && pair.server.closed.is_none());
            pair.assert_quiescent();
        }
    });
}

#[test]
fn an_abort_ends_every_stream_with_one_error() {
    every_version(|version| {
        let mut pair = Pair::new(version);
        let streams = [pair.get("/never/"), pair.get("/never/")];
        pair.run();
        pair.server
            .engine
            .abort(pair.now, Reason::InternalError, "a test");
        pair.run();
        for stream in streams {
            assert!(pair.server.errors[&stream].is_connection());
            assert_eq!(pair.server.errors[&stream].initiator(), Initiator::User);
        }
        assert_eq!(pair.server.monitor.go_aways, 1);
        let reason = match version {
            Version::Spdy2 => Reason::NoError,
            _ => Reason::InternalError,
        };
        assert_eq!(pair.client.go_away, Some(reason));
        pair.client.engine.handle_eof(pair.now);
        pair.run();
        let error = pair.client.closed.as_ref().unwrap();
        assert_eq!(error.initiator(), Initiator::Peer);
        pair.assert_quiescent();
    });
}

/// The peer disappears after any number of bytes of an exchange.
#[test]
fn a_peer_that_disappears_leaves_nothing_behind() {
    use bytes::Buf;
    every_version(|version| {
        let mut total = 0;
        for after in 0..100_000 {
            let mut pair = Pair::new(version);
            let stream = pair.post("/echo/", Body::of(300).with_trailers());
            while pair.client.engine.poll_transmit(pair.now) != lacewing_conn::proto::Transmit::Idle
            {
                // The only source gives all data at once.
                pair.client_stream(pair.client.keys[&stream])
                    .send_data(content(300), true)
                    .unwrap();
            }
            let output = pair.client.engine.output();
            total = total.max(output.len());
            let len = output.len().min(after);
            let whole = len == output.len();
            let bytes = output.copy_to_bytes(len);
            pair.server.input.extend_from_slice(&bytes);
            let mut opened = false;
            let mut closed = false;
            let mut reset = false;
            for round in 0..2 {
                if round == 1 {
                    pair.server.engine.handle_eof(pair.now);
                }
                while let Some(event) = pair
                    .server
                    .engine
                    .poll_event(pair.now, &mut pair.server.input)
                {
                    match event {
                        lacewing_conn::proto::Event::Opened { .. } => opened = true,
                        lacewing_conn::proto::Event::Reset { .. } => reset = true,
                        lacewing_conn::proto::Event::Closed { error } => {
                            assert_eq!(error.initiator(), Initiator::Peer);
                            closed = true;
                        }
                        _ => {}
                    }
                }
            }
            if whole {
                // The request is complete: it may be answered.
                assert!(opened && !closed && !reset);
                assert_eq!(pair.server.engine.open_streams(), 1);
                break;
            }
            assert!(pair.server.engine.is_closed());
            assert_eq!(opened, closed, "an open stream's end is an error");
            assert_eq!(opened, reset);
            let stats = pair.server.engine.stats();
            assert_eq!((stats.open_streams, stats.buffered_bytes), (0, 0));
        }
        assert!(total > 300);
    });
}

/// The user receives a complete message, even if the connection ends before the user reads it.
#[test]
fn an_end_of_input_keeps_complete_messages() {
    every_version(|version| {
        let mut pair = Pair::new(version);
        pair.client.greedy = false;
        let stream = pair.get("/bytes/5000");
        pair.run();
        assert_eq!(pair.client.holds(), 5000);
        pair.client.engine.handle_eof(pair.now);
        pair.run();
        assert!(pair.client.engine.is_closed());
        assert!(pair.client.closed.is_none(), "no error");
        assert_eq!(pair.response(stream).reset, None);
        pair.client.release_all(pair.now);
        assert_eq!(pair.client.engine.stats().open_streams, 0);
    });
}
