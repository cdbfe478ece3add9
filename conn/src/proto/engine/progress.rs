//! Progress: a frame or a stream that has begun continues, or ends. A frame that drips,
//! an upload that stops, data that the peer does not take: each has its bound here, on
//! the engine's clock.
//!
//! No stream has a timer. One sweep of the connection looks at all of them every
//! few seconds, and runs only while some stream may wait for the peer. A sweep
//! counts what a stream moved since it began to wait; a late sweep counts
//! nothing, since the lateness is ours.
//!
//! The peer is waited for in these cases, and in no other:
//!
//! * *A request's content* while the windows are open for it. Content of declared
//!   length is known to the client, which has it to send. Content without a
//!   length is a message until the response begins. Afterwards it is a dialogue, in which
//!   the client may have nothing to send. gRPC is a dialogue from its start; CONNECT is
//!   a tunnel. With `Expect: 100-continue` the client waits for us, until we ask for the
//!   content or send the final response.
//! * *A response's content* of declared length. The server has it to send, but may get it from
//!   another server, so the bound is the long one. The short one applies while a client holds back
//!   its own content, since the response is final and no success: a server that echoes would wait
//!   for it.
//! * *Our data* while the stream's window, or the connection's, is empty. A player
//!   that is paused does that for minutes, so the bound is long. It is short in three
//!   cases: many streams wait, which only an attacker needs; a resource of the process
//!   runs short; the window drips. A player that is paused takes nothing, and then much;
//!   small pieces again and again only keep a stream alive. Content that drips gets the
//!   long bound, since slow paths deliver it in small pieces.

use std::time::{Duration, Instant};

use super::{Engine, Timer};
use crate::proto::{
    Broken, Limits, Rule, Semantics, Side, StreamKey,
    streams::progress::{Link, Waiting, Watch},
};

/// The longest time between two sweeps.
const LONGEST_SWEEP: Duration = Duration::from_secs(5);

/// The shortest time between two sweeps.
const SHORTEST_SWEEP: Duration = Duration::from_millis(10);

/// The number of sweeps within the shortest bound. A wait therefore exceeds its bound by about an
/// eighth at most.
const SWEEPS: u32 = 8;

/// A delay beyond a deadline that is our fault: the process was suspended, or has too much to do.
/// The engine has not read yet what the peer sent meanwhile.
const LATE: Duration = Duration::from_secs(1);

/// The output under pressure, in bytes, at which sources give no more.
const PRESSED_OUTPUT: usize = 32 << 10;

/// The shortage of memory or another resource of the process.
///
/// ```
/// use lacewing_conn::proto::{Engine, Pressure};
///
/// /// Shortens the patience with streams that wait for their peer.
/// fn run_short(connections: &mut [Engine]) {
///     for engine in connections {
///         engine.set_pressure(Pressure::High);
///     }
/// }
/// # let _ = run_short;
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Pressure {
    /// There is none.
    #[default]
    Normal,
    /// Memory, files or connections run short: streams that wait for the peer get
    /// [`pressed_stall_timeout`](Limits::pressed_stall_timeout) and no more, and little output is made
    /// in advance ([`Engine::has_output_room`]).
    High,
    /// As [`High`](Self::High), and new streams of the peer are refused.
    Critical,
}

/// The progress of a connection.
#[derive(Debug, Default)]
pub(super) struct Progress {
    frame: FrameProgress,
    /// Data waits for the connection's window.
    connection: Watch,
    /// A stream may wait for the peer: the engine must start the sweep's timer.
    wanted: bool,
    pressure: Pressure,
    /// Bytes of DATA received until the last sweep.
    received: u64,
}

/// The frame that has begun and not ended.
#[derive(Debug, Default)]
struct FrameProgress {
    under_way: bool,
    /// Bytes of the frame that were consumed in pieces.
    taken: u32,
    /// Bytes of the frame that were received in all.
    position: u32,
    /// The value of `position` when the timeout of the frame last started.
    mark: u32,
}

/// The bounds of a sweep, in sweeps and bytes.
#[derive(Clone, Copy, Debug)]
struct Bounds {
    period: Duration,
    /// Bytes that a stream moves within a bound, at least.
    needed: u32,
    body: u16,
    stall: u16,
    pressed: u16,
}

