//! `-v`: prints every frame.
//!
//! A tap between the connection and its transport decodes the bytes of both
//! directions itself. The log therefore shows the frames on the wire, even
//! those that the connection rejects.

use std::{
    io::{self, IoSlice},
    pin::Pin,
    sync::atomic::{AtomicUsize, Ordering},
    task::{Context, Poll, ready},
};

use lacewing_client::{Connect, Connected, Connecting, Origin, Transport, Version};
use lacewing_conform::{FrameLog, Side};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::console;

/// A connector that prints the frames of its connections.
pub(crate) struct Logging<C> {
    connector: C,
    connections: AtomicUsize,
}

impl<C> Logging<C> {
    pub(crate) fn new(connector: C) -> Self {
        Self {
            connector,
            connections: AtomicUsize::new(0),
        }
    }
}

impl<C: Connect> Connect for Logging<C> {
    fn connect<'a>(&'a self, origin: &'a Origin) -> Connecting<'a> {
        Box::pin(async move {
            let connected = self.connector.connect(origin).await?;
            let number = self
                .connections
                .fetch_add(1, Ordering::Relaxed)
                .saturating_add(1);
            // Most runs have one connection, and need no number.
            let prefix = if number == 1 {
                String::new()
            } else {
                format!("[{number}] ")
            };
            let Some(version) = connected.version else {
                console::eprint(format_args!(
                    "{prefix}* connected to {origin}, speaking http/1.1, which has no frames\n"
                ));
                return Ok(connected);
            };
            let Connected { io, address, .. } = connected;
            console::eprint(format_args!(
                "{prefix}* connected to {origin}, speaking {version}\n"
            ));
            let tap = Tap::new(io, version, &prefix);
            Ok(Connected::new(tap, version).at(address))
        })
    }
}

/// A transport that prints its frames.
struct Tap {
    io: Box<dyn Transport>,
    sent: Lines,
    received: Lines,
}

impl Tap {
    fn new(io: Box<dyn Transport>, version: Version, prefix: &str) -> Self {
        let sent = Lines::new(version, Side::Client, prefix);
        Self {
            io,
            sent,
            received: Lines::new(version, Side::Server, prefix),
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

/// The colours of lines, on a terminal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Paint {
    Plain,
    /// The colour of a direction, as an SGR code.
    Colour(&'static str),
}

impl Paint {
    fn new(sender: Side) -> Self {
        match (console::stderr_has_colour(), sender) {
            (false, _) => Self::Plain,
            (true, Side::Client) => Self::Colour("\x1b[36m"),
            (true, Side::Server) => Self::Colour("\x1b[32m"),
        }
    }

    /// Fields, which are indented, are dim; broken frames are red.
    fn around(self, line: &str) -> (&'static str, &'static str) {
        match self {
            Self::Plain => ("", ""),
            Self::Colour(_) if line.starts_with('!') => ("\x1b[31m", "\x1b[0m"),
            Self::Colour(_) if line.starts_with(' ') => ("\x1b[2m", "\x1b[0m"),
            Self::Colour(code) => (code, "\x1b[0m"),
        }
    }
}

/// The lines of one direction of a connection.
struct Lines {
    frames: FrameLog,
    mark: String,
    paint: Paint,
    /// Lines of the frames of one read or write.
    lines: Vec<String>,
}

impl Lines {
    fn new(version: Version, sender: Side, prefix: &str) -> Self {
        let arrow = match sender {
            Side::Client => '>',
            Side::Server => '<',
        };
        Self {
            frames: FrameLog::new(version, sender),
            mark: format!("{prefix}{arrow} "),
            paint: Paint::new(sender),
            lines: Vec::new(),
        }
    }

    /// Prints the frames that these bytes complete.
    fn take(&mut self, bytes: &[u8]) {
        self.frames.decode(bytes, &mut self.lines);
        if self.lines.is_empty() {
            return;
        }
        let mut text = String::new();
        for line in self.lines.drain(..) {
            let (begin, end) = self.paint.around(&line);
            for part in [begin, &self.mark, &line, end, "\n"] {
                text.push_str(part);
            }
        }
        console::eprint(text);
    }
}
