//! The cases that every version of spdystream passes.

use std::time::{Duration, Instant};

use super::ends::{Ends, Go, shell};
use crate::interop::fixture::{MB_50, MB_100, SMALL, Security, Shared};
use crate::interop::kube_checks::{
    command_ends_with_its_client, curl, expect_code, is_full, ten_downloads, wait_until,
};
use crate::interop::process::{Running, free_port};
use crate::interop::{expect, expect_part};

pub(super) fn exit_codes(ends: &mut Ends<'_>) -> Result<(), String> {
    for code in [0, 1, 7, 127, 255] {
        let script = format!("exit {code}");
        expect_code(&ends.run(&["sh", "-c", &script])?, code)?;
    }
    let missing = ends.run(&["no-such-program"])?;
    expect_code(&missing, 1)?;
    expect_part(&missing.stderr, "cannot run").map(drop)
}

pub(super) fn stdout_and_stderr(ends: &mut Ends<'_>) -> Result<(), String> {
    let script = "echo out; echo err >&2; printf 'last without a newline'; exit 3";
    let finished = ends.run(&["sh", "-c", script])?;
    expect_code(&finished, 3)?;
    expect(&finished.stdout, "out\nlast without a newline")?;
    expect(&finished.stderr, "err").map(drop)
}

pub(super) fn stdin(ends: &mut Ends<'_>) -> Result<(), String> {
    let script = "sh -c 'cat; echo; echo done; exit 4'";
    let finished = ends.run_line("printf 'through stdin' |", script)?;
    expect_code(&finished, 4)?;
    expect(&finished.stdout, "through stdin\ndone")?;
    // A command that ends before it has read its stdin.
    let finished = ends.run_line("head -c 3000000 /dev/zero |", "sh -c 'echo early; exit 5'")?;
    expect_code(&finished, 5)?;
    expect(&finished.stdout, "early").map(drop)
}

/// 50 MB, or 100 MB in the full run.
pub(super) fn bytes_in_and_back(ends: &mut Ends<'_>) -> Result<(), String> {
    let name = if is_full() { MB_100 } else { MB_50 };
    let input = ends.fixture.file(name);
    let behind = format!("cat < {} | sha256sum", input.display());
    let finished = ends.run_line("", &behind)?;
    expect_part(&finished.success()?, ends.fixture.digest(name)).map(drop)
}

pub(super) fn ten_forwards(ends: &mut Ends<'_>) -> Result<(), String> {
    let fixture = ends.fixture;
    let web = fixture.port(Shared::Lacewingd, Security::Plain)?;
    let (mut forward, local) = ends.forward(web)?;
    ten_downloads(fixture, &mut forward, local)
}

/// A port without a listener is reported. Go's client ends then, and ours goes on.
pub(super) fn refused_forward(ends: &mut Ends<'_>) -> Result<(), String> {
    let (mut forward, local) = ends.forward(free_port()?)?;
    let answer = ends.fixture.run(&mut curl(local, SMALL), 20)?;
    if answer.status.success() {
        return Err("an answer from a port without a listener".into());
    }
    wait_until("the client reports the failure", || {
        forward.stderr().contains("refused")
    })?;
    if ends.setup.go == Go::Kubectl {
        return wait_until("Go's client ends", || forward.has_ended());
    }
    let again = ends.fixture.run(&mut curl(local, SMALL), 20)?;
    match again.status.success() || forward.has_ended() {
        true => Err("the port-forward of ours ended".into()),
        false => Ok(()),
    }
}

pub(super) fn killed_client(ends: &mut Ends<'_>) -> Result<(), String> {
    let exec = ends.exec_line()?;
    command_ends_with_its_client(ends.fixture, &exec, shell)
}

/// A server that is killed is a failure of the client, and never a success.
pub(super) fn killed_server(ends: &mut Ends<'_>) -> Result<(), String> {
    let running = start_sleep(ends)?;
    ends.server = None;
    fails_soon(running)
}

/// A client whose command prints a line, and then nothing more.
pub(super) fn start_sleep(ends: &Ends<'_>) -> Result<Running, String> {
    let mut exec = ends.exec()?;
    exec.args(["sh", "-c", "echo started; exec sleep 30"]);
    let mut running = ends.fixture.spawn(&mut exec)?;
    running.wait_for("started", 15)?;
    Ok(running)
}

/// The client ends with a failure of its own.
pub(super) fn fails_soon(running: Running) -> Result<(), String> {
    let began = Instant::now();
    let finished = running.finish(20)?;
    match finished.status.code() {
        Some(1) if began.elapsed() < Duration::from_secs(10) => Ok(()),
        code => Err(format!(
            "exit code {code:?} after {:?}: {}",
            began.elapsed(),
            finished.stderr
        )),
    }
}
