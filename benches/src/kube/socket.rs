//! TCP sockets with Linux's usual congestion control, whatever the machine's default is.
//!
//! BBR paces: on loopback, its timers cost more than the copies, and most for those who write much
//! at once. The peers in Go have the same sockets.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};

use tokio::net::{TcpListener, TcpSocket, TcpStream};

const BACKLOG: u32 = 1024;

/// Listens on a port of 127.0.0.1. Accepted connections inherit the congestion control.
///
/// # Errors
///
/// The port is taken.
pub fn listen(port: u16) -> io::Result<TcpListener> {
    let socket = socket()?;
    socket.set_reuseaddr(true)?;
    socket.bind((Ipv4Addr::LOCALHOST, port).into())?;
    socket.listen(BACKLOG)
}

/// Connects to a port of 127.0.0.1, without Nagle's algorithm.
pub(super) async fn connect(port: u16) -> io::Result<TcpStream> {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let stream = socket()?.connect(address).await?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

fn socket() -> io::Result<TcpSocket> {
    let socket = TcpSocket::new_v4()?;
    #[cfg(target_os = "linux")]
    if let Err(error) = socket2::SockRef::from(&socket).set_tcp_congestion(b"cubic") {
        crate::note!("the machine's congestion control stays: {error}");
    }
    Ok(socket)
}
