//! The command line of `lacewing load`.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use bytes::Bytes;
use http::{HeaderName, HeaderValue, Uri};
use lacewing_client::Version;

use super::{
    abort::AbortIf,
    schedule::Arrival,
    segment::Segment,
    threshold::Threshold,
    units::{number, pace, rate, time},
};
use crate::{
    dialling::{Dialling, HTTP1, Protocol},
    parse,
    status::Failure,
};

/// The text of `lacewing load --help` after the options.
pub(crate) const HELP: &str = "\
Without --rate, the load is a closed loop: up to CONNECTIONS × STREAMS requests are
always outstanding, fewer if the server permits fewer streams. It finds the capacity
of a server; the time that a request would have waited for its turn is not measured.

With --rate, the load is an open loop: requests are due by a plan. It finds the
latency at that rate. The response time counts from the time at which a request was
due to the last byte of its response, the service time from its send. A request that
finds no connection with room waits, and its wait counts. The first requests wait for
connections: --warm-up leaves them out. --threshold is about response times.

Requests that the server certainly left alone (REFUSED_STREAM, or above the last
stream of a GOAWAY) are sent again. Connections that end are made again.

Numbers of requests: k = 1000, M = 1000000. Times: 500us, 20ms, 10s, 2m,
1h; a number alone is seconds.

Exit codes:
  0  the load ran
  1  more than --max-error-rate of the requests failed, or none succeeded
  2  could not run: the command line is wrong, or no connection was ever made
  99 a --threshold does not hold, or --abort-if ended the run

Examples:
  lacewing load -c 10 -m 100 -D 10s https://example.org/
  lacewing load -n 100k -c 4 -m 32 -t 2 -k https://127.0.0.1:8443/
  lacewing load --protocol spdy/3.1 -n 10k -m 100 http://127.0.0.1:8080/
  lacewing load -D 30s --warm-up 5s -d @body.json -H 'content-type: application/json' URL
  lacewing load -D 30s --report json -o run.json --threshold 'p99<50ms' URL
  lacewing load -D 1h --rate 500 -m 100 --abort-if 'errors>5% for 30s' https://example.org/
  lacewing load -D 10s http://127.0.0.1:8080/a*3 http://127.0.0.1:8080/b
  lacewing load -D 10s -c 10 --protocol http/1.1 http://127.0.0.1:8080/
  lacewing load --rate 500 -D 30s --warm-up 2s -c 10 -m 100 https://example.org/
  lacewing load --rate 2k --arrival poisson --threshold 'p99<20ms' -c 10 -m 100 URL
  lacewing load --rate 500 -D 1m -m 100 --chart run.html https://example.org/
  lacewing load -D 5m -c 10 -m 100 --status 127.0.0.1:9000 https://example.org/
  lacewing load --segment 0/2 --start-at 2026-11-29T10:00:00Z --rate 1k -D 1m --hlog 0.hlog URL
  lacewing load --merge 0.hlog 1.hlog
  lacewing load -n 1000 -m 10 --har page.har
  lacewing load --mux -d @block -n 10k -m 100 http://127.0.0.1:7000/";

/// The duration of a load without `-n` and `-D`.
const DEFAULT_DURATION: Duration = Duration::from_secs(10);
/// The most worker threads.
const MAX_THREADS: usize = 256;
/// The most connections.
const MAX_CONNECTIONS: usize = 100_000;
/// The most requests that may wait for a connection.
const MAX_WAITING: usize = 10_000_000;
/// The longest sequence of URLs by their weights.
const MAX_WEIGHT: usize = 1_000;

#[derive(Clone, Debug, clap::Parser)]
pub(crate) struct Args {
    /// Send this many requests: 1000, 10k, 1M. With --duration too, the run ends with
    /// whichever comes first
    #[arg(short = 'n', long, value_name = "NUMBER", value_parser = number)]
    pub(super) requests: Option<u64>,

    /// Start requests for this long: 10s, 500ms, 2m. Default without -n: 10s
    #[arg(short = 'D', long, alias = "z", short_alias = 'z', value_name = "TIME", value_parser = time)]
    pub(super) duration: Option<Duration>,

    /// Connections, over all threads
    #[arg(short = 'c', long, value_name = "NUMBER", default_value = "1", value_parser = connections)]
    pub(super) connections: usize,

    /// Requests at once on each connection
    #[arg(short = 'm', long, value_name = "NUMBER", default_value = "1", value_parser = streams)]
    pub(super) streams: usize,

