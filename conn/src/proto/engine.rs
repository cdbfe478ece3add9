//! The engine: its parts and its construction.
//! The files below have the rest, by subject.

mod admission;
mod capacity;
mod credit;
mod data;
mod departures;
mod first;
mod half_close;
mod keep_alive;
mod lifecycle;
mod memory;
mod open;
mod ping;
mod priorities;
mod progress;
mod promises;
mod pushes;
mod receive;
mod refusals;
mod send;
mod settings;
mod spares;
mod stats;
mod stream_mut;
mod stream_stats;
mod timeouts;
mod unsolicited;
mod upgrade;

use std::time::Instant;

use self::{
    admission::Admission, capacity::Capacity, keep_alive::Life, progress::Progress, stats::Counters,
};
pub use self::{
    capacity::MemorySteps,
    open::OpenOptions,
    progress::Pressure,
    spares::Spares,
    stats::{ConnectionStats, Resets, Stalls},
    stream_mut::StreamMut,
    stream_stats::{StreamStall, StreamStats},
    unsolicited::AlternativeFor,
};
use super::{
    Config, Event, FlowControl, Limits, Outcome, Output, Reason, Setting, Side, StreamId,
    StreamKey, Version,
    charges::Charges,
    config::Kept,
    flow::{ConnectionFlow, RecvWindow, SendWindow},
    ids::StreamIds,
    peer::Peer,
    priority::Priority,
    rare_queue::RareQueue,
    rules::Rules,
    shutdown::Shutdown,
    streams::{
        Handler, Reader, Stream, Streams,
        state::{Half, State},
    },
    timers::{StreamTimer, Timer, Timers},
    wire::Wire,
};
use crate::Error;

/// One connection, either side of it, without I/O.
///
/// ```
/// use std::time::Instant;
/// use bytes::{Buf, BytesMut};
/// use http::{Method, StatusCode};
/// use lacewing_conn::{Side, Version};
/// use lacewing_conn::proto::{Config, Engine, Event, Head, OpenOptions, Transmit};
///
/// /// Moves the bytes of one side to the other.
/// fn transfer(from: &mut Engine, to: &mut BytesMut, now: Instant) {
///     while from.poll_transmit(now) == Transmit::Write || from.output().has_remaining() {
///         let chunk = from.output().chunk().to_vec();
///         to.extend_from_slice(&chunk);
///         from.output().advance(chunk.len());
///     }
/// }
///
/// let now = Instant::now();
/// let mut client = Engine::new(Config::new(Version::Http2, Side::Client), now, 1);
/// let mut server = Engine::new(Config::new(Version::Http2, Side::Server), now, 2);
/// let (mut to_server, mut to_client) = (BytesMut::new(), BytesMut::new());
///
/// let uri = "https://example.org/".parse().unwrap();
/// client.open(now, Head::request(Method::GET, uri), OpenOptions::without_content()).unwrap();
/// transfer(&mut client, &mut to_server, now);
/// while let Some(event) = server.poll_event(now, &mut to_server) {
///     if let Event::Opened { stream, .. } = event {
///         let reply = Head::response(StatusCode::NO_CONTENT);
///         server.stream(now, stream).reply(reply, true).unwrap();
///     }
/// }
/// transfer(&mut server, &mut to_client, now);
/// let reply = std::iter::from_fn(|| client.poll_event(now, &mut to_client))
///     .find_map(|event| match event {
///         Event::Reply { head, .. } => head.status(),
///         _ => None,
///     });
/// assert_eq!(reply, Some(StatusCode::NO_CONTENT));
/// ```
#[derive(Debug)]
pub struct Engine {
    config: Kept,
    rules: &'static Rules,
    wire: Wire,
    streams: Streams,
    flow: ConnectionFlow,
    peer: Peer,
    ids: StreamIds,
    admission: Admission,
    capacity: Capacity,
    /// Events of a frame that caused several.
    events: RareQueue<Event>,
    charges: Charges,
    shutdown: Shutdown,
    timers: Timers,
    life: Life,
    progress: Progress,
    counters: Counters,
}

