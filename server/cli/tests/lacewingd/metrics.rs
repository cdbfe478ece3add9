//! Metrics for Prometheus, and the answers for probes.

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    time::Duration,
};

use crate::{
    exchange::{ALL, Protocol, Session, get, head},
    program::{Directory, Running},
};

struct Page(String);

impl Page {
    /// The value of a series.
    fn value(&self, series: &str) -> f64 {
        let mut lines = self.0.lines();
        let line = lines.find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
        line.unwrap_or_else(|| panic!("{series} in {}", self.0))
            .parse()
            .unwrap()
    }
}

fn metrics_of(running: &Running) -> SocketAddr {
    let said = running.said.iter();
    let line = said.filter_map(|line| line.trim().strip_prefix("metrics at http://"));
    let address = line
        .map(|rest| rest.split('/').next().unwrap().parse().unwrap())
        .next();
    address.expect("the address of the metrics")
}

fn ask(address: SocketAddr, request: &str) -> String {
    let mut io = TcpStream::connect(address).unwrap();
    io.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    io.write_all(format!("{request} HTTP/1.1\r\nhost: a\r\n\r\n").as_bytes())
        .unwrap();
    let mut answer = String::new();
    io.read_to_string(&mut answer).unwrap();
    answer
}

fn page(address: SocketAddr) -> Page {
    let answer = ask(address, "GET /metrics");
    assert!(
        answer.contains("content-type: text/plain; version=0.0.4"),
        "{answer}"
    );
    Page(answer.split_once("\r\n\r\n").unwrap().1.to_owned())
}

#[test]
fn requests_of_every_protocol_are_counted() {
    let directory = Directory::new("lacewingd-metrics");
    let args = ["--https", "127.0.0.1:0", "--metrics", "127.0.0.1:0"];
    let running = Running::start(&directory, &args);
    let address = metrics_of(&running);
    for protocol in ALL {
        assert_eq!(get(&running, protocol, "/hello.txt", &[]).status, 200);
        assert_eq!(get(&running, protocol, "/none", &[]).status, 404);
    }
    // A connection that is open, and one of no protocol.
    let mut open = Session::new(running.connect(), Protocol::Http2, None);
    open.open(1, &head(Protocol::Http2, "localhost", "GET", "/hello.txt"));
    assert_eq!(open.finish(1).status, 200);
    let mut io = running.connect();
    io.write_all(b"no protocol at all\r\n\r\n").unwrap();
    let _ = io.read_to_end(&mut Vec::new());
    let page = page(address);
    // In cleartext, SPDY/3 counts as SPDY/3.1: their first bytes are the same.
    for name in ["h2", "spdy/3.1", "http/1.1"] {
        let count = |class: &str| {
            let labels = format!("protocol=\"{name}\",status=\"{class}\"");
            page.value(&format!("lacewing_server_requests_total{{{labels}}}"))
        };
        let more = if name == "h2" { 1.0 } else { 0.0 };
        assert!(
            count("2xx") >= 1.0 + more && count("4xx") >= 1.0,
            "{name}: {}",
            page.0
        );
        let series = format!("lacewing_server_response_seconds_count{{protocol=\"{name}\"}}");
        assert!(page.value(&series) >= 2.0);
    }
    assert!(page.value("lacewing_server_connections{protocol=\"h2\"}") >= 1.0);
    assert!(
        page.value("lacewing_server_bytes_total{protocol=\"http/1.1\",direction=\"sent\"}") >= 11.0
    );
    assert!(page.value("lacewingd_config_last_load_successful") >= 1.0);
    assert!(page.value("lacewingd_log_left_out_lines_total") < 1.0);
    assert!(
        page.0.contains("lacewingd_build_info{version=\""),
        "{}",
        page.0
    );
    // Each line is a comment, or a name with labels and a number.
    let mut types = Vec::new();
    for line in page.0.lines() {
        if let Some(named) = line.strip_prefix("# TYPE ") {
            assert!(!types.contains(&named), "{named} twice");
            types.push(named);
        } else if !line.starts_with("# HELP ") {
            let (_, value) = line.rsplit_once(' ').unwrap();
            assert!(value.parse::<f64>().is_ok(), "{line}");
        }
    }
    drop(open);
    let (_, log) = running.terminate();
    // Of the bytes that are no protocol, and of nothing else.
    let mut warnings = log.lines().filter(|line| line.contains("WARN"));
    assert!(
        warnings.all(|line| line.contains("invalid HTTP version")),
        "{log}"
    );
}

#[test]
fn probes_are_answered_and_a_shutdown_is_not_ready() {
    let directory = Directory::new("lacewingd-probes");
    let args = ["--https", "off", "--metrics", "127.0.0.1:0"];
    let running = Running::start_until(&directory, &args, "metrics at");
    let address = metrics_of(&running);
    let status = |request: &str| {
        let answer = ask(address, request);
        answer.split(' ').nth(1).unwrap().to_owned()
    };
    assert_eq!(status("GET /healthz"), "200");
    assert_eq!(status("HEAD /ready"), "200");
    assert_eq!(status("GET /"), "404");
    assert_eq!(status("POST /metrics"), "405");
    // A request that is open holds up the end.
    let mut open = running.connect();
    open.write_all(b"POST /hello.txt HTTP/1.1\r\nhost: a\r\ncontent-length: 5\r\n")
        .unwrap();
    let answer = ask(address, "GET /metrics");
    assert!(answer.contains("200 OK"), "{answer}");
    running.signal("-HUP");
    running.signal("-TERM");
    // A connection that arrived just now is still served: the end takes a second or more.
    let mut ready = String::from("200");
    while ready == "200" {
        let Ok(mut io) = TcpStream::connect(address) else {
            break;
        };
        let _ = io.write_all(b"GET /ready HTTP/1.1\r\nhost: a\r\n\r\n");
        let mut answer = String::new();
        if io.read_to_string(&mut answer).is_err() || answer.is_empty() {
            break;
        }
        answer.split(' ').nth(1).unwrap().clone_into(&mut ready);
    }
    assert_eq!(ready, "503");
}

#[test]
fn an_address_that_is_taken_is_named() {
    let directory = Directory::new("lacewingd-metrics-taken");
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let output = std::process::Command::new(crate::program::PROGRAM)
        .arg(&directory.0)
        .args([
            "--http",
            "127.0.0.1:0",
            "--https",
            "off",
            "--metrics",
            &address,
        ])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8_lossy(&output.stderr);
    let expected = format!("--metrics {address}: another program has port ");
    assert!(said.contains(&expected), "{said}");
}
