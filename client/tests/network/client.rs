//! The pooled client over loopback TCP, with and without TLS, and over the user's own connectors.

use std::{
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use lacewing_client::{
    Body, Client, ClientError, Connect, Connected, Connecting, ConnectionConfig, HeaderCompression,
    Origin, RequestError, Side, Version,
};
use lacewing_server::{Protocol, Server, ServerOptions, Shutdown, service_fn};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio::{net::TcpListener, task::JoinHandle};

use crate::support::*;

struct Running {
    http: SocketAddr,
    https: SocketAddr,
    roots: rustls::RootCertStore,
    stop: Option<tokio::sync::oneshot::Sender<()>>,
    task: JoinHandle<()>,
}

impl Running {
    async fn start(offered: &[Protocol]) -> Self {
        let (config, certificate) = tls();
        let mut roots = rustls::RootCertStore::empty();
        roots.add(certificate).unwrap();
        let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
        let anywhere = SocketAddr::from(([127, 0, 0, 1], 0));
        let server = Server::builder()
            .bind(anywhere)
            .bind_tls(anywhere, config)
            .options(|options| options.protocols(offered.iter().cloned()))
            .shutdown(async move {
                let _ = stopped.await;
            })
            .build()
            .await
            .unwrap();
        let addresses: Vec<_> = server.local_addrs().collect();
        let witness = Witness::default();
        let service = service_fn(move |request| routes(request, witness.clone()));
        let task = tokio::spawn(server.serve(service));
        Self {
            http: addresses[0],
            https: addresses[1],
            roots,
            stop: Some(stop),
            task,
        }
    }

    fn client_config(&self) -> rustls::ClientConfig {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        rustls::ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(self.roots.clone())
            .with_no_client_auth()
    }

    async fn stop(mut self) {
        self.stop.take().unwrap().send(()).unwrap();
        self.task.await.unwrap();
    }
}

pub(super) fn tls() -> (rustls::ServerConfig, CertificateDer<'static>) {
    let names = vec!["localhost".to_owned(), "127.0.0.1".to_owned()];
    let made = rcgen::generate_simple_self_signed(names).unwrap();
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(made.signing_key.serialize_der()));
    let certificate = made.cert.der().clone();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.clone()], key)
        .unwrap();
    (config, certificate)
}

fn request(url: String) -> http::Request<Body> {
    http::Request::get(url).body(Body::empty()).unwrap()
}

fn protocol(version: Version) -> Protocol {
    Protocol::from_alpn(version.alpn().as_bytes()).unwrap()
}

#[test]
fn every_protocol_over_tcp_and_tls() {
    every_version(|version| async move {
        let server = Running::start(&[protocol(version)]).await;
        let client = Client::builder()
            .protocols([version])
            .cleartext_protocol(version)
            .tls_config(server.client_config())
            .build();
        for base in [
            format!("http://{}", server.http),
            format!("https://{}", server.https),
        ] {
            let response = client
                .request(request(format!("{base}/hello")))
                .await
                .unwrap();
            assert_eq!(text(response).await, "hello world");
            let response = client
                .request(request(format!("{base}/bytes/2000000")))
                .await
                .unwrap();
            let digest = sha256(&pattern(2_000_000));
            assert_eq!(
                measure(response.into_body()).await,
                (2_000_000, digest.clone())
            );
            let body = Generator::new(2_000_000, Default::default());
            let upload = http::Request::post(format!("{base}/digest"))
                .body(body)
                .unwrap();
            assert_eq!(text(client.request(upload).await.unwrap()).await, digest);
        }
        assert_eq!(client.connections(), 2);
        drop(client);
        server.stop().await;
        no_tasks_left().await;
    });
}

#[tokio::test]
async fn the_server_chooses_among_what_is_offered() {
    let all = [
        Protocol::Spdy31,
        Protocol::Http2,
        Protocol::Spdy3,
        Protocol::Spdy2,
    ];
    let server = Running::start(&all).await;
    for version in Version::ALL {
        let client = Client::builder()
            .protocols([version])
            .tls_config(server.client_config())
            .build();
        let origin = Origin::of(&format!("https://{}/", server.https).parse().unwrap()).unwrap();
        assert_eq!(client.connection(&origin).await.unwrap().version(), version);
    }
    server.stop().await;
}

#[tokio::test]
async fn a_server_that_is_not_trusted_is_refused() {
    let server = Running::start(&[Protocol::Http2]).await;
    let url = format!("https://{}/hello", server.https);
    let error = Client::new()
        .request(request(url.clone()))
        .await
        .unwrap_err();
    assert!(matches!(error, ClientError::Tls { .. }), "{error}");
    assert!(error.is_connect());
    let client = Client::builder().danger_accept_invalid_certs().build();
    assert_eq!(
        text(client.request(request(url)).await.unwrap()).await,
        "hello world"
    );
    drop(client);
    server.stop().await;
}

