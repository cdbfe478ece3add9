//! `load` and `tap` with `--status`: what their live pages show.

use std::{
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::{Shutdown, SocketAddr, TcpListener, TcpStream},
    process::{Child, Command, Stdio},
    thread,
    time::Duration,
};

use http::{Request, Response};
use lacewing_client::Version;
use lacewing_conn::{Limits, driver::ConnectionConfig};
use lacewing_server::{RequestBody, Server, service_fn};
use serde_json::Value;

use super::{
    lacewing::{ended, run},
    load::{Treatment, hostile},
    mux::Side,
    servers::{self_signed, serve, serve_routes, server},
};
use crate::{
    support::any_port,
    viewer::{UPDATES, Viewer, answer, connect, phase},
};

/// A program with a live page, killed at the end.
struct Running {
    child: Child,
    page: SocketAddr,
    /// Where `tap` listens.
    listens: String,
}

impl Running {
    fn start(args: &[&str]) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_lacewing"))
            .args(args)
            .args(["--status", "127.0.0.1:0"])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut stderr = BufReader::new(child.stderr.take().unwrap());
        let mut said = |what: &str| {
            let mut line = String::new();
            stderr.read_line(&mut line).unwrap();
            let (_, rest) = line.split_once(what).unwrap_or_else(|| panic!("{line}"));
            rest.trim().trim_end_matches('/').to_owned()
        };
        let page = said("live page at http://").parse().unwrap();
        let listens = match args[0] {
            "tap" => said("tapping ").split("/ ").next().unwrap().to_owned(),
            _ => String::new(),
        };
        thread::spawn(move || stderr.read_to_string(&mut String::new()));
        Self {
            child,
            page,
            listens,
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn get(args: &[&str]) -> String {
    let (code, body, said) = ended(&run(&[&["get", "-k"], args].concat()));
    assert_eq!(code, Some(0), "{said}");
    body
}

/// A complete stream that is shown with this protocol. One that began before the viewer came has no
/// path.
fn complete(viewer: &mut Viewer, protocol: &str) -> Value {
    viewer.wait_for("streams", |stream| {
        assert!(!stream.to_string().contains("s3cret"), "{stream}");
        // A stream that was open before has neither method nor path.
        let is_whole = stream["is_earlier"] == false && !stream["end"].is_null();
        is_whole && stream["protocol"] == protocol && stream["status"] == 200
    })
}

const PROTOCOLS: [&str; 5] = ["h2", "spdy/3.1", "spdy/3", "spdy/2", "http/1.1"];

#[test]
fn load_shows_requests_of_every_protocol_and_its_figures() {
    let all = serve_routes(Server::builder().bind(any_port())).unwrap();
    for protocol in PROTOCOLS {
        let of_version = Version::ALL.iter().find(|one| one.alpn() == protocol);
        let address = of_version.map_or(all, |version| server(*version));
        let url = format!("http://{address}/echo?token=s3cret");
        let header = "authorization: s3cret";
        let args = ["load", "-D", "60s", "-d", "content", "-H", header];
        let running = Running::start(&[&args[..], &["--protocol", protocol, &url]].concat());
        let html = answer(running.page, "GET / HTTP/1.1\r\nhost: localhost");
        assert!(html.starts_with("HTTP/1.1 200 "), "{html}");
        let title = format!(" load of http://{address}/echo</h1>");
        assert!(html.contains(&title) && !html.contains("s3cret"), "{html}");
        let mut viewer = Viewer::come(running.page);
        assert_eq!(viewer.event().name, "snapshot");
        let stream = complete(&mut viewer, protocol);
        assert_eq!(
            (&stream["method"], &stream["path"]),
            (&"POST".into(), &"/echo".into())
        );
        assert_eq!(
            (&stream["sent"], &stream["received"]),
            (&7.into(), &7.into()),
            "{stream}"
        );
        let connection = viewer.wait_for("connections", |one| one["received"] != 0);
        assert_eq!(connection["peer"], format!("#1 to {address}"));
        viewer.wait_for("figures", |figure| {
            figure["name"] == "service p99" && figure["value"].as_f64() > Some(0.0)
        });
        viewer.wait_for("figures", |figure| {
            figure["name"] == "responses" && figure["value"].as_f64() > Some(0.0)
        });
    }
}

#[test]
fn load_shows_that_the_server_permits_no_more_streams() {
    let limits =
        Limits::new(lacewing_conn::Side::Server).with(|limits| limits.max_concurrent_streams = 2);
    let config = ConnectionConfig::new(lacewing_conn::Side::Server)
        .with(|config| config.limits = limits.into());
    let slow = service_fn(|_: Request<RequestBody>| async {
        tokio::time::sleep(Duration::from_millis(300)).await;
        Ok::<_, std::convert::Infallible>(Response::new(String::new()))
    });
    let server = Server::builder().bind(any_port()).connection(config);
    let url = format!("http://{}/", serve(server, slow).unwrap());
    for (way, name) in [
        (&["-m", "8"][..], "max_concurrent_streams of the server"),
        (
            &["-m", "8", "--rate", "100"],
            "requests that wait (--max-waiting)",
        ),
    ] {
        let running = Running::start(&[&["load", "-D", "60s"], way, &[&url]].concat());
        let mut viewer = Viewer::come(running.page);
        let connection = viewer.wait_for("connections", |one| one["stall"] == "max_streams");
        assert_eq!(connection["streams"], 2, "{connection}");
        let is_near = |gauge: &Value| gauge["name"] == name && gauge["used"].as_u64() > Some(1);
        match name.starts_with("max") {
            true => assert!(connection["limits"].as_array().unwrap().iter().any(is_near)),
            false => drop(viewer.wait_for("gauges", is_near)),
        }
    }
}

#[test]
fn load_shows_what_the_server_resets() {
    for version in Version::ALL {
        let (address, ..) = hostile(version, |_| Treatment::Reset);
        let url = format!("http://{address}/");
        let running = Running::start(&["load", "-D", "60s", "--protocol", version.alpn(), &url]);
        let mut viewer = Viewer::come(running.page);
        let stream = viewer.wait_for("streams", |stream| !stream["end"].is_null());
        assert_eq!(stream["reset"], "INTERNAL_ERROR", "{version}: {stream}");
        let failed = |figure: &Value| figure["name"] == "failed" && figure["value"] != 0.0;
        viewer.wait_for("figures", failed);
    }
}

/// Requests that are sent again are open once.
#[test]
fn load_shows_as_many_open_requests_as_there_may_be() {
    for version in Version::ALL {
        let second = |seen| match seen % 2 {
            0 => Treatment::Refuse,
            _ => Treatment::Answer,
        };
        let url = format!("http://{}/", hostile(version, second).0);
        let running = Running::start(&["load", "-D", "60s", "--protocol", version.alpn(), &url]);
        let mut viewer = Viewer::come(running.page);
        let figures = loop {
            let figures = viewer.event().data["figures"].clone();
            let value = |name| {
                let mut all = figures.as_array().unwrap().iter();
                all.find(|one| one["name"] == name)
                    .and_then(|one| one["value"].as_f64())
            };
            if value("answered") > Some(20.0) {
                break (value("open requests"), version);
            }
        };
        assert!(figures.0 <= Some(1.0), "{figures:?}");
    }
}

/// The bytes of events after which the buffers of a connection on loopback are full, and more.
const FULL: usize = 6 << 20;

/// Looks at a page beside somebody who asks for its events and never reads them: the figure is to
/// grow, also when the kernel takes no more of these events.
fn grows_beside_a_silent_viewer(page: SocketAddr, figure: impl Fn(&Value) -> Option<u64>) {
    let mut silent = connect(page);
    silent
        .write_all(b"GET /events HTTP/1.1\r\nhost: localhost\r\n\r\n")
        .unwrap();
    let mut viewer = Viewer::come(page);
    let (mut seen, mut before) = (0, None);
    for _ in 0..UPDATES {
        let event = viewer.event();
        let now = figure(&event.data);
        if seen > FULL && before.is_some() && now > before {
            return;
        }
        if seen <= FULL {
            before = now.or(before);
        }
        seen += event.data.to_string().len();
    }
    panic!("no growth of {before:?} after {seen} bytes of events");
}

/// The streams of this path have long records.
fn long_path() -> String {
    format!("/hello/{}", "long".repeat(40))
}

#[test]
fn a_viewer_that_does_not_read_holds_up_no_run() {
    let url = format!("http://{}{}", server(Version::Http2), long_path());
    let running = Running::start(&["load", "-D", "10m", "-c", "5", "-m", "20", &url]);
    grows_beside_a_silent_viewer(running.page, |news| {
        let mut figures = news["figures"].as_array()?.iter();
        let answered = figures.find(|figure| figure["name"] == "answered")?;
        #[expect(clippy::cast_sign_loss, reason = "a count")]
        answered["value"].as_f64().map(|count| count as u64)
    });
}

#[test]
fn a_viewer_that_does_not_read_holds_up_no_tap() {
    let target = format!("http://{}", server(Version::Http2));
    let tap = Running::start(&["tap", "-q", "127.0.0.1:0", &target]);
    let url = format!("{}{}", tap.listens, long_path());
    let _load = Running::start(&["load", "-D", "10m", "-c", "5", "-m", "20", &url]);
    grows_beside_a_silent_viewer(tap.page, |news| news["totals"]["requests"]["h2"].as_u64());
}

#[test]
fn tap_shows_what_passes_in_every_protocol() {
    let all = serve_routes(Server::builder().bind(any_port())).unwrap();
    for protocol in PROTOCOLS {
        let of_version = Version::ALL.iter().find(|one| one.alpn() == protocol);
        let address = of_version.map_or(all, |version| server(*version));
        let target = format!("http://{address}");
        let mut args = vec!["tap", "-q", "127.0.0.1:0", &target];
        if of_version.is_some() {
            // The first bytes of SPDY/3 are those of SPDY/3.1.
            args.extend(["--protocol", protocol]);
        }
        let running = Running::start(&args);
        let mut viewer = Viewer::come(running.page);
        assert_eq!(viewer.event().name, "snapshot");
        let url = format!("{}/echo?token=s3cret", running.listens);
        if of_version.is_none() {
            // It has no frames, and is known by its bytes.
            let mut client = TcpStream::connect(&running.listens["http://".len()..]).unwrap();
            client
                .write_all(b"GET /hello HTTP/1.1\r\nhost: localhost\r\n\r\n")
                .unwrap();
            let one = viewer.wait_for("connections", |one| one["sent"].as_u64() > Some(11));
            assert_eq!(
                (&one["protocol"], &one["send_window"]),
                (&"http/1.1".into(), &Value::Null)
            );
            continue;
        }
        let sent = ["-H", "cookie: s3cret", "-d", "content", &url];
        assert_eq!(get(&[&["-p", protocol], &sent[..]].concat()), "content");
        let stream = complete(&mut viewer, protocol);
        assert_eq!(
            (&stream["method"], &stream["path"]),
            (&"POST".into(), &"/echo".into())
        );
        assert_eq!(
            (&stream["sent"], &stream["received"]),
            (&7.into(), &7.into()),
            "{stream}"
        );
    }
}

/// A stream without HTTP has no path.
#[test]
fn tap_shows_raw_streams_of_every_protocol() {
    for version in Version::ALL.map(Version::alpn) {
        let mut server = Side::start(&["--listen", "--echo", "-p", version, "127.0.0.1:0"]);
        let target = format!("http://{}", server.address());
        let running = Running::start(&["tap", "-q", "-p", version, "127.0.0.1:0", &target]);
        let mut viewer = Viewer::come(running.page);
        assert_eq!(viewer.event().name, "snapshot");
        let address = running.listens.trim_start_matches("http://");
        let mut client = Side::start(&["-p", version, address]);
        client.send(b"hello\n");
        let (echoed, code) = client.finish();
        assert_eq!((&*echoed, code), (&b"hello\n"[..], Some(0)), "{version}");
        let stream = viewer.wait_for("streams", |stream| !stream["end"].is_null());
        assert_eq!(
            (&stream["sent"], &stream["received"], &stream["path"]),
            (&6.into(), &6.into(), &"".into()),
            "{stream}"
        );
        assert_eq!(
            (&stream["is_earlier"], &stream["reset"]),
            (&false.into(), &Value::Null)
        );
    }
}

/// The bytes of a client of HTTP/2 that asks for a large file with a window of 1,000 bytes.
const STALLING: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\
    \0\0\x06\x04\0\0\0\0\0\0\x04\0\0\x03\xe8\
    \0\0\x20\x01\x05\0\0\0\x01\x82\x86\x04\x11/bytes/1000000?s3\x41\x09localhost";

fn read_at_least(client: &mut TcpStream, length: usize) {
    let mut left = length;
    while left > 0 {
        let length = client.read(&mut [0; 4_096]).unwrap();
        assert!(length > 0);
        left = left.saturating_sub(length);
    }
}

#[test]
fn tap_shows_stalls_and_resets_also_to_those_who_come_later() {
    let target = format!("http://{}", server(Version::Http2));
    let running = Running::start(&["tap", "-q", "127.0.0.1:0", &target]);
    let mut client = TcpStream::connect(running.listens.trim_start_matches("http://")).unwrap();
    client.write_all(STALLING).unwrap();
    // Until the window is used up.
    read_at_least(&mut client, 1_000);
    let mut viewer = Viewer::come(running.page);
    let stream = viewer.wait_for("streams", |stream| phase(stream) == "stream_window");
    assert_eq!(
        (&stream["is_earlier"], &stream["window"], &stream["sent"]),
        (&true.into(), &0.into(), &1_000.into())
    );
    // A request that begins now.
    let mut request = STALLING[24 + 15..].to_vec();
    request[8] = 3;
    client.write_all(&request).unwrap();
    let last = viewer.event();
    // Who returns gets what is new: RST_STREAM with CANCEL.
    drop(viewer);
    client
        .write_all(b"\0\0\x04\x03\0\0\0\0\x03\0\0\0\x08")
        .unwrap();
    let mut viewer = Viewer::ask(running.page, &format!("last-event-id: {}\r\n", last.id)).unwrap();
    let stream = viewer.wait_for("streams", |stream| {
        stream["id"] == 3 && stream["end"].is_u64()
    });
    assert_eq!(
        (&stream["path"], &stream["reset"]),
        (&"/bytes/1000000".into(), &"CANCEL".into())
    );
    // Credit ends the stall.
    client
        .write_all(b"\0\0\x04\x08\0\0\0\0\x01\0\x10\0\0")
        .unwrap();
    viewer.wait_for("streams", |stream| {
        stream["id"] == 1 && stream["sent"].as_u64() > Some(1_000)
    });
    drop(client);
    viewer.wait_for("streams", |stream| {
        stream["id"] == 1 && stream["end"].is_u64()
    });
}

/// The bytes by which the tap knows the protocol are written as any others.
#[test]
fn the_first_bytes_of_a_client_that_then_waits_stall_nothing() {
    let target = format!("https://localhost:{}", self_signed().port());
    let running = Running::start(&["tap", "-q", "-k", "127.0.0.1:0", &target]);
    let mut client = TcpStream::connect(running.listens.trim_start_matches("http://")).unwrap();
    // All of it is in the read by which the tap knows the protocol.
    let request = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0\
        \0\0\x15\x01\x05\0\0\0\x01\x82\x86\x04\x06/hello\x41\x09localhost";
    assert!(request.len() < 64);
    client.write_all(request).unwrap();
    read_at_least(&mut client, "hello world".len());
    let mut viewer = Viewer::come(running.page);
    // The updates of other connections: with each, the page has looked at this one again.
    let url = format!("{}/hello", running.listens);
    for _ in 0..4 {
        assert_eq!(get(&[&url]), "hello world");
        viewer.wait_for("streams", |stream| stream["path"] == "/hello");
    }
    let shown = Viewer::come(running.page).event().data;
    let one = &shown["connections"][0];
    assert_eq!(
        (&one["id"], &one["stall"], &one["stalls"][2]),
        (&1.into(), &Value::Null, &0.into()),
        "{shown}"
    );
}

/// A server that sends back what it gets, until the end.
fn echo() -> SocketAddr {
    let listener = TcpListener::bind(any_port()).unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let stream = stream.unwrap();
            thread::spawn(move || {
                std::io::copy(&mut &stream, &mut &stream).unwrap();
                stream.shutdown(Shutdown::Write).unwrap();
            });
        }
    });
    address
}

