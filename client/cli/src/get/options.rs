//! The command line of `get`, with curl's names.

use std::{path::PathBuf, time::Duration};

use clap::Args;
use http::{HeaderName, HeaderValue, Method, Uri};
use lacewing_client::{Priority, Version};

use super::waterfall;
use crate::{
    dialling::Dialling,
    parse::{at_least_one, fetched_url, header, priority, protocol, seconds, window},
};

/// The text of `lacewing get --help` after the options.
pub(crate) const HELP: &str = "\
Exit codes, as curl's:
   0  every URL was fetched
   2  usage, or a request that cannot be sent
   5  the proxy has no address; 6: the host has none
   7  no connection
  16  a rule of HTTP/2 or SPDY was broken
  18  the body is not complete
  22  status 400 or above, with --fail or --fail-with-body
  23  a file or stdout cannot be written
  26  a file to upload cannot be read
  28  a time was over: also of HTTP/2's waits, such as the one for its first frame
  33  the download cannot be resumed
  35  TLS failed, or there is no common protocol
  47  too many redirects
  52  the server closed the connection without an answer
  56  the transport failed, or the proxy makes no tunnel
  58  the files of --cert are of no use; 77: that of --cacert
  60  the server's certificate is not trusted
  61  a content coding is unknown, or broken
  65  stdin cannot be sent again after a redirect
  92  a stream was reset
  97  a SOCKS proxy makes no tunnel
With several URLs the code is that of the first failure. A reader of stdout that
leaves is no failure.

Examples:
  lacewing get https://example.org/
  lacewing get -v --protocol spdy/3.1 http://127.0.0.1:8080/
  lacewing get -fsSL --retry 3 -O https://example.org/file.tar.gz
  lacewing get --json '{\"a\": 1}' https://example.org/api
  lacewing get -OJ https://example.org/download?id=7
  lacewing get -C - -o big.iso https://example.org/big.iso
  lacewing get -x http://user:secret@proxy:3128 https://example.org/
  lacewing get -x socks5h://127.0.0.1:9050 https://example.org/
  lacewing get --connect-to example.org:443:127.0.0.1:8443 https://example.org/
  lacewing get -o /dev/null --stat --har page.har https://example.org/a https://example.org/b
  lacewing get -a --push --stat -o /dev/null https://example.org/
  lacewing get -a -o /dev/null --waterfall=page.html https://example.org/
  lacewing get --multiply 1000 -o /dev/null --stat https://example.org/
  lacewing get -so /dev/null -w '%{http_version} %{time_total}\\n' https://example.org/";

/// Fetches at once with --multiply: the streams that most servers permit.
const ALL_AT_ONCE: usize = 100;

#[derive(Clone, Debug, Args)]
pub(crate) struct Get {
    #[command(flatten)]
    pub(crate) message: Message,
    #[command(flatten)]
    pub(crate) output: Output,
    #[command(flatten)]
    pub(crate) telling: Telling,
    #[command(flatten)]
    pub(crate) course: Course,
    #[command(flatten)]
    pub(crate) protocols: Protocols,
    #[command(flatten)]
    pub(crate) streams: Streams,
    #[command(flatten)]
    pub(crate) dialling: Dialling,

    /// The URLs to fetch; without a scheme, http
    #[arg(value_name = "URL", required = true, value_parser = fetched_url, help_heading = "Arguments")]
    pub(crate) urls: Vec<Uri>,
}

#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Request")]
pub(crate) struct Message {
    /// Use this method instead of GET; POST with -d and --json, PUT with -T
    #[arg(short = 'X', long, visible_alias = "request", value_name = "METHOD")]
    pub(crate) method: Option<Method>,

    /// Send this header field; may be repeated
    #[arg(short = 'H', long = "header", value_name = "NAME: VALUE", value_parser = header)]
    pub(crate) headers: Vec<(HeaderName, HeaderValue)>,

    /// Fetch the head alone, and print it
    #[arg(short = 'I', long)]
    pub(crate) head: bool,

    /// Send TEXT by POST, as a form; @FILE sends a file without its line ends, @- stdin. Several are
    /// joined by &
    #[arg(short, long, value_name = "TEXT|@FILE")]
    pub(crate) data: Vec<String>,

    /// As --data, but @FILE is sent as it is
    #[arg(long, value_name = "TEXT|@FILE")]
    pub(crate) data_binary: Vec<String>,

    /// As --data, but @ has no meaning
    #[arg(long, value_name = "TEXT")]
    pub(crate) data_raw: Vec<String>,

    /// Send JSON by POST, with the fields content-type and accept; @FILE and @- as --data-binary
    #[arg(long, value_name = "TEXT|@FILE", conflicts_with_all = ["data", "data_binary", "data_raw"])]
    pub(crate) json: Vec<String>,

