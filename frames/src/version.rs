//! The protocols, and their names in ALPN.

use std::{fmt, str::FromStr};

#[cfg(feature = "spdy")]
use crate::spdy::WireVersion;

/// A protocol, as ALPN names it.
///
/// ```
/// use lacewing_frames::Version;
///
/// assert_eq!(Version::from_alpn(b"spdy/3.1"), Some(Version::Spdy31));
/// assert_eq!("h2".parse(), Ok(Version::Http2));
/// assert_eq!(Version::Spdy2.to_string(), "spdy/2");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Version {
    /// SPDY/2.
    Spdy2,
    /// SPDY/3.
    Spdy3,
    /// SPDY/3.1: SPDY/3 with a window for the connection.
    Spdy31,
    /// HTTP/2 (RFC 9113).
    Http2,
}

/// A name that is none of `h2`, `spdy/3.1`, `spdy/3`, `spdy/2`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UnknownVersion;

impl fmt::Display for UnknownVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("unknown protocol: use one of h2, spdy/3.1, spdy/3, spdy/2")
    }
}

impl std::error::Error for UnknownVersion {}

impl Version {
    /// All of them, in the order in which a server prefers them.
    pub const ALL: [Self; 4] = [Self::Http2, Self::Spdy31, Self::Spdy3, Self::Spdy2];

    /// The protocol's name in ALPN (RFC 7301) and NPN.
    pub const fn alpn(self) -> &'static str {
        match self {
            Self::Spdy2 => "spdy/2",
            Self::Spdy3 => "spdy/3",
            Self::Spdy31 => "spdy/3.1",
            Self::Http2 => "h2",
        }
    }

    /// The protocol of that name in ALPN.
    pub fn from_alpn(name: &[u8]) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|version| version.alpn().as_bytes() == name)
    }

    /// The version that the control frames of this protocol carry (the SPDY drafts
    /// §2.2.1). `None` for HTTP/2.
    #[cfg(feature = "spdy")]
    pub const fn spdy_frames(self) -> Option<WireVersion> {
        match self {
            Self::Spdy2 => Some(WireVersion::V2),
            Self::Spdy3 | Self::Spdy31 => Some(WireVersion::V3),
            Self::Http2 => None,
        }
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.alpn())
    }
}

impl FromStr for Version {
    type Err = UnknownVersion;

    fn from_str(name: &str) -> Result<Self, UnknownVersion> {
        Self::from_alpn(name.as_bytes()).ok_or(UnknownVersion)
    }
}
