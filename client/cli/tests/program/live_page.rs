//! `load` and `tap` with `--status`: what their live pages show.

use std::{
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::{Shutdown, SocketAddr, TcpListener, TcpStream},
    process::{Child, Command, Stdio},
    thread::{self, JoinHandle},
    time::Duration,
};

use http::{Request, Response};
use lacewing_client::Version;
use lacewing_conn::{Limits, Side, driver::ConnectionConfig};
use lacewing_server::{RequestBody, Server, service_fn};
use serde_json::Value;

use super::{
    lacewing::{ended, run},
    load::{Treatment, hostile},
    servers::{self_signed, serve, serve_routes, server},
};
use crate::{
    support::any_port,
    viewer::{Viewer, answer, connect, phase},
};

/// A program with a live page, killed at the end.
struct Running {
    child: Child,
    page: SocketAddr,
    /// Where `tap` listens.
    listens: String,
    stdout: Option<JoinHandle<String>>,
}

impl Running {
    fn start(args: &[&str]) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_lacewing"))
            .args(args)
            .args(["--status", "127.0.0.1:0"])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
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
        let mut stdout = child.stdout.take().unwrap();
        let stdout = thread::spawn(move || {
            let mut text = String::new();
            stdout.read_to_string(&mut text).unwrap();
            text
        });
        Self {
            child,
            page,
            listens,
            stdout: Some(stdout),
        }
    }

    /// Waits for the end. Returns the exit code and stdout.
    fn end(mut self) -> (Option<i32>, String) {
        let code = self.child.wait().unwrap().code();
        (code, self.stdout.take().unwrap().join().unwrap())
    }

    /// Ends the program. Returns stdout.
    fn kill(mut self) -> String {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        self.stdout.take().unwrap().join().unwrap()
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
        let whole = stream["path"] != "" && !stream["end"].is_null();
        whole && stream["protocol"] == protocol && stream["status"] == 200
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
    let limits = Limits::new(Side::Server).with(|limits| limits.max_concurrent_streams = 2);
    let config = ConnectionConfig::new(Side::Server).with(|config| config.limits = limits.into());
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

#[test]
fn a_viewer_that_does_not_read_holds_up_no_run() {
    let url = format!("http://{}/bytes/10000000", server(Version::Http2));
    let running = Running::start(&[
        "load",
        "-n",
        "40",
        "--timeout",
        "1ms",
        "--report",
        "json",
        &url,
    ]);
    // Somebody who never reads.
    let mut silent = connect(running.page);
    silent
        .write_all(b"GET /events HTTP/1.1\r\nhost: localhost\r\n\r\n")
        .unwrap();
    let (code, report) = running.end();
    // None of the requests had the time for its response, or some had.
    assert!(matches!(code, Some(0 | 1)), "{code:?} {report}");
    let report: Value = serde_json::from_str(&report).unwrap();
    assert_eq!(report["requests"]["sent"], 40, "{report}");
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

/// The bytes of a client of HTTP/2 that asks for a large file with a window of 1,000 bytes.
const STALLING: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\
    \0\0\x06\x04\0\0\0\0\0\0\x04\0\0\x03\xe8\
    \0\0\x20\x01\x05\0\0\0\x01\x82\x86\x04\x11/bytes/1000000?s3\x41\x09localhost";

#[test]
fn tap_shows_stalls_and_resets_also_to_those_who_come_later() {
    let target = format!("http://{}", server(Version::Http2));
    let running = Running::start(&["tap", "-q", "127.0.0.1:0", &target]);
    let mut client = TcpStream::connect(running.listens.trim_start_matches("http://")).unwrap();
    client.write_all(STALLING).unwrap();
    // Until the window is used up.
    let mut answer = Vec::new();
    while answer.len() < 1_000 {
        let mut bytes = [0; 4_096];
        let length = client.read(&mut bytes).unwrap();
        assert!(length > 0);
        answer.extend_from_slice(&bytes[..length]);
    }
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

#[test]
fn tap_prints_the_same_with_a_page_and_passes_on_while_a_viewer_does_not_read() {
    let target = format!("https://localhost:{}", self_signed().port());
    let running = Running::start(&["tap", "--json", "--tls", "-k", "127.0.0.1:0", &target]);
    let mut silent = connect(running.page);
    silent
        .write_all(b"GET /events HTTP/1.1\r\nhost: localhost\r\n\r\n")
        .unwrap();
    let url = format!("{}/hello", running.listens);
    let urls = [&*url; 200];
    assert_eq!(get(&urls), "hello world".repeat(200));
    let stdout = running.kill();
    let lines: Vec<Value> = stdout
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let heads = lines.iter().filter(|line| line["frame"] == "HEADERS");
    assert_eq!(heads.count(), 400, "{stdout}");
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
    let (code, _, said) = ended(&run(&["load", "--merge", "a", "--status", &address]));
    assert_eq!(code, Some(2));
    assert!(said.contains("--status"), "{said}");
}
