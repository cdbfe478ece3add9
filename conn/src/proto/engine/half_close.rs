//! The end of the transport's input. A peer may close its side once it has sent
//! its requests: they are answered, and then the connection closes. Messages of
//! the peer that have not ended fail.

use std::time::Instant;

use super::{Engine, Timer, lifecycle::ROUND_TRIP};
use crate::{
    Error, Reason,
    proto::{
        Event, ShutdownOrder,
        shutdown::Phase,
        streams::{Reader, Stream, state::Half},
    },
};

impl Engine {
    /// Handles the end of the transport's input. Requests that are complete are still
    /// answered, within `drain_timeout`; all other streams end. If the peer has closed
    /// both directions, the next writes to the transport fail.
    pub fn handle_eof(&mut self, now: Instant) {
        if self.shutdown.is_closed() {
            return;
        }
        let mut fates = self.streams.iter_mut().map(|(_, stream)| fate(stream));
        let (mut cut, mut unanswered) = (false, false);
        for fate in &mut fates {
            cut |= fate == Fate::Cut;
            unanswered |= fate == Fate::Unanswered;
        }
        drop(fates);
        let error = self.shutdown.eof_error(self.peer.has_spoken());
        // A peer that left because something is wrong waits for no answer.
        let waits = unanswered && self.shutdown.peer_error().is_none();
        match (waits, cut || unanswered) {
            (true, _) => self.answer_the_rest(now, &error),
            (false, true) => self.end_all(now, &error),
            (false, false) => {
                self.shutdown.close();
                for key in self.streams.keys() {
                    self.remove(now, key);
                }
                self.wire.end();
            }
        }
    }

    /// Ends the streams that cannot continue, and waits for the others.
    fn answer_the_rest(&mut self, now: Instant, error: &Error) {
        // No frame arrives any more, neither answers to our PINGs and SETTINGS.
        self.life.lose_the_peer();
        for timer in [Timer::Preface, Timer::Settings, Timer::HeaderBlock] {
            self.timers.stop(timer);
        }
        self.start_drain(now);
        for key in self.streams.keys() {
            match self.streams.get_mut(key).map(|stream| fate(stream)) {
                Some(Fate::Cut) => {
                    self.send_reset(key.id(), error.reason());
                    self.remove(now, key);
                    let error = error.clone();
                    self.push_event(Event::Reset { stream: key, error });
                }
                Some(Fate::Done) => self.remove(now, key),
                Some(Fate::Unanswered) | None => {}
            }
        }
        self.look_for_the_peer();
        self.timers
            .set(Timer::SecondLook, now.checked_add(ROUND_TRIP));
    }

    /// Tests by a write whether the peer still reads. If it does not, the transport fails
    /// soon after; if it does, GOAWAY does no harm.
    pub(super) fn look_for_the_peer(&mut self) {
        if self.shutdown.phase() == Phase::Draining {
            let last = self.ids.last_of_peer();
            self.wire.go_away(last, Reason::NoError, "");
        } else if self.config.shutdown_order == ShutdownOrder::DataFirst {
            self.shutdown.wait_for_data();
            self.finish_sending();
        } else {
            self.send_last_go_away();
        }
    }
}

/// The fate of a stream when no more input arrives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    /// It is whole, or its rest has no reader.
    Done,
    /// The peer did not end its half.
    Cut,
    /// The peer ended its half, and has no whole answer yet.
    Unanswered,
}

fn fate(stream: &Stream) -> Fate {
    if stream.is_closed() || stream.recv.reader == Reader::Lingering {
        return Fate::Done;
    }
    // A push is ours, and a part of the answer.
    let answer = !stream.is_ours() || stream.parent().is_some();
    match stream.recv_half() {
        Half::Closed if answer => Fate::Unanswered,
        _ => Fate::Cut,
    }
}
