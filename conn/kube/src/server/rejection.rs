//! The refusal of a request.

use std::fmt;

use http::{HeaderMap, HeaderValue, Response, StatusCode, header};

/// A response that refuses a request, with a text that kubectl prints.
///
/// ```
/// use http::StatusCode;
/// use lacewing_kube::server::Rejection;
///
/// let rejection = Rejection::new(StatusCode::NOT_FOUND, "no such container");
/// let response: http::Response<String> = rejection.into_response();
/// assert_eq!(response.body(), "no such container\n");
/// ```
#[derive(Clone, Debug)]
pub struct Rejection {
    status: StatusCode,
    headers: Box<HeaderMap>,
    text: String,
}

impl Rejection {
    /// Creates a refusal with a line of text.
    pub fn new(status: StatusCode, text: impl Into<String>) -> Self {
        Self {
            status,
            headers: Box::default(),
            text: text.into(),
        }
    }

    /// Adds a header field.
    #[must_use]
    pub fn with_header(mut self, name: header::HeaderName, value: HeaderValue) -> Self {
        self.headers.append(name, value);
        self
    }

    /// Returns the status.
    pub fn status(&self) -> StatusCode {
        self.status
    }

    /// Returns the header fields, without those that describe the content.
    pub fn headers(&self) -> &HeaderMap {
        &self.headers
    }

    /// Returns the text.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Returns the response. The body may be of any type that a text converts to, such
    /// as `axum::body::Body` and `http_body_util::Full<Bytes>`.
    pub fn into_response<B: From<String>>(self) -> Response<B> {
        let mut text = self.text;
        text.push('\n');
        let mut response = Response::new(B::from(text));
        *response.status_mut() = self.status;
        *response.headers_mut() = *self.headers;
        let headers = response.headers_mut();
        let plain = HeaderValue::from_static("text/plain; charset=utf-8");
        headers.insert(header::CONTENT_TYPE, plain);
        let nosniff = HeaderValue::from_static("nosniff");
        headers.insert(header::X_CONTENT_TYPE_OPTIONS, nosniff);
        response
    }
}

impl fmt::Display for Rejection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "refused with {}: {}", self.status, self.text)
    }
}

impl std::error::Error for Rejection {}
