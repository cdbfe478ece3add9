//! The protocols that a server offers.

use std::{fmt, str::FromStr};

use lacewing_conn::Version;

/// A protocol that a server can offer.
///
/// ```
/// use lacewing_server::Protocol;
///
/// assert_eq!("spdy/3.1".parse(), Ok(Protocol::Spdy31));
/// assert_eq!(Protocol::Http2.to_string(), "h2");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Protocol {
    /// HTTP/2 (RFC 9113).
    Http2,
    /// SPDY/3.1.
    Spdy31,
    /// SPDY/3.
    Spdy3,
    /// SPDY/2.
    Spdy2,
    /// HTTP/1.1 and 1.0 (RFC 9112), with the feature `http1`.
    Http1,
}

impl Protocol {
    /// All of them, in the order in which a server offers them by default.
    pub const ALL: [Self; 5] = [
        Self::Http2,
        Self::Spdy31,
        Self::Spdy3,
        Self::Spdy2,
        Self::Http1,
    ];

    /// The name in ALPN (RFC 7301): `h2`, `spdy/3.1`, `spdy/3`, `spdy/2` or
    /// `http/1.1`.
    pub const fn alpn(self) -> &'static str {
        match self {
            Self::Http2 => "h2",
            Self::Spdy31 => "spdy/3.1",
            Self::Spdy3 => "spdy/3",
            Self::Spdy2 => "spdy/2",
            Self::Http1 => "http/1.1",
        }
    }

    /// Returns the protocol with this name in ALPN.
    pub fn from_alpn(name: &[u8]) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|protocol| protocol.alpn().as_bytes() == name)
    }

    /// The version for the connection's engine; `None` for HTTP/1.1, which is
    /// not multiplexed.
    pub const fn version(self) -> Option<Version> {
        match self {
            Self::Http2 => Some(Version::Http2),
            Self::Spdy31 => Some(Version::Spdy31),
            Self::Spdy3 => Some(Version::Spdy3),
            Self::Spdy2 => Some(Version::Spdy2),
            Self::Http1 => None,
        }
    }

    /// The protocols that a server offers by default: all that this build has.
    pub(crate) fn default_offer() -> Vec<Self> {
        let spoken = |protocol: &Self| *protocol != Self::Http1 || cfg!(feature = "http1");
        Self::ALL.into_iter().filter(spoken).collect()
    }
}

impl From<Version> for Protocol {
    fn from(version: Version) -> Self {
        match version {
            Version::Http2 => Self::Http2,
            Version::Spdy2 => Self::Spdy2,
            Version::Spdy3 => Self::Spdy3,
            Version::Spdy31 => Self::Spdy31,
        }
    }
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.alpn())
    }
}

impl FromStr for Protocol {
    type Err = UnknownProtocol;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        Self::from_alpn(name.as_bytes()).ok_or_else(|| UnknownProtocol(name.to_owned()))
    }
}

/// The error of a name that no protocol has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnknownProtocol(String);

impl fmt::Display for UnknownProtocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` is no protocol of this server; it has", self.0)?;
        for (index, protocol) in Protocol::ALL.iter().enumerate() {
            f.write_str(if index == 0 { " " } else { ", " })?;
            f.write_str(protocol.alpn())?;
        }
        Ok(())
    }
}

impl std::error::Error for UnknownProtocol {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_go_both_ways() {
        for protocol in Protocol::ALL {
            assert_eq!(protocol.alpn().parse(), Ok(protocol));
            assert_eq!(
                protocol.version().map_or(Protocol::Http1, Protocol::from),
                protocol
            );
        }
        assert!("HTTP/2".parse::<Protocol>().is_err());
    }
}
