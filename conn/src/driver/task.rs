//! The connection's future: turns of reading, events and writing, with a sleep in
//! between.

mod deadlines;
mod ending;
mod last_input;
mod memory;
mod pulls;
mod signals;

use std::{
    fmt,
    future::Future,
    hash::{BuildHasher, Hasher, RandomState},
    io,
    pin::{Pin, pin},
    task::{self, Poll},
    time::{Duration, Instant},
};

use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncWrite};

use self::{
    deadlines::{Deadline, Deadlines},
    ending::{Ending, Linger},
    last_input::LastInput,
};
use super::{
    application::Application,
    cells::SMALL_REST,
    context::Context,
    io::{Read, Transport},
    memory_budget::MemoryBudget,
    notifier::Notifier,
    pressure::Pressure,
    spares,
    streams::Streams,
    timer::{Timer, now},
};
use crate::{
    Error, Initiator, Reason, Side,
    proto::{Config, ConnectionStats, Engine, Event, Head, StreamKey, Transmit, WindowPool},
};

/// The turns in one poll, after which the task yields to others.
const TURNS: usize = 32;

/// The time after which it yields too: a flood of small frames takes longer than as
/// many bytes of DATA.
const SLICE: Duration = Duration::from_millis(1);

/// The bytes read after which it yields too: their readers then find them in the
/// processor's cache.
const SLICE_BYTES: usize = 256 << 10;
/// The content that readers have not taken when a poll begins, up to which its reads may be huge.
const MAX_UNREAD_OF_HUGE_READS: usize = 32 << 10;
/// The content that readers have not taken, up to which it may stay in the read buffers. A piece
/// keeps its whole buffer, which is up to 16 times as long, and the rest may have been for others. So
/// a peer could make each byte that waits cost 16. Beyond this, readers lag: what arrives is copied.
const MAX_SHARED_UNREAD: usize = 128 << 10;

/// Drives one connection: its engine, its transport and the application on top.
///
/// Spawn this future on a tokio runtime with time enabled. It resolves when the
/// connection is over, to `Ok` after a graceful end. Dropping it closes the
/// transport at once, and every waiting handle gets an error.
///
/// ```
/// # use lacewing_conn::{driver::facade::{Application, Context}, proto::{Event, StreamKey}};
/// # struct NoContent;
/// # impl Application for NoContent {
/// #     fn handle_event(&mut self, _: &mut Context<'_>, _: Event) {}
/// #     fn pull(&mut self, _: &mut Context<'_>, _: StreamKey, _: usize) {}
/// # }
/// use lacewing_conn::{Side, Version, driver::facade::Driver, proto::Config};
///
/// async fn serve(io: tokio::net::TcpStream) {
///     let config = Config::new(Version::Http2, Side::Server);
///     if let Err(error) = Driver::new(io, config, NoContent).await {
///         eprintln!("{error}");
///     }
/// }
/// # let _ = serve;
/// ```
pub struct Driver<IO, A: Application> {
    engine: Engine,
    transport: Transport<IO>,
    application: A,
    streams: Streams,
    timer: Timer,
    pressure: Pressure,
    /// Streams whose sources were offered and not asked. In a box: few connections have one.
    #[expect(
        clippy::box_collection,
        reason = "a vector of its own takes three words"
    )]
    declined: Option<Box<Vec<StreamKey>>>,
    deadlines: Deadlines,
    /// The last turn ended with a read, and its bytes are not handled yet.
    read_ahead: bool,
    /// The peer has closed its side of the transport.
    input_ended: bool,
    /// The engine knows that.
    end_reported: bool,
    phase: Phase,
    /// Made when something ends: the connection, its transport.
    ending: Option<Box<Ending>>,
}

/// The steps to a connection's end.
#[derive(Debug, PartialEq, Eq)]
enum Phase {
    /// Not over.
    Open,
    /// The last output is on its way.
    Flushing,
    /// Our side of the transport is closed.
    Lingering,
    Over,
}

