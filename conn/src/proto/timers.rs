//! One table of all deadlines. There is no clock: time is a parameter.

use std::{collections::VecDeque, time::Instant};

use super::{StreamKey, memory, streams::Streams};

/// Deadlines of a connection by name, in the order in which those that are due
/// at once are handled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Timer {
    /// The transport takes a byte of the output.
    Write,
    /// The peer's first frame arrives.
    Preface,
    /// The peer acknowledges our SETTINGS.
    Settings,
    /// A header block that has begun ends.
    HeaderBlock,
    /// A frame that has begun continues.
    Frame,
    /// A check of all streams: those that wait for the peer for too long end.
    Sweep,
    /// A write finds out whether the transport still has a peer, while nothing
    /// is read.
    Probe,
    /// A PING is sent, or its answer is missing.
    KeepAlive,
    /// The connection is old and shuts down.
    Age,
    /// The connection has had no stream for long and shuts down.
    Idle,
    /// The connection has had no stream for a moment: the codec rests.
    Rest,
    /// The first held push goes out without its response.
    HeldPush,
    /// The peer is asked to stop the first of the uploads that linger.
    Upload,
    /// The first of the streams without a user ends.
    Departure,
    /// A stream waits no longer for the handlers of cancelled ones.
    Admission,
    /// The second GOAWAY follows the first, whether the PING between them was
    /// answered or not.
    SecondGoAway,
    /// A second write after the end of the input finds out whether the
    /// transport still has a peer.
    SecondLook,
    /// Streams end that are open long after a shutdown or the peer's GOAWAY.
    Drain,
}

impl Timer {
    const ALL: [Self; 18] = [
        Self::Write,
        Self::Preface,
        Self::Settings,
        Self::HeaderBlock,
        Self::Frame,
        Self::Sweep,
        Self::Probe,
        Self::KeepAlive,
        Self::Age,
        Self::Idle,
        Self::Rest,
        Self::HeldPush,
        Self::Upload,
        Self::Departure,
        Self::Admission,
        Self::SecondGoAway,
        Self::SecondLook,
        Self::Drain,
    ];

    const fn bit(self) -> u32 {
        1 << self as u32
    }
}

/// An empty table of deadlines.
#[derive(Debug, Default)]
pub(crate) struct DeadlineTable(Vec<(Timer, Instant)>);

/// The deadlines of one connection.
#[derive(Debug, Default)]
pub(crate) struct Timers {
    /// Those that are set, in no order. A connection seldom has more than four, and an idle one
    /// has none.
    deadlines: Vec<(Timer, Instant)>,
    /// Bit n is set if the timer n is among them: most often a timer that is stopped is not.
    set: u32,
    /// Bytes that the transport has to have taken for [`Timer::Write`] to be set
    /// anew.
    writing: u64,
    /// Made for the first of them.
    streams: Option<Box<StreamTimers>>,
}

#[derive(Debug, Default)]
struct StreamTimers {
    /// Uploads that are asked to stop.
    uploads: StreamDeadlines,
    /// Streams without a user.
    departures: StreamDeadlines,
}

/// Deadlines of single streams. All of one kind last equally long, so that they
/// are in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum StreamTimer {
    Upload,
    Departure,
}

impl Timers {
    /// Sets a deadline in place of an earlier one; `None` (a time beyond what an
    /// [`Instant`] holds) stops it.
    #[inline]
    pub(crate) fn set(&mut self, timer: Timer, deadline: Option<Instant>) {
        let Some(deadline) = deadline else {
            return self.stop(timer);
        };
        match self.deadlines.iter_mut().find(|(set, _)| *set == timer) {
            Some((_, slot)) => *slot = deadline,
            None => {
                if self.deadlines.len() == self.deadlines.capacity() {
                    self.grow();
                }
                self.deadlines.push((timer, deadline));
                self.set |= timer.bit();
            }
        }
    }

    #[inline]
    pub(crate) fn stop(&mut self, timer: Timer) {
        if self.set & timer.bit() != 0 {
            self.remove(timer);
        }
    }

    /// Makes room for one more. A vector would start with room for four.
    #[cold]
    fn grow(&mut self) {
        if self.deadlines.len() < 4 {
            self.deadlines.reserve_exact(1);
        }
    }

    fn remove(&mut self, timer: Timer) {
        self.set &= !timer.bit();
        if let Some(index) = self.deadlines.iter().position(|(set, _)| *set == timer) {
            self.deadlines.swap_remove(index);
        }
    }

    #[inline]
    pub(crate) fn get(&self, timer: Timer) -> Option<Instant> {
        if self.set & timer.bit() == 0 {
            return None;
        }
        let mut set = self.deadlines.iter();
        set.find(|(set, _)| *set == timer)
            .map(|(_, deadline)| *deadline)
    }

    /// Sets a deadline unless it is set.
    pub(crate) fn start(&mut self, timer: Timer, deadline: Option<Instant>) {
        if self.get(timer).is_none() {
            self.set(timer, deadline);
        }
    }

