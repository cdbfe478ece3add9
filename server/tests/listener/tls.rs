//! Protocols negotiated by ALPN.

mod one_port;

use std::sync::Arc;

use lacewing_server::{Protocol, Version};
use rustls::{
    ClientConfig, RootCertStore, ServerConfig,
    crypto::ring,
    pki_types::{CertificateDer, PrivateKeyDer, ServerName},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};
use tokio_rustls::{TlsConnector, client::TlsStream};

use crate::{Running, fetch};

pub(crate) async fn start(protocols: &[Protocol]) -> (Running, CertificateDer<'static>) {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let certificate = made.cert.der().clone();
    let key = PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.clone()], key)
        .unwrap();
    let running = Running::start(|builder| {
        builder
            .bind_tls(([127, 0, 0, 1], 0).into(), config)
            .options(|options| options.protocols(protocols.iter().copied()))
    })
    .await;
    (running, certificate)
}

pub(crate) async fn connect(
    server: &Running,
    certificate: &CertificateDer<'static>,
    alpn: &[&str],
) -> std::io::Result<TlsStream<TcpStream>> {
    let mut roots = RootCertStore::empty();
    roots.add(certificate.clone()).unwrap();
    let mut config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = alpn.iter().map(|name| name.as_bytes().to_vec()).collect();
    let io = TcpStream::connect(server.address).await?;
    let name = ServerName::try_from("localhost").unwrap();
    TlsConnector::from(Arc::new(config)).connect(name, io).await
}

#[tokio::test]
async fn every_version_is_negotiated() {
    let offer = Version::ALL.map(Protocol::from);
    let (server, certificate) = start(&offer).await;
    for version in Version::ALL {
        let io = connect(&server, &certificate, &["unknown", version.alpn()])
            .await
            .unwrap();
        assert_eq!(
            io.get_ref().1.alpn_protocol(),
            Some(version.alpn().as_bytes())
        );
        assert_eq!(fetch(io, version).await, format!("https {version}"));
    }
    server.stop().await;
}

/// The first protocol of the server that the client offers too, whatever the client's order.
#[tokio::test]
async fn the_server_s_order_of_preference_counts() {
    let mut all = Protocol::ALL.to_vec();
    all.retain(|protocol| cfg!(feature = "http1") || *protocol != Protocol::Http1);
    let reversed = all.iter().rev().copied().collect();
    let mut turned = all.clone();
    turned.rotate_left(2);
    for order in [all, reversed, turned] {
        let (server, certificate) = start(&order).await;
        for offered in [
            &["http/1.1", "spdy/2", "spdy/3", "spdy/3.1", "h2"][..],
            &["h2", "spdy/3.1", "spdy/3", "spdy/2", "http/1.1"],
            &["spdy/3", "unknown", "http/1.1"],
            &["spdy/3.1", "spdy/2"],
        ] {
            let mut names = order.iter().map(|protocol| protocol.alpn());
            let chosen = names.find(|name| offered.contains(name));
            let io = connect(&server, &certificate, offered).await.unwrap();
            assert_eq!(
                io.get_ref().1.alpn_protocol(),
                chosen.map(|name| name.as_bytes()),
                "{order:?}, {offered:?}"
            );
        }
        server.stop().await;
    }
}

#[tokio::test]
async fn a_client_that_negotiates_nothing_is_told_apart() {
    let (server, certificate) = start(&[Protocol::Http2]).await;
    let refused = connect(&server, &certificate, &[]).await;
    server.told("NoAlpn").await;
    drop(refused);
    // Without a common protocol, the handshake fails.
    let refused = connect(&server, &certificate, &["spdy/1"]).await;
    server.told("NoApplicationProtocol").await;
    drop(refused);
    server.stop().await;
}

#[tokio::test]
async fn cleartext_on_the_tls_port_fails_in_the_handshake() {
    let (server, _) = start(&[Protocol::Http2]).await;
    let mut io = TcpStream::connect(server.address).await.unwrap();
    io.write_all(b"GET / HTTP/1.1\r\n\r\n").await.unwrap();
    let _ = io.read_to_end(&mut Vec::new()).await;
    server.told("Tls(").await;
    server.stop().await;
}

#[cfg(feature = "http1")]
#[tokio::test]
async fn no_alpn_stands_for_http_1_1() {
    for alpn in [&[][..], &["http/1.1"]] {
        let (server, certificate) = start(&[Protocol::Http2, Protocol::Http1]).await;
        let mut io = connect(&server, &certificate, alpn).await.unwrap();
        let request = b"GET / HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n";
        io.write_all(request).await.unwrap();
        let mut answer = Vec::new();
        let _ = io.read_to_end(&mut answer).await;
        let answer = String::from_utf8(answer).unwrap();
        assert!(answer.ends_with("\r\n\r\nhttps http/1.1"), "{answer}");
        server.stop().await;
    }
}
