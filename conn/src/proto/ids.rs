//! Stream ids that are in use on either side, and the standing of an id without an open stream. See
//! RFC 9113 §5.1, §5.1.1; the SPDY drafts §2.3.2.

use super::{Limits, Side, StreamId, rare_queue::RareQueue};

/// The ids that both sides have used.
#[derive(Debug)]
pub(crate) struct StreamIds {
    side: Side,
    /// The id of the next stream that we open.
    next: u32,
    /// The highest id that the peer opened; 0 before its first.
    last_of_peer: u32,
    /// The highest id that our final GOAWAY permits the peer.
    last_taken: Option<StreamId>,
    /// The latest ids that the peer passed over and thereby closed, as
    /// half-open ranges.
    passed_over: RareQueue<(u32, u32)>,
    /// The latest ids that we reset.
    reset_by_us: RareQueue<StreamId>,
}

/// The standing of an id without an open stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    /// Never opened.
    Idle,
    /// Never opened, and above the last id of our final GOAWAY: its frames are
    /// ignored.
    BeyondGoAway,
    /// Never used, and closed by a higher id of the peer.
    PassedOver,
    /// Reset by us not long ago: frames that were on their way are ignored.
    ResetByUs,
    /// Opened, and closed since.
    Closed,
}

impl Standing {
    /// No stream of this id was ever opened.
    pub(crate) fn is_unopened(self) -> bool {
        matches!(self, Self::Idle | Self::BeyondGoAway)
    }
}

impl StreamIds {
    /// `first` is rounded up to the parity of `side`.
    pub(crate) fn new(side: Side, first: u32) -> Self {
        let odd = u32::from(side == Side::Client);
        let first = first.max(1);
        Self {
            side,
            next: first.saturating_add(u32::from(first % 2 != odd)),
            last_of_peer: 0,
            last_taken: None,
            passed_over: RareQueue::default(),
            reset_by_us: RareQueue::default(),
        }
    }

    /// The id of the next stream that we open.
    pub(crate) fn next(&self) -> StreamId {
        StreamId::new(self.next)
    }

    /// The next id is in use from now on.
    pub(crate) fn take_next(&mut self) {
        self.next = self.next.saturating_add(2);
    }

    /// Our next stream has a higher id than this one of ours.
    pub(crate) fn pass_over_ours(&mut self, id: StreamId) {
        self.next = self.next.max(id.value().saturating_add(2));
    }

    /// No id is left for streams of ours.
    pub(crate) fn is_exhausted(&self) -> bool {
        self.next > StreamId::MAX.value()
    }

    /// No stream was opened, by either side.
    pub(crate) fn is_unused(&self) -> bool {
        self.last_of_peer == 0 && self.next <= 2
    }

    /// The highest id that the peer opened; 0 before its first.
    pub(crate) fn last_of_peer(&self) -> StreamId {
        StreamId::new(self.last_of_peer)
    }

    /// The peer's streams have this parity.
    pub(crate) fn is_of_peer(&self, id: StreamId) -> bool {
        id.opener().is_some_and(|side| side != self.side)
    }

    /// The id is one that we may use, and have not used.
    pub(crate) fn is_unopened_of_ours(&self, id: StreamId) -> bool {
        id.opener() == Some(self.side) && id.value() >= self.next
    }

    /// The peer may open a stream of this id: it is the peer's, and above all
    /// that it used.
    pub(crate) fn is_next_of_peer(&self, id: StreamId) -> bool {
        self.is_of_peer(id) && id.value() > self.last_of_peer
    }

    /// The peer uses a new id: the unused ones below it are closed (RFC 9113
    /// §5.1.1).
    pub(crate) fn open_of_peer(&mut self, id: StreamId, limits: &Limits) {
        let first = match self.last_of_peer {
            0 => 2_u32.saturating_sub(id.value() % 2),
            last => last.saturating_add(2),
        };
        if first < id.value() {
            let max = limits.max_skipped_ids;
            self.passed_over.push_bounded((first, id.value()), max);
        }
        self.last_of_peer = id.value();
    }

    /// Our final GOAWAY goes out: it names the highest id of the peer so far,
    /// and no higher one is taken.
    pub(crate) fn stop_peer(&mut self) -> StreamId {
        let last = self.last_of_peer();
        self.last_taken = Some(last);
        last
    }

    /// Frames of a stream that we reset may still be on their way.
    pub(crate) fn remember_reset(&mut self, id: StreamId, limits: &Limits) {
        self.reset_by_us
            .push_bounded(id, limits.max_remembered_resets);
    }

