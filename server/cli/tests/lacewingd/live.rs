//! The live page: what it shows, and to whom.

use std::{
    fs,
    io::{Read as _, Write as _},
    net::SocketAddr,
};

use crate::{
    exchange::{ALL, MULTIPLEXED, Protocol, Session, get, head},
    program::{Directory, Running},
    viewer::{UPDATES, Viewer, answer, phase},
};

fn start(directory: &Directory) -> (Running, SocketAddr) {
    let args = ["--https", "127.0.0.1:0", "--status", "127.0.0.1:0"];
    let running = Running::start(directory, &args);
    let mut said = running.said.iter();
    let page = said.find_map(|line| line.trim().strip_prefix("live page at http://"));
    let page = page.expect("the address of the page");
    let page = page.trim_end_matches('/').parse().unwrap();
    (running, page)
}

#[test]
fn requests_of_every_protocol_are_shown_without_their_secrets() {
    let directory = Directory::new("lacewingd-live");
    let (running, page) = start(&directory);
    let mut viewer = Viewer::come(page);
    assert_eq!(viewer.event().name, "snapshot");
    for protocol in ALL {
        let secret = [("authorization", "Bearer s3cret")];
        let path = format!("/hello.txt?p={protocol:?}&token=s3cret");
        assert_eq!(get(&running, protocol, &path, &secret).status, 200);
        let name = match protocol {
            Protocol::Http1 => "http/1.1",
            Protocol::Http2 => "h2",
            Protocol::Spdy31 => "spdy/3.1",
        };
        let stream = viewer.wait_for("streams", |stream| {
            assert!(!stream.to_string().contains("s3cret"), "{stream}");
            stream["protocol"] == name && !stream["end"].is_null()
        });
        assert_eq!(stream["path"], "/hello.txt");
        assert_eq!(
            (&stream["status"], &stream["sent"]),
            (&200.into(), &11.into())
        );
    }
    // A later viewer gets all of that at once.
    let mut other = Viewer::come(page);
    let snapshot = other.event();
    assert_eq!(snapshot.name, "snapshot");
    assert_eq!(snapshot.data["streams"].as_array().unwrap().len(), 3);
    assert_eq!(snapshot.data["totals"]["opened"]["h2"], 1);
}

#[test]
fn a_reader_that_stalls_is_shown_with_its_cause() {
    let directory = Directory::new("lacewingd-live-stalls");
    fs::write(directory.path("large"), vec![b'x'; 16 << 20]).unwrap();
    let (running, page) = start(&directory);
    let mut viewer = Viewer::come(page);
    viewer.event();
    for protocol in MULTIPLEXED {
        let mut session = Session::new(running.connect(), protocol, Some(1_000));
        session.open(1, &head(protocol, "localhost", "GET", "/large"));
        let stream = viewer.wait_for("streams", |stream| phase(stream) == "stream_window");
        assert_eq!(stream["path"], "/large");
        assert_eq!(
            (&stream["sent"], &stream["window"]),
            (&1_000.into(), &0.into())
        );
        drop(session);
        // The stream ends with its connection.
        viewer.wait_for("streams", |stream| !stream["end"].is_null());
    }
    let mut io = running.connect();
    io.write_all(b"GET /large HTTP/1.1\r\nhost: localhost\r\n\r\n")
        .unwrap();
    let connection = viewer.wait_for("connections", |one| one["stall"] == "transport");
    assert_eq!(connection["protocol"], "http/1.1");
    // It reads again.
    io.read_exact(&mut vec![0; 16 << 20]).unwrap();
    let id = &connection["id"];
    viewer.wait_for("connections", |one| {
        one["id"] == *id && one["stall"].is_null()
    });
}

