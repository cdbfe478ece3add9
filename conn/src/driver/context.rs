//! The view of a connection that an application gets while it is called.

use std::{
    task::{Poll, Waker},
    time::{Duration, Instant},
};

use bytes::Bytes;

#[cfg(doc)]
use super::facade::Application;
use super::{incoming::Incoming, notifier::Notifier, streams::Streams};
#[cfg(doc)]
use crate::proto::Event;
use crate::{
    Error, Initiator, Limits, Reason, Version,
    proto::{
        AlternativeFor, Capabilities, ConnectionStats, Engine, Head, OpenError, OpenOptions,
        StreamKey, StreamMut, StreamStats, UsageError,
    },
};

/// A window that takes a large piece of a body at once.
pub(super) const LARGE_WINDOW: usize = 32 << 10;

/// Gives an [`Application`] access to its connection during a call: streams,
/// their bodies and wakers, statistics and the time of the turn.
///
/// ```
/// use lacewing_conn::{Reason, driver::facade::Context, proto::StreamKey};
///
/// fn refuse(conn: &mut Context<'_>, stream: StreamKey) {
///     conn.reset(stream, Reason::RefusedStream);
/// }
/// # let _ = refuse;
/// ```
#[derive(Debug)]
pub struct Context<'a> {
    engine: &'a mut Engine,
    /// The time of this turn.
    now: Instant,
    streams: &'a mut Streams,
    /// All content of the message whose head is the event, until it is taken.
    pub(super) content: Option<(StreamKey, Bytes)>,
}

impl<'a> Context<'a> {
    pub(super) fn new(engine: &'a mut Engine, now: Instant, streams: &'a mut Streams) -> Self {
        Self {
            engine,
            now,
            streams,
            content: None,
        }
    }

    /// Returns the time of this turn. All methods here act at this time.
    #[inline]
    pub fn now(&self) -> Instant {
        self.now
    }

