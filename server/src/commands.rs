//! Requests of handlers to their connection, besides the response: a bounded
//! list that the connection's task empties.

use std::sync::Arc;

use http::Request;
use lacewing_conn::{
    driver::facade::{Mailbox, Notifier, SendError},
    proto::{Head, StreamKey},
};

use crate::{
    Delivery, InformError, PushError,
    delivery::{self, Report},
};

/// Commands of one connection that may wait for its task.
const MAX_WAITING: usize = 256;

/// Something that a handler asks of the connection's task.
pub(crate) enum Command {
    /// Send an informational response.
    Inform {
        stream: StreamKey,
        head: Head,
        report: Report<InformError>,
    },
    /// Promise a response, and serve its request.
    Push {
        parent: StreamKey,
        request: Request<()>,
        report: Report<PushError>,
    },
}

/// The commands of one connection.
pub(crate) type Commands = Mailbox<Command>;

/// An empty list of commands, which wakes the connection's task.
pub(crate) fn commands(notifier: Notifier) -> Arc<Commands> {
    let commands = Mailbox::new(MAX_WAITING);
    commands.connect(notifier);
    Arc::new(commands)
}

/// Sends a command. `full` is the error for a list that is full.
pub(crate) fn send<E>(
    commands: &Commands,
    full: E,
    command: impl FnOnce(Report<E>) -> Command,
) -> Delivery<E> {
    let (report, delivery) = delivery::pending();
    match commands.send(command(report)) {
        // If the connection has ended, the command is dropped here, and its delivery reports that.
        Ok(()) | Err(SendError::Closed(_)) => delivery,
        Err(SendError::Full(_)) => Delivery::failed(full),
    }
}