#[test]
fn a_stream_from_before_is_shown_and_a_viewer_may_return() {
    let directory = Directory::new("lacewingd-live-before");
    fs::write(directory.path("large"), vec![b'x'; 1 << 20]).unwrap();
    let (running, page) = start(&directory);
    let mut session = Session::new(running.connect(), Protocol::Http2, Some(1_000));
    session.open(1, &head(Protocol::Http2, "localhost", "GET", "/large"));
    session.read_until(1, |answer| answer.body.len() == 1_000);
    let mut viewer = Viewer::come(page);
    let stream = viewer.wait_for("streams", |stream| phase(stream) == "stream_window");
    assert_eq!(stream["is_earlier"], true);
    assert_eq!(
        get(&running, Protocol::Http1, "/hello.txt", &[]).status,
        200
    );
    let last = viewer.event();
    drop(viewer);
    // It gets what is new. What is no id of this process is no place to continue.
    let mut back = Viewer::ask(page, &format!("last-event-id: {}\r\n", last.id)).unwrap();
    assert_eq!(
        get(&running, Protocol::Http1, "/hello.txt", &[]).status,
        200
    );
    let event = back.event();
    assert_eq!(event.name, "delta");
    let mut news = event.data["streams"].as_array().unwrap().iter();
    assert!(news.all(|stream| stream["path"] != "/large"));
    for other in ["1-5", "x", &format!("{}000", last.id)] {
        let mut new = Viewer::ask(page, &format!("last-event-id: {other}\r\n")).unwrap();
        assert_eq!(new.event().name, "snapshot", "{other}");
    }
}

#[test]
fn viewers_are_bounded() {
    let directory = Directory::new("lacewingd-live-many");
    let (_running, page) = start(&directory);
    let mut viewers: Vec<_> = (0..16).map(|_| Viewer::come(page)).collect();
    for viewer in &mut viewers {
        assert_eq!(viewer.event().name, "snapshot");
    }
    let refused = Viewer::ask(page, "").err().unwrap();
    assert!(refused.contains(" 503 "), "{refused}");
    viewers.pop();
    // Its place is free once the server sees that it left.
    let again = (0..UPDATES).find_map(|_| {
        viewers[0].event();
        Viewer::ask(page, "").ok()
    });
    assert_eq!(again.unwrap().event().name, "snapshot");
}

#[test]
fn other_sites_and_other_methods_are_refused() {
    let directory = Directory::new("lacewingd-live-sites");
    let (_running, page) = start(&directory);
    for (request, status) in [
        ("GET / HTTP/1.1\r\nhost: localhost", 200),
        ("HEAD / HTTP/1.1\r\nhost: [::1]:9", 200),
        ("GET /events HTTP/1.1\r\nhost: example.org", 421),
        ("GET / HTTP/1.1\r\nhost: example.org:80", 421),
        (
            "GET /events HTTP/1.1\r\nhost: localhost\r\nsec-fetch-site: cross-site",
            403,
        ),
        (
            "POST / HTTP/1.1\r\nhost: localhost\r\ncontent-length: 0",
            405,
        ),
        ("GET /etc HTTP/1.1\r\nhost: 127.0.0.1", 404),
    ] {
        let answer = answer(page, request);
        let expected = format!("HTTP/1.1 {status} ");
        assert!(answer.starts_with(&expected), "{request}: {answer}");
        assert!(answer.contains("\r\ncache-control: no-store"), "{answer}");
        assert!(!answer.contains("set-cookie"), "{answer}");
        if status == 200 {
            let policy = "\r\ncontent-security-policy: default-src 'none'; ";
            assert!(answer.contains(policy), "{answer}");
        }
    }
}

#[test]
fn an_address_in_use_is_named() {
    let directory = Directory::new("lacewingd-live-used");
    let (_running, page) = start(&directory);
    let program = std::process::Command::new(crate::program::PROGRAM)
        .args(["--http", "127.0.0.1:0", "--https", "off", "--status"])
        .arg(page.to_string())
        .output()
        .unwrap();
    assert!(!program.status.success());
    let error = String::from_utf8(program.stderr).unwrap();
    assert!(error.contains(&format!("--status {page}: ")), "{error}");
}
