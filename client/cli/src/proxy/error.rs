//! The reasons why a proxy makes no tunnel.

use std::{fmt, io};

use http::StatusCode;
use lacewing_client::ClientError;

/// A proxy that makes no tunnel.
#[derive(Debug)]
pub(crate) enum ProxyError {
    /// The proxy's name has no address, or no connection was made.
    Unreachable { proxy: String, source: io::Error },
    /// No connection with TLS.
    Insecure { proxy: String, source: ClientError },
    /// The proxy answered so.
    Refused {
        proxy: String,
        status: StatusCode,
        login: Login,
    },
    /// The exchange with the proxy broke.
    Broken { proxy: String, source: hyper::Error },
    /// The same in SOCKS, or its refusal.
    Socks {
        proxy: String,
        source: tokio_socks::Error,
        login: Login,
    },
}

/// What a proxy got of us.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Login {
    Given,
    Missing,
}

impl Login {
    pub(super) fn of<T>(credentials: Option<&T>) -> Self {
        match credentials {
            Some(_) => Self::Given,
            None => Self::Missing,
        }
    }

    /// What to do after a refusal.
    fn advice(self) -> &'static str {
        match self {
            Self::Given => {
                "; it does not accept this name and password: correct them (--proxy-user, or in \
                 the URL of the proxy)"
            }
            Self::Missing => "; give a name and a password by --proxy-user",
        }
    }
}

impl ProxyError {
    /// The error of the proxy behind that of a client.
    pub(crate) fn of(error: &ClientError) -> Option<&Self> {
        match error {
            ClientError::Connect { source, .. } => source.get_ref()?.downcast_ref(),
            _ => None,
        }
    }

    /// Returns whether the proxy refuses tunnels, and not us.
    pub(crate) fn is_refusal(&self) -> bool {
        let unauthorized = StatusCode::PROXY_AUTHENTICATION_REQUIRED;
        matches!(self, Self::Refused { status, .. } if *status != unauthorized)
    }
}

impl fmt::Display for ProxyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreachable { proxy, source } => {
                write!(f, "the proxy {proxy} cannot be reached: {source}")
            }
            Self::Insecure { proxy, source } => {
                write!(f, "the proxy {proxy} cannot be reached: {source}")?;
                match source.is_certificate() {
                    true => f.write_str("; --proxy-cacert names the authority that signed it"),
                    false => Ok(()),
                }
            }
            Self::Refused {
                proxy,
                status,
                login,
            } => {
                write!(f, "the proxy {proxy} makes no tunnel: it answered {status}")?;
                match status.as_u16() {
                    407 => f.write_str(login.advice()),
                    _ => Ok(()),
                }
            }
            Self::Broken { proxy, source } => {
                write!(f, "the proxy {proxy} did not answer to CONNECT: {source}")
            }
            Self::Socks {
                proxy,
                source,
                login,
            } => {
                write!(f, "the proxy {proxy} makes no tunnel by SOCKS: {source}")?;
                match source {
                    tokio_socks::Error::NoAcceptableAuthMethods
                    | tokio_socks::Error::PasswordAuthFailure(_) => f.write_str(login.advice()),
                    _ => Ok(()),
                }
            }
        }
    }
}

impl std::error::Error for ProxyError {}

impl From<ProxyError> for io::Error {
    fn from(error: ProxyError) -> Self {
        Self::other(error)
    }
}
