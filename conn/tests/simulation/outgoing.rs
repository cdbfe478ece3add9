//! Illegal messages of users: they are not sent.

use http::{HeaderValue, Method, StatusCode, uri::Scheme};
use lacewing_conn::{
    Version,
    proto::{AddedFields, Head, OpenError, OpenOptions, UsageError},
};

use crate::pair::{Pair, every_version};

/// A user's field with the name of a control field of SPDY/2 would occur twice there, which is
/// illegal (§2.6.10). The engine omits it and sends the message.
#[test]
fn names_of_control_data_are_taken_in_spdy_2() {
    every_version(|version| {
        let mut pair = Pair::new(version);
        pair.server.answers = false;
        let names = ["method", "scheme", "url", "version", "status", "x-mine"];
        let mut head = Head::request(Method::GET, "https://example.org/".parse().unwrap());
        for name in names {
            let value = HeaderValue::from_static("mine");
            head.fields.insert(name, value);
        }
        let fields = head.fields.clone();
        let id = pair.request(head);
        let sees = |fields: &std::collections::BTreeMap<String, Vec<String>>| {
            names.map(|name| fields.contains_key(name))
        };
        let seen = &pair.server.seen[&id];
        assert_eq!(seen.request.as_deref(), Some("GET https://example.org/"));
        let two = version == Version::Spdy2;
        assert_eq!(
            sees(&seen.fields),
            [!two, !two, !two, !two, true, true],
            "{version}"
        );
        let stream = pair.server.keys[&id];
        let response = Head {
            fields,
            ..Head::response(StatusCode::OK)
        };
        pair.server_stream(stream).reply(response, true).unwrap();
        pair.run();
        let seen = &pair.client.seen[&id];
        assert_eq!(seen.status, Some(StatusCode::OK), "{version}");
        assert_eq!(
            sees(&seen.fields),
            [true, true, true, !two, !two, true],
            "{version}"
        );
        pair.assert_quiescent();
    });
}

/// An authority that has only user information is not sent.
#[test]
fn user_information_does_not_leave() {
    every_version(|version| {
        let mut pair = Pair::new(version);
        pair.server.answers = false;
        let uri = "https://user:secret@example.org/".parse().unwrap();
        let head = Head::request(Method::GET, uri);
        let id = pair.request(head);
        let request = pair.server.seen[&id].request.as_deref();
        assert_eq!(request, Some("GET https://example.org/"), "{version}");
        let mut head = Head::request(Method::GET, "/".parse().unwrap());
        let host = HeaderValue::from_static("user@example.org");
        head.fields.insert("host", host);
        let opened = pair
            .client
            .engine
            .open(pair.now, head, OpenOptions::without_content());
        assert!(
            matches!(opened, Err(OpenError::Usage(UsageError::InvalidHost))),
            "{version}: {opened:?}"
        );
    });
}

/// There is no default port (RFC 9110 §9.3.6).
#[test]
fn connect_names_a_port() {
    every_version(|version| {
        let mut pair = Pair::new(version);
        let head = Head::request(Method::CONNECT, "example.org".parse().unwrap());
        let opened = pair
            .client
            .engine
            .open(pair.now, head, OpenOptions::default());
        assert!(
            matches!(opened, Err(OpenError::Usage(UsageError::InvalidHost))),
            "{version}: {opened:?}"
        );
    });
}

/// A URI without an authority takes it from the `host` field: `:authority` in HTTP/2, `:host` in
/// SPDY (RFC 9113 §8.3.1).
#[test]
fn the_host_field_stands_in_for_an_authority() {
    every_version(|version| {
        let mut pair = Pair::new(version);
        pair.server.answers = false;
        for (host, request, field) in [
            ("example.org:80", "http://example.org:80/a", None),
            ("[::1]", "http://[::1]/a", None),
            ("%2Frun%2Fsock.sock", "/a", Some("%2Frun%2Fsock.sock")),
        ] {
            let mut head = Head::request(Method::GET, "/a".parse().unwrap());
            let value = HeaderValue::from_static(host);
            head.fields.insert("host", value);
            let id = pair.request(head);
            let seen = &pair.server.seen[&id];
            let expected = format!("GET {request}");
            assert_eq!(seen.request, Some(expected), "{version}: {host}");
            let hosts = seen.fields.get("host").map(|hosts| hosts.join("|"));
            assert_eq!(hosts.as_deref(), field, "{version}: {host}");
        }
    });
}

/// An `http::Uri` permits bytes that a path must not have (RFC 3986 §3.3).
#[test]
fn odd_bytes_of_a_path_are_encoded() {
    every_version(|version| {
        let mut pair = Pair::new(version);
        pair.server.answers = false;
        let uri = "https://example.org/a\"b{}?{".parse().unwrap();
        let head = Head::request(Method::GET, uri);
        let id = pair.request(head);
        let seen = pair.server.seen[&id].request.as_deref();
        let expected = "GET https://example.org/a%22b%7B%7D?%7B";
        assert_eq!(seen, Some(expected), "{version}");
    });
}

/// The scheme of a request in origin form is that of the connection.
#[test]
fn the_scheme_that_a_uri_omits_is_the_connections() {
    every_version(|version| {
        let mut pair = Pair::with(version, |_, config| config.scheme = Scheme::HTTPS);
        pair.server.answers = false;
        let mut head = Head::request(Method::GET, "/a".parse().unwrap());
        let host = HeaderValue::from_static("example.org");
        head.fields.insert("host", host);
        let id = pair.request(head);
        let request = pair.server.seen[&id].request.as_deref();
        assert_eq!(request, Some("GET https://example.org/a"), "{version}");
    });
}

/// Exactly one `content-length` and `date`: the response's own, or the added one. None where the
/// status permits no length (RFC 9110 §8.6).
#[test]
fn added_fields_are_sent_unless_the_response_has_them() {
    every_version(|version| {
        let mut pair = Pair::new(version);
        pair.server.answers = false;
        for (status, own, length, date) in [
            (200, &[][..], Some("0"), "today"),
            (200, &[], Some("0"), "today"),
            (200, &[("date", "yesterday")], Some("0"), "yesterday"),
            (200, &[("content-length", "7")], Some("7"), "tomorrow"),
            (201, &[("x-mine", "1")], Some("0"), "tomorrow"),
            (204, &[], None, "today"),
            (
                404,
                &[("date", "yesterday"), ("content-length", "7")],
                Some("7"),
                "yesterday",
            ),
        ] {
            let head = Head::request(Method::HEAD, "https://example.org/".parse().unwrap());
            let id = pair.request(head);
            let mut head = Head::response(StatusCode::from_u16(status).unwrap());
            for (name, value) in own {
                head.fields.insert(*name, HeaderValue::from_static(value));
            }
            let added = AddedFields {
                length: Some(0),
                date: Some(HeaderValue::from_static(if date == "yesterday" {
                    "today"
                } else {
                    date
                })),
            };
            let stream = pair.server.keys[&id];
            let mut stream = pair.server_stream(stream);
            stream.respond(head, added, true).unwrap();
            pair.run();
            let seen = &pair.client.seen[&id];
            assert_eq!(seen.status.map(|status| status.as_u16()), Some(status));
            let field = |name: &str| seen.fields.get(name).map(|values| values.join("|"));
            assert_eq!(
                field("content-length").as_deref(),
                length,
                "{version}: {status} {own:?}"
            );
            assert_eq!(
                field("date").as_deref(),
                Some(date),
                "{version}: {status} {own:?}"
            );
        }
        pair.assert_quiescent();
    });
}
