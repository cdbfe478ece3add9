//! `lacewing kube exec` and `attach`.

use lacewing_kube::{CommandOutcome, CommandStreams, Terminal, client::CommandRequest};

#[cfg(unix)]
use super::terminal;
use super::{cluster::Cluster, failure::TaskFailure, pod, pod_name, streams};

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
        true => terminal::attach(session, args.stdin).await?,
        _ => streams::serve(session).await?,
    };
    match outcome {
        CommandOutcome::Success => Ok(()),
        CommandOutcome::Exited(code) => Err(TaskFailure::Exited(code)),
        CommandOutcome::Failed(text) => Err(TaskFailure::Text(text)),
    }
}
