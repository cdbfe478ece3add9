//! SETTINGS (RFC 9113 §6.5): what we advertise, and what the peer's mean.

use bytes::BytesMut;
use lacewing_frames::http2::{self as frames, Setting, SettingId};

use super::{Wire, violation};
use crate::proto::{
    Config, ExtendedConnect, Reason, Rule, ServerPush, Side, Violation, wire::PeerSettings,
};

/// Settings that may be set once only.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Fixed {
    extended_connect: bool,
    no_tree: u32,
}

/// The settings that differ from the protocol's defaults.
pub(super) fn advertised(config: &Config) -> Vec<Setting> {
    let limits = &config.limits;
    let mut settings = Vec::with_capacity(8);
    let mut set = |id, value, default| {
        if value != default {
            settings.push(Setting { id, value });
        }
    };
    set(
        SettingId::HEADER_TABLE_SIZE,
        limits.header_table_size,
        4_096,
    );
    let streams = match config.side {
        Side::Server => limits.max_concurrent_streams,
        Side::Client => {
            set(
                SettingId::ENABLE_PUSH,
                u32::from(config.push == ServerPush::Accept),
                1,
            );
            limits.max_pushed_streams
        }
    };
    set(SettingId::MAX_CONCURRENT_STREAMS, streams, u32::MAX);
    set(SettingId::INITIAL_WINDOW_SIZE, limits.stream_window, 65_535);
    set(SettingId::MAX_FRAME_SIZE, limits.max_frame_size, 16_384);
    let list = u32::try_from(limits.max_header_list_size).unwrap_or(u32::MAX);
    set(SettingId::MAX_HEADER_LIST_SIZE, list, u32::MAX);
    if config.side == Side::Server {
        let extended = u32::from(config.extended_connect == ExtendedConnect::Offer);
        set(SettingId::ENABLE_CONNECT_PROTOCOL, extended, 0);
    }
    // The tree of RFC 7540 is parsed, and ignored (RFC 9218 §2.1).
    set(SettingId::NO_RFC7540_PRIORITIES, 1, 0);
    settings
}

/// The same as the payload of a frame, for an upgrade request.
pub(crate) fn payload(config: &Config) -> Vec<u8> {
    let mut frame = BytesMut::new();
    frames::Encoder::new().settings(&mut frame, &advertised(config));
    frame
        .get(frames::FrameHead::LEN..)
        .unwrap_or_default()
        .to_vec()
}

impl Wire {
    /// The settings of an upgrade request.
    pub(in crate::proto::wire) fn upgrade_settings(
        &mut self,
        payload: &[u8],
    ) -> Result<PeerSettings, Violation> {
        let entries = payload.chunks(6).map(|entry| match *entry {
            [high, low, a, b, c, d] => {
                let id = SettingId(u16::from_be_bytes([high, low]));
                let setting = Setting::new(id, u32::from_be_bytes([a, b, c, d]));
                setting.checked().map_err(|error| violation(&error))
            }
            _ => {
                let malformed = Violation::connection(Rule::Malformed, Reason::FrameSizeError);
                Err(malformed.detailed("HTTP2-Settings is not a payload of SETTINGS"))
            }
        });
        let entries: Result<Vec<_>, _> = entries.collect();
        let settings = self.apply_settings(&entries?)?;
        // The first SETTINGS frame has not arrived.
        self.settings_came = false;
        Ok(settings)
    }

    pub(super) fn apply_settings(
        &mut self,
        entries: &[Setting],
    ) -> Result<PeerSettings, Violation> {
        let mut settings = PeerSettings::default();
        // In their order, each one: a table that shrinks and grows again in one
        // frame has lost its entries (RFC 7541 §4.2).
        for Setting { id, value } in entries.iter().copied() {
            settings.all.push(crate::proto::Setting {
                id: u32::from(id.0),
                value,
            });
            match id {
                SettingId::HEADER_TABLE_SIZE => self.encoder.set_header_table_size(value),
                SettingId::MAX_FRAME_SIZE => self.encoder.set_max_frame_size(value),
                SettingId::MAX_CONCURRENT_STREAMS => settings.max_concurrent_streams = Some(value),
                SettingId::INITIAL_WINDOW_SIZE => settings.initial_window = Some(value),
                // §6.5.2: a server may only say that it pushes nothing.
                SettingId::ENABLE_PUSH if self.side == Side::Client && value != 0 => {
                    return Err(invalid("a server sets ENABLE_PUSH to 1"));
                }
                SettingId::ENABLE_PUSH => settings.enable_push = Some(value != 0),
                SettingId::ENABLE_CONNECT_PROTOCOL => {
                    if value == 0 && self.fixed.extended_connect {
                        return Err(invalid("ENABLE_CONNECT_PROTOCOL is taken back"));
                    }
                    self.fixed.extended_connect |= value != 0;
                    settings.extended_connect = Some(value != 0);
                }
                SettingId::NO_RFC7540_PRIORITIES => {
                    // §2.1 of RFC 9218: what the first SETTINGS say stays.
                    if self.settings_came && value != self.fixed.no_tree {
                        return Err(invalid("NO_RFC7540_PRIORITIES changes"));
                    }
                    self.fixed.no_tree = value;
                }
                _ => {}
            }
        }
        self.settings_came = true;
        Ok(settings)
    }
}

fn invalid(what: &'static str) -> Violation {
    Violation::connection(Rule::InvalidSettings, Reason::ProtocolError).detailed(what)
}
