//! Sockets that connections are accepted on: TCP and Unix.

use std::{io, net::SocketAddr, time::Duration};

use lacewing_conn::Limits;
use socket2::{SockRef, TcpKeepalive};
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

/// A [`Socket`] outside of any runtime.
#[derive(Debug)]
pub(crate) enum Detached {
    Tcp(std::net::TcpListener),
    #[cfg(unix)]
    Unix(unix::Detached),
}

impl Detached {
    /// Hands the socket to the runtime of the caller.
    pub(crate) fn attach(self) -> io::Result<Socket> {
        match self {
            Self::Tcp(listener) => TcpListener::from_std(listener).map(Socket::from),
            #[cfg(unix)]
            Self::Unix(detached) => detached.attach().map(|unix| Socket(Kind::Unix(unix))),
        }
    }
}

/// The sharing of an address by several sockets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sharing {
    None,
    /// The kernel spreads new connections over the sockets of an address.
    #[cfg(target_os = "linux")]
    ReusePort,
}

impl Socket {
    /// Binds one socket for each of `count` threads, and returns their address. Where the kernel spreads connections over the
    /// sockets of an address, each thread has a queue of its own; elsewhere all accept from one.
    pub(crate) fn bind_for_threads(
        address: SocketAddr,
        count: usize,
        sharing: Sharing,
    ) -> Result<(Address, Vec<Detached>), StartError> {
        let failed = |source| StartError::Bind {
            address: address.into(),
            source,
        };
        #[cfg(target_os = "linux")]
        {
            // With SO_REUSEPORT alone, two programs could share a port unnoticed.
            if address.port() != 0 && sharing == Sharing::None {
                drop(Self::bind(address, Sharing::None)?);
            }
            let mut address = address;
            let mut sockets = Vec::with_capacity(count);
            for _ in 0..count {
                let socket = Self::bind(address, Sharing::ReusePort)?;
                // Port 0 stands for a free one.
                address = socket.address().socket_addr().unwrap_or(address);
                sockets.extend(socket.detach(1).map_err(failed)?);
            }
            Ok((address.into(), sockets))
        }
        #[cfg(not(target_os = "linux"))]
        {
            let socket = Self::bind(address, sharing)?;
            Ok((socket.address(), socket.detach(count).map_err(failed)?))
        }
    }

    /// Takes the socket out of its runtime, as `count` descriptors with one queue.
    pub(crate) fn detach(self, count: usize) -> io::Result<Vec<Detached>> {
        match self.0 {
            Kind::Tcp(listener) => {
                let listener = listener.into_std()?;
                let clones = (1..count).map(|_| listener.try_clone().map(Detached::Tcp));
                let mut all = clones.collect::<io::Result<Vec<_>>>()?;
                all.push(Detached::Tcp(listener));
                Ok(all)
            }
            #[cfg(unix)]
            Kind::Unix(listening) => {
                let all = listening.detach(count)?;
                Ok(all.into_iter().map(Detached::Unix).collect())
            }
        }
    }

    pub(crate) fn bind(address: SocketAddr, sharing: Sharing) -> Result<Self, StartError> {
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
            match sharing {
                Sharing::None => {}
                #[cfg(target_os = "linux")]
                Sharing::ReusePort => socket.set_reuseport(true)?,
            }
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

/// Probes that a client leaves without an answer before it is gone.
#[cfg(any(target_os = "linux", target_os = "android", target_vendor = "apple"))]
const PROBES: u32 = 3;
/// The longest time that Linux takes, in seconds.
const LONGEST_SILENCE: u64 = 32_767;

/// Lets the kernel ask for silent clients of the listener. HTTP/1.1, and what it was upgraded to, have
/// no PING: without these probes, a client that lost its network would keep a long poll or a
/// WebSocket open for ever. The sockets of accepted connections have the options of their listener.
pub(crate) fn probe_silent_clients(listener: &TcpListener, limits: &Limits) {
    let times = [limits.keep_alive_interval, limits.max_silence];
    let Some(silence) = times.into_iter().flatten().min() else {
        return;
    };
    let whole = |time: Duration| Duration::from_secs(time.as_secs().clamp(1, LONGEST_SILENCE));
    let probes = TcpKeepalive::new().with_time(whole(silence));
    #[cfg(any(
        target_os = "linux",
        target_os = "android",
        target_vendor = "apple",
        windows
    ))]
    let probes = probes.with_interval(whole(limits.keep_alive_timeout));
    #[cfg(any(target_os = "linux", target_os = "android", target_vendor = "apple"))]
    let probes = probes.with_retries(PROBES);
    // A system without them still has the write timeout.
    let _ = SockRef::from(listener).set_tcp_keepalive(&probes);
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
        let first = Socket::bind(SocketAddr::from(([127, 0, 0, 1], 0)), Sharing::None).unwrap();
        let address = first.address();
        let same = address.socket_addr().unwrap();
        let alone = Socket::bind(same, Sharing::None).map(drop);
        for other in [
            alone,
            Socket::bind_for_threads(same, 2, Sharing::None).map(drop),
        ] {
            match other {
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

    #[cfg(target_os = "linux")]
    #[tokio::test]
    async fn accepted_connections_are_probed_after_a_silence() {
        use lacewing_conn::Side;

        let seconds = |number| Some(Duration::from_secs(number));
        for (interval, max_silence, silence) in [
            (None, seconds(90), seconds(90)),
            (seconds(30), seconds(90), seconds(30)),
            (seconds(30), None, seconds(30)),
            (None, Some(Duration::MAX), Some(Duration::MAX)),
            (None, None, None),
        ] {
            let limits = Limits::new(Side::Server).with(|limits| {
                limits.keep_alive_interval = interval;
                limits.max_silence = max_silence;
            });
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            probe_silent_clients(&listener, &limits);
            let _client = TcpStream::connect(listener.local_addr().unwrap())
                .await
                .unwrap();
            let io = Accept::accept(&listener).await.unwrap();
            let socket = SockRef::from(&io);
            assert_eq!(socket.keepalive().unwrap(), silence.is_some());
            if let Some(silence) = silence {
                let longest = Duration::from_secs(LONGEST_SILENCE);
                assert_eq!(socket.tcp_keepalive_time().unwrap(), silence.min(longest));
                assert_eq!(
                    socket.tcp_keepalive_interval().unwrap(),
                    limits.keep_alive_timeout
                );
                assert_eq!(socket.tcp_keepalive_retries().unwrap(), PROBES);
            }
        }
    }

    #[tokio::test]
    async fn threads_that_share_a_port_keep_others_from_it() {
        let any = SocketAddr::from(([127, 0, 0, 1], 0));
        let (address, sockets) = Socket::bind_for_threads(any, 3, Sharing::None).unwrap();
        assert_eq!(sockets.len(), 3);
        let attached = sockets.into_iter().map(|socket| socket.attach().unwrap());
        let attached = attached.collect::<Vec<_>>();
        assert!(attached.iter().all(|socket| socket.address() == address));
        let same = address.socket_addr().unwrap();
        assert!(Socket::bind(same, Sharing::None).is_err());
        #[cfg(target_os = "linux")]
        {
            let permitted = Socket::bind_for_threads(same, 2, Sharing::ReusePort);
            assert_eq!(permitted.unwrap().0, address);
        }
        assert!(Socket::bind_for_threads(same, 2, Sharing::None).is_err());
    }
}
