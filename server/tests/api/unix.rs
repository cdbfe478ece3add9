//! Unix sockets, in all protocols.

use std::path::{Path, PathBuf};

use axum::{Extension, Router, routing::get};
use lacewing_server::{
    Address, ConnectionInfo, Extension::Insert, Server, ServerBuilder, StartError,
};
use tokio::net::{UnixListener, UnixStream};

use crate::support::{Running, detectable, fetch};

/// The path of a socket that is removed after the test.
struct Name(PathBuf);

impl Name {
    fn new(name: &str) -> Self {
        let name = format!("lacewing-{name}-{}.sock", std::process::id());
        Self(std::env::temp_dir().join(name))
    }
}

impl Drop for Name {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

/// The handler of the router reads an extension.
fn builder() -> ServerBuilder {
    Server::builder().options(|options| options.connection_info(Insert))
}

fn router() -> Router {
    let tell = |Extension(info): Extension<ConnectionInfo>| async move {
        assert_eq!((info.peer_addr(), info.local_addr()), (None, None));
        let peer = info.peer().and_then(Address::unix).unwrap();
        let credentials = peer.credentials().unwrap();
        let local = info.local().unwrap();
        format!("{} {} {local}", info.protocol(), credentials.uid)
    };
    Router::new().route("/", get(tell))
}

/// The user id of this process.
fn uid(path: &Path) -> u32 {
    use std::os::unix::fs::MetadataExt;
    std::fs::metadata(path).unwrap().uid()
}

async fn check(path: &Path) {
    for protocol in detectable() {
        let io = UnixStream::connect(path).await.unwrap();
        let expected = format!("{protocol} {} unix:{}", uid(path), path.display());
        assert_eq!(fetch(io, protocol, "/").await, expected);
    }
}

#[tokio::test]
async fn every_protocol_is_spoken_on_a_unix_socket() {
    let name = Name::new("bind");
    let builder = builder().bind_unix(&name.0);
    let running = Running::start(|stop| builder.shutdown(stop).serve(router()));
    while !name.0.exists() {
        tokio::task::yield_now().await;
    }
    check(&name.0).await;
    running.stop().await.unwrap();
    assert!(!name.0.exists(), "the socket goes with its server");
}

#[tokio::test]
async fn a_listener_that_is_bound_already_keeps_its_name() {
    let name = Name::new("listen");
    let listener = UnixListener::bind(&name.0).unwrap();
    let server = builder().listen(listener).build().await.unwrap();
    assert_eq!(server.local_addrs().count(), 0);
    let address = server.addresses().next().unwrap();
    assert_eq!(address.unix().unwrap().path(), Some(name.0.as_path()));
    let running = Running::start(|stop| async move {
        tokio::select! {
            () = server.serve(router()) => {}
            () = stop => {}
        }
    });
    check(&name.0).await;
    running.stop().await;
    assert!(name.0.exists());
}

/// The server replaces the socket of a dead server. It does not replace that of a running server,
/// or a file that is not a socket.
#[tokio::test]
async fn only_abandoned_sockets_are_replaced() {
    let name = Name::new("abandoned");
    drop(std::os::unix::net::UnixListener::bind(&name.0).unwrap());
    assert!(name.0.exists());
    let first = builder().bind_unix(&name.0).build().await.unwrap();
    let error = builder().bind_unix(&name.0).build().await;
    let error = error.unwrap_err();
    assert!(matches!(&error, StartError::Bind { .. }), "{error}");
    let text = error.to_string();
    assert!(text.contains(&name.0.display().to_string()), "{text}");
    assert!(text.contains("another program listens there"), "{text}");
    drop(first);
    assert!(!name.0.exists());
    std::fs::write(&name.0, "a file").unwrap();
    let error = builder().bind_unix(&name.0).build().await;
    assert!(error.is_err());
    assert_eq!(std::fs::read(&name.0).unwrap(), b"a file");
}

#[cfg(feature = "tls")]
#[tokio::test]
async fn tls_goes_over_unix_sockets() {
    use crate::support::{spoken, tls};
    use lacewing_server::Identity;

    let name = Name::new("tls");
    let made = tls::make("localhost");
    let identity = Identity::from_pem(made.certificate.as_bytes(), made.key.as_bytes()).unwrap();
    let listener = UnixListener::bind(&name.0).unwrap();
    let builder = builder().listen_tls(listener, identity);
    let running = Running::start(|stop| builder.shutdown(stop).serve(router()));
    for protocol in spoken() {
        let io = UnixStream::connect(&name.0).await.unwrap();
        let config = tls::config(&[&made], None, Some(protocol));
        let io = tls::connect(io, "localhost", config).await;
        let text = fetch(io, protocol, "/").await;
        assert!(text.starts_with(&protocol.to_string()), "{text}");
    }
    running.stop().await.unwrap();
}
