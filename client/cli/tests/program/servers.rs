//! Servers of the tests, each on a thread of its own until the process ends.

use std::{
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpListener},
    sync::{Arc, mpsc},
    thread,
    time::Duration,
};

use bytes::Buf;
use http::{Request, Response};
use http_body::Body;
use lacewing_client::Version;
use lacewing_server::{BoxError, Protocol, RequestBody, Server, ServerBuilder, service_fn};
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use tower_service::Service;

use crate::support::{Witness, any_port, routes};

/// The test server, in cleartext and in one protocol.
pub(crate) fn server(version: Version) -> SocketAddr {
    let server = Server::builder().bind(any_port()).options(|options| {
        options
            .protocols([Protocol::from_alpn(version.alpn().as_bytes()).unwrap()])
            .pusher(lacewing_server::Extension::Insert)
    });
    serve_routes(server).unwrap()
}

/// The test server with a self-signed certificate, in all protocols.
pub(crate) fn self_signed() -> SocketAddr {
    serve_routes(Server::builder().bind_tls(any_port(), self_signed_config())).unwrap()
}

/// Serves the routes of the test server.
pub(crate) fn serve_routes(server: ServerBuilder) -> Option<SocketAddr> {
    let witness = Witness::default();
    serve(
        server,
        service_fn(move |request| routes(request, witness.clone())),
    )
}

/// Serves; returns the address, if there is one.
pub(crate) fn serve<S, B>(server: ServerBuilder, service: S) -> Option<SocketAddr>
where
    S: Service<Request<RequestBody>, Response = Response<B>> + Clone + Send + 'static,
    S::Error: Into<BoxError>,
    S::Future: Send,
    B: Body<Data: Buf + Send, Error: Into<BoxError>> + Send + 'static,
{
    let (send, receive) = mpsc::channel();
    on_thread(async move {
        let server = server.build().await.unwrap();
        send.send(server.local_addrs().next()).unwrap();
        server.serve(service).await;
    });
    receive.recv().unwrap()
}

/// Runs a task on a thread with a runtime.
pub(crate) fn on_thread(task: impl Future<Output = ()> + Send + 'static) {
    thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(task);
    });
}

/// A server that sends these bytes to each client.
pub(crate) fn server_sending(bytes: &'static [u8]) -> SocketAddr {
    server_reading(4096, bytes)
}

/// A server that accepts connections, and then says nothing.
pub(crate) fn silent() -> SocketAddr {
    let listener = TcpListener::bind(any_port()).unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || listener.incoming().collect::<Vec<_>>());
    address
}

/// A server that reads so many bytes, sends these, and closes.
pub(crate) fn server_reading(length: usize, bytes: &'static [u8]) -> SocketAddr {
    let listener = TcpListener::bind(any_port()).unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let _ = stream.read(&mut vec![0; length]);
            let _ = stream.write_all(bytes);
            // A close with unread bytes would be a reset, which may overtake ours.
            let _ = stream.shutdown(std::net::Shutdown::Write);
            let _ = stream.set_read_timeout(Some(Duration::from_millis(200)));
            while stream.read(&mut [0; 4096]).unwrap_or(0) > 0 {}
        }
    });
    address
}

pub(crate) fn self_signed_config() -> rustls::ServerConfig {
    let names = vec!["localhost".to_owned(), "127.0.0.1".to_owned()];
    let made = rcgen::generate_simple_self_signed(names).unwrap();
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(made.signing_key.serialize_der()));
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key)
        .unwrap()
}
