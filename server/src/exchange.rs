//! The requests of one connection on their way through the service: the
//! [`Application`] of a server.
//!
//! A request whose handler is ready at its first poll, and whose response's
//! body has all its data then, is answered within the event that brought it:
//! no spawn, no lock, no wake-up. What takes longer has a place in a table,
//! indexed by the stream's slot.

mod handler;
mod places;
mod request;
mod response;
mod wishes;

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    pin::Pin,
    task::{self, Poll, Waker},
};

use bytes::{Buf, Bytes};
use http::{Request, Response};
use http_body::Body;
use lacewing_conn::{
    Error, Initiator, Reason, Version,
    driver::{Application, Context},
    proto::{Event as EngineEvent, StreamId, StreamKey, UsageError},
};

#[cfg(feature = "http1")]
pub(crate) use self::request::Replayed;
use self::{
    handler::{Handler, Outcome, Slot as Spare, Task},
    places::{Place, Places},
    response::{Heads, Kind},
    wishes::{Reports, Wishes},
};
use crate::{
    ConnectionInfo, Event, HttpService, Incoming, Options, ShutdownSignal, Spawn, StreamError,
    telemetry::{Clock, Telemetry},
};

/// Empty boxes that are kept for the next handler or body. Handlers that are
/// ready at once need one in all.
const SPARES: usize = 8;

/// The requests of one connection.
pub(crate) struct Exchanges<S: HttpService> {
    service: S,
    options: Options,
    info: ConnectionInfo,
    http_version: http::Version,
    places: Places<S>,
    /// Handlers that were told to end because their stream did, and have not
    /// yet. Their streams count against `max_concurrent_streams` until then, so
    /// that there are never more of them.
    ending: Vec<(StreamKey, Task<S>)>,
    spare_handlers: Vec<Handler<S>>,
    spare_bodies: Vec<PinnedBody<S>>,
    heads: Heads,
    wishes: Wishes,
    reports: Option<Box<Reports>>,
    /// The body of the request that asked for HTTP/2, by HTTP/1.1.
    #[cfg(feature = "http1")]
    replayed: Option<Box<Replayed>>,
    telemetry: Telemetry,
    shutdown: Option<Draining>,
}

type PinnedBody<S> = Spare<<S as HttpService>::ResponseBody>;

/// What is remembered of a request until its response.
#[derive(Clone, Copy)]
struct Ticket {
    kind: Kind,
    clock: Clock,
}

impl<S: HttpService> Exchanges<S> {
    pub(crate) fn new(
        version: Version,
        info: ConnectionInfo,
        mut options: Options,
        service: S,
    ) -> Self {
        let shutdown = options.shutdown.take().map(Draining::new);
        Self {
            service,
            telemetry: Telemetry::new(&info),
            info,
            http_version: version.http_version(),
            places: Places::default(),
            wishes: Wishes::default(),
            reports: options.stats_every.map(Reports::new).map(Box::new),
            #[cfg(feature = "http1")]
            replayed: None,
            ending: Vec::new(),
            spare_handlers: Vec::new(),
            spare_bodies: Vec::new(),
            heads: Heads::new(options.date),
            shutdown,
            options,
        }
    }

