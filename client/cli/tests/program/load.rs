//! `lacewing load` against servers on loopback, honest and hostile.

mod abort;
mod bounds;
mod charts;
#[cfg(target_os = "linux")]
mod live;
mod mux;
mod open_loop;
mod protocols;
mod resumption;
mod segments;

use std::{
    io::Read as _,
    net::{SocketAddr, TcpListener},
    process::{Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
        mpsc,
    },
    time::Duration,
};

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode};
use lacewing_client::Version;
use lacewing_conn::{
    Reason, Side,
    driver::{
        ConnectionConfig,
        facade::{Application, Context, Driver},
    },
    proto::{Event, Head, StreamKey},
};
use lacewing_server::{RequestBody, Server, service_fn};

use super::{
    lacewing::{ended, run},
    servers::{on_thread, serve, serve_routes, server, silent},
};
use crate::support::any_port;

/// Exit code, standard output, standard error.
fn load(args: &[&str]) -> (Option<i32>, String, String) {
    ended(&run(&[&["load"], args].concat()))
}

/// What a hostile server does to a request.
#[derive(Clone, Copy)]
pub(crate) enum Treatment {
    Answer,
    Refuse,
    Reset,
    /// Answers, and ends the connection gracefully.
    AnswerAndShutDown,
    Ignore,
}

/// Treats the requests of a connection by their number on it.
struct Hostile {
    treat: fn(usize) -> Treatment,
    seen: usize,
    served: Arc<AtomicUsize>,
}

impl Application for Hostile {
    fn handle_event(&mut self, conn: &mut Context<'_>, event: Event) {
        let Event::Opened { stream, .. } = event else {
            return;
        };
        self.seen += 1;
        let treatment = (self.treat)(self.seen);
        match treatment {
            Treatment::Answer | Treatment::AnswerAndShutDown => {
                self.served.fetch_add(1, Relaxed);
                let _ = conn
                    .stream(stream)
                    .reply(Head::response(StatusCode::OK), true);
            }
            Treatment::Refuse => conn.reset(stream, Reason::RefusedStream),
            Treatment::Reset => conn.reset(stream, Reason::InternalError),
            Treatment::Ignore => {}
        }
        if matches!(treatment, Treatment::AnswerAndShutDown) {
            conn.shutdown();
        }
    }

    fn pull(&mut self, _: &mut Context<'_>, _: StreamKey, _: usize) {}
}

/// A hostile server; returns its address, and the counts of its connections and answers.
pub(crate) fn hostile(
    version: Version,
    treat: fn(usize) -> Treatment,
) -> (SocketAddr, Arc<AtomicUsize>, Arc<AtomicUsize>) {
    let (connections, served) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let counts = (Arc::clone(&connections), Arc::clone(&served));
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let address = listener.local_addr().unwrap();
    listener.set_nonblocking(true).unwrap();
    on_thread(async move {
        let listener = tokio::net::TcpListener::from_std(listener).unwrap();
        loop {
            let (io, _) = listener.accept().await.unwrap();
            counts.0.fetch_add(1, Relaxed);
            let config = ConnectionConfig::new(Side::Server).engine(version, Side::Server);
            let application = Hostile {
                treat,
                seen: 0,
                served: Arc::clone(&counts.1),
            };
            tokio::spawn(Driver::new(io, config, application));
        }
    });
    (address, connections, served)
}

/// The lines of a report that begin with a word.
fn lines<'a>(report: &'a str, word: &str) -> Vec<&'a str> {
    let lines = report.lines();
    lines
        .filter(|line| line.trim_start().starts_with(word))
        .collect()
}

