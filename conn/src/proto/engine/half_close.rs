//! The end of the transport's input. A peer may close its side once it has said
//! all that it has to say: what it asked for is answered, and then the
//! connection closes. What it did not say to the end fails.

use std::time::Instant;

use super::{Engine, Phase};
use crate::{
    Error, Reason,
    proto::{
        Event, ShutdownOrder,
        streams::{Reader, Stream, state::Half},
    },
};

impl Engine {
    /// The transport's input ended. Streams of the peer that are whole go on,
    /// until they are done or `drain_timeout` is over; all others end. A
    /// transport that the peer has closed altogether shows when it is written
    /// to.
    pub fn handle_eof(&mut self, now: Instant) {
        if self.phase == Phase::Closed {
            return;
        }
        let mut fates = self.streams.iter_mut().map(|(_, stream)| fate(stream));
        let (mut cut, mut unanswered) = (false, false);
        for fate in &mut fates {
            cut |= fate == Fate::Cut;
            unanswered |= fate == Fate::Unanswered;
        }
        drop(fates);
        let error = self.eof_error();
        // A peer that left because something is wrong waits for no answer.
        let waits = unanswered && !self.peer_left_with_error();
        match (waits, cut || unanswered) {
            (true, _) => self.answer_the_rest(now, &error),
            (false, true) => self.end_all(now, &error),
            (false, false) => self.phase = Phase::Closed,
        }
    }

    /// Ends what cannot go on, and waits for the rest.
    fn answer_the_rest(&mut self, now: Instant, error: &Error) {
        // Nothing more is to be heard, answers to our PINGs and SETTINGS least.
        self.life.lose_the_peer();
        self.timers.preface = None;
        self.timers.settings = None;
        self.timers.block = None;
        self.timers.start_drain(&self.config.limits, now);
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
        self.timers.start_announce(now);
    }

    /// A write is how it shows that nobody is there any more: the transport
    /// fails soon after. GOAWAY is one that takes nothing from a peer that is.
    pub(super) fn look_for_the_peer(&mut self) {
        if self.phase == Phase::Draining {
            let last = self.ids.last_of_peer();
            self.wire
                .go_away(last, Reason::NoError, "", self.output.buffer());
        } else if self.config.shutdown_order == ShutdownOrder::DataFirst {
            self.phase = Phase::Finishing;
            self.finish_sending();
        } else {
            self.send_last_go_away();
        }
    }
}

/// What becomes of a stream when no more input comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    /// It is whole, or nobody wants the rest of it.
    Done,
    /// The peer did not say all.
    Cut,
    /// The peer said all, and has no answer yet.
    Unanswered,
}

fn fate(stream: &Stream) -> Fate {
    if stream.state.is_closed() || stream.recv.reader == Reader::Lingering {
        return Fate::Done;
    }
    // A push is ours, and a part of the answer.
    let answer = !stream.is_ours() || stream.parent().is_some();
    match stream.state.recv() {
        Half::Closed if answer => Fate::Unanswered,
        _ => Fate::Cut,
    }
}