    /// A request is there: its handler gets a first poll, or a task.
    fn serve(
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

    fn poll_handler(&mut self, conn: &mut Context<'_>, stream: StreamKey) {
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

    /// Sends the response, as far as it is there.
    fn answer(
        &mut self,
        conn: &mut Context<'_>,
        stream: StreamKey,
        ticket: Ticket,
        response: Response<S::ResponseBody>,
    ) {
        if response.status().is_informational() {
            let error = "its status is informational (1xx)".into();
            return self.fail(conn, stream, ticket, &StreamError::Response(error));
        }
        // What the handler wanted to be sent before its response.
        self.handle_wishes(conn);
        let (head, priority, body) = self.heads.prepare(response, ticket.kind, conn.now);
        let status = head.status().unwrap_or_default();
        if let Err(error) = conn.engine.reply(stream, head, body.is_none()) {
            return self.not_sent(conn, stream, error);
        }
        self.telemetry.response(stream.id(), status, ticket.clock);
        if let Some(priority) = priority {
            conn.engine.prioritize(stream, priority);
        }
        let Some(body) = body else { return };
        let mut pinned = self.spare_bodies.pop().unwrap_or_default();
        pinned.put(body);
        if let Some(pinned) = self.send(conn, stream, pinned, Asked::First) {
            self.place(
                stream,
                Place::Sending {
                    stream,
                    body: pinned,
                },
            );
        }
    }

    /// There is no response: says so.
    fn fail(
        &mut self,
        conn: &mut Context<'_>,
        stream: StreamKey,
        ticket: Ticket,
        error: &StreamError,
    ) {
        self.report(stream.id(), error);
        let head = self.heads.internal_error(conn.now);
        let status = head.status().unwrap_or_default();
        match conn.engine.reply(stream, head, true) {
            Ok(()) => self.telemetry.response(stream.id(), status, ticket.clock),
            Err(error) => self.not_sent(conn, stream, error),
        }
    }

    /// Polls the body, and sends what it gives. Gives the body back unless that
    /// was its end.
    fn send(
        &mut self,
        conn: &mut Context<'_>,
        stream: StreamKey,
        mut body: PinnedBody<S>,
        asked: Asked,
    ) -> Option<PinnedBody<S>> {
        loop {
            let polled = conn.poll_source(stream, |cx| {
                let polled = catch_unwind(AssertUnwindSafe(|| match body.as_pin_mut() {
                    Some(body) => body.poll_frame(cx),
                    None => Poll::Ready(None),
                }));
                match polled {
                    Ok(Poll::Pending) => Poll::Pending,
                    Ok(Poll::Ready(frame)) => Poll::Ready(Ok(frame)),
                    Err(_) => Poll::Ready(Err(StreamError::BodyPanicked)),
                }
            });
            let frame = match polled {
                Poll::Pending => return Some(body),
                Poll::Ready(Ok(None)) => {
                    let sent = conn.engine.send_data(stream, Bytes::new(), true);
                    return self.sent_last(conn, stream, body, sent);
                }
                Poll::Ready(Ok(Some(Ok(frame)))) => frame,
                Poll::Ready(Ok(Some(Err(error)))) => {
                    self.fail_body(conn, stream, body, &StreamError::Body(error.into()));
                    return None;
                }
                Poll::Ready(Err(panicked)) => {
                    self.fail_body(conn, stream, body, &panicked);
                    return None;
                }
            };
            let frame = match frame.into_data() {
                Ok(mut data) => {
                    let data = data.copy_to_bytes(data.remaining());
                    let fin = body.is_end_stream();
                    if data.is_empty() && !fin {
                        continue;
                    }
                    let sent = conn.engine.send_data(stream, data, fin);
                    if fin || sent.is_err() {
                        return self.sent_last(conn, stream, body, sent);
                    }
                    if asked == Asked::First {
                        conn.engine.offer(stream);
                    }
                    return Some(body);
                }
                Err(frame) => frame,
            };
            if let Ok(trailers) = frame.into_trailers() {
                let sent = conn.engine.send_trailers(stream, trailers);
                return self.sent_last(conn, stream, body, sent);
            }
        }
    }

    fn sent_last(
        &mut self,
        conn: &mut Context<'_>,
        stream: StreamKey,
        mut body: PinnedBody<S>,
        sent: Result<(), UsageError>,
    ) -> Option<PinnedBody<S>> {
        body.clear();
        if self.spare_bodies.len() < SPARES {
            self.spare_bodies.push(body);
        }
        if let Err(error) = sent {
            self.not_sent(conn, stream, error);
        }
        None
    }

    fn fail_body(
        &mut self,
        conn: &mut Context<'_>,
        stream: StreamKey,
        body: PinnedBody<S>,
        error: &StreamError,
    ) {
        let _ = catch_unwind(AssertUnwindSafe(|| drop(body)));
        // Whoever ends a tunnel says why, and need not be told.
        if let Some(reason) = asked_for(error) {
            return conn.reset(stream, reason);
        }
        self.report(stream.id(), error);
        conn.reset(stream, Reason::InternalError);
    }

    /// The engine refused what we wanted to send.
    fn not_sent(&mut self, conn: &mut Context<'_>, stream: StreamKey, error: UsageError) {
        // The peer went away meanwhile, or wants no more: nobody's fault.
        if matches!(error, UsageError::StreamClosed | UsageError::HalfClosed) {
            return;
        }
        self.report(stream.id(), &StreamError::Response(error.into()));
        conn.reset(stream, Reason::InternalError);
    }

    fn report(&self, stream: StreamId, error: &StreamError) {
        self.telemetry.failed(stream, error);
        let event = Event::StreamFailed {
            connection: &self.info,
            stream,
            error,
        };
        self.options.observer.tell(&event);
    }

    fn keep_handler(&mut self, handler: Handler<S>) {
        if self.spare_handlers.len() < SPARES {
            self.spare_handlers.push(handler);
        }
    }

    fn place(&mut self, stream: StreamKey, new: Place<S>) {
        let old = self.places.put(stream, new);
        self.end(old);
    }

    /// The stream ended before its exchange did.
    fn end(&mut self, place: Place<S>) {
        match place {
            Place::Free => {}
            Place::Handling { stream, task, .. } => {
                task.abort();
                self.ending.push((stream, task));
            }
            Place::Sending { body, .. } => {
                let _ = catch_unwind(AssertUnwindSafe(|| drop(body)));
            }
        }
    }

    /// A handler that was told to end did so.
    fn poll_ending(&mut self, conn: &mut Context<'_>, stream: StreamKey) {
        let Some(index) = self.ending.iter().position(|(ending, _)| *ending == stream) else {
            return;
        };
        let waker = conn.waker(stream);
        let mut cx = task::Context::from_waker(&waker);
        let ended = self
            .ending
            .get_mut(index)
            .is_some_and(|(_, task)| task.poll(&mut cx).is_ready());
        if ended {
            self.ending.swap_remove(index);
            finish(conn, stream);
        }
    }

    /// An idle connection holds next to nothing.
    fn release_memory(&mut self) {
        self.places.release_memory();
        self.spare_handlers.truncate(1);
        self.spare_bodies.truncate(1);
    }
}

/// The reason with which our own side ends a stream on purpose: a tunnel that
/// was dropped.
fn asked_for(error: &StreamError) -> Option<Reason> {
    let mut source = std::error::Error::source(error);
    while let Some(error) = source {
        if let Some(error) = error.downcast_ref::<Error>() {
            return (error.initiator() == Initiator::User).then(|| error.reason());
        }
        source = error.source();
    }
    None
}

/// The client opened this stream: it is no push.
fn is_of_peer(stream: StreamKey) -> bool {
    stream.id().value() % 2 == 1
}

/// The handler of this stream is gone.
fn finish(conn: &mut Context<'_>, stream: StreamKey) {
    if is_of_peer(stream) {
        conn.engine.finish(stream);
    }
}

/// Why a body is polled.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Asked {
    /// Its response's head was just sent.
    First,
    /// It is the stream's turn: the engine goes on asking by itself.
    InTurn,
}

impl<S: HttpService> Application for Exchanges<S> {
    fn handle_event(&mut self, conn: &mut Context<'_>, event: EngineEvent) {
        match event {
            EngineEvent::Opened {
                stream,
                unidirectional: true,
                ..
            } => {
                // A request that takes no response: no service can serve it.
                conn.reset(stream, Reason::RefusedStream);
            }
            EngineEvent::Opened {
                stream, head, fin, ..
            } => {
                if let Some((ticket, request)) = self.request(conn, stream, head, fin) {
                    self.serve(conn, stream, ticket, request);
                }
            }
            EngineEvent::Data { stream, data, .. } => conn.engine.release(stream, data.len()),
            EngineEvent::Refused { id, error } => self.report(id, &StreamError::Refused(error)),
            EngineEvent::Reset { stream, error } => {
                self.telemetry.reset(stream.id(), &error);
                if error.initiator() == Initiator::Library && !error.is_connection() {
                    self.report(stream.id(), &StreamError::Refused(error));
                }
                let place = self.places.take(stream);
                self.end(place);
                self.poll_ending(conn, stream);
            }
            EngineEvent::ReturnedSettings { settings } => {
                self.options.observer.tell(&Event::SettingsReturned {
                    connection: &self.info,
                    settings: &settings,
                });
            }
            EngineEvent::Closed { .. } => self.last_report(conn),
            EngineEvent::Stopped { stream, .. } => {
                if let Some(Place::Sending { .. }) = self.places.of(stream) {
                    let place = self.places.take(stream);
                    self.end(place);
                }
            }
            _ => {}
        }
    }

