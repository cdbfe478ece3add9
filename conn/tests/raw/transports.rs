//! The same streams over TCP, TLS, and inside of WebSocket messages. (Other tests use pipes in
//! memory; `tests/upgrade` has upgrades from HTTP/1.1.)

#[path = "../../examples/raw_websocket/transport.rs"]
mod websocket;

use std::sync::Arc;

use http::HeaderMap;
use lacewing_conn::{
    Side, Version,
    driver::{Mux, MuxConfig, OpenOptions},
};
use lacewing_frames::spdy::Message as Frame;
use rustls::pki_types::{PrivateKeyDer, ServerName};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, TcpStream},
};
use tokio_rustls::{TlsAcceptor, TlsConnector};
use tokio_tungstenite::{
    WebSocketStream,
    tungstenite::{
        handshake::server::{Request, Response},
        protocol::Role,
    },
};

use crate::{peer::Peer, support::*};

/// Both sides open streams, of all sizes, at the same time.
async fn try_out<A, B>(version: Version, config: fn(Side) -> MuxConfig, here: A, there: B)
where
    A: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    B: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (client, connection) = Mux::client(here, version, config(Side::Client));
    let client_task = tokio::spawn(connection);
    let (server, connection) = Mux::server(there, version, config(Side::Server));
    let server_task = tokio::spawn(connection);
    let echoing = [echo(client.clone()), echo(server.clone())];
    let mut exchanges = Vec::new();
    for (seed, len) in [0, 1, 1000, 100_000, 2_000_000].into_iter().enumerate() {
        for mux in [&client, &server] {
            let mux = mux.clone();
            exchanges.push(tokio::spawn(async move {
                let stream = mux.open(HeaderMap::new(), OpenOptions::default()).await;
                exchange(stream.unwrap(), bytes(len, seed)).await;
            }));
        }
    }
    for exchange in exchanges {
        soon(exchange).await.unwrap();
    }
    for echoing in echoing {
        stop(echoing).await;
    }
    drop((client, server));
    soon(client_task).await.unwrap().unwrap();
    soon(server_task).await.unwrap().unwrap();
}

#[tokio::test]
async fn tcp() {
    for version in Version::ALL {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let here = TcpStream::connect(listener.local_addr().unwrap()).await;
        let (there, _) = listener.accept().await.unwrap();
        try_out(version, MuxConfig::new, here.unwrap(), there).await;
    }
}

#[tokio::test]
async fn tls() {
    let made = rcgen::generate_simple_self_signed(vec!["test.example".to_owned()]).unwrap();
    let certificate = made.cert.der().clone();
    let key = PrivateKeyDer::Pkcs8(made.signing_key.serialize_der().into());
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let server = rustls::ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.clone()], key)
        .unwrap();
    let mut roots = rustls::RootCertStore::empty();
    roots.add(certificate).unwrap();
    let client = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let (acceptor, connector) = (
        TlsAcceptor::from(Arc::new(server)),
        TlsConnector::from(Arc::new(client)),
    );
    for version in Version::ALL {
        let (here, there) = tokio::io::duplex(64 << 10);
        let name = ServerName::try_from("test.example").unwrap();
        let (here, there) = tokio::join!(connector.connect(name, here), acceptor.accept(there));
        try_out(version, MuxConfig::new, here.unwrap(), there.unwrap()).await;
    }
}

#[tokio::test(start_paused = true)]
async fn websocket_messages() {
    for version in Version::ALL {
        for config in [MuxConfig::new, MuxConfig::kubernetes] {
            if version == Version::Http2 && config(Side::Client).ignore_flow_control {
                // No HTTP/2 peer lacks flow control.
                continue;
            }
            let (here, there) = tokio::io::duplex(64 << 10);
            let here = WebSocketStream::from_raw_socket(here, Role::Client, None).await;
            let there = WebSocketStream::from_raw_socket(there, Role::Server, None).await;
            let (here, there) = (websocket::transport(here), websocket::transport(there));
            try_out(version, config, here, there).await;
        }
    }
}

/// kubectl since 1.30: SPDY inside of a WebSocket, as its subprotocol says, and a PING every five
/// seconds.
#[tokio::test(start_paused = true)]
async fn port_forward_inside_a_websocket() {
    const SUBPROTOCOL: &str = "SPDY/3.1+portforward.k8s.io";
    let (here, there) = tokio::io::duplex(64 << 10);
    let node = tokio::spawn(async move {
        let choose = |request: &Request, mut response: Response| {
            let offered = request.headers()["sec-websocket-protocol"].clone();
            assert_eq!(offered, SUBPROTOCOL);
            let name = "sec-websocket-protocol";
            response.headers_mut().insert(name, offered);
            Ok(response)
        };
        let socket = tokio_tungstenite::accept_hdr_async(there, choose).await;
        let io = websocket::transport(socket.unwrap());
        let (mux, connection) =
            Mux::server(io, Version::Spdy31, MuxConfig::kubernetes(Side::Server));
        let echoing = echo(mux);
        connection.await.unwrap();
        soon(echoing).await.unwrap();
    });
    let request = Request::get("ws://node/portforward")
        .header("host", "node")
        .header("connection", "Upgrade")
        .header("upgrade", "websocket")
        .header("sec-websocket-version", "13")
        .header("sec-websocket-key", "AAAAAAAAAAAAAAAAAAAAAA==")
        .header("sec-websocket-protocol", SUBPROTOCOL)
        .body(())
        .unwrap();
    let (socket, response) = soon(tokio_tungstenite::client_async(request, here))
        .await
        .unwrap();
    assert_eq!(response.headers()["sec-websocket-protocol"], SUBPROTOCOL);
    let mut kubectl = Peer::new(websocket::transport(socket), Version::Spdy31);
    for round in 0..20_u32 {
        kubectl
            .send(|encoder, bytes| encoder.ping(bytes, 2 * round + 1))
            .await;
        flush(&mut kubectl).await;
        let Some(Frame::Ping(pong)) = soon(kubectl.next()).await else {
            panic!("the PING comes back");
        };
        assert_eq!(pong.id, 2 * round + 1);
        tokio::time::sleep(std::time::Duration::from_secs(5)).await;
    }
    kubectl
        .open(1, &[("streamtype", "data"), ("port", "80")])
        .await;
    kubectl.data(1, b"GET / HTTP/1.0\r\n\r\n", true).await;
    flush(&mut kubectl).await;
    soon(kubectl.expect_reply(1)).await;
    assert_eq!(
        soon(kubectl.expect_data(1)).await,
        b"GET / HTTP/1.0\r\n\r\n"
    );
    tokio::io::AsyncWriteExt::shutdown(&mut kubectl.io)
        .await
        .unwrap();
    while soon(kubectl.any()).await.is_some() {}
    drop(kubectl);
    soon(node).await.unwrap();
}

async fn flush<IO: AsyncRead + AsyncWrite + Unpin>(peer: &mut Peer<IO>) {
    tokio::io::AsyncWriteExt::flush(&mut peer.io).await.unwrap();
}