#[test]
fn every_request_is_answered_on_all_protocols() {
    for version in Version::ALL {
        let url = format!("http://{}/bytes/1000", server(version));
        let (code, report, said) = load(&[
            "--protocol",
            version.alpn(),
            "-n",
            "2k",
            "-c",
            "4",
            "-m",
            "10",
            "-t",
            "2",
            &url,
        ]);
        assert_eq!((code, said.as_str()), (Some(0), ""), "{report}");
        assert!(
            report.contains("2000 sent, 2000 answered, 0 failed, 0 in flight"),
            "{report}"
        );
        assert!(report.contains("2000 2xx"), "{report}");
        assert!(report.contains("2000000 bytes of content"), "{report}");
        assert!(report.contains("connections    4 made"), "{report}");
        assert!(report.contains(&format!("protocol       {} in cleartext", version.alpn())));
        assert!(report.contains("ended by       -n 2000"), "{report}");
        // Ten samples are above the percentile 99, and two above 99.9.
        let times = lines(&report, "service time");
        assert!(
            times[0].contains("p99 ") && !times[0].contains("p99.9"),
            "{times:?}"
        );
    }
}

#[test]
fn a_run_survives_servers_that_end_each_connection() {
    for version in Version::ALL {
        let tenth = |seen| match seen % 10 {
            0 => Treatment::AnswerAndShutDown,
            _ => Treatment::Answer,
        };
        let (address, connections, served) = hostile(version, tenth);
        let url = format!("http://{address}/");
        let (code, report, _) =
            load(&["--protocol", version.alpn(), "-n", "1000", "-m", "5", &url]);
        assert_eq!(code, Some(0), "{report}");
        assert!(
            report.contains("1000 sent, 1000 answered, 0 failed"),
            "{report}"
        );
        assert!(connections.load(Relaxed) >= 100, "{report}");
        assert!(served.load(Relaxed) >= 1000);
        let made = format!("connections    {} made", connections.load(Relaxed));
        assert!(report.contains(&made), "{report}");
        assert!(!lines(&report, "ended early").is_empty(), "{report}");
    }
}

#[test]
fn refused_requests_are_sent_again_and_reset_ones_are_counted_by_code() {
    for version in Version::ALL {
        let third = |seen| match seen % 3 {
            0 => Treatment::Refuse,
            _ => Treatment::Answer,
        };
        let url = format!("http://{}/", hostile(version, third).0);
        let (code, report, _) = load(&["--protocol", version.alpn(), "-n", "300", "-m", "3", &url]);
        assert_eq!(code, Some(0), "{report}");
        assert!(
            report.contains("300 sent, 300 answered, 0 failed"),
            "{report}"
        );
        let again = lines(&report, "sent again");
        assert!(again[0].contains("REFUSED_STREAM"), "{report}");

        let fourth = |seen| match seen % 4 {
            0 => Treatment::Reset,
            _ => Treatment::Answer,
        };
        let url = format!("http://{}/", hostile(version, fourth).0);
        let (code, report, _) = load(&[
            "--protocol",
            version.alpn(),
            "-n",
            "100",
            "--max-error-rate",
            "10%",
            &url,
        ]);
        assert_eq!(code, Some(1), "{report}");
        assert!(
            report.contains("100 sent, 75 answered, 25 failed"),
            "{report}"
        );
        assert!(
            report.contains("25 × RST_STREAM INTERNAL_ERROR"),
            "{report}"
        );
    }
}

#[test]
fn a_server_that_refuses_everything_ends_the_run() {
    let url = format!(
        "http://{}/",
        hostile(Version::Http2, |_| Treatment::Refuse).0
    );
    let (code, report, _) = load(&["-n", "10", &url]);
    assert_eq!(code, Some(1), "{report}");
    assert!(
        report.contains("10 sent, 0 answered, 10 failed"),
        "{report}"
    );
    assert!(report.contains("No request succeeded."), "{report}");
}

#[test]
fn a_server_that_never_answers_meets_the_timeout() {
    let url = format!(
        "http://{}/",
        hostile(Version::Http2, |_| Treatment::Ignore).0
    );
    let (code, report, _) = load(&["-n", "6", "-m", "2", "--timeout", "100ms", &url]);
    assert_eq!(code, Some(1), "{report}");
    assert!(report.contains("6 × timeout after 100ms"), "{report}");
    // At the end of the duration, requests are still under way.
    let (code, report, _) = load(&["-D", "200ms", "-m", "3", "--drain", "100ms", &url]);
    assert_eq!(code, Some(1), "{report}");
    assert!(
        report.contains("3 sent, 0 answered, 0 failed, 3 in flight"),
        "{report}"
    );
    assert!(
        report.contains("ended by       --duration 200ms"),
        "{report}"
    );
}

