//! The transitions of a stream: the only code that writes its state.
//!
//! A part of a message is checked against the state before it is used; the transition
//! follows. A transition that the state machine does not permit leaves the state as it
//! is.

use super::{
    Stream,
    state::{Half, Misplaced, Part, State},
};

impl Stream {
    /// Returns the state of the direction from us to the peer.
    pub(crate) fn send_half(&self) -> Half {
        self.state.send()
    }

    /// Returns the state of the direction from the peer to us.
    pub(crate) fn recv_half(&self) -> Half {
        self.state.recv()
    }

    /// Returns `true` once both directions have ended.
    pub(crate) fn is_closed(&self) -> bool {
        self.state.is_closed()
    }

    /// The peer promised it and has not replied on it yet.
    pub(crate) fn is_reserved(&self) -> bool {
        !self.is_ours() && self.state == State::promised()
    }

    /// Checks that the peer may send `part` now.
    pub(crate) fn check_recv(&self, part: Part) -> Result<(), Misplaced> {
        self.state.after_recv(part).map(|_| ())
    }

    /// Checks that we may send `part` now.
    pub(crate) fn check_send(&self, part: Part) -> Result<(), Misplaced> {
        self.state.after_send(part).map(|_| ())
    }

    /// The peer sent the head of its message, with END_STREAM or FLAG_FIN if `fin`.
    pub(crate) fn recv_headers(&mut self, fin: bool) {
        self.recv(Part::Head { fin });
    }

    /// The peer sent DATA.
    pub(crate) fn recv_data(&mut self, fin: bool) {
        self.recv(Part::Data { fin });
    }

    /// The peer sent header fields after the head.
    pub(crate) fn recv_trailers(&mut self, fin: bool) {
        self.recv(Part::Trailers { fin });
    }

    /// We send the head of our message.
    pub(crate) fn send_headers(&mut self, fin: bool) {
        let after = self.state.after_send(Part::Head { fin });
        self.state = after.unwrap_or(self.state);
    }

    /// We send the last frame of our half.
    pub(crate) fn send_end_stream(&mut self) {
        self.state = self.state.with_send_closed();
    }

    /// The peer sent RST_STREAM after its own half was complete: it needs no more of ours
    /// (RFC 9113 §8.1).
    pub(crate) fn stop_sending(&mut self) {
        self.state = self.state.with_send_closed();
    }

    fn recv(&mut self, part: Part) {
        let after = self.state.after_recv(part);
        self.state = after.unwrap_or(self.state);
    }
}

#[cfg(test)]
mod tests {
    use super::{super::tests::stream, *};

    #[test]
    fn each_half_ends_by_its_last_frame() {
        let mut stream = stream(1);
        assert_eq!(
            (stream.send_half(), stream.recv_half()),
            (Half::Open, Half::Waiting)
        );
        stream.recv_headers(false);
        stream.recv_data(false);
        assert_eq!(stream.recv_half(), Half::Open);
        stream.recv_trailers(true);
        assert_eq!(stream.recv_half(), Half::Closed);
        assert!(!stream.is_closed());
        stream.send_end_stream();
        assert!(stream.is_closed());
    }

    #[test]
    fn what_the_state_machine_does_not_permit_changes_nothing() {
        let mut stream = stream(1);
        stream.recv_data(true);
        stream.send_headers(true);
        assert_eq!(
            (stream.send_half(), stream.recv_half()),
            (Half::Open, Half::Waiting)
        );
        assert_eq!(
            stream.check_recv(Part::Data { fin: true }),
            Err(Misplaced::BeforeHead)
        );
        assert_eq!(
            stream.check_send(Part::Head { fin: true }),
            Err(Misplaced::SecondHead)
        );
    }
}
