//! SETTINGS (section 2.6.4).

use core::fmt;

use bytes::{BufMut, BytesMut};

use super::head::{self, ControlHead, flag};
use super::{DecodeError, EncodeError, Kind, WireVersion, flags};

/// SETTINGS: parameters of the sender (section 2.6.4). Never acknowledged.
///
/// Entries stay in wire order, including duplicates and unknown ones. If an id occurs twice, the
/// first entry is valid.
///
/// ```
/// use lacewing_frames::spdy::{Setting, SettingId, Settings};
///
/// let settings = Settings::new([
///     Setting::new(SettingId::MAX_CONCURRENT_STREAMS, 100),
///     Setting::new(SettingId::MAX_CONCURRENT_STREAMS, 250),
/// ]);
/// assert_eq!(settings.value(SettingId::MAX_CONCURRENT_STREAMS), Some(100));
/// assert_eq!(settings.value(SettingId::INITIAL_WINDOW_SIZE), None);
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Settings {
    /// CLEAR_PREVIOUSLY_PERSISTED_SETTINGS: the client must delete its stored settings of this
    /// server before it reads the entries.
    pub clear: bool,
    /// The entries in wire order.
    pub entries: Vec<Setting>,
    /// Flag bits without a meaning in this frame; kept, and ignored.
    pub undefined_flags: u8,
}

impl Settings {
    /// A frame with these settings, in this order. The specification requires ascending ids.
    pub fn new(entries: impl IntoIterator<Item = Setting>) -> Settings {
        Settings {
            clear: false,
            entries: entries.into_iter().collect(),
            undefined_flags: 0,
        }
    }

    /// The value of a setting: that of the first entry.
    pub fn value(&self, id: SettingId) -> Option<u32> {
        let entry = self.entries.iter().find(|entry| entry.id == id)?;
        Some(entry.value)
    }

    pub(crate) fn parse(
        head: ControlHead,
        payload: &[u8],
        max_entries: usize,
    ) -> Result<Settings, DecodeError> {
        let (kind, length) = (head.kind, head.length);
        let Some((entries, rest)) = head::split_u32(payload) else {
            return Err(DecodeError::Length { kind, length });
        };
        // Compared with the remaining bytes before any allocation (CVE-2026-35469).
        let chunks = rest.chunks_exact(Setting::LEN);
        if !chunks.remainder().is_empty() || usize::try_from(entries) != Ok(chunks.len()) {
            return Err(DecodeError::SettingsCount { entries, length });
        }
        if chunks.len() > max_entries {
            let limit = max_entries;
            return Err(DecodeError::TooManySettings { entries, limit });
        }
        let entries = chunks
            .filter_map(|entry| <[u8; Setting::LEN]>::try_from(entry).ok())
            .map(|entry| Setting::from_bytes(head.version, entry))
            .collect();
        Ok(Settings {
            clear: head.has(flags::CLEAR_SETTINGS),
            entries,
            undefined_flags: head.flags & !flags::CLEAR_SETTINGS,
        })
    }

    pub(crate) fn encode(
        &self,
        version: WireVersion,
        dst: &mut BytesMut,
    ) -> Result<(), EncodeError> {
        let flags =
            flag(self.clear, flags::CLEAR_SETTINGS) | self.undefined_flags & !flags::CLEAR_SETTINGS;
        put(dst, version, flags, &self.entries)
    }
}

/// Appends a SETTINGS frame.
pub(crate) fn put(
    dst: &mut BytesMut,
    version: WireVersion,
    flags: u8,
    entries: &[Setting],
) -> Result<(), EncodeError> {
    let length = entries.len().saturating_mul(Setting::LEN).saturating_add(4);
    head::put_control(dst, version, Kind::SETTINGS, flags, length)?;
    dst.put_u32(head::checked_length(entries.len())?);
    for entry in entries {
        dst.put_slice(&entry.to_bytes(version));
    }
    Ok(())
}

/// One entry of SETTINGS (section 2.6.4).
///
/// ```
/// use lacewing_frames::spdy::{Setting, SettingId, flags};
///
/// let entry = Setting::new(SettingId::INITIAL_WINDOW_SIZE, 1 << 20);
/// let kept = Setting { flags: flags::PERSIST_VALUE, ..entry };
/// assert!(kept.persist_value() && !entry.persist_value());
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Setting {
    /// The parameter.
    pub id: SettingId,
    /// [`flags::PERSIST_VALUE`], [`flags::PERSISTED`].
    pub flags: u8,
    /// Its value.
    pub value: u32,
}