/// Bytes that look like none of a protocol.
fn noise(length: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()
    };
    (0..length.div_ceil(8)).flat_map(|_| next()).collect()
}

#[test]
fn tap_passes_on_unchanged_what_it_cannot_decode() {
    let target = format!("http://{}", echo());
    for form in ["--json", "--quiet"] {
        let running = Running::start(&["tap", form, "127.0.0.1:0", &target]);
        let address = running.listens.trim_start_matches("http://");
        let _viewer = Viewer::come(running.page);
        for begin in [
            // Frames, then a header block with an index that does not exist, or a broken one.
            &[STALLING, b"\0\0\x03\x01\x05\0\0\0\x03\xff\x80\x80"].concat()[..],
            &[STALLING, b"\0\0\x03\x01\x05\0\0\0\x03\xff\xff\xff"].concat(),
            b"PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n",
            b"\x80\x02\0\x01\x01\0\0\x20",
            b"\x80\x03\0\x01\x01\0\0\x20",
            b"\x16\x03\x01\x02\0\x01",
            b"GET / HTTP/1.1\r\nhost: localhost\r\n\r\n",
            b"",
        ] {
            let sent = [begin, &noise(100_000)].concat();
            let client = TcpStream::connect(address).unwrap();
            client
                .set_read_timeout(Some(Duration::from_secs(30)))
                .unwrap();
            let (mut writes, bytes) = (client.try_clone().unwrap(), sent.clone());
            let writing = thread::spawn(move || {
                writes.write_all(&bytes).unwrap();
                writes.shutdown(Shutdown::Write).unwrap();
            });
            let mut received = Vec::new();
            (&client).read_to_end(&mut received).unwrap();
            writing.join().unwrap();
            assert!(received == sent, "{form} {:?}", begin.escape_ascii());
        }
    }
}

#[test]
fn an_address_in_use_is_named() {
    let taken = TcpListener::bind(any_port()).unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let url = format!("http://{}/hello", server(Version::Http2));
    for (command, code) in [(&["load", "-n", "1"][..], 2), (&["tap", "127.0.0.1:0"], 23)] {
        let args = [command, &[&url, "--status", &address]].concat();
        let (ended, out, said) = ended(&run(&args));
        assert_eq!((ended, out.as_str()), (Some(code), ""), "{said}");
        let expected = format!("--status {address}: ");
        assert!(said.contains(&expected), "{said}");
    }
    for command in [&["load"][..], &["tap", "127.0.0.1:0"]] {
        for wrong in ["off", "localhost:9", "9000"] {
            let (code, _, said) = ended(&run(&[command, &[&url, "--status", wrong]].concat()));
            assert_eq!(code, Some(2), "{said}");
            assert!(
                said.contains("such as 127.0.0.1:9000 or [::1]:9000"),
                "{said}"
            );
        }
    }
    let (code, _, said) = ended(&run(&["load", "--merge", "a", "--status", &address]));
    assert_eq!(code, Some(2));
    assert!(said.contains("--status"), "{said}");
}
