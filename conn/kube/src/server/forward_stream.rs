//! The bytes of a forwarded connection, on a stream or on a channel.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll},
};

use lacewing_conn::driver::RawStream;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

#[cfg(feature = "websocket")]
use crate::websocket::{ChannelReader, ChannelWriter};

#[derive(Debug)]
pub(super) enum ForwardStream {
    Spdy(RawStream),
    #[cfg(feature = "websocket")]
    Channels {
        reader: ChannelReader,
        writer: ChannelWriter,
    },
}

impl AsyncRead for ForwardStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match &mut *self {
            Self::Spdy(stream) => Pin::new(stream).poll_read(cx, buffer),
            #[cfg(feature = "websocket")]
            Self::Channels { reader, .. } => Pin::new(reader).poll_read(cx, buffer),
        }
    }
}

impl AsyncWrite for ForwardStream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        data: &[u8],
    ) -> Poll<io::Result<usize>> {
        match &mut *self {
            Self::Spdy(stream) => Pin::new(stream).poll_write(cx, data),
            #[cfg(feature = "websocket")]
            Self::Channels { writer, .. } => Pin::new(writer).poll_write(cx, data),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut *self {
            Self::Spdy(stream) => Pin::new(stream).poll_flush(cx),
            #[cfg(feature = "websocket")]
            Self::Channels { writer, .. } => Pin::new(writer).poll_flush(cx),
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut *self {
            Self::Spdy(stream) => Pin::new(stream).poll_shutdown(cx),
            #[cfg(feature = "websocket")]
            Self::Channels { reader, writer } => {
                // The protocol has no end of one direction. If the pod has ended its own, the
                // connection is over, or its client would wait for ever.
                reader.end();
                Pin::new(writer).poll_shutdown(cx)
            }
        }
    }
}
