//! The way to the servers, and the certificates on it.

use std::{
    net::{IpAddr, SocketAddr},
    path::PathBuf,
    sync::Arc,
};

use clap::{Args, ValueEnum};
use lacewing_client::{
    Connector, Resolve, Resolving, Tcp, Trust, Version,
    tls::{Certificates, Tls},
};

use crate::{
    connect_to::{ConnectTo, Detour},
    get::dials::{Dials, Observed},
    proxy::{DialError, Environment, Proxies, ProxyArgs, Requests},
    status::{self, Failure},
};

/// The use of HTTP/1.1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Http1 {
    Never,
    /// With TLS, as the last choice.
    Last,
    Only,
}

/// The name of HTTP/1.1 in ALPN.
pub(crate) const HTTP1: &str = "http/1.1";

/// A protocol that a command line names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Protocol {
    Http1,
    Multiplexed(Version),
}

/// The value of an option that can be turned off.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Switch {
    On,
    Off,
}

#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Connection")]
pub(crate) struct Dialling {
    /// Accept any TLS certificate. Any host on the way can then pose as the
    /// server: for tests only
    #[arg(short = 'k', long)]
    pub(crate) insecure: bool,

    /// Trust the certificates of this PEM file instead of Mozilla's roots
    #[arg(long, value_name = "FILE", conflicts_with = "insecure")]
    pub(crate) cacert: Option<PathBuf>,

    /// Present the certificate chain of this PEM file to servers that ask for one
    #[arg(short = 'E', long, value_name = "FILE")]
    pub(crate) cert: Option<PathBuf>,

    /// The private key of --cert, PEM, if it is not in the same file
    #[arg(long, value_name = "FILE", requires = "cert")]
    pub(crate) key: Option<PathBuf>,

    /// Resume the TLS sessions of earlier connections, if the server permits it: on or off
    #[arg(
        long,
        value_enum,
        value_name = "on|off",
        default_value = "on",
        hide_possible_values = true
    )]
    pub(crate) tls_resume: Switch,

    /// Connect to ADDRESS for HOST:PORT, as curl does; may be repeated.
    /// Several addresses are separated by commas
    #[arg(long, value_name = "HOST:PORT:ADDRESS", value_parser = entry)]
    pub(crate) resolve: Vec<Entry>,

    /// Connect to HOST2:PORT2 instead of HOST1:PORT1, with the names in TLS and requests as they
    /// were; may be repeated. An empty HOST1 or PORT1 stands for any, an empty HOST2 or PORT2 for the
    /// same
    #[arg(long, value_name = "HOST1:PORT1:HOST2:PORT2")]
    pub(crate) connect_to: Vec<Detour>,

    /// Connect from this local address
    #[arg(long, visible_alias = "interface", value_name = "ADDRESS")]
    pub(crate) local_address: Option<IpAddr>,

    /// Connect to this Unix socket, whatever the URL's host
    #[cfg(unix)]
    #[arg(long, value_name = "PATH", conflicts_with_all = ["resolve", "connect_to", "local_address", "proxy"])]
    pub(crate) unix_socket: Option<PathBuf>,

    #[command(flatten)]
    pub(crate) proxy: ProxyArgs,

    /// Offer the protocols by NPN too, for https servers older than ALPN. Uses
    /// OpenSSL and its root certificates, and TLS 1.2 at most
    #[cfg(feature = "npn")]
    #[arg(long, conflicts_with_all = ["cacert", "cert"])]
    pub(crate) npn: bool,
}

/// The addresses of one host and port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    host: String,
    port: u16,
    addresses: Vec<IpAddr>,
}

impl Dialling {
    /// The connector of a command that needs frames: it offers no HTTP/1.1, and nobody asks for
    /// its times.
    pub(crate) fn multiplexed(&self, protocol: Option<Version>) -> Result<Connector, Failure> {
        self.connector(
            protocol,
            Http1::Never,
            &Dials::default(),
            Environment::Ignored,
        )
    }

    /// The connector of a load. Without a protocol, https offers HTTP/1.1 as the last choice.
    pub(crate) fn for_load(&self, protocol: Option<Protocol>) -> Result<Connector, Failure> {
        let (version, http1) = match protocol {
            Some(Protocol::Http1) => (None, Http1::Only),
            Some(Protocol::Multiplexed(version)) => (Some(version), Http1::Never),
            None if self.uses_npn() => (None, Http1::Never),
            None => (None, Http1::Last),
        };
        self.connector(version, http1, &Dials::default(), Environment::Ignored)
    }

    /// The connector that does all this.
    pub(crate) fn connector(
        &self,
        protocol: Option<Version>,
        http1: Http1,
        dials: &Dials,
        environment: Environment,
    ) -> Result<Connector, Failure> {
        // Only `get` names whole URLs to proxies.
        let requests = match (http1, environment) {
            (Http1::Only, Environment::Read) => Requests::Forwarded,
            _ => Requests::Direct,
        };
        let offered = match (protocol, http1) {
            (_, Http1::Only) => Vec::new(),
            (Some(version), _) => vec![version],
            (None, _) => Version::ALL.to_vec(),
        };
        let cleartext = match http1 {
            Http1::Only => None,
            Http1::Never | Http1::Last => Some(protocol.unwrap_or(Version::Http2)),
        };
        let mut connector = self.secured(offered, cleartext)?;
        if http1 != Http1::Never {
            connector = connector.http1();
        }
        #[cfg(unix)]
        if let Some(path) = &self.unix_socket {
            let unix = lacewing_client::Unix::new(path);
            return Ok(connector.dial(Observed::new(unix, dials)));
        }
        let mut tcp = Tcp::new();
        if let Some(address) = self.local_address {
            tcp = tcp.local_address(address);
        }
        let names = Observed::new(Entries(self.resolve.clone()), dials);
        tcp = tcp.resolver(names.clone());
        let dial = self.proxy.dial(tcp, Arc::new(names), environment, requests);
        let dial = dial.map_err(unusable)?;
        let dial = ConnectTo {
            inner: dial,
            detours: self.connect_to.clone(),
        };
        Ok(connector.dial(Observed::new(dial, dials)))
    }

