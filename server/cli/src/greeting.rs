//! The text that says at the start what is served, and where.

use std::{
    fmt::Write as _,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    path::Path,
};

use lacewing_server::Address;

use crate::{args::Args, proxy::Proxy, reverse::Dial};

/// What is served, the server's addresses, and the certificates at the first of them.
#[derive(Debug)]
pub(crate) struct Greeting<'a> {
    pub(crate) what: &'a str,
    pub(crate) https: &'a [Address],
    pub(crate) http: &'a [Address],
    pub(crate) dials: &'a [Dial],
    pub(crate) metrics: Option<SocketAddr>,
    pub(crate) status: Option<SocketAddr>,
    /// Of each certificate.
    pub(crate) fingerprints: &'a [String],
}

impl Greeting<'_> {
    pub(crate) fn text(&self, args: &Args) -> String {
        let names: Vec<_> = args
            .protocols
            .iter()
            .map(|protocol| protocol.alpn())
            .collect();
        let names = names.join(", ");
        let what = self.what;
        let mut text = format!("lacewingd {} serves {what}\n", env!("CARGO_PKG_VERSION"),);
        for (scheme, addresses) in [("https", self.https), ("http", self.http)] {
            for address in addresses {
                let _ = match address.socket_addr() {
                    Some(address) => {
                        writeln!(text, "  {scheme}://{}/  {names}", reachable(address))
                    }
                    None => writeln!(text, "  {scheme} on {address}  {names}"),
                };
            }
        }
        for dial in self.dials {
            let _ = writeln!(text, "  through {}", dial.url);
        }
        if let Some(address) = self.metrics {
            let _ = writeln!(text, "  metrics at http://{}/metrics", reachable(address));
        }
        if let Some(address) = self.status {
            let open = match address.ip().is_loopback() {
                true => "",
                false => "  (without a password, for everybody who reaches this machine)",
            };
            let _ = writeln!(text, "  live page at http://{}/{open}", reachable(address));
        }
        for fingerprint in self.fingerprints {
            let made = if args.cert.is_empty() {
                " (self-signed, made for this run)"
            } else {
                ""
            };
            let _ = writeln!(text, "  certificate SHA-256 {fingerprint}{made}");
        }
        text
    }
}

/// What is served.
pub(crate) fn described(root: Option<&Path>, proxy: Option<&Proxy>) -> String {
    let mut text = match root {
        // Windows' form of a path without links begins so.
        Some(root) => {
            let root = root.display().to_string();
            root.strip_prefix(r"\\?\")
                .map_or(root.clone(), str::to_owned)
        }
        None => "no files".to_owned(),
    };
    if let Some(proxy) = proxy {
        text.push('\n');
        text.push_str(proxy.describe().trim_end());
    }
    text
}

/// An address that a URL may have.
fn reachable(address: SocketAddr) -> SocketAddr {
    match address.ip() {
        ip if !ip.is_unspecified() => address,
        IpAddr::V4(_) => SocketAddr::from((Ipv4Addr::LOCALHOST, address.port())),
        IpAddr::V6(_) => SocketAddr::from((Ipv6Addr::LOCALHOST, address.port())),
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[test]
    fn a_page_for_everybody_is_said_to_be_one() {
        let text = |status: &str| {
            let args = Args::try_parse_from(["lacewingd"]).unwrap();
            let greeting = Greeting {
                what: "files",
                https: &[],
                http: &[],
                dials: &[],
                metrics: None,
                status: Some(status.parse().unwrap()),
                fingerprints: &[],
            };
            greeting.text(&args)
        };
        assert!(text("0.0.0.0:9000").contains("http://127.0.0.1:9000/  (without a password"));
        assert!(text("192.0.2.1:9000").contains("http://192.0.2.1:9000/  (without a password"));
        assert!(text("127.0.0.1:9000").ends_with("http://127.0.0.1:9000/\n"));
    }
}
