//! Exit codes, and the failures behind them.

use std::fmt;

use lacewing_client::{ClientError, Trust};

pub(crate) const OK: u8 = 0;
pub(crate) const USAGE: u8 = 1;
pub(crate) const CONNECT: u8 = 2;
pub(crate) const PROTOCOL: u8 = 3;
pub(crate) const HTTP: u8 = 4;
pub(crate) const LOCAL: u8 = 5;

/// The codes, for `--help`.
pub(crate) const HELP: &str = "\
Exit codes:
  0  every URL was fetched
  1  usage: the command line makes no sense, or a URL cannot be requested
  2  connect: no address, no answer, TLS failed, or no protocol in common
  3  protocol: the connection or a stream ended before its response did
  4  HTTP: a response had a status of 400 or above (its body is still written)
  5  local: a file could not be read or written
With several URLs the code is that of the first that failed.";

/// Why the program ends with a code other than 0.
#[derive(Debug)]
pub(crate) struct Failure {
    status: u8,
    message: Option<String>,
}

impl Failure {
    /// A mistake on the command line.
    pub(crate) fn usage(message: impl fmt::Display) -> Self {
        Self {
            status: USAGE,
            message: Some(message.to_string()),
        }
    }

    /// A file, or another thing of this machine.
    pub(crate) fn local(message: impl fmt::Display) -> Self {
        Self {
            status: LOCAL,
            message: Some(message.to_string()),
        }
    }

    /// A status of 400 or above.
    pub(crate) fn http(url: &http::Uri, status: http::StatusCode) -> Self {
        Self {
            status: HTTP,
            message: Some(format!("{url}: the server answered {status}")),
        }
    }

    /// No response.
    pub(crate) fn request(url: &http::Uri, error: &ClientError, trust: Trust) -> Self {
        let (status, hint) = match error {
            ClientError::Request(_) => (USAGE, ""),
            // What failed is a file that was to be uploaded.
            ClientError::Body(_) => (LOCAL, ""),
            error if error.is_certificate() && trust != Trust::Anyone => (
                CONNECT,
                "; if you trust this server anyway (its certificate is self-signed), \
                           use --insecure",
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

    /// A response that ended early.
    pub(crate) fn response(url: &http::Uri, error: &lacewing_client::Error) -> Self {
        let message = format!("{url}: the response's body is not complete: {error}");
        Self {
            status: PROTOCOL,
            message: Some(message),
        }
    }

    /// Nobody reads the standard output any more: not a failure at all, but an
    /// end.
    pub(crate) fn unread() -> Self {
        Self::quiet(OK)
    }

    pub(crate) fn is_unread(&self) -> bool {
        self.status == OK
    }

    /// All was said already.
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