    fn secured(
        &self,
        offered: Vec<Version>,
        cleartext: Option<Version>,
    ) -> Result<Connector, Failure> {
        #[cfg(feature = "npn")]
        if self.npn {
            let npn = lacewing_client::npn::Npn::with_trust(self.trust(), offered);
            return Ok(Connector::npn(npn.map_err(Failure::local)?, cleartext));
        }
        // It writes only if SSLKEYLOGFILE names a file.
        let log = Arc::new(lacewing_client::rustls::KeyLogFile::new());
        let tls = Tls::with_certificates(self.certificates()?, offered)
            .resumption(self.tls_resume == Switch::On)
            .key_log(log);
        Ok(Connector::tls(tls, cleartext))
    }

    fn certificates(&self) -> Result<Certificates, Failure> {
        let mut certificates = match &self.cacert {
            _ if self.insecure => Certificates::danger_accept_any(),
            None => Certificates::mozilla(),
            Some(path) => Certificates::empty()
                .add_ca_file(path)
                .map_err(|error| Failure::new(status::AUTHORITIES, format!("--cacert: {error}")))?,
        };
        if let Some(chain) = &self.cert {
            let key = self.key.as_ref().unwrap_or(chain);
            certificates = certificates
                .client_certificate_files(chain, key)
                .map_err(|error| {
                    let option = match self.key {
                        Some(_) => "--cert, --key",
                        None => "--cert",
                    };
                    Failure::new(status::OWN_CERTIFICATE, format!("{option}: {error}"))
                })?;
        }
        Ok(certificates)
    }

    /// The proxies that `get` uses.
    pub(crate) fn proxies(&self) -> Result<Proxies, Failure> {
        self.proxy.proxies(Environment::Read).map_err(unusable)
    }

    /// Returns whether OpenSSL makes the connections. It offers no HTTP/1.1.
    pub(crate) fn uses_npn(&self) -> bool {
        #[cfg(feature = "npn")]
        return self.npn;
        #[cfg(not(feature = "npn"))]
        return false;
    }

    pub(crate) fn trust(&self) -> Trust {
        if self.insecure {
            Trust::DangerAcceptAny
        } else {
            Trust::Roots
        }
    }
}

fn unusable(error: DialError) -> Failure {
    match error {
        DialError::Named(why) => Failure::usage(why),
        DialError::Authorities(error) => {
            Failure::new(status::AUTHORITIES, format!("--proxy-cacert: {error}"))
        }
    }
}

/// `HOST:PORT:ADDRESS[,ADDRESS…]`; IPv6 addresses may have brackets.
fn entry(text: &str) -> Result<Entry, String> {
    let wrong = || "write it as HOST:PORT:ADDRESS, such as example.org:443:127.0.0.1".to_owned();
    let mut parts = text.splitn(3, ':');
    let (Some(host), Some(port), Some(addresses)) = (parts.next(), parts.next(), parts.next())
    else {
        return Err(wrong());
    };
    let addresses = addresses.split(',').map(|address| {
        let address = address.trim_start_matches('[').trim_end_matches(']');
        address
            .parse()
            .map_err(|_| format!("{address:?} is no IP address; {}", wrong()))
    });
    if host.is_empty() {
        return Err(wrong());
    }
    Ok(Entry {
        host: host.to_ascii_lowercase(),
        port: port.parse().map_err(|_| wrong())?,
        addresses: addresses.collect::<Result<_, _>>()?,
    })
}

/// The names and addresses of --resolve. The operating system resolves all other names.
#[derive(Clone, Debug)]
struct Entries(Vec<Entry>);

impl Resolve for Entries {
    fn resolve<'a>(&'a self, host: &'a str, port: u16) -> Resolving<'a> {
        let is_it = |entry: &&Entry| entry.port == port && entry.host.eq_ignore_ascii_case(host);
        let found = self.0.iter().rev().find(is_it).map(|entry| {
            let addresses = entry.addresses.iter();
            addresses
                .map(|address| SocketAddr::new(*address, port))
                .collect()
        });
        Box::pin(async move {
            match found {
                Some(addresses) => Ok(addresses),
                None => Ok(tokio::net::lookup_host((host, port)).await?.collect()),
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_are_those_of_curl() {
        let read = entry("Example.org:443:127.0.0.1,[::1],::2").unwrap();
        let addresses = ["127.0.0.1", "::1", "::2"].map(|address| address.parse().unwrap());
        let expected = Entry {
            host: "example.org".into(),
            port: 443,
            addresses: addresses.to_vec(),
        };
        assert_eq!(read, expected);
        for wrong in [
            "",
            "a:443",
            "a:b:127.0.0.1",
            ":1:127.0.0.1",
            "a:1:b",
            "a:1:",
        ] {
            assert!(entry(wrong).is_err(), "{wrong}");
        }
    }
}
