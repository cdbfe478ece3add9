//! The client with TLS by OpenSSL, against servers that know NPN, ALPN, both or
//! neither.

use std::{
    pin::Pin,
    sync::{Arc, Mutex},
};

use lacewing_client::{Client, ClientError, Connector, RequestError, Trust, Version, npn::Npn};
use lacewing_conn::npn;
use lacewing_server::{ServerOptions, serve_connection, service_fn};
use openssl::{
    pkey::PKey,
    ssl::{
        AlpnError, Ssl, SslAcceptor, SslAcceptorBuilder, SslConnector, SslMethod, select_next_proto,
    },
    x509::X509,
};
use tokio::{net::TcpListener, task::JoinHandle};
use tokio_openssl::SslStream;

use crate::support::*;

const SPDY: [Version; 3] = [Version::Spdy31, Version::Spdy3, Version::Spdy2];

/// A server with a certificate for 127.0.0.1.
struct Running {
    port: u16,
    certificate: X509,
    /// The protocols that clients selected, or `-`.
    told: Arc<Mutex<Vec<String>>>,
    task: JoinHandle<()>,
}

impl Running {
    /// Starts a server with these protocols for NPN, if it supports NPN, and for ALPN.
    async fn start(by_npn: Option<&[&str]>, by_alpn: Option<&'static [u8]>) -> Self {
        let made = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
        let certificate = X509::from_der(made.cert.der()).unwrap();
        let key = PKey::private_key_from_der(&made.signing_key.serialize_der()).unwrap();
        let mut builder = SslAcceptor::mozilla_intermediate_v5(SslMethod::tls_server()).unwrap();
        builder.set_certificate(&certificate).unwrap();
        builder.set_private_key(&key).unwrap();
        if let Some(names) = by_npn {
            npn::advertise(&mut builder, names).unwrap();
        }
        if let Some(names) = by_alpn {
            builder.set_alpn_select_callback(move |_, theirs| {
                select_next_proto(names, theirs)
                    .and_then(|name| theirs.windows(name.len()).find(|part| *part == name))
                    .ok_or(AlpnError::ALERT_FATAL)
            });
        }
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let told = Arc::default();
        let task = tokio::spawn(accept(listener, builder, Arc::clone(&told)));
        Self {
            port,
            certificate,
            told,
            task,
        }
    }

    fn url(&self, host: &str, path: &str) -> String {
        format!("https://{host}:{}{path}", self.port)
    }

    /// A client that trusts this server's certificate.
    fn client(&self, offered: &[Version]) -> Client {
        let mut builder = SslConnector::builder(SslMethod::tls_client()).unwrap();
        let store = builder.cert_store_mut();
        store.add_cert(self.certificate.clone()).unwrap();
        client(Npn::with_builder(builder, offered.to_vec()).unwrap())
    }

