//! Servers that speak something else: the error says what, and what to do.

use lacewing_client::{Connection, ConnectionConfig, Error};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::support::*;

/// What a server says, and words of the error.
const SERVERS: [(&[u8], &[&str]); 6] = [
    (
        b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n",
        &["HTTP/1.1 400 Bad Request", "client of HTTP/1.1"],
    ),
    (
        b"\x15\x03\x01\x00\x02\x02\x46",
        &["TLS", "begin the URL with https"],
    ),
    (b"\x16\x03\x03\x00\x7a\x02\x00\x00\x76", &["TLS", "https"]),
    (b"SSH-2.0-OpenSSH_9.6\r\n", &["SSH", "check the port"]),
    (b"220 ftp.example.org ready\r\n", &["FTP", "check the port"]),
    (
        b"what do you want?\r\n",
        &["what do you want?", "check the port"],
    ),
];

#[test]
fn what_the_server_speaks_is_said() {
    every_version(|version| async move {
        for (says, words) in SERVERS {
            // Before it has heard anything, and after; it closes, or does not.
            for (first, closes) in [(true, true), (false, true), (false, false)] {
                let (client, mut server) = tokio::io::duplex(64 << 10);
                let config = ConnectionConfig::default();
                let (connection, task) = Connection::handshake(client, version, config);
                tokio::spawn(task);
                tokio::spawn(async move {
                    let mut heard = vec![0; 4096];
                    if !first {
                        let _ = server.read(&mut heard).await;
                    }
                    let _ = server.write_all(says).await;
                    if closes {
                        return;
                    }
                    while server.read(&mut heard).await.unwrap_or(0) > 0 {}
                });
                let error = connection.request(get("/")).await.unwrap_err();
                assert!(matches!(error, Error::Connection(_)), "{version}: {error}");
                let text = error.to_string();
                for word in words {
                    assert!(text.contains(word), "{version}: {text}");
                }
                assert!(!text.contains("frame of"), "{version}: {text}");
            }
        }
    });
}

#[cfg(feature = "cli")]
mod program {
    use std::{
        io::{Read as _, Write as _},
        net::{SocketAddr, TcpListener},
        process::{Command, Stdio},
    };

    use lacewing_client::Version;
    use lacewing_server::{Server, service_fn};

    use crate::support::{Witness, routes};

    /// A server of another kind, for any number of clients.
    fn says(bytes: &'static [u8]) -> SocketAddr {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let address = listener.local_addr().unwrap();
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                let _ = stream.read(&mut [0; 4096]);
                let _ = stream.write_all(bytes);
            }
        });
        address
    }

    /// A server whose certificate nobody signed.
    fn self_signed() -> SocketAddr {
        let (send, receive) = std::sync::mpsc::channel();
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap();
            runtime.block_on(async {
                let (config, _) = crate::client::tls();
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
        let output = Command::new(env!("CARGO_BIN_EXE_lacewing"))
            .args(args)
            .stdin(Stdio::null())
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        (output.status.code(), said)
    }

    #[test]
    fn insecure_is_for_certificates_only() {
        let trusted = format!("https://localhost:{}/hello", self_signed().port());
        for args in [&["get", &trusted][..], &["conform", &trusted]] {
            let (code, said) = lacewing(args);
            assert_eq!(code, Some(2), "{said}");
            assert!(said.contains("--insecure"), "{said}");
        }
        let (code, said) = lacewing(&["get", "-k", &trusted]);
        assert_eq!(code, Some(0), "{said}");
        for bytes in [
            &b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n"[..],
            b"SSH-2.0-OpenSSH_9.6\r\n",
            b"220 mail.example.org ESMTP\r\n",
        ] {
            let plain = format!("https://{}/", says(bytes));
            for args in [
                &["get"][..],
                &["get", "-k"],
                &["conform"],
                &["conform", "-k"],
            ] {
                let (code, said) = lacewing(&[args, &[&plain]].concat());
                assert_eq!(code, Some(2), "{said}");
                assert!(said.contains("does not speak TLS"), "{said}");
                assert!(!said.contains("--insecure"), "{said}");
            }
        }
    }

    #[test]
    fn tls_on_a_port_that_was_taken_for_cleartext_is_said() {
        let port = self_signed().port();
        let url = format!("http://127.0.0.1:{port}/hello");
        for version in Version::ALL {
            let (code, said) = lacewing(&["get", "--protocol", version.alpn(), &url]);
            assert_eq!(code, Some(3), "{version}: {said}");
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
        let plain = format!("https://{}/", says(b"HTTP/1.1 400 Bad Request\r\n\r\n"));
        let (_, said) = lacewing(&["get", "--npn", &plain]);
        assert!(said.contains("does not speak TLS"), "{said}");
        assert!(!said.contains("--insecure"), "{said}");
    }
}
