//! The errors of requests.

use std::{fmt, io, sync::Arc, time::Duration};

use lacewing_conn::{Reason, Version};

#[cfg(any(feature = "tls", feature = "npn"))]
use crate::Origin;
use crate::tls_failure::{TlsFailure, tls_failure};

/// The error of a request without a response. A response with a status of 400 or above is
/// not an error. Cheap to clone: requests that wait for one connection see the
/// same one.
///
/// ```
/// use lacewing_client::{ClientError, Version};
///
/// let error = ClientError::NotNegotiated { offered: vec![Version::Http2], got: None };
/// assert!(!error.is_retryable());
/// assert!(error.to_string().contains("offered h2"));
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum ClientError {
    /// The request cannot be sent as it is, on any connection of this kind.
    Request(RequestError),
    /// No transport to the origin: its name does not resolve, or no address accepts a connection.
    Connect {
        /// The origin, as `scheme://authority`.
        origin: String,
        /// The error of the operating system. If several addresses were tried, its inner
        /// error is [`AddressErrors`](crate::AddressErrors).
        source: Arc<io::Error>,
    },
    /// The transport, its TLS handshake included, was not ready in time.
    ConnectTimeout {
        /// The origin, as `scheme://authority`.
        origin: String,
        /// The limit: `connect_timeout` of the builder.
        after: Duration,
    },
    /// The TLS handshake failed.
    Tls {
        /// The origin, as `scheme://authority`.
        origin: String,
        /// The error of the TLS library.
        source: Arc<io::Error>,
    },
    /// The server agreed on none of the protocols that were offered by ALPN
    /// (or NPN).
    NotNegotiated {
        /// The protocols offered, first choice first.
        offered: Vec<Version>,
        /// The protocol that the server selected instead. `None` if it answered without ALPN, as
        /// servers do that speak only HTTP/1.1.
        got: Option<String>,
    },
    /// The server speaks HTTP/1.1, which has no [`Connection`](crate::Connection) for parallel
    /// requests. Make them with [`Client::request`](crate::Client::request).
    Http1Only {
        /// The origin, as `scheme://authority`.
        origin: String,
    },
    /// As many requests wait for a stream as the client permits.
    QueueFull {
        /// The limit: `max_queued` of [`ClientOptions`](crate::ClientOptions).
        limit: usize,
    },
    /// As many streams are open as the server allows, and the client does not
    /// wait for one: [`Concurrency::Fail`](crate::Concurrency::Fail).
    TooManyStreams {
        /// Streams that are open, or about to be.
        open: usize,
        /// The number that the server permits.
        max: usize,
    },
    /// The server answered a CONNECT request with a status that is not 2xx.
    TunnelRefused {
        /// The server's response.
        response: Arc<http::Response<()>>,
    },
    /// The server answered an `Upgrade: h2c` request in HTTP/1.1.
    /// It may have processed the request.
    NotUpgraded {
        /// The status of its answer.
        status: http::StatusCode,
    },
    /// The transport ended, or something else than HTTP arrived, before the server
    /// answered a request to switch to HTTP/2. After a timeout, it is an [`io::Error`] of the kind
    /// `TimedOut`.
    Upgrade(Arc<dyn std::error::Error + Send + Sync>),
    /// The server did not answer a PING in time.
    PingTimeout {
        /// The time given.
        after: Duration,
    },
    /// The future of a response was polled again after it had returned its outcome.
    AlreadyReturned,
    /// The request's own body failed; the stream was reset.
    Body(Arc<dyn std::error::Error + Send + Sync>),
    /// The stream or its connection ended before the response arrived.
    Connection(lacewing_conn::Error),
    /// The server did not process the request, and the client does not send it
    /// again.
    NotProcessed {
        /// The number of tries.
        tries: u32,
        /// The reason why it is not sent again.
        why: GivenUp,
        /// The error of the last try.
        source: lacewing_conn::Error,
    },
}

/// The reason for which the client does not send an unprocessed request again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum GivenUp {
    /// `max_retries` of the builder.
    TriesSpent,
    /// More of its body was sent than the client keeps: `replay_limit` of the builder.
    BodySpent,
    /// It would end the same: the server requires HTTP/1.1, or better TLS.
    Pointless,
}