impl Bounds {
    fn new(limits: &Limits) -> Self {
        let shortest = limits
            .body_timeout
            .min(limits.stall_timeout)
            .min(limits.pressed_stall_timeout);
        // Long enough for a `u16` to count the sweeps of each bound, `LONGEST_SWEEP` permitting.
        let longest = limits.body_timeout.max(limits.stall_timeout);
        let longest = longest.max(limits.pressed_stall_timeout) / u32::from(u16::MAX / 2);
        let period = (shortest / SWEEPS)
            .max(longest)
            .clamp(SHORTEST_SWEEP, LONGEST_SWEEP);
        let sweeps = |bound: Duration| {
            let sweeps = bound.as_nanos().div_ceil(period.as_nanos().max(1));
            u16::try_from(sweeps).unwrap_or(u16::MAX)
        };
        Self {
            period,
            needed: least(limits, limits.pressed_stall_timeout),
            body: sweeps(limits.body_timeout),
            stall: sweeps(limits.stall_timeout),
            pressed: sweeps(limits.pressed_stall_timeout),
        }
    }
}

/// The least that the peer moves in this time. Streams count bytes modulo 2³².
fn least(limits: &Limits, time: Duration) -> u32 {
    u32::try_from(limits.least_within(time)).unwrap_or(u32::MAX)
}

/// The length as a `u32`, which is longer than any frame.
fn length(bytes: usize) -> u32 {
    u32::try_from(bytes).unwrap_or(u32::MAX)
}

/// Returns `true` if a wait of `sweeps` exceeds its bound. A bound that is longer than can
/// be counted is never exceeded.
fn is_over(sweeps: u16, bound: u16) -> bool {
    bound != u16::MAX && sweeps > bound
}

impl Progress {
    /// A stream may wait for the peer from now on.
    #[inline]
    pub(super) fn watch_streams(&mut self) {
        self.wanted = true;
    }
}

impl Engine {
    /// Sets the shortage of memory or another resource of the process. [`Pressure::High`] shortens
    /// the waits of streams for their peer, until it is set back.
    pub fn set_pressure(&mut self, pressure: Pressure) {
        self.progress.pressure = pressure;
    }

    /// Returns `true` if sources should give more data now. Without pressure, they always should: the
    /// engine cuts up to `cut_ahead` bytes. Under pressure, no more than 32 KiB should wait for the
    /// transport of each connection.
    #[inline]
    pub fn has_output_room(&self) -> bool {
        self.progress.pressure == Pressure::Normal || self.wire.output.len() < PRESSED_OUTPUT
    }

    /// New streams of the peer are refused.
    #[inline]
    pub(super) fn refuses_streams(&self) -> bool {
        self.progress.pressure == Pressure::Critical
    }

    /// A deadline is handled so late that the peer is not to blame.
    pub(super) fn is_late(deadline: Instant, now: Instant) -> bool {
        now.saturating_duration_since(deadline) > LATE
    }

    /// Sets the sweep, if a stream asked for it.
    #[inline]
    pub(super) fn start_sweep(&mut self, now: Instant) {
        let wanted = std::mem::take(&mut self.progress.wanted) && !self.streams.is_empty();
        if wanted && self.timers.get(Timer::Sweep).is_none() {
            let period = Bounds::new(&self.config.limits).period;
            self.timers.start(Timer::Sweep, now.checked_add(period));
        }
    }

    /// The last stream is gone.
    #[inline]
    pub(super) fn stop_sweep(&mut self) {
        self.progress.wanted = false;
        self.progress.connection.stop();
        self.timers.stop(Timer::Sweep);
    }
}

/// Frames.
impl Engine {
    /// `consumed` bytes of input were a message, or a piece of one.
    #[inline]
    pub(super) fn note_message(&mut self, consumed: usize) {
        if !self.progress.frame.under_way {
            return;
        }
        if self.wire.in_data() {
            let frame = &mut self.progress.frame;
            frame.taken = frame.taken.saturating_add(length(consumed));
        } else {
            self.forget_frame();
        }
    }

