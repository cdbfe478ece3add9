//! The settings of the proxy.

use std::{net::IpAddr, str::FromStr, time::Duration};

use clap::ValueEnum;

use super::routes::RouteSpec;
use crate::trust::Trust;

/// The settings of the proxy.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    pub(crate) routes: Vec<RouteSpec>,
    pub(crate) host: HostField,
    pub(crate) trusted: Vec<Network>,
    pub(crate) balance: Balance,
    pub(crate) active: Option<Active>,
    pub(crate) reach: Reach,
}

/// How upstreams are reached, and when they count as down.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Reach {
    pub(crate) trust: Trust,
    pub(crate) timeouts: Timeouts,
    pub(crate) passive: Passive,
    /// Connections in HTTP/1.1 to one upstream.
    pub(crate) max_connections: usize,
}

/// The host that an upstream sees.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum HostField {
    /// The one that the client asked for.
    #[default]
    Client,
    /// The one in the upstream's address.
    Upstream,
}

/// The waits for an upstream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Timeouts {
    /// Names, TCP and TLS.
    pub(crate) connect: Duration,
    /// Until the response's head, from the last byte of the request.
    pub(crate) response: Duration,
    /// Between two pieces of a response's content.
    pub(crate) idle: Duration,
    /// Without a byte in either direction of a tunnel.
    pub(crate) tunnel: Duration,
}

/// The choice between the upstreams of a route.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Balance {
    /// Each in turn.
    #[default]
    RoundRobin,
    /// The one with the fewest open requests.
    Least,
}

/// Failures in a row, after which an upstream is left out for a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Passive {
    pub(crate) max_fails: u32,
    pub(crate) pause: Duration,
}

/// Requests that ask each upstream for its health.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Active {
    pub(crate) path: String,
    pub(crate) interval: Duration,
}

/// A range of addresses, such as `10.0.0.0/8`; or one address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Network {
    base: IpAddr,
    bits: u32,
}

impl Network {
    pub(crate) fn contains(self, address: IpAddr) -> bool {
        match (self.base, address.to_canonical()) {
            (IpAddr::V4(base), IpAddr::V4(address)) => {
                let same = base.to_bits() ^ address.to_bits();
                same.checked_shr(32_u32.saturating_sub(self.bits))
                    .unwrap_or(0)
                    == 0
            }
            (IpAddr::V6(base), IpAddr::V6(address)) => {
                let same = base.to_bits() ^ address.to_bits();
                same.checked_shr(128_u32.saturating_sub(self.bits))
                    .unwrap_or(0)
                    == 0
            }
            _ => false,
        }
    }
}

impl FromStr for Network {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("`{text}` is no address or range, such as 127.0.0.1 or 10.0.0.0/8");
        let (base, bits) = match text.split_once('/') {
            Some((base, bits)) => (base, Some(bits.parse::<u32>().map_err(|_| wrong())?)),
            None => (text, None),
        };
        let base: IpAddr = base.parse().map_err(|_| wrong())?;
        let most = if base.is_ipv4() { 32 } else { 128 };
        let bits = bits.unwrap_or(most);
        if bits > most {
            return Err(wrong());
        }
        Ok(Self { base, bits })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_has_the_addresses_with_its_first_bits() {
        let contains = |range: &str, address: &str| {
            let range: Network = range.parse().unwrap();
            range.contains(address.parse().unwrap())
        };
        assert!(contains("10.0.0.0/8", "10.9.8.7") && !contains("10.0.0.0/8", "11.0.0.1"));
        assert!(contains("127.0.0.1", "127.0.0.1") && !contains("127.0.0.1", "127.0.0.2"));
        assert!(contains("0.0.0.0/0", "8.8.8.8") && !contains("0.0.0.0/0", "::1"));
        assert!(
            contains("127.0.0.1", "::ffff:127.0.0.1"),
            "the same client on a socket of IPv6"
        );
        assert!(contains("fd00::/8", "fd12::1") && !contains("fd00::/8", "fe80::1"));
        for wrong in [
            "",
            "10.0.0.0/33",
            "a/8",
            "10.0.0.0/",
            "10.0.0.0/-1",
            "::1/129",
        ] {
            assert!(wrong.parse::<Network>().is_err(), "{wrong}");
        }
    }
}
