//! `lacewing kube port-forward`.

use std::{io, net::IpAddr, sync::Arc};

use lacewing_kube::client::{ForwardRequest, PortForwardSession};
use tokio::{
    net::{TcpListener, TcpStream},
    task::JoinSet,
};

use super::{cluster::Cluster, failure::TaskFailure, pod, pod_name};
use crate::console;

#[derive(Debug, clap::Args)]
pub(super) struct PortForward {
    /// The pod
    #[arg(value_name = "POD", value_parser = pod_name)]
    pod: String,

    /// The ports. Without LOCAL it is the same as REMOTE; :REMOTE takes any free one
    #[arg(value_name = "[LOCAL:]REMOTE", required = true, value_parser = ports)]
    ports: Vec<Ports>,

    /// The addresses to listen on, with commas: IP addresses, or localhost
    #[arg(
        long,
        value_name = "ADDRESS",
        default_value = "localhost",
        value_delimiter = ','
    )]
    address: Vec<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Ports {
    /// 0 is any free one.
    local: u16,
    remote: u16,
}

pub(super) async fn run(cluster: &Cluster, args: &PortForward) -> Result<(), TaskFailure> {
    let request = ForwardRequest::of_pod(&cluster.server, pod(cluster, &args.pod, None));
    let request = request.map_err(TaskFailure::new)?.with(|request| {
        request.headers = cluster.headers.clone();
        request.transport = cluster.transport;
    });
    let session = Arc::new(request.connect(|| cluster.connect()).await?);
    let over = session.cancellation();
    let mut listeners = JoinSet::new();
    for ports in &args.ports {
        for listener in listen(&args.address, ports.local).await? {
            let address = listener.local_addr().map_err(TaskFailure::new)?;
            console::print(format_args!(
                "Forwarding from {address} -> {}\n",
                ports.remote
            ))
            .map_err(TaskFailure::Output)?;
            listeners.spawn(accept(listener, Arc::clone(&session), ports.remote));
        }
    }
    let ended = tokio::select! {
        () = over.cancelled() => Err(TaskFailure::new("lost connection to pod")),
        () = interrupted() => Ok(()),
    };
    listeners.shutdown().await;
    if let Ok(session) = Arc::try_unwrap(session).map_err(drop) {
        session.close().await;
    }
    ended
}

async fn listen(addresses: &[String], port: u16) -> Result<Vec<TcpListener>, TaskFailure> {
    let mut listeners: Vec<TcpListener> = Vec::new();
    for address in addresses {
        let (ips, is_every_needed): (Vec<IpAddr>, bool) = match address.as_str() {
            // Machines without IPv6 have one of them.
            "localhost" => (
                vec![[127, 0, 0, 1].into(), std::net::Ipv6Addr::LOCALHOST.into()],
                false,
            ),
            address => {
                let ip = address.parse().map_err(|_| {
                    TaskFailure::new(format!("{address:?} is no IP address, and not localhost"))
                })?;
                (vec![ip], true)
            }
        };
        let mut failure = None;
        let before = listeners.len();
        for ip in ips {
            // The same free port on both.
            let first = listeners
                .first()
                .and_then(|listener| listener.local_addr().ok());
            let port = first.map_or(port, |first| first.port());
            match TcpListener::bind((ip, port)).await {
                Ok(listener) => listeners.push(listener),
                Err(error) => failure = Some((ip, error)),
            }
        }
        if let Some((ip, error)) = failure.filter(|_| is_every_needed || listeners.len() == before)
        {
            return Err(TaskFailure::new(format!(
                "unable to listen on {ip}, port {port}: {error}; choose another LOCAL port, or \
                 :REMOTE for any free one"
            )));
        }
    }
    Ok(listeners)
}

/// Forwards each connection of a listener, until it is dropped with all of them.
async fn accept(listener: TcpListener, session: Arc<PortForwardSession>, remote: u16) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((local, _)) => {
                    let port = listener.local_addr().map_or(0, |address| address.port());
                    // A reader of stdout that is gone ends no connection.
                    let _ = console::print(format_args!("Handling connection for {port}\n"));
                    let session = Arc::clone(&session);
                    connections.spawn(async move {
                        if let Err(error) = forward(local, &session, remote).await {
                            console::note(format_args!("{port} -> {remote}: {error}"));
                        }
                    });
                }
                Err(error) => {
                    console::note(format_args!("cannot accept a connection: {error}"));
                    // Out of descriptors: some connections may end.
                    tokio::time::sleep(std::time::Duration::from_millis(100)).await;
                }
            },
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn forward(
    mut local: TcpStream,
    session: &PortForwardSession,
    remote: u16,
) -> io::Result<()> {
    local.set_nodelay(true)?;
    let mut stream = session.open(remote).await.map_err(io::Error::other)?;
    let copied = stream.relay(&mut local).await;
    match (copied, stream.failure()) {
        (_, Some(text)) => Err(io::Error::other(text)),
        (Err(error), None) if error.kind() == io::ErrorKind::ConnectionReset => Ok(()),
        (copied, None) => copied,
    }
}

/// Waits for Ctrl-C, or another signal that asks the program to end.
async fn interrupted() {
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};

        if let Ok(mut terminate) = signal(SignalKind::terminate()) {
            tokio::select! {
                _ = tokio::signal::ctrl_c() => {}
                _ = terminate.recv() => {}
            }
            return;
        }
    }
    // Without a handler the signal ends the program itself.
    if tokio::signal::ctrl_c().await.is_err() {
        std::future::pending::<()>().await;
    }
}

/// Reads `[LOCAL:]REMOTE`.
fn ports(text: &str) -> Result<Ports, String> {
    let port = |text: &str| {
        text.parse::<u16>()
            .map_err(|_| format!("{text:?} is no port from 0 to 65535"))
    };
    let (local, remote) = match text.split_once(':') {
        Some(("", remote)) => (0, port(remote)?),
        Some((local, remote)) => (port(local)?, port(remote)?),
        None => (port(text)?, port(text)?),
    };
    match remote {
        0 => Err("remote port must be > 0".to_owned()),
        remote => Ok(Ports { local, remote }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_are_those_of_kubectl() {
        for (text, local, remote) in [("80", 80, 80), ("8080:80", 8080, 80), (":80", 0, 80)] {
            assert_eq!(ports(text), Ok(Ports { local, remote }), "{text}");
        }
        for wrong in ["", "0", "80:0", "x:80", "80:", "65536", "1:2:3"] {
            assert!(ports(wrong).is_err(), "{wrong}");
        }
    }
}