/// The error of a request that cannot be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RequestError {
    /// The URI has no host to connect to.
    NoHost,
    /// The URI's scheme is neither `http` nor `https`.
    Scheme {
        /// The scheme given.
        scheme: String,
    },
    /// The URI's authority has a user name or password in it.
    Userinfo,
    /// The URI's port is no number from 0 to 65535.
    Port {
        /// The port given.
        port: String,
    },
    /// Its `host` field is no authority (RFC 3986 §3.2) with a host and without user information.
    InvalidHost {
        /// Its value.
        host: String,
    },
    /// It has more than one `host` field.
    SeveralHosts,
    /// A field that cannot be sent, and would have to be left out.
    ForbiddenField {
        /// The field.
        name: http::HeaderName,
        /// The reason why it cannot be sent, and the remedy.
        why: &'static str,
    },
    /// Its `content-length` is no number, or there are several that differ.
    InvalidContentLength,
    /// Its `content-length` is not the length of its body.
    ContentLength {
        /// The bytes that `content-length` declares.
        declared: u64,
        /// The bytes that the body has.
        length: u64,
    },
    /// CONNECT to a path, without a [`ConnectProtocol`](crate::ConnectProtocol):
    /// plain CONNECT names only a host and a port.
    ConnectToPath,
    /// A [`ConnectProtocol`](crate::ConnectProtocol) with another method than CONNECT.
    ProtocolWithoutConnect,
    /// `http` without a protocol: without TLS there is no negotiation.
    NoCleartextProtocol,
    /// `https` in a client that was built without the feature `tls`.
    NoTls,
    /// The server does not accept extended CONNECT requests (RFC 8441 §3), or
    /// has not spoken before the connection ended.
    NoExtendedConnect,
    /// HTTP/1.1, which the server chose, cannot express the request.
    NotInHttp1 {
        /// The missing capability, and the remedy.
        what: &'static str,
    },
    /// The connection's protocol cannot express the request, or forbids it.
    Unsupported {
        /// The protocol of the connection.
        version: Version,
        /// The missing capability.
        what: String,
    },
}

impl ClientError {
    /// The TLS handshake with an origin failed.
    #[cfg(any(feature = "tls", feature = "npn"))]
    pub(crate) fn tls(origin: &Origin, error: io::Error) -> Self {
        Self::Tls {
            origin: origin.to_string(),
            source: Arc::new(error),
        }
    }

    /// The server `chose` none of the offered protocols.
    #[cfg(any(feature = "tls", feature = "npn"))]
    pub(crate) fn not_negotiated(offered: &[Version], chose: Option<&[u8]>) -> Self {
        Self::NotNegotiated {
            offered: offered.to_vec(),
            got: chose.map(|name| name.escape_ascii().to_string()),
        }
    }

    /// Returns `true` if the server certainly did not process the request, and another attempt may
    /// succeed: it may be made again, with any method. `false` also if the server requires HTTP/1.1 or
    /// better TLS, since this client cannot give it that.
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::Connect { .. }
            | Self::ConnectTimeout { .. }
            | Self::Tls { .. }
            | Self::QueueFull { .. }
            | Self::TooManyStreams { .. } => true,
            // Not by this client.
            Self::Connection(error) => error.is_retryable() && !is_pointless(error),
            Self::NotProcessed { why, .. } => *why != GivenUp::Pointless,
            Self::Request(_)
            | Self::NotNegotiated { .. }
            | Self::Http1Only { .. }
            | Self::TunnelRefused { .. }
            | Self::NotUpgraded { .. }
            | Self::Upgrade(_)
            | Self::PingTimeout { .. }
            | Self::AlreadyReturned
            | Self::Body(_) => false,
        }
    }

    /// Returns whether no connection was made.
    pub fn is_connect(&self) -> bool {
        matches!(
            self,
            Self::Connect { .. }
                | Self::ConnectTimeout { .. }
                | Self::Tls { .. }
                | Self::NotNegotiated { .. }
                | Self::Http1Only { .. }
                | Self::NotUpgraded { .. }
                | Self::Upgrade(_)
        )
    }

    /// Returns whether the TLS handshake failed on the server's certificate: it is
    /// not trusted, not for this name, or not valid now.
    pub fn is_certificate(&self) -> bool {
        match self {
            Self::Tls { source, .. } => matches!(
                tls_failure(source),
                TlsFailure::Certificate | TlsFailure::Authority
            ),
            _ => false,
        }
    }

    /// Returns the error of the stream or connection, if that ended the request.
    pub fn connection(&self) -> Option<&lacewing_conn::Error> {
        match self {
            Self::Connection(error) | Self::NotProcessed { source: error, .. } => Some(error),
            _ => None,
        }
    }
}

