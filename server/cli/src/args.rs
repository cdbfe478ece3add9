//! The command line.

mod content;
mod generate;
mod limits;
mod log;
mod proxy;
mod reverse;

use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr},
    path::PathBuf,
    str::FromStr,
};

use clap::{Parser, ValueEnum};
use lacewing_server::Protocol;

pub(crate) use self::{
    content::ContentArgs, generate::GenerateArgs, limits::LimitArgs, log::LogArgs,
    proxy::ProxyArgs, reverse::ReverseArgs,
};

const EXAMPLES: &str = "\
Examples:
  lacewingd
      the current directory, at https://127.0.0.1:8443 and http://127.0.0.1:8080
  lacewingd public --https 0.0.0.0:443 --http off --cert cert.pem --key key.pem
      to the world, with a certificate
  lacewingd --config /etc/lacewingd.toml --check
      are the configuration and its files right? The same without --check serves
  lacewingd --cert a.pem --key a.key --cert b.pem --key b.key
      two certificates; the client's SNI chooses
  lacewingd --protocols spdy/3.1,http/1.1 --http 127.0.0.1:6121 --https off
      SPDY/3.1 in cleartext, for a client without HTTP/2
  lacewingd ~/notes --hidden --follow-links
      with dotfiles, and wherever links lead
  lacewingd dist --spa --cache-control max-age=60 --error-page 500=oops.html
      a single-page application
  lacewingd dist --precompressed --compress
      app.js.br, app.js.zst or app.js.gz if it is there, else compressed on its way
  lacewingd --proxy http://127.0.0.1:3000
      HTTP/2 and SPDY before a server that speaks HTTP/1.1
  lacewingd dist --proxy /api=http://127.0.0.1:3000,http://127.0.0.1:3001
      files, and two upstreams in turn for /api
  lacewingd --proxy grpc.example.org=h2c://127.0.0.1:50051 --health-check /
      gRPC for one host name
  lacewingd --proxy spdy31://127.0.0.1:6121
      HTTP/2 and HTTP/1.1 before a server that speaks SPDY/3.1
  lacewingd dist --dial https://gateway.example/office --dial-token-file office.token
      files behind a NAT, served through a gateway
  lacewingd --tunnel office=office.token --proxy /=tunnel:office
      that gateway
  lacewingd --http unix:/run/lacewingd/http.sock --https off
      on a Unix socket
  lacewingd --http fd:http --https fd:https
      on sockets that systemd passes (FileDescriptorName=)
  lacewingd --metrics 127.0.0.1:9100
      with metrics at http://127.0.0.1:9100/metrics
  lacewingd --status 127.0.0.1:9000
      with a live page of connections, streams and stalls at http://127.0.0.1:9000/
  lacewingd --max-memory 64 --max-connections 500
      on a small machine
  lacewingd --threads 8 --runtime per-thread
      for thousands of connections, on eight cores
  RUST_LOG=warn lacewingd --idle-timeout 60 --max-age 3600
      quiet, and without connections that are idle or old
  lacewingd --completions bash
      for the shell; --man writes the manual page";

/// Serves a directory, and forwards to other servers (--proxy), over HTTP/2, SPDY/3.1,
/// SPDY/3, SPDY/2 and HTTP/1.1.
///
/// Both ports speak every protocol: behind TLS, ALPN negotiates it; in
/// cleartext, the client's first bytes show it. Each request is a line on the
/// standard error output (RUST_LOG=warn leaves only trouble). A log that is not
/// read loses lines and never stops the server. On SIGTERM or SIGINT the server
/// answers open requests and ends; a second signal ends it at once.
///
/// Names that begin with a dot and links that leave the directory are served
/// only on request. FIFOs, sockets and devices are never served.
#[derive(Debug, Parser)]
#[command(version, about, after_help = EXAMPLES)]
pub(crate) struct Args {
    /// The directory to serve. Default: the current one; with --proxy, none.
    pub(crate) directory: Option<PathBuf>,

    /// The address for TLS; `off` for none. `fd:NAME` is a socket that systemd passes.
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:8443")]
    pub(crate) https: Listen,

    /// The address for cleartext; `off` for none. `unix:/PATH` is a Unix socket,
    /// `fd:NAME` a socket that systemd passes.
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:8080")]
    pub(crate) http: Listen,

    /// Lets other processes listen on the same addresses, if they do the same
    /// (SO_REUSEPORT).
    #[cfg(target_os = "linux")]
    #[arg(long)]
    pub(crate) reuse_port: bool,

    /// The address of metrics for Prometheus (/metrics) and of answers for probes
    /// (/healthz, /ready), in HTTP/1.1. Default: none.
    #[arg(long, value_name = "ADDR", value_parser = address)]
    pub(crate) metrics: Option<SocketAddr>,

