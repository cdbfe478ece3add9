//! A server with TLS from PEM, and a change of the certificate while it runs.

use std::path::{Path, PathBuf};

use axum::{Router, routing::get};
use lacewing_server::{Identity, IdentityError, IdentityProblem, Protocol, Server, ServerBuilder};
use tokio::net::TcpStream;

use crate::support::{Client, Running, fetch, spoken, tls};

/// A folder that is removed after the test.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let name = format!("lacewing-{name}-{}", std::process::id());
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.0.join(name);
        std::fs::write(&path, text).unwrap();
        path
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn router() -> Router {
    Router::new().route("/", get(|| async { "hello" }))
}

async fn start(identity: &Identity) -> (Running<()>, std::net::SocketAddr) {
    let builder: ServerBuilder = Server::builder().bind_tls(([127, 0, 0, 1], 0).into(), identity);
    let server = builder.build().await.unwrap();
    let address = server.local_addrs().next().unwrap();
    let running = Running::start(|stop| async move {
        tokio::select! {
            () = server.serve(router()) => {}
            () = stop => {}
        }
    });
    (running, address)
}

#[tokio::test]
async fn files_become_a_server_in_every_protocol() {
    let folder = Folder::new("files");
    let made = tls::make("localhost");
    let certificate = folder.write("cert.pem", &made.certificate);
    let key = folder.write("key.pem", &made.key);
    // One file may have both.
    let both = folder.write("both.pem", &format!("{}{}", made.key, made.certificate));
    for (certificate, key) in [(&certificate, &key), (&both, &both)] {
        let identity = Identity::from_pem_files(certificate, key).unwrap();
        let (running, address) = start(&identity).await;
        for protocol in spoken() {
            let io = TcpStream::connect(address).await.unwrap();
            let config = tls::config(&[&made], None, Some(protocol));
            let io = tls::connect(io, "localhost", config).await;
            assert_eq!(fetch(io, protocol, "/").await, "hello");
        }
        running.stop().await;
    }
}

/// New handshakes have the new certificate, old connections continue.
#[tokio::test]
async fn certificates_are_reloaded_while_the_server_runs() {
    let folder = Folder::new("reload");
    let (old, new) = (tls::make("localhost"), tls::make("localhost"));
    let certificate = folder.write("cert.pem", &old.certificate);
    let key = folder.write("key.pem", &old.key);
    let identity = Identity::from_pem_files(&certificate, &key).unwrap();
    let (running, address) = start(&identity).await;
    let connect = async || {
        let io = TcpStream::connect(address).await.unwrap();
        let config = tls::config(&[&old, &new], None, Some(Protocol::Http2));
        tls::connect(io, "localhost", config).await
    };
    let first = connect().await;
    assert_eq!(tls::shown(&first), old.der);
    let mut first = Client::new(first, lacewing_server::Version::Http2);
    assert_eq!(first.get("/").await, "hello");

    // The file is half written: nothing changes.
    folder.write("cert.pem", &new.certificate);
    let error = identity.reload().unwrap_err();
    assert!(matches!(error.problem(), IdentityProblem::KeyMismatch));
    assert_eq!(tls::shown(&connect().await), old.der);

    folder.write("key.pem", &new.key);
    identity.reload().unwrap();
    assert_eq!(tls::shown(&connect().await), new.der);
    assert_eq!(first.get("/").await, "hello");

    // From memory too.
    identity
        .replace_pem(old.certificate.as_bytes(), old.key.as_bytes())
        .unwrap();
    assert_eq!(tls::shown(&connect().await), old.der);
    running.stop().await;
}

#[tokio::test]
async fn the_name_that_a_client_asks_for_chooses_the_certificate() {
    let made = ["one.example", "two.example"].map(tls::make);
    let load = |made: &tls::Made| {
        Identity::from_pem(made.certificate.as_bytes(), made.key.as_bytes()).unwrap()
    };
    let identity = load(&made[0]).and(load(&made[1]));
    let error = identity.reload().unwrap_err();
    assert!(matches!(error.problem(), IdentityProblem::NoFiles));
    let (running, address) = start(&identity).await;
    for (name, expected) in [("one.example", &made[0]), ("two.example", &made[1])] {
        let io = TcpStream::connect(address).await.unwrap();
        let config = tls::config(&[&made[0], &made[1]], None, Some(Protocol::Http2));
        let io = tls::connect(io, name, config).await;
        assert_eq!(tls::shown(&io), expected.der, "{name}");
    }
    running.stop().await;
}