    pub(crate) fn is_due(&self, timer: Timer, now: Instant) -> bool {
        self.get(timer).is_some_and(|deadline| deadline <= now)
    }

    /// The first deadline of all.
    pub(crate) fn next(&self) -> Option<Instant> {
        self.deadlines.iter().map(|(_, deadline)| *deadline).min()
    }

    /// The deadlines that are due, and those among `others`, which are not kept here. Each is
    /// stopped, and may be set again.
    pub(crate) fn take_due<const N: usize>(
        &mut self,
        now: Instant,
        others: [(Timer, Option<Instant>); N],
    ) -> impl Iterator<Item = (Timer, Instant)> + use<N> {
        let mut due = [None; Timer::ALL.len()];
        for (timer, due) in Timer::ALL.into_iter().zip(&mut due) {
            let other = others.iter().find(|(other, _)| *other == timer);
            let deadline = self
                .get(timer)
                .or(other.and_then(|(_, deadline)| *deadline));
            if let Some(deadline) = deadline.filter(|deadline| *deadline <= now) {
                self.stop(timer);
                *due = Some((timer, deadline));
            }
        }
        due.into_iter().flatten()
    }

    /// There is a table, and no deadline in it.
    #[inline]
    pub(crate) fn has_table(&self) -> bool {
        self.set == 0 && self.deadlines.capacity() > 0
    }

    /// Takes the table of deadlines if none is set, and leaves one that holds no memory.
    pub(crate) fn take_table(&mut self) -> DeadlineTable {
        match self.deadlines.is_empty() {
            true => DeadlineTable(std::mem::take(&mut self.deadlines)),
            false => DeadlineTable::default(),
        }
    }

    /// Puts an empty table in place of one that holds no memory.
    #[inline]
    pub(crate) fn put_table(&mut self, table: DeadlineTable) {
        if self.deadlines.capacity() == 0 {
            self.deadlines = table.0;
        }
    }

    /// The memory of the table and its queues.
    pub(crate) fn memory(&self) -> usize {
        let set = memory::of_table::<(Timer, Instant)>(self.deadlines.capacity());
        let queues = self.streams.as_ref().map_or(0, |streams| {
            let queues = [&streams.uploads, &streams.departures].map(|queue| queue.0.capacity());
            memory::of_table::<(Instant, StreamKey)>(queues.into_iter().sum())
                .saturating_add(size_of::<StreamTimers>())
        });
        set.saturating_add(queues)
    }

    /// The output has bytes, of which the transport had taken `written` by now:
    /// it has until `deadline` to take so many that `target` are written.
    pub(crate) fn watch_write(&mut self, written: u64, target: u64, deadline: Option<Instant>) {
        if self.get(Timer::Write).is_none() || written >= self.writing {
            self.writing = target;
            self.set(Timer::Write, deadline);
        }
    }

    /// Gives a stream a deadline, not before those of the same kind.
    pub(crate) fn add(
        &mut self,
        timer: StreamTimer,
        deadline: Instant,
        stream: StreamKey,
        streams: &Streams,
    ) {
        let queues = self.streams.get_or_insert_default();
        queues.of(timer).push(deadline, stream, streams);
        self.follow(timer);
    }

    /// The first stream of this kind whose deadline is due, once.
    pub(crate) fn pop_stream(&mut self, timer: StreamTimer, now: Instant) -> Option<StreamKey> {
        let stream = self.streams.as_mut()?.of(timer).pop_due(now);
        self.follow(timer);
        stream
    }

    /// Streams that are gone need no deadline.
    pub(crate) fn forget_gone(&mut self, timer: StreamTimer, streams: &Streams) {
        if let Some(queues) = &mut self.streams {
            queues.of(timer).forget_gone(streams);
            self.follow(timer);
        }
    }

    /// The connection's deadline of this kind is that of the first stream.
    fn follow(&mut self, timer: StreamTimer) {
        let queues = self.streams.as_mut();
        let first = queues.and_then(|queues| queues.of(timer).next());
        match timer {
            StreamTimer::Upload => self.set(Timer::Upload, first),
            StreamTimer::Departure => self.set(Timer::Departure, first),
        }
    }
}

impl StreamTimers {
    fn of(&mut self, timer: StreamTimer) -> &mut StreamDeadlines {
        match timer {
            StreamTimer::Upload => &mut self.uploads,
            StreamTimer::Departure => &mut self.departures,
        }
    }
}

/// Streams with their deadlines, in order. Those that are gone fall out from
/// the front.
#[derive(Debug, Default)]
struct StreamDeadlines(VecDeque<(Instant, StreamKey)>);

/// A queue holds this many entries before those of streams that are gone are
/// looked for.
const UNSWEPT: usize = 64;

impl StreamDeadlines {
    fn next(&self) -> Option<Instant> {
        self.0.front().map(|(deadline, _)| *deadline)
    }

