//! Qt 5.15's QNetworkAccessManager, a client of SPDY/3 over TLS.
//!
//! It stops after the first 64 KiB of an upload by itself, whatever the server
//! grants, so that what it sends here is smaller.

use super::lab::{Lab, MB_50, MEDIUM, SMALL, Security, Shared};
use super::{Case, Outcome, expect, expect_part};

pub(super) fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    let mut add = |what: &str, run: fn(&Lab, u16) -> Outcome| {
        cases.push(Case::new(format!("spdy/3/qt/alpn-{what}"), move |lab| {
            run(lab, lab.port(Shared::Lacewingd, Security::Tls)?)
        }));
    };
    add("get-small", |lab, port| get(lab, port, SMALL));
    add("get-50-mb", |lab, port| get(lab, port, MB_50));
    add("parallel-50", |lab, port| {
        let printed = run(lab, port, &["parallel", "50", &format!("/{MEDIUM}")])?;
        expect(&printed, &format!("50 {}", lab.answer(MEDIUM)))
    });
    add("spoken", |lab, port| {
        let before = lab.log(Shared::Lacewingd).len();
        get(lab, port, SMALL)?;
        let log = lab.log(Shared::Lacewingd).split_off(before);
        expect_part(&log, &format!("spdy/3 GET /{SMALL} 200"))
    });
    cases.push(Case::new("spdy/3/qt/alpn-echo", |lab| {
        let port = lab.port(Shared::EchoTls, Security::Tls)?;
        let file = lab.file(SMALL);
        let printed = run(lab, port, &["post", "/echo", &file.to_string_lossy()])?;
        expect(&printed, &lab.answer(SMALL))
    }));
    cases
}

pub(super) fn get(lab: &Lab, port: u16, file: &str) -> Outcome {
    let printed = run(lab, port, &["get", &format!("/{file}")])?;
    expect(&printed, &lab.answer(file))
}

fn run(lab: &Lab, port: u16, args: &[&str]) -> Outcome {
    let mut qt = lab.python("qt_client.py")?;
    qt.arg(port.to_string()).args(args);
    let finished = lab.run(&mut qt, 70)?;
    if finished.stderr.contains("No module named 'PyQt5'") {
        return Err("PyQt5 is not installed (.ci/run installs python3-pyqt5)".into());
    }
    finished.success()
}
