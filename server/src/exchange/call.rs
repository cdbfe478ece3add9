//! Calls of the service: a first poll on the connection's task, and a task of
//! its own for what takes longer.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    task::{self, Poll, Waker},
};

use http::Request;
use lacewing_conn::{driver::Context, proto::StreamKey};

use super::{
    Exchanges, Ticket, finish,
    handler::{self, Outcome, Task},
    is_of_peer,
    places::Place,
};
use crate::{HttpService, Incoming, Spawn, StreamError};

impl<S: HttpService> Exchanges<S> {
    /// A request is there: its handler gets a first poll, or a task.
    pub(super) fn serve(
        &mut self,
        conn: &mut Context<'_>,
        stream: StreamKey,
        ticket: Ticket,
        request: Request<Incoming>,
    ) {
        if self.options.spawn == Spawn::Always {
            let task = handler::spawn_call(self.service.clone(), request);
            return self.watch(conn, stream, ticket, task);
        }
        let ready = catch_unwind(AssertUnwindSafe(|| {
            self.service
                .poll_ready(&mut task::Context::from_waker(Waker::noop()))
        }));
        match ready {
            Ok(Poll::Ready(Ok(()))) => self.call(conn, stream, ticket, request),
            Ok(Poll::Ready(Err(error))) => {
                self.fail(conn, stream, ticket, &StreamError::Handler(error.into()));
            }
            Ok(Poll::Pending) => {
                let task = handler::spawn_call(self.service.clone(), request);
                self.watch(conn, stream, ticket, task);
            }
            Err(_) => self.fail(conn, stream, ticket, &StreamError::HandlerPanicked),
        }
    }

    /// The service is ready: calls it, and polls the handler once. The waker
    /// is none, because a handler that is pending is polled again by its task.
    fn call(
        &mut self,
        conn: &mut Context<'_>,
        stream: StreamKey,
        ticket: Ticket,
        request: Request<Incoming>,
    ) {
        let mut handler = self.spare_handlers.pop().unwrap_or_default();
        let service = &mut self.service;
        let first = catch_unwind(AssertUnwindSafe(|| {
            handler.put(service.call(request));
            handler.poll(&mut task::Context::from_waker(Waker::noop()))
        }));
        match first {
            Ok(Poll::Ready(result)) => {
                handler.clear();
                self.keep_handler(handler);
                match result {
                    Ok(response) => self.answer(conn, stream, ticket, response),
                    Err(error) => {
                        self.fail(conn, stream, ticket, &StreamError::Handler(error.into()))
                    }
                }
            }
            Ok(Poll::Pending) => {
                let task = handler::spawn(handler);
                self.watch(conn, stream, ticket, task);
            }
            Err(_) => {
                // What is left of the handler may panic too.
                let _ = catch_unwind(AssertUnwindSafe(|| drop(handler)));
                self.fail(conn, stream, ticket, &StreamError::HandlerPanicked);
            }
        }
    }

    /// The handler has a task of its own: the stream counts as open until that
    /// ends, whatever the peer does.
    fn watch(&mut self, conn: &mut Context<'_>, stream: StreamKey, ticket: Ticket, task: Task<S>) {
        // A push that the client resets is none of those that it may have open.
        if is_of_peer(stream) {
            conn.engine.retain(stream);
        }
        let place = Place::Handling {
            stream,
            ticket,
            task,
        };
        self.place(stream, place);
        self.poll_handler(conn, stream);
    }

    pub(super) fn poll_handler(&mut self, conn: &mut Context<'_>, stream: StreamKey) {
        let Some(Place::Handling { ticket, task, .. }) = self.places.of(stream) else {
            return;
        };
        let ticket = *ticket;
        let waker = conn.waker(stream);
        let Poll::Ready(outcome) = task.poll(&mut task::Context::from_waker(&waker)) else {
            return;
        };
        drop(self.places.take(stream));
        finish(conn, stream);
        match outcome {
            Outcome::Answered { result, handler } => {
                if let Some(handler) = handler {
                    self.keep_handler(handler);
                }
                match result {
                    Ok(response) => self.answer(conn, stream, ticket, response),
                    Err(error) => self.fail(conn, stream, ticket, &StreamError::Handler(error)),
                }
            }
            Outcome::Panicked => self.fail(conn, stream, ticket, &StreamError::HandlerPanicked),
        }
    }
}
