//! The progress of a stream: it moves on, or waits for its peer. The bounds stand in the
//! engine.

use http::{StatusCode, header::CONTENT_TYPE};

use super::{Reader, Stream, state::Half};
use crate::proto::{
    Head,
    content::{Asked, Content},
    fields::expects_continue,
};

/// A stream that moved too little for so many sweeps counts as stalled.
const STALLED: u16 = 3;

/// Between two sweeps, a peer that reads at all takes this much, in bytes. Receivers release a good
/// part of their window at once, and the smallest windows have 16 KiB.
const PIECE: u32 = 4 << 10;

/// So many smaller pieces are a drip. One may be the rest of a message.
const DRIPS: u16 = 3;

/// The progress of one stream, in both directions.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct StreamProgress {
    /// Bytes of DATA sent and received, modulo 2³².
    sent: u32,
    received: u32,
    pub(crate) sending: Watch,
    pub(crate) receiving: Watch,
    /// `received` at the last sweep.
    last_received: u32,
    /// Sweeps without a byte received.
    pub(crate) silent: u16,
    kind: Kind,
}

/// The part of a peer's stream that its content plays.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Kind {
    /// It is a message, to be sent without pauses.
    #[default]
    Message,
    /// The client sends it once we ask for it.
    OnDemand,
    /// The client waited for 100 (Continue), and our final response is no success: it
    /// begins now, or never does (RFC 9110 §10.1.1).
    Due,
    /// Content of a response whose length the server declared.
    Declared,
    /// Content of a final response after which we do not send ours: it must not wait for
    /// what we hold back.
    Withheld,
    /// Both sides talk when they have something to say.
    Dialogue,
}

/// Sweeps since which too little was moved.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Watch {
    /// The count of moved bytes when the wait began.
    mark: u32,
    /// The count of moved bytes at the last sweep.
    last: u32,
    /// Sweeps since the wait began.
    pub(crate) sweeps: u16,
    /// Sweeps that found a piece of less than [`PIECE`].
    drips: u16,
    /// The value of `sweeps` at the first of `drips`.
    first_drip: u16,
}

impl Watch {
    /// A sweep finds that the peer is waited for, after `moved` bytes.
    pub(crate) fn tick(&mut self, moved: u32, needed: u32) {
        if self.sweeps == 0 || moved.wrapping_sub(self.mark) >= needed {
            *self = Self {
                mark: moved,
                last: moved,
                sweeps: 1,
                ..Self::default()
            };
            return;
        }
        self.sweeps = self.sweeps.saturating_add(1);
        let piece = moved.wrapping_sub(std::mem::replace(&mut self.last, moved));
        if (1..PIECE).contains(&piece) {
            if self.drips == 0 {
                self.first_drip = self.sweeps;
            }
            self.drips = self.drips.saturating_add(1);
        }
    }

    /// Sweeps since which the peer takes a drip now and then, and too little in all.
    /// 0 while it takes nothing: a player that is paused does that.
    pub(crate) fn dripping(self) -> u16 {
        if self.drips < DRIPS {
            return 0;
        }
        let before = self.first_drip.saturating_sub(1);
        self.sweeps.saturating_sub(before)
    }

    pub(crate) fn stop(&mut self) {
        *self = Self::default();
    }

    pub(crate) fn is_stalled(self) -> bool {
        self.sweeps > STALLED
    }
}

impl StreamProgress {
    /// The progress of a stream that the peer opens with this head. `informational`: the
    /// protocol has 100 (Continue), which alone ends the wait of a client that expects it.
    pub(crate) fn of(head: &Head, informational: bool) -> Self {
        let kind = head.fields.get(CONTENT_TYPE);
        let grpc = kind.is_some_and(|kind| kind.as_bytes().starts_with(b"application/grpc"));
        let kind = if grpc || Asked::by(head) == Asked::Connect {
            Kind::Dialogue
        } else if informational && expects_continue(&head.fields) {
            Kind::OnDemand
        } else {
            Kind::Message
        };
        Self {
            kind,
            ..Self::default()
        }
    }

    /// The wait for 100 (Continue) is over: we sent an informational response, or the
    /// content has begun.
    pub(crate) fn ask(&mut self) {
        if matches!(self.kind, Kind::OnDemand | Kind::Due) {
            self.kind = Kind::Message;
        }
    }

    /// We sent the final response: the client waits for 100 (Continue) no more.
    pub(crate) fn note_reply(&mut self, status: Option<StatusCode>) {
        if self.kind != Kind::OnDemand {
            return;
        }
        self.kind = match status {
            Some(status) if status.is_success() => Kind::Message,
            _ => Kind::Due,
        };
    }

    /// The head of the peer's response declares the length of its content. Over SPDY a client does
    /// not hold the server to that length, but to the promise that content follows.
    pub(crate) fn expect_content(&mut self) {
        self.kind = Kind::Declared;
    }

    /// We do not send our content after the peer's final response.
    pub(crate) fn withhold(&mut self) {
        self.kind = Kind::Withheld;
    }

    /// Counts what was received.
    #[inline]
    pub(crate) fn count_received(&mut self, len: usize) {
        self.received = self.received.wrapping_add(low_bits(len));
        self.ask();
    }

    /// Counts what was sent.
    #[inline]
    pub(crate) fn count_sent(&mut self, len: usize) {
        self.sent = self.sent.wrapping_add(low_bits(len));
    }

