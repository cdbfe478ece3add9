//! Sockets that connections are accepted on: TCP and Unix.

use std::{io, net::SocketAddr};

use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, TcpSocket, TcpStream},
};

use crate::{Address, Endpoints, StartError};

#[cfg(unix)]
mod unix;

/// Connections that the operating system keeps until they are accepted.
pub(crate) const BACKLOG: u32 = 1024;

/// A listener that is bound already: a [`tokio::net::TcpListener`], or a
/// [`tokio::net::UnixListener`] where there are Unix sockets.
///
/// ```
/// use lacewing_server::{Server, Socket};
/// use tokio::net::TcpListener;
///
/// # let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
/// # runtime.block_on(async {
/// let listener = TcpListener::bind("127.0.0.1:0").await?;
/// // `listen` takes a listener as well as a `Socket`.
/// let builder = Server::builder().listen(listener);
/// # let _ = builder;
/// # let _: Option<Socket> = None;
/// # Ok::<(), std::io::Error>(())
/// # })?;
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug)]
pub struct Socket(pub(crate) Kind);

#[derive(Debug)]
pub(crate) enum Kind {
    Tcp(TcpListener),
    #[cfg(unix)]
    Unix(unix::Listening),
}

impl Socket {
    pub(crate) fn bind(address: SocketAddr) -> Result<Self, StartError> {
        let bind = || {
            let socket = if address.is_ipv4() {
                TcpSocket::new_v4()
            } else {
                TcpSocket::new_v6()
            }?;
            // After a restart, the server must not wait for old connections to leave TIME_WAIT. On
            // Windows this option has another meaning.
            #[cfg(not(windows))]
            socket.set_reuseaddr(true)?;
            socket.bind(address)?;
            socket.listen(BACKLOG)
        };
        let listener = bind().map_err(|source| StartError::Bind {
            address: address.into(),
            source,
        })?;
        Ok(listener.into())
    }

    #[cfg(unix)]
    pub(crate) fn bind_unix(path: &std::path::Path) -> Result<Self, StartError> {
        match unix::Listening::bind(path) {
            Ok(listening) => Ok(Self(Kind::Unix(listening))),
            Err(source) => Err(StartError::Bind {
                address: crate::UnixAddress::named(path).into(),
                source,
            }),
        }
    }

    /// The address on which it listens.
    pub(crate) fn address(&self) -> Address {
        match &self.0 {
            Kind::Tcp(listener) => {
                let unknown = SocketAddr::from(([0, 0, 0, 0], 0));
                listener.local_addr().unwrap_or(unknown).into()
            }
            #[cfg(unix)]
            Kind::Unix(listening) => listening.address().into(),
        }
    }
}

impl From<TcpListener> for Socket {
    fn from(listener: TcpListener) -> Self {
        Self(Kind::Tcp(listener))
    }
}

#[cfg(unix)]
impl From<tokio::net::UnixListener> for Socket {
    fn from(listener: tokio::net::UnixListener) -> Self {
        Self(Kind::Unix(listener.into()))
    }
}

/// The listening sockets.
pub(crate) trait Accept: Send + Sync {
    type Io: AsyncRead + AsyncWrite + Unpin + Send + 'static;

    fn accept(&self) -> impl Future<Output = io::Result<Self::Io>> + Send;

    /// The parts that a new connection needs on its own task.
    fn prepare(io: &Self::Io) -> Endpoints;
}

impl Accept for TcpListener {
    type Io = TcpStream;

    async fn accept(&self) -> io::Result<TcpStream> {
        let (io, _) = TcpListener::accept(self).await?;
        Ok(io)
    }

    fn prepare(io: &TcpStream) -> Endpoints {
        // Without TCP_NODELAY, small responses wait for the client's delayed acknowledgements. This
        // fails if the connection has ended already.
        let _ = io.set_nodelay(true);
        Endpoints::of_tcp(io)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_port_in_use_is_an_error_with_its_address() {
        let first = Socket::bind(SocketAddr::from(([127, 0, 0, 1], 0))).unwrap();
        let address = first.address();
        match Socket::bind(address.socket_addr().unwrap()) {
            Err(StartError::Bind {
                address: named,
                source,
            }) => {
                assert_eq!(named, address);
                assert_eq!(source.kind(), io::ErrorKind::AddrInUse);
            }
            other => panic!("{other:?}"),
        }
    }
}