    fn told(&self) -> Vec<String> {
        self.told.lock().unwrap().clone()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn accept(listener: TcpListener, builder: SslAcceptorBuilder, told: Arc<Mutex<Vec<String>>>) {
    let acceptor = builder.build();
    loop {
        let (io, _) = listener.accept().await.unwrap();
        let mut io = SslStream::new(Ssl::new(acceptor.context()).unwrap(), io).unwrap();
        if Pin::new(&mut io).accept().await.is_err() {
            continue;
        }
        let ssl = io.ssl();
        assert_eq!(ssl.version_str(), "TLSv1.2");
        let name = ssl
            .selected_alpn_protocol()
            .or_else(|| npn::negotiated(ssl));
        let text = String::from_utf8_lossy(name.unwrap_or(b"-")).into_owned();
        let version = name.and_then(Version::from_alpn);
        told.lock().unwrap().push(text);
        if let Some(version) = version {
            let witness = Witness::default();
            let service = service_fn(move |request| routes(request, witness.clone()));
            tokio::spawn(serve_connection(
                io,
                version,
                ServerOptions::default(),
                service,
            ));
        }
    }
}

fn client(npn: Npn) -> Client {
    Client::builder()
        .connector(Connector::npn(npn, None))
        .build()
}

async fn hello(client: &Client, url: &str) -> Result<String, ClientError> {
    let request = http::Request::get(url).body(lacewing_client::Body::empty());
    Ok(text(client.request(request.unwrap()).await?).await)
}

#[tokio::test]
async fn every_version_of_spdy_is_spoken() {
    let server = Running::start(Some(&["spdy/2", "spdy/3", "spdy/3.1"]), None).await;
    for version in SPDY {
        let client = server.client(&[version]);
        let url = server.url("127.0.0.1", "/hello");
        assert_eq!(hello(&client, &url).await.unwrap(), "hello world");
        let body = pattern(300_000);
        let digest = sha256(&body);
        let url = server.url("127.0.0.1", "/digest");
        let request = http::Request::post(url).body(lacewing_client::Body::from(body));
        let response = client.request(request.unwrap()).await.unwrap();
        assert_eq!(text(response).await, digest);
    }
    assert_eq!(server.told(), ["spdy/3.1", "spdy/3", "spdy/2"]);
}

#[tokio::test]
async fn the_first_of_the_server_s_list_is_chosen() {
    let server = Running::start(Some(&["spdy/4", "spdy/2", "spdy/3.1"]), None).await;
    let client = server.client(&SPDY);
    let url = server.url("127.0.0.1", "/hello");
    hello(&client, &url).await.unwrap();
    assert_eq!(server.told(), ["spdy/2"]);
}

#[tokio::test]
async fn alpn_goes_first_and_http_2_needs_it() {
    let offered = [Version::Http2, Version::Spdy3];
    for (by_alpn, spoken) in [(Some(&b"\x02h2"[..]), "h2"), (None, "spdy/3")] {
        let server = Running::start(Some(&["h2", "spdy/3"]), by_alpn).await;
        let client = server.client(&offered);
        let url = server.url("127.0.0.1", "/hello");
        assert_eq!(hello(&client, &url).await.unwrap(), "hello world");
        assert_eq!(server.told(), [spoken]);
    }
}

#[tokio::test]
async fn nothing_in_common_is_said_and_http_1_1_told() {
    for (by_npn, by_alpn, got, told) in [
        (
            Some(&["http/1.1"][..]),
            None,
            Some("http/1.1"),
            &["http/1.1"][..],
        ),
        (Some(&[]), None, Some("http/1.1"), &["http/1.1"]),
        (None, None, None, &["-"]),
        // Ends the handshake with an alert.
        (None, Some(&b"\x08http/1.1"[..]), None, &[]),
    ] {
        let server = Running::start(by_npn, by_alpn).await;
        let client = server.client(&SPDY);
        let url = server.url("127.0.0.1", "/hello");
        match hello(&client, &url).await.unwrap_err() {
            ClientError::NotNegotiated {
                offered,
                got: chosen,
            } => {
                assert_eq!(offered, SPDY);
                assert_eq!(chosen.as_deref(), got);
            }
            other => panic!("{other}"),
        }
        let known = || server.told() == told;
        until("the server knows", known).await;
    }
}

#[tokio::test]
async fn certificates_are_verified_unless_told_otherwise() {
    let server = Running::start(Some(&["spdy/3"]), None).await;
    let url = server.url("127.0.0.1", "/hello");
    let stranger = client(Npn::new(vec![Version::Spdy3]).unwrap());
    let error = hello(&stranger, &url).await.unwrap_err();
    assert!(matches!(error, ClientError::Tls { .. }), "{error}");
    assert!(error.to_string().contains("self-signed"), "{error}");
    // Trusted, but for another name.
    let wrong = server.url("localhost", "/hello");
    let error = hello(&server.client(&[Version::Spdy3]), &wrong)
        .await
        .unwrap_err();
    assert!(error.to_string().contains("hostname mismatch"), "{error}");
    let anyone = client(Npn::with_trust(Trust::DangerAcceptAny, vec![Version::Spdy3]).unwrap());
    for url in [url, wrong] {
        assert_eq!(hello(&anyone, &url).await.unwrap(), "hello world");
    }
}

#[tokio::test]
async fn a_server_that_hangs_up_is_no_riddle() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("https://{}/", listener.local_addr().unwrap());
    tokio::spawn(async move { while listener.accept().await.is_ok() {} });
    let client = client(Npn::new(vec![Version::Spdy3]).unwrap());
    let error = hello(&client, &url).await.unwrap_err();
    assert!(matches!(error, ClientError::Tls { .. }), "{error}");
    assert!(error.is_retryable() && error.is_connect());
}

#[tokio::test]
async fn cleartext_needs_a_protocol_of_its_own() {
    let client = client(Npn::new(vec![Version::Spdy3]).unwrap());
    let error = hello(&client, "http://127.0.0.1:1/").await.unwrap_err();
    assert!(matches!(
        error,
        ClientError::Request(RequestError::NoCleartextProtocol)
    ));
}