/// The next step of a driver.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transmit {
    /// The output is full enough: write it, then ask again.
    Write,
    /// It is this stream's turn and its source was offered: ask it for data.
    /// If it has some, [`send_data`](StreamMut::send_data) and poll again: the
    /// source stays offered. If it has none now, poll again, and
    /// [`offer`](StreamMut::offer) it once it has.
    Pull {
        /// The stream that may send now.
        stream: StreamKey,
        /// The number of bytes that could be sent at once: a hint.
        max: usize,
    },
    /// No frame can be encoded now. Write the output.
    Idle,
}

impl Engine {
    /// A connection that begins at `now`. Its preface is in the output at
    /// once. `seed` varies what should not be guessed; equal seeds and calls
    /// give equal bytes.
    ///
    /// Limits outside of what the protocol can express are moved to the nearest
    /// that it can.
    pub fn new(mut config: Config, now: Instant, seed: u64) -> Self {
        config.limits.clamp();
        let rules = Rules::of(config.version);
        let mut engine = Self {
            rules,
            wire: Wire::new(&config),
            streams: Streams::default(),
            flow: ConnectionFlow::new(rules, &config),
            peer: Peer::new(rules, &config),
            ids: StreamIds::new(config.side, config.first_stream),
            admission: Admission::new(now),
            capacity: Capacity::new(&config),
            events: RareQueue::default(),
            charges: Charges::default(),
            shutdown: Shutdown::default(),
            timers: Timers::default(),
            life: Life::new(seed, now),
            progress: Progress::default(),
            counters: Counters::default(),
            config: Kept::of(&config),
        };
        engine.start_timers(now, seed);
        engine.wire.preface(&config);
        if let Some(increment) = engine.flow.initial_increment(rules) {
            engine.wire.window_update(None, increment.0);
        }
        engine
    }

    /// Returns the protocol of the connection.
    pub fn version(&self) -> Version {
        self.config.version
    }

    /// Returns our end of the connection.
    pub fn side(&self) -> Side {
        self.config.side
    }

    /// Returns the limits in force.
    pub fn limits(&self) -> &Limits {
        &self.config.limits
    }

    /// Returns the number of streams of both sides.
    pub fn open_streams(&self) -> usize {
        self.streams.len()
    }

    /// Returns `true` if no stream is open.
    pub fn is_idle(&self) -> bool {
        self.streams.is_empty()
    }

    /// Returns the number of our streams that the peer permits at once.
    pub fn peer_max_concurrent_streams(&self) -> u32 {
        self.peer.max_streams()
    }

    /// Returns `true` if the peer accepts `:protocol` in CONNECT requests (RFC
    /// 8441); `false` until its SETTINGS have arrived.
    pub fn peer_allows_extended_connect(&self) -> bool {
        self.peer.takes_extended_connect()
    }

    /// Returns the latest value of every setting that the peer sent, applied or
    /// not; at most `max_settings_entries`.
    pub fn peer_settings(&self) -> &[Setting] {
        self.peer.settings()
    }

    /// Returns `true` if the peer accepts pushes.
    pub fn peer_allows_push(&self) -> bool {
        self.peer.takes_push()
    }

    /// Returns `true` once the peer's SETTINGS have arrived, where they are the
    /// first frame; else its first frame.
    pub fn peer_spoke(&self) -> bool {
        self.peer.has_spoken()
    }

    /// Returns `true` if no new stream is accepted: a shutdown began, by either
    /// side.
    pub fn is_shutting_down(&self) -> bool {
        self.shutdown.has_begun()
    }

    /// Returns the peer's GOAWAY as an error: its code and its debug data.
    /// `None` until it arrives.
    pub fn peer_go_away(&self) -> Option<&Error> {
        self.shutdown.peer()
    }

    /// Returns `true` once our stream ids are used up: new streams need another
    /// connection.
    pub fn is_exhausted(&self) -> bool {
        self.ids.is_exhausted()
    }

    /// Returns `true` once no more input is read, and no frame is added to the output:
    /// write the output, then close the transport.
    pub fn is_closed(&self) -> bool {
        self.shutdown.is_closed()
    }

