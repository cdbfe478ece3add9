//! What idle connections hand on: they stay in step, and hold little.

use std::time::{Duration, Instant};

use bytes::BytesMut;
use http::{Method, StatusCode};
use lacewing_conn::{
    Side, Version,
    proto::{Config, Engine, Event, Head, OpenOptions, Spares},
};

use crate::{pair::every_version, repetition::transmit};

/// A client's and a server's engine.
struct Connection {
    client: Engine,
    server: Engine,
    to_client: BytesMut,
    to_server: BytesMut,
}

impl Connection {
    fn new(version: Version, now: Instant) -> Self {
        Self {
            client: Engine::new(Config::new(version, Side::Client), now, 1),
            server: Engine::new(Config::new(version, Side::Server), now, 2),
            to_client: BytesMut::new(),
            to_server: BytesMut::new(),
        }
    }

    /// Handles the deadlines until `now`.
    fn pass(&mut self, now: Instant) {
        for engine in [&mut self.client, &mut self.server] {
            if engine.poll_timeout().is_some_and(|at| at <= now) {
                engine.handle_timeout(now);
            }
        }
    }

    /// Makes a request with these fields, and checks both lists.
    fn exchange(&mut self, now: Instant, fields: &[(&'static str, String)], told: &str) {
        let with_fields = |mut head: Head| {
            for (name, value) in fields {
                head.fields.insert(*name, value.parse().unwrap());
            }
            head
        };
        let uri = http::Uri::from_static("http://localhost/path");
        let request = with_fields(Head::request(Method::GET, uri));
        let response = with_fields(Head::response(StatusCode::OK));
        let options = OpenOptions::without_content();
        self.client.open(now, request.clone(), options).unwrap();
        transmit(&mut self.client, now, &mut self.to_server);
        while let Some(event) = self.server.poll_event(now, &mut self.to_server) {
            if let Event::Opened { stream, head, .. } = event {
                assert_eq!(head.fields, request.fields, "{told}");
                let mut stream = self.server.stream(now, stream);
                stream.reply(response.clone(), true).unwrap();
            }
        }
        transmit(&mut self.server, now, &mut self.to_client);
        let mut answered = 0;
        while let Some(event) = self.client.poll_event(now, &mut self.to_client) {
            if let Event::Reply { head, .. } = event {
                assert_eq!(head.fields, response.fields, "{told}");
                answered += 1;
            }
        }
        assert_eq!(answered, 1, "{told}");
        transmit(&mut self.client, now, &mut self.to_server);
    }
}

/// The work and the compression of requests that follow soon do not suffer.
#[test]
fn the_state_stays_over_a_short_pause_and_goes_after_a_long_one() {
    every_version(|version| {
        let start = Instant::now();
        let mut connection = Connection::new(version, start);
        let fields = [("x-same", "the same each time".to_owned())];
        let fresh = connection.server.held_bytes();
        connection.exchange(start, &fields, "the first");
        let soon = start + Duration::from_millis(90);
        connection.pass(soon);
        drop(connection.server.take_spares());
        let kept = connection.server.held_bytes().saturating_sub(fresh);
        assert_eq!(
            kept > 48 << 10,
            version != Version::Http2,
            "{version}: {kept}"
        );
        connection.exchange(soon, &fields, "the second");
        let late = soon + Duration::from_secs(1);
        connection.pass(late);
        drop(connection.server.take_spares());
        let kept = connection.server.held_bytes().saturating_sub(fresh);
        assert!(kept < 4 << 10, "{version}: {kept}");
        connection.exchange(late, &fields, "the third");
    });
}

/// The transport took all output: no deadline for it wakes an idle connection.
#[test]
fn an_idle_connection_waits_for_its_idle_timeout_alone() {
    every_version(|version| {
        let mut now = Instant::now();
        let mut connection = Connection::new(version, now);
        for told in ["the first", "the second"] {
            connection.exchange(now, &[("x-same", "the same".to_owned())], told);
        }
        now += Duration::from_secs(2);
        connection.pass(now);
        let idle = connection.server.limits().idle_timeout;
        let next = connection.server.poll_timeout();
        let next = next.map(|next| next.saturating_duration_since(now));
        assert!(
            next >= idle.map(|idle| idle - Duration::from_secs(2)),
            "{version}: {next:?}"
        );
    });
}

/// It asks for a time once, also if nobody takes what it put aside.
#[test]
fn a_connection_that_rests_wakes_for_it_no_more() {
    every_version(|version| {
        let mut now = Instant::now();
        let mut connection = Connection::new(version, now);
        connection.exchange(now, &[("x-same", "the same".to_owned())], "the first");
        now += Duration::from_secs(2);
        connection.pass(now);
        let next = connection.server.poll_timeout();
        assert!(next.is_none_or(|next| next > now), "{version}");
        connection.exchange(now, &[("x-same", "the same".to_owned())], "the second");
    });
}

/// Three connections take turns. All their engines live on the same spares.
#[test]
fn idle_connections_share_their_spares_and_stay_in_step() {
    every_version(|version| {
        let mut now = Instant::now();
        let mut connections = [(); 3].map(|()| Connection::new(version, now));
        let mut pool: Vec<Spares> = Vec::new();
        let mut fresh = [0; 2];
        for round in 0..40 {
            for (number, connection) in connections.iter_mut().enumerate() {
                now += Duration::from_millis(100);
                let fields = [
                    ("x-same", "the same each time".to_owned()),
                    ("x-connection", format!("connection {number}").repeat(9)),
                    ("x-round", format!("round {round}").repeat(9)),
                ];
                if round == 0 {
                    fresh = [
                        connection.client.held_bytes(),
                        connection.server.held_bytes(),
                    ];
                }
                connection.client.lend_spares(|| pool.pop());
                connection.server.lend_spares(|| pool.pop());
                let told = format!("{version}, connection {number}, round {round}");
                connection.exchange(now, &fields, &told);
                now += Duration::from_secs(1);
                connection.pass(now);
                pool.extend(connection.client.take_spares());
                pool.extend(connection.server.take_spares());
                for (engine, fresh) in [&connection.client, &connection.server]
                    .into_iter()
                    .zip(fresh)
                {
                    // SPDY: the window of 8 KiB that the other side declares, and 3.3 KiB of its
                    // own. The state of zlib would be 48 KiB more. HPACK's tables stay.
                    let grown = engine.held_bytes().saturating_sub(fresh);
                    let most = if round == 0 { 3 << 10 } else { 14 << 10 };
                    assert!(grown < most || version == Version::Http2, "{told}: {grown}");
                }
            }
        }
        assert_eq!(pool.len(), 2, "{version}");
    });
}
