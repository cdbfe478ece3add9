//! Runs that end early: `--abort-if`.

use std::net::TcpListener;

use lacewing_client::Version;

use super::{Treatment, hostile, lines, load};
use crate::support::any_port;

/// A run of an hour that a condition ends. Returns the line that says so.
fn aborted(args: &[&str]) -> String {
    let (code, report, said) = load(&[&["-D", "1h"], args].concat());
    assert_eq!((code, said.as_str()), (Some(99), ""), "{report}");
    lines(&report, "ended by")[0].to_owned()
}

#[test]
fn a_server_that_answers_nothing_ends_the_run_on_all_protocols() {
    let condition = ["--abort-if", "mean>500ms for 1s"];
    for version in Version::ALL {
        let url = format!("http://{}/", hostile(version, |_| Treatment::Ignore).0);
        let way = ["--protocol", version.alpn(), "-m", "3"];
        let line = aborted(&[&way[..], &condition, &[&url]].concat());
        let expected = "--abort-if mean>500ms for 1s: no response came";
        assert!(line.ends_with(expected), "{version}: {line}");
    }
    // It accepts, and says nothing in HTTP/1.1.
    let silent = TcpListener::bind(any_port()).unwrap();
    let url = format!("http://{}/", silent.local_addr().unwrap());
    for pace in [&[][..], &["--rate", "50"]] {
        let way = ["--protocol", "http/1.1"];
        let line = aborted(&[&way[..], pace, &condition, &[&url]].concat());
        assert!(line.ends_with("no response came"), "{line}");
    }
}

#[test]
fn failures_rates_and_times_end_the_run() {
    let fails = |seen: usize| match seen % 2 {
        0 => Treatment::Answer,
        _ => Treatment::Reset,
    };
    let conditions = [
        ("errors>40% for 1s", "found 50."),
        ("rate<1000 for 1s", "/s"),
        ("max>1us for 1s", "found "),
    ];
    let url = format!("http://{}/", hostile(Version::Http2, fails).0);
    for (condition, found) in conditions {
        let pace = ["--rate", "200", "-m", "10"];
        let args = ["--warm-up", "500ms", "--abort-if", condition, &url];
        let line = aborted(&[&pace[..], &args].concat());
        assert!(line.contains(condition), "{line}");
        assert!(line.contains(found), "{line}");
    }
}

#[test]
fn a_condition_that_does_not_hold_changes_nothing() {
    let url = format!(
        "http://{}/",
        hostile(Version::Http2, |_| Treatment::Answer).0
    );
    let pace = ["--rate", "100", "-D", "2500ms"];
    let conditions = [
        "--abort-if",
        "errors>1% for 1s",
        "--abort-if",
        "mean>30s for 1s",
        "--abort-if",
        "rate<1 for 2s",
    ];
    let (code, report, _) = load(&[&pace[..], &conditions, &[&url]].concat());
    assert_eq!(code, Some(0), "{report}");
    assert!(
        lines(&report, "ended by")[0].contains("--duration"),
        "{report}"
    );
    assert!(report.contains("250 answered"), "{report}");
}
