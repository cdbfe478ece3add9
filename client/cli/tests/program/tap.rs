//! `lacewing tap`: a proxy that shows every frame.

use std::{
    convert::Infallible,
    fs,
    io::{BufRead as _, BufReader, Read as _},
    net::SocketAddr,
    process::{Child, Command, Stdio},
    sync::mpsc::{Receiver, channel},
    thread,
    time::Duration,
};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Request, Response};
use http_body_util::{BodyExt as _, Full};
use lacewing_client::Version;
use lacewing_server::{RequestBody, Server, service_fn};
use serde_json::Value;

use super::{
    servers::{self_signed, serve, server},
    support::any_port,
};
use crate::viewer::Viewer;

/// A running proxy, killed at the end.
struct Tap {
    child: Child,
    /// `scheme://address` to send requests to.
    url: String,
    lines: Receiver<String>,
    /// Its live page.
    page: Option<SocketAddr>,
}

impl Tap {
    fn start(args: &[&str]) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_lacewing"))
            .arg("tap")
            .args(args)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut said = BufReader::new(child.stderr.take().unwrap());
        let mut first = String::new();
        said.read_line(&mut first).unwrap();
        let page = first.strip_prefix("lacewing: live page at http://");
        let page = page.map(|page| page.trim().trim_end_matches('/').parse().unwrap());
        if page.is_some() {
            first.clear();
            said.read_line(&mut first).unwrap();
        }
        thread::spawn(move || said.read_to_string(&mut String::new()));
        let stdout = BufReader::new(child.stdout.take().unwrap());
        let (send, lines) = channel();
        thread::spawn(move || stdout.lines().try_for_each(|line| send.send(line.unwrap())));
        let url = first
            .split(' ')
            .nth(2)
            .unwrap()
            .trim_end_matches('/')
            .to_owned();
        Self {
            child,
            url,
            lines,
            page,
        }
    }

    /// The lines up to the one that has `text`.
    fn until(&self, text: &str) -> Vec<String> {
        let mut lines: Vec<String> = Vec::new();
        while !lines.last().is_some_and(|line| line.contains(text)) {
            match self.lines.recv_timeout(Duration::from_secs(20)) {
                Ok(line) => lines.push(line),
                Err(_) => panic!("no {text:?} in {lines:#?}"),
            }
        }
        lines
    }
}

