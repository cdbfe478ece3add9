//! The soak: every part of it leaves memory, descriptors and tasks as it found them.
//!
//! `cargo xtask soak` builds and runs it.

mod kill;
mod many_connections;
mod resources;
mod restarts;
mod service;
mod traffic;

use std::{net::SocketAddr, time::Duration};

use clap::Parser;
use lacewing_server::{Extension, Server};
use tokio::{net::TcpListener, sync::oneshot, task::JoinHandle};

use crate::Error;
use resources::Resources;

/// The options of the command line.
#[derive(Debug, Parser)]
#[command(
    name = "soak",
    about = "Mixed traffic, many connections, restarts and kills"
)]
struct Arguments {
    /// Minutes of mixed traffic
    #[arg(long, default_value_t = 0.25)]
    minutes: f64,
    /// The number of idle connections
    #[arg(long, default_value_t = 500)]
    idle: usize,
    /// The number of busy connections
    #[arg(long, default_value_t = 50)]
    busy: usize,
    /// Restarts under load
    #[arg(long, default_value_t = 4)]
    restarts: usize,
}

/// Runs every part.
///
/// # Errors
///
/// The first part that left something, or failed.
pub fn run(args: impl Iterator<Item = String>) -> Result<(), Error> {
    let arguments = Arguments::parse_from(args);
    let runtime = crate::runtime::build(2)?;
    runtime.block_on(async {
        traffic::run(Duration::from_secs_f64(arguments.minutes * 60.0)).await?;
        many_connections::run(arguments.idle, arguments.busy).await?;
        restarts::run(arguments.restarts).await?;
        kill::run().await
    })
}

/// A server that runs until it is stopped.
struct Running {
    address: SocketAddr,
    stop: oneshot::Sender<()>,
    ended: JoinHandle<()>,
}

impl Running {
    async fn start(listener: std::net::TcpListener) -> Result<Self, Error> {
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let listener = TcpListener::from_std(listener)?;
        let (stop, stopped) = oneshot::channel::<()>();
        let server = Server::builder()
            .listen(listener)
            .options(|options| options.max_connections(100_000).pusher(Extension::Insert))
            .shutdown(async move {
                let _ = stopped.await;
            })
            .build()
            .await?;
        let ended = tokio::spawn(server.serve(service::Soak));
        // The server's own tasks must exist before the first measurement.
        tokio::time::sleep(Duration::from_millis(300)).await;
        Ok(Self {
            address,
            stop,
            ended,
        })
    }

    async fn stop(self) -> Result<(), Error> {
        let _ = self.stop.send(());
        Ok(self.ended.await?)
    }
}

fn listener() -> Result<std::net::TcpListener, Error> {
    Ok(std::net::TcpListener::bind(("127.0.0.1", 0))?)
}

/// Waits until nothing is left above `before`; an error after a while.
async fn settle(part: &str, before: Resources) -> Result<(), Error> {
    let mut now = Resources::now();
    for _ in 0..600 {
        now = Resources::now();
        if now.is_back_at(before) {
            crate::say!("{part}: before {before}; after {now}");
            return Ok(());
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    Err(format!("{part}: before {before}; a minute after, {now}").into())
}
