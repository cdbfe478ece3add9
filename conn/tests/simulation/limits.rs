//! The bounds against hostile peers.

use std::time::Duration;

use lacewing_conn::{
    Reason, Side, Version,
    proto::{Config, Event, Head, OpenOptions, Rule},
};

use crate::{
    hostile::{Peer, Victim},
    pair::every_version,
};

fn closed_by(victim: &Victim) -> Option<Rule> {
    victim.events.iter().find_map(|event| match event {
        Event::Closed { error } => error.rule(),
        _ => None,
    })
}

#[test]
fn rapid_resets_end_the_connection_and_cancels_do_not() {
    every_version(|version| {
        let mut victim = Victim::new(version, Side::Server);
        let mut peer = Peer::new(version, Side::Client);
        let mut count = 0;
        while !victim.engine.is_closed() && count < 10_000 {
            peer.request(2 * count + 1, true, &[]);
            peer.reset(2 * count + 1);
            victim.take(&mut peer);
            victim.flush();
            count += 1;
        }
        assert!((200..=201).contains(&count), "{version}: {count} resets");
        assert_eq!(closed_by(&victim), Some(Rule::TooManyResets));

        // A browser makes 2,000 cancels in a minute.
        let mut victim = Victim::new(version, Side::Server);
        let mut peer = Peer::new(version, Side::Client);
        for count in 0..2_000 {
            peer.request(2 * count + 1, true, &[]);
            peer.reset(2 * count + 1);
            victim.take(&mut peer);
            victim.flush();
            victim.now += Duration::from_millis(33);
        }
        assert!(!victim.engine.is_closed());
        assert_eq!(victim.engine.stats().open_streams, 0);
    });
}

/// MadeYouReset, CVE-2025-8671: the peer makes us send the resets.
#[test]
fn resets_that_we_are_made_to_send_are_charged() {
    every_version(|version| {
        let mut victim = Victim::new(version, Side::Server);
        let mut peer = Peer::new(version, Side::Client);
        let mut count = 0;
        while !victim.engine.is_closed() && count < 10_000 {
            // DATA that contradicts content-length.
            peer.request(2 * count + 1, false, &[("content-length", "1")]);
            peer.data(2 * count + 1, b"more", false);
            victim.take(&mut peer);
            victim.flush();
            count += 1;
        }
        // If the answer is sent before the end of the upload, streams linger. A peer that may not
        // know the limit has up to 400 more refused streams.
        let most = if version == Version::Http2 { 201 } else { 701 };
        assert!((200..=most).contains(&count), "{version}: {count} resets");
    });
}

#[test]
fn handlers_that_still_run_count_after_a_reset() {
    every_version(|version| {
        let mut config = Config::new(version, Side::Server);
        config.limits.max_concurrent_streams = 5;
        let mut victim = Victim::with(config);
        let mut peer = Peer::new(version, Side::Client);
        for count in 0..20 {
            peer.request(2 * count + 1, true, &[]);
            victim.take(&mut peer);
            if let Some(Event::Opened { stream, .. }) = victim.events.last() {
                victim.stream(*stream).retain();
            }
            peer.reset(2 * count + 1);
            victim.take(&mut peer);
        }
        let opened: Vec<_> = victim
            .events
            .iter()
            .filter_map(|event| match event {
                Event::Opened { stream, .. } => Some(*stream),
                _ => None,
            })
            .collect();
        assert_eq!(opened.len(), 5, "{version}");
        assert_eq!(victim.engine.stats().detached_handlers, 5);
        for stream in opened {
            victim.stream(stream).finish();
        }
        peer.request(101, true, &[]);
        victim.take(&mut peer);
        assert!(matches!(victim.events.last(), Some(Event::Opened { .. })));
    });
}

/// CVE-2019-9512, CVE-2019-9515: unread answers accumulate.
#[test]
fn a_flood_that_is_not_read_stops_being_answered() {
    every_version(|version| {
        let mut victim = Victim::new(version, Side::Server);
        let mut peer = Peer::new(version, Side::Client);
        for _ in 0..200_000 {
            peer.ping();
        }
        victim.take(&mut peer);
        let stats = victim.engine.stats();
        assert!(stats.output_bytes <= 400 << 10, "{}", stats.output_bytes);
        // The peer does read: the bucket of glitches ends the connection.
        for _ in 0..100 {
            victim.flush();
            victim.poll();
        }
        assert!(victim.engine.is_closed());
        assert_eq!(closed_by(&victim), Some(Rule::TooManyGlitches));
    });
}

