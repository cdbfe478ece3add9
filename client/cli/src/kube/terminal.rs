//! The local terminal while a command has it: raw, and its size passed on.

use std::io::{self, IsTerminal, Stdin};

use lacewing_kube::{
    CommandOutcome, TerminalSize,
    client::{CommandSession, TerminalResizer},
};
use rustix::termios::{OptionalActions, Termios, tcgetattr, tcgetwinsize, tcsetattr};
use tokio::signal::unix::{Signal, SignalKind, signal};

use super::{failure::TaskFailure, streams::serve};
use crate::console;

/// Serves a session with a terminal. The local one is raw meanwhile, if stdin goes to the
/// command; signals that end the program restore it.
pub(super) async fn attach(
    mut session: CommandSession,
    has_stdin: bool,
) -> Result<CommandOutcome, TaskFailure> {
    let stdin = io::stdin();
    let resizer = session.resize.take();
    if has_stdin && !stdin.is_terminal() {
        console::eprint(
            "Unable to use a TTY - input is not a terminal or the right kind of file\n",
        );
    }
    let mut changes = on(SignalKind::window_change())?;
    let (mut terminate, mut hang_up) = (on(SignalKind::terminate())?, on(SignalKind::hangup())?);
    let raw = match has_stdin && stdin.is_terminal() {
        true => Some(RawMode::enter().map_err(|error| {
            TaskFailure::new(format!("the terminal cannot be made raw: {error}"))
        })?),
        false => None,
    };
    let outcome = tokio::select! {
        outcome = serve(session) => outcome,
        never = follow(resizer, &mut changes) => match never {},
        _ = terminate.recv() => Err(TaskFailure::new("ended by SIGTERM")),
        _ = hang_up.recv() => Err(TaskFailure::new("the terminal is gone")),
    };
    // Before anything is written to the terminal.
    drop(raw);
    outcome
}

fn on(kind: SignalKind) -> Result<Signal, TaskFailure> {
    signal(kind).map_err(|error| TaskFailure::new(format!("signals: {error}")))
}

/// Sends the size of the terminal now, and after each change. Never returns.
async fn follow(
    resizer: Option<TerminalResizer>,
    changes: &mut Signal,
) -> std::convert::Infallible {
    if let Some(mut resizer) = resizer {
        loop {
            // Neither stdin nor stdout may be one.
            let size = tcgetwinsize(io::stdin()).or_else(|_| tcgetwinsize(io::stdout()));
            if let Ok(size) = size {
                let size = TerminalSize {
                    width: size.ws_col,
                    height: size.ws_row,
                };
                // The command may have ended.
                if size.width > 0 && size.height > 0 && resizer.send(size).await.is_err() {
                    break;
                }
            }
            if changes.recv().await.is_none() {
                break;
            }
        }
    }
    std::future::pending().await
}

/// The terminal of stdin in raw mode. Its drop restores the mode from before.
struct RawMode {
    stdin: Stdin,
    before: Termios,
}

impl RawMode {
    fn enter() -> io::Result<Self> {
        let stdin = io::stdin();
        let before = tcgetattr(&stdin)?;
        let mut raw = before.clone();
        raw.make_raw();
        tcsetattr(&stdin, OptionalActions::Now, &raw)?;
        Ok(Self { stdin, before })
    }
}

impl Drop for RawMode {
    fn drop(&mut self) {
        // The terminal may be gone.
        let _ = tcsetattr(&self.stdin, OptionalActions::Now, &self.before);
    }
}
