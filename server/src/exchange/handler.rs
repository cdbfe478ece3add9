//! Handlers: the futures of a service, in boxes that are used again. If they take longer than a
//! poll, they run on tasks of their own, or stay on that of the connection.

use std::{
    future::poll_fn,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::Pin,
    task::{Context, Poll, ready},
};

use http::{Request, Response};
use tokio::task::JoinHandle;

use super::drop_caught;
use crate::{BoxError, HttpService, RequestBody, telemetry::in_span};

/// A pinned place for an optional value: one allocation serves many values.
pub(super) struct Slot<T>(Pin<Box<Option<T>>>);

impl<T> Default for Slot<T> {
    fn default() -> Self {
        Self(Box::pin(None))
    }
}

impl<T> Slot<T> {
    pub(super) fn put(&mut self, value: T) {
        self.0.set(Some(value));
    }

    pub(super) fn clear(&mut self) {
        self.0.set(None);
    }

    pub(super) fn as_pin_mut(&mut self) -> Option<Pin<&mut T>> {
        self.0.as_mut().as_pin_mut()
    }
}

impl<B: http_body::Body> Slot<B> {
    pub(super) fn is_end_stream(&self) -> bool {
        self.0
            .as_ref()
            .as_pin_ref()
            .is_none_or(|body| body.is_end_stream())
    }
}

impl<F: Future> Slot<F> {
    /// Polls the future that was put here. An empty place is never ready.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<F::Output> {
        self.as_pin_mut()
            .map_or(Poll::Pending, |future| future.poll(cx))
    }
}

pub(super) type Handler<S> = Slot<<S as HttpService>::Future>;

/// The outcome of a handler on a task of its own.
pub(super) enum Outcome<S: HttpService> {
    Answered {
        result: Result<Response<S::ResponseBody>, BoxError>,
        /// Its empty box.
        handler: Option<Handler<S>>,
    },
    Panicked,
}

/// A handler that was not ready at its first poll.
pub(super) enum Running<S: HttpService> {
    /// On a task of its own.
    Spawned(Task<S>),
    /// On the connection's task. `None` once it has ended.
    Here(Option<Handler<S>>),
}

impl<S: HttpService> Running<S> {
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Outcome<S>> {
        match self {
            // If the task was cancelled, its connection has ended.
            Self::Spawned(task) => Pin::new(&mut task.0)
                .poll(cx)
                .map(|joined| joined.map_or(Outcome::Panicked, |outcome| *outcome)),
            Self::Here(handler) => poll_here(handler, cx),
        }
    }

    /// Returns whether the handler may still run for a while when its stream has ended.
    pub(super) fn outlives_its_stream(&self) -> bool {
        matches!(self, Self::Spawned(_))
    }

    /// Ends the handler. Returns `false` if it may run for a while longer.
    pub(super) fn abort(&mut self) -> bool {
        match self {
            Self::Spawned(task) => {
                task.0.abort();
                false
            }
            Self::Here(handler) => {
                drop_caught(handler.take());
                true
            }
        }
    }
}

fn poll_here<S: HttpService>(
    place: &mut Option<Handler<S>>,
    cx: &mut Context<'_>,
) -> Poll<Outcome<S>> {
    let Some(handler) = place else {
        return Poll::Pending;
    };
    // The result stays where it is: a response is large, and each layer would copy it.
    let mut result = None;
    let polled = catch_unwind(AssertUnwindSafe(|| {
        if let Poll::Ready(ended) = handler.poll(cx) {
            result = Some(ended);
            handler.clear();
        }
    }));
    match (polled, result) {
        (Ok(()), None) => Poll::Pending,
        (Ok(()), Some(result)) => Poll::Ready(Outcome::Answered {
            result: result.map_err(Into::into),
            handler: place.take(),
        }),
        (Err(_), result) => {
            // The drop of the handler, or of its response, may panic too.
            drop_caught(place.take());
            drop_caught(result);
            Poll::Ready(Outcome::Panicked)
        }
    }
}

/// A handler on a task of its own. Dropping this ends the task.
pub(super) struct Task<S: HttpService>(JoinHandle<Box<Outcome<S>>>);

impl<S: HttpService> Drop for Task<S> {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Gives a pending handler a task.
pub(super) fn spawn<S: HttpService>(handler: Handler<S>) -> Running<S> {
    let handler = Some(handler);
    Running::Spawned(Task(tokio::spawn(in_span(Spawned::<S> { handler }))))
}

/// A handler on its way. A response is large, and would make the task large while it waits: it gets
/// a box when it is there. A future of this size takes the smallest task that tokio has: 128 bytes.
struct Spawned<S: HttpService> {
    handler: Option<Handler<S>>,
}

/// The handler is pinned in its box.
impl<S: HttpService> Unpin for Spawned<S> {}

impl<S: HttpService> Future for Spawned<S> {
    type Output = Box<Outcome<S>>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let Some(handler) = &mut self.handler else {
            return Poll::Pending;
        };
        let result = ready!(handler.poll(cx)).map_err(Into::into);
        handler.clear();
        Poll::Ready(Box::new(Outcome::Answered {
            result,
            handler: self.handler.take(),
        }))
    }
}

/// Calls the service on a task, once it is ready.
pub(super) fn spawn_call<S: HttpService>(
    mut service: S,
    request: Request<RequestBody>,
) -> Running<S> {
    Running::Spawned(Task(tokio::spawn(in_span(async move {
        // Converted at once: a service's own error may be bound to its thread.
        let ready = poll_fn(|cx| service.poll_ready(cx).map_err(Into::into)).await;
        let result = match ready {
            Ok(()) => {
                let handler = service.call(request);
                // Releases its place in a queue, which is not needed any more.
                drop(service);
                handler.await.map_err(Into::into)
            }
            Err(error) => Err(error),
        };
        Box::new(Outcome::Answered {
            result,
            handler: None,
        })
    }))))
}