/// The engine answers these requests itself, so no limit of streams counts them.
#[test]
fn malformed_requests_are_charged() {
    for version in [Version::Spdy2, Version::Spdy3, Version::Spdy31] {
        let mut victim = Victim::new(version, Side::Server);
        let mut peer = Peer::new(version, Side::Client);
        for count in 0..10_001 {
            assert!(!victim.engine.is_closed(), "{version}: after {count}");
            peer.request(2 * count + 1, true, &[("content-length", "5")]);
            victim.take(&mut peer);
            victim.flush();
        }
        assert_eq!(closed_by(&victim), Some(Rule::TooManyGlitches), "{version}");
    }
}

#[test]
fn empty_data_is_charged() {
    every_version(|version| {
        let mut victim = Victim::new(version, Side::Server);
        let mut peer = Peer::new(version, Side::Client);
        peer.request(1, false, &[]);
        for _ in 0..20_000 {
            peer.data(1, b"", false);
        }
        victim.take(&mut peer);
        assert_eq!(closed_by(&victim), Some(Rule::TooManyGlitches));
    });
}

/// A WINDOW_UPDATE that crosses the end of its stream is honest.
#[test]
fn late_credit_for_streams_that_ended_is_paid_for_by_them() {
    every_version(|version| {
        let mut victim = Victim::new(version, Side::Server);
        let mut peer = Peer::new(version, Side::Client);
        for count in 0..20_000 {
            let id = 2 * count + 1;
            peer.request(id, true, &[]);
            victim.take(&mut peer);
            let Some(Event::Opened { stream, .. }) = victim.events.pop() else {
                panic!("{version}: {:?}", victim.events);
            };
            let head = lacewing_conn::proto::Head::response(http::StatusCode::OK);
            victim.stream(stream).reply(head, true).unwrap();
            victim.flush();
            peer.window_update(id, 1000);
            peer.window_update(id, 1000);
        }
        victim.take(&mut peer);
        assert!(!victim.engine.is_closed(), "{version}");

        // Without streams to explain them, the frames are a flood.
        for _ in 0..10_001 {
            peer.window_update(1, 1);
        }
        victim.take(&mut peer);
        assert_eq!(closed_by(&victim), Some(Rule::TooManyGlitches), "{version}");
    });
}

#[test]
fn header_lists_over_the_limit_get_an_answer_and_cost_little() {
    every_version(|version| {
        let mut config = Config::new(version, Side::Server);
        config.limits.max_header_list_size = 4096;
        let mut victim = Victim::with(config);
        let mut peer = Peer::new(version, Side::Client);
        let long = "v".repeat(300);
        let names: Vec<_> = (0..16).map(|n| format!("x-{n}")).collect();
        let fields: Vec<_> = names.iter().map(|name| (&name[..], &long[..])).collect();
        peer.request(1, true, &fields);
        victim.take(&mut peer);
        assert!(
            victim
                .events
                .iter()
                .all(|event| !matches!(event, Event::Opened { .. }))
        );
        if victim.engine.is_closed() {
            // A zlib stream cannot be skipped: a list over the limit ends it.
            assert_ne!(version, Version::Http2);
            return;
        }
        let Some(Event::Refused { error, .. }) = victim.events.last() else {
            panic!("{version}: {:?}", victim.events);
        };
        let text = error.to_string();
        assert!(
            text.contains("max_header_list_size") && text.contains("431"),
            "{text}"
        );
        let answer = victim.flush();
        assert!(!answer.is_empty());
        peer.request(3, true, &[]);
        victim.take(&mut peer);
        assert!(
            matches!(victim.events.last(), Some(Event::Opened { .. })),
            "{version}"
        );
    });
}

