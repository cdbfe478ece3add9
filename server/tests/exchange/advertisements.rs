//! Messages of a server besides responses: to the client, and to its observer.

use std::{convert::Infallible, time::Duration};

use http::{HeaderValue, Method, Request, Response, StatusCode};
use lacewing_conn::proto::Head;
use lacewing_server::{
    ConnectionConfig, ConnectionInfo, Limits, RequestBody, ServerOptions, Side, Version, service_fn,
};

use crate::peer::{Peer, Seen};

async fn hello(_: Request<RequestBody>) -> Result<Response<String>, Infallible> {
    Ok(Response::new("hello".into()))
}

fn advertising() -> ServerOptions {
    ServerOptions::default()
        .origins(["https://example.org", "https://example.com:8443"])
        .alternative_services("https://example.org", "h2=\":8443\"; ma=60")
}

#[tokio::test]
async fn origins_and_alternatives_come_first() {
    for version in Version::ALL {
        let info = ConnectionInfo::from(version).with_tls();
        let mut peer = Peer::connect_as(info, advertising(), service_fn(hello), |_| {});
        assert_eq!(peer.get("/").await.text(), "hello", "{version}");
        if version != Version::Http2 {
            assert!(matches!(peer.seen[..], [Seen::Reply(_), Seen::Over(_)]));
            continue;
        }
        let [
            Seen::Origins(origins),
            Seen::Alternative(origin, value),
            Seen::Reply(_),
            ..,
        ] = &peer.seen[..]
        else {
            panic!("{:?}", peer.seen);
        };
        assert_eq!(
            origins[..],
            ["https://example.org", "https://example.com:8443"]
        );
        assert_eq!(origin.as_deref(), Some(&b"https://example.org"[..]));
        assert_eq!(value, "h2=\":8443\"; ma=60");
    }
}

/// RFC 8336 §2.4.
#[tokio::test]
async fn origins_are_not_told_in_cleartext() {
    let mut peer = Peer::connect(Version::Http2, advertising(), service_fn(hello));
    peer.get("/").await;
    assert!(matches!(
        peer.seen[..],
        [Seen::Alternative(..), Seen::Reply(_), ..]
    ));
}

#[tokio::test(start_paused = true)]
async fn stats_are_told_in_an_interval_and_at_the_end() {
    for version in Version::ALL {
        let options = ServerOptions::default().stats_every(Duration::from_secs(10));
        let mut peer = Peer::connect(version, options, service_fn(hello));
        peer.get("/").await;
        let stats = |peer: &Peer| {
            let log = peer.log.lock().unwrap();
            let lines = log.iter().filter(|line| line.contains("B sent"));
            lines.cloned().collect::<Vec<_>>()
        };
        assert!(stats(&peer).is_empty());
        tokio::time::sleep(Duration::from_secs(25)).await;
        let told = stats(&peer);
        assert_eq!(told.len(), 2, "{version}");
        assert!(
            told[0].contains("0 streams, 5 B sent, 0 B received"),
            "{told:?}"
        );
        let log = std::sync::Arc::clone(&peer.log);
        let _ = peer.hang_up().await;
        assert_eq!(log.lock().unwrap().len(), 3, "{version}");
    }
}

#[tokio::test]
async fn a_response_s_own_priority_goes_before_the_client_s() {
    let service = service_fn(|request: Request<RequestBody>| async move {
        let mut response = Response::new("x".repeat(1 << 20));
        if request.uri().path() == "/urgent" {
            let value = HeaderValue::from_static("u=0");
            response.headers_mut().insert("priority", value);
        }
        Ok::<_, Infallible>(response)
    });
    for (second, overtakes) in [("/other", false), ("/urgent", true)] {
        let mut peer = Peer::connect(Version::Http2, ServerOptions::default(), service);
        let first = peer.open(Method::GET, "/first", None);
        let second = peer.open(Method::GET, second, None);
        let over = |seen: &Seen| match seen {
            Seen::Over(stream) => Some(*stream),
            _ => None,
        };
        peer.until(|peer| peer.seen.iter().filter_map(over).count() == 2)
            .await;
        let order: Vec<_> = peer.seen.iter().filter_map(over).collect();
        let expected = if overtakes {
            [second, first]
        } else {
            [first, second]
        };
        assert_eq!(order, expected);
    }
}

/// The client gets 431, and the log names the limit and its value.
#[tokio::test]
async fn a_header_limit_names_itself() {
    for version in Version::ALL {
        for (limits, named) in [
            (
                Limits::new(Side::Server),
                "max_header_list_size (65536 bytes)",
            ),
            (
                Limits::new(Side::Server).with(|limits| limits.max_header_fields = 20),
                "max_header_fields (20 fields)",
            ),
        ] {
            let options = ServerOptions::default().connection(
                ConnectionConfig::new(Side::Server).with(|config| config.limits = limits.into()),
            );
            let mut peer = Peer::connect(version, options, service_fn(hello));
            // A SPDY frame of this size exceeds another limit, that of frames.
            if version != Version::Http2 && named.contains("bytes") {
                continue;
            }
            let mut head = Head::request(Method::GET, "http://example.org/".parse().unwrap());
            let fields = if named.contains("bytes") { 35 } else { 25 };
            for index in 0..fields {
                let name = http::HeaderName::try_from(format!("x-field-{index}")).unwrap();
                let value = HeaderValue::try_from("v".repeat(2000)).unwrap();
                head.fields.insert(name, value);
            }
            let key = peer.open_with(head);
            let answer = peer.answer(key).await;
            let mut log = peer.log.lock().unwrap().join("\n");
            if answer.reset.is_none() {
                let status = StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE;
                assert_eq!(answer.status, Some(status), "{version}");
            } else {
                // A SPDY block that inflates to more than the limit ends the connection.
                assert_ne!(version, Version::Http2);
                let ended = peer.hang_up().await.unwrap();
                log = ended.unwrap_err().to_string();
            }
            assert!(log.contains(named), "{version}: {log}");
        }
    }
}
