//! The cells of a connection's streams: wakers and bodies that handles on other
//! tasks hold too.

use std::{sync::Arc, task::Waker, time::Instant};

use bytes::Bytes;

use super::{
    cells::{Body, Due, ListCharge, Signal, StreamSignal},
    notifier::Notifier,
    ready_queue::ReadyQueue,
    stream_table::StreamTable,
    wakers,
};
use crate::{
    Error, Initiator, Reason,
    proto::{Engine, Event, Rule, SharedLimits, StreamKey},
};

/// The cells of all streams, with the alarm of the application.
#[derive(Debug)]
pub(super) struct Streams {
    /// Made for the first handle: many connections never have one.
    shared: Option<Box<Shared>>,
    limits: SharedLimits,
    /// The waker of the connection's task.
    waker: Option<Waker>,
    /// The task runs, or is about to.
    awake: bool,
    /// The connection is over.
    closed: bool,
    /// The earliest time for which the application requested a turn.
    pub(super) alarm: Option<Instant>,
}

/// What handles on other tasks share with the connection's task.
#[derive(Debug)]
struct Shared {
    table: StreamTable<Cells>,
    notifier: Notifier,
    /// Room for the signals of a turn.
    signals: Vec<Signal>,
}

/// The signals for which a sleeping connection keeps room.
const SIGNALS: usize = 16;

/// The cells that handles of one stream share with the connection's task.
#[derive(Debug, Default)]
struct Cells {
    waker: Option<Waker>,
    body: Option<Arc<Body>>,
}

impl Streams {
    pub(super) fn new(limits: SharedLimits) -> Self {
        Self {
            shared: None,
            limits,
            waker: None,
            awake: false,
            closed: false,
            alarm: None,
        }
    }

    /// Returns a handle that wakes the connection's task.
    pub(super) fn notifier(&mut self) -> Notifier {
        self.shared().notifier.clone()
    }

    /// Returns the queue of handles; `None` if there was none yet.
    #[inline]
    pub(super) fn queue(&self) -> Option<&Arc<ReadyQueue<Signal>>> {
        Some(self.shared.as_ref()?.notifier.queue())
    }

    /// Takes the signals of handles; `None` if there are none.
    #[inline]
    pub(super) fn take_signals(&mut self) -> Option<Vec<Signal>> {
        let shared = self.shared.as_mut()?;
        shared.notifier.queue().drain(&mut shared.signals);
        (!shared.signals.is_empty()).then(|| std::mem::take(&mut shared.signals))
    }

    /// Returns the room that [`take_signals`](Self::take_signals) took.
    pub(super) fn put_signals(&mut self, room: Vec<Signal>) {
        if let Some(shared) = &mut self.shared {
            shared.signals = room;
        }
    }

    fn shared(&mut self) -> &mut Shared {
        self.shared.get_or_insert_with(|| {
            let notifier = Notifier::new(&self.limits);
            if let Some(waker) = &self.waker {
                notifier.queue().register(waker);
            }
            if self.awake {
                notifier.queue().wake_up();
            }
            if self.closed {
                notifier.queue().close();
            }
            Box::new(Shared {
                table: StreamTable::new(),
                notifier,
                signals: Vec::new(),
            })
        })
    }

    fn table(&self) -> Option<&StreamTable<Cells>> {
        self.shared.as_ref().map(|shared| &shared.table)
    }

    /// Declares the connection's task awake, and registers its waker if that is a new one. Returns
    /// `true` if it is.
    #[inline]
    pub(super) fn wake_up(&mut self, waker: &Waker) -> bool {
        self.awake = true;
        if let Some(queue) = self.queue() {
            queue.wake_up();
        }
        let is_new = wakers::register_new(&mut self.waker, waker);
        if is_new {
            if let Some(queue) = self.queue() {
                queue.register(waker);
            }
        }
        is_new
    }

    /// Returns `true` if the last [`wake_up`](Self::wake_up) had this waker.
    #[inline]
    pub(super) fn knows(&self, waker: &Waker) -> bool {
        self.waker.as_ref().is_some_and(|it| it.will_wake(waker))
    }