    /// Upload FILE by PUT, streamed from disk; - is stdin
    #[arg(
        short = 'T',
        long,
        value_name = "FILE",
        conflicts_with_all = ["data", "data_binary", "data_raw", "json"]
    )]
    pub(crate) upload_file: Option<PathBuf>,

    /// Send this trailer after the body; may be repeated
    #[arg(long = "trailer", value_name = "NAME: VALUE", value_parser = header)]
    pub(crate) trailers: Vec<(HeaderName, HeaderValue)>,

    /// Accept gzip, br and zstd, and write the body without them
    #[arg(long, conflicts_with = "continue_at")]
    pub(crate) compressed: bool,

    /// Fetch what an HTML page needs from its own origin too: style sheets, scripts, images and icons,
    /// as nghttp -a does. They are discarded, and those that the server pushes are not requested
    #[arg(short = 'a', long, conflicts_with_all = [
        "method", "head", "data", "data_binary", "data_raw", "json", "upload_file", "trailers", "range",
        "continue_at", "expect_continue",
    ])]
    pub(crate) get_assets: bool,

    /// Ask for these bytes: 0-99, 100-, -100
    #[arg(short, long, value_name = "RANGE", conflicts_with = "continue_at")]
    pub(crate) range: Option<String>,
}

#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Output")]
pub(crate) struct Output {
    /// Write the body to FILE instead of stdout. With several URLs, FILE is a
    /// directory, or a device such as /dev/null
    #[arg(short, long, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,

    #[command(flatten)]
    pub(crate) naming: Naming,

    /// Resume a download at this byte of the file; - takes the file's length
    #[arg(short = 'C', long, value_name = "OFFSET|-")]
    pub(crate) continue_at: Option<String>,

    /// Write the response's head before the body, and those of 1xx responses
    #[arg(short, long)]
    pub(crate) include: bool,

    /// Print a table of the requests and their times on stderr, as nghttp -s
    #[arg(long)]
    pub(crate) stat: bool,

    /// Draw streams, bytes, windows and stalls over time: on stderr, or into a page or a picture that
    /// needs nothing else
    #[arg(
        long,
        value_name = "FILE.html|FILE.svg",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "",
        value_parser = waterfall::place,
    )]
    pub(crate) waterfall: Option<waterfall::Place>,

    /// Write the requests and their times to FILE, as HAR 1.2; - is stdout
    #[arg(long, value_name = "FILE")]
    pub(crate) har: Option<PathBuf>,

    /// Print this text after each response, with %{variables} as in curl; @FILE reads it
    #[arg(short, long, value_name = "FORMAT")]
    pub(crate) write_out: Option<String>,
}

/// The names of files.
#[derive(Clone, Debug, Args)]
pub(crate) struct Naming {
    /// Write the body to a file of the URL's last segment, in this directory
    #[arg(short = 'O', long, conflicts_with = "output")]
    pub(crate) remote_name: bool,

    /// With -O, name the file as content-disposition says: without its folders, never hidden, and
    /// only if there is no such file
    #[arg(short = 'J', long, requires = "remote_name", conflicts_with_all = ["continue_at", "include"])]
    pub(crate) remote_header_name: bool,

    /// Let -J overwrite a file
    #[arg(long, requires = "remote_header_name")]
    pub(crate) clobber: bool,
}

#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Messages on stderr")]
pub(crate) struct Telling {
    /// Print every frame, sent (>) and received (<): in colour on a terminal, unless NO_COLOR is set
    #[arg(short, long)]
    pub(crate) verbose: bool,

    /// No progress and no errors
    #[arg(short, long)]
    pub(crate) silent: bool,

    /// Errors in spite of --silent
    #[arg(short = 'S', long)]
    pub(crate) show_error: bool,
}

#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Redirects, failures and times")]
pub(crate) struct Course {
    /// Follow redirects. 303, and 301 and 302 after POST, are followed by GET. Another origin gets
    /// neither authorization nor cookies
    #[arg(short = 'L', long)]
    pub(crate) location: bool,

    /// Follow at most N redirects
    #[arg(long, value_name = "N", default_value = "50")]
    pub(crate) max_redirs: u32,

    /// A status of 400 or above is a failure, and its body is not written
    #[arg(short, long)]
    pub(crate) fail: bool,

    /// As --fail, but the body is written
    #[arg(long, conflicts_with = "fail")]
    pub(crate) fail_with_body: bool,

    /// Seconds that a fetch may take, redirects included; each retry has them anew. 0 is no limit
    #[arg(short, long, value_name = "SECONDS", value_parser = seconds)]
    max_time: Option<Duration>,

    /// Seconds until a connection is ready, TLS included; then HTTP/2's first frame has as long. 0 is
    /// the default
    #[arg(long, value_name = "SECONDS", default_value = "10", value_parser = seconds)]
    connect_timeout: Duration,

