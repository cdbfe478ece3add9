//! The program with servers of other protocols, and with untrusted certificates.

use std::{
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpListener},
};

use lacewing_client::Version;
use lacewing_server::{Server, service_fn};

use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};

use super::lacewing::{ended, run};
use crate::support::{Witness, routes};

/// A self-signed certificate.
fn tls() -> rustls::ServerConfig {
    let names = vec!["localhost".to_owned(), "127.0.0.1".to_owned()];
    let made = rcgen::generate_simple_self_signed(names).unwrap();
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(made.signing_key.serialize_der()));
    let provider = std::sync::Arc::new(rustls::crypto::ring::default_provider());
    rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key)
        .unwrap()
}

/// A server that sends these bytes to each client.
fn server_sending(bytes: &'static [u8]) -> SocketAddr {
    server_reading(4096, bytes)
}

/// A server that reads so many bytes, sends these, and closes.
fn server_reading(length: usize, bytes: &'static [u8]) -> SocketAddr {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let _ = stream.read(&mut vec![0; length]);
            let _ = stream.write_all(bytes);
            // A close with unread bytes would be a reset, which may overtake ours.
            let _ = stream.shutdown(std::net::Shutdown::Write);
            let _ = stream.set_read_timeout(Some(std::time::Duration::from_millis(200)));
            while stream.read(&mut [0; 4096]).unwrap_or(0) > 0 {}
        }
    });
    address
}

/// A server with a self-signed certificate.
pub(super) fn self_signed() -> SocketAddr {
    let (send, receive) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(async {
            let config = tls();
            let server = Server::builder()
                .bind_tls(([127, 0, 0, 1], 0).into(), config)
                .build()
                .await
                .unwrap();
            send.send(server.local_addrs().next().unwrap()).unwrap();
            let witness = Witness::default();
            server
                .serve(service_fn(move |request| routes(request, witness.clone())))
                .await;
        });
    });
    receive.recv().unwrap()
}

fn lacewing(args: &[&str]) -> (Option<i32>, String) {
    let (code, _, said) = ended(&run(args));
    (code, said)
}

#[test]
fn insecure_is_for_certificates_only() {
    let trusted = format!("https://localhost:{}/hello", self_signed().port());
    for args in [&["get", &trusted][..], &["conform", &trusted]] {
        let (code, said) = lacewing(args);
        assert_eq!(code, Some(60), "{said}");
        assert!(said.contains("--insecure"), "{said}");
    }
    let (code, said) = lacewing(&["get", "-k", &trusted]);
    assert_eq!(code, Some(0), "{said}");
    for bytes in [
        &b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n"[..],
        b"SSH-2.0-OpenSSH_9.6\r\n",
        b"220 mail.example.org ESMTP\r\n",
    ] {
        let plain = format!("https://{}/", server_sending(bytes));
        for args in [
            &["get"][..],
            &["get", "-k"],
            &["conform"],
            &["conform", "-k"],
        ] {
            let (code, said) = lacewing(&[args, &[&plain]].concat());
            assert_eq!(code, Some(35), "{said}");
            assert!(said.contains("does not speak TLS"), "{said}");
            assert!(!said.contains("--insecure"), "{said}");
        }
    }
}

/// A server that hangs up without a word, as many do at bytes of another protocol. If it did not
/// read them all, the transport is reset.
#[test]
fn a_server_that_hangs_up_may_speak_something_else() {
    for length in [1, 4096] {
        hangs_up(server_reading(length, b""));
    }
}

fn hangs_up(address: SocketAddr) {
    let mut ways = vec![vec!["get"], vec!["get", "-k"]];
    if cfg!(feature = "npn") {
        ways.push(vec!["get", "--npn"]);
    }
    let url = format!("https://{address}/");
    for args in ways {
        let (code, said) = lacewing(&[&args[..], &[&url]].concat());
        assert_eq!(code, Some(35), "{said}");
        assert!(said.contains("begin the URL with http;"), "{said}");
    }
    let url = format!("http://{address}/");
    for version in Version::ALL {
        let (code, said) = lacewing(&["get", "--protocol", version.alpn(), &url]);
        assert_eq!(code, Some(52), "{said}");
        assert!(
            said.contains("without a frame; check that it speaks"),
            "{version}: {said}"
        );
    }
}

#[test]
fn tls_on_a_port_that_was_taken_for_cleartext_is_said() {
    let port = self_signed().port();
    let url = format!("http://127.0.0.1:{port}/hello");
    for version in Version::ALL {
        let (code, said) = lacewing(&["get", "--protocol", version.alpn(), &url]);
        assert_eq!(code, Some(16), "{version}: {said}");
        assert!(
            said.contains("begin the URL with https"),
            "{version}: {said}"
        );
    }
}

#[cfg(feature = "npn")]
#[test]
fn the_same_with_openssl() {
    let (_, said) = lacewing(&[
        "get",
        "--npn",
        &format!("https://localhost:{}/hello", self_signed().port()),
    ]);
    assert!(said.contains("--insecure"), "{said}");
    let plain = format!(
        "https://{}/",
        server_sending(b"HTTP/1.1 400 Bad Request\r\n\r\n")
    );
    let (_, said) = lacewing(&["get", "--npn", &plain]);
    assert!(said.contains("does not speak TLS"), "{said}");
    assert!(!said.contains("--insecure"), "{said}");
}
