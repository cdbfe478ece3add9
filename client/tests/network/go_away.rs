//! The errors of requests have a server's reason for the end of a connection, and the reason
//! decides about retries.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use lacewing_client::{
    Client, ClientError, ClientOptions, Connect, Connected, Connecting, Connection, GivenUp,
    Initiator, Limits, Origin, Reason, Side, Version,
};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream};

use crate::support::*;

/// The behaviour of a server after a client's first bytes.
#[derive(Clone, Debug)]
struct Script {
    version: Version,
    says: Vec<u8>,
    then: Then,
    dialled: Arc<AtomicUsize>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Then {
    Close,
    Silence,
}

impl Script {
    fn new(version: Version, says: Vec<u8>, then: Then) -> Self {
        Self {
            version,
            says,
            then,
            dialled: Arc::default(),
        }
    }

    async fn run(self, mut io: DuplexStream) {
        let mut heard = vec![0; 64 << 10];
        let _ = io.read(&mut heard).await;
        let mut says = Vec::new();
        if self.version == Version::Http2 {
            // SETTINGS, and the acknowledgement of the client's.
            says.extend_from_slice(&[0, 0, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 4, 1, 0, 0, 0, 0]);
        }
        says.extend_from_slice(&self.says);
        let _ = io.write_all(&says).await;
        if self.then == Then::Close {
            let _ = io.shutdown().await;
        }
        while io.read(&mut heard).await.unwrap_or(0) > 0 {}
    }
}

impl Connect for Script {
    fn connect<'a>(&'a self, _origin: &'a Origin) -> Connecting<'a> {
        Box::pin(async move {
            self.dialled.fetch_add(1, Ordering::SeqCst);
            let (client, server) = tokio::io::duplex(64 << 10);
            tokio::spawn(self.clone().run(server));
            Ok(Connected::new(client, self.version))
        })
    }
}

/// GOAWAY. Only HTTP/2 has a text, and SPDY/2 has no code.
fn go_away(version: Version, last: u8, code: u8, words: &[u8]) -> Vec<u8> {
    match version {
        Version::Http2 => {
            let length = 8 + words.len() as u8;
            let mut frame = vec![0, 0, length, 7, 0, 0, 0, 0, 0, 0, 0, 0, last, 0, 0, 0, code];
            frame.extend_from_slice(words);
            frame
        }
        Version::Spdy2 => vec![0x80, 2, 0, 7, 0, 0, 0, 4, 0, 0, 0, last],
        Version::Spdy3 | Version::Spdy31 => {
            vec![0x80, 3, 0, 7, 0, 0, 0, 8, 0, 0, 0, last, 0, 0, 0, code]
        }
    }
}

/// ENHANCE_YOUR_CALM, or its equivalent in SPDY: PROTOCOL_ERROR.
fn too_many_pings(version: Version, last: u8) -> Vec<u8> {
    let code = if version == Version::Http2 { 0x0b } else { 1 };
    go_away(version, last, code, b"too_many_pings")
}

fn is_told(version: Version, error: &ClientError) {
    let connection = error.connection().expect("an error of the connection");
    assert_eq!(
        connection.initiator(),
        Initiator::Peer,
        "{version}: {error}"
    );
    let text = error.to_string();
    assert!(text.contains("GOAWAY"), "{version}: {text}");
    match version {
        Version::Http2 => {
            assert_eq!(connection.reason(), Reason::EnhanceYourCalm, "{text}");
            assert!(text.contains("ENHANCE_YOUR_CALM"), "{text}");
            assert!(text.contains("too_many_pings"), "{text}");
        }
        Version::Spdy2 => {}
        _ => assert_eq!(connection.reason(), Reason::ProtocolError, "{text}"),
    }
}

#[test]
fn its_code_and_words_are_in_the_errors_of_requests_and_connections() {
    every_version(|version| async move {
        tokio::time::pause();
        // Accepted, and perhaps processed; then not processed, five times.
        for (last, tries) in [(1, 1), (0, 6)] {
            let script = Script::new(version, too_many_pings(version, last), Then::Close);
            let client = Client::builder().connector(script.clone()).build();
            let error = client.request(get("/")).await.unwrap_err();
            is_told(version, &error);
            assert_eq!(error.is_retryable(), last == 0, "{version}: {error}");
            assert_eq!(script.dialled.load(Ordering::SeqCst), tries, "{version}");
        }
        // A connection without a pool, whose task returns an error too.
        let (io, server) = tokio::io::duplex(64 << 10);
        let script = Script::new(version, too_many_pings(version, 1), Then::Close);
        tokio::spawn(script.run(server));
        let (connection, task) = Connection::handshake(io, version, ClientOptions::default());
        let task = tokio::spawn(task);
        is_told(version, &connection.request(get("/")).await.unwrap_err());
        let error = task.await.unwrap().unwrap_err();
        is_told(version, &ClientError::from(error));
    });
}

/// Requests above the last stream fail at once, and the others when `drain_timeout` is over: no
/// request waits forever.
#[test]
fn silence_after_it_is_not_waited_out() {
    every_version(|version| async move {
        if version == Version::Spdy2 {
            // SPDY/2 has no code: every GOAWAY is a graceful one.
            return;
        }
        tokio::time::pause();
        let (io, server) = tokio::io::duplex(64 << 10);
        let script = Script::new(version, too_many_pings(version, 1), Then::Silence);
        tokio::spawn(script.run(server));
        let (connection, task) = Connection::handshake(io, version, ClientOptions::default());
        tokio::spawn(task);
        let since = tokio::time::Instant::now();
        let taken = connection.request(get("/1"));
        let left = connection.request(get("/2"));
        let error = left.await.unwrap_err();
        assert!(error.is_retryable(), "{version}: {error}");
        is_told(version, &error);
        let limit = Limits::new(Side::Client).drain_timeout;
        assert!(since.elapsed() < limit, "{version}");
        // Later requests receive the reason too.
        let late = connection.request(get("/3")).await.unwrap_err();
        assert!(late.is_retryable(), "{version}: {late}");
        is_told(version, &late);
        let error = taken.await.unwrap_err();
        assert!(!error.is_retryable(), "{version}: {error}");
        is_told(version, &error);
        assert!(since.elapsed() < limit * 2, "{version}");
    });
}

/// The errors of requests have the graceful GOAWAY that ended them, whether the server processed
/// the requests or not.
#[test]
fn a_graceful_one_is_named_in_the_errors_of_requests() {
    every_version(|version| async move {
        tokio::time::pause();
        for (last, processed) in [(0, false), (1, true)] {
            let says = go_away(version, last, 0, b"restart");
            let client = Client::builder()
                .connector(Script::new(version, says, Then::Close))
                .build();
            let error = client.request(get("/")).await.unwrap_err();
            assert_eq!(error.is_retryable(), !processed, "{version}: {error}");
            let text = error.to_string();
            assert!(text.contains("GOAWAY NO_ERROR"), "{version}: {text}");
            assert_eq!(text.contains("did not process"), !processed, "{text}");
            if version == Version::Http2 {
                assert!(text.contains("\"restart\""), "{text}");
            }
        }
    });
}

/// A server that requires HTTP/1.1 receives no second request in HTTP/2. `http1/required.rs` has the
/// clients that speak HTTP/1.1.
#[tokio::test]
async fn http_1_1_required_is_said_and_not_retried() {
    let version = Version::Http2;
    let goaway = go_away(version, 0, 0x0d, b"");
    let reset = vec![0, 0, 4, 3, 0, 0, 0, 0, 1, 0, 0, 0, 0x0d];
    for (says, how) in [(goaway, "GOAWAY"), (reset, "RST_STREAM")] {
        let script = Script::new(version, says, Then::Silence);
        let client = Client::builder().connector(script.clone()).build();
        let patience = Duration::from_secs(60);
        let error = tokio::time::timeout(patience, client.request(get("/")));
        let error = error.await.expect("an answer").unwrap_err();
        let reason = error.connection().map(|error| error.reason());
        assert_eq!(reason, Some(Reason::Http11Required), "{how}: {error}");
        assert!(!error.is_retryable(), "{how}: {error}");
        let text = error.to_string();
        assert!(text.contains("HTTP_1_1_REQUIRED"), "{how}: {text}");
        assert!(
            text.contains("use a client that speaks it"),
            "{how}: {text}"
        );
        if how == "GOAWAY" {
            let ClientError::NotProcessed { tries, why, .. } = error else {
                panic!("{text}")
            };
            assert_eq!((tries, why), (1, GivenUp::Pointless));
        }
        assert_eq!(script.dialled.load(Ordering::SeqCst), 1, "{how}");
    }
}
