//! SETTINGS (RFC 9113 §6.5).

use core::fmt;

use bytes::BytesMut;

use super::{DecodeError, EncodeError, FrameHead, Kind, flags, frame};

/// SETTINGS: parameters of the sender, or an acknowledgement of the receiver's parameters (RFC 9113
/// §6.5).
///
/// Entries stay in wire order, including duplicates and unknown ones. The last entry of a name is
/// valid.
///
/// ```
/// use lacewing_frames::http2::{Setting, SettingId, Settings};
///
/// let settings = Settings::new([
///     Setting::new(SettingId::MAX_CONCURRENT_STREAMS, 100),
///     Setting::new(SettingId::MAX_CONCURRENT_STREAMS, 250),
/// ]);
/// assert_eq!(settings.value(SettingId::MAX_CONCURRENT_STREAMS), Some(250));
/// assert_eq!(settings.value(SettingId::ENABLE_PUSH), None);
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Settings {
    /// ACK: the sender has applied the receiver's settings. Such a frame has no entries.
    pub ack: bool,
    /// The entries in wire order.
    pub entries: Vec<Setting>,
    /// Flag bits without a meaning in this frame; kept, and ignored.
    pub undefined_flags: u8,
}

impl Settings {
    /// A frame with these settings, in this order.
    pub fn new(entries: impl IntoIterator<Item = Setting>) -> Settings {
        Settings {
            ack: false,
            entries: entries.into_iter().collect(),
            undefined_flags: 0,
        }
    }

    /// An acknowledgement.
    pub fn ack() -> Settings {
        Settings {
            ack: true,
            ..Settings::default()
        }
    }

    /// The value of a setting: that of the last entry, as later entries replace earlier ones.
    pub fn value(&self, id: SettingId) -> Option<u32> {
        self.entries
            .iter()
            .rev()
            .find(|entry| entry.id == id)
            .map(|entry| entry.value)
    }

    /// Parses a payload. An entry with a value outside its range is an error.
    pub(crate) fn parse(
        head: FrameHead,
        payload: &[u8],
        max_entries: usize,
    ) -> Result<Settings, DecodeError> {
        let FrameHead {
            kind,
            length,
            stream_id,
            ..
        } = head;
        if stream_id != 0 {
            return Err(DecodeError::StreamIdNotZero { kind, stream_id });
        }
        let ack = head.has(flags::ACK);
        if ack && length != 0 {
            return Err(DecodeError::SettingsAckNotEmpty { length });
        }
        let entries = payload.chunks_exact(Setting::LEN);
        if !entries.remainder().is_empty() {
            return Err(DecodeError::Length { kind, length });
        }
        if entries.len() > max_entries {
            let entries = entries.len();
            return Err(DecodeError::TooManySettings {
                entries,
                limit: max_entries,
            });
        }
        let entries = entries
            .filter_map(|entry| <[u8; Setting::LEN]>::try_from(entry).ok())
            .map(|entry| Setting::from_bytes(entry).checked())
            .collect::<Result<_, _>>()?;
        Ok(Settings {
            ack,
            entries,
            undefined_flags: head.undefined_flags(flags::ACK),
        })
    }

    pub(crate) fn encode(&self, dst: &mut BytesMut) -> Result<(), EncodeError> {
        let mut flags = self.undefined_flags & !flags::ACK;
        if self.ack {
            flags |= flags::ACK;
        }
        let length = self.entries.len().saturating_mul(Setting::LEN);
        frame::put_head(dst, Kind::SETTINGS, flags, 0, length)?;
        for entry in &self.entries {
            dst.extend_from_slice(&entry.to_bytes());
        }
        Ok(())
    }
}

/// One entry of SETTINGS (RFC 9113 §6.5.1).
///
/// ```
/// use lacewing_frames::http2::{Setting, SettingId};
///
/// let entry = Setting::new(SettingId::INITIAL_WINDOW_SIZE, 1 << 20);
/// assert_eq!(entry.checked(), Ok(entry));
/// assert!(Setting::new(SettingId::INITIAL_WINDOW_SIZE, 1 << 31).checked().is_err());
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Setting {
    /// The parameter.
    pub id: SettingId,
    /// Its value.
    pub value: u32,
}

impl Setting {
    /// The length on the wire in bytes.
    pub(crate) const LEN: usize = 6;

    /// An entry.
    pub const fn new(id: SettingId, value: u32) -> Setting {
        Setting { id, value }
    }

