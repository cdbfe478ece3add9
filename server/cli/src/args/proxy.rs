//! The options of the reverse proxy.

use std::{path::PathBuf, time::Duration};

use clap::Args;

use super::limits::seconds;
use crate::{
    proxy::{Active, Balance, HostField, Network, Passive, Reach, RouteSpec, Settings, Timeouts},
    reverse::TunnelName,
    trust::{Authorities, Trust},
};

/// The options of the reverse proxy.
#[derive(Debug, Args)]
#[command(next_help_heading = "Reverse proxy")]
pub(crate) struct ProxyArgs {
    /// Forwards requests to upstreams: `/api=http://127.0.0.1:3000` those whose path
    /// begins so, `example.org=…` and `example.org/api=…` those for this host, and
    /// an upstream alone all. A host precedes, then the longest prefix. Paths are
    /// forwarded as they are. Several upstreams have commas between them, or repeat
    /// the route. Upstreams: http:// https:// (ALPN decides) h2c:// spdy31:// spdy3://
    /// spdy2:// unix:/PATH unix+h2c:/PATH tunnel:NAME. May be repeated.
    #[arg(long, value_name = "ROUTE=UPSTREAM")]
    proxy: Vec<RouteSpec>,

    /// Sends upstreams the host of their own address. Without it they see the host
    /// that the client asked for.
    #[arg(long)]
    change_host_header: bool,

    /// Believes the `forwarded` and `x-forwarded-*` fields of these clients, and adds
    /// to them; an address or a range such as 10.0.0.0/8. Of others they are replaced.
    /// May be repeated.
    #[arg(long, value_name = "ADDR", value_delimiter = ',')]
    trusted_proxy: Vec<Network>,

    /// Trusts the certificates of this PEM file too, for https upstreams.
    #[arg(long, value_name = "FILE")]
    proxy_ca: Option<PathBuf>,

    /// Trusts every certificate of https upstreams: for tests only.
    #[arg(long, conflicts_with = "proxy_ca")]
    proxy_insecure: bool,

    /// The choice between the upstreams of a route.
    #[arg(long, value_name = "KIND", value_enum, default_value_t)]
    proxy_balance: Balance,

    /// The most connections in HTTP/1.1 to one upstream. Further requests wait, up to
    /// 1024 of them; over that they are 503.
    #[arg(long, value_name = "N", default_value_t = 128,
        value_parser = clap::value_parser!(u16).range(1..))]
    proxy_connections: u16,

    /// The time for a connection to an upstream, TLS included; over it 504.
    #[arg(long, value_name = "SECONDS", default_value = "5", value_parser = seconds)]
    proxy_connect_timeout: Duration,

    /// The time for a response to begin, once the request is sent; over it 504.
    #[arg(long, value_name = "SECONDS", default_value = "60", value_parser = seconds)]
    proxy_response_timeout: Duration,

    /// The time without a byte of a response that has begun; over it the response is
    /// reset.
    #[arg(long, value_name = "SECONDS", default_value = "300", value_parser = seconds)]
    proxy_idle_timeout: Duration,

    /// The time without a byte in a tunnel, such as a WebSocket.
    #[arg(long, value_name = "SECONDS", default_value = "3600", value_parser = seconds)]
    proxy_tunnel_timeout: Duration,

    /// Leaves an upstream out after so many failures in a row.
    #[arg(long, value_name = "N", default_value_t = 3,
        value_parser = clap::value_parser!(u32).range(1..))]
    proxy_max_fails: u32,

    /// The time for which it is left out. If all upstreams of a route are, the one that
    /// is due first is tried.
    #[arg(long, value_name = "SECONDS", default_value = "10", value_parser = seconds)]
    proxy_fail_duration: Duration,

    /// Asks each upstream for this path, in its protocol. Two answers in a row that are
    /// late or of status 400 or above leave it out, and one other brings it back.
    #[arg(long, value_name = "PATH", value_parser = check_path)]
    health_check: Option<String>,

    /// The time between two such checks.
    #[arg(long, value_name = "SECONDS", default_value = "10", value_parser = seconds)]
    health_interval: Duration,
}

impl ProxyArgs {
    /// Returns whether there is anything to forward.
    pub(crate) fn is_used(&self) -> bool {
        !self.proxy.is_empty()
    }

    /// The names of the tunnels to which routes lead.
    pub(crate) fn tunnels(&self) -> impl Iterator<Item = &TunnelName> {
        let upstreams = self.proxy.iter().flat_map(|route| &route.upstreams);
        upstreams.filter_map(|upstream| upstream.tunnel.as_ref())
    }

    pub(crate) fn timeouts(&self) -> Timeouts {
        Timeouts {
            connect: self.proxy_connect_timeout,
            response: self.proxy_response_timeout,
            idle: self.proxy_idle_timeout,
            tunnel: self.proxy_tunnel_timeout,
        }
    }

    /// The settings of the proxy, with the certificates that they name.
    pub(crate) fn settings(&self) -> Result<Settings, String> {
        let trust = match (&self.proxy_ca, self.proxy_insecure) {
            (_, true) => Trust::Any,
            (None, false) => Trust::Mozilla,
            (Some(file), false) => Trust::Also(Authorities::read("--proxy-ca", file)?),
        };
        Ok(Settings {
            routes: self.proxy.clone(),
            host: match self.change_host_header {
                true => HostField::Upstream,
                false => HostField::Client,
            },
            trusted: self.trusted_proxy.clone(),
            balance: self.proxy_balance,
            active: self.health_check.clone().map(|path| Active {
                path,
                interval: self.health_interval,
            }),
            reach: Reach {
                trust,
                timeouts: self.timeouts(),
                passive: Passive {
                    max_fails: self.proxy_max_fails,
                    pause: self.proxy_fail_duration,
                },
                max_connections: self.proxy_connections.into(),
            },
        })
    }
}

fn check_path(text: &str) -> Result<String, String> {
    let path: Option<http::uri::PathAndQuery> = text.parse().ok();
    path.filter(|_| text.starts_with('/'))
        .map(|path| path.to_string())
        .ok_or_else(|| format!("`{text}` is no path; it begins with a slash"))
}
