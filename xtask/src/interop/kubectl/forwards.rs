//! `kubectl port-forward`.

use std::process::Command;

use super::{Kubectl, start_forward};
use crate::interop::expect_part;
use crate::interop::fixture::{MB_50, SMALL, Security, Shared};
use crate::interop::kube_checks::{curl, ten_downloads, wait_until};
use crate::interop::process::free_port;
use crate::shell;

/// Ten downloads at once through one kubectl.
pub(super) fn ten(kubectl: &Kubectl<'_>) -> Result<(), String> {
    let fixture = kubectl.fixture;
    let web = fixture.port(Shared::Lacewingd, Security::Plain)?;
    let (mut forward, local) = start_forward(kubectl, web)?;
    ten_downloads(fixture, &mut forward, local)
}

/// A port without a listener: kubectl reports it.
pub(super) fn refused(kubectl: &Kubectl<'_>) -> Result<(), String> {
    let (forward, local) = start_forward(kubectl, free_port()?)?;
    let answer = kubectl.fixture.run(&mut curl(local, SMALL), 20)?;
    if answer.status.success() {
        return Err("an answer from a port without a listener".into());
    }
    interrupt(&forward)?;
    let finished = forward.finish(10)?;
    expect_part(&finished.stderr, "refused").map(drop)
}

/// Ctrl-C ends kubectl at once, in the middle of a download.
pub(super) fn interrupted(kubectl: &Kubectl<'_>) -> Result<(), String> {
    let fixture = kubectl.fixture;
    let web = fixture.port(Shared::Lacewingd, Security::Plain)?;
    let (mut forward, local) = start_forward(kubectl, web)?;
    let small = fixture.run(&mut curl(local, SMALL), 20)?;
    small.success()?;
    let mut slow = curl(local, MB_50);
    slow.args(["--limit-rate", "10M"]);
    let download = fixture.spawn(&mut slow)?;
    std::thread::sleep(std::time::Duration::from_millis(300));
    interrupt(&forward)?;
    let mut ended = false;
    let start = std::time::Instant::now();
    while !ended && start.elapsed().as_secs() < 10 {
        ended = forward.has_ended();
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    if !ended {
        return Err("kubectl runs on after Ctrl-C".into());
    }
    if download.finish(20)?.status.success() {
        return Err("a download that cannot have ended".into());
    }
    // The server has another session at once.
    let (_forward, local) = start_forward(kubectl, web)?;
    wait_until("the next forward answers", || {
        fixture
            .run(&mut curl(local, SMALL), 20)
            .is_ok_and(|answer| answer.status.success())
    })
}

fn interrupt(running: &crate::interop::process::Running) -> Result<(), String> {
    let mut kill = Command::new("kill");
    kill.args(["-INT", &running.id().to_string()]);
    // It may have ended by itself.
    let _ = shell::output(&mut kill);
    Ok(())
}
