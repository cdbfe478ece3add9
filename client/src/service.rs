//! Helpers for tower with services of any body: `ready()` needs no
//! type annotations.

use std::{
    fmt,
    future::poll_fn,
    marker::PhantomData,
    task::{Context, Poll},
};

use http::Request;
use tower_service::Service;

use crate::{Body, Client, ClientError, Connection};

impl Client {
    /// Returns at once, since a client is always ready: `tower::ServiceExt::ready` without its type
    /// annotations. (`Client` is a `Service` of requests with any body, so `ready()` alone is
    /// ambiguous.)
    ///
    /// ```no_run
    /// # async fn run(mut client: lacewing_client::Client) -> Result<(), Box<dyn std::error::Error>> {
    /// use lacewing_client::Body;
    /// use tower::Service as _;
    ///
    /// let request = http::Request::get("https://example.org/").body(Body::empty())?;
    /// let response = client.ready().await?.call(request).await?;
    /// # drop(response);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// None: the result has the type that `Service::poll_ready` returns.
    pub async fn ready(&mut self) -> Result<&mut Self, ClientError> {
        poll_fn(|cx| Service::<Request<Body>>::poll_ready(self, cx)).await?;
        Ok(self)
    }

    /// The client as a service of requests with one type of body, so that
    /// `ready()` needs no annotations under tower's layers either.
    ///
    /// ```
    /// use std::time::Duration;
    /// use lacewing_client::{Body, Client};
    /// use tower::{Service as _, ServiceBuilder, ServiceExt as _};
    ///
    /// # async fn run() -> Result<(), tower::BoxError> {
    /// let mut service = ServiceBuilder::new()
    ///     .concurrency_limit(64)
    ///     .timeout(Duration::from_secs(30))
    ///     .service(Client::new().for_body::<Body>());
    /// let request = http::Request::get("https://example.org/").body(Body::empty())?;
    /// let response = service.ready().await?.call(request).await?;
    /// # drop(response);
    /// # Ok(())
    /// # }
    /// # let _ = run;
    /// ```
    pub fn for_body<B>(self) -> ForBody<Self, B> {
        ForBody::new(self)
    }
}

impl Connection {
    /// Waits for a slot for a request, and reserves it until `call`: `tower::ServiceExt::ready`
    /// without its type annotations.
    ///
    /// ```no_run
    /// # async fn run(mut connection: lacewing_client::Connection) -> Result<(), Box<dyn std::error::Error>> {
    /// use lacewing_client::Body;
    /// use tower::Service as _;
    ///
    /// let request = http::Request::get("https://example.org/").body(Body::empty())?;
    /// let response = connection.ready().await?.call(request).await?;
    /// # drop(response);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// None: on a connection that is over, `call` returns the error.
    pub async fn ready(&mut self) -> Result<&mut Self, ClientError> {
        poll_fn(|cx| Service::<Request<Body>>::poll_ready(self, cx)).await?;
        Ok(self)
    }

    /// The connection as a service of requests with one type of body, as
    /// [`Client::for_body`].
    pub fn for_body<B>(self) -> ForBody<Self, B> {
        ForBody::new(self)
    }
}

/// A [`Client`] or [`Connection`] as a service of requests with one type of
/// body; from [`Client::for_body`] and [`Connection::for_body`].
///
/// ```
/// use lacewing_client::{Body, Client, ForBody};
///
/// let service: ForBody<Client, Body> = Client::new().for_body();
/// assert_eq!(service.get_ref().connections(), 0);
/// ```
pub struct ForBody<S, B> {
    inner: S,
    body: PhantomData<fn(B)>,
}

impl<S, B> ForBody<S, B> {
    fn new(inner: S) -> Self {
        Self {
            inner,
            body: PhantomData,
        }
    }

    /// The client or connection.
    pub fn get_ref(&self) -> &S {
        &self.inner
    }

    /// The client or connection, for any body again.
    pub fn into_inner(self) -> S {
        self.inner
    }
}

impl<S: Service<Request<B>>, B> Service<Request<B>> for ForBody<S, B> {
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<B>) -> S::Future {
        self.inner.call(request)
    }
}

impl<S: Clone, B> Clone for ForBody<S, B> {
    fn clone(&self) -> Self {
        Self::new(self.inner.clone())
    }
}

impl<S: fmt::Debug, B> fmt::Debug for ForBody<S, B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("ForBody").field(&self.inner).finish()
    }
}
