//! The requests of an open loop that are due: which connection sends each, and which wait.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Instant,
};

use lacewing_conn::driver::facade::Notifier;
use tokio::sync::Notify;

/// Requests that are due. The pacer adds them, and the connections take them.
pub(super) struct Arrivals {
    state: Mutex<State>,
    /// `--max-waiting`.
    max_waiting: usize,
    /// Requests that are due earlier belong to the warm-up.
    steady_from: Instant,
}

struct State {
    /// The connections, by their numbers.
    places: Vec<Option<Place>>,
    /// The place that is asked first.
    next: usize,
    /// Requests for which no connection has room, the oldest first.
    waiting: VecDeque<Instant>,
    /// No further request will be due.
    is_over: bool,
    counts: Counts,
}

/// A connection.
struct Place {
    /// Requests that it can send now, those in `assigned` included.
    room: usize,
    assigned: VecDeque<Instant>,
    wake: Wake,
}

/// Wakes a connection.
pub(super) enum Wake {
    Driver(Notifier),
    Task(Arc<Notify>),
}

/// Requests of an open loop, those of the warm-up left out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Counts {
    /// Requests that were due.
    pub(super) planned: u64,
    /// Requests that were given up, since too many waited.
    pub(super) dropped: u64,
}

impl Arrivals {
    /// `connections`: the number of places.
    pub(super) fn new(connections: usize, max_waiting: usize, steady_from: Instant) -> Self {
        let state = State {
            places: std::iter::repeat_with(|| None).take(connections).collect(),
            next: 0,
            waiting: VecDeque::new(),
            is_over: false,
            counts: Counts::default(),
        };
        Self {
            state: Mutex::new(state),
            max_waiting,
            steady_from,
        }
    }

    /// A request is due.
    pub(super) fn add(&self, planned: Instant) {
        let mut state = self.state();
        let counted = u64::from(planned >= self.steady_from);
        state.counts.planned += counted;
        if state.assign(planned) {
            return;
        }
        if state.waiting.len() < self.max_waiting {
            state.waiting.push_back(planned);
        } else {
            state.counts.dropped += counted;
        }
    }

    /// No further request will be due.
    pub(super) fn finish(&self) {
        let mut state = self.state();
        state.is_over = true;
        for place in state.places.iter().flatten() {
            place.wake.wake();
        }
    }

    /// A connection can send requests. It leaves when the guard is dropped.
    pub(super) fn join(self: &Arc<Self>, number: usize, wake: Wake) -> Joined {
        let place = Place {
            room: 0,
            assigned: VecDeque::new(),
            wake,
        };
        if let Some(slot) = self.state().places.get_mut(number) {
            *slot = Some(place);
        }
        Joined {
            arrivals: Arc::clone(self),
            number,
        }
    }

    /// Takes the next request for a connection, by the time at which it was due.
    pub(super) fn take(&self, number: usize) -> Option<Instant> {
        let mut state = self.state();
        let place = state.places.get_mut(number)?.as_mut()?;
        place.room = place.room.saturating_sub(1);
        let assigned = place.assigned.pop_front();
        assigned.or_else(|| state.waiting.pop_front())
    }

    /// Sets the number of requests that a connection can send now. Those beyond it go elsewhere.
    /// Returns whether there is one to take already.
    pub(super) fn set_room(&self, number: usize, room: usize) -> bool {
        let mut state = self.state();
        let Some(Some(place)) = state.places.get_mut(number) else {
            return false;
        };
        place.room = room;
        let keep = place.assigned.len().min(room);
        let surplus = place.assigned.split_off(keep);
        state.hand_on(surplus);
        room > 0 && (keep > 0 || !state.waiting.is_empty())
    }

    /// Takes a request back that the server left alone. It keeps its time.
    pub(super) fn put_back(&self, planned: Instant) {
        self.state().hand_on(VecDeque::from([planned]));
    }

    /// Returns whether a connection has nothing more to send, now and later.
    pub(super) fn is_done(&self, number: usize) -> bool {
        let state = self.state();
        let place = state.places.get(number).and_then(Option::as_ref);
        let idle = place.is_none_or(|place| place.assigned.is_empty());
        state.is_over && idle && state.waiting.is_empty()
    }

    /// Requests for which no connection has room.
    pub(super) fn waiting(&self) -> usize {
        self.state().waiting.len()
    }

    /// The most requests that may wait.
    pub(super) fn max_waiting(&self) -> usize {
        self.max_waiting
    }

