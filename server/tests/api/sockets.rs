//! `lacewing_server::axum::serve` on Unix sockets and with TLS.

use axum::{Router, extract::ConnectInfo, routing::get};
use lacewing_server::{Address, Identity, axum::serve};
use tokio::net::{TcpListener, TcpStream};

use crate::support::{Running, fetch, spoken, tls};

fn router() -> Router {
    Router::new().route(
        "/",
        get(async |ConnectInfo(peer): ConnectInfo<Address>| match peer {
            Address::Tcp(_) => "tcp",
            Address::Unix(_) => "unix",
            _ => "else",
        }),
    )
}

#[tokio::test]
async fn tls_needs_one_call_more() {
    let made = tls::make("localhost");
    let identity = Identity::from_pem(made.certificate.as_bytes(), made.key.as_bytes()).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let app = router().into_make_service_with_connect_info::<Address>();
    let server = serve(listener, app).with_tls(&identity);
    let running = Running::start(|stop| server.with_graceful_shutdown(stop).into_future());
    for protocol in spoken() {
        let io = TcpStream::connect(address).await.unwrap();
        let config = tls::config(&[&made], None, Some(protocol));
        let io = tls::connect(io, "localhost", config).await;
        assert_eq!(fetch(io, protocol, "/").await, "tcp");
    }
    running.stop().await.unwrap();
}

#[cfg(unix)]
#[tokio::test]
async fn a_unix_listener_is_served_as_a_tcp_listener_is() {
    let name = format!("lacewing-axum-{}.sock", std::process::id());
    let path = std::env::temp_dir().join(name);
    let listener = tokio::net::UnixListener::bind(&path).unwrap();
    let app = router().into_make_service_with_connect_info::<Address>();
    let server = serve(listener, app);
    assert!(server.local_addr().is_err());
    let running = Running::start(|stop| server.with_graceful_shutdown(stop).into_future());
    for protocol in crate::support::detectable() {
        let io = tokio::net::UnixStream::connect(&path).await.unwrap();
        assert_eq!(fetch(io, protocol, "/").await, "unix");
    }
    running.stop().await.unwrap();
    std::fs::remove_file(&path).unwrap();
}
