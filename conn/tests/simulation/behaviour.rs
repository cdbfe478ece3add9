//! The behaviour that users see, on all four protocols.

use std::time::Duration;

use http::{HeaderValue, Method, StatusCode};
use lacewing_conn::{
    Reason, Side, Version,
    proto::{Head, OpenError, OpenOptions, Priority, ServerPush, UsageError, VersionSource},
};

use crate::{
    hostile::Victim,
    monitor::Monitor,
    pair::{Body, Cut, Pair, Seen, content, every_version},
};

const CUTS: [Cut; 6] = [
    Cut::Whole,
    Cut::Bytes(1),
    Cut::Bytes(2),
    Cut::Bytes(7),
    Cut::Bytes(1000),
    Cut::Random,
];

#[test]
fn a_request_and_its_response() {
    every_version(|version| {
        let mut pair = Pair::new(version);
        let stream = pair.get("/bytes/11");
        pair.run();
        let request = &pair.server.seen[&stream];
        assert_eq!(
            request.request.as_deref(),
            Some("GET https://example.org/bytes/11")
        );
        assert_eq!(request.fields["user-agent"], ["simulation/1"]);
        assert_eq!(request.fields["cookie"], ["a=1; b=2"]);
        let response = pair.response(stream);
        assert_eq!(response.status, Some(StatusCode::OK));
        assert_eq!(response.fields["set-cookie"], ["a=1", "b=2"]);
        assert_eq!(response.body, content(11));
        assert!(response.ended);
        pair.assert_quiescent();
    });
}

/// One script gives one trace, for any segmentation of the bytes and any protocol.
#[test]
fn one_script_gives_one_trace() {
    let script = |version, cut| {
        let mut pair = Pair::new(version);
        pair.cut = cut;
        let mut streams = vec![
            pair.get("/"),
            pair.get("/bytes/1"),
            pair.get("/trailers/30000"),
            pair.post("/echo/", Body::of(40_000).with_trailers()),
            pair.post("/echo/", Body::of(0)),
            pair.get("/bytes/150000"),
        ];
        pair.run();
        streams.push(pair.get("/trailers/0"));
        pair.run();
        let trace: Vec<(Seen, Seen)> = streams
            .iter()
            .map(|id| (pair.client.seen[id].clone(), pair.server.seen[id].clone()))
            .collect();
        pair.assert_quiescent();
        trace
    };
    let expected = script(Version::Http2, Cut::Whole);
    assert_eq!(expected[5].0.body, content(150_000));
    assert_eq!(expected[2].0.trailers["x-checksum"], ["0123"]);
    assert_eq!(expected[3].1.trailers["x-checksum"], ["0123"]);
    every_version(|version| {
        for cut in CUTS {
            assert!(script(version, cut) == expected, "{version}, {cut:?}");
        }
    });
}

#[test]
fn bodies_larger_than_every_window_arrive_both_ways() {
    every_version(|version| {
        let mut pair = Pair::new(version);
        pair.cut = Cut::Random;
        let streams: Vec<_> = (0..3)
            .map(|_| pair.post("/echo/", Body::of(1 << 20)))
            .collect();
        pair.run();
        for stream in streams {
            assert_eq!(pair.response(stream).body, content(1 << 20));
        }
        // One update for each half of a window, not one for each frame.
        let updates = pair.client.monitor.window_updates;
        assert!(updates <= 200, "{updates} window updates");
        pair.assert_quiescent();
    });
}

/// Windows smaller than the protocol's own, and limits that no frame can express.
#[test]
fn bodies_pass_through_any_window() {
    every_version(|version| {
        for (stream_window, connection_window) in [
            (1, 1),
            (1000, 5_000),
            (20_000, 70_000),
            (u32::MAX, u32::MAX),
        ] {
            let mut pair = Pair::with(version, |_, config| {
                config.limits.stream_window = stream_window;
                config.limits.connection_window = connection_window;
                config.limits.max_frame_size = stream_window;
                // A window of one byte requires many frames.
                config.limits.glitches.burst = 1_000_000;
            });
            let len = if stream_window == 1 { 500 } else { 200_000 };
            let streams = [
                pair.post("/echo/", Body::of(len)),
                pair.post("/echo/", Body::of(len)),
            ];
            pair.run();
            for stream in streams {
                assert_eq!(
                    pair.response(stream).body,
                    content(len),
                    "{version}, {stream_window}"
                );
            }
        }
    });
}

