//! A peer that closes its side of the transport after its request.

use std::time::Duration;

use http::{HeaderValue, Method, StatusCode};
use lacewing_conn::{
    Initiator, Side, Version,
    proto::{Head, OpenOptions, ServerPush, StreamKey, Transmit},
};

use crate::pair::{Body, Pair, every_version};

/// The client has sent all of its data.
fn half_close(pair: &mut Pair) {
    pair.server.engine.handle_eof(pair.now);
    pair.run();
}

fn answer(pair: &mut Pair, stream: u32, body: Body) {
    let key = pair.server.keys[&stream];
    let mut head = Head::response(StatusCode::OK);
    head.fields
        .insert("x-late", HeaderValue::from_static("yes"));
    pair.server_stream(key).reply(head, false).unwrap();
    pair.server.send(pair.now, key, body);
    pair.run();
}

/// A request with half of its body.
fn cut(pair: &mut Pair) -> StreamKey {
    let uri = "https://example.org/cut".parse().unwrap();
    let head = Head::request(Method::POST, uri);
    let engine = &mut pair.client.engine;
    let stream = engine.open(pair.now, head, OpenOptions::default()).unwrap();
    engine
        .stream(pair.now, stream)
        .send_data(vec![1; 500].into(), false)
        .unwrap();
    stream
}

#[test]
fn complete_requests_are_answered_and_then_the_connection_closes() {
    every_version(|version| {
        let mut pair = Pair::new(version);
        pair.server.answers = false;
        let small = pair.get("/small");
        let large = pair.get("/large");
        let upload = pair.post("/upload", Body::of(3000).with_trailers());
        pair.run();
        half_close(&mut pair);
        assert!(!pair.server.engine.is_closed(), "{version}");
        assert!(pair.server.engine.is_shutting_down(), "{version}");
        assert_eq!(pair.server.seen[&upload].body.len(), 3000, "{version}");
        assert!(pair.server.errors.is_empty(), "{version}");
        answer(&mut pair, upload, Body::of(10));
        // The response has several pieces, and trailers.
        answer(&mut pair, large, Body::of(50_000).with_trailers());
        pair.sleep(Duration::from_secs(5));
        assert!(!pair.server.engine.is_closed(), "{version}");
        answer(&mut pair, small, Body::default());
        for (stream, len) in [(small, 0), (large, 50_000), (upload, 10)] {
            let response = pair.response(stream);
            assert_eq!(response.status, Some(StatusCode::OK), "{version}");
            assert!(response.ended && response.reset.is_none(), "{version}");
            assert_eq!(response.body.len(), len, "{version}");
        }
        assert!(pair.server.engine.is_closed(), "{version}");
        assert!(pair.server.closed.is_none(), "no error");
        assert_eq!(pair.client.go_away, Some(lacewing_conn::Reason::NoError));
        pair.client.engine.handle_eof(pair.now);
        pair.assert_quiescent();
    });
}

#[test]
fn incomplete_requests_fail_at_once() {
    every_version(|version| {
        let mut pair = Pair::new(version);
        pair.server.answers = false;
        let whole = pair.get("/whole");
        let half = cut(&mut pair).id().value();
        pair.run();
        half_close(&mut pair);
        let error = &pair.server.errors[&half];
        assert_eq!(error.initiator(), Initiator::Peer, "{version}");
        assert!(error.to_string().contains("ended before"), "{error}");
        // The client receives an event too.
        assert!(pair.client.errors.contains_key(&half), "{version}");
        answer(&mut pair, whole, Body::of(100));
        assert!(pair.response(whole).ended, "{version}");
        assert!(pair.server.engine.is_closed(), "{version}");

        // Without a request, the end of input ends the connection.
        let mut pair = Pair::new(version);
        pair.server.answers = false;
        cut(&mut pair);
        pair.run();
        half_close(&mut pair);
        assert!(pair.server.engine.is_closed(), "{version}");
        assert!(pair.server.closed.is_some(), "{version}");
    });
}

