//! A page in the browser that shows connections, streams, windows and stalls while they happen.
//!
//! A [`Board`] holds what is shown: a server writes to it with
//! [`ServerOptions::board`](crate::ServerOptions::board), other programs by
//! [`Board::watch`]. A [`Page`] serves it on an address of its own. The page needs nothing else:
//! no script or style from elsewhere, and no cookie. The browser gets a snapshot, and then what
//! changes, four times a second at most, by Server-Sent Events. It gets no header fields, and no
//! queries of URLs.
//!
//! ```
//! use lacewing_server::{Server, live::{Board, Page}};
//!
//! # let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
//! # runtime.block_on(async {
//! let board = Board::new("my server");
//! let page = Page::bind(([127, 0, 0, 1], 0).into(), board.clone()).await?;
//! println!("live page: http://{}/", page.local_addr());
//! tokio::spawn(page.serve());
//!
//! let server = Server::builder().options(|options| options.board(board));
//! # drop(server);
//! # Ok::<(), lacewing_server::StartError>(())
//! # }).unwrap();
//! # Ok::<(), std::io::Error>(())
//! ```

mod answers;
mod events;
mod guard;

use std::{fmt, net::SocketAddr};

use lacewing_conn::{Limits, Side, driver::ConnectionConfig};

pub use crate::board::{
    Board, ConnectionFacts, Figure, Gauge, Sample, Stall, StreamSample, WatchedConnection,
};
use crate::{Server, StartError};

/// Connections to the page at once: one more closes the one that is idle for longest.
const MAX_CONNECTIONS: usize = 64;

/// Serves a [`Board`] on an address, in cleartext.
///
/// It answers requests whose `host` is `localhost` or an IP address, since the name of another
/// site that resolves to this address would let that site read the page (DNS rebinding). Anybody
/// who reaches the address can read it: bind a loopback address, or put a proxy that asks for a
/// password before it.
pub struct Page {
    server: Server,
    address: SocketAddr,
    board: Board,
}

impl Page {
    /// Binds the address.
    ///
    /// # Errors
    ///
    /// The address cannot be bound.
    pub async fn bind(address: SocketAddr, board: Board) -> Result<Self, StartError> {
        let limits = Limits::new(Side::Server).with(|limits| {
            limits.max_concurrent_streams = 32;
        });
        let connection = ConnectionConfig::new(Side::Server).with(|config| {
            config.limits = limits.into();
        });
        let server = Server::builder()
            .bind(address)
            .connection(connection)
            .options(|options| options.max_connections(MAX_CONNECTIONS))
            .build()
            .await?;
        let address = server.local_addrs().next().unwrap_or(address);
        Ok(Self {
            server,
            address,
            board,
        })
    }

    /// The address with the port that the system chose, if 0 was asked for.
    pub fn local_addr(&self) -> SocketAddr {
        self.address
    }

    /// Serves the page, without an end.
    pub async fn serve(self) {
        let board = self.board.clone();
        let service = answers::Answers::new(self.board);
        tokio::join!(board.run(), self.server.serve(service));
    }
}

impl fmt::Debug for Page {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Page")
            .field("address", &self.address)
            .field("board", &self.board)
            .finish_non_exhaustive()
    }
}