    /// Returns the bytes that are to be written.
    pub fn output(&mut self) -> &mut Output {
        &mut self.wire.output
    }

    /// Returns `true` if input should be read and polled. `false` while too much
    /// waits, either in the output (a peer that asks and does not read) or with
    /// the user (content without a reader). Input that was read already stays where
    /// it is; poll again after writing and after [`release`](StreamMut::release).
    pub fn wants_input(&self) -> bool {
        let limits = &self.config.limits;
        let backlog = limits.max_output_backlog.saturating_add(limits.cut_ahead);
        !self.admission.is_waiting()
            && self.wire.output.len() <= backlog
            && self.flow.buffered() <= self.flow.budget(limits)
    }

    /// Sets the length in bytes below which DATA is copied off the input, so
    /// that a few unread bytes never keep a large buffer alive.
    /// Longer data is a part of the input itself. Default 1 KiB; about a
    /// sixteenth of the buffers that are read into is a good value.
    pub fn set_copy_below(&mut self, length: usize) {
        self.wire.set_copy_below(length);
    }

    /// A frame that is legal and leads to nothing.
    fn useless(&mut self, now: Instant) -> Outcome {
        self.charges.glitch(&self.config.limits, now)?;
        Ok(None)
    }

    /// A new stream with windows as they are now.
    fn new_stream(&self, id: StreamId, state: State, priority: Option<Priority>) -> Stream {
        let initial = self.rules.stream_window;
        let initial = initial.filter(|_| self.config.flow_control == FlowControl::Obeyed);
        let granted = initial.map(|_| self.config.limits.stream_window);
        let recv = RecvWindow::new(granted).at_least(initial.unwrap_or(0));
        let send = SendWindow::new(self.peer.stream_window());
        let mut stream = Stream::new(id, state, send, recv);
        stream.priority = priority.unwrap_or_default();
        stream
    }

    /// Handles a stream that may be done. Once both halves are closed, it does not count
    /// among our own streams. Once the user is done too, it is removed.
    fn close_if_done(&mut self, now: Instant, key: StreamKey) {
        let Some(stream) = self.streams.get_mut(key) else {
            return;
        };
        if !stream.is_closed() {
            // Our half has ended, and the peer's has no reader: the peer may stop.
            if stream.recv.reader != Reader::Reading && stream.send_half() == Half::Closed {
                self.linger(now, key);
            }
            return;
        }
        let done =
            stream.handler == Handler::Done && stream.recv.is_released() && !stream.is_held();
        if done {
            self.remove(now, key);
        } else {
            self.streams.count_closed(key);
        }
    }

    /// Takes a stream out of every list and releases what it held.
    fn remove(&mut self, now: Instant, key: StreamKey) {
        let Some(stream) = self.streams.get(key) else {
            return;
        };
        let unreleased = stream.recv.unreleased;
        let lingers = stream.recv.reader == Reader::Lingering;
        // A push of the peer is charged itself, and earns no allowance for late frames.
        let charged = stream.push.is_some() && !stream.is_ours();
        let has_held_pushes = stream.send.pushes_ahead > 0;
        let parent = stream.parent().filter(|_| stream.is_held());
        self.streams.remove(key);
        if let Some(parent) = parent {
            self.arm_held_push();
            self.resume_parent(now, parent);
        } else if has_held_pushes {
            self.drop_held_pushes_of(now, key.id());
        }
        if lingers {
            self.timers.forget_gone(StreamTimer::Upload, &self.streams);
        }
        if !charged {
            self.charges.note_ended_stream();
        }
        if unreleased > 0 {
            self.flow.let_go(unreleased);
            self.give_back(now, None, unreleased);
        }
        if self.streams.is_empty() {
            self.stop_sweep();
            self.life.became_idle(now);
            self.charges.rest(now);
            self.finish_drain();
        }
    }

    fn push_event(&mut self, event: Event) {
        self.events.push_back(event);
    }
}

/// An error of the peer's making, for the streams that it ends.
fn reset_by_peer(reason: Reason) -> Error {
    Error::reset(crate::Initiator::Peer, reason)
}
