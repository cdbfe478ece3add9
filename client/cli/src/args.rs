//! The command line.

mod generate;

use std::path::PathBuf;

use clap::{Parser, Subcommand};
use http::Uri;
use lacewing_client::Version;

pub(crate) use self::generate::GenerateArgs;
use crate::{
    decode,
    get::options::{self, Get},
    headers, load, mux,
    parse::{address, protocol, seconds, some_seconds, url},
    ping, probe, tap,
};

/// The text of `lacewing --help` after the commands.
const HELP: &str = "\
Examples:
  lacewing get -v https://example.org/
  lacewing load -c 10 -m 100 -D 10s https://example.org/
  lacewing probe https://example.org/
  lacewing get --help
  lacewing --completions bash > /etc/bash_completion.d/lacewing
  lacewing --man=get | man -l -";

/// The text of `lacewing conform --help` after the options.
const CONFORM_HELP: &str = "\
Each case runs on a connection of its own. Its id is the section of the
specification that it tests, and a number: 6.5.2/1 is the first case of
RFC 9113 section 6.5.2. SPDY's cases use the sections of SPDY/3 in all three
versions. Cases that need more than the server offers are skipped, with the
reason. So are cases that wait for whole responses, if the page at the URL is
larger than 512 KiB: a small page is best.

Exit codes:
   0  no case failed
   1  a case failed
   2  usage: the command line is wrong
   7  no connection; 35: no TLS, 60: a certificate that is not trusted
  23  cannot listen on the address, or cannot write a report";

#[derive(Debug, Parser)]
#[command(
    name = "lacewing",
    version,
    about = "Fetches URLs over HTTP/2, SPDY and HTTP/1.1, and tests servers and clients",
    after_help = HELP,
    arg_required_else_help = true,
    args_conflicts_with_subcommands = true
)]
pub(crate) struct Args {
    #[command(flatten)]
    pub(crate) generate: GenerateArgs,

    #[command(subcommand)]
    pub(crate) command: Option<Command>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Fetch URLs, over one connection for each origin
    #[command(after_help = options::HELP)]
    Get(Box<Get>),
    /// Load a server with requests, and measure it
    #[command(after_help = load::HELP)]
    Load(Box<load::Args>),
    /// Test whether a server or a client obeys HTTP/2 or SPDY
    #[command(after_help = CONFORM_HELP)]
    Conform(Box<Conform>),
    /// Pass connections on to a server, and show their frames
    #[command(after_help = tap::HELP)]
    Tap(tap::Tap),
    /// Show the frames in bytes, or in a packet capture
    #[command(after_help = decode::HELP)]
    Decode(decode::Decode),
    /// Find out what a server speaks
    #[command(after_help = probe::HELP)]
    Probe(probe::Probe),
    /// Measure the round trip to a server by PING frames
    #[command(after_help = ping::HELP)]
    Ping(ping::Ping),
    /// Join byte streams over one connection, as netcat does over TCP
    #[command(after_help = mux::HELP)]
    Mux(mux::Mux),
    /// Convert header blocks (HPACK, and SPDY's zlib) to JSON or text, and back
    #[command(after_help = headers::HELP)]
    Headers(headers::Headers),
    /// Run commands, copy files and forward ports in Kubernetes
    #[cfg(feature = "kube")]
    #[command(after_help = crate::kube::HELP)]
    Kube(crate::kube::Kube),
}

