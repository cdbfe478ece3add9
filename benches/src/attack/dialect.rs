//! The protocols that the attacker speaks.

use std::fmt;

use lacewing_frames::spdy;

/// A protocol on the victim's port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Dialect {
    Http2,
    Spdy31,
    Spdy3,
    Spdy2,
    Http1,
}

use Dialect::{Http1, Http2, Spdy2, Spdy3, Spdy31};

pub(crate) const H2: &[Dialect] = &[Http2];
pub(crate) const H1: &[Dialect] = &[Http1];
pub(crate) const S2: &[Dialect] = &[Spdy2];
pub(crate) const S3: &[Dialect] = &[Spdy3];
pub(crate) const SPDY: &[Dialect] = &[Spdy31, Spdy3, Spdy2];
/// Those with a window for each stream.
pub(crate) const WINDOWS: &[Dialect] = &[Http2, Spdy31, Spdy3];
/// Those with a window for the connection.
pub(crate) const CONNECTION_WINDOWS: &[Dialect] = &[Http2, Spdy31];
pub(crate) const MULTIPLEXED: &[Dialect] = &[Http2, Spdy31, Spdy3, Spdy2];
pub(crate) const ALL: &[Dialect] = &[Http2, Spdy31, Spdy3, Spdy2, Http1];

impl Dialect {
    /// The name in ALPN.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Http2 => "h2",
            Spdy31 => "spdy/3.1",
            Spdy3 => "spdy/3",
            Spdy2 => "spdy/2",
            Http1 => "http/1.1",
        }
    }

    /// The wire, where it is one of SPDY.
    pub(crate) const fn spdy(self) -> Option<spdy::WireVersion> {
        match self {
            Spdy31 | Spdy3 => Some(spdy::WireVersion::V3),
            Spdy2 => Some(spdy::WireVersion::V2),
            Http2 | Http1 => None,
        }
    }

    /// The protocols that the victim offers in cleartext, this one first: SPDY/3 and SPDY/3.1 have
    /// the same first bytes there.
    pub(crate) fn offer(self) -> String {
        let first = if self == Spdy3 { "spdy/3" } else { "spdy/3.1" };
        let second = if self == Spdy3 { "spdy/3.1" } else { "spdy/3" };
        format!("h2,{first},{second},spdy/2,http/1.1")
    }
}

impl fmt::Display for Dialect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl std::str::FromStr for Dialect {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        let known = |dialect: &&Dialect| dialect.name() == name;
        ALL.iter().find(known).copied().ok_or_else(|| {
            format!("no protocol `{name}`: h2, spdy/3.1, spdy/3, spdy/2 or http/1.1")
        })
    }
}
