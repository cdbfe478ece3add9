//! The bounds of a run: its connections, streams, windows, open files and its end.

use std::{
    convert::Infallible,
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpListener},
    process::Command,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
};

use http::{Request, Response};
use lacewing_client::Version;
use lacewing_server::{RequestBody, Server, service_fn};
use tokio::sync::Barrier;

use super::{super::servers::serve, Treatment, hostile, load};
use crate::support::any_port;

/// A server that answers once so many requests are open at the same time, and the most that were.
fn answering_together(requests: usize) -> (SocketAddr, Arc<AtomicUsize>) {
    let (open, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let (barrier, seen) = (Arc::new(Barrier::new(requests)), Arc::clone(&most));
    let service = service_fn(move |_: Request<RequestBody>| {
        let (open, seen) = (Arc::clone(&open), Arc::clone(&seen));
        let barrier = Arc::clone(&barrier);
        async move {
            seen.fetch_max(open.fetch_add(1, SeqCst) + 1, SeqCst);
            barrier.wait().await;
            open.fetch_sub(1, SeqCst);
            Ok::<_, Infallible>(Response::new(String::new()))
        }
    });
    let address = serve(Server::builder().bind(any_port()), service).unwrap();
    (address, most)
}

#[test]
fn the_server_sees_as_many_connections_and_streams_as_the_options_say() {
    for (protocol, connections, streams) in [("h2", 3, 4), ("spdy/3.1", 2, 5), ("http/1.1", 6, 1)] {
        let all = connections * streams;
        let (address, most) = answering_together(all);
        let (code, report, _) = load(&[
            "--protocol",
            protocol,
            "-n",
            &(3 * all).to_string(),
            "-c",
            &connections.to_string(),
            "-m",
            &streams.to_string(),
            &format!("http://{address}/"),
        ]);
        assert_eq!(code, Some(0), "{report}");
        assert!(
            report.contains(&format!("connections    {connections} made")),
            "{report}"
        );
        assert_eq!(most.load(SeqCst), all, "{report}");
    }
}

/// A server of HTTP/1.1 that closes each connection after its response.
fn closing() -> SocketAddr {
    let listener = TcpListener::bind(any_port()).unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let _ = stream.read(&mut [0; 4096]);
            let _ = stream
                .write_all(b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 2\r\n\r\nok");
        }
    });
    address
}

#[test]
fn a_duration_ends_the_run_whatever_the_server_does() {
    let h2 = |treat| hostile(Version::Http2, treat).0;
    for (protocol, address) in [
        ("http/1.1", closing()),
        ("h2", h2(|_| Treatment::AnswerAndShutDown)),
        ("h2", h2(|_| Treatment::Refuse)),
        ("h2", h2(|_| Treatment::Reset)),
        ("h2", h2(|_| Treatment::Ignore)),
    ] {
        let way = ["--protocol", protocol, "-D", "300ms", "--drain", "200ms"];
        let url = format!("http://{address}/");
        let (_, report, _) = load(&[&way[..], &["--report", "json", &url]].concat());
        let report: serde_json::Value = serde_json::from_str(&report).unwrap();
        assert_eq!(report["endedBy"], "--duration 300ms", "{report:#}");
        // Each request that was started is in one class.
        let requests = &report["requests"];
        let count = |class: &str| requests[class].as_u64().unwrap();
        let classes = count("answered") + count("failed") + count("inFlightAtEnd");
        assert_eq!(count("sent"), classes, "{report:#}");
    }
}

/// The run's time is that of the wall, whatever the number of connections.
#[test]
fn the_rate_is_that_of_the_elapsed_time() {
    let (address, _, _) = hostile(Version::Http2, |_| Treatment::Answer);
    let url = format!("http://{address}/");
    let (_, report, _) = load(&["--report", "json", "-c", "200", "-D", "1s", &url]);
    let report: serde_json::Value = serde_json::from_str(&report).unwrap();
    let number = |group: &str, name: &str| report[group][name].as_f64().unwrap();
    let elapsed = number("summary", "total_s");
    assert!(elapsed >= 1.0, "{report:#}");
    let expected = number("requests", "answered") / elapsed;
    let rate = number("summary", "requestsPerSec");
    assert!((rate / expected - 1.0).abs() < 1e-6, "{report:#}");
}

/// A window of 64 KiB would bound the rate on a long path. Ours begin at 1 MiB, and grow with the path.
#[test]
fn the_windows_do_not_bound_a_download() {
    let listener = TcpListener::bind(any_port()).unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let reading = std::thread::spawn(move || {
        let mut bytes = [0; 24 + 9 + 60];
        let mut stream = listener.accept().unwrap().0;
        stream.read_exact(&mut bytes).unwrap();
        bytes
    });
    load(&[
        "-n",
        "1",
        "--timeout",
        "100ms",
        "--connect-timeout",
        "100ms",
        &url,
    ]);
    let bytes = reading.join().unwrap();
    let length = usize::from(bytes[26]);
    let entries = bytes[33..33 + length].chunks(6);
    let mut windows = entries.filter(|entry| entry[..2] == [0, 4]);
    let window = windows.next().unwrap();
    let window = u32::from_be_bytes([window[2], window[3], window[4], window[5]]);
    assert!(window >= 1 << 20, "{window}");
}

/// Runs the program with limits of open files.
#[cfg(unix)]
fn load_with_limit(limit: &str, args: &str) -> (Option<i32>, String, String) {
    let program = env!("CARGO_BIN_EXE_lacewing");
    let script = format!("ulimit {limit} && exec {program} load {args}");
    let output = Command::new("sh").args(["-c", &script]).output().unwrap();
    super::ended(&output)
}

#[cfg(unix)]
#[test]
fn the_limit_of_open_files_is_raised_or_named() {
    let (address, _, _) = hostile(Version::Http2, |_| Treatment::Answer);
    let run = format!("-n 400 -c 100 http://{address}/");
    let (code, report, said) = load_with_limit("-S -n 50", &run);
    assert_eq!(code, Some(0), "{report}{said}");
    assert!(report.contains("connections    100 made"), "{report}");
    let (code, report, said) = load_with_limit("-n 50", &run);
    assert_eq!((code, report.as_str()), (Some(2), ""), "{said}");
    for part in ["-c 100 needs 164 open files", "permits 50", "ulimit -n"] {
        assert!(said.contains(part), "{part}: {said}");
    }
}

#[cfg(unix)]
#[test]
fn the_report_has_the_clients_own_cpu_time() {
    let (address, _, _) = hostile(Version::Http2, |_| Treatment::Answer);
    let url = format!("http://{address}/");
    let (_, report, _) = load(&["-n", "500", "-m", "10", &url]);
    let own = super::lines(&report, "this client");
    assert!(
        own[0].contains("of CPU time, ") && own[0].contains("% of 1 thread"),
        "{report}"
    );
    let (_, report, _) = load(&["-n", "500", "--report", "json", &url]);
    let report: serde_json::Value = serde_json::from_str(&report).unwrap();
    assert!(
        report["client"]["cpu_s"].as_f64().unwrap() > 0.0,
        "{report:#}"
    );
    assert!(
        report["client"]["busy"].as_f64().unwrap() > 0.0,
        "{report:#}"
    );
}