impl Setting {
    /// The length on the wire in bytes.
    pub(crate) const LEN: usize = 8;

    /// An entry without flags.
    pub const fn new(id: SettingId, value: u32) -> Setting {
        Setting {
            id,
            flags: 0,
            value,
        }
    }

    /// Returns whether the server asks the client to store the value.
    pub const fn persist_value(self) -> bool {
        self.flags & flags::PERSIST_VALUE != 0
    }

    /// Returns whether the client returns a value that it stored.
    pub const fn persisted(self) -> bool {
        self.flags & flags::PERSISTED != 0
    }

    /// SPDY/2 has the id in little-endian order before the flags, as in its first implementation.
    /// SPDY/3 has the flags and then the id, in network order. The value is in network order in
    /// both.
    fn from_bytes(version: WireVersion, bytes: [u8; Setting::LEN]) -> Setting {
        let [b0, b1, b2, b3, v0, v1, v2, v3] = bytes;
        let (id, flags) = match version {
            WireVersion::V2 => (u32::from_le_bytes([b0, b1, b2, 0]), b3),
            WireVersion::V3 => (u32::from_be_bytes([0, b1, b2, b3]), b0),
        };
        Setting {
            id: SettingId(id),
            flags,
            value: u32::from_be_bytes([v0, v1, v2, v3]),
        }
    }

    fn to_bytes(self, version: WireVersion) -> [u8; Setting::LEN] {
        let [v0, v1, v2, v3] = self.value.to_be_bytes();
        let [_, high, middle, low] = self.id.0.to_be_bytes();
        match version {
            WireVersion::V2 => [low, middle, high, self.flags, v0, v1, v2, v3],
            WireVersion::V3 => [self.flags, high, middle, low, v0, v1, v2, v3],
        }
    }
}

/// A parameter of SETTINGS (section 2.6.4). Prints its name in the specification.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SettingId(
    /// The value on the wire, 24 bits.
    pub u32,
);

impl SettingId {
    /// The expected upload bandwidth in kilobytes per second.
    pub const UPLOAD_BANDWIDTH: SettingId = SettingId(1);
    /// The expected download bandwidth in kilobytes per second.
    pub const DOWNLOAD_BANDWIDTH: SettingId = SettingId(2);
    /// The expected round-trip time in milliseconds.
    pub const ROUND_TRIP_TIME: SettingId = SettingId(3);
    /// The most streams that the receiver may have open at once.
    pub const MAX_CONCURRENT_STREAMS: SettingId = SettingId(4);
    /// The current TCP congestion window of the sender in packets.
    pub const CURRENT_CWND: SettingId = SettingId(5);
    /// The rate of retransmitted downloads in percent.
    pub const DOWNLOAD_RETRANS_RATE: SettingId = SettingId(6);
    /// The initial window of streams in bytes. It has no meaning in SPDY/2.
    pub const INITIAL_WINDOW_SIZE: SettingId = SettingId(7);
    /// The number of slots for client certificates. SPDY/3 only.
    pub const CLIENT_CERTIFICATE_VECTOR_SIZE: SettingId = SettingId(8);

    /// The name in the specification, or `None` for an id that it does not define.
    pub fn name(self) -> Option<&'static str> {
        Some(match self {
            SettingId::UPLOAD_BANDWIDTH => "UPLOAD_BANDWIDTH",
            SettingId::DOWNLOAD_BANDWIDTH => "DOWNLOAD_BANDWIDTH",
            SettingId::ROUND_TRIP_TIME => "ROUND_TRIP_TIME",
            SettingId::MAX_CONCURRENT_STREAMS => "MAX_CONCURRENT_STREAMS",
            SettingId::CURRENT_CWND => "CURRENT_CWND",
            SettingId::DOWNLOAD_RETRANS_RATE => "DOWNLOAD_RETRANS_RATE",
            SettingId::INITIAL_WINDOW_SIZE => "INITIAL_WINDOW_SIZE",
            SettingId::CLIENT_CERTIFICATE_VECTOR_SIZE => "CLIENT_CERTIFICATE_VECTOR_SIZE",
            _ => return None,
        })
    }
}

impl fmt::Display for SettingId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => f.write_str(name),
            None => write!(f, "{:#08x}", self.0),
        }
    }
}

impl fmt::Debug for SettingId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
