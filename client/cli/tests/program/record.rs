//! What `get` records: `--har`, `--stat`, SSLKEYLOGFILE.

use std::fs;

use lacewing_client::Version;
use serde_json::Value;

use super::{
    curl::{Http1, get, ok, scratch, to},
    servers::{self_signed, server},
};

fn har(path: &std::path::Path) -> Vec<Value> {
    let har: Value = serde_json::from_slice(&fs::read(path).unwrap()).unwrap();
    assert_eq!(har["log"]["version"], "1.2");
    har["log"]["entries"].as_array().unwrap().clone()
}

fn number(value: &Value) -> f64 {
    value.as_f64().unwrap_or_else(|| panic!("{value}"))
}

#[test]
fn a_har_has_each_request_with_its_protocol_and_times() {
    let file = scratch("har").join("x.har");
    for version in Version::ALL {
        let base = format!("http://{}", server(version));
        let urls = [
            format!("{base}/bytes/1000?a=1&b"),
            format!("{base}/nothing"),
        ];
        let path = file.to_str().unwrap();
        let args = [
            "--har",
            path,
            "-o",
            "/dev/null",
            "-p",
            version.alpn(),
            &urls[0],
            &urls[1],
        ];
        let (code, _, said) = get(&args);
        assert_eq!(code, 0, "{said}");
        let entries = har(&file);
        assert_eq!(entries.len(), 2);
        let [first, second] = [&entries[0], &entries[1]];
        assert_eq!(first["_protocol"], version.alpn());
        let name = if version == Version::Http2 {
            "HTTP/2.0"
        } else {
            "HTTP/1.1"
        };
        assert_eq!(first["response"]["httpVersion"], name);
        assert_eq!(first["request"]["url"], urls[0]);
        assert_eq!(first["request"]["queryString"][0]["value"], "1");
        assert_eq!(first["response"]["content"]["size"], 1000);
        assert_eq!(second["response"]["status"], 404);
        assert_eq!(first["serverIPAddress"], "127.0.0.1");
        // The first made the connection, which the second used.
        assert!(number(&first["timings"]["connect"]) > 0.0, "{first}");
        assert_eq!(number(&second["timings"]["connect"]), -1.0);
        let names = ["blocked", "dns", "connect", "send", "wait", "receive"];
        let sum: f64 = names
            .iter()
            .map(|name| number(&first["timings"][name]).max(0.0))
            .sum();
        assert!((sum - number(&first["time"])).abs() < 1e-6, "{first}");
        let started = first["startedDateTime"].as_str().unwrap();
        assert!(
            started.starts_with("20") && started.ends_with('Z'),
            "{started}"
        );
        for entry in &entries {
            for side in ["request", "response"] {
                let headers = entry[side]["headers"].as_array().unwrap();
                let pseudo = |field: &Value| field["name"].as_str().unwrap().starts_with(':');
                assert!(!headers.iter().any(pseudo), "{entry}");
            }
        }
    }
}

#[test]
fn redirects_and_failures_are_in_the_har() {
    let file = scratch("har-failures").join("x.har");
    let path = file.to_str().unwrap();
    let http1 = Http1::start(|request, _| match request.contains("/start") {
        true => to(302, "/end"),
        false => ok("done"),
    });
    let args = ["--http1.1", "-L", "--har", path, "-s", "-o", "/dev/null"];
    let closed = "http://127.0.0.1:1/x";
    let (code, _, _) = get(&[&args[..], &[&http1.url("/start"), closed]].concat());
    assert_eq!(code, 7);
    let entries = har(&file);
    let statuses: Vec<_> = entries
        .iter()
        .map(|entry| entry["response"]["status"].clone())
        .collect();
    assert_eq!(statuses, [302, 200, 0]);
    assert_eq!(entries[0]["response"]["redirectURL"], "/end");
    assert_eq!(entries[1]["_protocol"], "http/1.1");
    assert!(
        entries[2]["_error"]
            .as_str()
            .unwrap()
            .contains("cannot connect")
    );
    let (code, _, said) = get(&["--http1.1", "--har", "/no/such/x.har", &http1.url("/end")]);
    assert_eq!(code, 23, "{said}");
}

#[test]
fn a_table_of_times_is_on_stderr() {
    for version in Version::ALL {
        let base = format!("http://{}", server(version));
        let (a, b) = (format!("{base}/bytes/2048"), format!("{base}/nothing"));
        let (code, out, said) = get(&["--stat", "-o", "/dev/null", "-p", version.alpn(), &a, &b]);
        assert_eq!((code, out.as_str()), (0, ""));
        let rows: Vec<_> = said
            .lines()
            .skip_while(|line| !line.starts_with("id "))
            .collect();
        assert_eq!(rows.len(), 3, "{said}");
        assert!(rows[1].contains(" 200   2K /bytes/2048"), "{said}");
        assert!(rows[2].contains(" 404   12 /nothing"), "{said}");
    }
}

#[test]
fn secrets_go_to_the_file_of_sslkeylogfile_and_nowhere_else() {
    let file = scratch("keys").join("keys.log");
    let url = format!("https://localhost:{}/hello", self_signed().port());
    let run = |log: bool| {
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_lacewing"));
        command
            .args(["get", "-k", &url])
            .env_remove("SSLKEYLOGFILE");
        if log {
            command.env("SSLKEYLOGFILE", &file);
        }
        let output = command.output().unwrap();
        assert_eq!(output.status.code(), Some(0));
        assert_eq!(output.stdout, b"hello world");
    };
    run(false);
    assert!(!file.exists());
    run(true);
    let keys = fs::read_to_string(&file).unwrap();
    assert!(keys.contains("CLIENT_TRAFFIC_SECRET_0 "), "{keys}");
}
