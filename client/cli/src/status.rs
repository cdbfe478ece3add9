//! Exit codes, and the failures behind them.

use std::fmt;

use lacewing_client::{ClientError, Trust};

pub(crate) const OK: u8 = 0;
pub(crate) const USAGE: u8 = 1;
pub(crate) const CONNECT: u8 = 2;
pub(crate) const PROTOCOL: u8 = 3;
pub(crate) const HTTP: u8 = 4;
pub(crate) const LOCAL: u8 = 5;
/// `lacewing load`: too many requests failed.
pub(crate) const LOAD_FAILED: u8 = 2;
/// `lacewing load`: a threshold does not hold. k6 uses the same code.
pub(crate) const LOAD_THRESHOLD: u8 = 99;

/// The codes, for `--help`.
pub(crate) const HELP: &str = "\
Exit codes:
  0  every URL was fetched
  1  usage: the command line is wrong, or a URL cannot be requested
  2  connect: no address, no answer, TLS failed, or no common protocol
  3  protocol: the connection or a stream ended before its response was complete
  4  HTTP: a response has a status of 400 or above (its body is still written)
  5  local: a file cannot be read or written
With several URLs the code is that of the first failure.";

/// The reason for an exit code, usually other than 0.
#[derive(Debug)]
pub(crate) struct Failure {
    status: u8,
    message: Option<String>,
}

impl Failure {
    /// An error on the command line.
    pub(crate) fn usage(message: impl fmt::Display) -> Self {
        Self {
            status: USAGE,
            message: Some(message.to_string()),
        }
    }

    /// An error of a file or of the local system.
    pub(crate) fn local(message: impl fmt::Display) -> Self {
        Self {
            status: LOCAL,
            message: Some(message.to_string()),
        }
    }

    /// A response with a status of 400 or above.
    pub(crate) fn http(url: &http::Uri, status: http::StatusCode) -> Self {
        Self {
            status: HTTP,
            message: Some(format!("{url}: the server answered {status}")),
        }
    }

    /// A request without a response.
    pub(crate) fn request(url: &http::Uri, error: &ClientError, trust: Trust) -> Self {
        let (status, hint) = match error {
            ClientError::Request(_) => (USAGE, ""),
            // The upload's file cannot be read.
            ClientError::Body(_) => (LOCAL, ""),
            error if error.is_certificate() && trust != Trust::DangerAcceptAny => (
                CONNECT,
                "; if you trust the authority that signed it, name its PEM file by --cacert; if \
                 you trust any certificate here (for a test), use --insecure",
            ),
            error if error.is_connect() => (CONNECT, ""),
            error if error.is_retryable() => (PROTOCOL, "; try again"),
            _ => (PROTOCOL, ""),
        };
        Self {
            status,
            message: Some(format!("{url}: {error}{hint}")),
        }
    }

    /// A response that ended before its body was complete.
    pub(crate) fn response(url: &http::Uri, error: &lacewing_client::Error) -> Self {
        let message = format!("{url}: the response body is incomplete: {error}");
        Self {
            status: PROTOCOL,
            message: Some(message),
        }
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
        }
    }

    pub(crate) fn status(&self) -> u8 {
        self.status
    }

    pub(crate) fn message(&self) -> Option<&str> {
        self.message.as_deref()
    }
}
