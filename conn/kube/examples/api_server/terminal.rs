//! Runs a command in a terminal of its own.

use std::{
    convert::Infallible,
    fs::{File, OpenOptions},
    io,
    os::fd::OwnedFd,
    process::Stdio,
    time::Duration,
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

/// Runs a command on a terminal of its own. Once it has ended, its output may go on for `drain`.
pub(crate) async fn run(
    session: &mut ExecSession,
    argv: &[String],
    drain: Duration,
) -> io::Result<CommandOutcome> {
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
    command.args(["--ctty", "--wait", "--"]).args(argv);
    command
        .stdin(Stdio::from(terminal()?))
        .stdout(Stdio::from(terminal()?))
        .stderr(Stdio::from(terminal()?));
    let keyboard = tokio::fs::File::from_std(File::from(controller.try_clone()?));
    // A terminal that no process has open any more gives an error (EIO): its end.
    let screen = tokio::fs::File::from_std(File::from(controller.try_clone()?));
    tokio::select! {
        outcome = session.run_with(command, screen, keyboard, drain) => outcome,
        never = follow(sizes, controller) => match never {},
    }
}

/// Applies each size of the client's terminal. Never returns.
async fn follow(sizes: Option<TerminalSizes>, controller: OwnedFd) -> Infallible {
    if let Some(mut sizes) = sizes {
        while let Some(size) = sizes.next().await {
            // The command may have ended.
            let _ = resize(&controller, size);
        }
    }
    std::future::pending().await
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