    /// A sweep of our half, which has to move `needed` bytes.
    pub(crate) fn sweep_sending(&mut self, stream: Waiting, needed: u32) {
        match stream {
            Waiting::Peer => self.sending.tick(self.sent, needed),
            Waiting::Us => {}
            Waiting::Nothing => self.sending.stop(),
        }
    }

    /// Bytes of DATA sent and received, modulo 2³².
    pub(crate) fn moved(&self) -> (u32, u32) {
        (self.sent, self.received)
    }

    /// Too little moves, in either direction, while the peer is waited for.
    pub(crate) fn is_stalled(&self) -> bool {
        self.sending.is_stalled() || self.receiving.is_stalled()
    }

    /// A sweep of the peer's half.
    pub(crate) fn sweep_receiving(&mut self, content: Waiting, needed: u32, link: Link) {
        if content != Waiting::Peer {
            self.receiving.stop();
            self.silent = 0;
            return;
        }
        self.receiving.tick(self.received, needed);
        let moved = self.received != self.last_received;
        self.last_received = self.received;
        if moved || link == Link::Busy {
            self.silent = 0;
        } else {
            self.silent = self.silent.saturating_add(1);
        }
    }
}

/// The side that a stream waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Waiting {
    Nothing,
    Us,
    Peer,
}

/// The use that a connection makes of its path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Link {
    Idle,
    /// Other streams, or a frame that is under way, use it: a stream's silence is
    /// that of a slow path.
    Busy,
}

impl Stream {
    /// Nothing of the stream can move now. The peer grants no window for our data, or our user
    /// takes none of the data that filled the peer's window. The connection has `room` for this
    /// many bytes.
    pub(crate) fn stands_still(&self, room: usize) -> bool {
        let room = self.send.window.available().min(room);
        let sending = self.wants_to_send() && room == 0;
        let unread = self.recv.unreleased > 0 && !self.recv.window.is_open();
        sending || unread || self.progress.is_stalled()
    }

    /// Sweeps since which too little moves, in one direction.
    pub(crate) fn sweeps(&self) -> u16 {
        let progress = &self.progress;
        progress.sending.sweeps.max(progress.receiving.sweeps)
    }

    /// The side that our half waits for.
    pub(crate) fn sending_waits(&self) -> Waiting {
        if !self.wants_to_send() {
            Waiting::Nothing
        } else if self.send.window.available() == 0 {
            Waiting::Peer
        } else {
            // The transport or other streams.
            Waiting::Us
        }
    }

    /// What we receive is a response.
    fn is_response(&self) -> bool {
        self.is_ours() || self.push.is_some()
    }

    /// The length of the content is known to the peer, which has it to send.
    pub(crate) fn declares_content(&self) -> bool {
        matches!(self.content, Content::Left(_)) || self.progress.kind == Kind::Declared
    }

    /// The content may be silent for a while, as long as enough of it comes within
    /// `stall_timeout`: a server may get its response from another.
    pub(crate) fn may_be_silent(&self) -> bool {
        self.is_response() && self.progress.kind != Kind::Withheld
    }

    /// The side that the content of a message waits for. `readable`: the connection is read, and
    /// its window is open.
    pub(crate) fn receiving_waits(&self, readable: bool) -> Waiting {
        let kind = self.progress.kind;
        let expected = self.state.recv() == Half::Open && self.recv.reader == Reader::Reading;
        let message = match self.content {
            Content::None => false,
            // A response without a length, or that of a push, has as much time as it likes.
            _ if self.is_response() => matches!(kind, Kind::Declared | Kind::Withheld),
            Content::Left(_) => true,
            Content::Unmeasured => kind == Kind::Due || self.state.send() == Half::Waiting,
        };
        match kind {
            _ if !expected || !message => Waiting::Nothing,
            Kind::Dialogue => Waiting::Nothing,
            Kind::OnDemand => Waiting::Us,
            // While the windows are open the peer may send, though our reader may be slow.
            _ if readable && self.recv.window.is_open() => Waiting::Peer,
            _ => Waiting::Us,
        }
    }
}

fn low_bits(len: usize) -> u32 {
    u32::try_from(len & 0xffff_ffff).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Sweeps after each of which so many bytes have been moved.
    fn watch(pieces: impl IntoIterator<Item = u32>) -> Watch {
        let (mut watch, mut moved) = (Watch::default(), u32::MAX - 5);
        watch.tick(moved, 15_360);
        for piece in pieces {
            moved = moved.wrapping_add(piece);
            watch.tick(moved, 15_360);
        }
        watch
    }

    #[test]
    fn repeated_small_pieces_are_a_drip() {
        assert_eq!(watch([1; 2]).dripping(), 0);
        assert_eq!(watch([1; 10]).dripping(), 10);
        // From the first of them on, pauses included.
        assert_eq!(watch([0, 0, 1, 0, 1, 0, 1, 0]).dripping(), 6);
    }

    #[test]
    fn pauses_and_pieces_of_a_receiver_are_none() {
        assert_eq!(watch([0; 100]).dripping(), 0);
        assert_eq!(watch([0, 0, 0, 0, PIECE, 0, 0, 0, 0, PIECE]).dripping(), 0);
        // Enough in all.
        assert_eq!(watch([PIECE - 1; 4]).dripping(), 0);
    }
}