    /// Returns the calls that need one stream: replies, data, credit, priority.
    /// A stale key is no error here; see [`StreamMut`].
    ///
    /// To reset a stream, call [`reset`](Self::reset), which also fails the
    /// reader of its body.
    #[inline]
    pub fn stream(&mut self, stream: StreamKey) -> StreamMut<'_> {
        self.engine.stream(self.now, stream)
    }

    /// Opens a stream with a request or, on a raw connection, with any header
    /// fields.
    ///
    /// # Errors
    ///
    /// As [`Engine::open`].
    #[inline]
    pub fn open(&mut self, head: Head, options: OpenOptions) -> Result<StreamKey, OpenError> {
        self.engine.open(self.now, head, options)
    }

    /// As [`open`](Self::open), but leaves the head to the caller.
    ///
    /// # Errors
    ///
    /// As [`Engine::open`].
    #[inline]
    pub fn open_with(
        &mut self,
        head: &mut Head,
        options: OpenOptions,
    ) -> Result<StreamKey, OpenError> {
        self.engine.open_with(self.now, head, options)
    }

    /// Returns `true` if a stream can be opened now.
    #[inline]
    pub fn can_open(&self) -> bool {
        self.engine.can_open()
    }

    /// Returns `true` once our stream ids are used up: new streams need another
    /// connection.
    #[inline]
    pub fn is_exhausted(&self) -> bool {
        self.engine.is_exhausted()
    }

    /// Sends a PING; [`Event::Pong`] reports the round trip. A second call
    /// before the answer does nothing.
    #[inline]
    pub fn ping(&mut self) {
        self.engine.ping(self.now);
    }

    /// Returns the last measured time from a PING to its answer; `None` before
    /// the first.
    #[inline]
    pub fn round_trip(&self) -> Option<Duration> {
        self.engine.round_trip()
    }

    /// Ends the connection gracefully: sends GOAWAY, accepts no new streams, and
    /// finishes those that are open. Resets streams that do not end within
    /// `drain_timeout`.
    #[inline]
    pub fn shutdown(&mut self) {
        self.engine.shutdown(self.now);
    }

    /// Returns `true` once a shutdown has begun, by either side: no new stream is
    /// accepted.
    #[inline]
    pub fn is_shutting_down(&self) -> bool {
        self.engine.is_shutting_down()
    }

    /// Returns `true` once the connection is over: the driver reads no more, and
    /// writes only what is encoded already.
    #[inline]
    pub fn is_closed(&self) -> bool {
        self.engine.is_closed()
    }

    /// Returns the protocol of the connection.
    #[inline]
    pub fn version(&self) -> Version {
        self.engine.version()
    }

    /// Returns the capabilities of the connection's messages.
    #[inline]
    pub fn capabilities(&self) -> &'static Capabilities {
        Capabilities::of(self.version())
    }

    /// Returns the limits in force.
    #[inline]
    pub fn limits(&self) -> &Limits {
        self.engine.limits()
    }

    /// Returns the connection's statistics at this moment.
    #[inline]
    pub fn stats(&self) -> ConnectionStats {
        self.engine.stats()
    }

    /// Returns the state of the open streams, as [`Engine::stream_stats`] does.
    pub fn stream_stats(&self, most: usize) -> Vec<StreamStats> {
        self.engine.stream_stats(most)
    }

    /// Returns the bytes of memory that the connection's engine holds.
    pub fn held_bytes(&self) -> usize {
        self.engine.held_bytes()
    }

    /// Returns the number of open streams of both sides.
    #[inline]
    pub fn open_streams(&self) -> usize {
        self.engine.open_streams()
    }

    /// Returns `true` if no stream is open.
    #[inline]
    pub fn is_idle(&self) -> bool {
        self.engine.is_idle()
    }

    /// Returns `true` once the peer's SETTINGS have arrived, where they are the
    /// first frame; else once its first frame has.
    #[inline]
    pub fn peer_spoke(&self) -> bool {
        self.engine.peer_spoke()
    }

    /// Returns the number of our streams that the peer permits at once.
    #[inline]
    pub fn peer_max_concurrent_streams(&self) -> u32 {
        self.engine.peer_max_concurrent_streams()
    }

    /// Returns `true` if the peer accepts pushes.
    #[inline]
    pub fn peer_allows_push(&self) -> bool {
        self.engine.peer_allows_push()
    }

    /// Returns the peer's GOAWAY as an error: its code and its debug data.
    /// `None` until it arrives.
    #[inline]
    pub(crate) fn peer_go_away(&self) -> Option<&Error> {
        self.engine.peer_go_away()
    }

    /// Sends the origins for which the connection is good (ORIGIN, RFC 8336).
    ///
    /// # Errors
    ///
    /// As [`Engine::send_origins`].
    #[inline]
    pub fn send_origins(&mut self, origins: &[Bytes]) -> Result<(), UsageError> {
        self.engine.send_origins(origins)
    }

    /// Sends the alternative services of an origin (ALTSVC, RFC 7838 §4).
    ///
    /// # Errors
    ///
    /// As [`Engine::send_alternative`].
    #[inline]
    pub fn send_alternative(
        &mut self,
        origin_of: &AlternativeFor,
        value: &[u8],
    ) -> Result<(), UsageError> {
        self.engine.send_alternative(origin_of, value)
    }

    /// Returns the number of bytes that are encoded and wait for the transport.
    /// Above `max_output_backlog`, the peer does not read.
    #[inline]
    pub fn unwritten(&mut self) -> usize {
        self.engine.output().len()
    }

    /// Returns the number of bytes that the transport took since the start.
    #[inline]
    pub fn written(&mut self) -> u64 {
        self.engine.output().written()
    }

    /// Returns the value of [`written`](Self::written) once the transport has
    /// taken everything that waits now.
    #[inline]
    pub fn output_end(&mut self) -> u64 {
        self.engine.output().end()
    }

    /// Returns the waker that causes [`Application::handle_ready`] for this stream.
    /// Every call returns the same waker.
    pub fn waker(&mut self, stream: StreamKey) -> Waker {
        self.streams.waker(stream)
    }

    /// Polls a source of this stream, such as a body or a handler. A waker
    /// allocates, and the first poll has none. A pending source is polled a
    /// second time, with the stream's [`waker`](Self::waker).
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

    /// Returns `true` if the first piece of a body may be sent before the stream's
    /// turn. `false` while its window is small and much waits for windows
    /// already ([`max_unsent_bytes`](Limits::max_unsent_bytes)), or while memory is short and much
    /// waits for the transport: then [`offer`](StreamMut::offer) the body.
    #[inline]
    pub fn may_send_ahead(&mut self, stream: StreamKey) -> bool {
        self.engine.has_output_room()
            && (self.engine.unsent_bytes() <= self.engine.limits().max_unsent_bytes
                || self.stream(stream).send_capacity() >= LARGE_WINDOW)
    }

    /// Takes the body of the message that this stream receives: its data and
    /// trailers go there from now on. Call it after an [`Event::Opened`] or
    /// [`Event::Reply`] without `fin`; with `fin`, use [`Incoming::empty`].
    /// `length` is the message's content length, if known.
    pub fn incoming(&mut self, stream: StreamKey, length: Option<u64>) -> Incoming {
        if let Some((_, content)) = self.content.take_if(|(of, _)| *of == stream) {
            return Incoming::whole(content);
        }
        Incoming::new(self.streams.body(stream), length)
    }

    /// Returns the reader of what the peer sends through a tunnel. If `fin`, the peer has ended its
    /// half already. What is written into the [`Tunnel`](crate::driver::Tunnel) then counts in what
    /// the connection holds.
    pub fn incoming_of_tunnel(&mut self, stream: StreamKey, fin: bool) -> Incoming {
        match fin {
            true => Incoming::new(self.streams.ended_body(stream), None),
            false => self.incoming(stream, None),
        }
    }

    /// Requests [`Application::handle_wanted`] for the moment at which the reader of
    /// this stream's [`Incoming`] first waits for data. Call
    /// [`incoming`](Self::incoming) before.
    pub fn watch_incoming(&mut self, stream: StreamKey) {
        if let Some(body) = self.streams.find(stream) {
            body.watch();
        }
    }

    /// Returns `true` while the peer has not ended the body that was
    /// [taken](Self::incoming) from this stream.
    pub fn is_receiving(&self, stream: StreamKey) -> bool {
        let body = self.streams.find(stream);
        body.is_some_and(|body| body.is_open())
    }

    /// Ends a stream with RST_STREAM, and its [`Incoming`] with an error.
    /// [`StreamMut::reset`] alone leaves a reader waiting.
    pub fn reset(&mut self, stream: StreamKey, reason: Reason) {
        self.stream(stream).reset(reason);
        self.streams
            .end(stream, &Error::reset(Initiator::User, reason));
    }

    /// Ends a stream as [`reset`](Self::reset) does, with a text in the error of its
    /// [`Incoming`]. The reader still gets the data that has arrived.
    pub fn reset_because(
        &mut self,
        stream: StreamKey,
        reason: Reason,
        why: impl Into<std::borrow::Cow<'static, str>>,
    ) {
        self.stream(stream).reset(reason);
        let error = Error::reset_because(reason, why.into());
        self.streams.end(stream, &error);
    }

    /// Returns a handle that wakes this connection's task from other tasks.
    pub fn notifier(&mut self) -> Notifier {
        self.streams.notifier()
    }

    /// Schedules a turn, and so [`Application::poll_sources`], at this time or soon
    /// after. The connection's own timer does it: an application needs no sleep of
    /// its own. Only the earliest time is kept until it passes; to wait for a later
    /// one, call this again in `poll_sources`. Without effect once the connection is
    /// over.
    ///
    /// ```
    /// use std::time::Instant;
    ///
    /// use lacewing_conn::driver::facade::Context;
    ///
    /// /// Returns `true` once the deadline has passed; schedules a turn until then.
    /// fn is_due(conn: &mut Context<'_>, deadline: Instant) -> bool {
    ///     if conn.now() >= deadline {
    ///         return true;
    ///     }
    ///     conn.wake_at(deadline);
    ///     false
    /// }
    /// # let _ = is_due;
    /// ```
    pub fn wake_at(&mut self, at: Instant) {
        self.streams.wake_at(at);
    }
}
