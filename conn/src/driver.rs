//! The tokio driver: one task owns one [`Engine`], the transport, and the
//! [`Application`] on top. There is no lock around the engine; a handle on
//! another task touches only its own small cell and a ready queue.
//!
//! [`Connection`] is the future to be spawned. What a connection is *for* is an
//! [`Application`]: the server's (requests to a service), the client's
//! (requests from handles), or [`Mux`]'s (streams of bytes, no HTTP).
//!
//! The order of a turn, and thereby of all calls to the application:
//!
//! 1. what became ready on other tasks: [`handle_ready`](Application::handle_ready),
//!    [`handle_abandoned`](Application::handle_abandoned);
//! 2. one read from the transport, and all events it brings:
//!    [`handle_event`](Application::handle_event);
//! 3. [`poll_intents`](Application::poll_intents);
//! 4. output is cut, stream by stream in the scheduler's order:
//!    [`pull`](Application::pull); and written, in as few calls as the
//!    transport allows.
//!
//! A turn in which nothing happened ends with a sleep.

mod buffers;
mod cells;
mod connection_config;
mod incoming;
mod io;
mod mailbox;
mod notifier;
mod pieces;
mod raw;
mod ready_queue;
mod stream_table;
mod task;
mod tunnel;
pub mod upgrade;
pub mod wakers;

use std::{
    sync::Arc,
    task::{Poll, Waker},
    time::Instant,
};

pub use connection_config::ConnectionConfig;
pub use incoming::Incoming;
pub use mailbox::{Mailbox, SendError};
pub use notifier::Notifier;
pub use raw::{Mux, MuxConfig, MuxConnection, RawReader, RawStream, RawWriter};
pub use stream_table::StreamTable;
pub use task::Connection;
pub use tunnel::{PendingTunnel, Tunnel, TunnelBody};

pub use crate::proto::OpenOptions;

use bytes::Bytes;

use self::cells::{Body, StreamSignal};
use crate::{
    Error, Initiator, Reason,
    proto::{Engine, Event, StreamKey},
};

/// What a [`Connection`] does with its streams. All methods are called on the
/// connection's task and must not block; those that get a [`Context`] may call
/// any method of its engine.
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
///             let _ = conn.engine.stream(conn.now, stream).reply(reply, true);
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

    /// What could be written was given to the transport:
    /// [`Output::written`](crate::proto::Output::written) tells how much in
    /// all. Called in every turn, and once more when the last bytes of a
    /// connection that is over are written.
    fn handle_written(&mut self, engine: &mut Engine, now: Instant) {
        let _ = (engine, now);
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

/// What an [`Application`] may touch while it is called: the engine, the time,
/// wakers and bodies of streams.
///
/// ```
/// use lacewing_conn::{Reason, driver::Context, proto::StreamKey};
///
/// fn refuse(conn: &mut Context<'_>, stream: StreamKey) {
///     conn.reset(stream, Reason::RefusedStream);
/// }
/// # let _ = refuse;
/// ```
#[derive(Debug)]
pub struct Context<'a> {
    /// The engine of the connection.
    pub engine: &'a mut Engine,
    /// The time of this turn, for the engine's methods that ask for it.
    pub now: Instant,
    streams: &'a mut Streams,
}

impl<'a> Context<'a> {
    fn new(engine: &'a mut Engine, now: Instant, streams: &'a mut Streams) -> Self {
        Self {
            engine,
            now,
            streams,
        }
    }

    /// The waker that brings about [`Application::handle_ready`] for this
    /// stream. Made at the first call, and the same one for every later call.
    pub fn waker(&mut self, stream: StreamKey) -> Waker {
        self.streams.waker(stream)
    }

