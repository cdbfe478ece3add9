//! `-v`: every frame on the wire, in words.
//!
//! The bytes are tapped between the connection and its transport, in both
//! directions, and decoded here once more. So what is shown is what was sent
//! and received, whatever the connection made of it.

mod http2;
mod spdy;
mod text;

use std::{
    io::{self, IoSlice},
    pin::Pin,
    sync::atomic::{AtomicUsize, Ordering},
    task::{Context, Poll, ready},
};

use lacewing_client::{Connect, Connected, Connecting, Connector, Origin, Transport, Version};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::console;

/// A [`Connector`] whose transports are tapped.
pub(crate) struct Logging {
    connector: Connector,
    connections: AtomicUsize,
}

impl Logging {
    pub(crate) fn new(connector: Connector) -> Self {
        Self {
            connector,
            connections: AtomicUsize::new(0),
        }
    }
}

impl Connect for Logging {
    fn connect<'a>(&'a self, origin: &'a Origin) -> Connecting<'a> {
        Box::pin(async move {
            let connected = self.connector.connect(origin).await?;
            let number = self
                .connections
                .fetch_add(1, Ordering::Relaxed)
                .saturating_add(1);
            // The first connection is usually the only one.
            let prefix = if number == 1 {
                String::new()
            } else {
                format!("[{number}] ")
            };
            let Connected {
                io,
                version,
                address,
            } = connected;
            console::note_as_is(format_args!(
                "{prefix}* connected to {origin}, speaking {version}\n"
            ));
            let tap = Tap::new(io, version, &prefix);
            Ok(Connected::new(tap, version).at(address))
        })
    }
}

/// A transport that shows its frames.
struct Tap {
    io: Box<dyn Transport>,
    sent: FrameLog,
    received: FrameLog,
}

impl Tap {
    fn new(io: Box<dyn Transport>, version: Version, prefix: &str) -> Self {
        let sent = FrameLog::new(version, Direction::Sent, prefix);
        Self {
            io,
            sent,
            received: FrameLog::new(version, Direction::Received, prefix),
        }
    }
}

impl AsyncRead for Tap {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.io).poll_read(cx, buffer))?;
        let new = buffer.filled().get(before..).unwrap_or_default();
        self.received.take(new);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Tap {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = ready!(Pin::new(&mut self.io).poll_write(cx, bytes))?;
        self.sent.take(bytes.get(..written).unwrap_or_default());
        Poll::Ready(Ok(written))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = ready!(Pin::new(&mut self.io).poll_write_vectored(cx, slices))?;
        let mut left = written;
        for slice in slices {
            let taken = slice.len().min(left);
            self.sent.take(slice.get(..taken).unwrap_or_default());
            left = left.saturating_sub(taken);
        }
        Poll::Ready(Ok(written))
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Direction {
    Sent,
    Received,
}

/// One direction of a connection.
struct FrameLog {
    decoder: Decoder,
    mark: String,
    /// Lines of the frames of one read or write.
    lines: Vec<String>,
}

enum Decoder {
    Http2(Box<http2::Frames>),
    Spdy(Box<spdy::Frames>),
}

impl FrameLog {
    fn new(version: Version, direction: Direction, prefix: &str) -> Self {
        let decoder = match version {
            Version::Http2 => Decoder::Http2(Box::new(http2::Frames::new(direction))),
            Version::Spdy2 => Decoder::Spdy(Box::new(spdy::Frames::new(spdy::V2))),
            Version::Spdy3 | Version::Spdy31 => {
                Decoder::Spdy(Box::new(spdy::Frames::new(spdy::V3)))
            }
        };
        let arrow = match direction {
            Direction::Sent => '>',
            Direction::Received => '<',
        };
        Self {
            decoder,
            mark: format!("{prefix}{arrow} "),
            lines: Vec::new(),
        }
    }

    fn take(&mut self, bytes: &[u8]) {
        self.decode(bytes);
        if self.lines.is_empty() {
            return;
        }
        let mut text = String::new();
        for line in self.lines.drain(..) {
            text.push_str(&self.mark);
            text.push_str(&line);
            text.push('\n');
        }
        console::note_as_is(text);
    }

    fn decode(&mut self, bytes: &[u8]) {
        match &mut self.decoder {
            Decoder::Http2(frames) => frames.decode(bytes, &mut self.lines),
            Decoder::Spdy(frames) => frames.decode(bytes, &mut self.lines),
        }
    }
}
