//! Go's spdystream as kubectl against our API server, and as a kubelet against our client:
//! the two ends between which most of Kubernetes' SPDY/3.1 runs.
//!
//! docker/spdystream is the library that Debian has; moby/spdystream is a program of ours with the
//! behaviour of the newest one.

mod ends;
mod moby;
mod sessions;

use super::fixture::Fixture;
use super::kube_checks::{Weight, times};
use super::process::Server;
use super::{Case, Outcome};
use ends::{Ends, Go, Setup};

type Run = fn(&mut Ends<'_>) -> Result<(), String>;

pub(super) fn cases() -> Vec<Case> {
    let both: [(&str, Weight, Run); 6] = [
        ("exit-codes", Weight::Light, sessions::exit_codes),
        (
            "stdout-and-stderr",
            Weight::Light,
            sessions::stdout_and_stderr,
        ),
        ("stdin", Weight::Light, sessions::stdin),
        (
            "bytes-in-and-back",
            Weight::Heavy,
            sessions::bytes_in_and_back,
        ),
        ("ten-forwards", Weight::Heavy, sessions::ten_forwards),
        ("refused-forward", Weight::Light, sessions::refused_forward),
    ];
    let mut cases = Vec::new();
    for library in [Setup::docker, Setup::moby] {
        for (name, weight, run) in both {
            for go in [Go::Kubectl, Go::Kubelet] {
                cases.push(case(library(go), name, weight, run));
            }
        }
        let (kubectl, kubelet) = (library(Go::Kubectl), library(Go::Kubelet));
        cases.push(case(
            kubectl,
            "killed-client",
            Weight::Heavy,
            sessions::killed_client,
        ));
        cases.push(case(
            kubelet,
            "killed-server",
            Weight::Light,
            sessions::killed_server,
        ));
    }
    cases.extend(moby::cases());
    cases
}

fn case(setup: Setup, name: &str, weight: Weight, run: Run) -> Case {
    let name = format!("{}/{name}", setup.name());
    Case::new(name, move |fixture| repeat(fixture, setup, weight, run))
}

fn repeat(fixture: &Fixture, setup: Setup, weight: Weight, run: Run) -> Outcome {
    let times = times(weight);
    for time in 1..=times {
        let mut ends = Ends::start(fixture, setup)?;
        let server = |ends: &Ends<'_>| ends.server.as_ref().map(Server::log_tail);
        run(&mut ends).map_err(|error| {
            let log = server(&ends).unwrap_or_default();
            format!("time {time} of {times}: {error}\n{log}")
        })?;
        if let Some(what) = ends.casualty() {
            return Err(what);
        }
    }
    Ok(format!("{times} times"))
}
