//! The upstreams of one route, and the choice between them.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use super::{address::UpstreamAddress, settings::Balance, upstream::Upstream};

/// The upstreams of one route.
pub(super) struct Group {
    pub(super) upstreams: Vec<Arc<Upstream>>,
    balance: Balance,
    turn: AtomicUsize,
}

/// Times that one request is sent through a tunnel again, to another server at its end.
const MAX_AGAIN: u32 = 3;

/// The upstreams that a request has tried.
#[derive(Debug, Default)]
pub(super) struct Tried {
    all: Vec<usize>,
    again: u32,
}

impl Tried {
    /// Returns whether no other upstream of the group is left.
    pub(super) fn are_all(&self, group: &Group) -> bool {
        self.all.len() >= group.upstreams.len()
    }

    /// Lets the last one be tried again, a few times.
    pub(super) fn again(&mut self) {
        if self.again < MAX_AGAIN {
            self.again = self.again.saturating_add(1);
            self.all.pop();
        }
    }
}

impl Group {
    pub(super) fn new(upstreams: Vec<Arc<Upstream>>, balance: Balance) -> Self {
        Self {
            upstreams,
            balance,
            turn: AtomicUsize::new(0),
        }
    }

    pub(super) fn upstream(&self, address: &UpstreamAddress) -> Option<&Arc<Upstream>> {
        let mut upstreams = self.upstreams.iter();
        upstreams.find(|one| one.address == *address)
    }

    /// The next upstream for a request; `None` if it has tried all. If none is well, the one that
    /// may be well first: to try it costs less than to refuse everything.
    pub(super) fn next(&self, tried: &mut Tried) -> Option<&Arc<Upstream>> {
        let index = match &*self.upstreams {
            [] => return None,
            [_] => 0,
            several => self.choose(several, tried)?,
        };
        if tried.all.contains(&index) {
            return None;
        }
        tried.all.push(index);
        self.upstreams.get(index)
    }

    fn choose(&self, several: &[Arc<Upstream>], tried: &Tried) -> Option<usize> {
        let now = Instant::now();
        let turn = self.turn.fetch_add(1, Ordering::Relaxed) % several.len().max(1);
        let (before, from) = several.split_at_checked(turn)?;
        let in_turn = (turn..).zip(from).chain((0..).zip(before));
        let left = in_turn.filter(|(index, _)| !tried.all.contains(index));
        let rank = |upstream: &Upstream| {
            let rest = upstream.rest(now).unwrap_or(Duration::ZERO);
            let load = match self.balance {
                Balance::RoundRobin => 0,
                Balance::Least => upstream.load(),
            };
            (rest, load)
        };
        // The first of equals is the one whose turn it is.
        left.min_by_key(|(_, upstream)| rank(upstream))
            .map(|(index, _)| index)
    }
}
