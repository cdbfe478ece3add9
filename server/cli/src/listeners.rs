//! The sockets on which lacewingd listens: addresses, paths, and descriptors that it inherits
//! (`systemd.socket`).

use std::{env, io, net::SocketAddr};

use lacewing_server::{ServerBuilder, Socket};
use listenfd::ListenFd;
use tokio::net::TcpListener;
#[cfg(unix)]
use tokio::net::UnixListener;
use tracing::warn;

use crate::{
    args::{Args, Listen},
    certificates::Certificates,
};

/// Listening sockets that another program opened.
pub(crate) struct Inherited {
    descriptors: ListenFd,
    names: Vec<String>,
    taken: Vec<usize>,
}

impl Inherited {
    /// Takes those that are meant for this process (LISTEN_FDS, LISTEN_PID). It changes the
    /// environment, so no other thread may run yet.
    pub(crate) fn take() -> Self {
        let descriptors = ListenFd::from_env();
        let names = env::var("LISTEN_FDNAMES").unwrap_or_default();
        Self {
            names: names.split(':').map(str::to_owned).collect(),
            descriptors,
            taken: Vec::new(),
        }
    }

    /// The sockets with this name, or the one with this number from 0.
    fn named(&mut self, name: &str) -> Result<Vec<Socket>, String> {
        let all = 0..self.descriptors.len();
        let number = name.parse().ok();
        let found: Vec<usize> = all
            .filter(|index| {
                let named = self.names.get(*index).map(String::as_str);
                named == Some(name) || number == Some(*index)
            })
            .collect();
        if found.is_empty() {
            return Err(format!(
                "fd:{name}: no such descriptor was passed (LISTEN_FDS, LISTEN_FDNAMES); {} were",
                self.descriptors.len()
            ));
        }
        let failed = |error: io::Error| format!("fd:{name}: {error}");
        let mut sockets = Vec::with_capacity(found.len());
        for index in found {
            self.taken.push(index);
            sockets.push(self.socket(index).map_err(failed)?);
        }
        Ok(sockets)
    }

    fn socket(&mut self, index: usize) -> io::Result<Socket> {
        let taken = || io::Error::other("it is in use for another address already");
        let tcp = match self.descriptors.take_tcp_listener(index) {
            Ok(listener) => listener.ok_or_else(taken),
            Err(error) => Err(error),
        };
        #[cfg(unix)]
        if tcp.is_err() {
            let unix = self.descriptors.take_unix_listener(index)?;
            let listener = unix.ok_or_else(taken)?;
            listener.set_nonblocking(true)?;
            return UnixListener::from_std(listener).map(Socket::from);
        }
        let listener = tcp?;
        listener.set_nonblocking(true)?;
        TcpListener::from_std(listener).map(Socket::from)
    }

    /// Warns of sockets whose clients nobody would answer.
    pub(crate) fn report_left(&self) {
        for index in 0..self.descriptors.len() {
            if !self.taken.contains(&index) {
                let name = self.names.get(index).map_or("", String::as_str);
                warn!("descriptor {index} ({name}) was passed, and no option names it: fd:{index}");
            }
        }
    }
}

/// Adds the listeners in cleartext, and returns their number.
pub(crate) fn bind_cleartext(
    builder: ServerBuilder,
    listen: &Listen,
    inherited: &mut Inherited,
) -> Result<(ServerBuilder, usize), String> {
    Ok(match listen {
        Listen::Off => (builder, 0),
        Listen::On(address) => (builder.bind(*address), 1),
        #[cfg(unix)]
        Listen::Unix(path) => (builder.bind_unix(path), 1),
        #[cfg(not(unix))]
        Listen::Unix(_) => (builder, 0),
        Listen::Inherited(name) => {
            let sockets = inherited.named(name)?;
            let count = sockets.len();
            (
                sockets.into_iter().fold(builder, ServerBuilder::listen),
                count,
            )
        }
    })
}

/// Adds the listeners with TLS, and returns their number.
pub(crate) fn bind_tls(
    builder: ServerBuilder,
    args: &Args,
    certificates: &Certificates,
    inherited: &mut Inherited,
) -> Result<(ServerBuilder, usize), String> {
    match &args.https {
        // `check_addresses` refuses Unix sockets.
        Listen::Off | Listen::Unix(_) => Ok((builder, 0)),
        Listen::On(address) => Ok((secured(builder, args, certificates, *address)?, 1)),
        Listen::Inherited(name) => {
            let sockets = inherited.named(name)?;
            let (mut builder, count) = (builder, sockets.len());
            for socket in sockets {
                builder = secured_socket(builder, args, certificates, socket)?;
            }
            Ok((builder, count))
        }
    }
}

#[cfg(not(feature = "npn"))]
fn secured(
    builder: ServerBuilder,
    _: &Args,
    certificates: &Certificates,
    address: SocketAddr,
) -> Result<ServerBuilder, String> {
    Ok(builder.bind_tls(address, certificates.config()?))
}

#[cfg(not(feature = "npn"))]
fn secured_socket(
    builder: ServerBuilder,
    _: &Args,
    certificates: &Certificates,
    socket: Socket,
) -> Result<ServerBuilder, String> {
    Ok(builder.listen_tls(socket, certificates.config()?))
}

#[cfg(feature = "npn")]
fn secured(
    builder: ServerBuilder,
    args: &Args,
    certificates: &Certificates,
    address: SocketAddr,
) -> Result<ServerBuilder, String> {
    Ok(if args.npn {
        builder.bind_npn(address, certificates.acceptor()?)
    } else {
        builder.bind_tls(address, certificates.config()?)
    })
}

#[cfg(feature = "npn")]
fn secured_socket(
    builder: ServerBuilder,
    args: &Args,
    certificates: &Certificates,
    socket: Socket,
) -> Result<ServerBuilder, String> {
    Ok(if args.npn {
        builder.listen_npn(socket, certificates.acceptor()?)
    } else {
        builder.listen_tls(socket, certificates.config()?)
    })
}
