//! The line of a request for people.

use std::{
    cell::RefCell,
    fmt::{self, Write},
    net::SocketAddr,
    time::{Duration, Instant},
};

use http::StatusCode;
use tracing_subscriber::fmt::{
    format::Writer,
    time::{FormatTime, SystemTime},
};

use super::{Style, entry::Entry, escape};

/// The time for which a thread shows the same time again.
const SAME_TIME: Duration = Duration::from_millis(1);

thread_local! {
    static COMMON: RefCell<Common> = const { RefCell::new(Common::new()) };
}

/// Writes the line of a request.
pub(super) fn write(line: &mut String, entry: &Entry, style: Style, now: Instant) -> fmt::Result {
    COMMON.with_borrow_mut(|common| {
        common.write_start(line, style, now)?;
        match &entry.connection {
            Some(connection) => {
                match connection.peer_addr() {
                    Some(peer) => common.write_peer(line, peer)?,
                    // A Unix socket.
                    None => line.push_str("unix:"),
                }
                line.push(' ');
                line.push_str(connection.protocol().alpn());
            }
            None => line.push_str(" -"),
        }
        fmt::Result::Ok(())
    })?;
    line.push(' ');
    escape::plain(line, entry.method.as_str())?;
    line.push(' ');
    escape::plain(line, entry.path())?;
    line.push(' ');
    line.push_str(entry.status.as_ref().map_or("-", StatusCode::as_str));
    let took = entry.took(now);
    // By `itoa`: the formatting machinery costs more than the rest of the line.
    let mut number = itoa::Buffer::new();
    line.push(' ');
    line.push_str(number.format(entry.bytes));
    line.push_str(" B ");
    line.push_str(number.format(took.as_millis()));
    line.push('.');
    line.push_str(number.format(took.subsec_micros() / 100 % 10));
    line.push_str(" ms");
    if let Some(reason) = entry.reason {
        line.push_str(" (");
        line.push_str(reason.0);
        line.push(')');
    }
    line.push_str(if entry.whole { "\n" } else { " (cut short)\n" });
    Ok(())
}

/// What the lines of a thread have in common.
struct Common {
    start: String,
    start_at: Option<Instant>,
    peer: String,
    peer_is: Option<SocketAddr>,
}

impl Common {
    const fn new() -> Self {
        Self {
            start: String::new(),
            start_at: None,
            peer: String::new(),
            peer_is: None,
        }
    }

    /// Writes the time and the level.
    fn write_start(&mut self, line: &mut String, style: Style, now: Instant) -> fmt::Result {
        let fresh = |at| now.saturating_duration_since(at) < SAME_TIME;
        if !self.start_at.is_some_and(fresh) {
            let (dim, green, plain) = match style {
                Style::Plain => ("", "", ""),
                Style::Colored => ("\x1b[2m", "\x1b[32m", "\x1b[0m"),
            };
            self.start_at = Some(now);
            self.start.clear();
            self.start.push_str(dim);
            SystemTime.format_time(&mut Writer::new(&mut self.start))?;
            write!(self.start, "{plain} {green} INFO{plain} ")?;
        }
        line.push_str(&self.start);
        Ok(())
    }

    fn write_peer(&mut self, line: &mut String, peer: SocketAddr) -> fmt::Result {
        if self.peer_is != Some(peer) {
            self.peer_is = Some(peer);
            self.peer.clear();
            write!(self.peer, "{peer}")?;
        }
        line.push_str(&self.peer);
        Ok(())
    }
}
