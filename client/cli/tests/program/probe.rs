//! `lacewing probe`: what a server speaks.

use std::process::Output;

use lacewing_client::Version;
use serde_json::Value;

use super::{
    lacewing::run,
    servers::{self_signed, server},
};

fn probe(args: &[&str]) -> Output {
    run(&[&["probe"], args].concat())
}

/// The finding of each protocol.
fn findings(output: &Output) -> Vec<Value> {
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{said}");
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    report["findings"].as_array().unwrap().clone()
}

#[test]
fn a_tls_server_is_asked_for_one_protocol_at_a_time() {
    let url = format!("https://localhost:{}/hello", self_signed().port());
    let findings = findings(&probe(&["-k", "--json", &url]));
    for version in Version::ALL {
        let mut all = findings.iter();
        let found = all.find(|it| it["protocol"] == version.alpn()).unwrap();
        assert_eq!(
            (&found["works"], &found["status"]),
            (&true.into(), &200.into())
        );
        assert_eq!(found["by"], "ALPN");
        assert!(found["ping_ms"].as_f64().unwrap() > 0.0, "{found}");
        assert!(!found["settings"].as_array().unwrap().is_empty(), "{found}");
    }
    assert!(findings[0]["extended_connect"].is_boolean());
    let output = probe(&["-k", &url]);
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(
        text.contains("h2        ALPN             yes, status 200"),
        "{text}"
    );
    assert!(text.contains("SETTINGS_MAX_CONCURRENT_STREAMS"), "{text}");
}

#[test]
fn a_cleartext_server_of_one_protocol_is_found_out() {
    for version in [Version::Http2, Version::Spdy2] {
        let url = format!("http://{}/hello", server(version));
        let findings = findings(&probe(&["--json", "--timeout", "2", &url]));
        let works = |name: &str| {
            let mut all = findings.iter();
            let found = all.find(|finding| finding["protocol"] == name).unwrap();
            (found["works"] == true, found["error"].is_string())
        };
        assert_eq!(works(version.alpn()), (true, false), "{findings:#?}");
    }
}

#[test]
fn a_server_that_speaks_nothing_is_code_7() {
    let listener = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    drop(listener);
    let output = probe(&[&url]);
    assert_eq!(output.status.code(), Some(7));
    let text = String::from_utf8(output.stdout).unwrap();
    assert_eq!(text.matches(" no: ").count(), 6, "{text}");
    // A certificate that is not trusted has its advice.
    let url = format!("https://localhost:{}/hello", self_signed().port());
    let output = probe(&[&url]);
    assert_eq!(output.status.code(), Some(7));
}
