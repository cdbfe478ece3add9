//! Protocols negotiated by NPN, and by ALPN on the same listener.

use std::{io, pin::Pin, sync::Arc};

use lacewing_conn::npn::{self as peer, NoOverlap, Preference};
use lacewing_server::{Protocol, StartError, Version, npn};
use openssl::ssl::{Ssl, SslContext, SslContextBuilder, SslMethod};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};
use tokio_openssl::SslStream;

use crate::{Running, fetch};

const SPDY: [Version; 3] = [Version::Spdy2, Version::Spdy3, Version::Spdy31];

async fn start(protocols: &[Protocol]) -> Running {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let (certificate, key) = (made.cert.pem(), made.signing_key.serialize_pem());
    let acceptor = npn::acceptor(certificate.as_bytes(), key.as_bytes()).unwrap();
    Running::start(|builder| {
        builder
            .bind_npn(([127, 0, 0, 1], 0).into(), acceptor)
            .options(|options| options.protocols(protocols.iter().copied()))
    })
    .await
}

/// A client that supports only NPN and prefers its own order.
fn by_npn(supported: &[&str]) -> SslContextBuilder {
    let mut builder = SslContext::builder(SslMethod::tls_client()).unwrap();
    let own = Preference::Client;
    peer::select(&mut builder, supported, own, NoOverlap::FirstChoice).unwrap();
    builder
}

async fn connect(server: &Running, builder: SslContextBuilder) -> io::Result<SslStream<TcpStream>> {
    let ssl = Ssl::new(&builder.build())?;
    let mut io = SslStream::new(ssl, TcpStream::connect(server.address).await?)?;
    let connected = Pin::new(&mut io).connect().await;
    connected.map_err(io::Error::other)?;
    Ok(io)
}

#[tokio::test]
async fn every_version_of_spdy_is_negotiated() {
    let server = start(&Protocol::ALL[..4]).await;
    for version in SPDY {
        let io = connect(&server, by_npn(&[version.alpn()])).await.unwrap();
        assert_eq!(io.ssl().version_str(), "TLSv1.2");
        assert_eq!(fetch(io, version).await, format!("https {version}"));
    }
    server.stop().await;
}

#[tokio::test]
async fn npn_offers_the_builders_order_without_http2() {
    let server = start(&[
        Protocol::Http2,
        Protocol::Spdy3,
        Protocol::Spdy31,
        Protocol::Spdy2,
    ])
    .await;
    for (supported, preference, name) in [
        (["spdy/2", "spdy/3"], Preference::Server, "spdy/3"),
        (["spdy/2", "spdy/3"], Preference::Client, "spdy/2"),
        (["h2", "spdy/3.1"], Preference::Client, "spdy/3.1"),
    ] {
        let mut builder = SslContext::builder(SslMethod::tls_client()).unwrap();
        peer::select(&mut builder, supported, preference, NoOverlap::Http1).unwrap();
        let io = connect(&server, builder).await.unwrap();
        assert_eq!(peer::negotiated(io.ssl()), Some(name.as_bytes()));
    }
    server.stop().await;
}

#[tokio::test]
async fn alpn_goes_before_npn_and_has_http_2() {
    let server = start(&[Protocol::Http2, Protocol::Spdy31, Protocol::Spdy3]).await;
    for (offer, version) in [
        (&b"\x06spdy/3\x02h2"[..], Version::Http2),
        (b"\x06spdy/3", Version::Spdy3),
    ] {
        let mut builder = by_npn(&["spdy/3.1"]);
        builder.set_alpn_protos(offer).unwrap();
        let io = connect(&server, builder).await.unwrap();
        assert_eq!(
            io.ssl().selected_alpn_protocol(),
            Some(version.alpn().as_bytes())
        );
        assert_eq!(peer::negotiated(io.ssl()), None);
        assert_eq!(fetch(io, version).await, format!("https {version}"));
    }
    server.stop().await;
}

#[tokio::test]
async fn alpn_without_anything_in_common_ends_the_handshake() {
    let server = start(&[Protocol::Spdy31]).await;
    let mut builder = by_npn(&["spdy/3.1"]);
    builder.set_alpn_protos(b"\x02h2").unwrap();
    let error = connect(&server, builder).await.unwrap_err().to_string();
    assert!(error.contains("no application protocol"), "{error}");
    server.told("Rejected").await;
    server.stop().await;
}