    /// The counts, and the requests that were due and not sent, those of the warm-up left out.
    pub(super) fn counts(&self) -> (Counts, u64) {
        let state = self.state();
        let assigned = state
            .places
            .iter()
            .flatten()
            .flat_map(|place| &place.assigned);
        let unsent = state.waiting.iter().chain(assigned);
        let unsent = unsent.filter(|planned| **planned >= self.steady_from);
        (state.counts, unsent.count() as u64)
    }

    fn leave(&self, number: usize) {
        let mut state = self.state();
        let place = state.places.get_mut(number).and_then(Option::take);
        if let Some(place) = place {
            state.hand_on(place.assigned);
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Gives a request to the next connection that has room.
    fn assign(&mut self, planned: Instant) -> bool {
        let count = self.places.len();
        let (before, after) = self.places.split_at_mut(self.next.min(count));
        let from = before.len();
        let places = after.iter_mut().chain(before).enumerate();
        for (step, place) in places {
            let Some(place) = place else { continue };
            if place.room > place.assigned.len() {
                place.assigned.push_back(planned);
                place.wake.wake();
                self.next = (from + step + 1) % count.max(1);
                return true;
            }
        }
        false
    }

    /// Finds other connections for requests that were due before. Their number is bounded by the
    /// room that connections had for them.
    fn hand_on(&mut self, requests: VecDeque<Instant>) {
        let mut homeless = Vec::new();
        for planned in requests {
            if !self.assign(planned) {
                homeless.push(planned);
            }
        }
        for planned in homeless.into_iter().rev() {
            self.waiting.push_front(planned);
        }
    }
}

impl Wake {
    fn wake(&self) {
        match self {
            Self::Driver(notifier) => notifier.notify(),
            Self::Task(notify) => notify.notify_one(),
        }
    }
}

/// A connection that takes requests.
pub(super) struct Joined {
    arrivals: Arc<Arrivals>,
    number: usize,
}

impl Drop for Joined {
    fn drop(&mut self) {
        self.arrivals.leave(self.number);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn with_places(places: usize, max_waiting: usize) -> (Arc<Arrivals>, Vec<Joined>, Instant) {
        let start = Instant::now();
        let arrivals = Arc::new(Arrivals::new(places, max_waiting, start));
        let wake = || Wake::Task(Arc::new(Notify::new()));
        let joined = (0..places).map(|number| arrivals.join(number, wake()));
        let joined = joined.collect();
        (arrivals, joined, start)
    }

    fn all(arrivals: &Arrivals, number: usize) -> usize {
        std::iter::from_fn(|| arrivals.take(number)).count()
    }

    #[test]
    fn connections_with_room_take_turns_and_the_rest_waits_or_is_dropped() {
        let (arrivals, _joined, start) = with_places(3, 4);
        for (number, room) in [(0, 2), (1, 0), (2, 3)] {
            arrivals.set_room(number, room);
        }
        for millis in 0..12 {
            arrivals.add(start + Duration::from_millis(millis));
        }
        let (counts, unsent) = arrivals.counts();
        assert_eq!((counts.planned, counts.dropped, unsent), (12, 3, 9));
        // The first two by turns, then what waits, the oldest first.
        let taken: Vec<_> = (0..3).map(|_| arrivals.take(0).unwrap() - start).collect();
        assert_eq!(taken, [0, 2, 5].map(Duration::from_millis));
        assert!(!arrivals.is_done(0));
        arrivals.finish();
        assert_eq!(all(&arrivals, 1), 3);
        assert!(arrivals.is_done(1) && !arrivals.is_done(2));
        assert_eq!(all(&arrivals, 2), 3);
        assert!(arrivals.is_done(2));
    }

    #[test]
    fn requests_of_a_lost_connection_go_to_another_and_keep_their_times() {
        let (arrivals, mut joined, start) = with_places(2, 0);
        arrivals.set_room(1, 5);
        for _ in 0..5 {
            arrivals.add(start);
        }
        arrivals.set_room(0, 2);
        drop(joined.pop());
        assert_eq!(
            arrivals.counts(),
            (
                Counts {
                    planned: 5,
                    dropped: 0
                },
                5
            )
        );
        arrivals.put_back(start);
        assert_eq!(all(&arrivals, 0), 6);
    }

    #[test]
    fn requests_of_the_warm_up_are_not_counted() {
        let steady = Instant::now() + Duration::from_secs(1);
        let arrivals = Arrivals::new(1, 1, steady);
        for _ in 0..3 {
            arrivals.add(steady - Duration::from_millis(1));
        }
        assert_eq!(arrivals.counts(), (Counts::default(), 0));
        arrivals.add(steady);
        let counts = Counts {
            planned: 1,
            dropped: 1,
        };
        assert_eq!(arrivals.counts(), (counts, 0));
    }
}
