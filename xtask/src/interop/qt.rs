//! Qt 5.15's QNetworkAccessManager, a client of SPDY/3 over TLS.
//!
//! It stops after the first 64 KiB of an upload, even if the server grants
//! more: its uploads here are smaller.

use super::fixture::{Fixture, MB_50, MEDIUM, SMALL, Security, Shared};
use super::{Case, Outcome, expect, expect_part};

pub(super) fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    let mut add = |what: &str, run: fn(&Fixture, u16) -> Outcome| {
        cases.push(Case::new(
            format!("spdy/3/qt/alpn-{what}"),
            move |fixture| run(fixture, fixture.port(Shared::Lacewingd, Security::Tls)?),
        ));
    };
    add("get-small", |fixture, port| get(fixture, port, SMALL));
    add("get-50-mb", |fixture, port| get(fixture, port, MB_50));
    add("parallel-50", |fixture, port| {
        let printed = run(fixture, port, &["parallel", "50", &format!("/{MEDIUM}")])?;
        expect(&printed, &format!("50 {}", fixture.answer(MEDIUM)))
    });
    add("spoken", |fixture, port| {
        let before = fixture.log(Shared::Lacewingd).len();
        get(fixture, port, SMALL)?;
        let log = fixture.log(Shared::Lacewingd).split_off(before);
        expect_part(&log, &format!("spdy/3 GET /{SMALL} 200"))
    });
    cases.push(Case::new("spdy/3/qt/alpn-echo", |fixture| {
        let port = fixture.port(Shared::EchoTls, Security::Tls)?;
        let file = fixture.file(SMALL);
        let printed = run(fixture, port, &["post", "/echo", &file.to_string_lossy()])?;
        expect(&printed, &fixture.answer(SMALL))
    }));
    cases
}

pub(super) fn get(fixture: &Fixture, port: u16, file: &str) -> Outcome {
    let printed = run(fixture, port, &["get", &format!("/{file}")])?;
    expect(&printed, &fixture.answer(file))
}

fn run(fixture: &Fixture, port: u16, args: &[&str]) -> Outcome {
    let mut qt = fixture.python("qt_client.py")?;
    qt.arg(port.to_string()).args(args);
    let finished = fixture.run(&mut qt, 70)?;
    if finished.stderr.contains("No module named 'PyQt5'") {
        return Err("PyQt5 is not installed (.ci/run installs python3-pyqt5)".into());
    }
    finished.success()
}
