//! The requests of one connection on their way through the service: the
//! [`Application`] of a server.
//!
//! A request whose handler is ready at its first poll, and whose response's
//! body has all its data then, is answered within the event that brought it:
//! no spawn, no lock, no wake-up. What takes longer has a place in a table,
//! indexed by the stream's slot.

mod handler;
mod response;

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    pin::Pin,
    task::{self, Poll, Waker},
};

use bytes::{Buf, Bytes};
use http::{Request, Response, header::CONTENT_LENGTH};
use http_body::Body;
use lacewing_conn::{
    Error, Initiator, Reason, Version,
    driver::{Application, Context},
    proto::{Control, Event as EngineEvent, Head, StreamId, StreamKey, UsageError},
};

use self::{
    handler::{Handler, Outcome, Slot as Spare, Task},
    response::{Heads, Kind},
};
use crate::{
    ConnectionInfo, Event, HttpService, Incoming, Options, ShutdownSignal, Spawn, StreamError,
};

/// Empty boxes that are kept for the next handler or body. Handlers that are
/// ready at once need one in all.
const SPARES: usize = 8;
/// Places that an idle connection keeps.
const IDLE_PLACES: usize = 8;

/// The requests of one connection.
pub(crate) struct Exchanges<S: HttpService> {
    service: S,
    options: Options,
    info: ConnectionInfo,
    http_version: http::Version,
    places: Vec<Place<S>>,
    /// Places that are taken.
    taken: usize,
    /// Handlers that were told to end because their stream did, and have not
    /// yet. Their streams count against `max_concurrent_streams` until then, so
    /// that there are never more of them.
    ending: Vec<(StreamKey, Task<S>)>,
    spare_handlers: Vec<Handler<S>>,
    spare_bodies: Vec<PinnedBody<S>>,
    heads: Heads,
    shutdown: Option<Draining>,
}

type PinnedBody<S> = Spare<<S as HttpService>::ResponseBody>;

/// What takes longer than one poll, of one stream.
enum Place<S: HttpService> {
    Free,
    /// The handler runs on a task of its own.
    Handling {
        stream: StreamKey,
        kind: Kind,
        task: Task<S>,
    },
    /// The response's body has more to give.
    Sending {
        stream: StreamKey,
        body: PinnedBody<S>,
    },
}

