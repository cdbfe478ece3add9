//! The program's own streams, while a command has them.

use std::io;

use lacewing_kube::{
    CommandOutcome,
    client::{CommandReader, CommandSession, CommandStdin},
};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use super::failure::TaskFailure;
use crate::console;

/// Copies between the session and the program's own streams, until the command ends and
/// its output is written.
pub(super) async fn serve(mut session: CommandSession) -> Result<CommandOutcome, TaskFailure> {
    if let Some(stdin) = session.stdin.take() {
        // The command may end while a read of stdin waits.
        tokio::spawn(feed(stdin));
    }
    let (stdout, stderr) = (session.stdout.take(), session.stderr.take());
    let output = async {
        let stdout = copy(stdout, tokio::io::stdout());
        let stderr = copy(stderr, tokio::io::stderr());
        match tokio::try_join!(stdout, stderr) {
            // The reader of the output has left: nothing waits for the command.
            Err(Uncopied::Write(error)) => Err(TaskFailure::Output(console::unwritten(&error))),
            copied => Ok(copied),
        }
    };
    let outcome = async { Ok(session.outcome().await) };
    let (copied, outcome) = tokio::try_join!(output, outcome)?;
    // The loss of the connection explains the rest.
    let outcome = outcome?;
    match copied {
        Err(Uncopied::Read(error)) => Err(TaskFailure::new(format!("an output was lost: {error}"))),
        _ => Ok(outcome),
    }
}

async fn feed(mut to: CommandStdin) {
    let mut stdin = tokio::io::stdin();
    let mut buffer = vec![0; 64 << 10];
    loop {
        match stdin.read(&mut buffer).await {
            Ok(0) => break,
            Ok(len) => {
                let written = to.write_all(buffer.get(..len).unwrap_or_default()).await;
                if written.is_err() {
                    return;
                }
            }
            Err(error) => {
                console::note(format_args!("cannot read stdin: {error}"));
                // Without an end: a part of the input is not the whole.
                return;
            }
        }
    }
    // The command may have ended.
    let _ = to.shutdown().await;
}

/// Why an output was not copied.
enum Uncopied {
    Read(io::Error),
    Write(io::Error),
}

async fn copy(from: Option<CommandReader>, to: impl AsyncWrite + Unpin) -> Result<(), Uncopied> {
    match from {
        Some(from) => copy_all(from, to).await,
        None => Ok(()),
    }
}

/// Each piece is flushed: the output may be a terminal.
async fn copy_all(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
) -> Result<(), Uncopied> {
    let mut buffer = vec![0; 64 << 10];
    loop {
        let len = from.read(&mut buffer).await.map_err(Uncopied::Read)?;
        if len == 0 {
            return Ok(());
        }
        let piece = buffer.get(..len).unwrap_or_default();
        to.write_all(piece).await.map_err(Uncopied::Write)?;
        to.flush().await.map_err(Uncopied::Write)?;
    }
}
