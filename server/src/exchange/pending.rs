//! The exchanges that take longer than one poll.

use lacewing_conn::{driver::facade::StreamTable, proto::StreamKey};

use super::{PinnedBody, Ticket, handler::Running};
use crate::HttpService;

/// An exchange that takes longer than one poll.
pub(super) enum Pending<S: HttpService> {
    /// The handler is not ready.
    Handling { ticket: Ticket, running: Running<S> },
    /// The response's body has more to give. The body is `None` while it is
    /// polled.
    Sending(Option<PinnedBody<S>>),
}

/// The pending exchanges, by stream.
pub(super) type PendingTable<S> = StreamTable<Pending<S>>;

/// Takes a body out to poll it; [`put_body`] puts it back.
pub(super) fn take_body<S: HttpService>(
    table: &mut PendingTable<S>,
    stream: StreamKey,
) -> Option<PinnedBody<S>> {
    match table.get_mut(stream)? {
        Pending::Sending(body) => body.take(),
        Pending::Handling { .. } => None,
    }
}

/// Puts a body back after a poll; `None` is the end of the exchange.
pub(super) fn put_body<S: HttpService>(
    table: &mut PendingTable<S>,
    stream: StreamKey,
    polled: Option<PinnedBody<S>>,
) {
    if polled.is_none() {
        table.remove(stream);
    } else if let Some(Pending::Sending(body)) = table.get_mut(stream) {
        *body = polled;
    }
}
