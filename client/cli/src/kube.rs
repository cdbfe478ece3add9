//! `lacewing kube`: what kubectl does by streams, over SPDY/3.1 and WebSocket.

mod cluster;
mod copy;
mod exec;
mod failure;
mod forward;
mod streams;
#[cfg(unix)]
mod terminal;

use std::path::PathBuf;

use clap::{Parser, Subcommand, ValueEnum};
use lacewing_kube::client::{Pod, StreamingProtocol};

use self::cluster::Cluster;
use crate::status::Failure;

/// The text of `lacewing kube --help` after the options.
pub(crate) const HELP: &str = "\
The cluster is that of --kubeconfig, else of the files in KUBECONFIG, else of
~/.kube/config, else of the pod that the program runs in. Exec plugins and
proxies of kubeconfig files are not supported.

Exit codes:
  0    the command, or the copy, succeeded; port-forward was interrupted
  1    the session failed, or the copy is not complete
  2    usage: the command line is wrong
  N    exec: the exit code of the command in the container";

#[derive(Debug, Parser)]
pub(crate) struct Kube {
    #[command(subcommand)]
    task: Task,

    #[command(flatten)]
    cluster: ClusterArgs,
}

/// The options of every task, as kubectl names them.
#[derive(Debug, clap::Args)]
pub(crate) struct ClusterArgs {
    /// The kubeconfig file
    #[arg(long, value_name = "FILE", global = true)]
    kubeconfig: Option<PathBuf>,

    /// The context of the kubeconfig file [default: its current context]
    #[arg(long, value_name = "NAME", global = true)]
    context: Option<String>,

    /// The cluster of the kubeconfig file [default: that of the context]
    #[arg(long, value_name = "NAME", global = true)]
    cluster: Option<String>,

    /// The user of the kubeconfig file [default: that of the context]
    #[arg(long, value_name = "NAME", global = true)]
    user: Option<String>,

    /// The namespace of the pod [default: that of the context, or `default`]
    #[arg(short, long, value_name = "NAME", global = true)]
    namespace: Option<String>,

    /// The API server, such as https://127.0.0.1:6443 [default: that of the cluster]
    #[arg(short, long, value_name = "URL", global = true)]
    server: Option<http::Uri>,

    /// The bearer token [default: the credentials of the user]
    #[arg(long, value_name = "TOKEN", global = true)]
    token: Option<String>,

    /// Accept any TLS certificate of the API server: for tests only
    #[arg(long, global = true)]
    insecure_skip_tls_verify: bool,

    /// The transport of the session
    #[arg(
        long,
        value_name = "PROTOCOL",
        value_enum,
        default_value = "auto",
        global = true
    )]
    transport: TransportArg,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum TransportArg {
    /// WebSocket, and SPDY if the server refuses it
    Auto,
    /// WebSocket only
    Websocket,
    /// SPDY/3.1 only
    Spdy,
    /// Raw streams over HTTP/2 only, which servers of lacewing-kube have
    Http2,
}

impl TransportArg {
    fn transport(self) -> StreamingProtocol {
        match self {
            Self::Auto => StreamingProtocol::WebSocketFirst,
            Self::Websocket => StreamingProtocol::WebSocket,
            Self::Spdy => StreamingProtocol::Spdy,
            Self::Http2 => StreamingProtocol::Http2,
        }
    }
}

#[derive(Debug, Subcommand)]
enum Task {
    /// Run a command in a container
    Exec(exec::Exec),
    /// Connect to the main process of a container
    Attach(exec::Attach),
    /// Copy files and folders to and from a container, which needs tar
    Cp(copy::Cp),
    /// Forward local ports to a pod
    PortForward(forward::PortForward),
}

/// Runs a task. The result has the exit code.
pub(crate) async fn run(kube: Kube) -> Result<(), Failure> {
    let done = match Cluster::load(&kube.cluster).await {
        Ok(cluster) => match kube.task {
            Task::Exec(exec) => exec::exec(&cluster, &exec).await,
            Task::Attach(attach) => exec::attach(&cluster, &attach).await,
            Task::Cp(cp) => copy::run(&cluster, &cp).await,
            Task::PortForward(forward) => forward::run(&cluster, &forward).await,
        },
        Err(failure) => Err(failure),
    };
    done.map_err(failure::TaskFailure::report)
}

/// The pod of a task, with the container that the command line may name.
fn pod<'a>(cluster: &'a Cluster, name: &'a str, container: Option<&'a str>) -> Pod<'a> {
    Pod {
        namespace: &cluster.namespace,
        name,
        container,
    }
}

/// Reads the name of a pod, or `pod/NAME`.
fn pod_name(text: &str) -> Result<String, String> {
    let name = match text.split_once('/') {
        None => text,
        Some(("pod" | "pods" | "po", name)) => name,
        Some((kind, _)) => {
            return Err(format!(
                "name a pod: {kind:?} needs the API of the cluster, which kubectl has"
            ));
        }
    };
    match name {
        "" => Err("the name of the pod is empty".to_owned()),
        name => Ok(name.to_owned()),
    }
}
