//! The sending half of a command's stream, on either side.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll},
};

use bytes::Bytes;
use lacewing_conn::driver::RawStream;
use tokio::io::AsyncWrite;

use crate::relay::WriteChunks;
#[cfg(feature = "websocket")]
use crate::websocket::ChannelWriter;

/// The sending half of a stream.
#[derive(Debug)]
pub(crate) enum Sink {
    /// Whole, with its reading half: the drop of that half alone would stop the peer, and the
    /// drop of the whole stream before its end resets it.
    Raw(RawStream),
    #[cfg(feature = "websocket")]
    Channel(ChannelWriter),
}

impl WriteChunks for Sink {
    fn poll_write_chunk(
        &mut self,
        cx: &mut Context<'_>,
        chunk: &mut Bytes,
    ) -> Poll<io::Result<()>> {
        match self {
            Self::Raw(stream) => stream.poll_write_chunk(cx, chunk),
            #[cfg(feature = "websocket")]
            Self::Channel(channel) => channel.poll_write_chunk(cx, chunk),
        }
    }
}

impl AsyncWrite for Sink {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        data: &[u8],
    ) -> Poll<io::Result<usize>> {
        match &mut *self {
            Self::Raw(stream) => Pin::new(stream).poll_write(cx, data),
            #[cfg(feature = "websocket")]
            Self::Channel(channel) => Pin::new(channel).poll_write(cx, data),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut *self {
            Self::Raw(stream) => Pin::new(stream).poll_flush(cx),
            #[cfg(feature = "websocket")]
            Self::Channel(channel) => Pin::new(channel).poll_flush(cx),
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut *self {
            Self::Raw(stream) => Pin::new(stream).poll_shutdown(cx),
            #[cfg(feature = "websocket")]
            Self::Channel(channel) => Pin::new(channel).poll_shutdown(cx),
        }
    }
}
