//! Whitespace around a value is no part of it (RFC 9110 §5.5), and messages must not have it (RFC
//! 9113 §8.2.1). `HeaderValue` permits it. The engine removes it before it sends a list of any
//! kind, on either side.

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, HeaderValue, Method, StatusCode};
use lacewing_conn::{
    Side, Version,
    proto::{Config, Event, Head, OpenOptions, ServerPush, StreamKey},
};
use lacewing_frames::{http2, spdy};
use lacewing_hpack::{HeaderField, Sensitivity};

use crate::{hostile::Victim, pair::every_version};

/// The values of the user, and the values on the wire.
const VALUES: [(&str, &str); 7] = [
    ("x-clean", "a b"),
    ("x-before", " \tvalue"),
    ("x-behind", "value\t "),
    ("x-around", " a \t b "),
    ("x-blank", " \t "),
    ("x-many", " one"),
    ("x-many", "two "),
];

fn fields() -> HeaderMap {
    let mut fields = HeaderMap::new();
    for (name, value) in VALUES {
        fields.append(name, HeaderValue::from_static(value));
    }
    let mut secret = HeaderValue::from_static(" secret ");
    secret.set_sensitive(true);
    fields.insert("x-secret", secret);
    fields
}

/// The values on the wire, those of one name joined, in order.
fn expected(version: Version) -> Vec<(&'static str, &'static [u8])> {
    // SPDY/2 has no empty values (the drafts' §2.6.10).
    let blank: &[u8] = match version {
        Version::Spdy2 => b" ",
        _ => b"",
    };
    vec![
        ("x-clean", b"a b"),
        ("x-before", b"value"),
        ("x-behind", b"value"),
        ("x-around", b"a \t b"),
        ("x-blank", blank),
        ("x-many", b"one\0two"),
        ("x-secret", b"secret"),
    ]
}

/// The header lists that a side sent since its first byte.
fn lists(version: Version, bytes: &[u8]) -> Vec<Vec<(Bytes, Bytes)>> {
    let mut lists = Vec::new();
    if version == Version::Http2 {
        let bytes = bytes.strip_prefix(http2::PREFACE).unwrap_or(bytes);
        let mut bytes = BytesMut::from(bytes);
        let mut decoder =
            http2::Decoder::<Vec<(HeaderField, Sensitivity)>>::new(http2::DecoderLimits::default());
        while let Some(message) = decoder.decode(&mut bytes).unwrap() {
            if let http2::Message::Headers { list: fields, .. }
            | http2::Message::PushPromise { list: fields, .. } = message
            {
                let mut list = Vec::<(Bytes, Bytes)>::new();
                for (field, _) in fields.unwrap() {
                    let value = Bytes::copy_from_slice(field.value());
                    match list.iter_mut().find(|(name, _)| name == field.name()) {
                        Some((_, values)) => {
                            *values = [&values[..], &value[..]].join(&0).into();
                        }
                        None => list.push((Bytes::copy_from_slice(field.name()), value)),
                    }
                }
                lists.push(list);
            }
        }
        return lists;
    }
    let wire = version.spdy_frames().unwrap_or(spdy::WireVersion::V3);
    let mut bytes = BytesMut::from(bytes);
    let mut decoder = spdy::Decoder::new(wire, spdy::DecoderLimits::default());
    while let Some(message) = decoder.decode(&mut bytes).unwrap() {
        if let spdy::Message::SynStream { block, .. }
        | spdy::Message::SynReply { block, .. }
        | spdy::Message::Headers { block, .. } = message
        {
            lists.push(block.list.unwrap());
        }
    }
    lists
}

/// Checks that this number of lists with our fields was sent, all without such whitespace.
fn assert_clean(version: Version, bytes: &[u8], count: usize) {
    let mut expected = expected(version);
    expected.sort_unstable();
    let mut clean = 0;
    for list in lists(version, bytes) {
        let mine = list.iter().filter(|(name, _)| name.starts_with(b"x-"));
        let mut mine: Vec<_> = mine
            .map(|(name, value)| (std::str::from_utf8(name).unwrap(), &value[..]))
            .collect();
        mine.sort_unstable();
        if !mine.is_empty() {
            assert_eq!(mine, expected, "{version}");
            clean += 1;
        }
    }
    assert_eq!(clean, count, "{version}");
}

fn opened(victim: &Victim) -> StreamKey {
    let opened = victim.events.iter().find_map(|event| match event {
        Event::Opened { stream, .. } => Some(*stream),
        _ => None,
    });
    opened.expect("no request came")
}

#[test]
fn no_list_leaves_with_blanks_around_its_values() {
    every_version(|version| {
        let mut config = Config::new(version, Side::Client);
        config.push = ServerPush::Accept;
        let mut client = Victim::with(config);
        let mut server = Victim::new(version, Side::Server);

        // A request with trailers.
        let uri: http::Uri = "https://example.org/".parse().unwrap();
        let head = Head {
            fields: fields(),
            ..Head::request(Method::POST, uri.clone())
        };
        let now = client.now;
        let stream = client
            .engine
            .open(now, head, OpenOptions::default())
            .unwrap();
        let data = Bytes::from_static(b"data");
        client
            .engine
            .stream(now, stream)
            .send_data(data.clone(), false)
            .unwrap();
        client
            .engine
            .stream(now, stream)
            .send_trailers(fields())
            .unwrap();
        let sent = client.flush();
        assert_clean(version, &sent, 2);

        // Its response: an informational one if the protocol has it, a push, the head, trailers.
        server.take_bytes(&sent);
        let stream = opened(&server);
        let response = |status| Head {
            fields: fields(),
            ..Head::response(status)
        };
        let mut lists = 3;
        if version == Version::Http2 {
            let interim = response(StatusCode::EARLY_HINTS);
            server.engine.stream(now, stream).inform(interim).unwrap();
            // A promise apart from the head of its response.
            lists += 2;
        }
        let promised = Head {
            fields: fields(),
            ..Head::request(Method::GET, uri)
        };
        let push = server.engine.stream(now, stream).push(promised).unwrap();
        let head = response(StatusCode::OK);
        server
            .engine
            .stream(now, stream)
            .reply(head, false)
            .unwrap();
        let head = response(StatusCode::OK);
        server.engine.stream(now, push).reply(head, true).unwrap();
        server
            .engine
            .stream(now, stream)
            .send_data(data, false)
            .unwrap();
        server
            .engine
            .stream(now, stream)
            .send_trailers(fields())
            .unwrap();
        let sent = server.flush();
        assert_clean(version, &sent, lists);
        client.take_bytes(&sent);
        assert_eq!((client.monitor.resets, server.monitor.resets), (0, 0));
    });
}
