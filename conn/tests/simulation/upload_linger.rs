//! Uploads without a reader, after their response: the client first has time to end them itself.

use std::time::Duration;

use http::StatusCode;
use lacewing_conn::{
    Version,
    proto::{Config, Event, Head, Rate, Side},
};

use crate::{
    hostile::{Peer, Victim},
    pair::every_version,
};

/// A server that answers an upload on stream `id` and does not read the rest.
fn refuse(victim: &mut Victim, peer: &mut Peer, id: u32) {
    peer.request(id, false, &[]);
    victim.take(peer);
    let Some(Event::Opened { stream, .. }) = victim.events.pop() else {
        panic!("no request")
    };
    let forbidden = Head::response(StatusCode::FORBIDDEN);
    victim.stream(stream).reply(forbidden, true).unwrap();
    victim.stream(stream).abandon();
    victim.flush();
    victim.events.clear();
}

fn wait(victim: &mut Victim, time: Duration) {
    victim.now += time;
    victim.engine.handle_timeout(victim.now);
    victim.poll();
    victim.flush();
}

#[test]
fn an_upload_that_continues_is_reset() {
    every_version(|version| {
        let mut config = Config::new(version, Side::Server);
        config.limits.upload_linger = Duration::from_millis(40);
        let mut victim = Victim::with(config);
        let mut peer = Peer::new(version, Side::Client);
        refuse(&mut victim, &mut peer, 1);
        let credit = victim.monitor.window_updates;
        wait(&mut victim, Duration::from_millis(39));
        assert_eq!(victim.monitor.resets, 0, "{version}");
        peer.data(1, &[0; 1_000], false);
        victim.take(&mut peer);
        assert_eq!(victim.monitor.window_updates, credit, "{version}");
        wait(&mut victim, Duration::from_millis(1));
        assert_eq!(victim.monitor.resets, 1, "{version}");
        assert_eq!(victim.engine.open_streams(), 0, "{version}");
    });
}

#[test]
fn without_upload_linger_uploads_are_reset_at_once() {
    every_version(|version| {
        let mut config = Config::new(version, Side::Server);
        config.limits.upload_linger = Duration::ZERO;
        let mut victim = Victim::with(config);
        let mut peer = Peer::new(version, Side::Client);
        refuse(&mut victim, &mut peer, 1);
        assert_eq!(victim.monitor.resets, 1, "{version}");
    });
}

/// Each stream has its response: this is no Rapid Reset, and no error.
#[test]
fn an_upload_that_stops_by_itself_is_not_charged() {
    every_version(|version| {
        let mut config = Config::new(version, Side::Server);
        config.limits.resets = Rate {
            burst: 1,
            per_second: 0,
        };
        let mut victim = Victim::with(config);
        let mut peer = Peer::new(version, Side::Client);
        for id in (1..=401).step_by(2) {
            refuse(&mut victim, &mut peer, id);
            peer.reset(id);
            victim.take(&mut peer);
        }
        // The client may also end the body.
        refuse(&mut victim, &mut peer, 403);
        peer.data(403, &[0; 10], true);
        victim.take(&mut peer);
        assert!(!victim.engine.is_closed(), "{version}");
        assert_eq!(victim.engine.open_streams(), 0, "{version}");
        wait(&mut victim, Duration::from_millis(250));
        assert_eq!(victim.monitor.resets, 0, "{version}");
        assert!(victim.events.is_empty(), "{version}: {:?}", victim.events);
    });
}

#[test]
fn a_client_that_leaves_after_its_response_causes_no_error() {
    every_version(|version| {
        let mut victim = Victim::new(version, Side::Server);
        let mut peer = Peer::new(version, Side::Client);
        refuse(&mut victim, &mut peer, 1);
        victim.engine.handle_eof(victim.now);
        victim.poll();
        assert!(victim.events.is_empty(), "{version}: {:?}", victim.events);
        assert!(victim.engine.is_closed(), "{version}");
    });
}

/// Requests that the engine answers itself are treated in the same way.
#[test]
fn uploads_of_refused_heads_linger_too() {
    let mut victim = Victim::new(Version::Http2, Side::Server);
    let mut peer = Peer::new(Version::Http2, Side::Client);
    let large = "x".repeat(65_000);
    let fields: [(&str, &str); 2] = [("x-large", &large), ("x-more", &large[..2_000])];
    peer.request(1, false, &fields);
    victim.take(&mut peer);
    victim.flush();
    let refused = |event: &Event| matches!(event, Event::Refused { .. });
    assert!(victim.events.iter().any(refused), "{:?}", victim.events);
    assert_eq!(victim.monitor.resets, 0);
    assert_eq!(victim.engine.open_streams(), 1);
    wait(&mut victim, Duration::from_millis(250));
    assert_eq!(victim.monitor.resets, 1);
    assert_eq!(victim.engine.open_streams(), 0);
}
