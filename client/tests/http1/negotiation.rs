//! The choice between HTTP/1.1 and the other protocols.

use std::sync::Arc;

use lacewing_client::{Client, ClientError, RequestError, Version};
use lacewing_server::{Protocol, Server, service_fn};
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::support::*;

pub(super) fn tls() -> rustls::ServerConfig {
    let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(made.signing_key.serialize_der()));
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key)
        .unwrap()
}

async fn https(protocols: &[Protocol]) -> String {
    let protocols = protocols.to_vec();
    let server = Server::builder()
        .bind_tls(any_port(), tls())
        .options(move |options| options.protocols(protocols));
    let witness = Witness::default();
    let service = service_fn(move |request| routes(request, witness.clone()));
    format!("https://{}/hello", listen(server, service).await)
}

pub(super) fn request(url: &str) -> http::Request<lacewing_client::Body> {
    http::Request::get(url)
        .body(lacewing_client::Body::empty())
        .unwrap()
}

#[tokio::test]
async fn alpn_decides_and_http1_is_the_last_choice() {
    let h1 = [Protocol::Http1];
    let all = Protocol::ALL;
    for (offered, expected) in [
        (&h1[..], http::Version::HTTP_11),
        (&all, http::Version::HTTP_2),
    ] {
        let url = https(offered).await;
        let builder = Client::builder().http1().danger_accept_invalid_certs();
        let response = builder.build().request(request(&url)).await.unwrap();
        assert_eq!(response.version(), expected);
        assert_eq!(text(response).await, "hello world");
    }
    // HTTP/1.1 alone, from a server of all.
    let url = https(&all).await;
    let builder = Client::builder()
        .protocols([])
        .http1()
        .danger_accept_invalid_certs();
    let client = builder.build();
    for _ in 0..2 {
        let response = client.request(request(&url)).await.unwrap();
        assert_eq!(response.version(), http::Version::HTTP_11);
        assert_eq!(text(response).await, "hello world");
    }
    assert_eq!(client.connections(), 1);
}

/// Servers without ALPN speak HTTP/1.1.
#[tokio::test]
async fn a_server_without_alpn_is_spoken_to_in_http1() {
    let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(tls()));
    let listener = tokio::net::TcpListener::bind(any_port()).await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        let mut stream = acceptor.accept(stream).await.unwrap();
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(stream.read_u8().await.unwrap());
        }
        let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 11\r\n\r\nhello world";
        stream.write_all(answer).await.unwrap();
        stream.flush().await.unwrap();
        let _ = stream.read_u8().await;
    });
    let client = Client::builder()
        .http1()
        .danger_accept_invalid_certs()
        .build();
    let response = client
        .request(request(&format!("https://{address}/hello")))
        .await
        .unwrap();
    assert_eq!(text(response).await, "hello world");
}

#[tokio::test]
async fn cleartext_is_http1_unless_another_protocol_is_named() {
    let witness = Witness::default();
    let service = service_fn(move |request| routes(request, witness.clone()));
    let url = format!(
        "http://{}/hello",
        listen(Server::builder().bind(any_port()), service).await
    );
    let client = Client::builder().http1().build();
    let response = client.request(request(&url)).await.unwrap();
    assert_eq!(response.version(), http::Version::HTTP_11);
    let client = Client::builder()
        .http1()
        .cleartext_protocol(Version::Http2)
        .build();
    let response = client.request(request(&url)).await.unwrap();
    assert_eq!(response.version(), http::Version::HTTP_2);
    let error = Client::new().request(request(&url)).await.unwrap_err();
    let ClientError::Request(RequestError::NoCleartextProtocol) = error else {
        panic!("{error}")
    };
}
