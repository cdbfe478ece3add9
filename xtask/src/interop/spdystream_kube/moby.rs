//! What the newest spdystream and the code above it add: bounds of the decoder, PINGs at any
//! interval, terminals, and the ends of a session.

use super::ends::{Ends, FINISH, Go, Setup};
use super::{Case, Run, Weight, case, sessions};
use crate::go;
use crate::interop::fixture::{Fixture, MB_1, MB_50, SMALL, Security, Shared};
use crate::interop::kube_checks::{
    curl, expect_code, expect_terminal, terminal_command, terminal_is_resized, wait_until,
};
use crate::interop::process::Finished;
use crate::interop::{Outcome, expect, expect_part};

/// RST_STREAM also for streams that have ended already.
const RESET_FINISHED: &str = "-reset-finished";

pub(super) fn cases() -> Vec<Case> {
    let both: [(&str, Weight, Run); 6] = [
        ("attach", Weight::Light, attach),
        ("terminal-with-a-resize", Weight::Light, terminal),
        ("slow-reader", Weight::Heavy, slow_reader),
        ("within-the-bounds", Weight::Light, within_the_bounds),
        ("close-order", Weight::Heavy, close_order),
        ("pings", Weight::Light, pings),
    ];
    let mut cases = Vec::new();
    for (name, weight, run) in both {
        for go in [Go::Kubectl, Go::Kubelet] {
            let setup = match name {
                "pings" => Setup::moby(go).with(PINGS),
                "terminal-with-a-resize" => Setup::moby(go).with(SIZES),
                _ => Setup::moby(go),
            };
            cases.push(case(setup, name, weight, run));
        }
    }
    let idle = Setup::moby(Go::Kubelet).with(&["-idle", "1s"]);
    cases.push(case(idle, "idle-kubelet", Weight::Light, idle_kubelet));
    cases.push(Case::new("moby-spdystream/its-own-tests", own_tests));
    cases
}

/// That the peer has the behaviour for which it is named.
fn own_tests(fixture: &Fixture) -> Outcome {
    let printed = go::test("moby-spdystream", &fixture.folder().join("go"))?;
    expect_part(&printed, "ok")
}

fn attach(ends: &mut Ends<'_>) -> Result<(), String> {
    let client = match ends.setup.go {
        Go::Kubectl => format!("{} -i", ends.go_line("attach")?),
        Go::Kubelet => format!("{} attach -i mypod", ends.lacewing_kube()),
    };
    let printed = ends.shell(&format!("printf 'to the process' | {client}"))?;
    expect(&printed.success()?, "attached\nto the process").map(drop)
}

fn terminal(ends: &mut Ends<'_>) -> Result<(), String> {
    if ends.setup.go == Go::Kubelet {
        let exec = format!("{} exec -it mypod --", ends.lacewing_kube());
        return terminal_is_resized(ends.fixture, &exec, |line| ends.shell(line));
    }
    // The peer sends the second size once output has arrived.
    let command = terminal_command(":");
    expect_terminal(&ends.shell(&format!(
        "{} -i -t sh -c '{command}'",
        ends.go_line("exec")?
    ))?)
}

/// Nothing is lost while the client's reader stands still, and then takes its time. A kubelet that
/// ends by a reset closes its socket long before the reader has all.
fn slow_reader(ends: &mut Ends<'_>) -> Result<(), String> {
    let output = ends.fixture.scratch("output");
    let cut = format!("head -c 20000000 {}", ends.fixture.file(MB_50).display());
    ends.shell(&format!("{cut} > {}", output.display()))?
        .success()?;
    let reader =
        "sleep 2; n=0; while [ $n -lt 210 ]; do head -c 100000; sleep 0.02; n=$((n+1)); done; cat";
    for &options in variants(ends.setup.go) {
        let ends = Ends::start(ends.fixture, ends.setup.with(options))?;
        let line = format!(
            "{{ {} sh -c '{cut}; exit 6' < /dev/null; echo \"code $?\" >&2; }} | {{ {reader}; }} | cmp - {}",
            ends.exec_line()?,
            output.display()
        );
        let finished = ends.shell(&line)?;
        expect_part(&finished.stderr, "code 6").map_err(|error| format!("{options:?}: {error}"))?;
        finished.success()?;
    }
    Ok(())
}

/// A long command, and header blocks of many streams behind each other. That Go's decoder takes
/// them all is looked at after every case.
fn within_the_bounds(ends: &mut Ends<'_>) -> Result<(), String> {
    let long = "x".repeat(60_000);
    let finished = ends.run(&["sh", "-c", "printf %s \"$1\" | wc -c", "sh", &long])?;
    expect(&finished.success()?, "60000")?;
    let mut words = vec!["sh", "-c", "echo $#", "sh"];
    words.resize(words.len() + 1_500, "a word");
    expect(&ends.run(&words)?.success()?, "1500")?;
    let web = ends.fixture.port(Shared::Lacewingd, Security::Plain)?;
    let (mut forward, local) = ends.forward(web)?;
    // Each with a connection of its own.
    let mut curl = curl(local, &format!("{SMALL}?[1-60]"));
    curl.args(["--header", "Connection: close"]);
    ends.fixture.run(&mut curl, 60)?.success()?;
    match forward.has_ended() {
        true => Err(format!("the port-forward ended: {}", forward.stderr())),
        false => Ok(()),
    }
}

