//! The memory of header lists, and its bound.

use lacewing_conn::{
    Side, Version,
    proto::{Config, Event, Head, OpenOptions, Pressure, Rule, ServerPush, StreamKey},
};

use crate::{
    hostile::{ListFrame, Peer, Victim},
    pair::every_version,
};

/// About 110 KB of memory for 10 KB of text.
fn many_fields() -> Vec<(String, &'static str)> {
    (0..900).map(|n| (format!("x-{n:03}"), "v")).collect()
}

fn borrowed<'a>(fields: &'a [(String, &'static str)]) -> Vec<(&'a str, &'static str)> {
    fields
        .iter()
        .map(|(name, value)| (&name[..], *value))
        .collect()
}

fn opened(victim: &mut Victim) -> Vec<StreamKey> {
    let events = victim.events.drain(..).filter_map(|event| match event {
        Event::Opened { stream, .. } => Some(stream),
        _ => None,
    });
    events.collect()
}

#[test]
fn requests_beyond_the_bound_of_lists_are_refused() {
    let fields = many_fields();
    let fields = borrowed(&fields);
    every_version(|version| {
        let mut victim = Victim::new(version, Side::Server);
        let mut peer = Peer::new(version, Side::Client);
        for n in 0..100 {
            peer.request(1 + 2 * n, false, &fields);
        }
        victim.take(&mut peer);
        let refused = victim.events.iter().find_map(|event| match event {
            Event::Refused { error, .. } => Some(error.rule()),
            _ => None,
        });
        assert_eq!(refused, Some(Some(Rule::TooManyHeaderBytes)), "{version}");
        let held = opened(&mut victim);
        assert!((10..40).contains(&held.len()), "{version}: {}", held.len());
        assert!(!victim.engine.is_closed(), "{version}");
        victim.flush();

        // Trailers count too.
        for stream in &held {
            peer.headers(stream.id().value(), true, &fields);
        }
        victim.take(&mut peer);
        let ended = |event: &Event| matches!(event, Event::Reset { .. });
        assert!(victim.events.iter().any(ended), "{version}");
        victim.events.clear();
        victim.flush();

        // Streams that end free memory. Small lists almost always have room.
        for stream in held {
            let reason = lacewing_conn::Reason::Cancel;
            victim.stream(stream).reset(reason);
        }
        peer.request(1001, true, &fields);
        victim.take(&mut peer);
        assert_eq!(opened(&mut victim).len(), 1, "{version}");
    });
}

#[test]
fn ordinary_requests_are_far_from_the_bound() {
    let names: Vec<_> = (0..40).map(|n| format!("x-field-{n}")).collect();
    let value = "v".repeat(50);
    let fields: Vec<_> = names.iter().map(|name| (&name[..], &value[..])).collect();
    every_version(|version| {
        for streams in [100, 1000] {
            let mut config = Config::new(version, Side::Server);
            config.limits.max_concurrent_streams = streams;
            let mut victim = Victim::with(config);
            let mut peer = Peer::new(version, Side::Client);
            for n in 0..streams {
                peer.request(1 + 2 * n, true, &fields);
            }
            victim.take(&mut peer);
            assert_eq!(opened(&mut victim).len(), streams as usize, "{version}");
        }
    });
}

#[test]
fn a_client_bounds_the_lists_of_responses() {
    let fields = many_fields();
    let fields = borrowed(&fields);
    every_version(|version| {
        let mut config = Config::new(version, Side::Client);
        config.limits.max_held_headers = 1 << 20;
        config.limits.max_concurrent_streams = 0;
        let mut victim = Victim::with(config);
        let mut peer = Peer::new(version, Side::Server);
        peer.max_streams(1000);
        victim.take(&mut peer);
        for n in 0..50 {
            let head = Head::request(http::Method::GET, "https://a/".parse().unwrap());
            let options = OpenOptions::without_content();
            victim.engine.open(victim.now, head, options).unwrap();
            let fields: Vec<_> = peer.ok().iter().copied().chain(fields.clone()).collect();
            peer.reply(1 + 2 * n, false, &fields);
        }
        victim.flush();
        victim.take(&mut peer);
        let replies = victim
            .events
            .iter()
            .filter(|event| matches!(event, Event::Reply { .. }));
        let replies = replies.count();
        assert!((5..20).contains(&replies), "{version}: {replies}");
        let reset = victim.events.iter().find_map(|event| match event {
            Event::Reset { error, .. } => Some(error.rule()),
            _ => None,
        });
        assert_eq!(reset, Some(Some(Rule::TooManyHeaderBytes)), "{version}");
    });
}

/// A client with this number of requests, each answered by a head and then by `last`.
fn answered(version: Version, requests: u32, last: impl Fn(&mut Peer, u32)) -> Victim {
    let mut victim = Victim::with(Config::new(version, Side::Client).with(|config| {
        config.limits.max_held_headers = 1 << 20;
        config.limits.max_concurrent_streams = 0;
        config.limits.max_silence = None;
    }));
    let mut peer = Peer::new(version, Side::Server);
    for n in 0..requests {
        let head = Head::request(http::Method::GET, "https://a/".parse().unwrap());
        let options = OpenOptions::without_content();
        victim.engine.open(victim.now, head, options).unwrap();
        let ok = peer.ok();
        peer.reply(1 + 2 * n, false, ok);
        last(&mut peer, 1 + 2 * n);
        victim.take(&mut peer);
    }
    victim.flush();
    victim
}

/// The keys of the streams with trailers.
fn with_trailers(victim: &Victim) -> Vec<StreamKey> {
    let events = victim.events.iter().filter_map(|event| match event {
        Event::Headers { stream, .. } => Some(*stream),
        _ => None,
    });
    events.collect()
}

#[test]
fn trailers_of_complete_responses_count_until_they_are_released() {
    let fields = many_fields();
    let fields = borrowed(&fields);
    every_version(|version| {
        let mut victim = answered(version, 30, |peer, id| peer.headers(id, true, &fields));
        let held = with_trailers(&victim);
        assert!((5..20).contains(&held.len()), "{version}: {}", held.len());
        assert!(victim.engine.held_bytes() > 900_000, "{version}");
        let reset = victim.events.iter().find_map(|event| match event {
            Event::Reset { error, .. } => Some(error.rule()),
            _ => None,
        });
        assert_eq!(reset, Some(Some(Rule::TooManyHeaderBytes)), "{version}");

        // After the user reads them, they free memory, and their streams are gone.
        for key in held {
            victim.stream(key).release_headers();
        }
        assert_eq!(victim.engine.open_streams(), 0, "{version}");
        let left = victim.engine.held_bytes();
        assert!(left < 200_000, "{version}: {left}");
    });
}

#[test]
fn ordinary_trailers_need_no_release() {
    every_version(|version| {
        let trailers = [("grpc-status", "0"), ("grpc-message", "fine")];
        let victim = answered(version, 50, |peer, id| peer.headers(id, true, &trailers));
        assert_eq!(with_trailers(&victim).len(), 50, "{version}");
        assert_eq!(victim.engine.open_streams(), 0, "{version}");
    });
}

#[test]
fn trailers_without_a_reader_are_not_held() {
    let fields = many_fields();
    let fields = borrowed(&fields);
    every_version(|version| {
        let mut victim = answered(version, 1, |_, _| {});
        let Some(Event::Reply { stream, .. }) = victim.events.last() else {
            panic!("{version}: {:?}", victim.events);
        };
        let stream = *stream;
        let mut peer = Peer::new(version, Side::Server);
        let _ = peer.bytes.split();
        victim.stream(stream).abandon();
        peer.headers(1, true, &fields);
        let left = victim.engine.open_streams();
        victim.take(&mut peer);
        assert!(left <= 1 && victim.engine.open_streams() == 0, "{version}");
    });
}

#[test]
fn promised_requests_count() {
    let fields = many_fields();
    every_version(|version| {
        let mut victim = Victim::with(Config::new(version, Side::Client).with(|config| {
            config.limits.max_held_headers = 1 << 20;
            config.limits.max_concurrent_streams = 0;
            config.push = ServerPush::Accept;
        }));
        let mut peer = Peer::new(version, Side::Server);
        let head = Head::request(http::Method::GET, "https://a/".parse().unwrap());
        let options = OpenOptions::without_content();
        victim.engine.open(victim.now, head, options).unwrap();
        victim.take(&mut peer);
        let own: &[(&str, &str)] = match version {
            Version::Http2 => &[
                (":method", "GET"),
                (":scheme", "https"),
                (":authority", "a"),
                (":path", "/x"),
            ],
            Version::Spdy2 => &[
                ("url", "https://a/x"),
                ("status", "200"),
                ("version", "HTTP/1.1"),
            ],
            _ => &[
                (":scheme", "https"),
                (":host", "a"),
                (":path", "/x"),
                (":status", "200"),
                (":version", "HTTP/1.1"),
            ],
        };
        let more = fields.iter().map(|(name, value)| (&name[..], *value));
        let list: Vec<_> = own
            .iter()
            .copied()
            .chain(more)
            .map(|(name, value)| (name.as_bytes().to_vec(), value.as_bytes().to_vec()))
            .collect();
        for n in 1..=30 {
            peer.list(ListFrame::Promise { parent: 1 }, 2 * n, false, &list);
        }
        victim.take(&mut peer);
        let taken = |event: &&Event| matches!(event, Event::Promised { .. });
        let taken = victim.events.iter().filter(taken).count();
        assert!((2..20).contains(&taken), "{version}: {taken}");
        let refused = victim.events.iter().find_map(|event| match event {
            Event::Refused { error, .. } => Some(error.rule()),
            _ => None,
        });
        assert_eq!(refused, Some(Some(Rule::TooManyHeaderBytes)), "{version}");
        assert!(victim.engine.held_bytes() < 2 << 20, "{version}");
    });
}

/// A push that is refused names the limit that it is over.
#[test]
fn a_refused_push_names_its_limit() {
    const CAP: usize = 1 << 20;
    for (name, rule) in [
        ("(limit max_pushed_streams)", Rule::TooManyStreams),
        (
            "max_header_list_size (2000 bytes)",
            Rule::HeaderListTooLarge,
        ),
        ("max_header_fields (50 fields)", Rule::HeaderListTooLarge),
        ("memory_budget", Rule::StreamOverBudget),
        ("max_connection_bytes (", Rule::StreamOverBudget),
    ] {
        every_version(|version| {
            if name.starts_with("max_header_list_size") && version != Version::Http2 {
                // The connection ends, as the compression context is lost.
                return;
            }
            let mut victim = Victim::with(Config::new(version, Side::Client).with(|config| {
                config.limits.max_connection_bytes = CAP;
                config.limits.max_buffered_bytes = CAP / 4;
                config.limits.connection_window = 64 << 10;
                config.limits.stream_window = 64 << 10;
                config.limits.max_header_list_size = 2000;
                config.limits.max_header_fields = 50;
                if rule == Rule::TooManyStreams {
                    config.limits.max_pushed_streams = 0;
                }
                config.push = ServerPush::Accept;
            }));
            let mut peer = Peer::new(version, Side::Server);
            let head = Head::request(http::Method::GET, "https://a/".parse().unwrap());
            let options = OpenOptions::without_content();
            victim.engine.open(victim.now, head, options).unwrap();
            victim.take(&mut peer);
            let value = match name.starts_with("max_header_list_size") {
                true => "v".repeat(2100),
                false => "v".to_owned(),
            };
            let fields = match name.starts_with("max_header_fields") {
                true => 60,
                false => 1,
            };
            match rule {
                Rule::StreamOverBudget if name == "memory_budget" => {
                    victim.engine.set_pressure(Pressure::Critical);
                }
                Rule::StreamOverBudget => victim.engine.set_detached_bytes(CAP / 64 * 51),
                _ => {}
            }
            let own: &[(&str, &str)] = match version {
                Version::Http2 => &[
                    (":method", "GET"),
                    (":scheme", "https"),
                    (":authority", "a"),
                    (":path", "/x"),
                ],
                Version::Spdy2 => &[("url", "https://a/x")],
                _ => &[(":scheme", "https"), (":host", "a"), (":path", "/x")],
            };
            let own = own
                .iter()
                .map(|(name, value)| ((*name).into(), (*value).into()));
            let more = (0..fields).map(|n| (format!("x-{n}").into(), value.clone().into()));
            let list: Vec<_> = own.chain(more).collect();
            peer.list(ListFrame::Promise { parent: 1 }, 2, false, &list);
            victim.take(&mut peer);
            let refused = victim.events.iter().find_map(|event| match event {
                Event::Refused { error, .. } => Some(error),
                _ => None,
            });
            let Some(error) = refused else {
                panic!("{version}, {name}: {:?}", victim.events);
            };
            assert_eq!(error.rule(), Some(rule), "{version}, {name}");
            let text = error.to_string();
            assert!(text.contains(name), "{version}, {name}: {text}");
            assert!(!victim.engine.is_closed(), "{version}, {name}");
        });
    }
}
