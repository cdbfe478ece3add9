//! Responses ahead of the response (1xx).

use std::{fmt, sync::Arc};

use http::Response;

/// A request extension: is called with each informational (1xx) response that
/// precedes the final one, such as 103 (Early Hints, RFC 8297) and 100
/// (Continue). On HTTP/2 only: SPDY has no such responses.
///
/// It is called on the connection's task and must not block.
///
/// ```
/// use std::sync::mpsc;
/// use lacewing_client::{Body, OnInformational};
///
/// let (hints, received) = mpsc::channel();
/// let mut request = http::Request::get("https://example.org/").body(Body::empty()).unwrap();
/// request.extensions_mut().insert(OnInformational::new(move |response| {
///     let _ = hints.send(response.headers().clone());
/// }));
/// # drop(request);
/// # assert!(received.recv().is_err());
/// ```
#[derive(Clone)]
pub struct OnInformational(Arc<dyn Fn(Response<()>) + Send + Sync>);

impl OnInformational {
    /// Calls this function with each informational response.
    pub fn new(call: impl Fn(Response<()>) + Send + Sync + 'static) -> Self {
        Self(Arc::new(call))
    }

    pub(crate) fn call(&self, response: Response<()>) {
        (self.0)(response);
    }
}

impl fmt::Debug for OnInformational {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OnInformational").finish_non_exhaustive()
    }
}
