//! The end of a connection: our GOAWAY, the peer's, and what is left to be done
//! (RFC 9113 §6.8; the drafts' §2.6.6).

use std::io;

use super::{Reason, Rule, StreamId};
use crate::{Error, Initiator};

const WITHOUT_A_FRAME: &str = "the peer closed the transport without a frame; check that it speaks this protocol on this port";

/// The progress of a connection towards its end.
#[derive(Debug, Default)]
pub(crate) struct Shutdown {
    phase: Phase,
    peer: Option<Box<PeerGoAway>>,
}

/// The steps of a shutdown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Phase {
    #[default]
    Open,
    /// The first of two GOAWAYs is sent: streams on their way are still taken.
    FirstGoAway,
    /// Our halves of the streams end, and GOAWAY follows.
    Finishing,
    /// The last GOAWAY is sent: no stream above the one that it names is taken.
    Draining,
    /// No input is read any more, and nothing is sent but the output as it is.
    Closed,
}

/// The order of GOAWAY and the rest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum GoAways {
    /// One, now.
    Once,
    /// A first one now, which names no stream, and the last one later: streams
    /// on their way are still taken (RFC 9113 §6.8).
    Twice,
    /// One, after the last data.
    AfterData,
}

/// The peer's GOAWAY.
#[derive(Clone, Debug)]
struct PeerGoAway {
    /// The last of our streams that the peer will process.
    last: StreamId,
    /// Its code and debug data.
    error: Error,
    /// An event has reported the end of the connection.
    reported: bool,
}

impl PeerGoAway {
    /// It reports an error: what happens afterwards follows from that.
    fn is_error(&self) -> bool {
        self.error.reason() != Reason::NoError
    }
}

impl Shutdown {
    pub(crate) fn phase(&self) -> Phase {
        self.phase
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.phase == Phase::Closed
    }

    /// No new stream is taken: a shutdown began, by either side.
    pub(crate) fn has_begun(&self) -> bool {
        self.phase != Phase::Open || self.peer.is_some()
    }

    /// A shutdown of ours begins; `false` if one had begun.
    pub(crate) fn begin(&mut self, go_aways: GoAways) -> bool {
        let begins = self.phase == Phase::Open;
        if begins {
            self.phase = match go_aways {
                GoAways::Once => Phase::Open,
                GoAways::Twice => Phase::FirstGoAway,
                GoAways::AfterData => Phase::Finishing,
            };
        }
        begins
    }

    /// The input has ended: GOAWAY follows the data, whatever was planned.
    pub(crate) fn wait_for_data(&mut self) {
        self.phase = Phase::Finishing;
    }

    /// Our last GOAWAY is sent now; `false` if it was sent.
    pub(crate) fn send_last(&mut self) -> bool {
        let sends = !matches!(self.phase, Phase::Draining | Phase::Closed);
        if sends {
            self.phase = Phase::Draining;
        }
        sends
    }

    /// The last stream is gone. A connection that was draining closes; `true`:
    /// the peer has left, and our GOAWAY is due.
    pub(crate) fn drained(&mut self) -> bool {
        match self.phase {
            Phase::Draining => {
                self.phase = Phase::Closed;
                false
            }
            Phase::Closed => false,
            Phase::Open | Phase::FirstGoAway | Phase::Finishing => self.peer.is_some(),
        }
    }

    /// The connection ends now.
    pub(crate) fn close(&mut self) {
        self.phase = Phase::Closed;
    }

    /// An event has reported the end.
    pub(crate) fn note_reported(&mut self) {
        if let Some(go_away) = &mut self.peer {
            go_away.reported = true;
        }
    }

    /// Takes the peer's GOAWAY. A later one never takes more of our streams; a
    /// graceful one after an error takes nothing back. Returns what counts from
    /// now on.
    pub(crate) fn note_peer(&mut self, last: StreamId, reason: Reason, debug: &[u8]) -> StreamId {
        let earlier = self.peer.take();
        let last = earlier
            .as_ref()
            .map_or(last, |earlier| earlier.last.min(last));
        let earlier = earlier.filter(|earlier| earlier.is_error() && reason == Reason::NoError);
        let error = match earlier {
            Some(earlier) => earlier.error,
            None => Error::go_away(reason, debug),
        };
        self.peer = Some(Box::new(PeerGoAway {
            last,
            error,
            reported: false,
        }));
        last
    }

    /// The last of our streams that the peer's GOAWAY named; `None` before one.
    pub(crate) fn refused_from(&self) -> Option<StreamId> {
        self.peer.as_ref().map(|go_away| go_away.last)
    }

    /// The peer's GOAWAY says that it has not processed this stream of ours.
    pub(crate) fn refuses(&self, stream: StreamId) -> bool {
        self.peer
            .as_ref()
            .is_some_and(|go_away| stream > go_away.last)
    }