    /// Polls a source of this stream (a body, a handler), so that a waker is
    /// made only if the source is really pending: the first time it is polled
    /// without one, and once more with it if need be.
    pub fn poll_source<T>(
        &mut self,
        stream: StreamKey,
        mut poll: impl FnMut(&mut std::task::Context<'_>) -> Poll<T>,
    ) -> Poll<T> {
        if !self.streams.has_waker(stream) {
            let ready = poll(&mut std::task::Context::from_waker(Waker::noop()));
            if ready.is_ready() {
                return ready;
            }
        }
        let waker = self.streams.waker(stream);
        poll(&mut std::task::Context::from_waker(&waker))
    }

    /// The body of the message that this stream receives, after an
    /// [`Event::Opened`] or [`Event::Reply`] without `fin`. From now on its
    /// data and trailers go there. `length` is the message's content length,
    /// if it has one. (With `fin` there is nothing to come:
    /// [`Incoming::empty`] is what is wanted.)
    pub fn incoming(&mut self, stream: StreamKey, length: Option<u64>) -> Incoming {
        Incoming::new(self.streams.body(stream), length)
    }

    /// Asks for [`Application::handle_wanted`] when the reader of this stream's
    /// [`Incoming`], which was made before, first waits for data.
    pub fn watch_incoming(&mut self, stream: StreamKey) {
        if let Some(body) = self.streams.find(stream) {
            body.watch();
        }
    }

    /// More is to come of the body that was [taken](Self::incoming) from this
    /// stream.
    pub fn is_receiving(&self, stream: StreamKey) -> bool {
        let body = self.streams.find(stream);
        body.is_some_and(|body| body.is_open())
    }

    /// Ends a stream with RST_STREAM, and its [`Incoming`] with an error.
    /// ([`StreamMut::reset`](crate::proto::StreamMut::reset) alone leaves a reader waiting.)
    pub fn reset(&mut self, stream: StreamKey, reason: Reason) {
        self.engine.stream(self.now, stream).reset(reason);
        self.streams
            .end(stream, &Error::reset(Initiator::User, reason));
    }

    /// [`reset`](Self::reset), with a word about why for whoever reads the
    /// stream's [`Incoming`]. What it has received it still gives.
    pub fn reset_because(
        &mut self,
        stream: StreamKey,
        reason: Reason,
        why: impl Into<std::borrow::Cow<'static, str>>,
    ) {
        self.engine.stream(self.now, stream).reset(reason);
        let error = Error::reset_because(reason, why.into());
        self.streams.end(stream, &error);
    }

    /// Wakes this connection's task from elsewhere.
    pub fn notifier(&self) -> Notifier {
        self.streams.notifier.clone()
    }

    /// Has [`Application::poll_intents`] called in a turn at this time or after
    /// it, by the connection's own timer: an application needs no sleep of its
    /// own. The earliest time counts until it has passed; whoever waits for a
    /// later one asks again in that `poll_intents`. Of no effect once the
    /// connection is over.
    ///
    /// ```
    /// use std::time::Instant;
    ///
    /// use lacewing_conn::driver::Context;
    ///
    /// /// `true` when the deadline has passed; until then it is waited for.
    /// fn is_due(conn: &mut Context<'_>, deadline: Instant) -> bool {
    ///     if conn.now >= deadline {
    ///         return true;
    ///     }
    ///     conn.wake_at(deadline);
    ///     false
    /// }
    /// # let _ = is_due;
    /// ```
    pub fn wake_at(&mut self, at: Instant) {
        let alarm = self.streams.alarm.map_or(at, |alarm| alarm.min(at));
        self.streams.alarm = Some(alarm);
    }
}

/// What the driver keeps of each stream.
#[derive(Debug)]
struct Streams {
    table: StreamTable<Cells>,
    notifier: Notifier,
    /// The earliest time at which the application is to be called.
    alarm: Option<Instant>,
}

/// What handles of one stream share with the connection's task.
#[derive(Debug, Default)]
struct Cells {
    waker: Option<Waker>,
    body: Option<Arc<Body>>,
}

impl Streams {
    fn new(notifier: Notifier) -> Self {
        Self {
            table: StreamTable::new(),
            notifier,
            alarm: None,
        }
    }

    /// The cells of this stream. Those of an earlier one in its slot end.
    fn cells(&mut self, stream: StreamKey) -> Option<&mut Cells> {
        if self.table.get(stream).is_none() {
            if let Some(earlier) = self.table.insert(stream, Cells::default()) {
                earlier.end(&Error::reset(Initiator::User, Reason::Cancel));
            }
        }
        self.table.get_mut(stream)
    }

