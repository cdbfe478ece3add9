//! `-v`: prints every frame.
//!
//! A tap between the connection and its transport decodes the bytes of both
//! directions itself. The log therefore shows the frames on the wire, even
//! those that the connection rejects.

use std::sync::atomic::{AtomicUsize, Ordering};

use lacewing_client::{Connect, Connected, Connecting, Origin, Version};
use lacewing_conform::{FrameLog, Side};

use crate::{
    console,
    watched::{Watched, Watcher},
};

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
        self.log(origin, self.connector.connect(origin))
    }

    fn connect_http1<'a>(&'a self, origin: &'a Origin) -> Option<Connecting<'a>> {
        let connecting = self.connector.connect_http1(origin)?;
        Some(self.log(origin, connecting))
    }
}

impl<C: Connect> Logging<C> {
    fn log<'a>(&'a self, origin: &'a Origin, connecting: Connecting<'a>) -> Connecting<'a> {
        Box::pin(async move {
            let connected = connecting.await?;
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
            let watched = Watched::new(io, Tap::new(version, &prefix));
            Ok(Connected::new(watched, version).at(address))
        })
    }
}

/// Prints the frames of a transport.
struct Tap {
    sent: Lines,
    received: Lines,
}

impl Tap {
    fn new(version: Version, prefix: &str) -> Self {
        Self {
            sent: Lines::new(version, Side::Client, prefix),
            received: Lines::new(version, Side::Server, prefix),
        }
    }
}

impl Watcher for Tap {
    fn sent(&mut self, bytes: &[u8]) {
        self.sent.take(bytes);
    }

    fn received(&mut self, bytes: &[u8]) {
        self.received.take(bytes);
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