/// The only TLS library that never had NPN.
#[tokio::test]
async fn a_client_of_today_gets_through() {
    use rustls::{ClientConfig, RootCertStore, crypto::ring, pki_types::ServerName};

    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let (certificate, key) = (made.cert.pem(), made.signing_key.serialize_pem());
    let acceptor = npn::acceptor(certificate.as_bytes(), key.as_bytes()).unwrap();
    let server =
        Running::start(|builder| builder.bind_npn(([127, 0, 0, 1], 0).into(), acceptor)).await;
    let mut roots = RootCertStore::empty();
    roots.add(made.cert.der().clone()).unwrap();
    let mut config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"h2".to_vec()];
    let io = TcpStream::connect(server.address).await.unwrap();
    let connector = tokio_rustls::TlsConnector::from(Arc::new(config));
    let name = ServerName::try_from("localhost").unwrap();
    let io = connector.connect(name, io).await.unwrap();
    assert_eq!(fetch(io, Version::Http2).await, "https h2");
    server.stop().await;
}

/// The draft permits a client to select a protocol that the server did not offer (§4).
#[tokio::test]
async fn the_choice_of_the_client_is_checked() {
    let server = start(&[Protocol::Spdy31]).await;
    for (choice, told) in [
        ("spdy/2", "NotOffered { protocol: Spdy2 }"),
        ("spdy/4", "NoAlpn"),
    ] {
        let mut io = connect(&server, by_npn(&[choice])).await.unwrap();
        assert_eq!(peer::negotiated(io.ssl()), Some(choice.as_bytes()));
        let _ = io.read_to_end(&mut Vec::new()).await;
        server.told(told).await;
    }
    server.stop().await;
}

#[tokio::test]
async fn a_server_of_http_2_alone_advertises_nothing() {
    let server = start(&[Protocol::Http2]).await;
    let mut io = connect(&server, by_npn(&["h2"])).await.unwrap();
    assert_eq!(peer::negotiated(io.ssl()), None);
    let _ = io.read_to_end(&mut Vec::new()).await;
    server.told("NoAlpn").await;
    server.stop().await;
}

#[tokio::test]
async fn a_disconnect_differs_from_a_failed_handshake() {
    let server = start(&[Protocol::Spdy31]).await;
    // In the middle of the handshake.
    let mut io = TcpStream::connect(server.address).await.unwrap();
    io.write_all(b"\x16\x03\x01").await.unwrap();
    drop(io);
    let rejected = server.told("Rejected").await;
    assert!(rejected.contains("UnexpectedEof"), "{rejected}");
    // Without a close_notify, like many clients of that time.
    let mut io = connect(&server, by_npn(&["spdy/3.1"])).await.unwrap();
    io.get_mut().shutdown().await.unwrap();
    let _ = io.get_mut().read_to_end(&mut Vec::new()).await;
    let closed = server.told("Closed").await;
    assert!(closed.contains("error: None"), "{closed}");
    // No TLS.
    let mut io = TcpStream::connect(server.address).await.unwrap();
    io.write_all(b"GET / HTTP/1.1\r\n\r\n").await.unwrap();
    let _ = io.read_to_end(&mut Vec::new()).await;
    server.told("http request").await;
    server.stop().await;
}

#[cfg(feature = "http1")]
#[tokio::test]
async fn http_1_1_is_negotiated_or_goes_without_saying() {
    let server = start(&[Protocol::Spdy31, Protocol::Http1]).await;
    let nothing = || SslContext::builder(SslMethod::tls_client()).unwrap();
    for builder in [by_npn(&["http/1.1"]), nothing()] {
        let mut io = connect(&server, builder).await.unwrap();
        let request = b"GET / HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n";
        io.write_all(request).await.unwrap();
        let mut answer = String::new();
        io.read_to_string(&mut answer).await.unwrap();
        assert!(answer.ends_with("https http/1.1"), "{answer}");
    }
    server.stop().await;
}

#[test]
fn certificates_of_no_use_are_refused_with_a_reason() {
    let make = || rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let (one, other) = (make(), make());
    let (certificate, key) = (one.cert.pem(), other.signing_key.serialize_pem());
    for (certificate, key, reason) in [
        ("", &*key, "no certificate"),
        ("-----BEGIN CERTIFICATE-----\n", &key, "certificate"),
        (&*certificate, "nothing", "private key cannot be read"),
        (&certificate, &key, "certificate and key are of no use"),
    ] {
        let refused = npn::acceptor(certificate.as_bytes(), key.as_bytes());
        let error = refused.err().unwrap();
        assert!(matches!(error, StartError::Tls(_)));
        assert!(error.to_string().contains(reason), "{error}");
    }
}