/// The server requires what this client does not have.
pub(crate) fn is_pointless(error: &lacewing_conn::Error) -> bool {
    advice(error.reason()).is_some()
}

/// Advice for an error code that needs it.
fn advice(reason: Reason) -> Option<&'static str> {
    match reason {
        Reason::Http11Required => Some(
            "the server requires HTTP/1.1 for this; use a client that speaks it (`http1`), and \
             content that can be sent again",
        ),
        Reason::InadequateSecurity => Some(
            "the server requires better TLS; offer TLS 1.2 or later with AEAD ciphers \
             (RFC 9113 §9.2)",
        ),
        _ => None,
    }
}

const ALREADY_RETURNED: &str =
    "the future of this response has returned its outcome already; poll it no more, or fuse it";

/// The remedy for a failed handshake.
fn tls_advice(error: &io::Error) -> &'static str {
    match tls_failure(error) {
        TlsFailure::NotTls => {
            "; the server does not speak TLS on this port: begin the URL with http (and name the \
             protocol that it speaks there), or use its port with TLS"
        }
        TlsFailure::Closed => {
            "; the server closed the connection during the handshake: if it does not speak TLS on \
             this port, begin the URL with http; else it may require other versions or a client \
             certificate"
        }
        TlsFailure::Authority => {
            "; the server's own certificate is that of an authority (CA:TRUE): make it one with \
             basicConstraints=CA:FALSE"
        }
        TlsFailure::Certificate | TlsFailure::Other => "",
    }
}

impl fmt::Display for ClientError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Request(error) => write!(f, "the request cannot be sent: {error}"),
            Self::Connect { origin, source } => write!(f, "cannot connect to {origin}: {source}"),
            Self::ConnectTimeout { origin, after } => write!(
                f,
                "cannot connect to {origin}: not ready within {after:?} (connect_timeout)"
            ),
            Self::Tls { origin, source } => {
                write!(f, "TLS handshake with {origin} failed: {source}")?;
                f.write_str(tls_advice(source))
            }
            Self::NotNegotiated { offered, got } => {
                f.write_str("the server accepted none of the protocols: offered ")?;
                for (index, version) in offered.iter().enumerate() {
                    let separator = if index == 0 { "" } else { ", " };
                    write!(f, "{separator}{version}")?;
                }
                match got {
                    Some(got) => write!(f, "; it chose {got}"),
                    None => f.write_str(
                        "; it chose none, as servers do that speak only HTTP/1.1, which this client was \
                         not told to speak (feature http1)",
                    ),
                }
            }
            Self::Http1Only { origin } => write!(
                f,
                "{origin} speaks HTTP/1.1: it has no connection for parallel requests; make them with \
                 Client::request"
            ),
            Self::QueueFull { limit } => write!(
                f,
                "{limit} requests already wait for a stream (max_queued); send fewer at once, or \
                 raise this limit"
            ),
            Self::TooManyStreams { open, max } => write!(
                f,
                "{open} streams are open and the server allows {max} at once (Concurrency::Fail); \
                 wait until one ends"
            ),
            Self::TunnelRefused { response } => {
                write!(f, "the server refused the tunnel: {}", response.status())
            }
            Self::NotUpgraded { status } => write!(
                f,
                "the server did not switch to h2c: it answered {status} in HTTP/1.1; ask it without \
                 the upgrade"
            ),
            Self::Upgrade(error) => write!(f, "the upgrade to h2c failed: {error}"),
            Self::PingTimeout { after } => {
                write!(f, "the server did not answer a PING within {after:?}")
            }
            Self::AlreadyReturned => f.write_str(ALREADY_RETURNED),
            Self::Body(error) => write!(f, "the request's body failed: {error}"),
            Self::Connection(error) => {
                error.fmt(f)?;
                match advice(error.reason()) {
                    Some(advice) => write!(f, "; {advice}"),
                    None if error.is_retryable() => {
                        f.write_str("; the server did not process the request")
                    }
                    None => Ok(()),
                }
            }
            Self::NotProcessed { tries, why, source } => {
                let times = if *tries == 1 { "try" } else { "tries" };
                write!(
                    f,
                    "the server did not process the request in {tries} {times}; the last: {source}"
                )?;
                match advice(source.reason()) {
                    Some(advice) => write!(f, "; {advice}"),
                    None => write!(f, "; {why}"),
                }
            }
        }
    }
}

