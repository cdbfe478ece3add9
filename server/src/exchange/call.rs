//! Calls the service: polls each handler once on the connection's task. If it is pending, it moves to
//! a task of its own, or stays.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
    task::{self, Poll, Wake, Waker},
};

use http::Request;
use lacewing_conn::{driver::facade::Context, proto::StreamKey};

use super::{
    Boxes, Exchanges, Ticket, drop_caught, finish,
    handler::{self, Outcome, Running},
    is_of_peer,
    pending::Pending,
};
use crate::{HttpService, RequestBody, Spawn, StreamError, content::Kind};

/// The waker for a service's first [`poll_ready`](HttpService::poll_ready). It wakes no task: a
/// pending service is polled again by a task of its own. It records whether the service kept a
/// clone of it.
pub(super) struct Probe {
    waker: Waker,
    clones: Arc<NoTask>,
}

struct NoTask;

impl Wake for NoTask {
    fn wake(self: Arc<Self>) {}
    fn wake_by_ref(self: &Arc<Self>) {}
}

impl Probe {
    pub(super) fn new() -> Self {
        let clones = Arc::new(NoTask);
        Self {
            waker: Arc::clone(&clones).into(),
            clones,
        }
    }

    fn waker(&self) -> &Waker {
        &self.waker
    }

    /// A service has a clone of the waker.
    pub(super) fn is_held(&self) -> bool {
        Arc::strong_count(&self.clones) > 2
    }
}

impl<S: HttpService> Exchanges<S> {
    /// Serves a request: polls its handler once, or spawns a task for it. The request is large. It
    /// is taken where the service needs it, since each pass by value would copy it.
    pub(super) fn serve(
        &mut self,
        conn: &mut Context<'_>,
        stream: StreamKey,
        request: &mut Option<Request<RequestBody>>,
    ) {
        let ticket = match request {
            Some(request) => self.ticket(conn, stream, request),
            None => return,
        };
        if self.options.spawn == Spawn::Always {
            return self.spawn(conn, stream, ticket, self.service.clone(), request);
        }
        let boxes = self.boxes.get_or_insert_with(Boxes::take);
        let mut cx = task::Context::from_waker(boxes.probe.waker());
        let service = &mut self.service;
        let ready = catch_unwind(AssertUnwindSafe(|| service.poll_ready(&mut cx)));
        match ready {
            Ok(Poll::Ready(Ok(()))) => {
                self.call(conn, stream, ticket, request);
                // Ready, although a part of it waits in a queue, as with a load-shed
                // layer in front of a limit.
                let boxes = self.boxes.as_ref();
                if boxes.is_some_and(|boxes| boxes.probe.is_held()) {
                    self.discard_service();
                }
            }
            Ok(Poll::Ready(Err(error))) => {
                self.discard_service();
                self.fail(conn, stream, ticket, &StreamError::Handler(error.into()));
            }
            Ok(Poll::Pending) => {
                let pending = self.renew_service();
                self.spawn(conn, stream, ticket, pending, request);
            }
            Err(_) => {
                self.discard_service();
                self.fail(conn, stream, ticket, &StreamError::HandlerPanicked);
            }
        }
    }

    /// The part of the request that the exchange keeps.
    fn ticket(
        &self,
        conn: &Context<'_>,
        stream: StreamKey,
        request: &Request<RequestBody>,
    ) -> Ticket {
        let (method, uri) = (request.method(), request.uri());
        Ticket {
            kind: Kind::of(method),
            clock: self.telemetry.request(stream.id(), method, uri, conn.now()),
        }
    }

    /// Calls the service on a task of its own.
    fn spawn(
        &mut self,
        conn: &mut Context<'_>,
        stream: StreamKey,
        ticket: Ticket,
        service: S,
        request: &mut Option<Request<RequestBody>>,
    ) {
        if let Some(request) = request.take() {
            let running = handler::spawn_call(service, request);
            self.watch(conn, stream, ticket, running);
        }
    }

