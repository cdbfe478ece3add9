//! Requests by a plan: `--rate`.

use std::{
    convert::Infallible,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    thread::sleep,
    time::Duration,
};

use http::{Request, Response};
use lacewing_client::Version;
use lacewing_server::{RequestBody, Server, service_fn};
use serde_json::Value;

use super::{
    super::servers::{serve, serve_routes},
    Treatment, hostile, lines, load,
};
use crate::support::any_port;

/// Runs a load; returns its exit code and its report.
fn json(args: &[&str]) -> (Option<i32>, Value) {
    let (code, report, said) = load(&[&["--report", "json"], args].concat());
    assert_eq!(said, "");
    (code, serde_json::from_str(&report).unwrap())
}

#[test]
fn every_planned_request_is_sent_on_all_protocols() {
    let address = serve_routes(Server::builder().bind(any_port())).unwrap();
    let url = format!("http://{address}/bytes/10");
    for protocol in ["h2", "spdy/3.1", "spdy/2", "http/1.1"] {
        for arrival in ["constant", "poisson"] {
            let way = ["--protocol", protocol, "--arrival", arrival];
            let pace = ["--rate", "1k/s", "-n", "150", "-c", "3"];
            let (code, report) = json(&[&way[..], &pace, &[&url]].concat());
            assert_eq!(code, Some(0), "{report:#}");
            assert_eq!(report["plan"]["planned"], 150);
            assert_eq!(report["plan"]["dropped"], 0);
            assert_eq!(report["requests"]["answered"], 150, "{report:#}");
            for times in ["responseTime", "serviceTime", "firstByte"] {
                assert_eq!(report[times]["n"], 150, "{report:#}");
            }
            let mean = |times: &str| report[times]["mean_ms"].as_f64().unwrap();
            assert!(mean("responseTime") >= mean("serviceTime"), "{report:#}");
        }
    }
}

#[test]
fn the_duration_has_all_its_requests() {
    let address = serve_routes(Server::builder().bind(any_port())).unwrap();
    let url = format!("http://{address}/bytes/10");
    for (rate, planned) in [("333", 167), ("7/s", 4)] {
        let pace = ["--rate", rate, "-D", "500ms", "-m", "50"];
        let (code, report) = json(&[&pace[..], &[&url]].concat());
        assert_eq!(code, Some(0), "{report:#}");
        assert_eq!(report["plan"]["planned"], planned, "{report:#}");
        assert_eq!(report["requests"]["answered"], planned, "{report:#}");
        assert_eq!(report["endedBy"], "--duration 500ms");
    }
    let pace = ["--rate", "500", "--warm-up", "200ms", "-D", "200ms"];
    let (code, report) = json(&[&pace[..], &["-m", "50", &url]].concat());
    assert_eq!(code, Some(0), "{report:#}");
    assert_eq!(report["requests"]["warmUpAnswered"], 100, "{report:#}");
    assert_eq!(report["plan"]["planned"], 100, "{report:#}");
}

/// A server that stops for half a second at its twentieth request.
fn stopping() -> SocketAddr {
    let seen = Arc::new(AtomicUsize::new(0));
    let answer = move |_: Request<RequestBody>| {
        if seen.fetch_add(1, Relaxed) == 20 {
            // All its connections stand still.
            sleep(Duration::from_millis(500));
        }
        std::future::ready(Ok::<_, Infallible>(Response::new(String::new())))
    };
    serve(Server::builder().bind(any_port()), service_fn(answer)).unwrap()
}

/// The requests that were due while the server stood still waited, although they were not sent.
#[test]
fn a_server_that_stops_shows_in_the_response_times() {
    for protocol in ["h2", "http/1.1"] {
        let url = format!("http://{}/", stopping());
        let pace = ["--rate", "200", "-n", "300", "--protocol", protocol];
        let (code, report) = json(&[&pace[..], &[&url]].concat());
        assert_eq!(code, Some(0), "{report:#}");
        let p90 = |times: &str| report[times]["percentiles"]["p90_ms"].as_f64().unwrap();
        // 80 of the 300 were due in the first 400 ms of the stop.
        assert!(p90("responseTime") >= 100.0, "{report:#}");
        assert!(p90("serviceTime") < p90("responseTime"), "{report:#}");
        // Conditions are about the response times.
        let url = format!("http://{}/", stopping());
        let condition = ["--threshold", "p90<100ms"];
        let (code, report) = json(&[&pace[..], &condition, &[&url]].concat());
        assert_eq!(code, Some(99), "{report:#}");
    }
}

#[test]
fn requests_beyond_the_bound_are_dropped_and_counted() {
    let ignore = |_| Treatment::Ignore;
    let url = format!("http://{}/", hostile(Version::Http2, ignore).0);
    let pace = ["--rate", "200", "-D", "400ms", "-m", "2"];
    let bounds = ["--max-waiting", "10", "--drain", "1s"];
    let (code, report, _) = load(&[&pace[..], &bounds, &[&url]].concat());
    assert_eq!(code, Some(1), "{report}");
    let plan = "80 requests, constant arrivals at 200.0/s; 68 dropped by --max-waiting";
    assert!(report.contains(plan), "{report}");
    let sent = "2 sent, 0 answered, 0 failed, 2 in flight";
    assert!(report.contains(sent), "{report}");
    assert!(report.contains("10 never sent"), "{report}");
    let shortfall = "The rate was not sustained: 0 of 80 planned requests";
    assert!(report.contains(shortfall), "{report}");
}

#[test]
fn lost_connections_and_refused_requests_lose_no_planned_one() {
    for version in Version::ALL {
        let (address, connections, _) = hostile(version, |seen| match seen % 10 {
            0 => Treatment::AnswerAndShutDown,
            5 => Treatment::Refuse,
            _ => Treatment::Answer,
        });
        let url = format!("http://{address}/");
        let pace = ["--rate", "2k", "-n", "400", "-c", "2", "-m", "5"];
        let way = ["--protocol", version.alpn()];
        let (code, report, _) = load(&[&pace[..], &way, &[&url]].concat());
        assert_eq!(code, Some(0), "{report}");
        let all = "400 sent, 400 answered, 0 failed, 0 in flight";
        assert!(report.contains(all), "{report}");
        assert!(connections.load(Relaxed) > 20, "{report}");
        assert!(!lines(&report, "sent again").is_empty(), "{report}");
    }
}

#[test]
fn options_of_the_pace_are_checked() {
    let url = "http://127.0.0.1:1/";
    for (args, named) in [
        (&["--rate", "0"][..], "30/m"),
        (&["--rate", "fast"], "30/m"),
        (&["--max-waiting", "5"], "--rate"),
        (&["--arrival", "poisson"], "--rate"),
        (&["--segment", "2/2"], "0/4"),
        (&["--start-at", "noon"], "in UTC"),
        (&["--start-at", "2020-01-01T00:00:00Z"], "ago"),
        (&["--start-at", "2999-01-01T00:00:00Z"], "check the date"),
    ] {
        let (code, _, said) = load(&[args, &[url]].concat());
        assert_eq!(code, Some(2), "{said}");
        assert!(said.contains(named), "{said}");
    }
}
