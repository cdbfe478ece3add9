//! Bytes inside the binary messages of a WebSocket, as a transport.

use std::{future::ready, io};

use bytes::Bytes;
use futures_util::{SinkExt, StreamExt};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_tungstenite::{WebSocketStream, tungstenite::Message};
use tokio_util::io::{CopyToBytes, SinkWriter, StreamReader};

/// Turns a WebSocket into a transport: reads return the bytes of incoming messages,
/// and each write is a message. A Close frame is the end; tungstenite answers PINGs
/// by itself.
pub(crate) fn transport<IO>(socket: WebSocketStream<IO>) -> impl AsyncRead + AsyncWrite + Unpin
where
    IO: AsyncRead + AsyncWrite + Unpin,
{
    let (sink, stream) = socket.split();
    let incoming = stream.filter_map(|message| {
        ready(match message {
            Ok(Message::Binary(data)) => Some(Ok(data)),
            Ok(_) => None,
            Err(error) => Some(Err(io::Error::other(error))),
        })
    });
    let outgoing = sink
        .sink_map_err(io::Error::other)
        .with(|data: Bytes| ready(Ok::<_, io::Error>(Message::Binary(data))));
    tokio::io::join(
        StreamReader::new(incoming),
        SinkWriter::new(CopyToBytes::new(outgoing)),
    )
}