    /// Returns the instance that was polled, and keeps a fresh one for the next request. A polled
    /// instance may hold a permit or a place in a queue for the call that follows, or wait for one.
    /// So that call must use this instance. A fresh clone is not ready, and waits in no queue.
    fn renew_service(&mut self) -> S {
        let fresh = self.service.clone();
        std::mem::replace(&mut self.service, fresh)
    }

    /// Releases the permit or the place that the instance holds, since no call follows.
    fn discard_service(&mut self) {
        let failed = self.renew_service();
        let _ = catch_unwind(AssertUnwindSafe(|| drop(failed)));
    }

    /// The service is ready: calls it, and polls the handler once. The waker is none, because a
    /// handler that is pending is polled again: by its task, or with the waker of the stream. If the
    /// last handler had to wait on this task, this one has that waker at once: it probably forwards
    /// to another server, as that one did.
    fn call(
        &mut self,
        conn: &mut Context<'_>,
        stream: StreamKey,
        ticket: Ticket,
        request: &mut Option<Request<RequestBody>>,
    ) {
        let boxes = self.boxes.get_or_insert_with(Boxes::take);
        let mut handler = boxes.handlers.pop().unwrap_or_default();
        let stays = self.options.spawn == Spawn::Never;
        let waker = boxes.handlers_wait.then(|| conn.waker(stream));
        let service = &mut self.service;
        // The result stays where it is: a response is large, and each layer would copy it.
        let mut first = None;
        let called = catch_unwind(AssertUnwindSafe(|| {
            let Some(request) = request.take() else {
                return;
            };
            handler.put(service.call(request));
            let waker = waker.as_ref().unwrap_or(Waker::noop());
            let polled = handler.poll(&mut task::Context::from_waker(waker));
            if first.insert(polled).is_ready() {
                handler.clear();
            }
        }));
        if let Some(Poll::Pending) = first {
            boxes.handlers_wait = stays;
        } else if waker.is_some() {
            boxes.handlers_wait = false;
        }
        match (called, first) {
            // There was no request.
            (Ok(()), None) => self.keep_handler(handler),
            (Ok(()), Some(Poll::Ready(Ok(response)))) => {
                self.keep_handler(handler);
                self.answer(conn, stream, ticket, response);
            }
            (Ok(()), Some(Poll::Ready(Err(error)))) => {
                self.keep_handler(handler);
                self.fail(conn, stream, ticket, &StreamError::Handler(error.into()));
            }
            (Ok(()), Some(Poll::Pending)) => {
                let running = match stays {
                    true => Running::Here(Some(handler)),
                    false => handler::spawn(handler),
                };
                if waker.is_some() {
                    return self.keep(stream, Pending::Handling { ticket, running });
                }
                self.watch(conn, stream, ticket, running);
            }
            (Err(_), result) => {
                // The drop of the handler, or of its response, may panic too.
                let _ = catch_unwind(AssertUnwindSafe(|| drop(handler)));
                drop_caught(result);
                self.discard_service();
                self.fail(conn, stream, ticket, &StreamError::HandlerPanicked);
            }
        }
    }

    /// The handler is not ready. If it has a task of its own, the stream counts as open until that
    /// task ends, even if the peer resets the stream.
    fn watch(
        &mut self,
        conn: &mut Context<'_>,
        stream: StreamKey,
        ticket: Ticket,
        running: Running<S>,
    ) {
        // A push that the client resets is none of those that it may have open.
        if is_of_peer(stream) && running.outlives_its_stream() {
            conn.stream(stream).retain();
        }
        self.keep(stream, Pending::Handling { ticket, running });
        self.poll_handler(conn, stream);
    }

    pub(super) fn poll_handler(&mut self, conn: &mut Context<'_>, stream: StreamKey) {
        let pending = self.pending().and_then(|pending| pending.get_mut(stream));
        let Some(Pending::Handling { ticket, running }) = pending else {
            return;
        };
        let (ticket, is_retained) = (*ticket, running.outlives_its_stream());
        let waker = conn.waker(stream);
        let Poll::Ready(outcome) = running.poll(&mut task::Context::from_waker(&waker)) else {
            return;
        };
        drop(self.pending().and_then(|pending| pending.remove(stream)));
        if is_retained {
            finish(conn, stream);
        }
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
