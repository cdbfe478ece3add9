//! The interface between a driver and what a connection is for.

use super::context::Context;
#[cfg(doc)]
use super::{Driver, Incoming, Notifier};
use crate::{
    Error,
    proto::{Event, StreamKey},
};

/// What a [`Driver`] does with its streams. All methods are called on the
/// connection's task and must not block; those that get a [`Context`] may call
/// any method of it.
///
/// Side tables are best a `Vec` indexed by [`StreamKey::slot`] that remembers
/// the key: a slot is used again once its stream is gone.
///
/// ```
/// use http::StatusCode;
/// use lacewing_conn::{
///     driver::{Application, Context},
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
    /// The peer did something. Data and trailers of streams whose body was
    /// taken by [`Context::incoming`] do not come here but go to the
    /// [`Incoming`]; the end of such a stream by [`Event::Reset`] goes to
    /// both. Whoever gets [`Event::Data`] has to
    /// [release](crate::proto::StreamMut::release) it.
    ///
    /// [`Event::Closed`] comes here too; [`handle_closed`](Self::handle_closed)
    /// follows when the transport is closed.
    fn handle_event(&mut self, conn: &mut Context<'_>, event: Event);

    /// It is this stream's turn to send at most about `max` bytes, because it
    /// was [offered](crate::proto::StreamMut::offer). If it has data now, it calls
    /// [`send_data`](crate::proto::StreamMut::send_data) (and `offer` again unless that was
    /// all) or [`send_trailers`](crate::proto::StreamMut::send_trailers). If not, it does
    /// nothing and has a [`Context::waker`] woken when it has some; then
    /// [`handle_ready`](Self::handle_ready) follows, and that is where `offer`
    /// is called again.
    fn pull(&mut self, conn: &mut Context<'_>, stream: StreamKey, max: usize);

    /// The waker of this stream was woken. The stream may be gone by now.
    fn handle_ready(&mut self, conn: &mut Context<'_>, stream: StreamKey) {
        let _ = (conn, stream);
    }

    /// The [`Incoming`] of this stream was dropped before its end. Its data is
    /// discarded from now on and the credit goes back. The application may
    /// reset the stream; nothing has to be done.
    fn handle_abandoned(&mut self, conn: &mut Context<'_>, stream: StreamKey) {
        let _ = (conn, stream);
    }

    /// The reader of this stream's [`Incoming`] waits for data, and none has
    /// come: told once, if [`Context::watch_incoming`] asked for it. The place
    /// for an interim response that lets the peer begin (`100 Continue`).
    fn handle_wanted(&mut self, conn: &mut Context<'_>, stream: StreamKey) {
        let _ = (conn, stream);
    }

    /// Called in every turn, after the events of a read and before output is
    /// cut: the place for what comes from outside (requests from a channel, a
    /// shutdown signal), and for work that is better done once for all events
    /// of a read. `cx` is that of the connection's task; handles may wake it
    /// through a [`Notifier`] too.
    fn poll_intents(&mut self, conn: &mut Context<'_>, cx: &mut std::task::Context<'_>) {
        let _ = (conn, cx);
    }

    /// The transport took what it could: [`Context::written`] counts how much in
    /// all. Called in every turn, and once more when the last bytes of a
    /// connection that is over are written.
    fn handle_written(&mut self, conn: &mut Context<'_>) {
        let _ = conn;
    }

    /// The connection is over: `Ok` after a graceful end. Nothing comes in any
    /// more. What is in the engine's output is still written.
    fn handle_closed(&mut self, result: &Result<(), Error>) {
        let _ = result;
    }

    /// The transport is closed; what was not written by now is lost. The last
    /// call.
    fn handle_end(&mut self) {}
}