#[test]
fn unreleased_data_stops_its_stream_and_no_other() {
    every_version(|version| {
        let mut pair = Pair::new(version);
        pair.client.greedy = false;
        let stalled = pair.get("/bytes/300000");
        pair.run();
        let held = pair.client.holds();
        if version == Version::Spdy2 {
            assert_eq!(held, 300_000, "no flow control: nothing stops it");
        } else {
            assert_eq!(held, 100_000, "the stream's window");
        }
        pair.client.greedy = true;
        let other = pair.get("/bytes/300000");
        pair.run();
        assert_eq!(pair.response(other).body, content(300_000));
        assert_eq!(pair.response(stalled).ended, version == Version::Spdy2);
        pair.client.release_all(pair.now);
        pair.run();
        assert_eq!(pair.response(stalled).body, content(300_000));
        pair.assert_quiescent();
    });
}

#[test]
fn where_nothing_flows_by_windows_reading_stops() {
    for version in [Version::Spdy2, Version::Spdy3] {
        let mut pair = Pair::with(version, |_, config| {
            config.limits.max_buffered_bytes = 150_000
        });
        pair.client.greedy = false;
        for _ in 0..4 {
            pair.get("/bytes/90000");
        }
        pair.run();
        let held = pair.client.holds();
        assert!((150_000..150_000 + 90_000).contains(&held), "{held}");
        assert!(!pair.client.engine.wants_input());
        pair.client.greedy = true;
        pair.client.release_all(pair.now);
        pair.run();
        assert!(
            pair.client
                .seen
                .values()
                .all(|seen| seen.body == content(90_000))
        );
        pair.assert_quiescent();
    }
}

#[test]
fn responses_without_a_body() {
    every_version(|version| {
        let mut pair = Pair::new(version);
        let head = pair.try_open(Method::HEAD, "/", None).unwrap().id().value();
        let empty = pair.get("/");
        pair.run();
        for stream in [head, empty] {
            let seen = pair.response(stream);
            assert!(seen.ended && seen.body.is_empty());
            assert_eq!(seen.status, Some(StatusCode::OK));
        }
        pair.assert_quiescent();
    });
}

#[test]
fn a_reply_may_precede_the_end_of_the_request() {
    every_version(|version| {
        let mut pair = Pair::new(version);
        let stream = pair
            .try_open(Method::POST, "/never/", Some(Body::of(1_000_000)))
            .unwrap();
        pair.server.greedy = false;
        pair.run();
        let key = pair.server.keys[&stream.id().value()];
        pair.server_stream(key)
            .reply(Head::response(StatusCode::FORBIDDEN), true)
            .unwrap();
        pair.run();
        let seen = pair.response(stream.id().value());
        assert_eq!(seen.status, Some(StatusCode::FORBIDDEN));
        assert!(seen.ended);
        // The handler does not read the rest. The server reports this a little later.
        pair.server_stream(key).abandon();
        pair.server.release_all(pair.now);
        pair.run();
        assert!(!pair.response(stream.id().value()).stopped);
        pair.sleep(Duration::from_millis(250));
        let seen = pair.response(stream.id().value());
        // Without windows, the whole body was sent before.
        assert_eq!(seen.stopped, version != Version::Spdy2);
        // NO_ERROR in HTTP/2; CANCEL in SPDY, which has no such code.
        let code = match version {
            Version::Http2 => Some(0),
            Version::Spdy2 => None,
            _ => Some(5),
        };
        assert_eq!(pair.server.monitor.code, code, "{version}");
        assert_eq!(seen.reset, None, "the response is whole");
        pair.assert_quiescent();
        pair.assert_alive();
    });
}

