//! Runs a command of this machine for a session.

use std::{io, process::Stdio, time::Duration};

use lacewing_kube::{
    CommandOutcome, KubeError,
    server::{CommandInput, CommandOutput, ExecSession},
};
use tokio::{
    io::{AsyncRead, AsyncWrite, AsyncWriteExt},
    process::{Child, Command},
};
use tokio_util::sync::CancellationToken;

/// The time for background processes to end their output after the command.
const DRAIN: Duration = Duration::from_secs(2);

pub(crate) async fn run(mut session: ExecSession, argv: Vec<String>) -> Result<(), KubeError> {
    let outcome = match start(&mut session, &argv).await {
        Ok(outcome) => outcome,
        Err(error) => CommandOutcome::Failed(format!("cannot run {argv:?}: {error}")),
    };
    session.finish(outcome).await
}

async fn start(session: &mut ExecSession, argv: &[String]) -> io::Result<CommandOutcome> {
    #[cfg(unix)]
    if session.sizes.is_some() {
        return crate::terminal::run(session, argv).await;
    }
    let (program, arguments) = argv.split_first().ok_or(io::ErrorKind::InvalidInput)?;
    let mut command = Command::new(program);
    command.args(arguments).kill_on_drop(true);
    command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    #[cfg(unix)]
    command.process_group(0);
    let mut child = command.spawn()?;
    let (stdin, stdout, stderr) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
    let (exited, client_gone) = (CancellationToken::new(), session.cancellation());
    let output = async {
        tokio::join!(
            copy(stdout, session.stdout.take(), &exited),
            copy(stderr, session.stderr.take(), &exited),
        )
    };
    let input = feed(session.stdin.take(), stdin);
    wait(child, exited.clone(), client_gone, input, output).await
}

/// Waits for the end of the command, while its input and output are copied.
pub(crate) async fn wait<T>(
    mut child: Child,
    exited: CancellationToken,
    client_gone: CancellationToken,
    input: impl Future<Output = ()>,
    output: impl Future<Output = T>,
) -> io::Result<CommandOutcome> {
    // The output continues to its end after the input has ended, and after the exit.
    let waiting = async {
        let exit = async {
            let status = child.wait().await;
            exited.cancel();
            status
        };
        tokio::join!(exit, output).0
    };
    let endless_input = async {
        input.await;
        std::future::pending::<()>().await;
    };
    let ended = tokio::select! {
        status = waiting => Some(status),
        () = endless_input => None,
        () = client_gone.cancelled() => None,
    };
    if let Some(status) = ended {
        return Ok(status?.into());
    }
    #[cfg(unix)]
    if let Some(group) = group(&child) {
        // The command may have left meanwhile.
        let _ = rustix::process::kill_process_group(group, rustix::process::Signal::KILL);
    }
    child.kill().await?;
    Ok(CommandOutcome::Failed("the client is gone".to_owned()))
}

#[cfg(unix)]
fn group(child: &Child) -> Option<rustix::process::Pid> {
    rustix::process::Pid::from_raw(i32::try_from(child.id()?).ok()?)
}

/// Copies stdin to its end. If the client is lost before the end, the command is killed.
pub(crate) async fn feed<W: AsyncWrite + Unpin>(from: Option<CommandInput>, to: Option<W>) {
    if let (Some(mut from), Some(mut to)) = (from, to) {
        // The command may close its stdin early.
        let _ = tokio::io::copy(&mut from, &mut to).await;
        let _ = to.shutdown().await;
    }
}

pub(crate) async fn copy<R: AsyncRead + Unpin>(
    from: Option<R>,
    to: Option<CommandOutput>,
    exited: &CancellationToken,
) {
    if let (Some(mut from), Some(mut to)) = (from, to) {
        // The session's end reports a client that is gone.
        let _ = to.copy_from(&mut from, exited, DRAIN).await;
    }
}