/// SPDY joins the values of a field by NUL. Each value counts as a field in every message, and no
/// field is built if there are too many.
#[test]
fn joined_values_count_as_fields() {
    let values = |count: usize| vec!["1"; count].join("\0");
    let (few, many) = (values(900), values(16_000));
    for version in [Version::Spdy2, Version::Spdy3, Version::Spdy31] {
        for (list, taken) in [(&few, true), (&many, false)] {
            let fields = [("x-a", &list[..]), ("x-b", "1")];
            let mut victim = Victim::new(version, Side::Server);
            let mut peer = Peer::new(version, Side::Client);
            peer.request(1, true, &fields);
            victim.take(&mut peer);
            let what = format!("{version} {taken}: {:?}", victim.events.len());
            match victim.events.last() {
                Some(Event::Opened { head, .. }) if taken => {
                    assert_eq!(head.fields.get_all("x-a").iter().count(), 900, "{what}");
                }
                Some(Event::Refused { error, .. }) if !taken => {
                    assert_eq!(error.rule(), Some(Rule::HeaderListTooLarge), "{what}");
                    let text = error.to_string();
                    assert!(
                        text.contains("431") && text.contains("max_header_fields"),
                        "{text}"
                    );
                }
                other => panic!("{what}: {other:?}"),
            }

            for headers_after_reply in [false, true] {
                let mut victim = Victim::new(version, Side::Client);
                let mut peer = Peer::new(version, Side::Server);
                let uri = "https://example.org/".parse().unwrap();
                let head = Head::request(http::Method::GET, uri);
                let options = OpenOptions::without_content();
                victim.engine.open(victim.now, head, options).unwrap();
                victim.flush();
                if headers_after_reply {
                    peer.reply(1, false, peer.ok());
                    peer.headers(1, false, &fields);
                } else {
                    let fields: Vec<_> = peer.ok().iter().chain(&fields).copied().collect();
                    peer.reply(1, false, &fields);
                }
                victim.take(&mut peer);
                let reset = victim.events.iter().find_map(|event| match event {
                    Event::Reset { error, .. } => Some(error.rule()),
                    _ => None,
                });
                let expected = (!taken).then_some(Some(Rule::HeaderListTooLarge));
                assert_eq!(reset, expected, "{version} {headers_after_reply}");
            }
        }
    }
}

#[test]
fn more_streams_than_advertised_are_refused() {
    every_version(|version| {
        let mut config = Config::new(version, Side::Server);
        config.limits.max_concurrent_streams = 3;
        let mut victim = Victim::with(config);
        let mut peer = Peer::new(version, Side::Client);
        for count in 0..5 {
            peer.request(2 * count + 1, true, &[]);
        }
        victim.take(&mut peer);
        assert_eq!(victim.engine.open_streams(), 3);
        victim.flush();
        assert_eq!(victim.monitor.resets, 2);
        assert!(!victim.engine.is_closed());
    });
}

#[test]
fn silence_ends_by_its_deadline() {
    every_version(|version| {
        for side in [Side::Server, Side::Client] {
            let mut victim = Victim::new(version, side);
            victim.flush();
            victim.engine.poll_transmit(victim.now);
            if version != Version::Http2 {
                // Neither side must send first: a server has nothing to send before its first
                // response, however long it takes.
                assert_eq!(victim.engine.poll_timeout(), None, "{version}");
                // A frame that has begun must end.
                victim.take_bytes(&[0x80]);
            }
            let due = victim.engine.poll_timeout().unwrap();
            assert_eq!(due, victim.now + Duration::from_secs(10));
            victim.engine.handle_timeout(due);
            victim.poll();
            assert_eq!(closed_by(&victim), Some(Rule::PrefaceTimeout));
            let said = victim.events.iter().find_map(|event| match event {
                Event::Closed { error } => Some(error.to_string()),
                _ => None,
            });
            assert!(said.unwrap().contains("after 10s"), "{version}");
            // SPDY's GOAWAY has no text.
            let sent = victim.flush();
            let names_the_limit = sent.windows(15).any(|text| text == b"preface_timeout");
            assert_eq!(names_the_limit, version == Version::Http2, "{version}");
        }
    });
}

