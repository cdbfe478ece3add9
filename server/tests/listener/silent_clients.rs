//! Clients that are gone without a word, on a protocol without PING.

#![cfg(target_os = "linux")]

use std::{fs, net::SocketAddr};

use lacewing_server::Version;
use tokio::net::TcpStream;

use crate::{Running, fetch};

/// The kernel's timer of the server's end: 2 is keep-alive, 0 is none.
fn timer(server: SocketAddr, client: SocketAddr) -> u8 {
    let hex = |address: SocketAddr| match address {
        SocketAddr::V4(address) => format!(
            "{:08X}:{:04X}",
            u32::from_ne_bytes(address.ip().octets()),
            address.port()
        ),
        SocketAddr::V6(_) => unreachable!(),
    };
    let (server, client) = (hex(server), hex(client));
    let table = fs::read_to_string("/proc/self/net/tcp").unwrap();
    let fields = table
        .lines()
        .map(|line| line.split_whitespace().collect::<Vec<_>>());
    let mut ours = fields.filter(|fields| fields[1] == server && fields[2] == client);
    let fields = ours.next().expect("no such connection");
    fields[5].split(':').next().unwrap().parse().unwrap()
}

/// Only the kernel can find out that such a client is gone.
#[tokio::test]
async fn the_kernel_probes_every_connection() {
    let server = Running::start(|builder| builder.bind(([127, 0, 0, 1], 0).into())).await;
    let address = server.address;
    // The listener is at work.
    let first = TcpStream::connect(address).await.unwrap();
    fetch(first, Version::Http2).await;
    let io = TcpStream::connect(address).await.unwrap();
    assert_eq!(timer(address, io.local_addr().unwrap()), 2);
    drop(io);
    server.stop().await;
}
