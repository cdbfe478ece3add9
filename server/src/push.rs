//! Server push (RFC 9113 §8.4; the SPDY drafts §3.3).

use std::{fmt, sync::Arc};

use http::{
    Method, Request, Uri,
    header::{CONTENT_LENGTH, TRANSFER_ENCODING},
};
use lacewing_conn::proto::StreamKey;

use crate::{
    Delivery, PushError, PushRule,
    commands::{self, Command, Commands},
};

/// Pushes responses that belong to the response of one request.
///
/// It is an extension of the requests of HTTP/2 and SPDY, if the server was built [with
/// it](crate::ServerOptions::pusher) and the client accepts pushes. Pushed requests do not have it.
///
/// The same service handles the pushed request, as if the client had sent it, with
/// [`PushedRequest`] in its extensions. (To push a response that exists already, put it into the
/// extensions of the request; the service then returns it.)
///
/// Push before the handler returns its response: then the client receives the promise before the
/// reference to it (RFC 9113 §8.4.1).
///
/// Over SPDY, a push and the head of its response share one frame, as in the servers of its time.
/// (Node's `spdy` ends the connection at other pushes.) The body of the parent's response waits for
/// that, at most for [`max_push_delay`](lacewing_conn::Limits::max_push_delay).
///
/// ```
/// use http::{Request, Response};
/// use lacewing_server::{BoxError, RequestBody, Pusher};
///
/// async fn page(request: Request<RequestBody>) -> Result<Response<String>, BoxError> {
///     if let Some(pusher) = request.extensions().get::<Pusher>() {
///         pusher.push(Request::get("/style.css").body(())?);
///     }
///     Ok(Response::new(String::from("<link rel=stylesheet href=/style.css>")))
/// }
/// # let _ = page;
/// ```
#[derive(Clone)]
pub struct Pusher {
    commands: Arc<Commands>,
    stream: StreamKey,
    /// Of the request that the pushes belong to.
    uri: Uri,
}

/// In the extensions of a request that the server made itself, to push its
/// response.
///
/// ```
/// use lacewing_server::PushedRequest;
///
/// fn was_asked_for<B>(request: &http::Request<B>) -> bool {
///     request.extensions().get::<PushedRequest>().is_none()
/// }
/// assert!(was_asked_for(&http::Request::new(())));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PushedRequest;

impl Pusher {
    pub(crate) fn new(commands: Arc<Commands>, stream: StreamKey, uri: Uri) -> Self {
        Self {
            commands,
            stream,
            uri,
        }
    }

    /// Promises the response to this request, and serves it. If scheme and authority are absent,
    /// they are those of the client's request. Set the header fields that the client would send, so
    /// that it finds the response later.
    ///
    /// The promise is sent at once, even if the [`Delivery`] is not awaited. The delivery returns a
    /// [`PushError`] if nothing is pushed.
    pub fn push(&self, mut request: Request<()>) -> Delivery<PushError> {
        if let Err(rule) = check(&request) {
            return Delivery::failed(PushError::NotAllowed(rule));
        }
        match self.complete(request.uri()) {
            Ok(uri) => *request.uri_mut() = uri,
            Err(rule) => return Delivery::failed(PushError::NotAllowed(rule)),
        }
        let parent = self.stream;
        commands::send(&self.commands, PushError::Busy, |report| Command::Push {
            parent,
            request,
            report,
        })
    }

    /// Completes the URI, if it is on the origin of the client's request. The
    /// server may have no authority over another origin (RFC 9113 §8.4, §10.1).
    fn complete(&self, uri: &Uri) -> Result<Uri, PushRule> {
        let ours = self.uri.authority().ok_or(PushRule::Authority)?;
        if uri.authority().is_some_and(|theirs| theirs != ours) {
            return Err(PushRule::Authority);
        }
        if uri.scheme().is_some() && uri.scheme() != self.uri.scheme() {
            return Err(PushRule::Authority);
        }
        let mut parts = http::uri::Parts::default();
        parts.scheme = self.uri.scheme().cloned();
        parts.authority = Some(ours.clone());
        parts.path_and_query = uri.path_and_query().cloned();
        Uri::from_parts(parts).map_err(|_| PushRule::Authority)
    }
}

/// A pushed request must be cacheable, safe, and without a body (RFC 9113
/// §8.4).
fn check(request: &Request<()>) -> Result<(), PushRule> {
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        return Err(PushRule::Method);
    }
    let fields = request.headers();
    if fields.contains_key(CONTENT_LENGTH) || fields.contains_key(TRANSFER_ENCODING) {
        return Err(PushRule::Body);
    }
    Ok(())
}

impl fmt::Debug for Pusher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pusher")
            .field("stream", &self.stream.id().value())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_safe_requests_without_a_body_are_pushed() {
        let check = |request: http::request::Builder| check(&request.body(()).unwrap());
        assert_eq!(check(Request::get("/")), Ok(()));
        assert_eq!(check(Request::head("/")), Ok(()));
        assert_eq!(check(Request::post("/")), Err(PushRule::Method));
        assert_eq!(check(Request::delete("/")), Err(PushRule::Method));
        let with_body = Request::get("/").header("content-length", "3");
        assert_eq!(check(with_body), Err(PushRule::Body));
    }
}
