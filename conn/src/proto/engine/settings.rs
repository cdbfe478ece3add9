//! SETTINGS of the peer (RFC 9113 §6.5; the drafts' §2.6.4).

use std::time::Instant;

use super::{Engine, Timer};
use crate::proto::{Broken, Event, Outcome, Rule, wire::PeerSettings};

impl Engine {
    pub(super) fn handle_settings(&mut self, now: Instant, settings: PeerSettings) -> Outcome {
        self.charges.glitch(&self.config.limits, now)?;
        self.take_settings(settings)
    }

    /// Applies settings without a charge: those of the first frame, where most peers send them, or
    /// have to.
    pub(super) fn take_settings(&mut self, settings: PeerSettings) -> Outcome {
        self.apply_settings(settings)?;
        self.wire.settings_ack();
        Ok(Some(Event::PeerSettings))
    }

    pub(super) fn apply_settings(&mut self, settings: PeerSettings) -> Result<(), Broken> {
        let shift = self.peer.apply(&settings, &self.config.limits);
        let shift = shift.map_err(Rule::fatal)?;
        if settings.forget || !settings.keep.is_empty() {
            self.push_event(Event::KeepSettings {
                forget: settings.forget,
                settings: settings.keep,
            });
        }
        if !settings.returned.is_empty() {
            self.push_event(Event::ReturnedSettings {
                settings: settings.returned,
            });
        }
        match shift {
            Some(change) => self.shift_windows(change),
            None => Ok(()),
        }
    }

    /// Windows of open streams move with the initial window, perhaps below zero
    /// (RFC 9113 §6.9.2); the connection's window does not.
    fn shift_windows(&mut self, change: i64) -> Result<(), Broken> {
        let mut keys = Vec::new();
        let mut overflown = false;
        for (key, stream) in self.streams.iter_mut() {
            overflown |= stream.send.window.shift(change).is_err();
            keys.push(key);
        }
        if overflown {
            return Err(Rule::ConnectionWindowOverflow.fatal());
        }
        for key in keys {
            self.schedule(key);
        }
        Ok(())
    }

    pub(super) fn handle_settings_ack(&mut self) -> Outcome {
        self.peer.acknowledge().map_err(Rule::fatal)?;
        self.timers.stop(Timer::Settings);
        self.wire.settings_acknowledged();
        Ok(None)
    }
}
