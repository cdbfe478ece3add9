//! `cargo xtask interop`: real clients and servers against ours.
//!
//! Every case prints one line. A missing peer, a program of ours that does not start, and a body
//! that differs by a byte are failures. The end of the logs is printed. Nothing is skipped.

mod bad_input;
mod capture;
mod chromium;
pub(crate) mod conform;
mod connect_info;
mod fixture;
mod grpc;
mod haproxy;
mod http2;
mod java;
mod jetty;
mod keepalive;
mod kube_checks;
mod kubectl;
pub(crate) mod netpath;
mod netty;
mod npn;
mod old_node;
mod openssl;
mod peer_servers;
mod process;
mod proxies;
mod python_h2;
mod qt;
mod raw;
mod reverse_proxy;
mod rolling_restart;
mod spdy;
mod spdystream_kube;

use crate::shell;
use fixture::Fixture;
use std::time::Instant;

pub(crate) fn run(args: &[String]) -> Result<(), String> {
    let mut only = None;
    let mut list = false;
    let mut args = args.iter();
    while let Some(arg) = args.next() {
        match arg.as_str() {
            "--only" => only = Some(args.next().ok_or("--only needs a text")?.clone()),
            "--list" => list = true,
            other => {
                return Err(format!(
                    "`interop` knows --only TEXT and --list, not `{other}`"
                ));
            }
        }
    }
    let cases = cases(only.as_deref())?;
    if list {
        cases.iter().for_each(|case| say!("{}", case.name));
        return Ok(());
    }

    let fixture = Fixture::set_up(peer_servers::start)?;
    say!("files and logs: {}\n", fixture.folder().display());
    let start = Instant::now();
    let failed = run_all(&cases, &fixture);
    say!(
        "\n{} passed, {} failed, in {} s",
        cases.len() - failed.len().min(cases.len()),
        failed.len(),
        start.elapsed().as_secs()
    );
    if failed.is_empty() {
        fixture.remove();
        Ok(())
    } else {
        Err(format!(
            "failed:\n  {}\nlogs in {}",
            failed.join("\n  "),
            fixture.folder().display()
        ))
    }
}

/// Every case, or those with `only` in their names: at least one.
fn cases(only: Option<&str>) -> Result<Vec<Case>, String> {
    let mut cases: Vec<Case> = Vec::new();
    for group in [
        http2::cases,
        grpc::cases,
        chromium::cases,
        jetty::cases,
        proxies::cases,
        reverse_proxy::cases,
        rolling_restart::cases,
        connect_info::cases,
        keepalive::cases,
        python_h2::cases,
        conform::cases,
        spdy::cases,
        netty::cases,
        old_node::cases,
        qt::cases,
        haproxy::cases,
        npn::cases,
        openssl::cases,
        raw::cases,
        kubectl::cases,
        spdystream_kube::cases,
        capture::cases,
        bad_input::cases,
    ] {
        cases.extend(group());
    }
    if let Some(only) = only {
        cases.retain(|case| case.name.contains(only));
        if cases.is_empty() {
            return Err(format!(
                "no case has `{only}` in its name (--list prints them)"
            ));
        }
    }
    Ok(cases)
}

/// Runs the cases, prints a line of each, and returns the names of those that failed.
fn run_all(cases: &[Case], fixture: &Fixture) -> Vec<String> {
    let mut failed = Vec::new();
    for case in cases {
        let began = Instant::now();
        let result = (case.run)(fixture);
        let seconds = began.elapsed().as_secs_f64();
        match result {
            Ok(detail) => say!("ok   {:<48} {seconds:>6.1} s  {detail}", case.name),
            Err(message) => {
                say!("FAIL {:<48} {seconds:>6.1} s", case.name);
                message.lines().for_each(|line| say!("     | {line}"));
                failed.push(case.name.clone());
            }
        }
    }
    for (name, what) in fixture.casualties() {
        say!("FAIL {name}");
        what.lines().for_each(|line| say!("     | {line}"));
        failed.push(name);
    }
    failed
}

/// One line of the report. `run` answers what is worth telling beside `ok`.
struct Case {
    name: String,
    run: Box<dyn Fn(&Fixture) -> Outcome>,
}

type Outcome = Result<String, String>;

impl Case {
    fn new(name: impl Into<String>, run: impl Fn(&Fixture) -> Outcome + 'static) -> Self {
        Self {
            name: name.into(),
            run: Box::new(run),
        }
    }
}

/// `expected` as the whole of what a peer program printed.
fn expect(printed: &str, expected: &str) -> Outcome {
    if printed.trim() == expected.trim() {
        Ok(String::new())
    } else {
        Err(format!(
            "expected: {expected}\nprinted:  {}",
            shell::tail(printed.trim(), 10)
        ))
    }
}

/// `text` holds `part`.
fn expect_part(text: &str, part: &str) -> Outcome {
    if text.contains(part) {
        Ok(String::new())
    } else {
        Err(format!(
            "`{part}` is missing in:\n{}",
            shell::tail(text, 15)
        ))
    }
}
