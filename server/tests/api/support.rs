//! Running servers, and a client for all protocols.

use std::time::{Duration, Instant};

use bytes::BytesMut;
use lacewing_conn::proto::{Config, Engine, Event, Head, OpenOptions, Transmit};
use lacewing_server::{Protocol, Side, Version};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    sync::oneshot,
    task::JoinHandle,
};

/// Enough for a slow machine. No test waits until it has passed.
const PATIENCE: Duration = Duration::from_secs(60);

/// The protocols of this build.
pub(crate) fn spoken() -> Vec<Protocol> {
    let spoken = |protocol: &Protocol| cfg!(feature = "http1") || *protocol != Protocol::Http1;
    Protocol::ALL.into_iter().filter(spoken).collect()
}

/// The protocols that first bytes distinguish: those of SPDY/3 are the same as of SPDY/3.1.
pub(crate) fn detectable() -> Vec<Protocol> {
    let mut spoken = spoken();
    spoken.retain(|protocol| *protocol != Protocol::Spdy3);
    spoken
}

/// A server on a task, and its result.
pub(crate) struct Running<R> {
    stop: oneshot::Sender<()>,
    serving: JoinHandle<R>,
}

impl<R: Send + 'static> Running<R> {
    /// `server` receives a future that completes when it must stop.
    pub(crate) fn start<F>(server: impl FnOnce(Stop) -> F) -> Self
    where
        F: Future<Output = R> + Send + 'static,
    {
        let (stop, stopped) = oneshot::channel();
        let serving = tokio::spawn(server(Box::pin(async move {
            let _ = stopped.await;
        })));
        Self { stop, serving }
    }

    /// The graceful shutdown.
    pub(crate) async fn stop(self) -> R {
        let _ = self.stop.send(());
        let ended = tokio::time::timeout(PATIENCE, self.serving).await;
        ended.expect("the server ends").expect("without a panic")
    }
}

pub(crate) type Stop = std::pin::Pin<Box<dyn Future<Output = ()> + Send>>;

/// Fetches a path over a connection with a known protocol, and closes it.
pub(crate) async fn fetch<T>(io: T, protocol: Protocol, path: &str) -> String
where
    T: AsyncRead + AsyncWrite + Unpin,
{
    match protocol.version() {
        Some(version) => fetch_multiplexed(io, version, path).await,
        None => fetch_http1(io, path).await,
    }
}

