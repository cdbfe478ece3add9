//! What is kept of a request, for another try.

#[cfg(feature = "http1")]
use http::Method;
use http::Request;

use crate::{body::RequestBody, link::Rest};

/// The parts of a request that are kept for another try.
#[derive(Debug, Default)]
pub(crate) struct Spare {
    pub(crate) head: Request<()>,
    /// `None` if the body can be read once only.
    pub(crate) body: Option<RequestBody>,
}

/// Whether a request may be sent again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Again {
    /// Its caller keeps nothing, and gets the error.
    Never,
    /// Its parts are kept until the response begins.
    Possible,
}

impl Spare {
    /// Copies a request that something consumes.
    #[cfg(feature = "h2c")]
    pub(crate) fn new(request: &Request<RequestBody>) -> Self {
        let mut head = Request::new(());
        *head.method_mut() = request.method().clone();
        *head.uri_mut() = request.uri().clone();
        *head.version_mut() = request.version();
        *head.headers_mut() = request.headers().clone();
        *head.extensions_mut() = request.extensions().clone();
        Self {
            head,
            body: request.body().replay(),
        }
    }

    /// Returns whether its method is idempotent (RFC 9110 §9.2.2).
    #[cfg(feature = "http1")]
    pub(crate) fn is_idempotent(&self) -> bool {
        let method = self.head.method();
        method.is_safe() || *method == Method::PUT || *method == Method::DELETE
    }

    /// Returns the request again, if all of its parts remain.
    pub(crate) fn restore(self, rest: Rest) -> Option<Request<RequestBody>> {
        match (rest, self.body) {
            (Rest::Whole(request), _) => Some(*request),
            (Rest::Body(body), _) | (Rest::Nothing, Some(body)) => Some(self.head.map(|()| body)),
            (Rest::Nothing, None) => None,
        }
    }
}
