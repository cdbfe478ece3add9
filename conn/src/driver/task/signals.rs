//! Signals of other tasks: a stream or a body is ready, consumed or abandoned.

use std::time::Instant;

use super::Driver;
use crate::driver::{
    application::Application,
    cells::{ListCharge, Signal},
    context::Context,
};

impl<IO, A: Application> Driver<IO, A> {
    /// Handles the signals of other tasks; `false` if there were none.
    pub(super) fn handle_signals(&mut self, now: Instant) -> bool {
        let Some(queue) = self.streams.queue() else {
            return false;
        };
        if queue.take_sweep() {
            self.streams.sweep(&mut self.engine, now);
        }
        let Some(mut signals) = self.streams.take_signals() else {
            return false;
        };
        for signal in signals.drain(..) {
            let mut conn = Context::new(&mut self.engine, now, &mut self.streams);
            match signal {
                Signal::Stream(signal) => self.application.handle_ready(&mut conn, signal.take()),
                Signal::Body(body) => {
                    let due = body.take_signal();
                    if due.credit > 0 {
                        conn.stream(body.stream()).release(due.credit);
                    }
                    if due.lists == ListCharge::Read {
                        conn.stream(body.stream()).release_headers();
                    }
                    if due.wanted {
                        self.application.handle_wanted(&mut conn, body.stream());
                    }
                    if due.abandoned {
                        self.application.handle_abandoned(&mut conn, body.stream());
                    }
                }
            }
        }
        self.streams.put_signals(signals);
        true
    }
}
