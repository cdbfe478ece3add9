//! The share of resumed TLS handshakes.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::SeqCst},
    },
};

use rustls::HandshakeKind;
use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::{
    super::servers::{on_thread, self_signed_config},
    lines, load,
};

/// The handshakes that a server performed.
#[derive(Default)]
struct Handshakes {
    all: AtomicU64,
    resumed: AtomicU64,
}

/// A server of HTTP/1.1 over TLS that closes each connection after its response.
fn closing() -> (SocketAddr, Arc<Handshakes>) {
    let handshakes = Arc::new(Handshakes::default());
    let counts = Arc::clone(&handshakes);
    let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(self_signed_config()));
    let listener = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let address = listener.local_addr().unwrap();
    listener.set_nonblocking(true).unwrap();
    on_thread(async move {
        let listener = tokio::net::TcpListener::from_std(listener).unwrap();
        loop {
            let (io, _) = listener.accept().await.unwrap();
            let mut io = acceptor.accept(io).await.unwrap();
            counts.all.fetch_add(1, SeqCst);
            let kind = io.get_ref().1.handshake_kind();
            let resumed = kind == Some(HandshakeKind::Resumed);
            counts.resumed.fetch_add(u64::from(resumed), SeqCst);
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                head.push(io.read_u8().await.unwrap());
            }
            let answer = b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 2\r\n\r\nok";
            io.write_all(answer).await.unwrap();
            io.shutdown().await.unwrap();
        }
    });
    (address, handshakes)
}

#[test]
fn its_share_is_that_of_the_server_and_it_can_be_turned_off() {
    for resume in ["on", "off"] {
        let (address, handshakes) = closing();
        let url = format!("https://{address}/");
        let way = ["-k", "--protocol", "http/1.1", "--tls-resume", resume];
        let (code, report, said) = load(&[&way[..], &["-n", "8", &url]].concat());
        assert_eq!((code, said.as_str()), (Some(0), ""), "{report}");
        let seen = (handshakes.all.load(SeqCst), handshakes.resumed.load(SeqCst));
        let expected = match resume {
            "on" => "TLS            8 handshakes, 7 resumed (87.5 %)",
            _ => "TLS            8 handshakes, 0 resumed (0.0 %)",
        };
        assert_eq!(lines(&report, "TLS"), [expected], "{report}");
        assert_eq!(seen, (8, if resume == "on" { 7 } else { 0 }));
    }
    let (address, handshakes) = closing();
    let url = format!("https://{address}/");
    let args = [
        "-k",
        "--protocol",
        "http/1.1",
        "--report",
        "json",
        "-n",
        "5",
    ];
    let (_, report, _) = load(&[&args[..], &[&url]].concat());
    let report: Value = serde_json::from_str(&report).unwrap();
    let connections = &report["connections"];
    assert_eq!(connections["tlsHandshakes"], 5);
    assert_eq!(connections["tlsResumed"], handshakes.resumed.load(SeqCst));
}
