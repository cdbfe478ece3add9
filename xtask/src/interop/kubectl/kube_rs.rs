//! kube-rs, whose port-forward has two WebSocket channels for each port.

use super::start_api_server;
use crate::interop::fixture::{Fixture, MB_50, Security, Shared};
use crate::interop::kube_checks::{Weight, times};
use crate::interop::process::free_port;
use crate::interop::{Outcome, expect, expect_part};

/// A download through the forward is whole, and the forward ends with it.
pub(super) fn download(fixture: &Fixture) -> Outcome {
    let web = fixture.port(Shared::Lacewingd, Security::Plain)?;
    let expected = format!("50000000 bytes {}", fixture.digest(MB_50));
    repeat(fixture, |server| {
        let printed = run(fixture, server, web)?;
        expect(&printed, &expected).map(drop)
    })
}

/// A port without a listener is an error of its own channel.
pub(super) fn refused(fixture: &Fixture) -> Outcome {
    repeat(fixture, |server| {
        let printed = run(fixture, server, free_port()?)?;
        expect_part(&printed, "failure: ")?;
        expect_part(&printed, "refused").map(drop)
    })
}

fn repeat(fixture: &Fixture, check: impl Fn(u16) -> Result<(), String>) -> Outcome {
    let (mut server, port) = start_api_server(fixture, Security::Plain)?;
    let times = times(Weight::Light);
    for time in 1..=times {
        check(port).map_err(|error| {
            let log = server.log_tail();
            format!("time {time} of {times}: {error}\n{log}")
        })?;
    }
    match server.casualty() {
        Some(what) => Err(what),
        None => Ok(format!("{times} times")),
    }
}

/// What the program prints.
fn run(fixture: &Fixture, server: u16, port: u16) -> Outcome {
    let mut command = fixture.rust("kube_rs");
    command.args([&format!("http://127.0.0.1:{server}"), &port.to_string()]);
    command.arg(format!("/{MB_50}"));
    fixture.run(&mut command, 60)?.success()
}
