//! Defects that schedules and fuzzers found, one test each.

use std::time::Duration;

use http::{Method, StatusCode};
use lacewing_conn::{
    Reason, Side, Version,
    proto::{Config, Event, Head, OpenOptions, Rule, ServerPush},
};

use crate::{
    hostile::{Peer, Victim},
    pair::{Body, Pair, every_version},
};

/// Advances time, with deadlines. More deadlines than a second can have are a defect.
fn pass(victim: &mut Victim, time: Duration) {
    let end = victim.now + time;
    for _ in 0..1_000 {
        victim.flush();
        let Some(due) = victim.engine.poll_timeout().filter(|due| *due <= end) else {
            victim.now = end;
            return;
        };
        victim.now = victim.now.max(due);
        victim.engine.handle_timeout(victim.now);
        victim.poll();
    }
    panic!("the deadlines never come to rest");
}

fn rule_of_the_end(victim: &Victim) -> Option<Rule> {
    victim.events.iter().find_map(|event| match event {
        Event::Closed { error } => error.rule(),
        _ => None,
    })
}

/// A push with a complete response in the same frame stayed open forever. After 100 of them, a
/// client refused all others.
#[test]
fn a_push_that_ends_with_its_head_leaves_no_stream() {
    every_version(|version| {
        let mut pair = Pair::with(version, |_, config| {
            config.push = ServerPush::Accept;
            config.limits.max_pushed_streams = 1;
        });
        let parent = pair.post("/never/", Body::of(1));
        pair.run();
        let parent = pair.server.keys[&parent];
        for _ in 0..3 {
            let uri = "https://example.org/pushed".parse().unwrap();
            let request = Head::request(Method::GET, uri);
            let now = pair.now;
            let pushed = pair
                .server
                .engine
                .stream(now, parent)
                .push(request)
                .unwrap();
            let head = Head::response(StatusCode::NO_CONTENT);
            pair.server
                .engine
                .stream(now, pushed)
                .reply(head, true)
                .unwrap();
            pair.run();
            let seen = pair.response(pushed.id().value());
            assert_eq!(seen.status, Some(StatusCode::NO_CONTENT));
            assert!(seen.ended);
            assert_eq!(pair.client.engine.open_streams(), 1);
        }
    });
}

/// Without a required rate, every rate was enough, even zero.
#[test]
fn without_a_minimum_rate_a_frame_has_to_go_on_all_the_same() {
    every_version(|version| {
        let config = Config::new(version, Side::Server).with(|config| {
            config.limits.min_rate = 0;
            config.limits.idle_timeout = None;
            config.limits.max_silence = None;
        });
        let mut victim = Victim::with(config);
        let mut peer = Peer::new(version, Side::Client);
        peer.settings_ack();
        peer.request(1, false, &[]);
        peer.data(1, &[7; 1_000], true);
        let half = peer.bytes.split_to(peer.bytes.len() - 500);
        victim.take_bytes(&half);
        pass(&mut victim, Duration::from_secs(61));
        assert_eq!(
            rule_of_the_end(&victim),
            Some(Rule::FrameTimeout),
            "{version}"
        );
    });
}

/// A PING of the user had no answer, other frames arrived later, and then none. Keep-alive waited
/// for that answer, and its time was over before it began. This repeated at the same moment again
/// and again.
#[test]
fn keep_alive_waits_for_an_older_ping_from_its_own_time_on() {
    every_version(|version| {
        let mut victim = Victim::with(Config::new(version, Side::Client));
        let mut peer = Peer::new(version, Side::Server);
        peer.settings_ack();
        let head = Head::request(Method::GET, "https://example.org/".parse().unwrap());
        let options = OpenOptions::without_content();
        victim.engine.open(victim.now, head, options).unwrap();
        victim.engine.ping(victim.now);
        victim.take(&mut peer);
        victim.flush();
        victim.now += Duration::from_secs(25);
        let ok = peer.ok();
        peer.reply(1, false, ok);
        victim.take(&mut peer);
        // 30 s of silence, then 20 s for the answer.
        pass(&mut victim, Duration::from_secs(45));
        assert_eq!(rule_of_the_end(&victim), None, "{version}");
        pass(&mut victim, Duration::from_secs(10));
        let rule = rule_of_the_end(&victim);
        assert_eq!(rule, Some(Rule::KeepAliveTimeout), "{version}");
    });
}