async fn fetch_http1<T>(mut io: T, path: &str) -> String
where
    T: AsyncRead + AsyncWrite + Unpin,
{
    let request = format!("GET {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n");
    io.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    // The end of TLS without close_notify is no failure here.
    let _ = io.read_to_end(&mut answer).await;
    let answer = String::from_utf8(answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").expect("a response");
    assert!(head.starts_with("HTTP/1.1 200 OK"), "{head}");
    body.to_owned()
}

async fn fetch_multiplexed<T>(io: T, version: Version, path: &str) -> String
where
    T: AsyncRead + AsyncWrite + Unpin,
{
    let mut client = Client::new(io, version);
    client.get(path).await
}

/// A client on the engine.
pub(crate) struct Client<T> {
    pub(crate) io: T,
    pub(crate) engine: Engine,
    pub(crate) input: BytesMut,
}

impl<T: AsyncRead + AsyncWrite + Unpin> Client<T> {
    pub(crate) fn new(io: T, version: Version) -> Self {
        let config = Config::new(version, Side::Client);
        Self {
            io,
            engine: Engine::new(config, Instant::now(), 1),
            input: BytesMut::new(),
        }
    }

    /// The body of a response.
    pub(crate) async fn get(&mut self, path: &str) -> String {
        let uri = format!("http://localhost{path}").parse().unwrap();
        let head = Head::request(http::Method::GET, uri);
        self.engine
            .open(Instant::now(), head, OpenOptions::without_content())
            .unwrap();
        let mut body = Vec::new();
        loop {
            match self.event().await {
                Event::Reply { head, fin, .. } => {
                    assert_eq!(head.status(), Some(http::StatusCode::OK));
                    assert!(!fin, "a body comes");
                }
                Event::Data { stream, data, fin } => {
                    self.engine
                        .stream(Instant::now(), stream)
                        .release(data.len());
                    body.extend_from_slice(&data);
                    if fin {
                        return String::from_utf8(body).unwrap();
                    }
                }
                Event::Reset { error, .. } => panic!("{error}"),
                _ => {}
            }
        }
    }

    /// The next event.
    pub(crate) async fn event(&mut self) -> Event {
        loop {
            if let Some(event) = self.engine.poll_event(Instant::now(), &mut self.input) {
                return event;
            }
            self.flush().await;
            let read = self.io.read_buf(&mut self.input).await.unwrap();
            assert_ne!(read, 0, "closed by the server");
        }
    }

    pub(crate) async fn flush(&mut self) {
        while self.engine.poll_transmit(Instant::now()) != Transmit::Idle {
            if self.engine.output().is_empty() {
                break;
            }
            self.io.write_all_buf(self.engine.output()).await.unwrap();
        }
        self.io.write_all_buf(self.engine.output()).await.unwrap();
        self.io.flush().await.unwrap();
    }
}

#[cfg(feature = "tls")]
pub(crate) mod tls {
    use std::sync::Arc;

    use lacewing_server::{
        Protocol,
        rustls::{
            ClientConfig, RootCertStore,
            crypto::ring,
            pki_types::{CertificateDer, PrivateKeyDer, ServerName},
        },
    };
    use tokio::io::{AsyncRead, AsyncWrite};
    use tokio_rustls::{TlsConnector, client::TlsStream};

    /// A self-signed certificate, and its key.
    pub(crate) struct Made {
        pub(crate) der: CertificateDer<'static>,
        pub(crate) certificate: String,
        pub(crate) key: String,
        pub(crate) key_der: PrivateKeyDer<'static>,
    }

    pub(crate) fn make(name: &str) -> Made {
        let made = rcgen::generate_simple_self_signed([name.to_owned()]).unwrap();
        Made {
            der: made.cert.der().clone(),
            certificate: made.cert.pem(),
            key: made.signing_key.serialize_pem(),
            key_der: PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap(),
        }
    }

    /// A client that trusts these certificates, and has a certificate of its own if given.
    pub(crate) fn config(
        trusted: &[&Made],
        own: Option<&Made>,
        protocol: Option<Protocol>,
    ) -> ClientConfig {
        let mut roots = RootCertStore::empty();
        for made in trusted {
            roots.add(made.der.clone()).unwrap();
        }
        let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots);
        let mut config = match own {
            None => builder.with_no_client_auth(),
            Some(made) => {
                let key = made.key_der.clone_key();
                let chain = vec![made.der.clone()];
                builder.with_client_auth_cert(chain, key).unwrap()
            }
        };
        // Each handshake reports a certificate.
        config.resumption = lacewing_server::rustls::client::Resumption::disabled();
        config.alpn_protocols = protocol
            .map(|protocol| protocol.alpn().as_bytes().to_vec())
            .into_iter()
            .collect();
        config
    }

    pub(crate) async fn connect<T>(io: T, name: &str, config: ClientConfig) -> TlsStream<T>
    where
        T: AsyncRead + AsyncWrite + Unpin,
    {
        let name = ServerName::try_from(name.to_owned()).unwrap();
        let connector = TlsConnector::from(Arc::new(config));
        connector.connect(name, io).await.unwrap()
    }

    /// The server's certificate.
    pub(crate) fn shown<T>(stream: &TlsStream<T>) -> CertificateDer<'static> {
        let chain = stream.get_ref().1.peer_certificates().unwrap();
        chain[0].clone().into_owned()
    }
}