impl std::error::Error for ClientError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Request(error) => Some(error),
            Self::Connect { source, .. } | Self::Tls { source, .. } => Some(&**source),
            Self::Body(error) | Self::Upgrade(error) => Some(&**error),
            Self::Connection(error) | Self::NotProcessed { source: error, .. } => Some(error),
            Self::ConnectTimeout { .. }
            | Self::NotNegotiated { .. }
            | Self::Http1Only { .. }
            | Self::QueueFull { .. }
            | Self::TooManyStreams { .. }
            | Self::TunnelRefused { .. }
            | Self::NotUpgraded { .. }
            | Self::PingTimeout { .. }
            | Self::AlreadyReturned => None,
        }
    }
}

impl fmt::Display for GivenUp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::TriesSpent => "it is not tried again (max_retries)",
            Self::BodySpent => {
                "it cannot be sent again, as more of its body was sent than the client keeps \
                 (replay_limit)"
            }
            Self::Pointless => "another try would fail in the same way",
        })
    }
}

impl From<lacewing_conn::Error> for ClientError {
    fn from(error: lacewing_conn::Error) -> Self {
        Self::Connection(error)
    }
}

impl From<RequestError> for ClientError {
    fn from(error: RequestError) -> Self {
        Self::Request(error)
    }
}

impl fmt::Display for RequestError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoHost => {
                f.write_str("its URI names no host; give an absolute one, such as https://example.org/")
            }
            Self::Scheme { scheme } => {
                write!(
                    f,
                    "its URI's scheme is {scheme}; this client connects to http and https"
                )
            }
            Self::Userinfo => f.write_str(
                "its URI has a user name or password (RFC 9110 §4.2.4); use the authorization \
                 field",
            ),
            Self::Port { port } => write!(
                f,
                "its URI's port is {port}; a port is a number, at most 65535"
            ),
            Self::InvalidHost { host } => write!(
                f,
                "its host field is {host:?}; it must be a host, with or without a port"
            ),
            Self::SeveralHosts => f.write_str("it has more than one host field; keep only one"),
            Self::ForbiddenField { name, why } => {
                write!(f, "its field {name} cannot be sent: {why}")
            }
            Self::InvalidContentLength => {
                f.write_str("its content-length is not a number, or its values differ; leave it out")
            }
            Self::ContentLength { declared, length } => write!(
                f,
                "its content-length is {declared}, but its body has {length} bytes; leave the field out"
            ),
            Self::ConnectToPath => f.write_str(
                "it is a CONNECT to a path, which needs a ConnectProtocol (RFC 8441); without one, \
                 give the host alone",
            ),
            Self::ProtocolWithoutConnect => {
                f.write_str("it has a ConnectProtocol, which needs the method CONNECT (RFC 8441)")
            }
            Self::NoCleartextProtocol => f.write_str(
                "its URI is http, where no protocol can be negotiated; name one with \
                 cleartext_protocol of the builder, or allow HTTP/1.1 with http1",
            ),
            Self::NoTls => {
                f.write_str("its URI is https, and this build has no TLS; turn on the feature tls")
            }
            Self::NoExtendedConnect => f.write_str(
                "its ConnectProtocol needs extended CONNECT (RFC 8441), which the server does not offer",
            ),
            Self::NotInHttp1 { what } => {
                write!(f, "the server speaks HTTP/1.1, which does not allow it: {what}")
            }
            Self::Unsupported { version, what } => write!(f, "{version} does not allow it: {what}"),
        }
    }
}

impl std::error::Error for RequestError {}

#[cfg(test)]
mod tests {
    use lacewing_conn::Initiator;

    use super::*;

    #[test]
    fn only_what_was_not_processed_is_retryable() {
        let refused = lacewing_conn::Error::reset(Initiator::Peer, Reason::RefusedStream);
        assert!(ClientError::from(refused).is_retryable());
        let cancelled = lacewing_conn::Error::reset(Initiator::Peer, Reason::Cancel);
        assert!(!ClientError::from(cancelled).is_retryable());
        assert!(!ClientError::Body(crate::BoxError::from("disk on fire").into()).is_retryable());
    }

    #[test]
    fn what_was_offered_and_chosen_is_in_the_text() {
        let error = ClientError::NotNegotiated {
            offered: vec![Version::Http2, Version::Spdy31],
            got: Some("http/1.1".into()),
        };
        let text = error.to_string();
        assert!(text.contains("offered h2, spdy/3.1"), "{text}");
        assert!(text.contains("chose http/1.1"), "{text}");
    }
}