    /// Threads, each with its share of the connections
    #[arg(short = 't', long, value_name = "NUMBER", default_value = "1", value_parser = threads)]
    pub(super) threads: usize,

    /// Send requests for this long before the duration begins, and leave them out of
    /// the figures
    #[arg(long, alias = "warm-up-time", value_name = "TIME", value_parser = time, requires = "duration")]
    pub(super) warm_up: Option<Duration>,

    /// Give a request up after this time
    #[arg(long, value_name = "TIME", default_value = "30s", value_parser = time)]
    pub(super) timeout: Duration,

    /// Give a connection up if it is not ready after this time; then HTTP/2's first frame has
    /// as long
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = time)]
    pub(super) connect_timeout: Duration,

    /// Try this long to replace a lost connection
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = time)]
    pub(super) reconnect_for: Duration,

    /// Wait this long after the duration for responses that are under way
    #[arg(long, value_name = "TIME", default_value = "5s", value_parser = time)]
    pub(super) drain: Duration,

    /// Exit with 1 if more than this part of the requests failed (no complete response,
    /// or a status of 400 or above): 0.01 or 1%
    #[arg(long, value_name = "RATE", default_value = "100%", value_parser = rate)]
    pub(super) max_error_rate: f64,

    #[command(flatten)]
    pub(super) pace: PaceArgs,

    #[command(flatten)]
    pub(super) share: ShareArgs,

    #[command(flatten)]
    pub(super) request: RequestArgs,

    #[command(flatten)]
    pub(super) report: ReportArgs,

    #[command(flatten)]
    pub(super) dialling: Dialling,

    /// The URLs, all of one origin, in turn; URL*3 is requested three times as often
    #[arg(value_name = "URL", required_unless_present_any = ["har", "merge"], value_parser = weighted, help_heading = "Arguments")]
    pub(super) urls: Vec<Weighted>,
}

/// The pace of an open loop.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct PaceArgs {
    /// Send requests by a plan, this many in a second over all connections, whether or not
    /// earlier ones are answered: 500, 500/s, 10k, 30/m
    #[arg(long, value_name = "RATE", value_parser = pace)]
    pub(super) rate: Option<f64>,

    /// How the requests of --rate arrive
    #[arg(
        long,
        value_enum,
        value_name = "HOW",
        default_value = "constant",
        requires = "rate"
    )]
    pub(super) arrival: Arrival,

    /// Requests of --rate that may wait for a connection; more are dropped and counted
    #[arg(long, value_name = "NUMBER", default_value = "100k", value_parser = waiting, requires = "rate")]
    pub(super) max_waiting: usize,
}

/// The part of a load that several processes share.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct ShareArgs {
    /// Be one of N processes that share the load, from 0/N: send each Nth request of --rate,
    /// and a part of -n. -c is for each process
    #[arg(long, value_name = "I/N", value_parser = Segment::parse, default_value_t = Segment::WHOLE, hide_default_value = true)]
    pub(super) segment: Segment,

    /// Begin at this time, in UTC: 2026-11-29T10:00:00Z. An open loop connects a
    /// second earlier
    #[arg(long, value_name = "TIME", value_parser = clock)]
    pub(super) start_at: Option<SystemTime>,
}

/// The requests.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct RequestArgs {
    /// Send this text as content, by POST; @FILE sends a file's bytes
    #[arg(short = 'd', long, value_name = "TEXT|@FILE")]
    pub(super) data: Option<String>,

    /// Use this method instead of GET, or POST with --data
    #[arg(short = 'X', long, value_name = "METHOD")]
    pub(super) method: Option<http::Method>,

    /// Send this header field; may be repeated
    #[arg(short = 'H', long = "header", value_name = "NAME: VALUE", value_parser = parse::header)]
    pub(super) headers: Vec<(HeaderName, HeaderValue)>,

    /// Send the requests of this HAR file, in turn, instead of URLs: those to the origin of
    /// the first one. -H replaces their fields
    #[arg(long, value_name = "FILE", conflicts_with_all = ["data", "method", "urls"])]
    pub(super) har: Option<PathBuf>,

    /// Open raw streams instead of requests: each sends the data of -d, and expects it back. The
    /// peer is `lacewing mux --listen ADDRESS --echo`, and the protocol spdy/3.1 without --protocol
    #[arg(long, conflicts_with_all = ["har", "method"])]
    pub(super) mux: bool,

    /// Use this protocol: h2, spdy/3.1, spdy/3, spdy/2 or http/1.1. https offers it alone
    /// by ALPN; http uses it by prior knowledge. Without this option an https server
    /// chooses among all five, and http uses h2
    #[arg(long, value_name = "PROTOCOL", value_parser = protocol)]
    pub(super) protocol: Option<Protocol>,
}

