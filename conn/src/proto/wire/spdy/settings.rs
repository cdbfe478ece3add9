//! SETTINGS (the drafts' §2.6.4): what we advertise and return, and what the
//! peer's mean.

use lacewing_frames::spdy::{self as frames, Setting, SettingId, flags};

use super::Wire;
use crate::proto::{Config, FlowControl, Semantics, Side, Version, wire::PeerSettings};

/// The frames that a connection starts with.
///
/// A client returns first what the server once asked it to keep: of two values
/// for one id the later counts, and its own must.
pub(super) fn advertised(config: &Config) -> Vec<frames::Settings> {
    let mut all = Vec::with_capacity(2);
    if config.side == Side::Client && !config.returned_settings.is_empty() {
        let returned = config.returned_settings.iter();
        all.push(frames::Settings::new(
            returned.map(|setting| flagged(*setting, flags::PERSISTED)),
        ));
    }
    all.push(frames::Settings::new(own(config)));
    if config.side == Side::Server {
        let asked = &config.persistent_settings;
        if asked.forget || !asked.keep.is_empty() {
            let keep = asked.keep.iter();
            let mut frame =
                frames::Settings::new(keep.map(|setting| flagged(*setting, flags::PERSIST_VALUE)));
            frame.clear = asked.forget;
            all.push(frame);
        }
    }
    all
}

fn flagged(setting: crate::proto::Setting, flags: u8) -> Setting {
    Setting {
        flags,
        ..Setting::new(SettingId(setting.id & 0x00ff_ffff), setting.value)
    }
}

fn own(config: &Config) -> Vec<Setting> {
    let limits = &config.limits;
    let streams = match (config.semantics, config.side) {
        (Semantics::Http, Side::Client) => limits.max_pushed_streams,
        _ => limits.max_concurrent_streams,
    };
    let mut settings = vec![Setting::new(SettingId::MAX_CONCURRENT_STREAMS, streams)];
    if config.version == Version::Spdy2 {
        // SPDY/2 has no windows, but spdy-transport has them even there, and would
        // wait for credit. This value keeps its windows open for ever. Other peers
        // ignore it.
        settings.push(Setting::new(SettingId::INITIAL_WINDOW_SIZE, 0x7fff_ffff));
    } else if config.flow_control == FlowControl::Obeyed {
        let window = limits.stream_window;
        settings.push(Setting::new(SettingId::INITIAL_WINDOW_SIZE, window));
    }
    settings
}

impl Wire {
    pub(super) fn apply_settings(&self, settings: &frames::Settings) -> PeerSettings {
        let server = self.side == Side::Server;
        let mut meaning = PeerSettings {
            // Only a server may send the flag.
            forget: settings.clear && !server,
            ..PeerSettings::default()
        };
        for (index, entry) in settings.entries.iter().enumerate() {
            // Of several values for one id in a frame the first counts.
            let before = settings.entries.get(..index).unwrap_or_default();
            if before.iter().any(|earlier| earlier.id == entry.id) {
                continue;
            }
            let setting = crate::proto::Setting {
                id: entry.id.0,
                value: entry.value,
            };
            // Settings that we asked the client to keep are ours: they bound us in
            // nothing.
            if server && entry.flags & flags::PERSISTED != 0 {
                meaning.returned.push(setting);
                continue;
            }
            // Persistence is a client's: what one asks for is ignored.
            if !server && entry.persist_value() {
                meaning.keep.push(setting);
            }
            meaning.all.push(setting);
            match entry.id {
                SettingId::MAX_CONCURRENT_STREAMS => {
                    meaning.max_concurrent_streams = Some(entry.value);
                }
                SettingId::INITIAL_WINDOW_SIZE => meaning.initial_window = Some(entry.value),
                _ => {}
            }
        }
        meaning
    }
}
