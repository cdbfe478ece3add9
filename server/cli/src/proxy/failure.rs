//! The reasons why the proxy answers a request itself, and what client and log learn of them.

use std::{fmt, io, time::Duration};

use http::{HeaderValue, StatusCode};
use lacewing_client::{ClientError, GivenUp, Initiator, Reason, RequestError, ResolveError, Rule};

/// The name of this proxy in `proxy-status` and `via`.
pub(crate) const PSEUDONYM: &str = "lacewingd";

/// A failure that the client is told of. The log has more: the upstream, and the whole cause.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) kind: Kind,
    /// For the log. It may name addresses.
    pub(crate) cause: String,
}

macro_rules! kinds {
    ($($kind:ident => $status:literal, $error:literal, $text:literal;)*) => {
        /// The kind of a failure: its status, its error type of RFC 9209 §2.3, and one line for the
        /// client, without addresses.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(crate) enum Kind {
            $(#[doc = $text] $kind,)*
        }

        impl Kind {
            #[cfg(test)]
            const ALL: &[Self] = &[$(Self::$kind),*];

            const fn facts(self) -> (u16, &'static str, &'static str) {
                match self {
                    $(Self::$kind => ($status, $error, $text),)*
                }
            }
        }
    };
}

#[rustfmt::skip]
kinds! {
    BadPath          => 400, "http_request_error"              , "The path of the request has a part that servers understand differently.";
    BadRequest       => 400, "http_request_error"              , "The request cannot be forwarded.";
    NotForwarded     => 405, "http_request_denied"             , "This method is not forwarded.";
    Loop             => 508, "proxy_loop_detected"             , "The request went around in a circle.";
    NoRoute          => 404, "destination_not_found"           , "No route leads there.";
    Upload           => 400, "http_request_error"              , "The content of the request ended early, or was not what it declared.";
    Name             => 502, "dns_error"                       , "The upstream's name has no address.";
    Refused          => 502, "connection_refused"              , "The upstream refused the connection.";
    Unreachable      => 502, "destination_ip_unroutable"       , "The upstream could not be reached.";
    ConnectTimeout   => 504, "connection_timeout"              , "The upstream did not accept a connection in time.";
    Tls              => 502, "tls_protocol_error"              , "The upstream's TLS handshake failed.";
    NotNegotiated    => 502, "tls_protocol_error"              , "The upstream speaks none of the protocols that it was offered.";
    Certificate      => 502, "tls_certificate_error"           , "The upstream's certificate is not trusted.";
    CertificateName  => 502, "tls_certificate_error"           , "The upstream's certificate is for another name.";
    Busy             => 503, "connection_limit_reached"        , "Too many requests wait for the upstream.";
    Overloaded       => 503, "destination_unavailable"         , "The upstream refuses further requests for now.";
    Sick             => 503, "destination_unavailable"         , "The upstream's health check failed.";
    NoUpstream       => 503, "destination_unavailable"         , "The route has no upstream.";
    Memory           => 503, "proxy_internal_error"            , "The proxy is short of memory.";
    NotDialled       => 503, "destination_unavailable"         , "The upstream dials in through a tunnel, and is not connected.";
    NoTunnel         => 502, "http_upgrade_failed"             , "The upstream's protocol has no such tunnel.";
    Closed           => 502, "connection_terminated"           , "The upstream closed the connection before its response.";
    Reset            => 502, "connection_terminated"           , "The upstream reset the request before its response.";
    Protocol         => 502, "http_protocol_error"             , "The upstream did not answer in the protocol that it should speak.";
    HeadTooLarge     => 502, "http_response_header_section_size", "The head of the upstream's response is too large.";
    ResponseTimeout  => 504, "http_response_timeout"           , "The upstream did not answer in time.";
}

impl Kind {
    pub(crate) fn status(self) -> StatusCode {
        StatusCode::from_u16(self.facts().0).unwrap_or(StatusCode::BAD_GATEWAY)
    }

    /// One line, without addresses.
    pub(crate) fn explanation(self) -> &'static str {
        self.facts().2
    }

    /// The error type of RFC 9209.
    pub(crate) fn error_type(self) -> &'static str {
        self.facts().1
    }

    /// The value of `proxy-status` (RFC 9209).
    pub(crate) fn proxy_status(self) -> HeaderValue {
        let text = format!("{PSEUDONYM}; error={}", self.error_type());
        HeaderValue::from_str(&text).unwrap_or(HeaderValue::from_static(PSEUDONYM))
    }

    /// Returns whether the upstream is to blame. Then its health suffers.
    pub(crate) fn is_upstreams(self) -> bool {
        !matches!(
            self,
            Self::BadPath
                | Self::BadRequest
                | Self::NotForwarded
                | Self::Loop
                | Self::NoRoute
                | Self::Upload
                | Self::Busy
                | Self::NoUpstream
                | Self::Memory
                | Self::NotDialled
                | Self::NoTunnel
        )
    }
}

/// What follows the failure of an upstream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Then {
    NextUpstream,
    /// The client gets a response that says why.
    Response,
}

impl Failure {
    pub(crate) fn new(kind: Kind, cause: impl Into<String>) -> Self {
        Self {
            kind,
            cause: cause.into(),
        }
    }

