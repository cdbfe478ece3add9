//! The interface between a driver and the purpose of its connection.

#[cfg(doc)]
use super::{
    Incoming,
    facade::{Driver, Notifier},
};
use super::{context::Context, memory_budget::MemoryReport};
use crate::{
    Error,
    proto::{Event, StreamKey},
};

/// Handles a connection's streams. The [`Driver`] calls all methods on the
/// connection's task: they must not block.
///
/// Keep state per stream in a [`StreamTable`](super::facade::StreamTable): slots are
/// reused, and the table never returns the state of an earlier stream.
///
/// ```
/// use http::StatusCode;
/// use lacewing_conn::{
///     driver::facade::{Application, Context},
///     proto::{Event, Head, StreamKey},
/// };
///
/// /// Answers every request with 204.
/// struct NoContent;
///
/// impl Application for NoContent {
///     fn handle_event(&mut self, conn: &mut Context<'_>, event: Event) {
///         if let Event::Opened { stream, .. } = event {
///             let reply = Head::response(StatusCode::NO_CONTENT);
///             let _ = conn.stream(stream).reply(reply, true);
///         }
///     }
///
///     fn pull(&mut self, _: &mut Context<'_>, _: StreamKey, _: usize) {}
/// }
/// ```
pub trait Application {
    /// Handles an event of the engine.
    ///
    /// Once [`Context::incoming`] has taken a stream's body, its data and trailers
    /// go to the [`Incoming`] instead. [`Event::Reset`] goes to both. An
    /// application that receives [`Event::Data`] must
    /// [release](crate::proto::StreamMut::release) it.
    ///
    /// The last event is [`Event::Closed`];
    /// [`handle_closed`](Self::handle_closed) follows.
    fn handle_event(&mut self, conn: &mut Context<'_>, event: Event);

    /// Sends at most about `max` bytes on a stream that was
    /// [offered](crate::proto::StreamMut::offer) before.
    ///
    /// With data at hand, call [`send_data`](crate::proto::StreamMut::send_data), and
    /// `offer` again unless that was all; or
    /// [`send_trailers`](crate::proto::StreamMut::send_trailers). Without, send
    /// nothing and keep a [`Context::waker`]. When it is woken,
    /// [`handle_ready`](Self::handle_ready) is called and can `offer` again.
    fn pull(&mut self, conn: &mut Context<'_>, stream: StreamKey, max: usize);

    /// Handles a wake-up by the [`Context::waker`] of a stream. The stream may have
    /// ended by now.
    fn handle_ready(&mut self, conn: &mut Context<'_>, stream: StreamKey) {
        let _ = (conn, stream);
    }

    /// Handles the drop of a stream's [`Incoming`] before its end. The driver
    /// discards further data and returns its credit to the peer. The application
    /// may reset the stream, but need not.
    fn handle_abandoned(&mut self, conn: &mut Context<'_>, stream: StreamKey) {
        let _ = (conn, stream);
    }

    /// Handles a reader that waits for the first data of a stream's [`Incoming`].
    /// Called once, and only after [`Context::watch_incoming`]. An application can
    /// send `100 Continue` here (RFC 9110 §10.1.1).
    fn handle_wanted(&mut self, conn: &mut Context<'_>, stream: StreamKey) {
        let _ = (conn, stream);
    }

    /// Handles the start of the connection on a task, its first one or another: the wakers that
    /// [`poll_sources`](Self::poll_sources) left elsewhere wake it no more. An application that
    /// remembers this need not compare wakers in every turn.
    fn handle_moved(&mut self) {}

    /// Polls sources outside the connection, such as a channel of requests or a
    /// shutdown signal. Called in every turn, between the events of a read and the
    /// output; so work for all events of a read fits here too. `cx` belongs to the
    /// connection's task, which a [`Notifier`] also wakes.
    fn poll_sources(&mut self, conn: &mut Context<'_>, cx: &mut std::task::Context<'_>) {
        let _ = (conn, cx);
    }

    /// Handles the progress of the transport, which took as much output as it
    /// could: [`Context::written`] counts the bytes. Called in every turn, and once
    /// more when the last bytes of a connection are written.
    fn handle_written(&mut self, conn: &mut Context<'_>) {
        let _ = conn;
    }

    /// Handles a step that the connection takes because the process holds nearly all
    /// of its [`MemoryBudget`](super::MemoryBudget), or the connection nearly all of
    /// [`max_connection_bytes`](crate::Limits::max_connection_bytes). For a log: the driver
    /// does the rest. Each pause, refusal of streams, stream that is shed, and close is
    /// reported, repetitions within seconds excepted.
    fn handle_memory_step(&mut self, conn: &mut Context<'_>, report: &MemoryReport) {
        let _ = (conn, report);
    }

    /// Returns the bytes of heap that the application keeps for one open stream, such
    /// as the task of a handler. They count in the memory budget. Default: none.
    fn stream_memory(&self) -> usize {
        0
    }

    /// Handles the end of the connection: `Ok` after a graceful one. No events
    /// follow. The driver still writes the output that is encoded already.
    fn handle_closed(&mut self, conn: &mut Context<'_>, result: &Result<(), Error>) {
        let _ = (conn, result);
    }

    /// Handles the end of the transport. Output that is not written by now is lost.
    /// This is the last call.
    fn handle_end(&mut self) {}
}