    /// Returns the bytes that readers have taken, and of which the engine does not know yet.
    pub(super) fn unreported(&self) -> usize {
        self.queue().map_or(0, |queue| queue.unreported())
    }

    /// Declares the connection's task asleep; `false` if it must not sleep.
    #[inline]
    pub(super) fn fall_asleep(&mut self) -> bool {
        self.awake = !self.queue().is_none_or(|queue| queue.fall_asleep());
        !self.awake
    }

    /// The connection is over: handles wake no task any more.
    pub(super) fn close(&mut self) {
        self.closed = true;
        if let Some(queue) = self.queue() {
            queue.close();
        }
    }

    /// Returns the bytes that handles hold, and that the engine does not see: those that wait for
    /// readers of streams which are gone, and those that were written and not taken yet.
    #[inline]
    pub(super) fn detached(&self) -> usize {
        let queue = self.queue();
        queue.map_or(0, |queue| {
            queue.detached().saturating_add(queue.waiting_to_be_taken())
        })
    }

    /// Moves the alarm to this time, unless it is due earlier.
    pub(super) fn wake_at(&mut self, at: Instant) {
        let alarm = self.alarm.map_or(at, |alarm| alarm.min(at));
        self.alarm = Some(alarm);
    }

    /// Returns the cells of this stream. Ends those of an earlier stream in its slot.
    fn cells(&mut self, stream: StreamKey) -> Option<&mut Cells> {
        let table = &mut self.shared().table;
        if table.get(stream).is_none() {
            if let Some(earlier) = table.insert(stream, Cells::default()) {
                earlier.end(&Error::reset(Initiator::User, Reason::Cancel));
            }
        }
        table.get_mut(stream)
    }

    pub(super) fn has_waker(&self, stream: StreamKey) -> bool {
        let cells = self.table().and_then(|table| table.get(stream));
        cells.is_some_and(|cells| cells.waker.is_some())
    }

    pub(super) fn waker(&mut self, stream: StreamKey) -> Waker {
        let Shared {
            table, notifier, ..
        } = self.shared();
        let queue = Arc::clone(notifier.queue());
        // Work may continue for a stream that has ended, while another stream
        // has its slot. The body of that one must not end here.
        let taken = table.other(stream).is_some_and(|cells| {
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

    pub(super) fn body(&mut self, stream: StreamKey) -> Arc<Body> {
        let body = Body::new(stream, Arc::clone(self.shared().notifier.queue()));
        if let Some(cells) = self.cells(stream) {
            if let Some(old) = cells.body.replace(Arc::clone(&body)) {
                old.detach(&Error::reset(Initiator::User, Reason::Cancel));
            }
        }
        body
    }

    /// A body without data that has ended. It is in no table, and still belongs to the connection.
    pub(super) fn ended_body(&mut self, stream: StreamKey) -> Arc<Body> {
        let body = Body::new(stream, Arc::clone(self.shared().notifier.queue()));
        let _: Due = body.push(Bytes::new(), true);
        body
    }

    /// Delivers an event of a body to it; returns every other event.
    pub(super) fn deliver(
        &mut self,
        engine: &mut Engine,
        now: Instant,
        event: Event,
    ) -> Option<Event> {
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
                    engine.stream(now, stream).release_headers();
                    return Some(Event::Headers {
                        stream,
                        fields,
                        fin,
                    });
                };
                let lists = match engine.stream(now, stream).holds_headers() {
                    true => ListCharge::Charged,
                    false => ListCharge::Free,
                };
                let due = body.push_fields(fields, lists, fin);
                engine.stream(now, stream).release(due.credit);
                if due.lists == ListCharge::Read {
                    engine.stream(now, stream).release_headers();
                }
                if !due.overflow {
                    return None;
                }
                let error = engine.stream(now, stream).refuse_more_lists()?;
                self.end(stream, &error);
                Some(Event::Reset { stream, error })
            }
            Event::Reply { stream, head, fin } => {
                // A reader may exist before the reply arrives.
                if let (true, Some(body)) = (fin, self.find(stream)) {
                    engine
                        .stream(now, stream)
                        .release(body.push(Bytes::new(), fin).credit);
                }
                Some(Event::Reply { stream, head, fin })
            }
            Event::Reset { stream, error } => {
                match error.rule() {
                    Some(Rule::OverBudget) => self.discard(stream, &error),
                    _ => self.end(stream, &error),
                }
                Some(Event::Reset { stream, error })
            }
            other => Some(other),
        }
    }

