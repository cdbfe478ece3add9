//! The facts of a request that its line in the log may have.

use std::time::{Duration, Instant};

use http::{
    HeaderMap, HeaderValue, Method, Request, Response, StatusCode, Uri,
    header::{CONTENT_LENGTH, HOST, REFERER, USER_AGENT},
};
use http_body::Body;
use lacewing_server::{ConnectionInfo, RequestBody};

use super::Format;

/// The reason of an error response, which is added to its extensions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Reason(pub(crate) &'static str);

/// The facts of a request and its response.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) connection: Option<ConnectionInfo>,
    pub(super) method: Method,
    pub(super) uri: Uri,
    /// For the formats that have them.
    pub(super) fields: Option<Box<Fields>>,
    /// `None` if the request ended without a response.
    pub(super) status: Option<StatusCode>,
    pub(super) reason: Option<Reason>,
    pub(super) bytes: u64,
    /// The length of the body, if it is known.
    pub(super) expected: Option<u64>,
    pub(super) start: Instant,
    /// The response is complete.
    pub(super) whole: bool,
}

/// Fields of the request.
#[derive(Debug)]
pub(super) struct Fields {
    pub(super) host: Option<HeaderValue>,
    pub(super) referer: Option<HeaderValue>,
    pub(super) user_agent: Option<HeaderValue>,
}

impl Fields {
    fn of(fields: &HeaderMap) -> Self {
        Self {
            host: fields.get(HOST).cloned(),
            referer: fields.get(REFERER).cloned(),
            user_agent: fields.get(USER_AGENT).cloned(),
        }
    }
}

impl Entry {
    pub(super) fn of(request: &Request<RequestBody>, format: Format) -> Self {
        let fields = || Box::new(Fields::of(request.headers()));
        Self {
            connection: request.body().connection().cloned(),
            method: request.method().clone(),
            uri: request.uri().clone(),
            fields: (format != Format::Text).then(fields),
            status: None,
            reason: None,
            bytes: 0,
            expected: None,
            start: Instant::now(),
            whole: false,
        }
    }

    pub(super) fn answered<B: Body>(&mut self, response: &Response<B>) {
        self.status = Some(response.status());
        self.reason = response.extensions().get().copied();
        let declared = response.headers().get(CONTENT_LENGTH);
        self.expected = declared
            .and_then(|length| length.to_str().ok()?.parse().ok())
            .or(response.body().size_hint().exact());
        let empty = self.expected == Some(0) || response.body().is_end_stream();
        self.whole = empty || self.method == Method::HEAD;
    }

    pub(super) fn path(&self) -> &str {
        self.uri.path_and_query().map_or("/", |path| path.as_str())
    }

    /// The host that the client asked for.
    pub(super) fn host(&self) -> Option<&[u8]> {
        let authority = self.uri.authority().map(|host| host.as_str().as_bytes());
        let field = self.fields.as_ref()?.host.as_ref();
        authority.or(field.map(HeaderValue::as_bytes))
    }

    pub(super) fn took(&self, now: Instant) -> Duration {
        now.saturating_duration_since(self.start)
    }
}
