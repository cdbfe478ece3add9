//! What OpenSSL's handshake told of the client.

use std::pin::Pin;

use axum::{Extension, Router, routing::get};
use lacewing_server::{ConnectionInfo, Protocol, Server, npn};
use openssl::{
    pkey::PKey,
    ssl::{Ssl, SslContext, SslMethod, SslVerifyMode},
    x509::X509,
};
use tokio::net::TcpStream;
use tokio_openssl::SslStream;

use crate::support::{Running, fetch, spoken};

/// Tells what is known of the client.
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