/// The report.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct ReportArgs {
    /// The form of the report: h2load's closing lines, or JSON, are for scripts
    #[arg(long, value_name = "FORM", value_enum, default_value = "text")]
    pub(super) report: Form,

    /// Write the report to FILE instead of stdout; - is stdout
    #[arg(short, long, value_name = "FILE")]
    pub(super) output: Option<PathBuf>,

    /// Draw the rate, failures and times by second, and the percentiles, into FILE too:
    /// a page (.html) or a picture (.svg), without scripts and other files
    #[arg(long, value_name = "FILE.html|FILE.svg", value_parser = chart)]
    pub(super) chart: Option<PathBuf>,

    /// Write the outcome to FILE in HdrHistogram's log format, with a distribution for each
    /// second, for --merge and other tools. - is stdout, instead of the report
    #[arg(long, value_name = "FILE")]
    pub(super) hlog: Option<PathBuf>,

    /// Load nothing: join the files of --hlog, and report on them as on one run
    #[arg(long, value_name = "FILE", num_args = 1.., conflicts_with_all = ["urls", "har", "hlog", "requests", "duration", "rate"])]
    pub(super) merge: Vec<PathBuf>,

    /// Show no figures during the run. They are shown on a terminal alone
    #[arg(long, visible_alias = "no-tui")]
    pub(super) no_live: bool,

    /// Serve a live page at this address until the run ends: connections, streams as bars, windows,
    /// stalls, rates and times. Port 0 takes a free one. It has no password: who reaches the address
    /// can read it
    #[arg(long, value_name = "ADDR", value_parser = crate::parse::address, conflicts_with = "merge")]
    pub(super) status: Option<SocketAddr>,

    /// Exit with 99 unless this holds; may be repeated. Left: p50 to p99.99, mean or max
    /// of the service times (with --rate, of the response times), rate (responses in a
    /// second), or errors (0.01 or 1%)
    #[arg(long = "threshold", value_name = "p99<50ms", value_parser = Threshold::parse)]
    pub(super) thresholds: Vec<Threshold>,

    /// End the run early, with code 99, when this holds for the requests of the last seconds; may be
    /// repeated. Left: as in --threshold. Right: the time, from 1s to 10m; without it, 10s
    #[arg(long, value_name = "p99>500ms for 10s", value_parser = AbortIf::parse, conflicts_with = "merge")]
    pub(super) abort_if: Vec<AbortIf>,
}

/// A form of the report.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Form {
    Text,
    H2load,
    Json,
}

/// A URL, and the number of its turns in each round.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Weighted {
    pub(super) uri: Uri,
    pub(super) weight: usize,
}

impl Args {
    /// The time from the end of the warm-up to the end of the run, if requests do not end it.
    pub(super) fn run_time(&self) -> Option<Duration> {
        match (self.requests, self.duration) {
            (None, None) => Some(DEFAULT_DURATION),
            (_, duration) => duration,
        }
    }

    /// The requests of a closed loop.
    pub(super) fn closed_requests(&self) -> u64 {
        let share = |requests| self.share.segment.share(requests);
        self.requests.map_or(u64::MAX, share)
    }
}

impl ReportArgs {
    /// Whether the times of each second are of interest.
    pub(super) fn with_series(&self) -> bool {
        self.hlog.is_some() || self.chart.is_some() || self.report == Form::Json
    }

    /// The file of the report; `None` for stdout.
    pub(super) fn file(&self) -> Option<&Path> {
        self.output.as_deref().filter(|path| !is_stdout(path))
    }
}

impl RequestArgs {
    /// The protocol to use, if it is not the server's choice.
    pub(super) fn chosen(&self) -> Option<Protocol> {
        // As `lacewing mux` does.
        let of_mux = self.mux.then_some(Protocol::Multiplexed(Version::Spdy31));
        self.protocol.or(of_mux)
    }

