//! The load generator on the second core: h2load, and `lacewing load` for SPDY, whose report has
//! the form of h2load's.

use super::Programs;
use super::fields;
use super::workload::{Fields, Workload};
use crate::shell;
use std::path::Path;
use std::process::Command;

/// Runs `requests` requests. A failed request is an error.
pub(super) fn run(
    workload: &Workload,
    requests: u64,
    port: u16,
    programs: &Programs,
    upload: &Path,
) -> Result<(), String> {
    // h2load rejects more connections than requests.
    let connections = u64::from(workload.connections).min(requests);
    let scheme = if workload.tls { "https" } else { "http" };
    let mut command = Command::new("taskset");
    command.args(["-c", "1"]);
    if workload.spdy {
        command.arg(programs.path("lacewing"));
        command.args(["load", "--protocol=spdy/3.1", "--report=h2load", "-k"]);
    } else {
        command.arg("h2load");
    }
    command.args([format!("-n{requests}"), format!("-c{connections}")]);
    command.arg(format!("-m{}", workload.streams));
    match workload.fields {
        Fields::None => {}
        Fields::Thirty => drop(command.args(fields::thirty())),
        Fields::Thrashing => drop(command.args(fields::thrashing())),
    }
    if workload.upload {
        command.arg("-d").arg(upload);
    }
    command.arg(format!("{scheme}://127.0.0.1:{port}{}", workload.path));
    let printed = shell::output(&mut command)?;
    let expected = format!("{requests} succeeded, 0 failed, 0 errored, 0 timeout");
    if printed.contains(&expected) && printed.contains(&format!("{requests} 2xx")) {
        Ok(())
    } else {
        Err(format!(
            "not every request succeeded:\n{}",
            shell::tail(&printed, 12)
        ))
    }
}
