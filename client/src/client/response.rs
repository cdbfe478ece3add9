//! The future of a response from [`Client::request`](crate::Client::request).

use std::{
    fmt,
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use http::{Request, Response};

use crate::{
    ClientError, Incoming, Origin, RequestError, ResponseFuture, age::Age, body::RequestBody,
    pool::Pool, retry, telemetry,
};

/// The future of a response; from [`Client::request`](crate::Client::request). After its outcome, it
/// returns [`ClientError::AlreadyReturned`].
#[must_use = "the request is not made unless the future is polled"]
pub struct ClientResponse {
    stage: Stage,
}

#[expect(
    clippy::large_enum_variant,
    reason = "the request has to be somewhere; a box would be one allocation more"
)]
enum Stage {
    Unsent(Unsent),
    /// The first try, over a connection that was there.
    Sent {
        response: ResponseFuture,
        rest: Rest,
    },
    /// Whatever takes longer: a new connection, HTTP/1.1, another try.
    Long(Pin<Box<dyn Future<Output = Result<Response<Incoming>, ClientError>> + Send>>),
    Over,
}

struct Unsent {
    pool: Arc<Pool>,
    origin: Result<Origin, RequestError>,
    request: Request<RequestBody>,
}

/// What another try needs beside the request.
struct Rest {
    pool: Arc<Pool>,
    origin: Origin,
    age: Age,
}

impl ClientResponse {
    pub(super) fn new(
        pool: Arc<Pool>,
        origin: Result<Origin, RequestError>,
        request: Request<RequestBody>,
    ) -> Self {
        Self {
            stage: Stage::Unsent(Unsent {
                pool,
                origin,
                request,
            }),
        }
    }
}

impl Unsent {
    /// Sends the request. Most have a connection, and need no future of their own.
    fn send(self) -> Result<Stage, ClientError> {
        let Self {
            pool,
            origin,
            request,
        } = self;
        let origin = origin?;
        telemetry::wanted(request.method(), request.uri());
        let age = Age::next();
        Ok(match pool.connected(&origin) {
            Some(connection) => Stage::Sent {
                response: retry::send(&connection, request, age),
                rest: Rest { pool, origin, age },
            },
            None => Stage::Long(Box::pin(retry::exchange(pool, origin, request, age))),
        })
    }
}

impl Future for ClientResponse {
    type Output = Result<Response<Incoming>, ClientError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        loop {
            match &mut self.stage {
                Stage::Sent { response, .. } => {
                    let outcome = ready!(response.poll_outcome(cx));
                    let stage = std::mem::replace(&mut self.stage, Stage::Over);
                    let failure = match outcome {
                        Ok(response) => return Poll::Ready(Ok(response)),
                        Err(failure) => failure,
                    };
                    if let Stage::Sent { rest, .. } = stage {
                        let Rest { pool, origin, age } = rest;
                        let again = retry::again(pool, origin, age, failure);
                        self.stage = Stage::Long(Box::pin(again));
                    }
                }
                Stage::Unsent(_) => {
                    let stage = std::mem::replace(&mut self.stage, Stage::Over);
                    if let Stage::Unsent(unsent) = stage {
                        self.stage = unsent.send()?;
                    }
                }
                Stage::Long(response) => {
                    let outcome = ready!(response.as_mut().poll(cx));
                    self.stage = Stage::Over;
                    return Poll::Ready(outcome);
                }
                Stage::Over => return Poll::Ready(Err(ClientError::AlreadyReturned)),
            }
        }
    }
}

impl fmt::Debug for ClientResponse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientResponse").finish_non_exhaustive()
    }
}
