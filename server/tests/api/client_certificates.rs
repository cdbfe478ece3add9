//! The facts of the TLS handshake, in each request's `ConnectionInfo`.

use std::sync::Arc;

use axum::{Extension, Router, routing::get};
use lacewing_server::{
    ConnectionInfo, Identity, Protocol, Server,
    rustls::{RootCertStore, ServerConfig, crypto::ring, server::WebPkiClientVerifier},
};
use tokio::net::TcpStream;

use crate::support::{Running, fetch, spoken, tls};

/// Responds with the facts about the client.
fn router(own: Vec<u8>) -> Router {
    let tell = move |Extension(info): Extension<ConnectionInfo>| async move {
        let tls = info.tls().unwrap();
        let known = match tls.peer_certificates() {
            [] => "nobody",
            [first] if first[..] == own[..] => "somebody",
            _ => "somebody else",
        };
        let name = tls.server_name().unwrap_or("no name");
        let alpn = tls.alpn().map_or("none", Protocol::alpn);
        format!("{known} asks {name} by {alpn}")
    };
    Router::new().route("/", get(tell))
}

#[tokio::test]
async fn requests_know_the_certificates_and_the_name_of_the_handshake() {
    let made = tls::make("localhost");
    let own = tls::make("client.example");
    let identity = Identity::from_pem(made.certificate.as_bytes(), made.key.as_bytes()).unwrap();
    let mut roots = RootCertStore::empty();
    roots.add(own.der.clone()).unwrap();
    let provider = Arc::new(ring::default_provider());
    let roots = Arc::new(roots);
    let clients = WebPkiClientVerifier::builder_with_provider(roots, Arc::clone(&provider))
        .allow_unauthenticated()
        .build()
        .unwrap();
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_client_cert_verifier(clients)
        .with_cert_resolver(identity.resolver());
    let builder = Server::builder().bind_tls(([127, 0, 0, 1], 0).into(), config);
    let builder =
        builder.options(|options| options.connection_info(lacewing_server::Extension::Insert));
    let address = std::sync::Mutex::new(None);
    let server = builder.build().await.unwrap();
    *address.lock().unwrap() = server.local_addrs().next();
    let address = address.into_inner().unwrap().unwrap();
    let router = router(own.der.to_vec());
    let running = Running::start(|stop| async move {
        tokio::select! {
            () = server.serve(router) => {}
            () = stop => {}
        }
    });
    for protocol in spoken() {
        for (certificate, who) in [(Some(&own), "somebody"), (None, "nobody")] {
            let io = TcpStream::connect(address).await.unwrap();
            let config = tls::config(&[&made], certificate, Some(protocol));
            let io = tls::connect(io, "localhost", config).await;
            let expected = format!("{who} asks localhost by {protocol}");
            assert_eq!(fetch(io, protocol, "/").await, expected);
        }
    }
    if cfg!(feature = "http1") {
        let io = TcpStream::connect(address).await.unwrap();
        let io = tls::connect(io, "localhost", tls::config(&[&made], None, None)).await;
        let expected = "nobody asks localhost by none";
        assert_eq!(fetch(io, Protocol::Http1, "/").await, expected);
    }
    running.stop().await;
}