/// The step after a turn.
enum Turn {
    /// Something happened: another turn follows.
    Again,
    /// Nothing happened, and a waker is registered for everything that may.
    Sleep,
    Over,
}

/// The work of a turn of an open connection.
struct Work {
    /// Input was read or handled, completely so far. The transport may have more.
    received: bool,
    /// Something else happened that needs another turn.
    again: bool,
}

/// Nothing is structurally pinned.
impl<IO: Unpin, A: Application> Unpin for Driver<IO, A> {}

impl<IO, A: Application> Driver<IO, A> {
    /// Creates a connection over a transport, on the side that `config` names. What
    /// it holds counts in the [budget of the process](MemoryBudget::global).
    pub fn new(io: IO, config: Config, application: A) -> Self {
        Self::in_budget(io, config, application, &MemoryBudget::global())
    }

    /// Creates a connection as [`new`](Self::new) does, in a budget of its own or
    /// one that others share.
    pub fn in_budget(io: IO, mut config: Config, application: A, budget: &MemoryBudget) -> Self {
        // Windows of all connections of the process grow within one budget.
        config.window_pool.get_or_insert_with(WindowPool::global);
        let seed = RandomState::new().build_hasher().finish();
        Self {
            streams: Streams::new(config.limits.clone()),
            engine: Engine::new(config, now(), seed),
            transport: Transport::new(io),
            application,
            timer: Timer::default(),
            pressure: Pressure::new(budget),
            declined: None,
            deadlines: Deadlines::default(),
            read_ahead: false,
            input_ended: false,
            end_reported: false,
            phase: Phase::Open,
            ending: None,
        }
    }

    /// Prepends bytes that were already read from the transport: by the detection of
    /// a protocol, or behind an HTTP/1.1 upgrade.
    #[must_use]
    pub fn with_input(mut self, input: BytesMut) -> Self {
        self.transport.input = input;
        self
    }

    /// Returns a handle that wakes this connection's task from other tasks.
    pub fn notifier(&mut self) -> Notifier {
        self.streams.notifier()
    }

    /// Returns the application.
    pub fn application(&mut self) -> &mut A {
        &mut self.application
    }

    /// Returns `true` if this waker wakes the task that polled the connection last. If not, what
    /// waits beside it, for the same task, has to register anew.
    #[inline]
    pub fn is_woken_by(&self, waker: &task::Waker) -> bool {
        self.streams.knows(waker)
    }

    /// Shuts the connection down gracefully: open streams continue, new ones
    /// are refused.
    pub fn shutdown(&mut self) {
        self.engine.shutdown(now());
    }

    /// Returns `true` if no stream is open.
    pub fn is_idle(&self) -> bool {
        self.engine.is_idle()
    }

    /// Returns the connection's statistics at this moment.
    pub fn stats(&self) -> ConnectionStats {
        self.engine.stats()
    }

    /// Continues as a server that has sent 101 to an HTTP/1.1 request, which
    /// becomes stream 1. Call it before the first poll.
    ///
    /// # Errors
    ///
    /// As [`Engine::upgrade_server`].
    pub fn upgrade_server(&mut self, head: Head, settings: &[u8]) -> Result<StreamKey, Error> {
        self.engine.upgrade_server(now(), head, settings)
    }

    /// Continues as a client whose HTTP/1.1 request was answered with 101: the
    /// request becomes stream 1. Call it before the first poll. `None` if streams
    /// were opened before, or on a server.
    pub fn upgrade_client(&mut self, head: &Head) -> Option<StreamKey> {
        self.engine.upgrade_client(now(), head)
    }

    /// Returns the length below which received data is copied out of its read buffer.
    fn copy_below(&self) -> usize {
        match self.unread() > MAX_SHARED_UNREAD {
            true => usize::MAX,
            false => self.transport.copy_below(),
        }
    }

