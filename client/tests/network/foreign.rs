//! Servers that speak another protocol: the error names it, and a remedy.

use lacewing_client::{ClientError, ClientOptions, Connection};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::support::*;

/// The bytes of a server, and words of the error.
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
            // Before and after the client's first bytes; with and without a close.
            for (first, closes) in [(true, true), (false, true), (false, false)] {
                let (client, mut server) = tokio::io::duplex(64 << 10);
                let config = ClientOptions::default();
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
                assert!(
                    matches!(error, ClientError::Connection(_)),
                    "{version}: {error}"
                );
                let text = error.to_string();
                for word in words {
                    assert!(text.contains(word), "{version}: {text}");
                }
                assert!(!text.contains("frame of"), "{version}: {text}");
            }
        }
    });
}