    fn push(&mut self, deadline: Instant, key: StreamKey, streams: &Streams) {
        if self.0.len() >= streams.len().saturating_mul(2).max(UNSWEPT) {
            self.0.retain(|(_, key)| streams.get(*key).is_some());
        }
        self.0.push_back((deadline, key));
    }

    fn pop_due(&mut self, now: Instant) -> Option<StreamKey> {
        self.next().filter(|deadline| *deadline <= now)?;
        self.0.pop_front().map(|(_, key)| key)
    }

    fn forget_gone(&mut self, streams: &Streams) {
        while let Some((_, key)) = self.0.front() {
            if streams.get(*key).is_some() {
                break;
            }
            self.0.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::proto::{
        StreamId,
        flow::{RecvWindow, SendWindow},
        streams::{Stream, state::State},
    };

    fn seconds(start: Instant, seconds: u64) -> Instant {
        start + Duration::from_secs(seconds)
    }

    fn stream(streams: &mut Streams, id: u32) -> StreamKey {
        let (send, recv) = (SendWindow::new(None), RecvWindow::new(None));
        let state = State::opened(false);
        streams.insert(Stream::new(StreamId::new(id), state, send, recv))
    }

    #[test]
    fn the_first_deadline_is_next_and_those_due_are_taken_once() {
        let now = Instant::now();
        let mut timers = Timers::default();
        assert_eq!(timers.next(), None);
        timers.set(Timer::Drain, Some(seconds(now, 3)));
        timers.set(Timer::Settings, Some(seconds(now, 2)));
        timers.set(Timer::Preface, Some(seconds(now, 4)));
        timers.start(Timer::Preface, Some(seconds(now, 1)));
        assert_eq!(timers.next(), Some(seconds(now, 2)));
        assert_eq!(timers.take_due(seconds(now, 1), []).count(), 0);
        let others = [
            (Timer::Idle, Some(seconds(now, 1))),
            (Timer::Rest, Some(seconds(now, 4))),
        ];
        let due: Vec<_> = timers.take_due(seconds(now, 3), others).collect();
        let expected = [
            (Timer::Settings, seconds(now, 2)),
            (Timer::Idle, seconds(now, 1)),
            (Timer::Drain, seconds(now, 3)),
        ];
        assert_eq!(due, expected);
        assert_eq!(timers.next(), Some(seconds(now, 4)));
        let table = timers.take_table();
        assert_eq!(table.0.capacity(), 0, "a deadline is set");
        timers.stop(Timer::Preface);
        assert_eq!(timers.next(), None);
        let table = timers.take_table();
        assert!(table.0.capacity() > 0);
        assert_eq!(timers.memory(), 0);
        timers.put_table(table);
        assert!(timers.memory() > 0);
    }

    #[test]
    fn a_write_that_makes_progress_gets_more_time() {
        let now = Instant::now();
        let mut timers = Timers::default();
        timers.watch_write(10, 20, Some(seconds(now, 1)));
        timers.watch_write(10, 30, Some(seconds(now, 2)));
        timers.watch_write(19, 30, Some(seconds(now, 2)));
        assert_eq!(timers.next(), Some(seconds(now, 1)));
        timers.watch_write(20, 30, Some(seconds(now, 3)));
        assert_eq!(timers.next(), Some(seconds(now, 3)));
    }

    #[test]
    fn streams_that_are_gone_have_no_deadline() {
        let now = Instant::now();
        let (mut timers, mut streams) = (Timers::default(), Streams::default());
        let (first, second) = (stream(&mut streams, 1), stream(&mut streams, 3));
        timers.add(StreamTimer::Upload, seconds(now, 1), first, &streams);
        timers.add(StreamTimer::Upload, seconds(now, 2), second, &streams);
        assert_eq!(timers.get(Timer::Upload), Some(seconds(now, 1)));
        assert!(streams.remove(first));
        timers.forget_gone(StreamTimer::Upload, &streams);
        assert_eq!(timers.get(Timer::Upload), Some(seconds(now, 2)));
        assert_eq!(timers.pop_stream(StreamTimer::Upload, now), None);
        let due = timers.pop_stream(StreamTimer::Upload, seconds(now, 2));
        assert_eq!((due, timers.next()), (Some(second), None));
    }

    #[test]
    fn a_queue_of_streams_is_bounded_by_those_that_are_open() {
        let now = Instant::now();
        let (mut timers, mut streams) = (Timers::default(), Streams::default());
        let open = stream(&mut streams, 1);
        timers.add(StreamTimer::Departure, now, open, &streams);
        for n in 1..1000 {
            let gone = stream(&mut streams, 2 * n + 1);
            timers.add(StreamTimer::Departure, now, gone, &streams);
            assert!(streams.remove(gone));
        }
        let departures = &timers.streams.unwrap().departures;
        assert!(departures.0.len() <= UNSWEPT);
    }
}