    pub(super) fn find(&self, stream: StreamKey) -> Option<&Arc<Body>> {
        self.table()?.get(stream)?.body.as_ref()
    }

    /// Removes the cells of a stream that has ended, and fails its body.
    pub(super) fn end(&mut self, stream: StreamKey, error: &Error) {
        let cells = self.shared.as_mut().and_then(|it| it.table.remove(stream));
        if let Some(cells) = cells {
            cells.end(error);
        }
    }

    /// Ends a stream that was shed: its memory must be free now.
    fn discard(&mut self, stream: StreamKey, error: &Error) {
        let cells = self.shared.as_mut().and_then(|it| it.table.remove(stream));
        if let Some(body) = cells.and_then(|cells| cells.body) {
            body.discard(error);
        }
    }

    fn bodies(&self) -> impl Iterator<Item = &Arc<Body>> {
        self.table()
            .into_iter()
            .flat_map(StreamTable::iter)
            .filter_map(|(_, cells)| cells.body.as_ref())
    }

    /// Releases the credit that bodies have gathered and not reported.
    pub(super) fn sweep(&self, engine: &mut Engine, now: Instant) {
        for body in self.bodies() {
            engine.stream(now, body.stream()).release(body.credit());
        }
    }

    /// Releases the rest of complete bodies once the transport has ended: an
    /// unread body must not make its stream count as unfinished.
    pub(super) fn release_complete(&self, engine: &mut Engine, now: Instant) {
        for body in self.bodies() {
            if let Some(credit) = body.detach_complete() {
                engine.stream(now, body.stream()).release(credit);
                engine.stream(now, body.stream()).release_headers();
            }
        }
    }

    /// Drops all cells. Called while no stream is open.
    pub(super) fn clear(&mut self) {
        let Some(shared) = &mut self.shared else {
            return;
        };
        if shared.signals.capacity() > SIGNALS {
            shared.signals = Vec::new();
        }
        if !shared.table.is_empty() {
            self.fail(&Error::reset(Initiator::User, Reason::Cancel));
        }
    }

    /// Ends all bodies with this error.
    pub(super) fn fail(&mut self, error: &Error) {
        if let Some(shared) = &mut self.shared {
            for (_, cells) in shared.table.drain() {
                cells.end(error);
            }
        }
    }
}

impl Cells {
    /// Ends the body with this error.
    fn end(self, error: &Error) {
        if let Some(body) = self.body {
            body.detach(error);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;
    use crate::{Limits, Side};

    #[derive(Default)]
    struct Wakes(AtomicUsize);

    impl std::task::Wake for Wakes {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// The queue is made late: it must know by then whether the task sleeps, and its waker.
    #[test]
    fn the_first_handle_wakes_a_task_that_sleeps_already() {
        let wakes = Arc::new(Wakes::default());
        let waker = Waker::from(Arc::clone(&wakes));
        let mut streams = Streams::new(Limits::new(Side::Server).into());
        assert!(streams.wake_up(&waker), "the waker is new");
        assert!(!streams.wake_up(&waker));
        assert!(streams.fall_asleep() && streams.queue().is_none());
        let notifier = streams.notifier();
        notifier.notify();
        assert_eq!(wakes.0.load(Ordering::Relaxed), 1);
        assert!(!streams.fall_asleep(), "there is something in the queue");
    }

    #[test]
    fn the_first_handle_of_a_task_that_runs_wakes_nothing() {
        let wakes = Arc::new(Wakes::default());
        let waker = Waker::from(Arc::clone(&wakes));
        let mut streams = Streams::new(Limits::new(Side::Server).into());
        streams.wake_up(&waker);
        streams.notifier().notify();
        assert_eq!(wakes.0.load(Ordering::Relaxed), 0);
        assert!(!streams.fall_asleep());
    }

    #[test]
    fn the_first_handle_of_a_closed_connection_says_so() {
        let mut streams = Streams::new(Limits::new(Side::Server).into());
        streams.close();
        assert!(streams.notifier().is_closed());
    }
}