#[test]
fn an_answer_of_400_or_above_is_a_failure_and_the_verdict_says_so() {
    let base = format!("http://{}", server(Version::Http2));
    let urls = [format!("{base}/hello"), format!("{base}/nothing")];
    for (urls, failed, code) in [(&urls[..], 3, 0), (&urls[1..], 6, 1)] {
        let urls: Vec<&str> = urls.iter().map(String::as_str).collect();
        let (ended, report, _) = load(&[&["-n", "6"], urls.as_slice()].concat());
        assert_eq!(ended, Some(code), "{report}");
        let why = format!("{failed} of them were answered with a status of 400 or above");
        assert!(report.contains(&why), "{report}");
    }
}

#[test]
fn a_server_without_a_first_frame_is_named_in_words() {
    let url = format!("http://{}/", silent());
    let (code, report, _) = load(&["-n", "1", "--connect-timeout", "200ms", &url]);
    assert_eq!(code, Some(1), "{report}");
    assert!(
        report.contains("the server sent no frame of HTTP/2"),
        "{report}"
    );
    assert!(!report.contains("PrefaceTimeout"), "{report}");
}

/// Once all requests have their outcome, a server that does not close is left: before the second
/// GOAWAY, which follows the first after a second.
#[test]
fn a_run_does_not_wait_for_a_server_that_does_not_close() {
    let listener = TcpListener::bind(any_port()).unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let reading = std::thread::spawn(move || {
        let mut bytes = Vec::new();
        // A reset is an end as well.
        let _ = listener.accept().unwrap().0.read_to_end(&mut bytes);
        bytes
    });
    let (code, report, _) = load(&["-n", "1", "--timeout", "100ms", &url]);
    assert_eq!(code, Some(1), "{report}");
    assert!(report.contains("1 × timeout after 100ms"), "{report}");
    let bytes = reading.join().unwrap();
    let mut rest = &bytes["PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".len()..];
    let mut kinds = Vec::new();
    while let [l0, l1, l2, kind, ..] = rest {
        kinds.push(*kind);
        let length = u32::from_be_bytes([0, *l0, *l1, *l2]) as usize;
        rest = &rest[9 + length..];
    }
    let go_aways = kinds.iter().filter(|kind| **kind == 7).count();
    assert_eq!(go_aways, 1, "{kinds:?}");
}

#[test]
fn a_closed_port_is_an_error_that_names_the_cause() {
    let port = TcpListener::bind(("127.0.0.1", 0))
        .unwrap()
        .local_addr()
        .unwrap();
    let (code, report, said) = load(&["-n", "10", &format!("http://{port}/")]);
    assert_eq!((code, report.as_str()), (Some(2), ""));
    assert!(
        said.contains("no connection was made: cannot connect"),
        "{said}"
    );
}

/// Answers with the request's method, its content's length and a field.
async fn echo(mut request: Request<RequestBody>) -> Result<Response<String>, std::io::Error> {
    use http_body_util::BodyExt as _;
    let body = request
        .body_mut()
        .collect()
        .await
        .map_err(std::io::Error::other)?;
    let good = request.method() == Method::POST
        && body.to_bytes() == Bytes::from_static(b"twelve bytes")
        && request.headers()["x-test"] == "1";
    let mut response = Response::new("x".repeat(8));
    if !good {
        *response.status_mut() = StatusCode::BAD_REQUEST;
    }
    Ok(response)
}

#[test]
fn content_and_fields_are_sent_on_all_protocols() {
    let server = Server::builder().bind(any_port());
    let url = format!("http://{}/", serve(server, service_fn(echo)).unwrap());
    let file = std::env::temp_dir().join(format!("lacewing-load-{}", std::process::id()));
    std::fs::write(&file, "twelve bytes").unwrap();
    let at = format!("@{}", file.display());
    // The server tells SPDY/2, SPDY/3 and HTTP/2 apart by their first bytes.
    for version in [Version::Http2, Version::Spdy31, Version::Spdy2] {
        for data in ["twelve bytes", &at] {
            let (code, report, _) = load(&[
                "--protocol",
                version.alpn(),
                "-n",
                "50",
                "-m",
                "4",
                "-d",
                data,
                "-H",
                "x-test: 1",
                &url,
            ]);
            assert_eq!(code, Some(0), "{report}");
            assert!(report.contains("50 2xx"), "{report}");
        }
    }
    std::fs::remove_file(&file).unwrap();
}

