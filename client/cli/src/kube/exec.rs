//! `lacewing kube exec` and `attach`.

use std::io;

use lacewing_kube::{
    CommandOutcome, CommandStreams, Terminal,
    client::{CommandReader, CommandRequest, CommandSession, CommandStdin},
};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use super::{cluster::Cluster, failure::TaskFailure, pod, pod_name};
use crate::console;

#[derive(Debug, clap::Args)]
pub(super) struct Exec {
    /// The pod
    #[arg(value_name = "POD", value_parser = pod_name)]
    pod: String,

    #[command(flatten)]
    io: IoArgs,

    /// The command and its arguments, behind --
    #[arg(value_name = "COMMAND", required = true, last = true)]
    command: Vec<String>,
}

#[derive(Debug, clap::Args)]
pub(super) struct Attach {
    /// The pod
    #[arg(value_name = "POD", value_parser = pod_name)]
    pod: String,

    #[command(flatten)]
    io: IoArgs,
}

#[derive(Debug, clap::Args)]
struct IoArgs {
    /// The container of the pod, if it has several
    #[arg(short, long, value_name = "NAME")]
    container: Option<String>,

    /// Pass stdin to the container
    #[arg(short = 'i', long)]
    stdin: bool,

    /// Stdin is a terminal, and the container has one
    #[arg(short, long)]
    tty: bool,
}

impl IoArgs {
    fn streams(&self) -> CommandStreams {
        CommandStreams {
            stdin: self.stdin,
            stdout: true,
            stderr: !self.tty,
            terminal: match self.tty {
                true => Terminal::Attached,
                false => Terminal::None,
            },
        }
    }
}

pub(super) async fn exec(cluster: &Cluster, args: &Exec) -> Result<(), TaskFailure> {
    let pod = pod(cluster, &args.pod, args.io.container.as_deref());
    let command = args.command.iter().map(String::as_str);
    let request = CommandRequest::exec(&cluster.server, pod, command, args.io.streams());
    run(cluster, request, &args.io).await
}

pub(super) async fn attach(cluster: &Cluster, args: &Attach) -> Result<(), TaskFailure> {
    let pod = pod(cluster, &args.pod, args.io.container.as_deref());
    let request = CommandRequest::attach(&cluster.server, pod, args.io.streams());
    run(cluster, request, &args.io).await
}

async fn run(
    cluster: &Cluster,
    request: Result<CommandRequest, http::Error>,
    args: &IoArgs,
) -> Result<(), TaskFailure> {
    let request = request.map_err(TaskFailure::new)?.with(|request| {
        request.headers = cluster.headers.clone();
        request.transport = cluster.transport;
    });
    let session = request.connect(|| cluster.connect()).await?;
    let outcome = match args.tty {
        #[cfg(unix)]
        true => super::terminal::attach(session, args.stdin).await?,
        _ => serve(session).await?,
    };
    match outcome {
        CommandOutcome::Success => Ok(()),
        CommandOutcome::Exited(code) => Err(TaskFailure::Exited(code)),
        CommandOutcome::Failed(text) => Err(TaskFailure::Text(text)),
    }
}

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
