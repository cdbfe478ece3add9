//! What handles ask of the connection's task, besides requests.

use std::time::Duration;

use lacewing_conn::{
    driver::Context,
    proto::{ConnectionStats, Priority, StreamKey},
};
use tokio::sync::oneshot;

use super::Exchanges;

/// Something to do on the connection's task. An answer that cannot be given
/// any more is dropped with its sender.
#[derive(Debug)]
pub(crate) enum Command {
    /// Measure a round trip.
    Ping(oneshot::Sender<Duration>),
    /// Report the connection's statistics.
    Stats(oneshot::Sender<ConnectionStats>),
    /// Change how urgent a stream is.
    Prioritize(StreamKey, Priority),
}

impl Command {
    /// Puts the command behind others. The last word about a stream's priority
    /// counts, so that there is at most one for each stream.
    pub(super) fn join(self, commands: &mut Vec<Self>) {
        if let Self::Prioritize(stream, priority) = &self {
            for earlier in commands.iter_mut() {
                if let Self::Prioritize(same, old) = earlier {
                    if same == stream {
                        *old = *priority;
                        return;
                    }
                }
            }
        }
        commands.push(self);
    }
}

impl Exchanges {
    pub(super) fn obey(&mut self, conn: &mut Context<'_>, commands: Vec<Command>) {
        for command in commands {
            match command {
                Command::Ping(answer) => {
                    self.pings.retain(|other| !other.is_closed());
                    self.pings.push(answer);
                    conn.engine.ping(conn.now);
                }
                Command::Stats(answer) => {
                    // Whoever asked may have gone.
                    let _ = answer.send(conn.engine.stats());
                }
                Command::Prioritize(stream, priority) => {
                    conn.engine.stream(conn.now, stream).prioritize(priority);
                }
            }
        }
    }
}
