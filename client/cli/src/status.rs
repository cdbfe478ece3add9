//! Exit codes, which are curl's, and the failures behind them.

use std::{fmt, io, time::Duration};

use lacewing_client::{ClientError, Error, Initiator, ResolveError, Trust};
use lacewing_conn::proto::Rule;

use crate::proxy::ProxyError;

pub(crate) const OK: u8 = 0;
/// A case of `conform` failed.
pub(crate) const CASE: u8 = 1;
/// The input of `decode` or `headers` is malformed.
pub(crate) const INPUT: u8 = 1;
/// `lacewing load`: too many requests failed.
pub(crate) const LOAD_FAILED: u8 = 1;
/// `lacewing load`: a threshold does not hold. k6 uses the same code.
pub(crate) const LOAD_THRESHOLD: u8 = 99;
pub(crate) const USAGE: u8 = 2;
pub(crate) const RESOLVE_PROXY: u8 = 5;
pub(crate) const RESOLVE: u8 = 6;
pub(crate) const CONNECT: u8 = 7;
pub(crate) const FRAMING: u8 = 16;
pub(crate) const PARTIAL: u8 = 18;
pub(crate) const HTTP: u8 = 22;
pub(crate) const LOCAL: u8 = 23;
pub(crate) const UNREADABLE: u8 = 26;
pub(crate) const TIME: u8 = 28;
pub(crate) const RANGE: u8 = 33;
pub(crate) const TLS: u8 = 35;
pub(crate) const REDIRECTS: u8 = 47;
pub(crate) const EMPTY: u8 = 52;
pub(crate) const TRANSPORT: u8 = 56;
pub(crate) const OWN_CERTIFICATE: u8 = 58;
pub(crate) const CERTIFICATE: u8 = 60;
/// A content coding that is unknown, or broken.
pub(crate) const CODING: u8 = 61;
pub(crate) const REWIND: u8 = 65;
pub(crate) const AUTHORITIES: u8 = 77;
pub(crate) const STREAM: u8 = 92;
pub(crate) const PROXY: u8 = 97;

/// The reason for an exit code, usually other than 0.
#[derive(Debug)]
pub(crate) struct Failure {
    status: u8,
    message: Option<String>,
    passing: Passing,
}

/// Whether another try may succeed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Passing {
    No,
    Yes,
    /// The server named a pause.
    After(Duration),
}

impl Failure {
    pub(crate) fn new(status: u8, message: impl fmt::Display) -> Self {
        Self {
            status,
            message: Some(message.to_string()),
            passing: Passing::No,
        }
    }

    /// An error on the command line.
    pub(crate) fn usage(message: impl fmt::Display) -> Self {
        Self::new(USAGE, message)
    }

    /// An input that is malformed.
    pub(crate) fn input(message: impl fmt::Display) -> Self {
        Self::new(INPUT, message)
    }

    /// An error of a file or of the local system.
    pub(crate) fn local(message: impl fmt::Display) -> Self {
        Self::new(LOCAL, message)
    }

    /// A file or stdin cannot be read.
    pub(crate) fn unreadable(message: impl fmt::Display) -> Self {
        Self::new(UNREADABLE, message)
    }

    /// A response with a status of 400 or above.
    pub(crate) fn http(url: &http::Uri, status: http::StatusCode) -> Self {
        Self::new(HTTP, format!("{url}: the server answered {status}"))
    }

    /// The time of --max-time is over.
    pub(crate) fn too_slow(url: &http::Uri, limit: Duration) -> Self {
        let text = format!("{url}: not done within {limit:?} (--max-time)");
        Self::new(TIME, text).passing(None)
    }

    /// A failure after which another try may succeed, after a pause that the server named.
    pub(crate) fn passing(mut self, after: Option<Duration>) -> Self {
        self.passing = after.map_or(Passing::Yes, Passing::After);
        self
    }