    /// The peer's GOAWAY as an error, graceful or not.
    pub(crate) fn peer(&self) -> Option<&Error> {
        self.peer.as_ref().map(|go_away| &go_away.error)
    }

    /// The peer's GOAWAY, if it reports an error.
    pub(crate) fn peer_error(&self) -> Option<&Error> {
        let go_away = self.peer.as_ref().filter(|go_away| go_away.is_error());
        go_away.map(|go_away| &go_away.error)
    }

    /// The error of what the end of the input leaves unfinished. A peer that never sent a frame
    /// may be one of another protocol.
    pub(crate) fn eof_error(&self, has_spoken: bool) -> Error {
        match self.peer() {
            Some(error) => {
                let then = "the transport ended before its streams did";
                error.clone().after_go_away(then)
            }
            None => {
                let rule = Rule::UnexpectedEof;
                let text = match has_spoken {
                    true => rule.to_string(),
                    false => format!("{WITHOUT_A_FRAME}: {rule}"),
                };
                Error::connection(Initiator::Peer, Reason::ProtocolError, text)
            }
        }
    }

    /// The error of a transport that failed. A peer that resets it before its first frame may be
    /// one of another protocol.
    pub(crate) fn io_error(&self, error: io::Error, has_spoken: bool) -> Error {
        use io::ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset};
        // A peer that sent an error may close the transport at once.
        if let Some(go_away) = self.peer() {
            return go_away.clone().failed_after_go_away(error);
        }
        match error.kind() {
            kind @ (BrokenPipe | ConnectionAborted | ConnectionReset) if !has_spoken => {
                Error::io(io::Error::new(kind, format!("{WITHOUT_A_FRAME}: {error}")))
            }
            _ => Error::io(error),
        }
    }

    /// Once, after everything else: the peer's GOAWAY was an error, and the
    /// connection ended by it.
    pub(crate) fn take_report(&mut self) -> Option<Error> {
        let go_away = self.peer.as_mut()?;
        if !go_away.is_error() || std::mem::replace(&mut go_away.reported, true) {
            return None;
        }
        Some(go_away.error.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(value: u32) -> StreamId {
        StreamId::new(value)
    }

    #[test]
    fn a_shutdown_begins_once_and_sends_its_last_go_away_once() {
        for (go_aways, phase) in [
            (GoAways::Once, Phase::Open),
            (GoAways::Twice, Phase::FirstGoAway),
            (GoAways::AfterData, Phase::Finishing),
        ] {
            let mut shutdown = Shutdown::default();
            assert!(!shutdown.has_begun());
            assert!(shutdown.begin(go_aways));
            assert_eq!(shutdown.phase(), phase);
            assert!(shutdown.send_last());
            assert!(!shutdown.send_last() && !shutdown.begin(go_aways));
            assert!(shutdown.has_begun() && !shutdown.is_closed());
            assert!(!shutdown.drained(), "closed, no second GOAWAY");
            assert!(shutdown.is_closed() && !shutdown.send_last());
        }
    }

    #[test]
    fn a_connection_without_streams_stays_open_until_a_side_leaves() {
        let mut shutdown = Shutdown::default();
        assert!(!shutdown.drained());
        assert_eq!(shutdown.phase(), Phase::Open);
        assert_eq!(shutdown.note_peer(id(0), Reason::NoError, b""), id(0));
        assert!(shutdown.drained(), "our GOAWAY is due");
        assert!(shutdown.send_last());
        assert!(!shutdown.drained());
        assert!(shutdown.is_closed());
    }

    #[test]
    fn a_later_go_away_takes_no_stream_back_and_no_error() {
        let mut shutdown = Shutdown::default();
        let error = Reason::InternalError;
        assert_eq!(shutdown.note_peer(id(5), error, b"no"), id(5));
        assert_eq!(shutdown.note_peer(id(9), Reason::NoError, b""), id(5));
        assert!(shutdown.refuses(id(7)) && !shutdown.refuses(id(5)));
        assert_eq!(shutdown.peer_error().map(Error::reason), Some(error));
        assert_eq!(shutdown.eof_error(true).reason(), error);
    }

    #[test]
    fn an_error_of_the_peer_is_reported_once() {
        let mut shutdown = Shutdown::default();
        assert!(shutdown.take_report().is_none());
        shutdown.note_peer(id(0), Reason::NoError, b"");
        assert!(shutdown.take_report().is_none(), "a graceful end");
        shutdown.note_peer(id(0), Reason::ProtocolError, b"");
        assert!(shutdown.take_report().is_some());
        assert!(shutdown.take_report().is_none());
        shutdown.note_peer(id(0), Reason::ProtocolError, b"");
        shutdown.note_reported();
        assert!(shutdown.take_report().is_none());
    }
}