    /// The input ends within a frame, of which `consumed` bytes were taken now and `left`
    /// wait. The rest must arrive within `frame_timeout`, or a part of it by `min_rate`.
    #[inline]
    pub(super) fn watch_frame(&mut self, now: Instant, consumed: usize, left: usize) {
        if left == 0 && !self.wire.in_data() {
            return;
        }
        let frame = &mut self.progress.frame;
        frame.taken = frame.taken.saturating_add(length(consumed));
        let position = frame.taken.saturating_add(length(left));
        let grew = position > std::mem::replace(&mut frame.position, position);
        if !frame.under_way {
            frame.under_way = true;
            frame.mark = frame.position;
            let deadline = now.checked_add(self.config.limits.frame_timeout);
            self.timers.set(Timer::Frame, deadline);
        }
        if grew {
            // A long frame on a slow path is a sign of life.
            self.life.note_received(now, self.wire.output.end());
        }
    }

    /// The frame has ended, or is not read on: its sender is not to blame.
    pub(super) fn forget_frame(&mut self) {
        self.progress.frame = FrameProgress::default();
        self.timers.stop(Timer::Frame);
    }

    /// `frame_timeout` has passed for a frame. If enough of it arrived, its time starts
    /// again; otherwise the connection ends.
    pub(super) fn end_frame(&mut self, now: Instant) {
        let limits = &self.config.limits;
        let needed = least(limits, limits.frame_timeout);
        let frame = &mut self.progress.frame;
        let brought = frame.position.saturating_sub(frame.mark);
        if brought >= needed {
            frame.mark = frame.position;
            let deadline = now.checked_add(limits.frame_timeout);
            self.timers.set(Timer::Frame, deadline);
            return;
        }
        let (rate, time) = (limits.min_rate, limits.frame_timeout);
        let text = format!(
            "a frame that has begun brought {brought} bytes within frame_timeout ({time:?}), \
             less than min_rate ({rate} bytes a second)"
        );
        self.handle_broken(now, Rule::FrameTimeout.fatal().detailed(text));
    }
}

/// Streams.
impl Engine {
    /// Looks at all streams: those that waited too long for the peer end.
    pub(super) fn sweep(&mut self, now: Instant, deadline: Instant) {
        let bounds = Bounds::new(&self.config.limits);
        let next = now.checked_add(bounds.period);
        self.timers.set(Timer::Sweep, next);
        if Self::is_late(deadline, now) {
            return;
        }
        let link = self.link(bounds.period);
        let (watched, stalled) = self.tick(bounds, link);
        if !watched {
            self.timers.stop(Timer::Sweep);
            return;
        }
        let most = self.config.limits.max_stalled_streams;
        let server = self.config.side == Side::Server;
        let pressed = server && (self.progress.pressure >= Pressure::High || stalled > most);
        self.end_stalled(now, bounds, pressed, link);
    }

    /// The use that was made of the path since the last sweep.
    fn link(&mut self, period: Duration) -> Link {
        let received = self.counters.data_received;
        let moved = received.saturating_sub(self.progress.received);
        self.progress.received = received;
        let least = self.config.limits.least_within(period);
        let busy = self.progress.frame.under_way || moved >= least;
        if busy && self.progress.pressure == Pressure::Normal {
            Link::Busy
        } else {
            Link::Idle
        }
    }

    /// Counts a sweep for each stream that waits for the peer. Returns `true`
    /// if any may wait for it, and the number of streams that stand still.
    fn tick(&mut self, bounds: Bounds, link: Link) -> (bool, u32) {
        if self.config.semantics == Semantics::Raw {
            return (false, 0);
        }
        let blocked = self.flow.send_available() == 0 && self.streams.front().is_some();
        if blocked {
            let sent = (self.counters.data_sent & 0xffff_ffff).try_into();
            self.progress
                .connection
                .tick(sent.unwrap_or(0), bounds.needed);
        } else {
            self.progress.connection.stop();
        }
        let all_wait = self.progress.connection.is_stalled();
        let readable = self.wants_input() && self.flow.peer_may_send();
        let (mut watched, mut stalled) = (blocked, 0u32);
        for (_, stream) in self.streams.iter_mut() {
            let sending = stream.sending_waits();
            let receiving = stream.receiving_waits(readable);
            let progress = &mut stream.progress;
            progress.sweep_sending(sending, bounds.needed);
            progress.sweep_receiving(receiving, bounds.needed, link);
            let still = progress.is_stalled();
            let waits = all_wait && stream.is_queued();
            stalled = stalled.saturating_add(u32::from(waits || still));
            watched |= sending != Waiting::Nothing || receiving != Waiting::Nothing;
        }
        (watched, stalled)
    }