    /// Returns the bytes that readers have not taken. What they took and did not report yet is up to a
    /// quarter of a window: a reader that keeps up would seem to lag.
    fn unread(&self) -> usize {
        let taken = self.streams.unreported();
        self.engine.buffered_bytes().saturating_sub(taken)
    }

    /// Handles all events; `false` if there were none.
    fn handle_events(&mut self, now: Instant) -> bool {
        let mut any = false;
        self.engine.set_copy_below(self.copy_below());
        while let Some(event) = self.engine.poll_event(now, &mut self.transport.input) {
            any = true;
            match event {
                Event::Opened {
                    stream, fin: false, ..
                }
                | Event::Reply {
                    stream, fin: false, ..
                } => self.begin_message(now, stream, event),
                // The hot path of small requests: it never concerns a body.
                Event::Opened { fin: true, .. } => {
                    let mut conn = Context::new(&mut self.engine, now, &mut self.streams);
                    self.application.handle_event(&mut conn, event);
                }
                event => self.deliver(now, event),
            }
        }
        any
    }

    /// Passes on the head of a message with content. If all of a short content is there already,
    /// the application takes it with the head, and its body needs no cell.
    fn begin_message(&mut self, now: Instant, stream: StreamKey, event: Event) {
        let input = &mut self.transport.input;
        let content = self.engine.poll_all_content(now, stream, SMALL_REST, input);
        let len = content.as_ref().map_or(0, Bytes::len);
        let mut conn = Context::new(&mut self.engine, now, &mut self.streams);
        conn.content = content.map(|content| (stream, content));
        self.application.handle_event(&mut conn, event);
        match conn.content.take() {
            Some((stream, data)) => self.deliver(
                now,
                Event::Data {
                    stream,
                    data,
                    fin: true,
                },
            ),
            None => self.engine.stream(now, stream).release(len),
        }
    }

    /// Passes an event to the body that it concerns, or to the application.
    fn deliver(&mut self, now: Instant, event: Event) {
        let Some(event) = self.streams.deliver(&mut self.engine, now, event) else {
            return;
        };
        if let Event::Closed { error } = &event {
            self.ending.get_or_insert_default().error = Some(error.clone());
        }
        let mut conn = Context::new(&mut self.engine, now, &mut self.streams);
        self.application.handle_event(&mut conn, event);
    }

    /// Reports the progress of the transport to the application.
    fn handle_written(&mut self, now: Instant) {
        let mut conn = Context::new(&mut self.engine, now, &mut self.streams);
        self.application.handle_written(&mut conn);
    }

    /// Reports the end of the connection to all bodies and the application.
    fn close(&mut self) {
        let result = self.outcome();
        let error = self.error().cloned().unwrap_or_else(|| {
            Error::connection(Initiator::Peer, Reason::NoError, "the connection is closed")
        });
        self.streams.fail(&error);
        self.streams.close();
        let mut conn = Context::new(&mut self.engine, now(), &mut self.streams);
        self.application.handle_closed(&mut conn, &result);
    }

    fn outcome(&self) -> Result<(), Error> {
        match self.error() {
            Some(error) if error.reason() != Reason::NoError => Err(error.clone()),
            _ => Ok(()),
        }
    }
}

impl<IO: AsyncRead + AsyncWrite + Unpin, A: Application> Driver<IO, A> {
    fn turn(&mut self, cx: &mut task::Context<'_>, now: Instant) -> Turn {
        match &self.phase {
            Phase::Open if self.has_last_input() => self.read_last_input(cx, now),
            Phase::Open => {
                let Work {
                    mut received,
                    again,
                } = self.work(cx, now);
                if received && !again && !self.engine.is_closed() {
                    // Most often there is no more input, and a read shows that for less
                    // than a whole turn.
                    received = self.read(cx, now);
                    self.read_ahead = received;
                }
                let deadline = self.handle_due(received, now);
                if self.engine.is_closed() {
                    self.report_steps(now);
                    self.close();
                    let until = now.checked_add(self.engine.limits().write_stall_timeout);
                    let until = until.unwrap_or(now);
                    let latest = until;
                    self.enter(Phase::Flushing, Linger { until, latest });
                    self.report_memory();
                    return Turn::Again;
                }
                let Deadline::At(deadline) = deadline else {
                    return Turn::Again;
                };
                // The time of a slow read has no use while nothing is read at all. It would stay
                // due, and the task would never sleep.
                let reads = !self.input_ended && self.engine.wants_input();
                let next_read = self.pressure.next_read().filter(|_| reads);
                let due = [deadline, self.streams.alarm, next_read];
                self.again_unless_asleep(again, cx, now, due.into_iter().flatten().min())
            }
            Phase::Flushing => self.finish_writing(cx, now),
            Phase::Lingering => self.linger(cx, now),
            Phase::Over => Turn::Over,
        }
    }

