//! The checks that clients of Kubernetes share: exit codes, downloads through a port-forward, and
//! the end of a command with its client.

use std::process::Command;
use std::time::{Duration, Instant};

use super::expect_part;
use super::fixture::{Fixture, MB_50, sha256};
use super::process::{Finished, Running};
use crate::shell;

/// The weight of one run of a case.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Weight {
    Light,
    Heavy,
}

/// The number of runs of a case. `LACEWING_INTEROP_FULL` asks for 20 of each.
pub(super) fn times(weight: Weight) -> u32 {
    match (is_full(), weight) {
        (true, _) => 20,
        (false, Weight::Light) => 3,
        (false, Weight::Heavy) => 1,
    }
}

pub(super) fn is_full() -> bool {
    std::env::var_os("LACEWING_INTEROP_FULL").is_some()
}

/// The exit code of the client itself, which is that of the command.
pub(super) fn expect_code(finished: &Finished, code: i32) -> Result<(), String> {
    match finished.status.code() {
        Some(got) if got == code => Ok(()),
        got => Err(format!(
            "exit code {got:?} and not {code}\nstdout: {}\nstderr: {}",
            shell::tail(&finished.stdout, 4),
            shell::tail(&finished.stderr, 4)
        )),
    }
}

/// Ten downloads at once through one port-forward to our server of files.
pub(super) fn ten_downloads(
    fixture: &Fixture,
    forward: &mut Running,
    local: u16,
) -> Result<(), String> {
    let mut downloads = Vec::new();
    for _ in 0..10 {
        let file = fixture.scratch("download");
        let mut curl = curl(local, MB_50);
        curl.arg("--output").arg(&file);
        downloads.push((fixture.spawn(&mut curl)?, file));
    }
    for (curl, file) in downloads {
        curl.finish(100)?.success()?;
        if sha256(&file)? != fixture.digest(MB_50) {
            return Err("another digest".into());
        }
        std::fs::remove_file(&file).map_err(|error| error.to_string())?;
    }
    match forward.has_ended() {
        true => Err("the port-forward ended by itself".into()),
        false => Ok(()),
    }
}

pub(super) fn curl(port: u16, file: &str) -> Command {
    let mut curl = Command::new("curl");
    curl.args(["--silent", "--show-error", "--fail", "--http1.1"]);
    curl.arg(format!("http://127.0.0.1:{port}/{file}"));
    curl
}

/// The command ends soon after a client that is killed, although its stdin is backed up. `exec` is
/// the client in the line of a shell, and `shell` the command that runs such a line.
pub(super) fn command_ends_with_its_client(
    fixture: &Fixture,
    exec: &str,
    shell: impl Fn(&str) -> Command,
) -> Result<(), String> {
    let file = fixture.scratch("pid");
    let line = format!(
        "exec {exec} sh -c 'echo $$ > {0}.part; mv {0}.part {0}; exec sleep 1000' < /dev/zero",
        file.display()
    );
    let mut running = fixture.spawn(&mut shell(&line))?;
    wait_until("the command starts", || file.exists())?;
    // Until every buffer on the way is full.
    std::thread::sleep(Duration::from_secs(2));
    if running.has_ended() {
        return Err("the client ended by itself".into());
    }
    // Its drop kills the client.
    drop(running);
    let pid = std::fs::read_to_string(&file).map_err(|error| error.to_string())?;
    wait_until("the command ends", || !is_alive(pid.trim()))
}

/// `script` gives the client a terminal, and `stty` changes its size while the command runs. `exec`
/// is the client in the line of a shell.
pub(super) fn terminal_is_resized(
    fixture: &Fixture,
    exec: &str,
    shell: impl Fn(&str) -> Result<Finished, String>,
) -> Result<(), String> {
    let started = fixture.scratch("started");
    let started = started.display();
    let command = terminal_command(&format!(": > {started}"));
    let inner = fixture.scratch("terminal.sh");
    // The size changes only once the command has printed the first one.
    let script = format!(
        "stty rows 33 cols 101\n\
         (n=0; while [ ! -e {started} ] && [ $n -lt 200 ]; do sleep 0.05; n=$((n+1)); done; \
         stty rows 44 cols 122 < /dev/tty) &\n\
         {exec} sh -c '{command}'\n",
    );
    std::fs::write(&inner, script).map_err(|error| error.to_string())?;
    let line = format!("script -qec 'sh {}' /dev/null", inner.display());
    expect_terminal(&shell(&line)?)
}

/// A command that prints the size of its terminal, runs `then`, and prints the next size.
pub(super) fn terminal_command(then: &str) -> String {
    format!(
        "stty size; {then}; n=0; while [ \"$(stty size)\" != \"44 122\" ] && [ $n -lt 200 ]; \
         do sleep 0.05; n=$((n+1)); done; stty size; tty; exit 5"
    )
}

/// What this command has seen.
pub(super) fn expect_terminal(finished: &Finished) -> Result<(), String> {
    expect_code(finished, 5)?;
    for part in ["33 101", "44 122", "/dev/pts/"] {
        expect_part(&finished.stdout, part)?;
    }
    Ok(())
}

fn is_alive(pid: &str) -> bool {
    let mut kill = Command::new("kill");
    shell::output(kill.args(["-0", pid])).is_ok()
}

pub(super) fn wait_until(what: &str, mut is_so: impl FnMut() -> bool) -> Result<(), String> {
    let deadline = Instant::now() + Duration::from_secs(10);
    while !is_so() {
        if Instant::now() > deadline {
            return Err(format!("after 10 s: not yet that {what}"));
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    Ok(())
}