#[test]
fn an_unread_body_is_discarded_until_the_reply_is_complete() {
    every_version(|version| {
        let mut pair = Pair::new(version);
        let stream = pair.post("/never/", Body::of(150_000).with_trailers());
        pair.server.greedy = false;
        pair.run();
        let key = pair.server.keys[&stream];
        pair.server_stream(key).abandon();
        pair.run();
        // The whole body arrived, its credit was returned, and no user saw it.
        assert!(pair.server.seen[&stream].body.len() < 150_000 || version == Version::Spdy2);
        assert_eq!(pair.server.engine.stats().buffered_bytes, 0);
        pair.server_stream(key)
            .reply(Head::response(StatusCode::OK), false)
            .unwrap();
        pair.server.send(pair.now, key, Body::of(1000));
        pair.run();
        let seen = pair.response(stream);
        assert!(seen.ended && seen.body == content(1000));
        assert_eq!(
            (seen.stopped, seen.reset),
            (false, None),
            "the body was sent whole"
        );
        pair.server.release_all(pair.now);
        pair.assert_quiescent();
        pair.assert_alive();
    });
}

/// A peer without a connection window is served with a protocol that has one. It still receives all
/// data, and may send all data.
#[test]
fn a_peer_of_uncertain_version_does_not_stall() {
    for (client, stalls) in [(Version::Spdy3, true), (Version::Spdy31, false)] {
        for source in [VersionSource::FirstBytes, VersionSource::Negotiated] {
            // The streams' window of the drafts, and a larger one.
            for window in [1 << 16, 1 << 20] {
                let mut pair = Pair::with(Version::Spdy31, |side, config| {
                    config.limits.stream_window = window;
                    if side == Side::Client {
                        config.version = client;
                    } else {
                        config.version_source = source;
                    }
                });
                // The client's real version limits the data of the server.
                pair.server.monitor = Monitor::new(client, Side::Server);
                let stream = pair.get("/bytes/500000");
                let upload = pair.post("/echo/", Body::of(500_000));
                pair.run();
                let whole = pair.response(stream).body == content(500_000)
                    && pair.response(upload).body == content(500_000);
                let context = format!("{client}, version from {source:?}, window {window}");
                assert_eq!(
                    whole,
                    (source == VersionSource::FirstBytes) || !stalls,
                    "{context}"
                );
            }
        }
    }
}

/// spdy-transport obeys windows in SPDY/2 too, and our SETTINGS open them.
#[test]
fn spdy2_settings_open_the_windows_of_peers_that_obey_windows() {
    for side in [Side::Server, Side::Client] {
        let mut victim = Victim::new(Version::Spdy2, side);
        let sent = victim.flush();
        // SETTINGS_INITIAL_WINDOW_SIZE, its id little-endian, and 2^31-1.
        let entry = [7, 0, 0, 0, 0x7f, 0xff, 0xff, 0xff];
        assert!(sent.windows(8).any(|bytes| bytes == entry), "{sent:?}");
    }
}

#[test]
fn informational_responses_where_there_is_a_frame_for_them() {
    every_version(|version| {
        let mut pair = Pair::new(version);
        let stream = pair.get("/never/");
        pair.run();
        let key = pair.server.keys[&stream];
        let informed = pair
            .server_stream(key)
            .inform(Head::response(StatusCode::EARLY_HINTS));
        if version == Version::Http2 {
            informed.unwrap();
        } else {
            assert_eq!(informed, Err(UsageError::Unsupported));
        }
        pair.server_stream(key)
            .reply(Head::response(StatusCode::OK), true)
            .unwrap();
        pair.run();
        let seen = pair.response(stream);
        assert_eq!(seen.status, Some(StatusCode::OK));
        assert_eq!(
            seen.informational.len(),
            usize::from(version == Version::Http2)
        );
        pair.assert_quiescent();
    });
}