/// The engine refused a request and still discarded its upload. After the end, the request was
/// still counted.
#[test]
fn the_end_of_the_input_leaves_no_stream_that_only_lingers() {
    every_version(|version| {
        let config = Config::new(version, Side::Server).with(|config| {
            config.limits.max_header_fields = 4;
        });
        let mut victim = Victim::with(config);
        let mut peer = Peer::new(version, Side::Client);
        peer.settings_ack();
        peer.request(1, false, &[("x-one", "1"), ("x-two", "2")]);
        victim.take(&mut peer);
        victim.flush();
        victim.engine.handle_eof(victim.now);
        victim.poll();
        assert!(victim.engine.is_closed());
        assert_eq!(victim.engine.stats().open_streams, 0, "{version}");
    });
}

/// A client left a response unread. The server dropped the pushes for it, and the client waited for
/// them forever.
#[test]
fn pushes_end_with_a_parent_that_has_no_reader() {
    every_version(|version| {
        if version == Version::Http2 {
            // In this protocol, pushes continue without their parent.
            return;
        }
        let mut pair = Pair::with(version, |_, config| config.push = ServerPush::Accept);
        let parent = pair.get("/never/");
        pair.run();
        let on_server = pair.server.keys[&parent];
        let uri = "https://example.org/pushed".parse().unwrap();
        let request = Head::request(Method::GET, uri);
        let now = pair.now;
        let pushed = pair
            .server
            .engine
            .stream(now, on_server)
            .push(request)
            .unwrap();
        let head = Head::response(StatusCode::OK);
        pair.server
            .engine
            .stream(now, pushed)
            .reply(head, false)
            .unwrap();
        pair.run();
        let on_client = pair.client.keys[&parent];
        pair.client.engine.stream(now, on_client).abandon();
        pair.run();
        let seen = pair.response(pushed.id().value());
        assert_eq!(seen.reset, Some(Reason::Cancel), "{version}");
        assert_eq!(pair.server.engine.open_streams(), 0, "{version}");
        assert_eq!(pair.client.engine.open_streams(), 0, "{version}");
    });
}

/// A budget below the protocol's own window never permitted an update of half of that window. The
/// connection stalled after the window was used up.
#[test]
fn a_budget_below_the_initial_window_does_not_stop_the_connection() {
    every_version(|version| {
        let mut pair = Pair::with(version, |side, config| {
            if side == Side::Client {
                config.limits.connection_window = 100;
                config.limits.max_buffered_bytes = 100;
            }
        });
        let stream = pair.get("/bytes/200000");
        pair.run();
        let seen = pair.response(stream);
        assert!(seen.ended, "{version}: {} bytes", seen.body.len());
    });
}

/// A short bound made the sweeps so frequent that a long bound was never reached.
#[test]
fn a_short_bound_of_one_wait_leaves_the_long_one_of_another() {
    every_version(|version| {
        let config = Config::new(version, Side::Server).with(|config| {
            config.limits.body_timeout = Duration::from_millis(1);
            config.limits.stall_timeout = Duration::from_secs(700);
        });
        let mut victim = Victim::with(config);
        let mut peer = Peer::new(version, Side::Client);
        if version == Version::Spdy2 {
            // No window, and no bound on the wait for one.
            return;
        }
        peer.settings_ack();
        peer.initial_window(0);
        peer.request(1, true, &[]);
        victim.take(&mut peer);
        let Some(Event::Opened { stream, .. }) = victim.events.last() else {
            panic!("{version}: {:?}", victim.events);
        };
        let stream = *stream;
        let head = Head::response(StatusCode::OK);
        let mut sender = victim.stream(stream);
        sender.reply(head, false).unwrap();
        sender.send_data(vec![7; 100].into(), true).unwrap();
        // The peer is alive, and grants nothing.
        for _ in 0..800 {
            peer.settings();
            victim.take(&mut peer);
            pass(&mut victim, Duration::from_secs(1));
        }
        let reset = |event: &Event| matches!(event, Event::Reset { .. });
        assert!(
            victim.events.iter().any(reset),
            "{version}: {:?}",
            victim.events
        );
    });
}
