//! Runs a process of this machine for a session.

use std::{
    future::{Future, pending, poll_fn},
    io,
    process::Stdio,
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncWrite},
    process::{Child, Command},
};
use tokio_util::sync::CancellationToken;

use super::{
    bulk_pipe::BulkPipe,
    command_io::{CommandInput, CommandOutput},
    exec_session::ExecSession,
};
use crate::{outcome::CommandOutcome, relay::Outward};

impl ExecSession {
    /// Starts a command with pipes, and copies stdin, stdout and stderr until it has exited
    /// and its output is read. Returns its outcome: pass it to [`finish`](Self::finish).
    ///
    /// * The end of the client's stdin closes the command's, and the output goes on.
    /// * A command that exits ends the session, although the client's stdin is open.
    /// * A background process that keeps the pipes open delays the end by `drain` at most.
    /// * If the client is gone, the command is killed, with its process group on Unix.
    ///
    /// The command has pipes, and no terminal. If the client has a terminal, it receives stderr within
    /// stdout. A command in a terminal needs [`run_with`](Self::run_with).
    ///
    /// ```no_run
    /// use std::time::Duration;
    /// use lacewing_kube::{CommandOutcome, KubeError, server::ExecSession};
    /// use tokio::process::Command;
    ///
    /// async fn date(mut session: ExecSession) -> Result<(), KubeError> {
    ///     let ran = session.run(Command::new("date"), Duration::from_secs(2)).await;
    ///     let outcome = ran.unwrap_or_else(|error| CommandOutcome::Failed(error.to_string()));
    ///     session.finish(outcome).await
    /// }
    /// # let _ = date;
    /// ```
    ///
    /// # Errors
    ///
    /// The command cannot be started, or waited for.
    pub async fn run(
        &mut self,
        mut command: Command,
        drain: Duration,
    ) -> io::Result<CommandOutcome> {
        command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        #[cfg(unix)]
        command.process_group(0);
        let mut child = spawn(&mut command)?;
        let stdin = child.stdin.take().map(BulkPipe::new);
        let stdout = child.stdout.take().map(BulkPipe::new);
        let stderr = child.stderr.take().map(BulkPipe::new);
        let exited = CancellationToken::new();
        let (to_out, to_err) = (self.stdout.take(), self.stderr.take());
        // The client of a terminal has no stderr, and what a terminal shows has both.
        let joined = to_err.is_none() && self.sizes.is_some();
        let output = async {
            if joined {
                let both = stdout.zip(stderr).map(|(out, err)| out.joined(err));
                return copy(both, to_out, &exited, drain).await;
            }
            tokio::join!(
                copy(stdout, to_out, &exited, drain),
                copy(stderr, to_err, &exited, drain),
            );
        };
        let input = feed(self.stdin.take(), stdin);
        wait(child, &exited, &self.cancellation(), input, output).await
    }

    /// Starts a command whose stdin, stdout and stderr the caller has set, such as the end of
    /// a terminal. Copies between the session and the other end, `reader` and `writer`.
    /// Otherwise as [`run`](Self::run), but for the process group: a command with a terminal begins a
    /// session (`setsid`), which fails for the leader of a group. If the client is gone, the group that the
    /// command leads is killed; without one, the command alone. For a command without a terminal, call
    /// [`Command::process_group`] with 0.
    ///
    /// # Errors
    ///
    /// The command cannot be started, or waited for.
    pub async fn run_with(
        &mut self,
        mut command: Command,
        reader: impl AsyncRead + Unpin,
        writer: impl AsyncWrite + Unpin,
        drain: Duration,
    ) -> io::Result<CommandOutcome> {
        let child = spawn(&mut command)?;
        // Our copies of the command's end would keep the terminal open.
        drop(command);
        let exited = CancellationToken::new();
        let output = copy(Some(reader), self.stdout.take(), &exited, drain);
        let input = feed(self.stdin.take(), Some(writer));
        wait(child, &exited, &self.cancellation(), input, output).await
    }
}

fn spawn(command: &mut Command) -> io::Result<Child> {
    command.kill_on_drop(true);
    command.spawn().map_err(|error| {
        // The client's user sees this text.
        let program = command.as_std().get_program().to_string_lossy();
        io::Error::new(error.kind(), format!("cannot start {program}: {error}"))
    })
}

/// Waits for the end of the command, while its input and output are copied.
async fn wait(
    mut child: Child,
    exited: &CancellationToken,
    client_gone: &CancellationToken,
    input: impl Future<Output = ()>,
    output: impl Future<Output = ()>,
) -> io::Result<CommandOutcome> {
    let ending = async {
        let exit = async {
            let status = child.wait().await;
            exited.cancel();
            status
        };
        tokio::join!(exit, output).0
    };
    // The command goes on after the end of its input.
    let input = async {
        input.await;
        pending::<()>().await;
    };
    let ended = tokio::select! {
        status = ending => Some(status),
        () = input => None,
        () = client_gone.cancelled() => None,
    };
    if let Some(status) = ended {
        return Ok(status?.into());
    }
    kill_group(&child);
    child.kill().await?;
    Ok(CommandOutcome::Failed("the client is gone".to_owned()))
}

/// Kills the processes that the command has started, too.
fn kill_group(child: &Child) {
    #[cfg(unix)]
    {
        use rustix::process::{Pid, Signal, kill_process_group};
        let id = child.id().and_then(|id| i32::try_from(id).ok());
        if let Some(group) = id.and_then(Pid::from_raw) {
            // They may have ended meanwhile.
            let _ = kill_process_group(group, Signal::KILL);
        }
    }
    #[cfg(not(unix))]
    let _ = child;
}

/// Copies stdin to its end, and closes the command's. If the client is lost before the end,
/// the command is killed, so that it does not take the part for the whole.
async fn feed<W: AsyncWrite + Unpin>(from: Option<CommandInput>, to: Option<W>) {
    if let (Some(mut from), Some(mut to)) = (from, to) {
        let mut way = Outward::default();
        // The command may close its stdin early.
        match poll_fn(|cx| way.poll(cx, &mut from, &mut to)).await {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::ConnectionReset => pending().await,
            Err(_) => {}
        }
    }
}

async fn copy<R: AsyncRead + Unpin>(
    from: Option<R>,
    to: Option<CommandOutput>,
    exited: &CancellationToken,
    drain: Duration,
) {
    let Some(mut from) = from else { return };
    match to {
        // The end of the session reports a client that is gone.
        Some(mut to) => drop(to.copy_from(&mut from, exited, drain).await),
        // The client does not ask for it; the command must not block.
        None => drop(discard(from, exited, drain).await),
    }
}

async fn discard<R: AsyncRead + Unpin>(
    mut from: R,
    exited: &CancellationToken,
    drain: Duration,
) -> io::Result<u64> {
    let ended = async {
        exited.cancelled().await;
        tokio::time::sleep(drain).await;
    };
    let mut sink = tokio::io::sink();
    tokio::select! {
        copied = tokio::io::copy(&mut from, &mut sink) => copied,
        () = ended => Ok(0),
    }
}