#[test]
fn calls_out_of_place_have_no_effect() {
    every_version(|version| {
        let mut pair = Pair::new(version);
        let stream = pair.get("/never/");
        pair.run();
        let engine = &mut pair.server.engine;
        let key = pair.server.keys[&stream];
        let ok = || Head::response(StatusCode::OK);
        let data = bytes::Bytes::from_static(b"data");
        assert_eq!(
            engine.stream(pair.now, key).send_data(data.clone(), false),
            Err(UsageError::NoHead)
        );
        assert_eq!(
            engine
                .stream(pair.now, key)
                .reply(Head::fields(Default::default()), true),
            Err(UsageError::WrongHead)
        );
        engine.stream(pair.now, key).reply(ok(), false).unwrap();
        assert_eq!(
            engine.stream(pair.now, key).reply(ok(), false),
            Err(UsageError::AlreadyReplied)
        );
        let large = content(100_000);
        engine
            .stream(pair.now, key)
            .send_data(large, false)
            .unwrap();
        assert_eq!(
            engine.stream(pair.now, key).send_data(data.clone(), false),
            Err(UsageError::Busy)
        );
        pair.run();
        let engine = &mut pair.server.engine;
        engine
            .stream(pair.now, key)
            .send_data(data.clone(), true)
            .unwrap();
        assert_eq!(
            engine.stream(pair.now, key).send_data(data, true),
            Err(UsageError::StreamClosed)
        );
        pair.run();
        assert_eq!(pair.response(stream).body.len(), 100_004);
        let uri = "https://example.org/".parse().unwrap();
        let opened = pair.server.engine.open(
            pair.now,
            Head::request(Method::GET, uri),
            OpenOptions::without_content(),
        );
        assert!(matches!(
            opened,
            Err(OpenError::Usage(UsageError::WrongHead))
        ));
        pair.assert_quiescent();
    });
}

#[test]
fn urgent_streams_finish_first_and_none_starves() {
    every_version(|version| {
        let mut pair = Pair::with(version, |_, config| {
            config.limits.stream_window = 1 << 20;
            config.limits.connection_window = 8 << 20;
            config.limits.cut_ahead = 16 << 10;
        });
        // The urgency of each stream; the least urgent is opened first.
        let mut streams = Vec::new();
        for urgency in [6, 6, 4, 4, 2, 2, 0, 0] {
            let mut priority = Priority::new(urgency, false);
            if version == Version::Http2 {
                priority = Priority::default();
            }
            let stream = pair
                .try_open_with(Method::GET, "/never/", None, Some(priority))
                .unwrap();
            streams.push((stream.id().value(), urgency));
        }
        pair.run();
        for (stream, urgency) in &streams {
            if version == Version::Http2 {
                set_priority(&mut pair, *stream, *urgency);
            }
            let key = pair.server.keys[stream];
            pair.server_stream(key)
                .reply(Head::response(StatusCode::OK), false)
                .unwrap();
            pair.server.send(pair.now, key, Body::of(200_000));
        }
        pair.run();
        let order = &pair.server.monitor.order;
        let last = |id: u32| order.iter().rposition(|other| *other == id).unwrap();
        let mut ends: Vec<_> = streams
            .iter()
            .map(|(id, urgency)| (last(*id), *urgency))
            .collect();
        ends.sort_unstable();
        let urgencies: Vec<_> = ends.into_iter().map(|(_, urgency)| urgency).collect();
        assert_eq!(urgencies, [0, 0, 2, 2, 4, 4, 6, 6], "{version}");
        for (stream, _) in streams {
            assert_eq!(pair.response(stream).body.len(), 200_000);
        }
        pair.assert_quiescent();
    });
}

