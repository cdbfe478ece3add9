//! The host that a request is for.

use std::{fs, net::TcpStream, sync::Arc};

use rustls::{
    ClientConfig, ClientConnection, RootCertStore, StreamOwned,
    crypto::ring,
    pki_types::{CertificateDer, ServerName},
};

use crate::{
    exchange::{ALL, Answer, MULTIPLEXED, Protocol, Session, ask_over, head},
    program::{Directory, Running},
};

#[test]
fn a_request_of_http1_has_one_host() {
    let directory = Directory::new("lacewingd-hosts");
    let running = Running::start(&directory, &["--https", "off"]);
    let status = |fields: &str| {
        let end = "connection: close\r\n\r\n";
        let answer = running.send(&format!("GET /hello.txt HTTP/1.1\r\n{fields}{end}"));
        answer.split(' ').nth(1).unwrap().to_owned()
    };
    assert_eq!(status("host: localhost\r\n"), "200");
    assert_eq!(status(""), "400");
    assert_eq!(status("host: localhost\r\nhost: localhost\r\n"), "400");
    assert_eq!(status("host: a\r\nHost: b\r\n"), "400");
    assert_eq!(status("host: a b\r\n"), "400");
    let old = running.send("GET /hello.txt HTTP/1.0\r\n\r\n");
    assert!(old.starts_with("HTTP/1.0 200"), "{old}");
}

/// Two hosts are a malformed request, which no handler sees; and a stream that
/// has one lives on beside it.
#[test]
fn a_request_of_the_others_has_no_two_hosts() {
    let directory = Directory::new("lacewingd-two-hosts");
    let running = Running::start(&directory, &["--https", "off"]);
    for protocol in MULTIPLEXED {
        let good = head(protocol, "localhost", "GET", "/hello.txt");
        let differs = [&good[..], &[("host", "other")]].concat();
        let double = if protocol == Protocol::Http2 {
            [&good[..], &[("host", "localhost"), ("host", "localhost")]].concat()
        } else {
            let host = |(name, value)| match name {
                ":host" => (name, "localhost\0other"),
                _ => (name, value),
            };
            good.iter().copied().map(host).collect()
        };
        for bad in [differs, double] {
            let mut session = Session::new(running.connect(), protocol, None);
            session.open(1, &bad);
            session.open(3, &good);
            assert_eq!(session.finish(3).status, 200, "{protocol:?}");
            let status = session.finish(1).status;
            assert!(
                status == 0 || status == 400,
                "{protocol:?} {bad:?}: {status}"
            );
        }
    }
}

/// HTTP/2 may leave the authority out (RFC 9113 §8.3.1), SPDY/3 may not (§3.2.1
/// of its draft: 400, or a stream error).
#[test]
fn a_missing_host_is_malformed_where_it_is_required() {
    let directory = Directory::new("lacewingd-no-host");
    let running = Running::start(&directory, &["--https", "off"]);
    for protocol in MULTIPLEXED {
        let good = head(protocol, "localhost", "GET", "/hello.txt");
        let is_host = |name| matches!(name, ":authority" | ":host");
        let mut bad = good.clone();
        bad.retain(|(name, _)| !is_host(*name));
        let mut session = Session::new(running.connect(), protocol, None);
        session.open(1, &bad);
        session.open(3, &good);
        assert_eq!(session.finish(3).status, 200, "{protocol:?}");
        let status = session.finish(1).status;
        let required = protocol == Protocol::Spdy31;
        assert_eq!(status == 200, !required, "{protocol:?}: {status}");
    }
}

#[test]
fn a_request_for_another_server_is_misdirected() {
    let directory = Directory::new("lacewingd-misdirected");
    let names = ["a.example", "b.example"].map(str::to_owned);
    let made = rcgen::generate_simple_self_signed(names).unwrap();
    let keys = Directory::new("lacewingd-misdirected-keys");
    let (cert, key) = (keys.path("cert.pem"), keys.path("key.pem"));
    fs::write(&cert, made.cert.pem()).unwrap();
    fs::write(&key, made.signing_key.serialize_pem()).unwrap();
    let (cert, key) = (cert.to_str().unwrap(), key.to_str().unwrap());
    let args = ["--https", "127.0.0.1:0", "--cert", cert, "--key", key];
    let running = Running::start(&directory, &args);
    let ask = |protocol, authority: &str, path: &str| -> Answer {
        let io = secure(&running, protocol, made.cert.der(), "a.example");
        ask_over(io, protocol, authority, "GET", path, &[])
    };
    for protocol in ALL {
        for authority in ["a.example", "a.example:8443", "A.Example", "b.example"] {
            let answer = ask(protocol, authority, "/hello.txt");
            assert_eq!(answer.status, 200, "{protocol:?} {authority}");
        }
        for authority in ["c.example", "a.example.evil", "127.0.0.1"] {
            for path in ["/hello.txt", "/none"] {
                let answer = ask(protocol, authority, path);
                assert_eq!(answer.status, 421, "{protocol:?} {authority}");
            }
        }
    }
    // Without TLS every name is right.
    let answer = ask_over(
        running.connect(),
        Protocol::Http2,
        "c.example",
        "GET",
        "/hello.txt",
        &[],
    );
    assert_eq!(answer.status, 200);
}

fn secure(
    running: &Running,
    protocol: Protocol,
    certificate: &CertificateDer<'static>,
    name: &'static str,
) -> StreamOwned<ClientConnection, TcpStream> {
    let mut roots = RootCertStore::empty();
    roots.add(certificate.clone()).unwrap();
    let mut config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let alpn = match protocol {
        Protocol::Http1 => "http/1.1",
        Protocol::Http2 => "h2",
        Protocol::Spdy31 => "spdy/3.1",
    };
    config.alpn_protocols = vec![alpn.into()];
    let name = ServerName::try_from(name).unwrap();
    let client = ClientConnection::new(Arc::new(config), name).unwrap();
    let io = TcpStream::connect(running.https.unwrap()).unwrap();
    StreamOwned::new(client, io)
}