    /// Runs a turn of an open connection, up to its deadlines.
    fn work(&mut self, cx: &mut task::Context<'_>, now: Instant) -> Work {
        // The buffer must be there before the first frame is encoded.
        self.transport.lend(self.engine.output());
        self.pressure.follow_budget(&mut self.engine, now);
        let mut again = self.handle_signals(now);
        self.count_detached();
        let read = std::mem::take(&mut self.read_ahead) || self.read(cx, now);
        let received = self.handle_events(now) || read;
        // Earlier input is handled before the end, and may have to wait.
        if self.input_ended && !self.end_reported && self.engine.wants_input() {
            self.end_reported = true;
            self.streams.release_complete(&mut self.engine, now);
            self.engine.handle_eof(now);
            again |= self.handle_events(now);
        }
        // Before the call, in which the application may ask for a later one.
        self.streams.alarm = self.streams.alarm.filter(|at| *at > now);
        let mut conn = Context::new(&mut self.engine, now, &mut self.streams);
        self.application.poll_sources(&mut conn, cx);
        if received || self.may_pull_all() {
            self.offer_declined(now);
        }
        let open = self.engine.open_streams();
        let transmitted = self.transmit(cx, now);
        self.handle_written(now);
        match transmitted {
            Ok(written) => again |= written,
            Err(error) => {
                let ending = self.ending.get_or_insert_default();
                ending.last_input = Some(LastInput::after(error, now));
                again = true;
            }
        }
        // A source may wait for the end of a stream, by its last frame.
        again |= self.engine.open_streams() < open;
        // Input may have waited until now, and windows may have opened by it.
        let waiting = self.transport.input.len();
        let more = waiting > 0 || self.engine.is_pollable();
        let late = more && (self.handle_events(now) || self.transport.input.len() < waiting);
        again |= late || self.offer_declined_after(late, now);
        self.report_steps(now);
        Work { received, again }
    }

    /// Reads once, if the engine takes input; `true` if something was read.
    fn read(&mut self, cx: &mut task::Context<'_>, now: Instant) -> bool {
        if self.input_ended || !self.engine.wants_input() {
            return false;
        }
        if !self.pressure.may_read(&self.engine, now) {
            return false;
        }
        match self.transport.poll_read(cx) {
            Poll::Ready(Ok(Read::Bytes)) => true,
            Poll::Ready(Ok(Read::End)) => {
                self.input_ended = true;
                true
            }
            // TLS without close_notify: complete requests are still complete,
            // and their clients wait for responses.
            Poll::Ready(Err(error))
                if error.kind() == io::ErrorKind::UnexpectedEof
                    && self.engine.side() == Side::Server =>
            {
                self.input_ended = true;
                true
            }
            Poll::Ready(Err(error)) => {
                (self.input_ended, self.end_reported) = (true, true);
                self.engine.handle_io_error(now, error);
                true
            }
            Poll::Pending => false,
        }
    }

