//! SETTINGS of the peer (RFC 9113 §6.5; the drafts' §2.6.4).

use std::time::Instant;

use super::{Engine, receive::Outcome};
use crate::proto::{Event, Rule, Setting, Violation, wire::PeerSettings};

impl Engine {
    pub(super) fn handle_settings(&mut self, now: Instant, settings: PeerSettings) -> Outcome {
        self.glitch(now)?;
        self.obey(settings)?;
        self.wire.settings_ack(self.output.buffer());
        Ok(Some(Event::PeerSettings))
    }

    pub(super) fn obey(&mut self, settings: PeerSettings) -> Result<(), Violation> {
        for setting in settings.all {
            self.remember_setting(setting);
        }
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
        if let Some(max) = settings.max_concurrent_streams {
            self.peer_max_streams = max;
        }
        if let Some(push) = settings.enable_push {
            self.peer_takes_push = push;
        }
        if let Some(extended) = settings.extended_connect {
            self.peer_takes_extended_connect = extended;
        }
        if let (Some(new), Some(old)) = (settings.initial_window, self.peer_stream_window) {
            self.shift_windows(old, new)?;
        }
        Ok(())
    }

    /// The latest value of each; as many as one frame may have.
    fn remember_setting(&mut self, setting: Setting) {
        let known = &mut self.peer_settings;
        let room = known.len() < self.config.limits.max_settings_entries;
        match known.iter_mut().find(|known| known.id == setting.id) {
            Some(known) => known.value = setting.value,
            None if room => known.push(setting),
            None => {}
        }
    }

    /// Open streams move with the initial window, perhaps below zero
    /// (RFC 9113 §6.9.2); the connection's window does not.
    fn shift_windows(&mut self, old: u32, new: u32) -> Result<(), Violation> {
        if new > 0x7fff_ffff {
            return Err(self.fatal(Rule::ConnectionWindowOverflow));
        }
        self.peer_stream_window = Some(new);
        let change = i64::from(new).saturating_sub(i64::from(old));
        let mut keys = Vec::new();
        let mut overflown = false;
        for (key, stream) in self.streams.iter_mut() {
            overflown |= stream.send_window.shift(change).is_err();
            keys.push(key);
        }
        if overflown {
            return Err(self.fatal(Rule::ConnectionWindowOverflow));
        }
        for key in keys {
            self.schedule(key);
        }
        Ok(())
    }

    pub(super) fn handle_settings_ack(&mut self) -> Outcome {
        if self.unacknowledged_settings == 0 {
            return Err(self.fatal(Rule::UnexpectedSettingsAck));
        }
        self.unacknowledged_settings = self.unacknowledged_settings.saturating_sub(1);
        self.timers.settings = None;
        self.wire.settings_acknowledged();
        Ok(None)
    }
}