    /// A request of `get` without a response. `connect`: the time of --connect-timeout.
    pub(crate) fn fetch(
        url: &http::Uri,
        error: &ClientError,
        trust: Trust,
        connect: Duration,
    ) -> Self {
        let text = match error {
            ClientError::ConnectTimeout { .. } => "no connection",
            ClientError::Upgrade(_) if of_request(error) == TIME => "no answer to Upgrade: h2c",
            error if is_silent(error) => {
                "the server accepted the connection, but sent no frame of HTTP/2"
            }
            ClientError::NotUpgraded { status } => {
                let text = format!(
                    "{url}: the server did not switch to HTTP/2: it answered {status} in HTTP/1.1; \
                     leave out --h2c-upgrade (lacewingd: start it with --h2c-upgrade)"
                );
                return Self::new(FRAMING, text);
            }
            error => return Self::request(url, error, trust),
        };
        let text = format!("{url}: {text} within {connect:?} (--connect-timeout)");
        Self::new(TIME, text).passing(None)
    }

    /// A request without a response.
    pub(crate) fn request(url: &http::Uri, error: &ClientError, trust: Trust) -> Self {
        let status = of_request(error);
        if is_silent(error) {
            let text = "the server accepted the connection, but sent no frame of HTTP/2 in time";
            return Self::new(status, format!("{url}: {text} (RFC 9113 §3.4)")).passing(None);
        }
        let hint = match error {
            error if error.is_certificate() && trust != Trust::DangerAcceptAny => {
                "; if you trust the authority that signed it, name its PEM file by --cacert; if \
                 you trust any certificate here (for a test), use --insecure"
            }
            error if error.is_retryable() && !error.is_connect() => "; try again",
            _ => "",
        };
        let failure = Self::new(status, format!("{url}: {error}{hint}"));
        if status == TIME || error.is_retryable() && !error.is_certificate() {
            return failure.passing(None);
        }
        failure
    }

    /// An address on which this program cannot listen.
    pub(crate) fn unbound(address: std::net::SocketAddr, error: &io::Error) -> Self {
        let advice = match error.kind() {
            io::ErrorKind::AddrInUse => format!(
                "; another program has port {}: stop it, or choose another port",
                address.port()
            ),
            io::ErrorKind::PermissionDenied => {
                "; ports below 1024 need privileges: choose a higher one".to_owned()
            }
            io::ErrorKind::AddrNotAvailable => {
                "; the address belongs to no interface of this machine".to_owned()
            }
            _ => String::new(),
        };
        Self::local(format!("cannot listen on {address}: {error}{advice}"))
    }

    /// An address without a listener.
    pub(crate) fn unreachable(address: std::net::SocketAddr, error: impl fmt::Display) -> Self {
        Self::new(CONNECT, format!("cannot connect to {address}: {error}"))
    }

    /// A connection or a stream that ended too early.
    pub(crate) fn broken(address: std::net::SocketAddr, error: impl fmt::Display) -> Self {
        Self::new(TRANSPORT, format!("{address}: {error}"))
    }

    /// A server that did not answer in time.
    pub(crate) fn no_answer(url: &http::Uri, after: Duration) -> Self {
        Self::new(TIME, format!("{url}: no answer within {after:?}"))
    }

    /// Ctrl-C came before the first answer.
    pub(crate) fn interrupted(url: &http::Uri) -> Self {
        Self::new(TIME, format!("{url}: no answer before Ctrl-C"))
    }

    /// A response that ended before its body was complete, after so many bytes.
    pub(crate) fn response(url: &http::Uri, received: u64, error: &Error) -> Self {
        let rule = error.rule().map(|rule| rule.to_string());
        let status = match error.initiator() {
            _ if rule.is_some_and(|rule| rule.contains("content-length")) => PARTIAL,
            // The server closed, or its connection broke.
            Initiator::Peer | Initiator::Io if error.is_connection() => PARTIAL,
            _ if !error.is_connection() => STREAM,
            _ => of_connection(error),
        };
        Self::new(
            status,
            format!("{url}: the response body is incomplete after {received} bytes: {error}"),
        )
    }

    /// The reader of the standard output has left (`… | head`): the program
    /// stops, with exit code 0.
    pub(crate) fn unread() -> Self {
        Self::quiet(OK)
    }

