//! Certificates: several by SNI, and their files after they were renewed.

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
    write(directory, "", names)
}

/// The same, in files whose names begin so.
fn write(directory: &Directory, prefix: &str, names: &[&str]) -> CertificateDer<'static> {
    let names: Vec<_> = names.iter().map(|name| (*name).to_owned()).collect();
    let made = rcgen::generate_simple_self_signed(names).unwrap();
    let file = |name: &str| directory.path(&format!("{prefix}{name}"));
    fs::write(file("cert.pem"), made.cert.pem()).unwrap();
    fs::write(file("key.pem"), made.signing_key.serialize_pem()).unwrap();
    made.cert.der().clone()
}

/// Asks `host` over a handshake for localhost; `None` if the certificate is another one.
fn ask(running: &Running, trusted: &CertificateDer<'static>, host: &str) -> Option<String> {
    ask_for(running, trusted, "localhost", host)
}

/// Asks `host` over a handshake for `name`.
fn ask_for(
    running: &Running,
    trusted: &CertificateDer<'static>,
    name: &str,
    host: &str,
) -> Option<String> {
    let mut roots = RootCertStore::empty();
    roots.add(trusted.clone()).unwrap();
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let name = name.to_owned().try_into().unwrap();
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
    let line = says("SIGHUP: nothing changes");
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

/// The client's SNI chooses the certificate, and a host is of the certificate that was chosen.
#[test]
fn several_certificates_are_chosen_by_sni() {
    let directory = Directory::new("lacewingd-sni");
    let first = write(&directory, "1", &["localhost", "both.example"]);
    let second = write(&directory, "2", &["*.example.org", "example.org"]);
    let path = |name: &str| directory.path(name).to_str().unwrap().to_owned();
    let options = [
        ("--cert", path("1cert.pem")),
        ("--key", path("1key.pem")),
        ("--cert", path("2cert.pem")),
        ("--key", path("2key.pem")),
    ];
    let options = options.iter().flat_map(|(name, value)| [*name, value]);
    let mut args = vec!["--https", "127.0.0.1:0"];
    args.extend(options);
    let running = Running::start(&directory, &args);
    let ok = Some("HTTP/1.1 200 OK".to_owned());
    for (trusted, name) in [
        (&first, "localhost"),
        (&first, "both.example"),
        (&second, "www.example.org"),
        (&second, "example.org"),
    ] {
        assert_eq!(ask_for(&running, trusted, name, name), ok, "{name}");
    }
    assert_eq!(
        ask_for(&running, &second, "a.example.org", "b.example.org"),
        ok
    );
    // The other certificate's name belongs to another connection.
    for (trusted, name, host) in [
        (&first, "localhost", "example.org"),
        (&second, "example.org", "localhost"),
        (&second, "example.org", "a.b.example.org"),
    ] {
        let answer = ask_for(&running, trusted, name, host).unwrap();
        assert!(answer.contains("421"), "{name} {host}: {answer}");
    }
    // A wrong name has the first, which the client refuses.
    assert_eq!(ask_for(&running, &second, "localhost", "localhost"), None);
    let (code, log) = running.terminate();
    assert_eq!(code, Some(0), "{log}");
}

/// certbot and Kubernetes replace a link; nobody sends a signal.
#[test]
fn renewed_files_are_noticed() {
    let directory = Directory::new("lacewingd-renewed");
    let (old, new) = (
        write(&directory, "1", &["localhost"]),
        write(&directory, "2", &["localhost"]),
    );
    let link = |number: u8| {
        for name in ["cert.pem", "key.pem"] {
            let (target, temporary) = (format!("{number}{name}"), directory.path("link"));
            std::os::unix::fs::symlink(target, &temporary).unwrap();
            fs::rename(temporary, directory.path(name)).unwrap();
        }
    };
    link(1);
    let path = |name: &str| directory.path(name).to_str().unwrap().to_owned();
    let (cert, key) = (path("cert.pem"), path("key.pem"));
    let args = ["--https", "127.0.0.1:0", "--cert", &cert, "--key", &key];
    let mut running = Running::start(&directory, &args);
    let ok = Some("HTTP/1.1 200 OK".to_owned());
    assert_eq!(ask(&running, &old, "localhost"), ok);
    link(2);
    let mut log = BufReader::new(running.child.stderr.take().unwrap()).lines();
    let mut line = log.by_ref().map_while(Result::ok);
    assert!(line.any(|line| line.contains("new connections have the certificate SHA-256")));
    assert_eq!(ask(&running, &new, "localhost"), ok);
    assert_eq!(ask(&running, &old, "localhost"), None);
}

/// The configuration may have more certificates than before.
#[test]
fn certificates_are_added_and_removed_by_a_reload() {
    let directory = Directory::new("lacewingd-certificates");
    let names = [&["localhost"][..], &["new.example"]];
    let made = [
        write(&directory, "1", names[0]),
        write(&directory, "2", names[1]),
    ];
    let file = directory.path("lacewingd.toml");
    let configure = |numbers: &[u8]| {
        let list = |name: &str| {
            let paths = numbers
                .iter()
                .map(|number| directory.path(&format!("{number}{name}")));
            paths
                .map(|path| format!("'{}'", path.display()))
                .collect::<Vec<_>>()
                .join(", ")
        };
        let (cert, key) = (list("cert.pem"), list("key.pem"));
        fs::write(&file, format!("cert = [{cert}]\nkey = [{key}]\n")).unwrap();
    };
    configure(&[1]);
    let args = ["--https", "127.0.0.1:0", "--config", file.to_str().unwrap()];
    let mut running = Running::start(&directory, &args);
    let mut log = BufReader::new(running.child.stderr.take().unwrap()).lines();
    let mut reload = |numbers: &[u8]| {
        configure(numbers);
        running.signal("-HUP");
        let mut lines = log.by_ref().map_while(Result::ok);
        for _ in numbers {
            let found = lines.find(|line| line.contains("have the certificate SHA-256"));
            assert!(found.is_some(), "{numbers:?}");
        }
    };
    let ok = Some("HTTP/1.1 200 OK".to_owned());
    let is_served = |running: &Running, index: usize| {
        let name = names[index][0];
        ask_for(running, &made[index], name, name) == ok
    };
    assert!(is_served(&running, 0) && !is_served(&running, 1));
    for both in [[1, 2], [2, 1]] {
        reload(&both);
        assert!(is_served(&running, 0) && is_served(&running, 1), "{both:?}");
    }
    reload(&[2]);
    assert!(!is_served(&running, 0) && is_served(&running, 1));
}