    /// Returns the entry itself if its value is permitted. Unknown settings permit every value.
    ///
    /// # Errors
    ///
    /// [`DecodeError::SettingValue`] if the value is not permitted (RFC 9113 §6.5.2, RFC 8441 §3,
    /// RFC 9218 §2.1).
    pub fn checked(self) -> Result<Setting, DecodeError> {
        let allowed = match self.id {
            SettingId::ENABLE_PUSH
            | SettingId::ENABLE_CONNECT_PROTOCOL
            | SettingId::NO_RFC7540_PRIORITIES => self.value <= 1,
            SettingId::INITIAL_WINDOW_SIZE => self.value <= 0x7fff_ffff,
            // With a value of 0, an implementation split header blocks into endlessly many empty
            // CONTINUATION frames (CVE-2026-33814).
            SettingId::MAX_FRAME_SIZE => (16_384..=FrameHead::MAX_LENGTH).contains(&self.value),
            _ => true,
        };
        if allowed {
            Ok(self)
        } else {
            Err(DecodeError::SettingValue {
                id: self.id,
                value: self.value,
            })
        }
    }

    fn from_bytes([i0, i1, v0, v1, v2, v3]: [u8; Setting::LEN]) -> Setting {
        Setting {
            id: SettingId(u16::from_be_bytes([i0, i1])),
            value: u32::from_be_bytes([v0, v1, v2, v3]),
        }
    }

    pub(crate) fn to_bytes(self) -> [u8; Setting::LEN] {
        let [i0, i1] = self.id.0.to_be_bytes();
        let [v0, v1, v2, v3] = self.value.to_be_bytes();
        [i0, i1, v0, v1, v2, v3]
    }
}

/// The name of a setting. Prints its name in the specification, without `SETTINGS_`.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SettingId(
    /// The value on the wire.
    pub u16,
);

impl SettingId {
    /// The size of the HPACK table of the sender's decoder, in bytes. Default 4,096.
    pub const HEADER_TABLE_SIZE: SettingId = SettingId(0x1);
    /// The receiver may push: 0 or 1. Default 1.
    pub const ENABLE_PUSH: SettingId = SettingId(0x2);
    /// The most streams that the receiver may have open at once. No limit by default.
    pub const MAX_CONCURRENT_STREAMS: SettingId = SettingId(0x3);
    /// The initial window of each stream, in bytes. Default 65,535.
    pub const INITIAL_WINDOW_SIZE: SettingId = SettingId(0x4);
    /// The largest payload that the sender accepts, in bytes. Default 16,384.
    pub const MAX_FRAME_SIZE: SettingId = SettingId(0x5);
    /// The largest header list that the sender accepts, uncompressed and with 32 bytes for each
    /// field.
    pub const MAX_HEADER_LIST_SIZE: SettingId = SettingId(0x6);
    /// The sender accepts extended CONNECT: 0 or 1 (RFC 8441).
    pub const ENABLE_CONNECT_PROTOCOL: SettingId = SettingId(0x8);
    /// The sender ignores the priorities of RFC 7540: 0 or 1 (RFC 9218).
    pub const NO_RFC7540_PRIORITIES: SettingId = SettingId(0x9);

    /// The name in the specification without `SETTINGS_`, if this crate knows the setting.
    pub fn name(self) -> Option<&'static str> {
        Some(match self {
            SettingId::HEADER_TABLE_SIZE => "HEADER_TABLE_SIZE",
            SettingId::ENABLE_PUSH => "ENABLE_PUSH",
            SettingId::MAX_CONCURRENT_STREAMS => "MAX_CONCURRENT_STREAMS",
            SettingId::INITIAL_WINDOW_SIZE => "INITIAL_WINDOW_SIZE",
            SettingId::MAX_FRAME_SIZE => "MAX_FRAME_SIZE",
            SettingId::MAX_HEADER_LIST_SIZE => "MAX_HEADER_LIST_SIZE",
            SettingId::ENABLE_CONNECT_PROTOCOL => "ENABLE_CONNECT_PROTOCOL",
            SettingId::NO_RFC7540_PRIORITIES => "NO_RFC7540_PRIORITIES",
            _ => return None,
        })
    }

    pub(crate) fn section(self) -> &'static str {
        match self {
            SettingId::ENABLE_CONNECT_PROTOCOL => "RFC 8441 §3",
            SettingId::NO_RFC7540_PRIORITIES => "RFC 9218 §2.1",
            _ => "RFC 9113 §6.5.2",
        }
    }

    /// The permitted values, for an error message.
    pub(crate) fn allowed(self) -> &'static str {
        match self {
            SettingId::INITIAL_WINDOW_SIZE => "0 to 2147483647",
            SettingId::MAX_FRAME_SIZE => "16384 to 16777215",
            SettingId::ENABLE_PUSH
            | SettingId::ENABLE_CONNECT_PROTOCOL
            | SettingId::NO_RFC7540_PRIORITIES => "0 or 1",
            _ => "every value",
        }
    }
}

impl fmt::Display for SettingId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => f.write_str(name),
            None => write!(f, "{:#06x}", self.0),
        }
    }
}

impl fmt::Debug for SettingId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