/// With ALPN the server ends the handshake; without ALPN it answers nothing.
#[tokio::test]
async fn a_server_without_a_common_protocol_is_told_by_name() {
    for alpn in [vec![b"http/1.1".to_vec()], vec![]] {
        let (mut config, _) = tls();
        config.alpn_protocols = alpn;
        let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let server = tokio::spawn(async move {
            let (stream, _) = listener.accept().await.unwrap();
            let _ = acceptor.accept(stream).await;
        });
        let offered = [Version::Http2, Version::Spdy31];
        let client = Client::builder()
            .protocols(offered)
            .danger_accept_invalid_certs()
            .build();
        let error = client
            .request(request(format!("https://{address}/")))
            .await
            .unwrap_err();
        match &error {
            ClientError::NotNegotiated {
                offered: named,
                got: None,
            } => assert_eq!(named[..], offered),
            other => panic!("{other}"),
        }
        assert!(error.to_string().contains("h2, spdy/3.1"), "{error}");
        server.await.unwrap();
    }
}

#[tokio::test]
async fn what_cannot_be_connected_to_is_said() {
    let client = Client::new();
    let error = client
        .request(request("http://127.0.0.1:9/".into()))
        .await
        .unwrap_err();
    assert!(
        matches!(
            error,
            ClientError::Request(RequestError::NoCleartextProtocol)
        ),
        "{error}"
    );
    let client = Client::builder().cleartext_protocol(Version::Http2).build();
    // A port that was free a moment ago.
    let address = TcpListener::bind("127.0.0.1:0")
        .await
        .unwrap()
        .local_addr()
        .unwrap();
    let error = client
        .request(request(format!("http://{address}/")))
        .await
        .unwrap_err();
    assert!(matches!(error, ClientError::Connect { .. }), "{error}");
    let all = (0..10).map(|_| client.request(request(format!("http://{address}/"))));
    for refused in all {
        assert!(refused.await.unwrap_err().is_connect());
    }
    assert_eq!(client.connections(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_transport_that_never_comes_is_given_up() {
    struct Never;
    impl Connect for Never {
        fn connect<'a>(&'a self, _origin: &'a Origin) -> Connecting<'a> {
            Box::pin(std::future::pending())
        }
    }
    let client = Client::builder()
        .connector(Never)
        .connect_timeout(Duration::from_secs(3))
        .build();
    let error = client.request(get("/hello")).await.unwrap_err();
    assert!(
        matches!(error, ClientError::ConnectTimeout { .. }),
        "{error}"
    );
}

type Serving = JoinHandle<Result<(), lacewing_server::ServeError>>;

/// Servers in memory, one for each connection.
#[derive(Clone)]
struct InMemory {
    version: Version,
    dialled: Arc<AtomicUsize>,
    servers: Arc<Mutex<Vec<Serving>>>,
    shutdowns: Arc<Mutex<Vec<Shutdown>>>,
    witness: Witness,
}

impl InMemory {
    fn new(version: Version) -> Self {
        Self {
            version,
            dialled: Arc::default(),
            servers: Arc::default(),
            shutdowns: Arc::default(),
            witness: Witness::default(),
        }
    }
}

impl Connect for InMemory {
    fn connect<'a>(&'a self, _origin: &'a Origin) -> Connecting<'a> {
        Box::pin(async move {
            self.dialled.fetch_add(1, Ordering::SeqCst);
            let (client, server) = tokio::io::duplex(64 * 1024);
            let shutdown = Shutdown::new();
            let options = ServerOptions::default().shutdown(shutdown.signal());
            self.shutdowns.lock().unwrap().push(shutdown);
            let server = serve(server, self.version, options, self.witness.clone());
            self.servers.lock().unwrap().push(server);
            Ok(Connected::new(client, self.version))
        })
    }
}

#[test]
fn requests_share_a_connection_and_one_that_died_is_replaced() {
    every_version(|version| async move {
        let connector = InMemory::new(version);
        let client = Client::builder().connector(connector.clone()).build();
        let tasks: Vec<_> = (0..50)
            .map(|_| {
                let client = client.clone();
                tokio::spawn(
                    async move { text(client.request(get("/hello")).await.unwrap()).await },
                )
            })
            .collect();
        for task in tasks {
            assert_eq!(task.await.unwrap(), "hello world");
        }
        assert_eq!(connector.dialled.load(Ordering::SeqCst), 1);
        let server = connector.servers.lock().unwrap().pop().unwrap();
        server.abort();
        assert!(server.await.is_err());
        // The client's task may have noticed the end or not: both results are valid.
        for _ in 0..3 {
            let response = client.request(get("/hello")).await;
            match response {
                Ok(response) => assert_eq!(text(response).await, "hello world"),
                // The request was sent into a dead transport, so nothing is known about its
                // processing.
                Err(error) => assert!(matches!(error, ClientError::Connection(_)), "{error}"),
            }
        }
        assert_eq!(connector.dialled.load(Ordering::SeqCst), 2);
    });
}

/// SPDY's header lists are compressed according to the configuration.
#[tokio::test]
async fn header_lists_are_compressed_as_the_client_is_told() {
    for version in [Version::Spdy2, Version::Spdy31] {
        let mut lengths = Vec::new();
        for policy in [
            None,
            Some(HeaderCompression::WholeField),
            Some(HeaderCompression::Stored),
            Some(HeaderCompression::Zlib(9)),
        ] {
            let builder = Client::builder().connector(InMemory::new(version));
            let client = match policy {
                Some(policy) => builder
                    .connection(
                        ConnectionConfig::new(Side::Client)
                            .with(|config| config.header_compression = policy),
                    )
                    .build(),
                None => builder.build(),
            };
            let origin = Origin::of(&"http://test.example".parse().unwrap()).unwrap();
            let connection = client.connection(&origin).await.unwrap();
            let response = connection.request(get("/hello")).await.unwrap();
            assert_eq!(text(response).await, "hello world");
            let headers = connection.stats().await.unwrap().headers_sent;
            lengths.push((headers.compressed, headers.plain));
        }
        let [default, whole, (stored, plain), (zlib, _)] = lengths[..] else {
            panic!("four policies");
        };
        let told = format!("{version}: {lengths:?}");
        assert!(default == whole && stored > plain, "{told}");
        assert!(zlib < whole.0 && whole.0 < stored, "{told}");
    }
}

/// The request may arrive before the server's GOAWAY, after it, or cross it. It is answered, and
/// processed once.
#[test]
fn a_server_that_shuts_down_is_replaced_without_an_error() {
    every_version(|version| async move {
        let connector = InMemory::new(version);
        let client = Client::builder().connector(connector.clone()).build();
        let mut made = 0;
        for pause in 0..30 {
            assert_eq!(
                text(client.request(get("/hello")).await.unwrap()).await,
                "hello world"
            );
            // There is no connection to shut down if the last answer used the old one.
            drop(connector.shutdowns.lock().unwrap().pop());
            for _ in 0..pause % 6 {
                tokio::task::yield_now().await;
            }
            assert_eq!(
                text(client.request(get("/hello")).await.unwrap()).await,
                "hello world"
            );
            made += 2;
        }
        assert_eq!(connector.witness.requests.load(Ordering::SeqCst), made);
        let dialled = connector.dialled.load(Ordering::SeqCst);
        assert!(dialled >= 10, "{version}: only {dialled}");
        drop(client);
        no_tasks_left().await;
    });
}

#[test]
fn connections_are_bounded_and_idle_ones_are_closed() {
    every_version(|version| async move {
        tokio::time::pause();
        let connector = InMemory::new(version);
        let client = Client::builder()
            .connector(connector.clone())
            .max_connections(3)
            .idle_timeout(Duration::from_secs(20))
            .build();
        for host in 0..10 {
            let url = format!("http://host{host}.example/hello");
            assert_eq!(
                text(client.request(request(url)).await.unwrap()).await,
                "hello world"
            );
        }
        assert_eq!(client.connections(), 3);
        tokio::time::sleep(Duration::from_secs(50)).await;
        assert_eq!(client.connections(), 0);
        let servers = std::mem::take(&mut *connector.servers.lock().unwrap());
        for server in servers {
            server.await.unwrap().unwrap();
        }
        drop(client);
        no_tasks_left().await;
    });
}

/// A future that is polled after its end says so. It neither panics nor waits for ever.
#[test]
fn a_response_that_was_returned_is_not_returned_again() {
    every_version(|version| async move {
        let server = Running::start(&[protocol(version)]).await;
        let client = Client::builder().cleartext_protocol(version).build();
        let url = format!("http://{}/hello", server.http);
        // The first one makes a connection, and the second one finds it.
        for _ in 0..2 {
            let mut response = client.request(request(url.clone()));
            assert_eq!((&mut response).await.unwrap().status(), 200);
            for _ in 0..2 {
                let again = (&mut response).await.unwrap_err();
                assert!(matches!(again, ClientError::AlreadyReturned), "{again}");
                assert!(!again.is_retryable() && !again.is_connect());
            }
        }
        let mut unsendable = client.request(request("ftp://127.0.0.1/".into()));
        let error = (&mut unsendable).await.unwrap_err();
        assert!(matches!(error, ClientError::Request(_)), "{error}");
        let again = (&mut unsendable).await.unwrap_err();
        assert!(matches!(again, ClientError::AlreadyReturned), "{again}");

        let origin = Origin::of(&url.parse().unwrap()).unwrap();
        let connection = client.connection(&origin).await.unwrap();
        let mut response = connection.request(request(url));
        assert_eq!((&mut response).await.unwrap().status(), 200);
        let again = (&mut response).await.unwrap_err();
        assert!(matches!(again, ClientError::AlreadyReturned), "{again}");
        drop((client, connection));
        server.stop().await;
    });
}
