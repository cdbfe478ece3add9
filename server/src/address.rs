//! The addresses of the two ends of a connection.

use std::{fmt, net::SocketAddr, path::Path, sync::Arc};

/// The address of one end of a connection, or of a listener.
///
/// ```
/// use std::net::SocketAddr;
///
/// use lacewing_server::{Address, UnixAddress};
///
/// let tcp = Address::from(SocketAddr::from(([192, 0, 2, 1], 443)));
/// assert_eq!(tcp.to_string(), "192.0.2.1:443");
/// let unix = Address::from(UnixAddress::named("/run/app.sock"));
/// assert_eq!(unix.to_string(), "unix:/run/app.sock");
/// assert_eq!(unix.socket_addr(), None);
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Address {
    /// TCP: an IP address and a port.
    Tcp(SocketAddr),
    /// A Unix socket.
    Unix(UnixAddress),
}

impl Address {
    /// The IP address and the port; `None` for a Unix socket, which has
    /// neither.
    pub fn socket_addr(&self) -> Option<SocketAddr> {
        match self {
            Self::Tcp(address) => Some(*address),
            Self::Unix(_) => None,
        }
    }

    /// The address of a Unix socket; `None` for others.
    pub fn unix(&self) -> Option<&UnixAddress> {
        match self {
            Self::Unix(address) => Some(address),
            Self::Tcp(_) => None,
        }
    }
}

impl From<SocketAddr> for Address {
    fn from(address: SocketAddr) -> Self {
        Self::Tcp(address)
    }
}

impl From<UnixAddress> for Address {
    fn from(address: UnixAddress) -> Self {
        Self::Unix(address)
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => address.fmt(f),
            Self::Unix(address) => address.fmt(f),
        }
    }
}

/// One end of a Unix socket. A listener has a path. A client mostly has none, but the operating
/// system reports its process.
///
/// ```
/// use lacewing_server::ConnectionInfo;
///
/// /// Only processes of this user may ask.
/// fn is_of_user<B>(request: &http::Request<B>, uid: u32) -> bool {
///     let info = request.extensions().get::<ConnectionInfo>();
///     let peer = info.and_then(ConnectionInfo::peer).and_then(|peer| peer.unix());
///     peer.and_then(|peer| peer.credentials()).is_some_and(|peer| peer.uid == uid)
/// }
/// # let _ = is_of_user::<()>;
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct UnixAddress {
    path: Option<Arc<Path>>,
    /// In a box, so that the addresses of TCP connections do not take more room for it.
    credentials: Option<Box<Credentials>>,
}

impl UnixAddress {
    /// A socket in the file system.
    pub fn named(path: impl AsRef<Path>) -> Self {
        Self {
            path: Some(path.as_ref().into()),
            credentials: None,
        }
    }

    /// Returns the address with the credentials of its process.
    #[must_use]
    pub fn with_credentials(mut self, credentials: Credentials) -> Self {
        self.credentials = Some(Box::new(credentials));
        self
    }

    /// Its path in the file system; `None` if it has no name there.
    pub fn path(&self) -> Option<&Path> {
        self.path.as_deref()
    }

    /// Returns the credentials of the peer's process, as the operating system
    /// reports them.
    pub fn credentials(&self) -> Option<Credentials> {
        self.credentials.as_deref().copied()
    }
}

impl fmt::Display for UnixAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("unix:")?;
        if let Some(path) = &self.path {
            return path.display().fmt(f);
        }
        match self.credentials() {
            Some(Credentials {
                uid,
                pid: Some(pid),
                ..
            }) => write!(f, "process {pid} of user {uid}"),
            Some(Credentials { uid, .. }) => write!(f, "user {uid}"),
            None => f.write_str("unnamed"),
        }
    }
}

/// The credentials of the process at the other end of a Unix socket
/// (`SO_PEERCRED` and the like).
///
/// ```
/// use lacewing_server::{Credentials, UnixAddress};
///
/// let peer = UnixAddress::default().with_credentials(Credentials::new(1000, 100));
/// assert_eq!(peer.to_string(), "unix:user 1000");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Credentials {
    /// The user's number.
    pub uid: u32,
    /// The group's number.
    pub gid: u32,
    /// The process's id, where the operating system reports it.
    pub pid: Option<i32>,
}

impl Credentials {
    /// A process of this user and group.
    pub fn new(uid: u32, gid: u32) -> Self {
        Self {
            uid,
            gid,
            pid: None,
        }
    }
}

/// Both ends of a connection, as far as they are known.
///
/// ```
/// use lacewing_server::Endpoints;
///
/// # let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
/// # runtime.block_on(async {
/// let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
/// let client = tokio::net::TcpStream::connect(listener.local_addr()?).await?;
/// let endpoints = Endpoints::of_tcp(&client);
/// assert_eq!(endpoints.peer.unwrap().socket_addr(), listener.local_addr().ok());
/// # Ok::<(), std::io::Error>(())
/// # })?;
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Endpoints {
    /// The peer's address.
    pub peer: Option<Address>,
    /// The address that the peer connected to.
    pub local: Option<Address>,
}

impl Endpoints {
    /// Returns the endpoints of a TCP connection.
    pub fn of_tcp(socket: &tokio::net::TcpStream) -> Self {
        Self {
            peer: socket.peer_addr().ok().map(Address::Tcp),
            local: socket.local_addr().ok().map(Address::Tcp),
        }
    }

    /// Returns the endpoints of a Unix socket, with the peer's process.
    #[cfg(unix)]
    pub fn of_unix(socket: &tokio::net::UnixStream) -> Self {
        let mut peer = socket
            .peer_addr()
            .map_or_else(|_| UnixAddress::default(), UnixAddress::from);
        if let Ok(credentials) = socket.peer_cred() {
            peer = peer.with_credentials(Credentials {
                uid: credentials.uid(),
                gid: credentials.gid(),
                pid: credentials.pid(),
            });
        }
        let local = socket.local_addr().ok().map(UnixAddress::from);
        Self {
            peer: Some(Address::Unix(peer)),
            local: local.map(Address::Unix),
        }
    }

    /// Returns the same with another address of the peer, for example one that
    /// a proxy reported.
    #[must_use]
    pub fn with_peer(mut self, peer: impl Into<Address>) -> Self {
        self.peer = Some(peer.into());
        self
    }

    /// Returns the same with another address of ours.
    #[must_use]
    pub fn with_local(mut self, local: impl Into<Address>) -> Self {
        self.local = Some(local.into());
        self
    }
}

#[cfg(unix)]
impl From<tokio::net::unix::SocketAddr> for UnixAddress {
    fn from(address: tokio::net::unix::SocketAddr) -> Self {
        Self {
            path: address.as_pathname().map(Arc::from),
            credentials: None,
        }
    }
}
