//! The task of a connection, in steps: what precedes the first request, and then the requests.

use std::{
    pin::Pin,
    task::{Context, Poll, ready},
};

use tokio::io::{AsyncRead, AsyncWrite};

use crate::{
    ConnectionInfo, ConnectionOptions, HttpService, Rewind, ServeError, ServerEvent, Serving,
    connection,
};

/// A connection from its first byte to its last. The state before the first request is large, and
/// is dropped after it. One pointer to the state of the step keeps the task as small as tokio has
/// them.
pub(crate) struct Running(BoxedStep);

/// The state of a step.
pub(crate) type BoxedStep = Pin<Box<dyn Future<Output = Step> + Send>>;

/// The end of a step.
pub(crate) enum Step {
    /// Another one follows.
    Next(BoxedStep),
    /// The connection has ended.
    Over(Result<(), ServeError>),
}

impl Running {
    pub(crate) fn new(first: impl Future<Output = Step> + Send + 'static) -> Self {
        Self(Box::pin(first))
    }
}

impl Future for Running {
    type Output = Result<(), ServeError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        loop {
            match ready!(self.0.as_mut().poll(cx)) {
                Step::Next(step) => self.0 = step,
                Step::Over(result) => return Poll::Ready(result),
            }
        }
    }
}

/// The last step: requests are served. Tells the observer of its start and its end.
pub(crate) fn serve<T, S>(
    io: Rewind<T>,
    info: ConnectionInfo,
    options: ConnectionOptions,
    service: S,
) -> BoxedStep
where
    T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    S: HttpService,
{
    options
        .observer
        .tell(&ServerEvent::Connected { connection: &info });
    Box::pin(Observed(connection::serve_detected(
        io, info, options, service,
    )))
}

struct Observed<T, S: HttpService>(Serving<T, S>);

impl<T, S> Future for Observed<T, S>
where
    T: AsyncRead + AsyncWrite + Unpin,
    S: HttpService,
{
    type Output = Step;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Step> {
        let result = ready!(Pin::new(&mut self.0).poll(cx));
        let (options, info) = self.0.facts();
        options.observer.tell(&ServerEvent::Closed {
            connection: info,
            error: result.as_ref().err(),
        });
        Poll::Ready(Step::Over(result))
    }
}
