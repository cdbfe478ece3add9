//! Interim responses (RFC 9110 §15.2).

use std::{fmt, sync::Arc};

use http::{HeaderMap, Response, StatusCode};
use lacewing_conn::proto::{Head, StreamKey, UsageError};

use crate::{
    Delivery,
    intents::{Gone, Intent, Intents},
};

/// Sends interim (1xx) responses ahead of the response of one request. In the
/// extensions of every request of HTTP/2 and SPDY, if the server was built
/// [with it](crate::ServerOptions::informer).
///
/// `100 Continue` needs none: it is sent when the handler asks for the body of
/// a request that expects it.
///
/// ```
/// use http::{HeaderMap, HeaderValue, Request, Response, header::LINK};
/// use lacewing_server::{BoxError, RequestBody, Informer};
///
/// async fn page(request: Request<RequestBody>) -> Result<Response<String>, BoxError> {
///     if let Some(informer) = request.extensions().get::<Informer>() {
///         let mut fields = HeaderMap::new();
///         fields.insert(LINK, HeaderValue::from_static("</style.css>; rel=preload; as=style"));
///         informer.early_hints(fields);
///     }
///     // Now what takes long.
///     Ok(Response::new(String::from("<link rel=stylesheet href=/style.css>")))
/// }
/// # let _ = page;
/// ```
#[derive(Clone)]
pub struct Informer {
    intents: Arc<Intents>,
    stream: StreamKey,
}

impl Informer {
    pub(crate) fn new(intents: Arc<Intents>, stream: StreamKey) -> Self {
        Self { intents, stream }
    }

    /// Sends an interim response. It leaves before the response that the
    /// handler gives afterwards; it is on its way at once, and what this
    /// returns need not be awaited.
    ///
    /// The [`Delivery`] gives an [`InformError`] if it cannot be sent.
    pub fn inform(&self, response: Response<()>) -> Delivery<InformError> {
        let (parts, ()) = response.into_parts();
        let status = parts.status;
        // 101 means nothing outside of HTTP/1.1 (RFC 9113 §8.6).
        if !status.is_informational() || status == StatusCode::SWITCHING_PROTOCOLS {
            return Delivery::failed(InformError::NotInterim { status });
        }
        let head = Head {
            fields: parts.headers,
            ..Head::response(status)
        };
        let stream = self.stream;
        Delivery::send(&self.intents, InformError::Busy, |tell| Intent::Inform {
            stream,
            head,
            tell,
        })
    }

    /// Sends `103 Early Hints` (RFC 8297): header fields, usually of `link`,
    /// that the response will most likely have.
    pub fn early_hints(&self, fields: HeaderMap) -> Delivery<InformError> {
        let mut response = Response::new(());
        *response.status_mut() = StatusCode::EARLY_HINTS;
        *response.headers_mut() = fields;
        self.inform(response)
    }
}

impl fmt::Debug for Informer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Informer")
            .field("stream", &self.stream.id().value())
            .finish_non_exhaustive()
    }
}

/// Why an interim response was not sent.
///
/// ```
/// use lacewing_server::InformError;
///
/// assert!(InformError::Unsupported.to_string().contains("SPDY"));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum InformError {
    /// The response was sent already.
    AlreadyReplied,
    /// SPDY has no interim responses.
    Unsupported,
    /// The stream or its connection is gone.
    Gone,
    /// The status is not an interim one, or 101, which only HTTP/1.1 has.
    NotInterim {
        /// The status in question.
        status: StatusCode,
    },
    /// The client does not read, or handlers want more at once than the
    /// connection keeps up with: wait and try again, or leave it out.
    Busy,
    /// The header fields are not for an interim response, or too large.
    Malformed,
}

impl From<UsageError> for InformError {
    fn from(error: UsageError) -> Self {
        match error {
            UsageError::AlreadyReplied => Self::AlreadyReplied,
            UsageError::Unsupported => Self::Unsupported,
            UsageError::StreamClosed | UsageError::HalfClosed => Self::Gone,
            _ => Self::Malformed,
        }
    }
}

impl Gone for InformError {
    fn gone() -> Self {
        Self::Gone
    }
}

impl fmt::Display for InformError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::AlreadyReplied => "too late: the response was sent",
            Self::Unsupported => "SPDY has no interim responses",
            Self::Gone => "the stream is gone",
            Self::NotInterim { status } => {
                return write!(f, "{status} is no interim status of this protocol");
            }
            Self::Busy => "too many interim responses wait for a client that does not read",
            Self::Malformed => "the header fields cannot be sent in an interim response",
        })
    }
}

impl std::error::Error for InformError {}