    fn has_waker(&self, stream: StreamKey) -> bool {
        let cells = self.table.get(stream);
        cells.is_some_and(|cells| cells.waker.is_some())
    }

    fn waker(&mut self, stream: StreamKey) -> Waker {
        let queue = Arc::clone(self.notifier.queue());
        // Work may go on for a stream that is gone, while its slot is that of
        // another: whose body must not end by this.
        let taken = self.table.other(stream).is_some_and(|cells| {
            let body = cells.body.as_ref();
            body.is_some_and(|body| body.is_open())
        });
        if taken {
            return StreamSignal::waker(stream, queue);
        }
        let Some(cells) = self.cells(stream) else {
            return Waker::noop().clone();
        };
        let waker = cells
            .waker
            .get_or_insert_with(|| StreamSignal::waker(stream, queue));
        waker.clone()
    }

    fn body(&mut self, stream: StreamKey) -> Arc<Body> {
        let body = Body::new(stream, Arc::clone(self.notifier.queue()));
        if let Some(cells) = self.cells(stream) {
            if let Some(old) = cells.body.replace(Arc::clone(&body)) {
                old.detach(&Error::reset(Initiator::User, Reason::Cancel));
            }
        }
        body
    }

    /// Brings a body's event there; gives back every other event.
    fn deliver(&mut self, engine: &mut Engine, now: Instant, event: Event) -> Option<Event> {
        match event {
            Event::Data { stream, data, fin } => {
                let Some(body) = self.find(stream) else {
                    return Some(Event::Data { stream, data, fin });
                };
                let due = body.push(data, fin);
                engine.stream(now, stream).release(due.credit);
                None
            }
            Event::Headers {
                stream,
                fields,
                fin,
            } => {
                let Some(body) = self.find(stream) else {
                    return Some(Event::Headers {
                        stream,
                        fields,
                        fin,
                    });
                };
                let due = body.push_fields(fields, fin);
                engine.stream(now, stream).release(due.credit);
                if !due.overflow {
                    return None;
                }
                let reason = Reason::EnhanceYourCalm;
                engine.stream(now, stream).reset(reason);
                let error = Error::reset(Initiator::Library, reason);
                self.end(stream, &error);
                Some(Event::Reset { stream, error })
            }
            Event::Reply { stream, head, fin } => {
                // A reader may have come before the reply.
                if let (true, Some(body)) = (fin, self.find(stream)) {
                    engine
                        .stream(now, stream)
                        .release(body.push(Bytes::new(), fin).credit);
                }
                Some(Event::Reply { stream, head, fin })
            }
            Event::Reset { stream, error } => {
                self.end(stream, &error);
                Some(Event::Reset { stream, error })
            }
            other => Some(other),
        }
    }

    fn find(&self, stream: StreamKey) -> Option<&Arc<Body>> {
        self.table.get(stream)?.body.as_ref()
    }

    /// The stream is gone.
    fn end(&mut self, stream: StreamKey, error: &Error) {
        if let Some(cells) = self.table.remove(stream) {
            cells.end(error);
        }
    }

    fn bodies(&self) -> impl Iterator<Item = &Arc<Body>> {
        self.table
            .iter()
            .filter_map(|(_, cells)| cells.body.as_ref())
    }

    /// Asks all bodies for the credit that they kept to themselves.
    fn sweep(&self, engine: &mut Engine, now: Instant) {
        for body in self.bodies() {
            engine.stream(now, body.stream()).release(body.credit());
        }
    }

    /// The transport brings no more. Bodies that are complete and not yet read
    /// do not make their streams unfinished.
    fn settle(&self, engine: &mut Engine, now: Instant) {
        for body in self.bodies() {
            engine.stream(now, body.stream()).release(body.settle());
        }
    }

    /// No stream is open: nothing is kept of those that were.
    fn clear(&mut self) {
        self.fail(&Error::reset(Initiator::User, Reason::Cancel));
    }

    /// Whoever still reads learns that nothing more will come.
    fn fail(&mut self, error: &Error) {
        for (_, cells) in self.table.drain() {
            cells.end(error);
        }
    }
}

impl Cells {
    /// The stream is gone.
    fn end(self, error: &Error) {
        if let Some(body) = self.body {
            body.detach(error);
        }
    }
}
