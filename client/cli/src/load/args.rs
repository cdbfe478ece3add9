//! The command line of `lacewing load`.

use std::{path::PathBuf, time::Duration};

use bytes::Bytes;
use http::{HeaderName, HeaderValue, Uri};
use lacewing_client::Version;

use crate::{args, dialling::Dialling, status::Failure};

/// The text of `lacewing load --help` after the options.
pub(crate) const HELP: &str = "\
The load is a closed loop: up to CONNECTIONS × STREAMS requests are always
outstanding, fewer if the server permits fewer streams. It finds the capacity of
a server; the time that a request would have waited for its turn is not measured.
Requests that the server certainly left alone (REFUSED_STREAM, or above the last
stream of a GOAWAY) are sent again. Connections that end are made again.

Numbers of requests: k = 1000, M = 1000000. Times: 500ms, 10s, 2m, 1h; a number
alone is seconds.

Exit codes:
  0  the load ran
  1  could not run: the command line is wrong, or no connection was ever made
  2  more than --max-error-rate of the requests failed, or none succeeded

Examples:
  lacewing load -c 10 -m 100 -D 10s https://example.org/
  lacewing load -n 100k -c 4 -m 32 -t 2 -k https://127.0.0.1:8443/
  lacewing load --protocol spdy/3.1 -n 10k -m 100 http://127.0.0.1:8080/
  lacewing load -D 30s --warm-up 5s -d @body.json -H 'content-type: application/json' URL
  lacewing load -D 10s http://127.0.0.1:8080/a*3 http://127.0.0.1:8080/b";

/// The most worker threads.
const MAX_THREADS: usize = 256;
/// The most connections.
const MAX_CONNECTIONS: usize = 100_000;
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

    /// Give a connection up if it is not ready after this time
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = time)]
    pub(super) connect_timeout: Duration,

    /// Try this long to replace a lost connection
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = time)]
    pub(super) reconnect_for: Duration,

    /// Wait this long after the duration for responses that are under way
    #[arg(long, value_name = "TIME", default_value = "5s", value_parser = time)]
    pub(super) drain: Duration,

    /// Exit with 2 if more than this part of the requests failed (no complete response,
    /// or a status of 400 or above): 0.01 or 1%
    #[arg(long, value_name = "RATE", default_value = "100%", value_parser = rate)]
    pub(super) max_error_rate: f64,

    #[command(flatten)]
    pub(super) request: RequestArgs,

    #[command(flatten)]
    pub(super) dialling: Dialling,

    /// The URLs, all of one origin, in turn; URL*3 is requested three times as often
    #[arg(value_name = "URL", required = true, value_parser = weighted)]
    pub(super) urls: Vec<Weighted>,
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
    #[arg(short = 'H', long = "header", value_name = "NAME: VALUE", value_parser = args::header)]
    pub(super) headers: Vec<(HeaderName, HeaderValue)>,

    /// Use this protocol: h2, spdy/3.1, spdy/3 or spdy/2. https offers it alone by ALPN;
    /// http uses it by prior knowledge. Without this option an https server chooses
    /// among all four, and http uses h2
    #[arg(long, value_name = "PROTOCOL", value_parser = args::protocol)]
    pub(super) protocol: Option<Version>,
}

/// A URL, and the number of its turns in each round.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Weighted {
    pub(super) uri: Uri,
    pub(super) weight: usize,
}

impl RequestArgs {
    /// The content of each request.
    pub(super) fn content(&self) -> Result<Bytes, Failure> {
        let Some(data) = &self.data else {
            return Ok(Bytes::new());
        };
        let Some(path) = data.strip_prefix('@').map(PathBuf::from) else {
            return Ok(Bytes::copy_from_slice(data.as_bytes()));
        };
        let read = std::fs::read(&path);
        read.map(Bytes::from)
            .map_err(|error| Failure::usage(format!("cannot read {}: {error}", path.display())))
    }
}

/// `1000`, `10k`, `1M`.
fn number(text: &str) -> Result<u64, String> {
    let wrong = || "give a number of 1 or more, such as 1000, 10k or 1M".to_owned();
    let (digits, factor) = match text.strip_suffix(['k', 'K']) {
        Some(digits) => (digits, 1_000),
        None => match text.strip_suffix('M') {
            Some(digits) => (digits, 1_000_000),
            None => (text, 1),
        },
    };
    let number: u64 = digits.parse().map_err(|_| wrong())?;
    let number = number.checked_mul(factor).ok_or_else(wrong)?;
    if number == 0 {
        Err(wrong())
    } else {
        Ok(number)
    }
}

/// `500ms`, `10s`, `2m`, `1h`; a number alone is seconds.
fn time(text: &str) -> Result<Duration, String> {
    let wrong = || "write it as 500ms, 10s, 2m or 1h".to_owned();
    let units = [("ms", 0.001), ("s", 1.0), ("m", 60.0), ("h", 3600.0)];
    let unit = units
        .iter()
        .find_map(|(unit, factor)| Some((text.strip_suffix(unit)?, *factor)));
    let (digits, factor) = unit.unwrap_or((text, 1.0));
    let number: f64 = digits.parse().map_err(|_| wrong())?;
    let time = Duration::try_from_secs_f64(number * factor).map_err(|_| wrong())?;
    // Far enough for any test, and near enough for every clock.
    let longest = Duration::from_secs(30 * 24 * 3600);
    if time.is_zero() || time > longest {
        return Err("give more than 0, and 30 days at most".to_owned());
    }
    Ok(time)
}

/// `0.01` or `1%`.
fn rate(text: &str) -> Result<f64, String> {
    let (digits, factor) = match text.strip_suffix('%') {
        Some(digits) => (digits, 0.01),
        None => (text, 1.0),
    };
    let rate = digits.parse::<f64>().map(|rate| rate * factor);
    match rate {
        Ok(rate) if (0.0..=1.0).contains(&rate) => Ok(rate),
        _ => Err("write it as 0.01 or 1%, from 0 to 1".to_owned()),
    }
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
    match args::at_least_one(text)? {
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
        uri: args::url(url)?,
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
    fn numbers_and_times_have_units() {
        assert_eq!(number("10k"), Ok(10_000));
        assert_eq!(number("2M"), Ok(2_000_000));
        assert!(number("0").is_err() && number("k").is_err() && number("-1").is_err());
        assert_eq!(time("500ms"), Ok(Duration::from_millis(500)));
        assert_eq!(time("1.5"), Ok(Duration::from_millis(1500)));
        assert!(time("0s").is_err() && time("5x").is_err() && time("1e300s").is_err());
        assert_eq!(rate("1%"), Ok(0.01));
        assert!(rate("2").is_err() && rate("NaN").is_err());
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
