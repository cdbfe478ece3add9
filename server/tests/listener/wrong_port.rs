//! Clients at the wrong port: the report has their protocol and a remedy.

use std::sync::{Arc, Mutex};

use lacewing_server::{Identity, Server, ServerEvent};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use crate::{PATIENCE, router};

/// The reports of a server, with TLS and without, for a client that sends these bytes.
async fn reports(tls: bool, bytes: &[u8]) -> Vec<String> {
    let log = Arc::new(Mutex::new(Vec::new()));
    let told = Arc::clone(&log);
    let builder = Server::builder().options(|options| {
        options.observer(move |event: &ServerEvent<'_>| {
            if let ServerEvent::Rejected { error, .. } = event {
                told.lock().unwrap().push(error.to_string());
            }
        })
    });
    let address = ([127, 0, 0, 1], 0).into();
    let builder = if tls {
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        let (certificate, key) = (made.cert.pem(), made.signing_key.serialize_pem());
        let identity = Identity::from_pem(certificate.as_bytes(), key.as_bytes()).unwrap();
        builder.bind_tls(address, identity)
    } else {
        builder.bind(address)
    };
    let server = builder.build().await.unwrap();
    let address = server.local_addrs().next().unwrap();
    let serving = tokio::spawn(server.serve(router()));
    let mut client = TcpStream::connect(address).await.unwrap();
    client.write_all(bytes).await.unwrap();
    let mut rest = Vec::new();
    // The way in which the server ends it does not matter.
    let closed = tokio::time::timeout(PATIENCE, client.read_to_end(&mut rest));
    let _ = closed.await.expect("the server closes the connection");
    serving.abort();
    Arc::try_unwrap(log).map_or_else(
        |log| log.lock().unwrap().clone(),
        |log| log.into_inner().unwrap(),
    )
}

#[tokio::test]
async fn cleartext_on_a_tls_port_is_named() {
    for bytes in [
        &b"GET / HTTP/1.1\r\nhost: localhost\r\n\r\n"[..],
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"SSH-2.0-OpenSSH_9.6\r\n",
    ] {
        let reports = reports(true, bytes).await;
        let [report] = &reports[..] else {
            panic!("{reports:?}")
        };
        assert!(report.contains("does not speak TLS"), "{report}");
    }
}

#[tokio::test]
async fn tls_and_ssh_on_a_cleartext_port_are_named() {
    // The start of a ClientHello.
    let hello = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03";
    for (bytes, name) in [(&hello[..], "TLS"), (b"SSH-2.0-OpenSSH_9.6\r\n", "SSH")] {
        let reports = reports(false, bytes).await;
        let [report] = &reports[..] else {
            panic!("{reports:?}")
        };
        assert!(report.contains(name), "{report}");
    }
}