    /// Ends what waited for longer than the bounds allow.
    fn end_stalled(&mut self, now: Instant, bounds: Bounds, pressed: bool, link: Link) {
        let limits = &self.config.limits;
        // While bytes wait for the transport, the path is slow, and `write_stall_timeout`
        // bounds it. The peer is blamed otherwise, and always under pressure.
        let blamed = self.wire.output.is_empty() || self.progress.pressure >= Pressure::High;
        let strict = pressed && blamed;
        let drips_count = blamed && self.config.side == Side::Server;
        let drips = |watch: Watch| drips_count && is_over(watch.dripping(), bounds.pressed);
        let mut ended: Vec<(StreamKey, Broken)> = Vec::new();
        let mut messages = false;
        for (key, stream) in self.streams.iter_mut() {
            let progress = &stream.progress;
            messages |= stream.is_queued() && !stream.is_tunnel();
            let declared = stream.declares_content();
            let body = progress.receiving.sweeps;
            let sending = progress.sending.sweeps;
            let tunnel = stream.is_tunnel();
            let broken = if is_over(progress.silent, bounds.body) && !stream.may_be_silent() {
                Rule::BodyStall.on(key.id()).detailed(format!(
                    "nothing of the content came within body_timeout ({:?})",
                    limits.body_timeout
                ))
            } else if declared && is_over(body, bounds.stall) {
                too_slow(Rule::BodyStall, key, limits, "stall_timeout")
            } else if pressed && link == Link::Idle && is_over(body, bounds.pressed) {
                too_slow(Rule::BodyStall, key, limits, "pressed_stall_timeout")
            } else if !tunnel && is_over(sending, bounds.stall) {
                too_slow(Rule::SendStall, key, limits, "stall_timeout")
            } else if !tunnel && drips(progress.sending) {
                too_slow(Rule::SendStall, key, limits, DRIPPING)
            } else if strict && is_over(sending, bounds.pressed) {
                too_slow(Rule::SendStall, key, limits, "pressed_stall_timeout")
            } else {
                continue;
            };
            ended.push((key, broken));
        }
        let waited = self.progress.connection.sweeps;
        let long = messages && is_over(waited, bounds.stall);
        let dripping = messages && drips(self.progress.connection);
        if long || dripping || (strict && is_over(waited, bounds.pressed)) {
            let name = match (long, dripping) {
                (true, _) => "stall_timeout",
                (_, true) => DRIPPING,
                _ => "pressed_stall_timeout",
            };
            let text = slow_text(limits, name);
            let broken = Rule::ConnectionStall.fatal().detailed(text);
            return self.handle_broken(now, broken);
        }
        for (key, broken) in ended {
            // The end of one stream may have ended another, such as its push.
            if self.streams.get(key).is_some() {
                self.handle_broken(now, broken);
            }
        }
    }
}

/// The name of the bound of a window that drips, in errors.
const DRIPPING: &str = "pressed_stall_timeout, for a window that drips,";

fn too_slow(rule: Rule, key: StreamKey, limits: &Limits, name: &str) -> Broken {
    rule.on(key.id()).detailed(slow_text(limits, name))
}

fn slow_text(limits: &Limits, name: &str) -> String {
    let time = match name {
        "stall_timeout" => limits.stall_timeout,
        _ => limits.pressed_stall_timeout,
    };
    let bytes = least(limits, limits.pressed_stall_timeout);
    format!("fewer than {bytes} bytes moved within {name} ({time:?})")
}