    /// The content of each request to a URL, if it has any.
    pub(super) fn content(&self) -> Result<Option<Bytes>, Failure> {
        let Some(data) = &self.data else {
            return Ok(None);
        };
        let Some(path) = data.strip_prefix('@').map(PathBuf::from) else {
            return Ok(Some(Bytes::copy_from_slice(data.as_bytes())));
        };
        let read = std::fs::read(&path);
        read.map(|content| Some(Bytes::from(content)))
            .map_err(|error| Failure::usage(format!("cannot read {}: {error}", path.display())))
    }
}

fn chart(text: &str) -> Result<PathBuf, String> {
    let path = PathBuf::from(text);
    match has_extension(&path, "html") || is_svg(&path) {
        true => Ok(path),
        false => Err("end the name in .html or .svg".to_owned()),
    }
}

pub(super) fn is_svg(path: &Path) -> bool {
    has_extension(path, "svg")
}

fn has_extension(path: &Path, wanted: &str) -> bool {
    path.extension()
        .is_some_and(|found| found.eq_ignore_ascii_case(wanted))
}

/// `-` is stdout.
pub(super) fn is_stdout(path: &Path) -> bool {
    path.as_os_str() == "-"
}

fn protocol(text: &str) -> Result<Protocol, String> {
    if text == HTTP1 {
        return Ok(Protocol::Http1);
    }
    let version = parse::protocol(text).map_err(|error| format!("{error}, or {HTTP1}"))?;
    Ok(Protocol::Multiplexed(version))
}

fn clock(text: &str) -> Result<SystemTime, String> {
    humantime::parse_rfc3339_weak(text)
        .map_err(|_| "write it as 2026-11-29T10:00:00Z, in UTC".to_owned())
}

fn waiting(text: &str) -> Result<usize, String> {
    let number = usize::try_from(number(text)?).unwrap_or(usize::MAX);
    up_to(&number.to_string(), MAX_WAITING)
}

fn connections(text: &str) -> Result<usize, String> {
    up_to(text, MAX_CONNECTIONS)
}

/// Other tools have the method under `-m`.
fn streams(text: &str) -> Result<usize, String> {
    if text.chars().all(|letter| letter.is_ascii_alphabetic()) {
        return Err(format!(
            "-m is the number of requests at once on a connection; for the method write -X {text}"
        ));
    }
    up_to(text, i32::MAX as usize)
}

/// Other tools have the timeout under `-t`.
fn threads(text: &str) -> Result<usize, String> {
    if text.parse::<usize>().is_err() && time(text).is_ok() {
        return Err(format!(
            "-t is the number of threads; for a limit of time write --timeout {text}"
        ));
    }
    up_to(text, MAX_THREADS)
}

fn up_to(text: &str, max: usize) -> Result<usize, String> {
    match parse::at_least_one(text)? {
        number if number > max => Err(format!("give {max} at most")),
        number => Ok(number),
    }
}

/// A URL, or a URL and its weight after `*`.
fn weighted(text: &str) -> Result<Weighted, String> {
    // A path may contain an asterisk: only digits after it are a weight.
    let weight = text
        .rsplit_once('*')
        .filter(|(_, weight)| !weight.is_empty() && weight.bytes().all(|b| b.is_ascii_digit()));
    let (url, weight) = match weight {
        Some((url, weight)) => (url, up_to(weight, MAX_WEIGHT)?),
        None => (text, 1),
    };
    Ok(Weighted {
        uri: parse::url(url)?,
        weight,
    })
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;

    fn error(args: &[&str]) -> String {
        let args = [&["load", "http://a.example/"], args].concat();
        Args::try_parse_from(args).unwrap_err().to_string()
    }

    #[test]
    fn flags_of_other_tools_are_explained() {
        assert!(error(&["-m", "GET"]).contains("write -X GET"));
        assert!(error(&["-t", "5s"]).contains("write --timeout 5s"));
        assert!(error(&["-p", "10"]).contains("-p"));
        let args = Args::try_parse_from(["load", "-z", "2m", "http://a.example/"]).unwrap();
        assert_eq!(args.duration, Some(Duration::from_secs(120)));
    }

    #[test]
    fn a_weight_is_digits_after_an_asterisk() {
        assert_eq!(weighted("http://a.example/x*3").unwrap().weight, 3);
        let plain = weighted("http://a.example/x*y").unwrap();
        assert_eq!((plain.weight, plain.uri.path()), (1, "/x*y"));
        assert!(weighted("http://a.example/x*0").is_err());
        assert!(weighted("a.example").is_err());
    }
}