/// Data and exit code survive each way in which the peer ends a session.
fn close_order(ends: &mut Ends<'_>) -> Result<(), String> {
    let file = ends.fixture.file(MB_1).display().to_string();
    let output = format!("cat {file}; exit 7");
    for &options in variants(ends.setup.go) {
        let mut ends = Ends::start(ends.fixture, ends.setup.with(options))?;
        ends_well(&ends, &output).map_err(|error| format!("{options:?}: {error}"))?;
        if let Some(what) = ends.casualty() {
            return Err(format!("{options:?}: {what}"));
        }
    }
    Ok(())
}

/// The ways in which the peer ends a session.
fn variants(go: Go) -> &'static [&'static [&'static str]] {
    match go {
        Go::Kubectl => &[&[], &[RESET_FINISHED]],
        Go::Kubelet => &[
            &[],
            &[RESET_FINISHED],
            FINISH,
            &["-end", "finish", RESET_FINISHED],
        ],
    }
}

fn ends_well(ends: &Ends<'_>, output: &str) -> Result<(), String> {
    for _ in 0..5 {
        let finished = run_without_stdin(ends, output)?;
        expect_code(&finished, 7)?;
        expect_length(&finished, ends.fixture.length(MB_1))?;
        let finished = run_without_stdin(ends, "exit 3")?;
        expect_code(&finished, 3)?;
        expect_length(&finished, 0)?;
        if ends.setup.waits_for_its_client() {
            // The client writes on while the session ends.
            let behind = format!("sh -c '{output}'");
            let finished = ends.run_line("head -c 3000000 /dev/zero |", &behind)?;
            expect_code(&finished, 7)?;
            expect_length(&finished, ends.fixture.length(MB_1))?;
        }
    }
    Ok(())
}

/// A kubelet that closes first has closed its socket for the end of stdin as well: if that comes
/// late, the kernel discards output, whoever the client is.
fn run_without_stdin(ends: &Ends<'_>, script: &str) -> Result<Finished, String> {
    let exec = match ends.setup.go {
        Go::Kubectl => ends.go_line("exec")?,
        Go::Kubelet => format!("{} exec mypod --", ends.lacewing_kube()),
    };
    ends.shell(&format!("{exec} sh -c '{script}'"))
}

fn expect_length(finished: &Finished, length: usize) -> Result<(), String> {
    match finished.stdout_length == length as u64 {
        true => Ok(()),
        false => Err(format!("{} bytes and not {length}", finished.stdout_length)),
    }
}

/// Columns before rows. A kubelet has no use for them.
const SIZES: &[&str] = &["-sizes", "101x33,122x44"];

const PINGS: &[&str] = &["-ping", "20ms", "-report", "-end", "finish"];

/// Each PING is answered: while nothing else passes, and between 50 MB each way.
fn pings(ends: &mut Ends<'_>) -> Result<(), String> {
    let quiet = ends.run(&["sleep", "2"])?;
    expect_code(&quiet, 0)?;
    pings_answered(ends, &quiet)?;
    let input = ends.fixture.file(MB_50);
    let line = format!("cat < {} | sha256sum", input.display());
    let busy = ends.run_line("", &line)?;
    pings_answered(ends, &busy)?;
    expect_part(&busy.success()?, ends.fixture.digest(MB_50)).map(drop)
}

/// The last PING may have crossed the end of the session.
fn pings_answered(ends: &Ends<'_>, finished: &Finished) -> Result<(), String> {
    let text = match (ends.setup.go, &ends.server) {
        (Go::Kubelet, Some(server)) => {
            wait_until("the kubelet counts its PINGs", || {
                server.log().contains("pings: ")
            })?;
            server.log()
        }
        _ => finished.stderr.clone(),
    };
    let line = text.lines().rfind(|line| line.starts_with("pings: "));
    let line = line.ok_or("no count of PINGs")?;
    let numbers: Vec<u64> = line
        .split(|letter: char| !letter.is_ascii_digit())
        .filter_map(|number| number.parse().ok())
        .collect();
    match numbers.as_slice() {
        &[sent, answered] if answered > 0 && sent <= answered + 1 => Ok(()),
        _ => Err(line.to_owned()),
    }
}

/// A kubelet whose session is idle resets its streams: a failure, and never a success.
fn idle_kubelet(ends: &mut Ends<'_>) -> Result<(), String> {
    let running = sessions::start_sleep(ends)?;
    sessions::fails_soon(running)
}