    /// We reset this id not long ago, whether a stream had it or not.
    pub(crate) fn was_reset(&self, id: StreamId) -> bool {
        self.reset_by_us.iter().any(|reset| *reset == id)
    }

    /// The number of resets that are remembered.
    pub(crate) fn remembered_resets(&self) -> usize {
        self.reset_by_us.len()
    }

    /// Stream 1 began as an HTTP/1.1 request (RFC 7540 §3.2): its id is in use.
    pub(crate) fn take_first(&mut self) {
        match self.side {
            Side::Client => self.next = 3,
            Side::Server => self.last_of_peer = 1,
        }
    }

    /// The standing of an id without an open stream.
    pub(crate) fn standing(&self, id: StreamId) -> Standing {
        let opened = match id.opener() {
            None => false,
            Some(side) if side == self.side => id.value() < self.next,
            Some(_) => id.value() <= self.last_of_peer,
        };
        if !opened {
            return if self.is_beyond_go_away(id) {
                Standing::BeyondGoAway
            } else {
                Standing::Idle
            };
        }
        if self.was_reset(id) {
            Standing::ResetByUs
        } else if self.was_passed_over(id) {
            Standing::PassedOver
        } else {
            Standing::Closed
        }
    }

    /// The id is the peer's, and above the last of our final GOAWAY.
    pub(crate) fn is_beyond_go_away(&self, id: StreamId) -> bool {
        self.last_taken.is_some_and(|last| id > last) && self.is_of_peer(id)
    }

    fn was_passed_over(&self, id: StreamId) -> bool {
        let id = id.value();
        self.passed_over
            .iter()
            .any(|(first, end)| (*first..*end).contains(&id) && id % 2 == end % 2)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(value: u32) -> StreamId {
        StreamId::new(value)
    }

    #[test]
    fn every_id_has_one_standing() {
        let limits = Limits::new(Side::Server);
        let mut ids = StreamIds::new(Side::Server, 1);
        assert_eq!(ids.next(), id(2));
        assert_eq!(ids.standing(id(1)), Standing::Idle);
        ids.open_of_peer(id(7), &limits);
        assert_eq!(ids.standing(id(5)), Standing::PassedOver);
        assert_eq!(ids.standing(id(7)), Standing::Closed);
        assert_eq!(ids.standing(id(9)), Standing::Idle);
        assert_eq!(ids.standing(id(2)), Standing::Idle);
        ids.take_next();
        assert_eq!(ids.standing(id(2)), Standing::Closed);
        ids.remember_reset(id(7), &limits);
        assert_eq!(ids.standing(id(7)), Standing::ResetByUs);
        assert_eq!(ids.stop_peer(), id(7));
        assert_eq!(ids.standing(id(9)), Standing::BeyondGoAway);
        assert_eq!(ids.standing(id(4)), Standing::Idle, "ids of ours go on");
        assert_eq!(ids.standing(id(0)), Standing::Idle);
    }

    #[test]
    fn ids_rise_by_two_with_the_parity_of_their_side_and_end() {
        let mut ids = StreamIds::new(Side::Client, 0x7fff_fffd);
        assert_eq!(ids.next(), id(0x7fff_fffd));
        ids.take_next();
        assert_eq!(ids.next(), id(0x7fff_ffff));
        assert!(!ids.is_exhausted());
        ids.take_next();
        assert!(ids.is_exhausted());
        assert_eq!(StreamIds::new(Side::Client, 4).next(), id(5));
        assert_eq!(StreamIds::new(Side::Server, 4).next(), id(4));
    }

    #[test]
    fn memories_are_bounded() {
        let mut limits = Limits::new(Side::Server);
        limits.max_remembered_resets = 2;
        limits.max_skipped_ids = 1;
        let mut ids = StreamIds::new(Side::Server, 2);
        for odd in [1, 5, 9] {
            ids.open_of_peer(id(odd), &limits);
            ids.remember_reset(id(odd), &limits);
        }
        assert_eq!(ids.remembered_resets(), 2);
        assert_eq!(ids.standing(id(1)), Standing::Closed);
        assert_eq!(
            ids.standing(id(3)),
            Standing::Closed,
            "the older range is forgotten"
        );
        assert_eq!(ids.standing(id(7)), Standing::PassedOver);
        limits.max_remembered_resets = 0;
        let mut forgetful = StreamIds::new(Side::Client, 1);
        forgetful.remember_reset(id(1), &limits);
        assert_eq!(forgetful.remembered_resets(), 0);
    }
}