#[test]
fn a_server_that_comes_back_is_used_again() {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let address = listener.local_addr().unwrap();
    let (gone, is_gone) = mpsc::channel();
    // The first life of the server ends with the client's first bytes.
    std::thread::spawn(move || {
        let (first, _) = listener.accept().unwrap();
        drop((first, listener));
        gone.send(()).unwrap();
    });
    let url = format!("http://{address}/bytes/10");
    let run = std::thread::spawn(move || load(&["-n", "20", &url]));
    is_gone.recv().unwrap();
    std::thread::sleep(Duration::from_millis(50));
    serve_routes(Server::builder().bind(address));
    let (code, report, _) = run.join().unwrap();
    assert_eq!(code, Some(0), "{report}");
    assert!(report.contains("20 sent"), "{report}");
    assert!(!lines(&report, "ended early").is_empty(), "{report}");
}

#[cfg(unix)]
#[test]
fn a_signal_reports_what_there_is() {
    use std::io::Read as _;
    for (name, pace) in [
        ("-INT", &[][..]),
        ("-TERM", &[]),
        ("-INT", &["--rate", "500"]),
    ] {
        let (address, _, served) = hostile(Version::Http2, |_| Treatment::Answer);
        let mut run = Command::new(env!("CARGO_BIN_EXE_lacewing"))
            .args(["load", "-D", "1h", &format!("http://{address}/")])
            .args(pace)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        // More than it has under way: some responses have arrived.
        while served.load(Relaxed) < 200 {
            std::thread::sleep(Duration::from_millis(5));
        }
        let pid = run.id().to_string();
        assert!(
            Command::new("kill")
                .args([name, &pid])
                .status()
                .unwrap()
                .success()
        );
        let mut report = String::new();
        run.stdout
            .take()
            .unwrap()
            .read_to_string(&mut report)
            .unwrap();
        assert_eq!(run.wait().unwrap().code(), Some(0), "{report}");
        assert!(
            report.contains("ended by       Ctrl-C") || report.contains("SIGTERM"),
            "{report}"
        );
        assert!(report.contains("All requests succeeded."), "{report}");
    }
}

#[test]
fn urls_are_requested_by_their_weights_and_have_one_origin() {
    let address = server(Version::Http2);
    let (three, one) = (
        format!("http://{address}/bytes/3*3"),
        format!("http://{address}/bytes/100"),
    );
    let (code, report, _) = load(&["-n", "40", &three, &one]);
    assert_eq!(code, Some(0), "{report}");
    assert!(report.contains("1090 bytes of content"), "{report}");
    let (code, _, said) = load(&["-n", "1", &one, "http://127.0.0.1:1/"]);
    assert_eq!(code, Some(2));
    assert!(said.contains("two origins"), "{said}");
}

#[test]
fn the_warm_up_is_counted_apart() {
    let (address, _, served) = hostile(Version::Http2, |_| Treatment::Answer);
    let url = format!("http://{address}/");
    let (code, report, _) = load(&["-D", "200ms", "--warm-up", "200ms", &url]);
    assert_eq!(code, Some(0), "{report}");
    let numbers = |line: &str| -> Vec<usize> {
        let words = line.split([' ', ',', ';']);
        words.filter_map(|word| word.parse().ok()).collect()
    };
    let warm_up = numbers(lines(&report, "warm-up")[0])[0];
    let answered = numbers(lines(&report, "requests")[0])[1];
    assert!(warm_up > 0 && answered > 0, "{report}");
    assert_eq!(warm_up + answered, served.load(Relaxed), "{report}");
    let n = numbers(lines(&report, "service time")[0])[0];
    assert_eq!(n, answered, "{report}");
}