#[test]
fn settings_must_be_acknowledged_where_they_are() {
    let mut victim = Victim::new(Version::Http2, Side::Server);
    let mut peer = Peer::new(Version::Http2, Side::Client);
    victim.take(&mut peer);
    victim.flush();
    let due = victim.engine.poll_timeout().unwrap();
    victim.engine.handle_timeout(due);
    victim.poll();
    assert_eq!(closed_by(&victim), Some(Rule::SettingsTimeout));

    let mut victim = Victim::new(Version::Http2, Side::Server);
    peer = Peer::new(Version::Http2, Side::Client);
    peer.settings_ack();
    victim.take(&mut peer);
    victim.flush();
    victim.engine.poll_transmit(victim.now);
    assert_eq!(victim.engine.poll_timeout(), None);
    peer.settings_ack();
    victim.take(&mut peer);
    assert_eq!(closed_by(&victim), Some(Rule::UnexpectedSettingsAck));
}

#[test]
fn a_transport_that_takes_nothing_is_given_up() {
    every_version(|version| {
        let mut victim = Victim::new(version, Side::Server);
        let mut peer = Peer::new(version, Side::Client);
        peer.request(1, true, &[]);
        peer.settings_ack();
        victim.take(&mut peer);
        victim.engine.poll_transmit(victim.now);
        assert!(!victim.engine.output().is_empty());
        let due = victim.engine.poll_timeout().unwrap();
        assert_eq!(due, victim.now + Duration::from_secs(30));
        victim.engine.handle_timeout(due);
        victim.poll();
        assert_eq!(closed_by(&victim), Some(Rule::WriteStall));
        assert!(victim.engine.output().is_empty());
    });
}

/// The timer starts when bytes are cut. The engine notices later that they were written.
#[test]
fn a_transport_that_took_everything_is_not_given_up() {
    every_version(|version| {
        let mut victim = Victim::new(version, Side::Server);
        let mut peer = Peer::new(version, Side::Client);
        peer.request(1, true, &[]);
        peer.settings_ack();
        victim.take(&mut peer);
        victim.engine.poll_transmit(victim.now);
        let due = victim.engine.poll_timeout().unwrap();
        let len = victim.engine.output().len();
        bytes::Buf::advance(victim.engine.output(), len);
        victim.engine.handle_timeout(due);
        victim.poll();
        assert_eq!(closed_by(&victim), None, "{version}");
        assert_eq!(victim.engine.poll_timeout(), None);
    });
}

#[test]
fn windows_that_overflow_are_errors() {
    every_version(|version| {
        let mut victim = Victim::new(version, Side::Server);
        let mut peer = Peer::new(version, Side::Client);
        peer.request(1, false, &[]);
        peer.window_update(1, 0x7fff_ffff);
        victim.take(&mut peer);
        let reset = victim.events.iter().find_map(|event| match event {
            Event::Reset { error, .. } => Some(error.reason()),
            _ => None,
        });
        let expected = (version != Version::Spdy2).then_some(Reason::FlowControlError);
        assert_eq!(reset, expected, "{version}");

        peer.window_update(0, 0x7fff_ffff);
        victim.take(&mut peer);
        let windowed = matches!(version, Version::Http2 | Version::Spdy31);
        assert_eq!(victim.engine.is_closed(), windowed, "{version}");
    });
}

#[test]
fn data_over_the_window_is_an_error() {
    for version in [Version::Spdy3, Version::Spdy31, Version::Http2] {
        let mut config = Config::new(version, Side::Server);
        config.limits.stream_window = 70_000;
        config.limits.connection_window = 200_000;
        let mut victim = Victim::with(config);
        let mut peer = Peer::new(version, Side::Client);
        peer.request(1, false, &[]);
        victim.take(&mut peer);
        // Released data would open the window again, so send it all at once.
        for _ in 0..5 {
            peer.data(1, &[1; 16_000], false);
        }
        let mut input = peer.bytes.split();
        let mut reset = None;
        while let Some(event) = victim.engine.poll_event(victim.now, &mut input) {
            if let Event::Reset { error, .. } = event {
                reset = Some(error.reason());
            }
        }
        assert_eq!(reset, Some(Reason::FlowControlError), "{version}");
        let full = if version == Version::Spdy3 {
            0
        } else {
            200_000
        };
        assert_eq!(
            victim.engine.stats().receive_credit,
            full,
            "all credit came back"
        );
    }
}
