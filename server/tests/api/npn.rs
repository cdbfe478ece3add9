//! The facts of OpenSSL's handshake.

use std::pin::Pin;

use axum::{Extension, Router, routing::get};
use lacewing_server::{ConnectionInfo, Identity, Protocol, Server, npn};
use openssl::{
    pkey::PKey,
    ssl::{Ssl, SslContext, SslMethod, SslVerifyMode},
    x509::X509,
};
use tokio::net::TcpStream;
use tokio_openssl::SslStream;

use crate::support::{Running, fetch, spoken, tls};

/// Responds with the facts about the client.
async fn tell(Extension(info): Extension<ConnectionInfo>) -> String {
    let tls = info.tls().unwrap();
    let certificates: Vec<_> = tls
        .peer_certificates()
        .iter()
        .map(|der| X509::from_der(der).unwrap().not_before().to_string())
        .collect();
    let name = tls.server_name().unwrap_or("no name");
    let alpn = tls.alpn().map_or("none", Protocol::alpn);
    format!("{} certificates, {name} by {alpn}", certificates.len())
}

#[tokio::test]
async fn requests_know_the_certificates_and_the_name_of_the_handshake() {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let (certificate, key) = (made.cert.pem(), made.signing_key.serialize_pem());
    let mut acceptor = npn::acceptor(certificate.as_bytes(), key.as_bytes()).unwrap();
    acceptor.set_verify_callback(SslVerifyMode::PEER, |_, _| true);
    let builder = Server::builder().bind_npn(([127, 0, 0, 1], 0).into(), acceptor);
    let builder =
        builder.options(|options| options.connection_info(lacewing_server::Extension::Insert));
    let server = builder.build().await.unwrap();
    let address = server.local_addrs().next().unwrap();
    let router = Router::new().route("/", get(tell));
    let running = Running::start(|stop| async move {
        tokio::select! {
            () = server.serve(router) => {}
            () = stop => {}
        }
    });
    let own = X509::from_pem(certificate.as_bytes()).unwrap();
    let own_key = PKey::private_key_from_pem(key.as_bytes()).unwrap();
    for protocol in spoken() {
        for count in [0, 1] {
            let mut context = SslContext::builder(SslMethod::tls_client()).unwrap();
            let name = protocol.alpn();
            let mut offer = vec![u8::try_from(name.len()).unwrap()];
            offer.extend_from_slice(name.as_bytes());
            context.set_alpn_protos(&offer).unwrap();
            if count > 0 {
                context.set_certificate(&own).unwrap();
                context.set_private_key(&own_key).unwrap();
            }
            let mut ssl = Ssl::new(&context.build()).unwrap();
            ssl.set_hostname("localhost").unwrap();
            let io = TcpStream::connect(address).await.unwrap();
            let mut io = SslStream::new(ssl, io).unwrap();
            Pin::new(&mut io).connect().await.unwrap();
            let expected = format!("{count} certificates, localhost by {protocol}");
            assert_eq!(fetch(io, protocol, "/").await, expected);
        }
    }
    running.stop().await;
}

/// The certificate that OpenSSL's client sees, after a request over HTTP/2.
async fn shown(address: std::net::SocketAddr, name: Option<&str>) -> Vec<u8> {
    let mut context = SslContext::builder(SslMethod::tls_client()).unwrap();
    context.set_alpn_protos(b"\x02h2").unwrap();
    let mut ssl = Ssl::new(&context.build()).unwrap();
    if let Some(name) = name {
        ssl.set_hostname(name).unwrap();
    }
    let io = TcpStream::connect(address).await.unwrap();
    let mut io = SslStream::new(ssl, io).unwrap();
    Pin::new(&mut io).connect().await.unwrap();
    let shown = io.ssl().peer_certificate().unwrap().to_der().unwrap();
    assert_eq!(fetch(io, Protocol::Http2, "/").await, "hello");
    shown
}

#[tokio::test]
async fn an_identity_is_chosen_by_name_and_replaced_while_the_server_runs() {
    let [one, other, renewed] = ["one.example", "other.example", "one.example"].map(tls::make);
    let identity = |made: &tls::Made| {
        Identity::from_pem(made.certificate.as_bytes(), made.key.as_bytes()).unwrap()
    };
    let identities = identity(&one).and(identity(&other));
    let acceptor = npn::acceptor_with(&identities).unwrap();
    let builder = Server::builder().bind_npn(([127, 0, 0, 1], 0).into(), acceptor);
    let builder =
        builder.options(|options| options.connection_info(lacewing_server::Extension::Insert));
    let server = builder.build().await.unwrap();
    let address = server.local_addrs().next().unwrap();
    let router = Router::new().route("/", get(|| async { "hello" }));
    let running = Running::start(|stop| async move {
        tokio::select! {
            () = server.serve(router) => {}
            () = stop => {}
        }
    });
    for (name, expected) in [
        (None, &one),
        (Some("one.example"), &one),
        (Some("other.example"), &other),
        (Some("third.example"), &one),
    ] {
        assert_eq!(
            shown(address, name).await,
            expected.der.as_ref(),
            "{name:?}"
        );
    }
    identities
        .replace_pem(renewed.certificate.as_bytes(), renewed.key.as_bytes())
        .unwrap();
    assert_eq!(
        identities.certificates(),
        std::slice::from_ref(&renewed.der)
    );
    for (name, expected) in [(None, &renewed), (Some("other.example"), &other)] {
        assert_eq!(
            shown(address, name).await,
            expected.der.as_ref(),
            "{name:?}"
        );
    }
    running.stop().await;
}

/// A certificate that OpenSSL does not accept is found before the first client asks for its name.
#[tokio::test]
async fn each_of_several_identities_is_checked() {
    let [one, other] = ["one.example", "other.example"].map(tls::make);
    // rustls does not parse the certificates behind the first.
    let chain = format!(
        "{}-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
        other.certificate
    );
    let good = Identity::from_pem(one.certificate.as_bytes(), one.key.as_bytes()).unwrap();
    let bad = Identity::from_pem(chain.as_bytes(), other.key.as_bytes()).unwrap();
    assert!(npn::acceptor_with(&good).is_ok());
    for identity in [bad.clone(), bad.clone().and(good.clone()), good.and(bad)] {
        let error = npn::acceptor_with(&identity).err().expect("refused");
        assert!(error.to_string().contains("of no use"), "{error}");
    }
}