#[test]
fn the_report_as_json_has_every_count() {
    let url = format!("http://{}/bytes/1000", server(Version::Http2));
    let file = std::env::temp_dir().join(format!("lacewing-load-{}.json", std::process::id()));
    let path = file.to_str().unwrap();
    let (code, report, said) = load(&["-n", "500", "--report", "json", "-o", path, &url]);
    assert_eq!((code, report.as_str(), said.as_str()), (Some(0), "", ""));
    let text = std::fs::read_to_string(&file).unwrap();
    std::fs::remove_file(&file).unwrap();
    let (code, _, said) = load(&["-D", "1h", "-o", "/nowhere/run.json", &url]);
    assert_eq!(code, Some(2));
    assert!(said.contains("cannot write /nowhere/run.json"), "{said}");
    let json: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(json["schema"], 1);
    assert_eq!(json["protocol"], "h2");
    assert_eq!(json["requests"]["answered"], 500);
    assert_eq!(json["statusCodeDistribution"]["2xx"], 500);
    assert_eq!(json["bytes"]["content"], 500_000);
    assert_eq!(json["serviceTime"]["n"], 500);
    assert_eq!(json["firstByte"]["n"], 500);
    assert_eq!(json["connections"]["connectTime"]["n"], 1);
    let percentiles = &json["serviceTime"]["percentiles"];
    assert!(percentiles["p95_ms"].as_f64().unwrap() > 0.0, "{text}");
    assert!(percentiles["p99_ms"].is_null(), "{text}");
    let seconds = json["seconds"].as_array().unwrap().iter();
    let answered: u64 = seconds
        .map(|second| second["answered"].as_u64().unwrap())
        .sum();
    assert_eq!(answered, 500);
}

#[test]
fn the_report_of_h2load_has_the_lines_that_scripts_read() {
    let fourth = |seen| match seen % 4 {
        0 => Treatment::Reset,
        _ => Treatment::Answer,
    };
    let url = format!("http://{}/", hostile(Version::Http2, fourth).0);
    let (code, report, _) = load(&["-n", "8", "--report", "h2load", &url]);
    assert_eq!(code, Some(0), "{report}");
    assert!(report.contains(
        "requests: 8 total, 8 started, 8 done, 6 succeeded, 2 failed, 2 errored, 0 timeout"
    ));
    assert!(
        report.contains("status codes: 6 2xx, 0 3xx, 0 4xx, 0 5xx"),
        "{report}"
    );
    for line in [
        "finished in",
        "traffic:",
        "time for request:",
        "time for connect:",
        "time to 1st",
    ] {
        assert_eq!(lines(&report, line).len(), 1, "{report}");
    }
}

#[test]
fn a_threshold_that_does_not_hold_is_code_99() {
    let url = format!(
        "http://{}/",
        hostile(Version::Http2, |_| Treatment::Answer).0
    );
    let holds = ["--threshold", "p90<1h", "--threshold", "errors<1%"];
    let (code, report, _) = load(&[&["-n", "200", &url][..], &holds].concat());
    assert_eq!(code, Some(0), "{report}");
    let (code, report, _) = load(&["-n", "200", "--threshold", "max<0.001ms", &url]);
    assert_eq!(code, Some(99), "{report}");
    assert!(
        report.contains("max<0.001ms does not hold: found"),
        "{report}"
    );
    // A percentile by chance holds nothing.
    let (code, report, _) = load(&["-n", "200", "--threshold", "p99<1h", &url]);
    assert_eq!(code, Some(99), "{report}");
    assert!(report.contains("fewer than 10 samples"), "{report}");
}

#[test]
fn a_server_that_stays_away_ends_the_run_and_the_report_says_so() {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        let (first, _) = listener.accept().unwrap();
        drop((first, listener));
    });
    let (code, report, _) = load(&["-n", "20", "--reconnect-for", "100ms", &url]);
    assert_eq!(code, Some(1), "{report}");
    assert!(
        report.contains("ended by       the loss of all connections"),
        "{report}"
    );
    assert!(report.contains("never sent"), "{report}");
}
