//! Connections from inside the network namespace of a pod.

use std::{fs::File, io, os::fd::AsFd, path::PathBuf, thread, time::Duration};

use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};
use tokio::{
    net::{TcpSocket, TcpStream},
    sync::oneshot,
    time::timeout,
};

/// The time for each address, as in containerd.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// The network namespace of a pod. Port-forward connects to the pod's `localhost` in it, which no
/// address outside of it reaches.
///
/// ```no_run
/// use lacewing_kube::server::{Forward, NetworkNamespace};
///
/// async fn carry(namespace: &NetworkNamespace, forward: Forward) {
///     match namespace.connect(forward.port()).await {
///         Ok(mut pod) => drop(forward.into_io().relay(&mut pod).await),
///         Err(error) => forward.fail(&error.to_string()).await,
///     }
/// }
///
/// let namespace = NetworkNamespace::at("/run/netns/pod-1");
/// # let _ = (namespace, carry);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NetworkNamespace {
    path: PathBuf,
}

impl NetworkNamespace {
    /// Names the namespace by a file such as `/proc/PID/ns/net`, or one that is bound to it. The
    /// file is opened anew for each connection.
    pub fn at(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into() }
    }

    /// Connects to a port of the namespace's `localhost`: 127.0.0.1, then `::1`. Each has 5
    /// seconds.
    ///
    /// A socket belongs to the namespace in which it is created. A short-lived thread enters the
    /// namespace for that, so that no thread of the runtime ever leaves its own.
    ///
    /// # Errors
    ///
    /// The namespace cannot be opened or entered, which needs `CAP_SYS_ADMIN`; or the pod does
    /// not listen on the port. The text names the namespace or the address.
    pub async fn connect(&self, port: u16) -> io::Result<TcpStream> {
        let (v4, v6) = self.sockets().await?;
        let mut failures = Vec::new();
        let mut kind = io::ErrorKind::Unsupported;
        for (socket, host) in [(v4, "127.0.0.1"), (v6, "[::1]")] {
            match connect(socket, host, port).await {
                Ok(stream) => return Ok(stream),
                Err(error) => {
                    // The first address is the one that pods listen on.
                    if failures.is_empty() {
                        kind = error.kind();
                    }
                    failures.push(format!("{host}:{port}: {error}"));
                }
            }
        }
        let text = format!("cannot connect to the pod: {}", failures.join("; "));
        Err(io::Error::new(kind, text))
    }

    async fn sockets(&self) -> io::Result<Sockets> {
        let (answer, sockets) = oneshot::channel();
        let path = self.path.clone();
        // Not a thread of a pool: this one stays in the namespace until its end.
        thread::Builder::new()
            .name("netns".to_owned())
            .spawn(move || {
                let entered = File::open(path)
                    .and_then(|file| {
                        let network = Some(LinkNameSpaceType::Network);
                        Ok(move_into_link_name_space(file.as_fd(), network)?)
                    })
                    .map(|()| (TcpSocket::new_v4(), TcpSocket::new_v6()));
                // The caller may have been dropped.
                let _ = answer.send(entered);
            })?;
        let early = |_| Err(io::Error::other("its thread ended early"));
        sockets.await.unwrap_or_else(early).map_err(|error| {
            let path = self.path.display();
            let text = format!("cannot enter the network namespace {path}: {error}");
            io::Error::new(error.kind(), text)
        })
    }
}

/// A kernel without IPv6 has only one.
type Sockets = (io::Result<TcpSocket>, io::Result<TcpSocket>);

async fn connect(socket: io::Result<TcpSocket>, host: &str, port: u16) -> io::Result<TcpStream> {
    let address = format!("{host}:{port}").parse();
    let address = address.map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error))?;
    let stream = timeout(CONNECT_TIMEOUT, socket?.connect(address)).await??;
    stream.set_nodelay(true)?;
    Ok(stream)
}
