//! Services that a server can serve.

use std::{future::Future, task};

use bytes::Buf;
use http::{Request, Response};
use http_body::Body;
use tower_service::Service;

use crate::{BoxError, RequestBody};

/// A service that a server can serve: every [`tower_service::Service`] of a
/// `http::Request` with a [`RequestBody`] that returns a `http::Response` with
/// any [`http_body::Body`]. An axum `Router` is one. There is nothing to
/// implement.
///
/// A request's URI has scheme and authority, except over HTTP/1.1, where the
/// `host` field has the authority. In all protocols, the field also has an
/// authority that a [`http::Uri`] cannot hold. The URI is then a path alone. gRPC
/// stacks send one over Unix sockets, such as `%2Frun%2Fsock.sock`. There is one
/// `host` field at most, and it never contradicts the URI. If a path has bytes that
/// a `Uri` cannot hold, the server answers with 400 and calls no service.
///
/// ```
/// use std::convert::Infallible;
///
/// use http::{Request, Response};
/// use lacewing_server::{HttpService, RequestBody, service_fn};
///
/// fn servable(_: &impl HttpService) {}
///
/// servable(&axum::Router::new());
/// servable(&service_fn(|_: Request<RequestBody>| async {
///     Ok::<_, Infallible>(Response::new(String::from("hello")))
/// }));
/// ```
pub trait HttpService: Clone + Send + 'static {
    /// The body of its responses.
    type ResponseBody: Body<Data: Buf + Send, Error: Into<BoxError>> + Send + 'static;
    /// Its error, which becomes a response with status 500.
    type Error: Into<BoxError>;
    /// The future of a response.
    type Future: Future<Output = Result<Response<Self::ResponseBody>, Self::Error>> + Send + 'static;

    /// Polls for readiness, as [`Service::poll_ready`] does. The server calls the instance that is
    /// ready. A pending instance moves to the task of its request, and a clone replaces it; a
    /// failed one is dropped.
    fn poll_ready(&mut self, cx: &mut task::Context<'_>) -> task::Poll<Result<(), Self::Error>>;

    /// As [`Service::call`].
    fn call(&mut self, request: Request<RequestBody>) -> Self::Future;
}

impl<S, B> HttpService for S
where
    S: Service<Request<RequestBody>, Response = Response<B>> + Clone + Send + 'static,
    S::Error: Into<BoxError>,
    S::Future: Send + 'static,
    B: Body<Data: Buf + Send, Error: Into<BoxError>> + Send + 'static,
{
    type ResponseBody = B;
    type Error = S::Error;
    type Future = S::Future;

    fn poll_ready(&mut self, cx: &mut task::Context<'_>) -> task::Poll<Result<(), S::Error>> {
        Service::poll_ready(self, cx)
    }

    fn call(&mut self, request: Request<RequestBody>) -> S::Future {
        Service::call(self, request)
    }
}

/// A service from an asynchronous function.
///
/// ```
/// use std::convert::Infallible;
///
/// use http::{Request, Response};
/// use lacewing_server::{RequestBody, service_fn};
///
/// let service = service_fn(|request: Request<RequestBody>| async move {
///     let answer = format!("you asked for {}\n", request.uri().path());
///     Ok::<_, Infallible>(Response::new(answer))
/// });
/// # fn servable(_: impl lacewing_server::HttpService) {}
/// # servable(service);
/// ```
pub fn service_fn<F, R>(function: F) -> ServiceFn<F>
where
    F: Fn(Request<RequestBody>) -> R,
    R: Future,
{
    ServiceFn(function)
}

/// The service of an asynchronous function; from [`service_fn`].
///
/// ```
/// use http::{Request, Response};
/// use lacewing_server::{RequestBody, ServiceFn, service_fn};
///
/// async fn hello(_: Request<RequestBody>) -> Result<Response<String>, std::io::Error> {
///     Ok(Response::new("hello".into()))
/// }
///
/// let service: ServiceFn<_> = service_fn(hello);
/// # let _ = service;
/// ```
#[derive(Clone, Copy, Debug)]
pub struct ServiceFn<F>(F);

impl<F, R, B, E> Service<Request<RequestBody>> for ServiceFn<F>
where
    F: Fn(Request<RequestBody>) -> R,
    R: Future<Output = Result<Response<B>, E>>,
{
    type Response = Response<B>;
    type Error = E;
    type Future = R;

    fn poll_ready(&mut self, _: &mut task::Context<'_>) -> task::Poll<Result<(), E>> {
        task::Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<RequestBody>) -> R {
        (self.0)(request)
    }
}
