//! TCP connections as streams of one connection.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use http::HeaderMap;
use lacewing_conn::{
    Reason, Side,
    driver::{Mux as Streams, OpenOptions, RawStream},
};
use tokio::{io::copy_bidirectional, net::TcpStream, sync::Semaphore, time::timeout};

use super::{Mux, connect, end, listen};
use crate::{console, status::Failure};

/// The TCP connections at once; further ones wait.
const MAX_FORWARDS: usize = 1_000;

/// The time for the connection to the target of a stream.
const CONNECT: Duration = Duration::from_secs(10);

/// Accepts TCP connections, and opens a stream for each, until the connection ends.
pub(super) async fn accept(mux: &Mux, local: SocketAddr) -> Result<(), Failure> {
    let (streams, mut connection) = connect(mux).await?;
    let listener = listen(local).await?;
    let room = Arc::new(Semaphore::new(MAX_FORWARDS));
    loop {
        let Ok(permit) = Arc::clone(&room).acquire_owned().await else {
            continue;
        };
        let (client, peer) = tokio::select! {
            accepted = super::accept(&listener) => accepted?,
            ended = &mut connection => return Err(ended_by_peer(mux, ended)),
        };
        let streams = streams.clone();
        tokio::spawn(async move {
            let opened = streams.open(HeaderMap::new(), OpenOptions::default()).await;
            match opened {
                Ok(stream) => join(client, stream, peer).await,
                Err(error) => console::note(format_args!("{peer}: {error}")),
            }
            drop(permit);
        });
    }
}

fn ended_by_peer(
    mux: &Mux,
    ended: Result<Result<(), lacewing_conn::Error>, tokio::task::JoinError>,
) -> Failure {
    match ended {
        Ok(Err(error)) => Failure::broken(mux.address, error),
        _ => Failure::broken(mux.address, "the other side closed the connection"),
    }
}

/// Accepts connections, and connects each of their streams to `to`.
pub(super) async fn serve(mux: &Mux, to: SocketAddr) -> Result<(), Failure> {
    let listener = listen(mux.address).await?;
    let room = Arc::new(Semaphore::new(MAX_FORWARDS));
    loop {
        let (transport, _) = super::accept(&listener).await?;
        let (streams, connection) =
            Streams::server(transport, mux.protocol, mux.config(Side::Server));
        let connection = tokio::spawn(connection);
        let room = Arc::clone(&room);
        tokio::spawn(async move {
            while let Some((_, stream)) = streams.accept().await {
                let Ok(permit) = Arc::clone(&room).acquire_owned().await else {
                    break;
                };
                tokio::spawn(async move {
                    dial(stream, to).await;
                    drop(permit);
                });
            }
            end(streams, connection).await;
        });
    }
}

async fn dial(stream: RawStream, to: SocketAddr) {
    match timeout(CONNECT, TcpStream::connect(to)).await {
        Ok(Ok(target)) => {
            let _ = target.set_nodelay(true);
            stream.reply(HeaderMap::new());
            join(target, stream, to).await;
        }
        failed => {
            let reason = match failed {
                Ok(Err(error)) => error.to_string(),
                _ => format!("no connection within {CONNECT:?}"),
            };
            console::note(format_args!("{to}: {reason}"));
            stream.reset(Reason::ConnectError);
        }
    }
}

/// Copies both ways, with the ends of both halves. An error on one side resets the other.
async fn join(mut transport: TcpStream, mut stream: RawStream, peer: SocketAddr) {
    if let Err(error) = copy_bidirectional(&mut transport, &mut stream).await {
        console::note(format_args!("{peer}: {error}"));
        stream.reset(Reason::Cancel);
    }
}
