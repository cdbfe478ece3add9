//! The words of the upgrade that makes a connection a tunnel, which both ends use.

use clap::ValueEnum;
use http::{HeaderMap, HeaderName, HeaderValue, header::UPGRADE};
use lacewing_client::Version;

/// The protocol of a tunnel.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum ReverseProtocol {
    #[default]
    #[value(name = "h2")]
    Http2,
    #[value(name = "spdy/3.1")]
    Spdy31,
}

impl ReverseProtocol {
    const ALL: [Self; 2] = [Self::Http2, Self::Spdy31];

    /// The name in `upgrade` (RFC 9110 §7.8).
    pub(super) fn upgrade(self) -> HeaderValue {
        HeaderValue::from_static(self.token())
    }

    fn token(self) -> &'static str {
        match self {
            Self::Http2 => "lacewing-tunnel/h2",
            Self::Spdy31 => "lacewing-tunnel/spdy-3.1",
        }
    }

    pub(super) fn version(self) -> Version {
        match self {
            Self::Http2 => Version::Http2,
            Self::Spdy31 => Version::Spdy31,
        }
    }

    /// The protocol that the only value of `upgrade` names.
    pub(super) fn of(fields: &HeaderMap) -> Option<Self> {
        let value = only(fields, UPGRADE)?;
        let named = |one: &Self| value.eq_ignore_ascii_case(one.token());
        Self::ALL.into_iter().find(named)
    }
}

/// Returns whether `upgrade` names a tunnel, of any protocol.
pub(super) fn names_a_tunnel(fields: &HeaderMap) -> bool {
    let value = only(fields, UPGRADE).unwrap_or_default();
    let name = value.split('/').next().unwrap_or_default();
    name.eq_ignore_ascii_case("lacewing-tunnel")
}

fn only(fields: &HeaderMap, name: HeaderName) -> Option<&str> {
    let mut values = fields.get_all(name).iter();
    let value = values.next()?.to_str().ok()?.trim();
    values.next().is_none().then_some(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tunnel_is_asked_for_by_exactly_one_name() {
        let fields = |values: &[&'static str]| {
            let values = values.iter().map(|value| HeaderValue::from_static(value));
            values.map(|value| (UPGRADE, value)).collect::<HeaderMap>()
        };
        for protocol in ReverseProtocol::ALL {
            let fields = HeaderMap::from_iter([(UPGRADE, protocol.upgrade())]);
            assert_eq!(ReverseProtocol::of(&fields), Some(protocol));
            assert!(names_a_tunnel(&fields));
        }
        let other = fields(&["lacewing-tunnel/9"]);
        assert!(names_a_tunnel(&other) && ReverseProtocol::of(&other).is_none());
        for none in [
            &[][..],
            &["websocket"],
            &["lacewing-tunnel/h2, websocket"],
            &["lacewing-tunnel/h2", "lacewing-tunnel/h2"],
        ] {
            assert_eq!(ReverseProtocol::of(&fields(none)), None, "{none:?}");
        }
    }
}
