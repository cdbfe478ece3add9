//! Certificates from PEM files, and TLS over the user's own transports.

use std::{
    convert::Infallible,
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::Arc,
};

use http::{Request, Response};
use lacewing_client::{
    Body, Client, ClientError, Origin, Tcp, Version, dial_fn,
    rustls::{
        RootCertStore, ServerConfig,
        crypto::ring::default_provider,
        pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer},
        server::WebPkiClientVerifier,
    },
    tls::{CertificateError, Certificates},
};
use lacewing_server::{Identity, Protocol, RequestBody, Server, service_fn};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};

use crate::support::{any_port, listen, text};

/// An authority, and files that it signed; removed after the test.
struct Authority {
    folder: PathBuf,
    issuer: Issuer<'static, KeyPair>,
    root: CertificateDer<'static>,
}

impl Authority {
    fn new(name: &str) -> Self {
        let folder = std::env::temp_dir().join(format!("lacewing-{name}-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let certificate = params.self_signed(&key).unwrap();
        fs::write(folder.join("ca.pem"), certificate.pem()).unwrap();
        Self {
            root: certificate.der().clone(),
            issuer: Issuer::new(params, key),
            folder,
        }
    }

    fn file(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// Writes `NAME.pem` and `NAME.key`.
    fn sign(&self, name: &str) -> (CertificateDer<'static>, PrivateKeyDer<'static>) {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        fs::write(self.file(&format!("{name}.pem")), certificate.pem()).unwrap();
        fs::write(self.file(&format!("{name}.key")), key.serialize_pem()).unwrap();
        let key = PrivatePkcs8KeyDer::from(key.serialize_der());
        (certificate.der().clone(), key.into())
    }

    /// A server for `app.example`, with or without a request for client certificates.
    async fn serve(&self, clients: Clients) -> SocketAddr {
        let (certificate, key) = self.sign("app.example");
        let provider = Arc::new(default_provider());
        let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .unwrap();
        let builder = match clients {
            Clients::Anonymous => builder.with_no_client_auth(),
            Clients::Known => {
                let mut roots = RootCertStore::empty();
                roots.add(self.root.clone()).unwrap();
                let verifier = WebPkiClientVerifier::builder_with_provider(roots.into(), provider);
                builder.with_client_cert_verifier(verifier.build().unwrap())
            }
        };
        let config = builder.with_single_cert(vec![certificate], key).unwrap();
        let server = Server::builder()
            .bind_tls(any_port(), Arc::new(config))
            .options(|options| options.protocols(Version::ALL.map(Protocol::from)));
        listen(server, service_fn(echo_uri)).await
    }
}

async fn echo_uri(request: Request<RequestBody>) -> Result<Response<String>, Infallible> {
    Ok(Response::new(request.uri().to_string()))
}

impl Drop for Authority {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.folder);
    }
}

#[derive(Clone, Copy)]
enum Clients {
    Anonymous,
    Known,
}

const URL: &str = "https://app.example/";

async fn fetch(client: &Client) -> Result<String, ClientError> {
    let request = Request::get(URL).body(Body::empty()).unwrap();
    Ok(text(client.request(request).await?).await)
}

fn at(address: SocketAddr) -> Tcp {
    Tcp::new().resolve_to("app.example", [address])
}

#[tokio::test]
async fn an_authority_of_ones_own_is_added_from_a_file() {
    let authority = Authority::new("ca");
    let address = authority.serve(Clients::Anonymous).await;
    for version in Version::ALL {
        let builder = || Client::builder().protocols([version]).dial(at(address));
        let client = builder()
            .add_ca_file(authority.file("ca.pem"))
            .unwrap()
            .build();
        assert_eq!(fetch(&client).await.unwrap(), URL, "{version}");
        let only = Certificates::empty().add_ca_file(authority.file("ca.pem"));
        let client = builder().certificates(only.unwrap()).build();
        assert_eq!(fetch(&client).await.unwrap(), URL, "{version}");
        // Mozilla's roots do not include it.
        let error = fetch(&builder().build()).await.unwrap_err();
        assert!(
            matches!(error, ClientError::Tls { .. }),
            "{version}: {error}"
        );
        let client = builder().danger_accept_invalid_certs().build();
        assert_eq!(fetch(&client).await.unwrap(), URL, "{version}");
    }
}

/// `openssl req -x509` makes such a certificate by default.
#[tokio::test]
async fn an_authority_as_the_server_is_named_in_the_error() {
    let authority = Authority::new("self");
    for (is_ca, named) in [
        (IsCa::Ca(BasicConstraints::Unconstrained), true),
        (IsCa::ExplicitNoCa, false),
    ] {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(vec!["app.example".to_owned()]).unwrap();
        params.is_ca = is_ca;
        let certificate = params.self_signed(&key).unwrap().pem();
        fs::write(authority.file("self.pem"), &certificate).unwrap();
        let identity =
            Identity::from_pem(certificate.as_bytes(), key.serialize_pem().as_bytes()).unwrap();
        let server = Server::builder().bind_tls(any_port(), identity);
        let address = listen(server, service_fn(echo_uri)).await;
        let client = Client::builder()
            .dial(at(address))
            .add_ca_file(authority.file("self.pem"))
            .unwrap()
            .build();
        match fetch(&client).await {
            Ok(text) => assert!(!named, "{text}"),
            Err(error) => {
                let text = error.to_string();
                assert!(
                    named && text.contains("basicConstraints=CA:FALSE"),
                    "{text}"
                );
                assert!(error.is_certificate(), "{text}");
            }
        }
    }
}

#[tokio::test]
async fn a_client_certificate_is_shown_from_files() {
    let authority = Authority::new("client");
    let address = authority.serve(Clients::Known).await;
    authority.sign("client");
    let builder = || Client::builder().dial(at(address));
    let show = |builder: lacewing_client::ClientBuilder| {
        let (chain, key) = (authority.file("client.pem"), authority.file("client.key"));
        builder.client_certificate_files(chain, key).unwrap()
    };
    let ca = authority.file("ca.pem");
    // In either order, and also if any certificate is trusted.
    let client = show(builder()).add_ca_file(&ca).unwrap().build();
    assert_eq!(fetch(&client).await.unwrap(), URL);
    let client = show(builder().add_ca_file(&ca).unwrap()).build();
    assert_eq!(fetch(&client).await.unwrap(), URL);
    let client = show(builder()).danger_accept_invalid_certs().build();
    assert_eq!(fetch(&client).await.unwrap(), URL);
    let client = builder().add_ca_file(&ca).unwrap().build();
    assert!(fetch(&client).await.is_err(), "no certificate was sent");
}

#[cfg(feature = "platform-roots")]
#[tokio::test]
async fn what_was_added_stays_beside_the_roots_of_the_platform() {
    let authority = Authority::new("platform");
    let address = authority.serve(Clients::Anonymous).await;
    let builder = Client::builder()
        .dial(at(address))
        .add_ca_file(authority.file("ca.pem"))
        .unwrap();
    match builder.platform_roots() {
        Ok(builder) => assert_eq!(fetch(&builder.build()).await.unwrap(), URL),
        // A machine without roots reports this.
        Err(error) => assert!(error.to_string().contains("operating system"), "{error}"),
    }
}

/// The error has the file, and its fault.
#[test]
fn errors_name_the_file_and_its_fault() {
    let authority = Authority::new("faults");
    authority.sign("one");
    authority.sign("two");
    let write = |name: &str, text: &str| {
        fs::write(authority.file(name), text).unwrap();
    };
    write("empty.pem", "");
    write(
        "broken.pem",
        "-----BEGIN CERTIFICATE-----\n!!!\n-----END CERTIFICATE-----\n",
    );
    write(
        "no-x509.pem",
        "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
    );
    write(
        "odd.key",
        "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n",
    );
    let encrypted =
        "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n";
    write("encrypted.key", encrypted);

    let told = |result: Result<Certificates, CertificateError>, file: &str, fault: &str| {
        let error = result.err().unwrap_or_else(|| panic!("{file} is taken"));
        assert_eq!(error.path(), Some(&*authority.file(file)), "{error}");
        let text = error.to_string();
        assert!(text.contains(file) && text.contains(fault), "{text}");
    };
    let ca = |file: &str| Certificates::empty().add_ca_file(authority.file(file));
    told(ca("missing.pem"), "missing.pem", "cannot be read");
    told(ca("empty.pem"), "empty.pem", "no certificate");
    told(ca("one.key"), "one.key", "no certificate");
    told(ca("broken.pem"), "broken.pem", "not PEM");
    told(ca("no-x509.pem"), "no-x509.pem", "certificate 1");

    let show = |chain: &str, key: &str| {
        let file = |name: &str| -> PathBuf { Path::new(&authority.folder).join(name) };
        Certificates::empty().client_certificate_files(file(chain), file(key))
    };
    assert!(show("one.pem", "one.key").is_ok());
    told(
        show("missing.pem", "one.key"),
        "missing.pem",
        "cannot be read",
    );
    told(
        show("one.pem", "missing.key"),
        "missing.key",
        "cannot be read",
    );
    told(show("one.pem", "one.pem"), "one.pem", "no private key");
    told(show("one.pem", "two.key"), "two.key", "is not that of");
    told(show("one.pem", "odd.key"), "odd.key", "cannot be used");
    told(
        show("one.pem", "encrypted.key"),
        "encrypted.key",
        "encrypted",
    );
}

/// The client does TLS and ALPN over any dialled transport: here a tunnel through an HTTP/2 proxy.
#[tokio::test]
async fn tls_goes_through_a_proxy() {
    let authority = Authority::new("proxy");
    let origin = authority.serve(Clients::Anonymous).await;
    let service = service_fn(move |request: Request<RequestBody>| async move {
        assert_eq!(request.uri().to_string(), "app.example:443");
        let (response, mut tunnel) = lacewing_server::tunnel(&request).unwrap();
        let mut upstream = tokio::net::TcpStream::connect(origin).await.unwrap();
        tokio::spawn(async move {
            let _ = tokio::io::copy_bidirectional(&mut tunnel, &mut upstream).await;
        });
        Ok::<_, Infallible>(response)
    });
    let address = listen(Server::builder().bind(any_port()), service).await;
    for version in Version::ALL {
        let io = tokio::net::TcpStream::connect(address).await.unwrap();
        let config = lacewing_client::ClientOptions::default();
        let (proxy, task) = lacewing_client::Connection::handshake(io, Version::Http2, config);
        tokio::spawn(task);
        let dial = dial_fn(move |origin: Origin| {
            let proxy = proxy.clone();
            async move {
                let target = format!("{}:{}", origin.host(), origin.port());
                let request = Request::connect(target).body(()).unwrap();
                proxy.tunnel(request).await.map(|(_, tunnel)| tunnel)
            }
        });
        let client = Client::builder()
            .protocols([version])
            .add_ca_file(authority.file("ca.pem"))
            .unwrap()
            .dial(dial)
            .build();
        assert_eq!(fetch(&client).await.unwrap(), URL, "{version}");
    }
}
