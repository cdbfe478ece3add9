//! The peer, as far as it has reported: its settings (RFC 9113 §6.5.2; the SPDY
//! drafts §2.6.4).

use super::{
    Config, FlowControl, Limits, Rule, Setting, flow::MAX_WINDOW, rules::Rules, wire::PeerSettings,
};

/// The peer's settings, and the defaults of the protocol until they arrive.
#[derive(Debug)]
pub(crate) struct Peer {
    /// The send window of a new stream; `None` where streams have none.
    stream_window: Option<u32>,
    max_streams: u32,
    takes_push: bool,
    takes_extended_connect: bool,
    speech: Speech,
    /// SETTINGS of ours that the peer has not acknowledged.
    unacknowledged: u32,
    /// The latest value of every setting; exactly as long.
    settings: Box<[Setting]>,
}

/// The part of the peer's first frame that has arrived.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Speech {
    /// No byte was consumed.
    Silent,
    /// A part of it was consumed: the next bytes are not the peer's first.
    Begun,
    /// All of it.
    Spoken,
}

impl Peer {
    pub(crate) fn new(rules: &Rules, config: &Config) -> Self {
        Self {
            stream_window: rules
                .stream_window
                .filter(|_| config.flow_control == FlowControl::Obeyed),
            max_streams: rules.max_concurrent_streams,
            takes_push: true,
            takes_extended_connect: false,
            speech: Speech::Silent,
            unacknowledged: u32::from(rules.settings_acknowledged),
            settings: Box::default(),
        }
    }

    /// Bytes that we may send on a new stream; `None`: any number.
    pub(crate) fn stream_window(&self) -> Option<u32> {
        self.stream_window
    }

    /// Streams that we may have open at once.
    pub(crate) fn max_streams(&self) -> u32 {
        self.max_streams
    }

    pub(crate) fn takes_push(&self) -> bool {
        self.takes_push
    }

    /// Extended CONNECT (RFC 8441).
    pub(crate) fn takes_extended_connect(&self) -> bool {
        self.takes_extended_connect
    }

    /// The latest value of every setting that the peer sent, as many as one
    /// frame may have.
    pub(crate) fn settings(&self) -> &[Setting] {
        &self.settings
    }

    /// The peer's first frame has arrived.
    pub(crate) fn has_spoken(&self) -> bool {
        self.speech == Speech::Spoken
    }

    /// No byte of the peer was consumed: the next ones are its first.
    pub(crate) fn is_silent(&self) -> bool {
        self.speech == Speech::Silent
    }

    pub(crate) fn note_first_frame(&mut self) {
        self.speech = Speech::Spoken;
    }

    /// Bytes were consumed that make no whole message yet.
    pub(crate) fn note_first_bytes(&mut self) {
        if self.speech == Speech::Silent {
            self.speech = Speech::Begun;
        }
    }

    /// SETTINGS of ours may not have reached the peer.
    pub(crate) fn has_unacknowledged_settings(&self) -> bool {
        self.unacknowledged > 0
    }

    /// The peer acknowledges SETTINGS of ours.
    pub(crate) fn acknowledge(&mut self) -> Result<(), Rule> {
        let left = self.unacknowledged.checked_sub(1);
        self.unacknowledged = left.ok_or(Rule::UnexpectedSettingsAck)?;
        Ok(())
    }

    /// Takes over new settings. `Some`: the send windows of all open streams
    /// move by this much (RFC 9113 §6.9.2).
    ///
    /// # Errors
    ///
    /// An initial window above 2³¹−1.
    pub(crate) fn apply(
        &mut self,
        new: &PeerSettings,
        limits: &Limits,
    ) -> Result<Option<i64>, Rule> {
        self.remember(&new.all, limits);
        if let Some(max) = new.max_concurrent_streams {
            self.max_streams = max;
        }
        if let Some(push) = new.enable_push {
            self.takes_push = push;
        }
        if let Some(extended) = new.extended_connect {
            self.takes_extended_connect = extended;
        }
        let (Some(window), Some(old)) = (new.initial_window, self.stream_window) else {
            return Ok(None);
        };
        if i64::from(window) > MAX_WINDOW {
            return Err(Rule::ConnectionWindowOverflow);
        }
        self.stream_window = Some(window);
        Ok(Some(i64::from(window).saturating_sub(i64::from(old))))
    }

    fn remember(&mut self, settings: &[Setting], limits: &Limits) {
        let mut all = std::mem::take(&mut self.settings).into_vec();
        for setting in settings {
            let room = all.len() < limits.max_settings_entries;
            match all.iter_mut().find(|known| known.id == setting.id) {
                Some(known) => known.value = setting.value,
                None if room => all.push(*setting),
                None => {}
            }
        }
        self.settings = all.into_boxed_slice();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Side, Version, proto::rules::EVERY_VERSION};

    fn peer(version: Version) -> Peer {
        Peer::new(Rules::of(version), &Config::new(version, Side::Server))
    }

    fn window(size: u32) -> PeerSettings {
        PeerSettings {
            initial_window: Some(size),
            ..PeerSettings::default()
        }
    }

    #[test]
    fn open_streams_move_by_the_change_of_the_initial_window() {
        let limits = Limits::new(Side::Server);
        for version in EVERY_VERSION {
            let mut peer = peer(version);
            let Some(before) = peer.stream_window().map(i64::from) else {
                assert_eq!(peer.apply(&window(10), &limits), Ok(None));
                continue;
            };
            assert_eq!(peer.apply(&window(10), &limits), Ok(Some(10 - before)));
            assert_eq!(peer.apply(&window(100), &limits), Ok(Some(90)));
            assert_eq!(peer.stream_window(), Some(100));
            let error = Err(Rule::ConnectionWindowOverflow);
            assert_eq!(peer.apply(&window(1 << 31), &limits), error);
        }
    }

    #[test]
    fn the_latest_value_of_each_setting_is_remembered_within_the_limit() {
        let mut limits = Limits::new(Side::Server);
        limits.max_settings_entries = 2;
        let [version, ..] = EVERY_VERSION;
        let mut peer = peer(version);
        let all = |entries: &[(u32, u32)]| PeerSettings {
            all: entries
                .iter()
                .map(|&(id, value)| Setting { id, value })
                .collect(),
            ..PeerSettings::default()
        };
        assert_eq!(
            peer.apply(&all(&[(3, 1), (9, 1), (10, 1)]), &limits),
            Ok(None)
        );
        assert_eq!(peer.apply(&all(&[(3, 2)]), &limits), Ok(None));
        let settings: Vec<_> = peer.settings().iter().map(|s| (s.id, s.value)).collect();
        assert_eq!(settings, [(3, 2), (9, 1)]);
    }
}