    pub(crate) fn is_unread(&self) -> bool {
        self.status == OK
    }

    /// An exit code without a message: the output has already reported the failure.
    pub(crate) fn quiet(status: u8) -> Self {
        Self {
            status,
            message: None,
            passing: Passing::No,
        }
    }

    pub(crate) fn status(&self) -> u8 {
        self.status
    }

    pub(crate) fn message(&self) -> Option<&str> {
        self.message.as_deref()
    }

    pub(crate) fn is_passing(&self) -> bool {
        self.passing != Passing::No
    }

    /// Returns whether the fetch failed, and not the command line or a file of this machine.
    pub(crate) fn is_of_the_fetch(&self) -> bool {
        const OURS: [u8; 8] = [
            OK,
            USAGE,
            LOCAL,
            UNREADABLE,
            REDIRECTS,
            OWN_CERTIFICATE,
            REWIND,
            AUTHORITIES,
        ];
        !OURS.contains(&self.status)
    }

    /// The pause that the server named.
    pub(crate) fn retry_after(&self) -> Option<Duration> {
        match self.passing {
            Passing::After(pause) => Some(pause),
            Passing::No | Passing::Yes => None,
        }
    }
}

fn of_request(error: &ClientError) -> u8 {
    match error {
        ClientError::Request(_) | ClientError::Http1Only { .. } => USAGE,
        // The upload's file cannot be read.
        ClientError::Body(_) => UNREADABLE,
        ClientError::Connect { source, .. } => of_connecting(source),
        ClientError::ConnectTimeout { .. } | ClientError::PingTimeout { .. } => TIME,
        error if error.is_certificate() => CERTIFICATE,
        ClientError::Tls { .. } | ClientError::NotNegotiated { .. } => TLS,
        ClientError::Upgrade(error) if is_timeout(&**error) => TIME,
        ClientError::NotUpgraded { .. } | ClientError::Upgrade(_) => FRAMING,
        error => error.connection().map_or(TRANSPORT, of_connection),
    }
}

/// A name without an address, an address without a listener, or a proxy that makes no tunnel.
fn of_connecting(error: &io::Error) -> u8 {
    let proxy = error.get_ref().and_then(|inner| inner.downcast_ref());
    if let Some(proxy) = proxy {
        let status = match proxy {
            ProxyError::Unreachable { source, .. } => of_connecting(source),
            ProxyError::Insecure { source, .. } => of_request(source),
            ProxyError::Refused { .. } | ProxyError::Broken { .. } => TRANSPORT,
            ProxyError::Socks { .. } => PROXY,
        };
        return match status {
            RESOLVE => RESOLVE_PROXY,
            other => other,
        };
    }
    let inner = error.get_ref();
    match inner.is_some_and(|inner| inner.is::<ResolveError>()) {
        true => RESOLVE,
        false => CONNECT,
    }
}

fn is_timeout(error: &(dyn std::error::Error + Send + Sync + 'static)) -> bool {
    let io = error.downcast_ref::<io::Error>();
    io.is_some_and(|error| error.kind() == io::ErrorKind::TimedOut)
}

/// The server accepted the connection, and then sent nothing.
fn is_silent(error: &ClientError) -> bool {
    let rule = error.connection().and_then(Error::rule);
    rule == Some(Rule::PrefaceTimeout)
}

/// Returns whether this rule bounds a wait.
fn is_wait(rule: Rule) -> bool {
    matches!(
        rule,
        Rule::PrefaceTimeout
            | Rule::HeadersTimeout
            | Rule::SettingsTimeout
            | Rule::KeepAliveTimeout
            | Rule::WriteStall
            | Rule::FrameTimeout
            | Rule::ConnectionStall
    )
}

fn of_connection(error: &Error) -> u8 {
    match error.initiator() {
        _ if error.is_connection() && error.rule().is_some_and(is_wait) => TIME,
        Initiator::Io => TRANSPORT,
        _ if !error.is_connection() => STREAM,
        Initiator::Peer if error.go_away_code().is_none() => EMPTY,
        _ => FRAMING,
    }
}