#[derive(Clone, Debug, Parser)]
pub(crate) struct Conform {
    /// The protocol to test: h2, spdy/3.1, spdy/3 or spdy/2
    #[arg(short, long, value_name = "PROTOCOL", value_parser = protocol, default_value = "h2")]
    pub(crate) protocol: Version,
    /// The server to test: https by ALPN, http by prior knowledge. Its path
    /// must answer GET with 200 and some content, 512 KiB at most
    #[arg(
        value_name = "URL",
        value_parser = url,
        required_unless_present_any = ["client", "list"],
        conflicts_with = "client"
    )]
    pub(crate) url: Option<Uri>,

    /// Test a client instead: accept connections, and run one case on each
    #[arg(long)]
    pub(crate) client: bool,

    /// The address to listen on for clients. Without --tls a client must use
    /// the protocol by prior knowledge
    #[arg(
        long,
        value_name = "ADDRESS",
        value_parser = address,
        requires = "client",
        conflicts_with = "url"
    )]
    pub(crate) listen: Option<std::net::SocketAddr>,

    /// Serve clients over TLS, with a self-signed certificate, and offer them
    /// the protocol by ALPN
    #[arg(long, requires = "client", conflicts_with = "url")]
    pub(crate) tls: bool,

    /// Run only the cases of this section (6.5, 7541/6.3), of this specification
    /// (7541) or with this id (6.5.2/3); may be repeated
    #[arg(long, value_name = "SECTION")]
    pub(crate) only: Vec<String>,

    /// Count a recommendation that is not followed as a failure, and require
    /// GOAWAY for every connection error
    #[arg(long)]
    pub(crate) strict: bool,

    /// Send frames byte by byte
    #[arg(long)]
    pub(crate) bytewise: bool,

    /// Seconds to wait for a reaction
    #[arg(long, value_name = "SECONDS", default_value = "2", value_parser = some_seconds)]
    pub(crate) timeout: std::time::Duration,

    /// Seconds to wait for the next client, or for a server that stopped to
    /// start again
    #[arg(long, value_name = "SECONDS", default_value = "10", value_parser = seconds)]
    pub(crate) patience: std::time::Duration,

    /// The path of a resource with 64 KiB of content or more [default: the URL's
    /// path]
    #[arg(long, value_name = "PATH")]
    pub(crate) large_path: Option<String>,

    /// The path of a resource that reads the body of a POST and answers 2xx
    /// [default: the URL's path]
    #[arg(long, value_name = "PATH")]
    pub(crate) post_path: Option<String>,

    /// Accept any TLS certificate
    #[arg(short = 'k', long)]
    pub(crate) insecure: bool,

    /// Print the outcome of each case on stderr as soon as it ends
    #[arg(short, long)]
    pub(crate) verbose: bool,

    /// Write a report as JUnit XML
    #[arg(long, value_name = "FILE")]
    pub(crate) junit: Option<PathBuf>,

    /// Write a report as JSON
    #[arg(long, value_name = "FILE")]
    pub(crate) json: Option<PathBuf>,

    /// List the cases and run none
    #[arg(long)]
    pub(crate) list: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        use clap::CommandFactory as _;
        Args::command().debug_assert();
    }

    #[test]
    fn conform_tests_a_server_or_clients() {
        let parse = |args: &[&str]| Args::try_parse_from([&["lacewing", "conform"], args].concat());
        assert!(parse(&["http://a.example/", "--only", "6.5", "--strict"]).is_ok());
        assert!(parse(&["--client", "--listen", "127.0.0.1:0"]).is_ok());
        assert!(parse(&["--client", "--listen", "127.0.0.1:0", "--tls"]).is_ok());
        assert!(parse(&["http://a.example/", "--tls"]).is_err());
        assert!(parse(&["--list"]).is_ok());
        assert!(parse(&["--list", "--protocol", "spdy/3"]).is_ok());
        assert!(parse(&["--list", "--protocol", "spdy/4"]).is_err());
        assert!(parse(&["--list", "--client", "--protocol", "spdy/2"]).is_ok());
        assert!(parse(&["http://a.example/", "--client", "--listen", "127.0.0.1:0"]).is_err());
        assert!(parse(&[]).is_err());
    }

    #[test]
    fn urls_and_headers_are_checked_before_anything_is_sent() {
        let parse = |args: &[&str]| Args::try_parse_from([&["lacewing", "get"], args].concat());
        assert!(parse(&["http://a.example/"]).is_ok());
        assert!(parse(&["a.example/x"]).is_ok());
        assert!(parse(&["ftp://a.example/"]).is_err());
        assert!(parse(&["-H", "accept: text/html", "https://a.example/"]).is_ok());
        assert!(parse(&["-H", "no colon", "https://a.example/"]).is_err());
        assert!(parse(&["--protocol", "spdy/3.1", "http://a.example/"]).is_ok());
        assert!(parse(&["--protocol", "spdy/4", "http://a.example/"]).is_err());
        assert!(parse(&["--parallel", "0", "http://a.example/"]).is_err());
        assert!(parse(&["--key", "key.pem", "https://a.example/"]).is_err());
        assert!(parse(&["--resolve", "a.example", "http://a.example/"]).is_err());
        assert!(parse(&["--interface", "eth0", "http://a.example/"]).is_err());
        assert!(parse(&[]).is_err());
    }
}