/// The running server takes all certificates of another identity, and a wildcard is a name.
#[tokio::test]
async fn all_certificates_are_replaced_while_the_server_runs() {
    let made = ["one.example", "*.two.example", "three.example"].map(tls::make);
    let load = |made: &tls::Made| {
        Identity::from_pem(made.certificate.as_bytes(), made.key.as_bytes()).unwrap()
    };
    let identity = load(&made[0]);
    let (running, address) = start(&identity).await;
    let shown = async |name: &str| {
        let io = TcpStream::connect(address).await.unwrap();
        let all = [&made[0], &made[1], &made[2]];
        let config = tls::config(&all, None, Some(Protocol::Http2));
        tls::shown(&tls::connect(io, name, config).await)
    };
    assert_eq!(shown("one.example").await, made[0].der);
    identity.replace(&load(&made[2]).and(load(&made[1])));
    for (name, expected) in [("a.two.example", &made[1]), ("three.example", &made[2])] {
        assert_eq!(shown(name).await, expected.der, "{name}");
        let chain = identity.certificates_for(Some(name));
        assert_eq!(chain.first(), Some(&expected.der), "{name}");
    }
    // The first is for all other names.
    for name in [None, Some("a.b.two.example"), Some("no name")] {
        assert_eq!(identity.certificates_for(name), [made[2].der.clone()]);
    }
    assert_eq!(identity.certificates(), [made[2].der.clone()]);
    running.stop().await;
}

const ENCRYPTED: &str = "-----BEGIN ENCRYPTED PRIVATE KEY-----\n\
    MIIBHDBXBgkqhkiG9w0BBQ0wSjApBgkqhkiG9w0BBQwwHAQI\n\
    -----END ENCRYPTED PRIVATE KEY-----\n";
const ENCRYPTED_BY_OLD_OPENSSL: &str = "-----BEGIN RSA PRIVATE KEY-----\n\
    Proc-Type: 4,ENCRYPTED\n\
    DEK-Info: AES-256-CBC,2B6A1D6F6E7F5D3A4B3C2D1E0F9A8B7C\n\
    \n\
    q83vEjRWeJCrze8SNFZ4kKvN7xI0VniQ\n\
    -----END RSA PRIVATE KEY-----\n";
const NO_DER: &str = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
const NO_KEY_DER: &str = "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n";
const NO_END: &str = "-----BEGIN CERTIFICATE-----\nAAAA\n";
const NO_BASE64: &str = "-----BEGIN PRIVATE KEY-----\n!!!!\n-----END PRIVATE KEY-----\n";

/// Each error names the file, the fault and the remedy.
#[test]
fn errors_name_the_file_and_what_is_wrong_with_it() {
    let folder = Folder::new("errors");
    let (made, other) = (tls::make("localhost"), tls::make("localhost"));
    let (good, key) = (&made.certificate[..], &made.key[..]);
    for (certificate, key, file, text) in [
        (
            "",
            key,
            "cert.pem",
            "no certificate in PEM; it must contain -----BEGIN CERTIFICATE-----",
        ),
        (key, key, "cert.pem", "swapped"),
        (
            NO_DER,
            key,
            "cert.pem",
            "the first certificate is not a valid X.509 certificate",
        ),
        (NO_END, key, "cert.pem", "the certificate is not valid PEM"),
        (
            good,
            "",
            "key.pem",
            "no private key in PEM; it must contain -----BEGIN PRIVATE KEY-----",
        ),
        (good, good, "key.pem", "swapped"),
        (good, ENCRYPTED, "key.pem", "openssl pkey"),
        (good, ENCRYPTED_BY_OLD_OPENSSL, "key.pem", "openssl pkey"),
        (
            good,
            NO_KEY_DER,
            "key.pem",
            "the private key cannot be used",
        ),
        (
            good,
            NO_BASE64,
            "key.pem",
            "the private key is not valid PEM",
        ),
        (
            good,
            &other.key,
            "key.pem",
            "does not belong to the first certificate",
        ),
    ] {
        let certificate_file = folder.write("cert.pem", certificate);
        let key_file = folder.write("key.pem", key);
        let error = Identity::from_pem_files(certificate_file, key_file).unwrap_err();
        check(&error, Some(&folder.0.join(file)), text);
        let error = Identity::from_pem(certificate.as_bytes(), key.as_bytes()).unwrap_err();
        check(&error, None, text);
    }
    let good = folder.write("cert.pem", good);
    let absent = folder.0.join("absent.pem");
    for (certificate, key) in [(&good, &absent), (&absent, &good)] {
        let error = Identity::from_pem_files(certificate, key).unwrap_err();
        check(&error, Some(&absent), "cannot be read: No such file");
    }
}

fn check(error: &IdentityError, file: Option<&Path>, text: &str) {
    assert_eq!(error.file(), file, "{error}");
    let told = error.to_string();
    assert!(told.contains(text), "{told}");
    if let Some(file) = file {
        let name = file.display().to_string();
        assert!(told.starts_with(&name), "{told}");
    }
}