impl Drop for Tap {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn get(args: &[&str]) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_lacewing"))
        .arg("get")
        .args(args)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{said}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[test]
fn cleartext_of_every_protocol_passes_and_is_shown() {
    for version in Version::ALL {
        let target = format!("http://{}", server(version));
        let tap = Tap::start(&["127.0.0.1:0", &target]);
        let hello = format!("{}/hello", tap.url);
        let body = get(&["--protocol", version.alpn(), &hello]);
        assert_eq!(body, "hello world", "{version}");
        let lines = tap.until("closed");
        // SPDY/3 and SPDY/3.1 have the same first bytes.
        let shown = match version {
            Version::Spdy3 => Version::Spdy31,
            version => version,
        };
        assert!(lines[0].ends_with(shown.alpn()), "{lines:#?}");
        let (request, response) = match version {
            Version::Http2 => ("[1] > HEADERS stream=1", "[1] < HEADERS stream=1"),
            _ => ("[1] > SYN_STREAM stream=1", "[1] < SYN_REPLY stream=1"),
        };
        for frame in [request, response] {
            assert!(lines.iter().any(|line| line.contains(frame)), "{lines:#?}");
        }
    }
}

#[test]
fn tls_ends_on_both_sides_with_the_targets_protocol() {
    let target = format!("https://localhost:{}", self_signed().port());
    for tls in [true, false] {
        for version in Version::ALL {
            let mut args = vec!["-k", "127.0.0.1:0", &target];
            if tls {
                args.extend(["--tls", "--protocol", version.alpn()]);
            }
            let tap = Tap::start(&args);
            let hello = format!("{}/hello", tap.url);
            let body = get(&["-k", "--protocol", version.alpn(), &hello]);
            assert_eq!(body, "hello world", "{version}");
            let lines = tap.until("closed");
            assert!(
                lines.iter().any(|line| line.contains("[1] < ")),
                "{lines:#?}"
            );
        }
    }
}

#[test]
fn frames_are_chosen_and_printed_as_json() {
    let target = format!("http://{}", server(Version::Http2));
    let tap = Tap::start(&["--json", "--type", "headers", "127.0.0.1:0", &target]);
    get(&[&format!("{}/hello", tap.url)]);
    let lines = tap.until("closed");
    let objects: Vec<Value> = lines
        .iter()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(objects[0]["protocol"], "h2");
    let frames: Vec<_> = objects
        .iter()
        .filter(|object| object["frame"].is_string())
        .collect();
    assert_eq!(frames.len(), 2, "{lines:#?}");
    assert!(
        frames
            .iter()
            .all(|frame| frame["frame"] == "HEADERS" && frame["stream"] == 1)
    );
    assert_eq!(
        (&frames[0]["from"], &frames[1]["from"]),
        (&"client".into(), &"server".into())
    );
    let details = frames[0]["details"].as_array().unwrap();
    assert!(details.contains(&":path: /hello".into()), "{lines:#?}");
}

/// A page that somebody looks at changes nothing.
#[test]
fn the_same_is_printed_with_a_live_page() {
    for version in Version::ALL {
        let target = format!("http://{}", server(version));
        let printed = |options: &[&str]| {
            let tap = ["--json", "-p", version.alpn(), "127.0.0.1:0", &target];
            let tap = Tap::start(&[&tap, options].concat());
            let viewer = tap.page.map(Viewer::come);
            assert_eq!(viewer.is_some(), !options.is_empty());
            for _ in 0..3 {
                let url = format!("{}/bytes/1000", tap.url);
                get(&["-p", version.alpn(), &url]);
            }
            let mut lines = Vec::new();
            for _ in 0..3 {
                lines.extend(tap.until("closed"));
            }
            let mut frames = Vec::new();
            for line in lines {
                let mut frame: Value = serde_json::from_str(&line).unwrap();
                let frame = frame.as_object_mut().unwrap();
                // What differs from one run to the next: times, ports, and the end.
                let kind = frame
                    .get("frame")
                    .and_then(Value::as_str)
                    .unwrap_or_default();
                let mut without = vec!["time", "client", "server"];
                match kind {
                    "GOAWAY" => continue,
                    "HEADERS" | "SYN_STREAM" | "SYN_REPLY" => without.push("length"),
                    _ => {}
                }
                without.iter().for_each(|name| drop(frame.remove(*name)));
                if let Some(details) = frame.get_mut("details").and_then(Value::as_array_mut) {
                    details.retain(|detail| {
                        let detail = detail.as_str().unwrap();
                        !detail.contains("127.0.0.1:") && !detail.contains("date: ")
                    });
                }
                frames.push(serde_json::to_string(frame).unwrap());
            }
            // Frames of two directions have no order.
            frames.sort();
            frames
        };
        let (without, with) = (printed(&[]), printed(&["--status", "127.0.0.1:0"]));
        assert!(without.len() > 10, "{without:#?}");
        assert_eq!(without, with, "{version}");
    }
}

/// A response of this many bytes, and then trailers.
const LONG: usize = 1 << 20;

/// Answers with a long body and trailers.
fn long_with_trailers() -> SocketAddr {
    let service = service_fn(|_: Request<RequestBody>| async {
        let mut trailers = HeaderMap::new();
        trailers.insert("x-checksum", HeaderValue::from_static("42"));
        let body = Full::new(Bytes::from(vec![b'x'; LONG]));
        let body = body.with_trailers(async move { Some(Ok(trailers)) });
        Ok::<_, Infallible>(Response::new(body))
    });
    serve(Server::builder().bind(any_port()), service).unwrap()
}

/// Trailers do not overtake content that waits for the client's window.
#[test]
fn trailers_stay_behind_content_that_waits_for_a_window() {
    let target = format!("http://{}", long_with_trailers());
    for version in Version::ALL {
        let tap = Tap::start(&["127.0.0.1:0", &target]);
        let url = format!("{}/", tap.url);
        let way = ["--protocol", version.alpn(), "--window-size", "65536"];
        assert_eq!(get(&[&way[..], &[&url]].concat()).len(), LONG, "{version}");
        let lines = tap.until("closed");
        let from_server = |line: &&String| line.contains("[1] < ") && line.contains("stream=1");
        let frames: Vec<_> = lines.iter().filter(from_server).collect();
        let data = |line: &&String| line.contains("DATA");
        assert!(
            frames.iter().filter(|line| data(line)).count() >= 16,
            "{version}"
        );
        let trailers = frames.iter().rposition(|line| line.contains("HEADERS"));
        let last_data = frames.iter().rposition(data);
        assert!(trailers > last_data, "{version}: {lines:#?}");
    }
}

/// The capture decodes to the same frames.
#[cfg(unix)]
#[test]
fn a_capture_is_written() {
    for (number, version) in Version::ALL.into_iter().enumerate() {
        let name = format!("lacewing-tap-{}-{number}.pcap", std::process::id());
        let path = std::env::temp_dir().join(name);
        let file = path.to_str().unwrap();
        let target = format!("http://{}", server(version));
        let tap = Tap::start(&["--pcap", file, "127.0.0.1:0", &target]);
        let url = format!("{}/bytes/100000", tap.url);
        get(&["--protocol", version.alpn(), "--output", "/dev/null", &url]);
        let shown = tap.until("closed");
        drop(tap);
        let output = Command::new(env!("CARGO_BIN_EXE_lacewing"))
            .args(["decode", file])
            .output()
            .unwrap();
        let decoded = String::from_utf8(output.stdout).unwrap();
        // Without the times, and the lines on the connection.
        let frames = |line: &str| line.split_once(" [1] ").map(|(_, frame)| frame.to_owned());
        let mut decoded: Vec<_> = decoded.lines().filter_map(frames).collect();
        let mut shown: Vec<_> = shown.iter().filter_map(|line| frames(line)).collect();
        decoded.sort();
        shown.sort();
        assert!(shown.len() > 5);
        assert_eq!(decoded, shown, "{version}");
        fs::remove_file(&path).unwrap();
    }
}

#[test]
fn a_target_that_is_not_there_is_reported_for_each_client() {
    let listener = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let target = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let tap = Tap::start(&["127.0.0.1:0", &target]);
    for _ in 0..2 {
        let output = Command::new(env!("CARGO_BIN_EXE_lacewing"))
            .args(["get", &format!("{}/", tap.url)])
            .output()
            .unwrap();
        assert_ne!(output.status.code(), Some(0));
    }
}