    fn pull(&mut self, conn: &mut Context<'_>, stream: StreamKey, _: usize) {
        let Some(Place::Sending { .. }) = self.places.of(stream) else {
            return;
        };
        let Place::Sending { body, .. } = self.places.take(stream) else {
            return;
        };
        if let Some(body) = self.send(conn, stream, body, Asked::InTurn) {
            self.place(stream, Place::Sending { stream, body });
        }
    }

    fn handle_ready(&mut self, conn: &mut Context<'_>, stream: StreamKey) {
        match self.places.of(stream) {
            Some(Place::Handling { .. }) => self.poll_handler(conn, stream),
            Some(Place::Sending { .. }) => conn.engine.offer(stream),
            _ => self.poll_ending(conn, stream),
        }
    }

    /// The handler waits for a body that the client holds back until then.
    fn handle_wanted(&mut self, conn: &mut Context<'_>, stream: StreamKey) {
        self.go_on(conn, stream);
    }

    /// The handler reads no more of the request.
    fn handle_abandoned(&mut self, conn: &mut Context<'_>, stream: StreamKey) {
        conn.engine.abandon(stream);
    }

    fn poll_intents(&mut self, conn: &mut Context<'_>, cx: &mut task::Context<'_>) {
        if self
            .shutdown
            .as_mut()
            .is_some_and(|shutdown| shutdown.poll(cx))
        {
            self.shutdown = None;
            conn.engine.shutdown(conn.now);
        }
        self.announce(conn);
        self.handle_wishes(conn);
        self.serve_promised(conn);
        self.report_stats(conn, cx);
        self.telemetry.streams(conn.engine.open_streams());
        if self.places.is_empty() && conn.engine.is_idle() {
            self.release_memory();
        }
    }

    fn handle_closed(&mut self, _: &Result<(), Error>) {
        self.places = Places::default();
        self.ending = Vec::new();
        self.wishes.close();
    }
}

/// Waits for a shutdown to start, at the cost of a load in every turn.
struct Draining {
    signal: ShutdownSignal,
    wait: Pin<Box<dyn Future<Output = ()> + Send>>,
    waker: Option<Waker>,
}

impl Draining {
    fn new(signal: ShutdownSignal) -> Self {
        let mut waiting = signal.clone();
        Self {
            signal,
            wait: Box::pin(async move { waiting.wait().await }),
            waker: None,
        }
    }

    /// The future is polled only when it does not know the task's waker yet.
    fn poll(&mut self, cx: &mut task::Context<'_>) -> bool {
        let known = self
            .waker
            .as_ref()
            .is_some_and(|waker| waker.will_wake(cx.waker()));
        if known {
            return self.signal.has_started();
        }
        self.waker = Some(cx.waker().clone());
        self.wait.as_mut().poll(cx).is_ready()
    }
}