    /// The address of a page for the browser that shows connections, streams, windows and
    /// stalls while they happen. Who reaches the address sees peers and paths: use a
    /// loopback address, or port forwarding. Default: none.
    #[arg(long, value_name = "ADDR", value_parser = address)]
    pub(crate) status: Option<SocketAddr>,

    /// The options of this file, TOML, apply too. Its keys are the names of the long
    /// options; an option of the command line is stronger. SIGHUP reads it again.
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,

    /// Checks the options, the configuration and the files that they name, and ends.
    #[arg(long)]
    pub(crate) check: bool,

    /// A certificate chain, PEM. Without it, each start makes a self-signed
    /// certificate. May be repeated, each with its key: a client receives the first
    /// that is valid for the name that it asks for (SNI), and else the first of all.
    /// Renewed files are noticed.
    #[arg(long, value_name = "FILE", requires = "key")]
    pub(crate) cert: Vec<PathBuf>,

    /// The private key of the certificate, PEM: the first is that of the first
    /// certificate.
    #[arg(long, value_name = "FILE", requires = "cert")]
    pub(crate) key: Vec<PathBuf>,

    /// The protocols that are offered, the preferred first: h2, spdy/3.1,
    /// spdy/3, spdy/2, http/1.1.
    #[arg(
        long,
        value_name = "LIST",
        value_delimiter = ',',
        default_value = "h2,spdy/3.1,spdy/3,spdy/2,http/1.1"
    )]
    pub(crate) protocols: Vec<Protocol>,

    /// Serves names that begin with a dot, and shows them on directory pages.
    /// Without it they are 404, except /.well-known/.
    #[arg(long, short = 'H')]
    pub(crate) hidden: bool,

    /// Follows symbolic links that leave the directory. Without it they are
    /// 404. Links that stay inside are always followed.
    #[arg(long, visible_aliases = ["follow-symlinks", "allow-symlink"])]
    pub(crate) follow_links: bool,

    #[command(flatten)]
    pub(crate) limits: LimitArgs,

    /// Accepts `Upgrade: h2c` in cleartext: an HTTP/1.1 connection becomes one
    /// of HTTP/2 (http/1.1 and h2 have to be offered).
    #[arg(long)]
    pub(crate) h2c_upgrade: bool,

    /// Offers the protocols by NPN too, for clients older than ALPN. TLS is
    /// OpenSSL's then, and at most TLS 1.2.
    #[cfg(feature = "npn")]
    #[arg(long)]
    pub(crate) npn: bool,

    /// Threads that serve. Default: one for each core.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub(crate) threads: Option<u16>,

    /// `shared`: the threads share their work. `per-thread`: each thread has its own
    /// listeners and connections, which costs less with many connections; a few busy
    /// ones may leave threads idle.
    #[arg(long, value_name = "KIND", value_enum, default_value_t)]
    pub(crate) runtime: Runtime,

    #[command(flatten)]
    pub(crate) content: ContentArgs,

    #[command(flatten)]
    pub(crate) proxy: ProxyArgs,

    #[command(flatten)]
    pub(crate) reverse: ReverseArgs,

    #[command(flatten)]
    pub(crate) log: LogArgs,

    #[command(flatten)]
    pub(crate) generate: GenerateArgs,
}

/// The distribution of the connections over the threads.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Runtime {
    /// One runtime whose threads share their work.
    #[default]
    Shared,
    /// A runtime and listeners for each thread.
    PerThread,
}

/// The place where clients connect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Listen {
    On(SocketAddr),
    Unix(PathBuf),
    /// The name of an inherited descriptor.
    Inherited(String),
    Off,
}

impl Listen {
    /// The host that a certificate should name.
    pub(crate) fn host(&self) -> Option<IpAddr> {
        match self {
            Self::On(address) => Some(address.ip()),
            Self::Unix(_) | Self::Inherited(_) => Some(Ipv4Addr::UNSPECIFIED.into()),
            Self::Off => None,
        }
    }
}

impl FromStr for Listen {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == "off" {
            return Ok(Self::Off);
        }
        let rest = |prefix| {
            text.strip_prefix(prefix)
                .filter(|rest: &&str| !rest.is_empty())
        };
        if let Some(path) = rest("unix:") {
            return Ok(Self::Unix(path.into()));
        }
        if let Some(name) = rest("fd:") {
            return Ok(Self::Inherited(name.to_owned()));
        }
        let found = address(text).map(Self::On);
        found.map_err(|why| format!("{why}, and no unix:/PATH or fd:NAME"))
    }
}