impl<S: HttpService> Place<S> {
    fn stream(&self) -> Option<StreamKey> {
        match self {
            Self::Free => None,
            Self::Handling { stream, .. } | Self::Sending { stream, .. } => Some(*stream),
        }
    }
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
            info,
            http_version: version.http_version(),
            places: Vec::new(),
            taken: 0,
            ending: Vec::new(),
            spare_handlers: Vec::new(),
            spare_bodies: Vec::new(),
            heads: Heads::new(options.date),
            shutdown,
            options,
        }
    }

    /// A request came: its handler gets a first poll, or a task.
    fn handle_request(&mut self, conn: &mut Context<'_>, stream: StreamKey, head: Head, fin: bool) {
        let Head {
            control:
                Control::Request {
                    method,
                    uri,
                    protocol,
                },
            fields,
        } = head
        else {
            // The engine lets nothing else through.
            return conn.reset(stream, Reason::ProtocolError);
        };
        let body = if fin {
            Incoming::empty()
        } else {
            let length = fields
                .get(CONTENT_LENGTH)
                .and_then(|value| value.to_str().ok());
            conn.incoming(stream, length.and_then(|length| length.parse().ok()))
                .into()
        };
        let kind = Kind::of(&method);
        let mut request = Request::new(body);
        *request.method_mut() = method;
        *request.uri_mut() = uri;
        *request.version_mut() = self.http_version;
        *request.headers_mut() = fields;
        if self.options.attach_info {
            request.extensions_mut().insert(self.info.clone());
        }
        if let Some(protocol) = protocol {
            request.extensions_mut().insert(protocol);
        }
        if self.options.spawn == Spawn::Always {
            let task = handler::spawn_call(self.service.clone(), request);
            return self.watch(conn, stream, kind, task);
        }
        let ready = catch_unwind(AssertUnwindSafe(|| {
            self.service
                .poll_ready(&mut task::Context::from_waker(Waker::noop()))
        }));
        match ready {
            Ok(Poll::Ready(Ok(()))) => self.call(conn, stream, kind, request),
            Ok(Poll::Ready(Err(error))) => {
                self.fail(conn, stream, &StreamError::Handler(error.into()));
            }
            Ok(Poll::Pending) => {
                let task = handler::spawn_call(self.service.clone(), request);
                self.watch(conn, stream, kind, task);
            }
            Err(_) => self.fail(conn, stream, &StreamError::HandlerPanicked),
        }
    }

    /// The service is ready: calls it, and polls the handler once. The waker
    /// is none, because a handler that is pending is polled again by its task.
    fn call(
        &mut self,
        conn: &mut Context<'_>,
        stream: StreamKey,
        kind: Kind,
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
                    Ok(response) => self.answer(conn, stream, kind, response),
                    Err(error) => self.fail(conn, stream, &StreamError::Handler(error.into())),
                }
            }
            Ok(Poll::Pending) => {
                let task = handler::spawn(handler);
                self.watch(conn, stream, kind, task);
            }
            Err(_) => {
                // What is left of the handler may panic too.
                let _ = catch_unwind(AssertUnwindSafe(|| drop(handler)));
                self.fail(conn, stream, &StreamError::HandlerPanicked);
            }
        }
    }

    /// The handler has a task of its own: the stream counts as open until that
    /// ends, whatever the peer does.
    fn watch(&mut self, conn: &mut Context<'_>, stream: StreamKey, kind: Kind, task: Task<S>) {
        conn.engine.retain(stream);
        self.place(stream, Place::Handling { stream, kind, task });
        self.poll_handler(conn, stream);
    }

    fn poll_handler(&mut self, conn: &mut Context<'_>, stream: StreamKey) {
        let Some(Place::Handling { kind, task, .. }) = self.place_of(stream) else {
            return;
        };
        let kind = *kind;
        let waker = conn.waker(stream);
        let Poll::Ready(outcome) = task.poll(&mut task::Context::from_waker(&waker)) else {
            return;
        };
        self.free(stream);
        conn.engine.finish(stream);
        match outcome {
            Outcome::Answered { result, handler } => {
                if let Some(handler) = handler {
                    self.keep_handler(handler);
                }
                match result {
                    Ok(response) => self.answer(conn, stream, kind, response),
                    Err(error) => self.fail(conn, stream, &StreamError::Handler(error)),
                }
            }
            Outcome::Panicked => self.fail(conn, stream, &StreamError::HandlerPanicked),
        }
    }

    /// Sends the response, as far as it is there.
    fn answer(
        &mut self,
        conn: &mut Context<'_>,
        stream: StreamKey,
        kind: Kind,
        response: Response<S::ResponseBody>,
    ) {
        if response.status().is_informational() {
            let error = "its status is informational (1xx)".into();
            return self.fail(conn, stream, &StreamError::Response(error));
        }
        let (head, body) = self.heads.prepare(response, kind, conn.now);
        if let Err(error) = conn.engine.reply(stream, head, body.is_none()) {
            return self.not_sent(conn, stream, error);
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
    fn fail(&mut self, conn: &mut Context<'_>, stream: StreamKey, error: &StreamError) {
        self.report(stream.id(), error);
        let head = self.heads.internal_error(conn.now);
        if let Err(error) = conn.engine.reply(stream, head, true) {
            self.not_sent(conn, stream, error);
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
        let slot = stream.slot();
        if slot >= self.places.len() {
            self.places
                .resize_with(slot.saturating_add(1), || Place::Free);
        }
        let Some(place) = self.places.get_mut(slot) else {
            return;
        };
        if let Place::Free = place {
            self.taken = self.taken.saturating_add(1);
        }
        let old = std::mem::replace(place, new);
        self.end(old);
    }

    fn place_of(&mut self, stream: StreamKey) -> Option<&mut Place<S>> {
        self.places
            .get_mut(stream.slot())
            .filter(|place| place.stream() == Some(stream))
    }

    /// Takes what is kept of a stream.
    fn free(&mut self, stream: StreamKey) -> Place<S> {
        let Some(place) = self.place_of(stream) else {
            return Place::Free;
        };
        let old = std::mem::replace(place, Place::Free);
        self.taken = self.taken.saturating_sub(1);
        old
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
            conn.engine.finish(stream);
        }
    }

    /// An idle connection holds next to nothing.
    fn release_memory(&mut self) {
        if self.places.capacity() > IDLE_PLACES {
            self.places = Vec::new();
        }
        self.spare_handlers.truncate(1);
        self.spare_bodies.truncate(1);
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
                self.handle_request(conn, stream, head, fin);
            }
            EngineEvent::Data { stream, data, .. } => conn.engine.release(stream, data.len()),
            EngineEvent::Refused { id, error } => self.report(id, &StreamError::Refused(error)),
            EngineEvent::Reset { stream, error } => {
                if error.initiator() == Initiator::Library && !error.is_connection() {
                    self.report(stream.id(), &StreamError::Refused(error));
                }
                let place = self.free(stream);
                self.end(place);
                self.poll_ending(conn, stream);
            }
            EngineEvent::Stopped { stream } => {
                if let Some(Place::Sending { .. }) = self.place_of(stream) {
                    self.free(stream);
                }
            }
            _ => {}
        }
    }

    fn pull(&mut self, conn: &mut Context<'_>, stream: StreamKey, _: usize) {
        let Some(Place::Sending { .. }) = self.place_of(stream) else {
            return;
        };
        let Place::Sending { body, .. } = self.free(stream) else {
            return;
        };
        if let Some(body) = self.send(conn, stream, body, Asked::InTurn) {
            self.place(stream, Place::Sending { stream, body });
        }
    }

    fn handle_ready(&mut self, conn: &mut Context<'_>, stream: StreamKey) {
        match self.place_of(stream) {
            Some(Place::Handling { .. }) => self.poll_handler(conn, stream),
            Some(Place::Sending { .. }) => conn.engine.offer(stream),
            _ => self.poll_ending(conn, stream),
        }
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
        if self.taken == 0 && conn.engine.is_idle() {
            self.release_memory();
        }
    }

    fn handle_closed(&mut self, _: &Result<(), Error>) {
        self.places = Vec::new();
        self.ending = Vec::new();
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
