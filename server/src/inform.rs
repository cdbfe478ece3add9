//! Informational responses (RFC 9110 §15.2).

use std::{fmt, sync::Arc};

use http::{HeaderMap, Response, StatusCode};
use lacewing_conn::proto::{Head, StreamKey};

use crate::{
    Delivery, InformError,
    commands::{self, Command, Commands},
};

/// Sends informational (1xx) responses ahead of the response of one request. It is an
/// extension of every request of HTTP/2 and SPDY, if the server was built
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
    commands: Arc<Commands>,
    stream: StreamKey,
}

impl Informer {
    pub(crate) fn new(commands: Arc<Commands>, stream: StreamKey) -> Self {
        Self { commands, stream }
    }

    /// Sends an informational response, ahead of the response that the handler
    /// returns. It is on its way at once; the [`Delivery`] need not be awaited.
    ///
    /// The [`Delivery`] returns an [`InformError`] if it cannot be sent.
    pub fn inform(&self, response: Response<()>) -> Delivery<InformError> {
        let (parts, ()) = response.into_parts();
        let status = parts.status;
        // 101 has no meaning outside of HTTP/1.1 (RFC 9113 §8.6).
        if !status.is_informational() || status == StatusCode::SWITCHING_PROTOCOLS {
            return Delivery::failed(InformError::NotInterim { status });
        }
        let head = Head {
            fields: parts.headers,
            ..Head::response(status)
        };
        let stream = self.stream;
        commands::send(&self.commands, InformError::Busy, |report| {
            Command::Inform {
                stream,
                head,
                report,
            }
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
