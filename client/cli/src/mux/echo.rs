//! The peer of `lacewing load --mux`: each stream gets its own bytes back.

use std::{io, sync::Arc};

use http::HeaderMap;
use lacewing_conn::{
    Reason, Side,
    driver::{Mux as Streams, RawStream},
};
use tokio::{io::AsyncWriteExt as _, net::TcpStream, sync::Semaphore};

use super::{Mux, accept, end, listen};
use crate::{console, status::Failure};

/// The connections at once; further ones wait.
const MAX_CONNECTIONS: usize = 1_000;

/// Accepts connections, and echoes their streams.
pub(super) async fn serve(mux: &Mux) -> Result<(), Failure> {
    let listener = listen(mux.address).await?;
    let room = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    loop {
        let Ok(permit) = Arc::clone(&room).acquire_owned().await else {
            continue;
        };
        let (transport, _) = accept(&listener).await?;
        let mux = mux.clone();
        tokio::spawn(async move {
            connection(&mux, transport).await;
            drop(permit);
        });
    }
}

async fn connection(mux: &Mux, transport: TcpStream) {
    let (streams, connection) = Streams::server(transport, mux.protocol, mux.config(Side::Server));
    let connection = tokio::spawn(connection);
    while let Some((_, stream)) = streams.accept().await {
        tokio::spawn(async move {
            let id = stream.id().value();
            if let Err(error) = echo(stream).await {
                console::note(format_args!("stream {id}: {error}"));
            }
        });
    }
    end(streams, connection).await;
}

/// Sends the bytes of a stream back, and ends it with its peer.
async fn echo(stream: RawStream) -> io::Result<()> {
    stream.reply(HeaderMap::new());
    let (mut reader, mut writer) = stream.into_split();
    match tokio::io::copy(&mut reader, &mut writer).await {
        Ok(_) => writer.shutdown().await,
        Err(error) => {
            writer.reset(Reason::Cancel);
            Err(error)
        }
    }
}