    /// No dialler is connected to serve the request.
    pub(crate) fn not_dialled() -> Attempt {
        let cause = "nobody who serves has dialled in (--dial), or the connection is lost";
        Attempt {
            failure: Self::new(Kind::NotDialled, cause),
            unprocessed: true,
        }
    }

    pub(crate) fn response_timeout(after: Duration) -> Self {
        let cause = format!("no response within {after:?} (--proxy-response-timeout)");
        Self::new(Kind::ResponseTimeout, cause)
    }
}

impl From<ClientError> for Failure {
    fn from(error: ClientError) -> Self {
        let kind = match &error {
            ClientError::Connect { source, .. } => of_connect(source),
            ClientError::ConnectTimeout { .. } => Kind::ConnectTimeout,
            ClientError::Tls { source, .. } => match is_of_other_name(source) {
                true => Kind::CertificateName,
                false if error.is_certificate() => Kind::Certificate,
                false => Kind::Tls,
            },
            ClientError::NotNegotiated { .. } => Kind::NotNegotiated,
            ClientError::QueueFull { .. } | ClientError::TooManyStreams { .. } => Kind::Busy,
            ClientError::Body(_) => Kind::Upload,
            ClientError::NotProcessed { why, .. } if *why == GivenUp::Pointless => Kind::Protocol,
            ClientError::NotProcessed { .. } => Kind::Overloaded,
            ClientError::Connection(error) => of_connection(error),
            ClientError::Request(
                RequestError::NoExtendedConnect | RequestError::Unsupported { .. },
            ) => Kind::NoTunnel,
            ClientError::Request(_) => Kind::BadRequest,
            _ => Kind::Protocol,
        };
        Self::new(kind, error.to_string())
    }
}

/// The kind of a connection that was not made.
fn of_connect(error: &io::Error) -> Kind {
    let inner = error.get_ref();
    if inner.is_some_and(|inner| inner.is::<ResolveError>()) {
        return Kind::Name;
    }
    match error.kind() {
        io::ErrorKind::ConnectionRefused => Kind::Refused,
        io::ErrorKind::TimedOut => Kind::ConnectTimeout,
        // A Unix socket that does not exist has nobody who listens.
        io::ErrorKind::NotFound => Kind::Refused,
        _ => Kind::Unreachable,
    }
}

fn is_of_other_name(error: &io::Error) -> bool {
    use rustls::{CertificateError, Error};
    let inner = error.get_ref().and_then(|inner| inner.downcast_ref());
    matches!(
        inner,
        Some(Error::InvalidCertificate(
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. }
        ))
    )
}

/// The kind of a stream or connection that ended.
fn of_connection(error: &lacewing_client::Error) -> Kind {
    if let Some(rule) = error.rule() {
        return of_rule(rule);
    }
    if let Some(error) = error.io_error() {
        return match error.kind() {
            io::ErrorKind::TimedOut => Kind::ResponseTimeout,
            _ => Kind::Closed,
        };
    }
    match (error.initiator(), error.reason()) {
        (Initiator::Peer, Reason::RefusedStream) => Kind::Overloaded,
        (Initiator::Peer, _) if error.is_connection() => Kind::Closed,
        (Initiator::Peer, _) => Kind::Reset,
        _ => Kind::Protocol,
    }
}

/// The kind of a rule that the upstream broke, or a limit of ours that it reached.
fn of_rule(rule: Rule) -> Kind {
    match rule {
        Rule::HeaderListTooLarge | Rule::TooManyHeaderBytes => Kind::HeadTooLarge,
        Rule::PrefaceTimeout
        | Rule::HeadersTimeout
        | Rule::SettingsTimeout
        | Rule::KeepAliveTimeout
        | Rule::FrameTimeout
        | Rule::WriteStall
        | Rule::BodyStall
        | Rule::SendStall
        | Rule::ConnectionStall => Kind::ResponseTimeout,
        Rule::StreamOverBudget | Rule::ConnectionOverBudget | Rule::OverBudget => Kind::Memory,
        Rule::UnexpectedEof => Kind::Closed,
        _ => Kind::Protocol,
    }
}

/// The failure of one attempt.
pub(crate) struct Attempt {
    pub(crate) failure: Failure,
    /// The upstream certainly did not process the request.
    pub(crate) unprocessed: bool,
}

impl From<ClientError> for Attempt {
    fn from(error: ClientError) -> Self {
        Self {
            unprocessed: error.is_retryable() || error.is_connect(),
            failure: error.into(),
        }
    }
}

impl From<Failure> for Attempt {
    fn from(failure: Failure) -> Self {
        Self {
            failure,
            unprocessed: false,
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.cause)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_has_a_status_and_a_reason_without_addresses() {
        for kind in Kind::ALL {
            assert!(kind.explanation().ends_with('.') && kind.status().as_u16() >= 400);
        }
        for (kind, status) in [
            (Kind::Refused, 502),
            (Kind::ConnectTimeout, 504),
            (Kind::ResponseTimeout, 504),
            (Kind::Busy, 503),
            (Kind::NotDialled, 503),
            (Kind::Loop, 508),
        ] {
            assert_eq!(kind.status().as_u16(), status);
            let value = kind.proxy_status();
            assert!(value.to_str().unwrap().starts_with("lacewingd; error="));
        }
    }
}