    #[command(flatten)]
    pub(crate) retry: Retry,

    /// Fetch up to N URLs at once; several URLs then need --output [default: 1, with --multiply 100]
    #[arg(long, value_name = "N", value_parser = at_least_one)]
    parallel: Option<usize>,

    /// Fetch each URL N times, as nghttp -m does: 100 at once without --parallel. Needs --output (a
    /// directory, or /dev/null), -O, or --parallel 1
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=100_000),
        conflicts_with = "get_assets")]
    multiply: u32,
}

/// Further tries of one fetch.
#[derive(Clone, Debug, Args)]
pub(crate) struct Retry {
    /// Try again up to N times, if there was no connection, a time was over, the server did not
    /// process the request, or answered 408, 429, 500, 502, 503 or 504. Not once a body is written
    /// to stdout, nor with a body from stdin
    #[arg(long, value_name = "N", default_value = "0")]
    pub(crate) retry: u32,

    /// With --retry, try again after every failure of a fetch, as after a broken transfer, a refused
    /// certificate, or a status of 400 or above with --fail
    #[arg(long)]
    pub(crate) retry_all_errors: bool,

    /// Seconds between tries; 0 is the default [default: retry-after of the response, else 1, 2, 4 …
    /// 600]
    #[arg(long, value_name = "SECONDS", value_parser = seconds)]
    retry_delay: Option<Duration>,
}

impl Retry {
    /// The pause that the command line sets.
    pub(crate) fn delay(&self) -> Option<Duration> {
        self.retry_delay.filter(|delay| !delay.is_zero())
    }
}

/// The default of --connect-timeout.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

impl Course {
    /// The time for a fetch; `None` if it has no limit.
    pub(crate) fn max_time(&self) -> Option<Duration> {
        self.max_time.filter(|time| !time.is_zero())
    }

    /// The time for a connection.
    pub(crate) fn connect_timeout(&self) -> Duration {
        match self.connect_timeout {
            Duration::ZERO => CONNECT_TIMEOUT,
            time => time,
        }
    }

    /// Whether each URL is fetched several times.
    pub(crate) fn is_repeated(&self) -> bool {
        self.multiply > 1
    }

    /// The most fetches at once.
    pub(crate) fn parallel(&self) -> usize {
        let all = if self.multiply > 1 { ALL_AT_ONCE } else { 1 };
        self.parallel.unwrap_or(all)
    }
}

impl Get {
    /// Repeats the URLs.
    pub(super) fn multiply(&mut self) {
        let times = usize::try_from(self.course.multiply).unwrap_or(1);
        let urls = std::mem::take(&mut self.urls);
        let repeated = urls
            .into_iter()
            .flat_map(|url| std::iter::repeat_n(url, times));
        self.urls = repeated.collect();
    }
}

#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Streams")]
pub(crate) struct Streams {
    /// Ask for this urgency, 0 (first) to 7 (last); with ,i the response is of use in pieces. HTTP/2 has
    /// a field for it, SPDY a part of the frame
    #[arg(long, value_name = "0-7[,i]", value_parser = priority)]
    pub(crate) priority: Option<Priority>,

    /// Wait for 100 (Continue) before the body is sent, a second at most
    #[arg(long)]
    pub(crate) expect_continue: bool,

    /// Give each stream this receive window, and keep it. Without this option windows grow with the path
    #[arg(long, value_name = "BYTES", value_parser = window)]
    pub(crate) window_size: Option<u32>,

    /// Give each connection this receive window, and keep it
    #[arg(long, value_name = "BYTES", value_parser = window)]
    pub(crate) connection_window_size: Option<u32>,
}

#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Protocol")]
pub(crate) struct Protocols {
    /// Use this protocol: h2, spdy/3.1, spdy/3 or spdy/2. https offers it alone
    /// by ALPN; http uses it by prior knowledge. Without this option an https
    /// server chooses among all four and HTTP/1.1; http uses h2, and HTTP/1.1 if the
    /// server answers so
    #[arg(short, long, value_name = "PROTOCOL", value_parser = protocol)]
    pub(crate) protocol: Option<Version>,

    /// Use HTTP/1.1
    #[arg(long = "http1.1", conflicts_with_all = ["protocol", "h2c_upgrade", "push"])]
    pub(crate) http1_1: bool,

    /// Start in HTTP/1.1 with http servers, and ask them to switch to HTTP/2
    /// (Upgrade: h2c)
    #[arg(long, conflicts_with_all = ["protocol", "verbose"])]
    pub(crate) h2c_upgrade: bool,

    /// Allow the server to push, and report each pushed response on stderr
    #[arg(long)]
    pub(crate) push: bool,
}
