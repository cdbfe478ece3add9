//! A tunnel by SOCKS 5 (RFC 1928, RFC 1929).

use std::net::SocketAddr;

use lacewing_client::Dialed;
use tokio_socks::{TargetAddr, tcp::Socks5Stream};

use super::error::{Login, ProxyError};

/// The place to which a tunnel leads.
pub(super) enum Target<'a> {
    Name(&'a str, u16),
    Address(SocketAddr),
}

impl<'a> Target<'a> {
    fn address(self) -> TargetAddr<'a> {
        match self {
            Self::Address(address) => TargetAddr::Ip(address),
            // An address needs no name, whoever resolves them.
            Self::Name(host, port) => match host.parse() {
                Ok(ip) => TargetAddr::Ip(SocketAddr::new(ip, port)),
                Err(_) => TargetAddr::Domain(host.into(), port),
            },
        }
    }
}

/// Asks the proxy at the other end for a tunnel.
pub(super) async fn tunnel(
    dialed: Dialed,
    proxy: String,
    target: Target<'_>,
    user: Option<(&str, &str)>,
) -> Result<Dialed, ProxyError> {
    let Dialed { io, address, .. } = dialed;
    let target = target.address();
    let asked = match user {
        None => Socks5Stream::connect_with_socket(io, target).await,
        Some((name, password)) => {
            Socks5Stream::connect_with_password_and_socket(io, target, name, password).await
        }
    };
    let tunnel = asked.map_err(|source| ProxyError::Socks {
        proxy,
        source,
        login: Login::of(user.as_ref()),
    })?;
    Ok(Dialed::new(tunnel.into_inner()).at(address))
}