    /// Encodes and writes output; `true` if a write took all and more may follow.
    fn transmit(&mut self, cx: &mut task::Context<'_>, now: Instant) -> io::Result<bool> {
        loop {
            self.transport.lend(self.engine.output());
            match self.engine.poll_transmit(now) {
                Transmit::Pull { stream, max } => {
                    self.pull(now, stream, max);
                }
                Transmit::Write => {
                    return match self.transport.poll_write(cx, self.engine.output()) {
                        Poll::Ready(written) => written.map(|()| true),
                        Poll::Pending => Ok(false),
                    };
                }
                Transmit::Idle => {
                    let held_back = !self.engine.wants_input();
                    let output = self.engine.output();
                    if self.transport.poll_write(cx, output)?.is_ready()
                        && self.transport.poll_flush(cx)?.is_ready()
                    {
                        // Input may have waited for room in the output.
                        return Ok(held_back && self.engine.wants_input());
                    }
                    return Ok(false);
                }
            }
        }
    }

    fn again_unless_asleep(
        &mut self,
        again: bool,
        cx: &mut task::Context<'_>,
        now: Instant,
        timeout: Option<Instant>,
    ) -> Turn {
        if again || self.timer.poll(cx, now, timeout).is_ready() {
            return Turn::Again;
        }
        if self.phase == Phase::Open && !self.streams.fall_asleep() {
            return Turn::Again;
        }
        Turn::Sleep
    }

    /// Frees the memory that a sleeping connection does not need.
    fn release_memory(&mut self) {
        self.transport.release_buffers(self.engine.output());
        if self.pressure.was_tight() {
            self.engine.shrink();
        }
        if self.phase != Phase::Open || self.engine.is_idle() {
            self.streams.clear();
            if let Some(spares) = self.engine.take_spares() {
                spares::give_back(spares);
            }
        }
    }
}

impl<IO: AsyncRead + AsyncWrite + Unpin, A: Application> Future for Driver<IO, A> {
    type Output = Result<(), Error>;

    fn poll(self: Pin<&mut Self>, cx: &mut task::Context<'_>) -> Poll<Self::Output> {
        let this = self.get_mut();
        if this.streams.wake_up(cx.waker()) {
            this.pressure.account().register(cx.waker());
            this.timer.forget_waker();
            this.application.handle_moved();
        }
        this.engine.lend_spares(spares::take);
        // Readers had their turns since the last poll. During this one, they have none on this thread.
        let lag = this.unread() > MAX_UNREAD_OF_HUGE_READS;
        this.transport.begin_poll(lag, this.pressure.is_tight());
        let began = now();
        let mut at = began;
        let received = this.transport.received;
        for _ in 0..TURNS {
            match this.turn(cx, at) {
                Turn::Again => {
                    if this.pressure.was_tight() {
                        this.report_memory();
                    }
                    at = now();
                    let bytes = this.transport.received.wrapping_sub(received);
                    if at.saturating_duration_since(began) >= SLICE || bytes >= SLICE_BYTES {
                        break;
                    }
                }
                Turn::Sleep => {
                    this.release_memory();
                    this.report_memory();
                    return Poll::Pending;
                }
                Turn::Over => {
                    this.phase = Phase::Over;
                    this.application.handle_end();
                    return Poll::Ready(this.outcome());
                }
            }
        }
        this.report_memory();
        // Not by the waker: tokio would poll a task that wakes itself dozens of
        // times before it looks at its sockets. All other tasks of the thread
        // would wait.
        let _: Poll<()> = pin!(tokio::task::yield_now()).poll(cx);
        Poll::Pending
    }
}

impl<IO, A: Application> Drop for Driver<IO, A> {
    fn drop(&mut self) {
        if self.phase == Phase::Open {
            self.ending.get_or_insert_default().error = Some(Error::connection(
                Initiator::User,
                Reason::Cancel,
                "the connection's task was dropped",
            ));
            self.close();
        }
        if self.phase != Phase::Over {
            self.application.handle_end();
        }
    }
}

impl<IO, A: Application> fmt::Debug for Driver<IO, A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Driver")
            .field("version", &self.engine.version())
            .field("side", &self.engine.side())
            .field("phase", &self.phase)
            .finish_non_exhaustive()
    }
}
