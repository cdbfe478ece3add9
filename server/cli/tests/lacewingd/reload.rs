//! SIGHUP, after the files of the certificate were renewed.

use std::{
    fs,
    io::{BufRead, BufReader, Read, Write},
    net::TcpStream,
    sync::Arc,
    time::Duration,
};

use rustls::{
    ClientConfig, ClientConnection, RootCertStore, StreamOwned, crypto::ring,
    pki_types::CertificateDer,
};

use crate::program::{Directory, Running};

/// Writes a certificate for these names, and its key.
fn renew(directory: &Directory, names: &[&str]) -> CertificateDer<'static> {
    let names: Vec<_> = names.iter().map(|name| (*name).to_owned()).collect();
    let made = rcgen::generate_simple_self_signed(names).unwrap();
    fs::write(directory.path("cert.pem"), made.cert.pem()).unwrap();
    fs::write(directory.path("key.pem"), made.signing_key.serialize_pem()).unwrap();
    made.cert.der().clone()
}

/// Asks `host` over a handshake for localhost; `None` if the certificate is another one.
fn ask(running: &Running, trusted: &CertificateDer<'static>, host: &str) -> Option<String> {
    let mut roots = RootCertStore::empty();
    roots.add(trusted.clone()).unwrap();
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let name = "localhost".try_into().unwrap();
    let client = ClientConnection::new(Arc::new(config), name).unwrap();
    let io = TcpStream::connect(running.https.unwrap()).unwrap();
    io.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    let mut io = StreamOwned::new(client, io);
    let request = format!("GET /hello.txt HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\r\n");
    io.write_all(request.as_bytes()).ok()?;
    let mut answer = String::new();
    io.read_to_string(&mut answer).ok()?;
    answer.lines().next().map(str::to_owned)
}

#[test]
fn the_certificate_is_read_again() {
    let directory = Directory::new("lacewingd-reloads");
    let old = renew(&directory, &["localhost"]);
    let (cert, key) = (directory.path("cert.pem"), directory.path("key.pem"));
    let mut running = Running::start(
        &directory,
        &[
            "--https",
            "127.0.0.1:0",
            "--cert",
            cert.to_str().unwrap(),
            "--key",
            key.to_str().unwrap(),
        ],
    );
    let mut log = BufReader::new(running.child.stderr.take().unwrap()).lines();
    let mut says = |text: &str| {
        let mut line = log.by_ref().map_while(Result::ok);
        line.find(|line| line.contains(text)).unwrap()
    };
    let ok = Some("HTTP/1.1 200 OK".to_owned());
    assert_eq!(ask(&running, &old, "localhost"), ok);
    let misdirected = ask(&running, &old, "new.example").unwrap();
    assert!(misdirected.contains("421"), "{misdirected}");

    // Files of no use change nothing.
    fs::write(&key, "no key").unwrap();
    running.signal("-HUP");
    let line = says("the certificate stays as it was");
    assert!(line.contains("key.pem"), "{line}");
    assert_eq!(ask(&running, &old, "localhost"), ok);

    let new = renew(&directory, &["localhost", "new.example"]);
    running.signal("-HUP");
    says("new connections have the certificate SHA-256");
    assert_eq!(ask(&running, &new, "localhost"), ok);
    // The names of the certificate are those of the new one.
    assert_eq!(ask(&running, &new, "new.example"), ok);
    assert_eq!(ask(&running, &old, "localhost"), None);
    running.signal("-TERM");
    assert_eq!(running.child.wait().unwrap().code(), Some(0));
}
