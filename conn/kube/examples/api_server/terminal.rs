//! Runs a command in a terminal of its own.

use std::{
    fs::{File, OpenOptions},
    io,
    os::fd::OwnedFd,
    process::Stdio,
};

use lacewing_kube::{
    CommandOutcome, TerminalSize,
    server::{ExecSession, TerminalSizes},
};
use rustix::{
    pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt},
    termios::{Winsize, tcsetwinsize},
};
use tokio::process::Command;
use tokio_util::sync::CancellationToken;

use crate::command::{copy, feed, wait};

pub(crate) async fn run(session: &mut ExecSession, argv: &[String]) -> io::Result<CommandOutcome> {
    let controller = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY)?;
    grantpt(&controller)?;
    unlockpt(&controller)?;
    let path = ptsname(&controller, Vec::new())?;
    let path = path.to_str().map_err(io::Error::other)?;
    let terminal = || OpenOptions::new().read(true).write(true).open(path);
    let mut sizes = session.sizes.take();
    // The command reads the first size as soon as it starts.
    if let Some(sizes) = &mut sizes {
        let first = tokio::time::timeout(std::time::Duration::from_secs(1), sizes.next());
        if let Ok(Some(size)) = first.await {
            resize(&controller, size)?;
        }
    }
    let mut command = Command::new("setsid");
    // util-linux makes the terminal that of the command; in Rust it takes unsafe code.
    command
        .args(["--ctty", "--wait", "--"])
        .args(argv)
        .kill_on_drop(true)
        .process_group(0);
    command
        .stdin(Stdio::from(terminal()?))
        .stdout(Stdio::from(terminal()?))
        .stderr(Stdio::from(terminal()?));
    let child = command.spawn()?;
    drop(command);
    let (exited, client_gone) = (CancellationToken::new(), session.cancellation());
    let keyboard = tokio::fs::File::from_std(File::from(controller.try_clone()?));
    let screen = tokio::fs::File::from_std(File::from(controller.try_clone()?));
    let input = async {
        tokio::join!(
            feed(session.stdin.take(), Some(keyboard)),
            follow(sizes, controller),
        );
    };
    // A terminal that no process has open any more gives an error (EIO): its end.
    let output = copy(Some(screen), session.stdout.take(), &exited);
    wait(child, exited.clone(), client_gone, input, output).await
}

/// Applies each size of the client's terminal.
async fn follow(sizes: Option<TerminalSizes>, controller: OwnedFd) {
    let Some(mut sizes) = sizes else {
        return;
    };
    while let Some(size) = sizes.next().await {
        if resize(&controller, size).is_err() {
            return;
        }
    }
}

fn resize(controller: &OwnedFd, size: TerminalSize) -> io::Result<()> {
    let size = Winsize {
        ws_col: size.width,
        ws_row: size.height,
        ws_xpixel: 0,
        ws_ypixel: 0,
    };
    Ok(tcsetwinsize(controller, size)?)
}