/// An urgent response that never ends leaves a share to the others.
#[test]
fn less_urgent_streams_do_not_starve() {
    every_version(|version| {
        let mut pair = Pair::with(version, |_, config| {
            config.limits.stream_window = 16 << 20;
            config.limits.connection_window = 64 << 20;
        });
        let mut streams = Vec::new();
        for (urgency, len) in [(0, 12 << 20), (4, 100_000), (6, 100_000)] {
            let mut priority = Priority::new(urgency, false);
            if version == Version::Http2 {
                priority = Priority::default();
            }
            let stream = pair
                .try_open_with(Method::GET, "/never/", None, Some(priority))
                .unwrap();
            streams.push((stream.id().value(), urgency, len));
        }
        pair.run();
        for (stream, urgency, len) in &streams {
            if version == Version::Http2 {
                set_priority(&mut pair, *stream, *urgency);
            }
            let key = pair.server.keys[stream];
            pair.server_stream(key)
                .reply(Head::response(StatusCode::OK), false)
                .unwrap();
            pair.server.send(pair.now, key, Body::of(*len));
        }
        pair.run();
        let order = &pair.server.monitor.order;
        let last = |id: u32| order.iter().rposition(|other| *other == id).unwrap();
        let [urgent, others @ ..] = &streams[..] else {
            panic!("three streams")
        };
        for (stream, urgency, _) in others {
            let ended = last(*stream) < last(urgent.0);
            assert!(ended, "{version}: urgency {urgency} waited to the end");
        }
        for (stream, _, len) in streams {
            assert_eq!(pair.response(stream).body.len(), len);
        }
        pair.assert_quiescent();
    });
}

/// HTTP/2 sends it in PRIORITY_UPDATE (RFC 9218 §7.1).
fn set_priority(pair: &mut Pair, stream: u32, urgency: u8) {
    let value = format!("u={urgency}");
    let mut frame = bytes::BytesMut::new();
    let encoder = lacewing_frames::http2::Encoder::new();
    encoder
        .priority_update(&mut frame, stream, value.as_bytes())
        .unwrap();
    pair.server.input.extend_from_slice(&frame);
    while pair
        .server
        .engine
        .poll_event(pair.now, &mut pair.server.input)
        .is_some()
    {}
}

#[test]
fn pushed_responses_arrive() {
    every_version(|version| {
        let mut pair = Pair::with(version, |side, config| {
            if side == Side::Client {
                config.push = ServerPush::Accept;
            }
        });
        let parent = pair.get("/never/");
        pair.run();
        let key = pair.server.keys[&parent];
        let uri = "https://example.org/style.css".parse().unwrap();
        let request = Head::request(Method::GET, uri);
        let pushed = pair.server_stream(key).push(request).unwrap();
        let mut head = Head::response(StatusCode::OK);
        head.fields
            .insert("content-type", HeaderValue::from_static("text/css"));
        pair.server_stream(pushed).reply(head, false).unwrap();
        pair.server.send(pair.now, pushed, Body::of(50_000));
        pair.server_stream(key)
            .reply(Head::response(StatusCode::OK), true)
            .unwrap();
        pair.run();
        assert_eq!(pair.client.promised, [(parent, pushed.id().value())]);
        let seen = pair.response(pushed.id().value());
        assert_eq!(
            seen.request.as_deref(),
            Some("GET https://example.org/style.css")
        );
        assert_eq!(seen.status, Some(StatusCode::OK));
        assert_eq!(seen.fields["content-type"], ["text/css"]);
        assert_eq!(seen.body, content(50_000));
        assert!(seen.ended);
        pair.assert_quiescent();
    });
}

#[test]
fn unwanted_pushes_are_refused() {
    every_version(|version| {
        let mut pair = Pair::new(version);
        let parent = pair.get("/never/");
        pair.run();
        let key = pair.server.keys[&parent];
        let uri = "https://example.org/style.css".parse().unwrap();
        let pushed = pair
            .server_stream(key)
            .push(Head::request(Method::GET, uri));
        if version == Version::Http2 {
            assert!(matches!(pushed, Err(OpenError::PushDisabled)));
        } else {
            // SPDY has no setting for it: the client resets the stream.
            let pushed = pushed.unwrap();
            let head = Head::response(StatusCode::OK);
            pair.server_stream(pushed).reply(head, false).unwrap();
            pair.run();
            let seen = &pair.server.seen[&pushed.id().value()];
            assert_eq!(seen.reset, Some(Reason::RefusedStream));
        }
        pair.server_stream(key)
            .reply(Head::response(StatusCode::OK), true)
            .unwrap();
        pair.run();
        assert!(pair.client.promised.is_empty());
        pair.assert_quiescent();
    });
}