#[test]
fn an_answer_is_not_waited_for_for_ever() {
    every_version(|version| {
        let mut pair = Pair::new(version);
        pair.server.answers = false;
        let never = pair.get("/never");
        pair.run();
        let patience = pair.server.engine.limits().drain_timeout;
        half_close(&mut pair);
        // If the peer is gone completely, a write fails: the second one, after the transport had
        // time to notice.
        assert_eq!(pair.server.monitor.go_aways, 1, "{version}");
        pair.sleep(Duration::from_secs(2));
        assert_eq!(pair.server.monitor.go_aways, 2, "{version}");
        pair.sleep(patience - Duration::from_secs(3));
        assert!(!pair.server.engine.is_closed(), "{version}");
        pair.sleep(Duration::from_secs(1));
        assert!(pair.server.engine.is_closed(), "{version}");
        assert!(pair.server.errors.contains_key(&never), "{version}");
        assert_eq!(pair.server.engine.poll_timeout(), None, "{version}");
    });
}

/// A peer that sends no more does not acknowledge either.
#[test]
fn nothing_is_asked_of_a_peer_that_says_no_more() {
    every_version(|version| {
        let mut pair = Pair::with(version, |side, config| {
            if side == Side::Server {
                config.limits.keep_alive_interval = Some(Duration::from_secs(1));
                config.limits.keep_alive_timeout = Duration::from_secs(1);
                config.limits.settings_timeout = Duration::from_secs(2);
                config.limits.preface_timeout = Duration::from_secs(2);
                config.limits.idle_timeout = Some(Duration::from_secs(3));
            }
        });
        pair.server.answers = false;
        let stream = pair.get("/late");
        // All bytes that the client ever sends, at once.
        while pair.client.engine.poll_transmit(pair.now) != Transmit::Idle {}
        let output = pair.client.engine.output();
        let bytes = bytes::Buf::copy_to_bytes(output, output.len());
        pair.client.monitor.sends(&bytes);
        pair.server.monitor.receives(&bytes);
        pair.server.input.extend_from_slice(&bytes);
        pair.server.engine.ping(pair.now);
        let key = loop {
            let event = pair
                .server
                .engine
                .poll_event(pair.now, &mut pair.server.input);
            if let Some(lacewing_conn::proto::Event::Opened { stream, .. }) = event {
                break stream;
            }
        };
        pair.server.keys.insert(stream, key);
        pair.server.engine.handle_eof(pair.now);
        let pings = pair.server.engine.stats().pings_sent;
        for _ in 0..20 {
            pair.now += Duration::from_secs(1);
            pair.server.engine.handle_timeout(pair.now);
            pair.server.engine.ping(pair.now);
        }
        assert_eq!(pair.server.engine.stats().pings_sent, pings, "{version}");
        assert!(!pair.server.engine.is_closed(), "{version}");
        let head = Head::response(StatusCode::OK);
        pair.server_stream(key).reply(head, true).unwrap();
        assert!(pair.server.engine.is_closed(), "{version}");
    });
}

/// A push is a part of the response.
#[test]
fn pushes_are_finished_too() {
    every_version(|version| {
        let mut pair = Pair::with(version, |_, config| config.push = ServerPush::Accept);
        pair.server.answers = false;
        let parent = pair.get("/page");
        pair.run();
        let key = pair.server.keys[&parent];
        let uri = "https://example.org/style".parse().unwrap();
        let head = Head::request(Method::GET, uri);
        let push = pair.server_stream(key).push(head).unwrap();
        pair.run();
        half_close(&mut pair);
        let reply = Head::response(StatusCode::OK);
        pair.server_stream(push).reply(reply, false).unwrap();
        pair.server.send(pair.now, push, Body::of(2000));
        pair.run();
        answer(&mut pair, parent, Body::of(1000));
        let pushed = pair.response(push.id().value());
        assert_eq!(pushed.body.len(), 2000, "{version}");
        assert!(pushed.ended && pair.response(parent).ended, "{version}");
        assert!(pair.server.engine.is_closed(), "{version}");
    });
}

/// A client has nothing to answer. An upload with a response need not continue, and a request
/// without a response fails.
#[test]
fn a_server_that_closes_its_side_ends_the_connection() {
    every_version(|version: Version| {
        let mut pair = Pair::new(version);
        let unanswered = pair.get("/never/");
        let upload = cut(&mut pair);
        pair.run();
        let key = pair.server.keys[&upload.id().value()];
        let early = Head::response(StatusCode::OK);
        pair.server_stream(key).reply(early, true).unwrap();
        pair.run();
        pair.client.engine.handle_eof(pair.now);
        pair.run();
        assert!(pair.client.engine.is_closed(), "{version}");
        assert!(pair.client.errors.contains_key(&unanswered), "{version}");
    });
}