/// Reads an address with a port.
fn address(text: &str) -> Result<SocketAddr, String> {
    let local = text.strip_prefix("localhost:");
    let local = local.map(|port| format!("127.0.0.1:{port}"));
    let found = local.as_deref().unwrap_or(text).parse();
    found.map_err(|_| {
        format!("`{text}` is no address with a port, such as 127.0.0.1:8080 or [::]:8080")
    })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent() {
        Args::command().debug_assert();
    }

    #[test]
    fn no_configuration_is_needed() {
        let args = Args::try_parse_from(["lacewingd"]).unwrap();
        assert_eq!(args.https, Listen::On("127.0.0.1:8443".parse().unwrap()));
        assert_eq!(args.http, Listen::On("127.0.0.1:8080".parse().unwrap()));
        assert_eq!(args.protocols, Protocol::ALL);
        assert!(!args.hidden && !args.follow_links);
    }

    #[test]
    fn every_address_may_be_that_of_localhost() {
        let words =
            "--http localhost:1 --https localhost:2 --metrics localhost:3 --status localhost:4";
        let args = Args::try_parse_from(["lacewingd"].into_iter().chain(words.split(' '))).unwrap();
        let port = |port| SocketAddr::from(([127, 0, 0, 1], port));
        assert_eq!(
            (args.http, args.https),
            (Listen::On(port(1)), Listen::On(port(2)))
        );
        assert_eq!((args.metrics, args.status), (Some(port(3)), Some(port(4))));
    }

    #[test]
    fn switches_have_the_names_of_other_file_servers() {
        for links in ["--follow-links", "--follow-symlinks", "--allow-symlink"] {
            let args = Args::try_parse_from(["lacewingd", links, "-H"]).unwrap();
            assert!(args.follow_links && args.hidden, "{links}");
        }
    }

    #[test]
    fn the_help_ends_in_examples_that_are_valid() {
        let help = Args::command().render_long_help().to_string();
        assert!(help.trim_end().ends_with(EXAMPLES), "{help}");
        let lines = EXAMPLES
            .lines()
            .map(|line| line.trim_start_matches("  RUST_LOG=warn"));
        for line in lines
            .map(str::trim)
            .filter(|line| line.starts_with("lacewingd"))
        {
            assert!(Args::try_parse_from(line.split(' ')).is_ok(), "{line}");
        }
    }

    #[test]
    fn invalid_options_are_refused() {
        for wrong in [
            &["--protocols", "h2,h3"][..],
            &["--http", "8080"],
            &["--status", ":9000"],
            &["--metrics", "off"],
            &["--log-level", "warning"],
            &["--cert", "only.pem"],
            &["--threads", "0"],
            &["--runtime", "single"],
            &["--keep-alive", "0"],
            &["--max-age", "soon"],
            &["--max-connections", "0"],
            &["--max-memory", "15"],
            &["--max-memory", "64M"],
            &["--max-open-files", "15"],
            &["--index", "a/b"],
            &["--header", "content-length: 5"],
            &["--header", "no colon"],
            &["--error-page", "200=a"],
            &["--spa", "--fallback", "a"],
            &["--max-open-files", "many"],
        ] {
            assert!(
                Args::try_parse_from(["lacewingd"].iter().chain(wrong)).is_err(),
                "{wrong:?}"
            );
        }
    }

    #[test]
    fn bounds_of_the_process_have_flags() {
        let args = [
            "lacewingd",
            "--max-connections",
            "500",
            "--max-memory",
            "64",
        ];
        let args = Args::try_parse_from(args).unwrap();
        assert_eq!(
            (args.limits.max_connections, args.limits.max_memory),
            (Some(500), Some(64))
        );
    }

    #[test]
    fn times_are_in_seconds() {
        let args = ["lacewingd", "--keep-alive", "30", "--idle-timeout", "300"];
        let args = Args::try_parse_from(args).unwrap();
        assert_eq!(args.limits.keep_alive, Some(Duration::from_secs(30)));
        assert_eq!(args.limits.idle_timeout, Some(Duration::from_secs(300)));
        assert_eq!(args.limits.max_age, None);
    }

    #[test]
    fn addresses_are_of_every_kind() {
        for right in [
            "0.0.0.0:80",
            "[::1]:8443",
            "localhost:0",
            "off",
            "unix:/run/a.sock",
            "fd:http",
        ] {
            assert!(right.parse::<Listen>().is_ok(), "{right}");
        }
        for wrong in ["", "on", "unix:", "fd:", "127.0.0.1"] {
            assert!(wrong.parse::<Listen>().is_err(), "{wrong}");
        }
    }
}
