//! The requests of one connection on their way through the service: the
//! [`Application`] of a server.
//!
//! A handler may be ready at its first poll, with all data of its response's
//! body. The request is then answered within the event that reported it: no
//! spawn, no lock, no wake-up. A table by stream keeps the exchanges that take longer.

mod advertise;
mod call;
mod commands;
mod handler;
mod interim;
mod memory;
mod pending;
mod push;
mod request;
mod response;
mod send;
mod stats;

use std::{
    collections::VecDeque,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
    task,
};

use http::{Request, Response};
use http_body::Body as _;
use lacewing_conn::{
    Error, Initiator, Reason, Side, Version,
    driver::{
        facade::{Application, Context, MemoryReport, StatsTimer},
        spares,
    },
    proto::{Capabilities, Control, Event as EngineEvent, Head, StreamId, StreamKey, UsageError},
};

#[cfg(feature = "http1")]
pub(crate) use self::request::Replayed;
use self::{
    call::Probe,
    handler::{Handler, Running, Slot},
    pending::{Pending, PendingTable, put_body, take_body},
    response::{Heads, Prepared},
    send::Asked,
};
use crate::{
    ConnectionInfo, ConnectionOptions, HttpService, RequestBody, ServerEvent, ServerOptions,
    ShutdownSignal, StreamError,
    commands::Commands,
    content::Kind,
    outgoing::Outgoing,
    telemetry::{Clock, Telemetry},
};

/// The number of empty boxes to keep for the next handler or body. Handlers that are ready at once
/// need one in total.
const SPARES: usize = 8;

/// The requests of one connection.
pub(crate) struct Exchanges<S: HttpService> {
    service: S,
    options: Arc<ServerOptions>,
    info: ConnectionInfo,
    http_version: http::Version,
    seldom: Option<Box<Seldom<S>>>,
    boxes: Option<Box<Boxes<S>>>,
    heads: Heads,
    /// The commands of handlers. Made when the first handle is.
    commands: Option<Arc<Commands>>,
    /// Origins and alternative services were sent.
    advertised: bool,
    stats: Option<Box<StatsTimer>>,
    /// The body of the request that asked for HTTP/2, by HTTP/1.1.
    #[cfg(feature = "http1")]
    replayed: Option<Box<Replayed>>,
    telemetry: Telemetry,
    shutdown: Option<ShutdownSignal>,
    /// The shutdown does not know the task's waker.
    moved: bool,
}

/// What few connections ever have.
struct Seldom<S: HttpService> {
    /// Handlers that were aborted because their stream ended, and have not
    /// ended yet. Their streams count against `max_concurrent_streams` until then, so
    /// that there are never more of them.
    ending: Vec<(StreamKey, Running<S>)>,
    /// Promised requests that have not been served yet, at most as many as the peer permits.
    promised: VecDeque<(StreamKey, Request<RequestBody>)>,
}

impl<S: HttpService> Default for Seldom<S> {
    fn default() -> Self {
        Self {
            ending: Vec::new(),
            promised: VecDeque::new(),
        }
    }
}

/// What a connection needs while it has requests.
struct Boxes<S: HttpService> {
    pending: PendingTable<S>,
    /// Empty boxes.
    handlers: Vec<Handler<S>>,
    bodies: Vec<PinnedBody<S>>,
    probe: Probe,
    /// The last handler was not ready at its first poll.
    handlers_wait: bool,
}

impl<S: HttpService> Boxes<S> {
    /// Those of a connection that sleeps, or new ones.
    #[cold]
    fn take() -> Box<Self> {
        spares::take().unwrap_or_else(|| {
            Box::new(Self {
                pending: PendingTable::new(),
                handlers: Vec::new(),
                bodies: Vec::new(),
                probe: Probe::new(),
                handlers_wait: false,
            })
        })
    }
}

type PinnedBody<S> = Slot<Outgoing<<S as HttpService>::ResponseBody>>;

/// The part of a request that an exchange keeps until the response.
#[derive(Clone, Copy)]
struct Ticket {
    kind: Kind,
    clock: Clock,
}

impl<S: HttpService> Exchanges<S> {
    pub(crate) fn new(
        version: Version,
        info: ConnectionInfo,
        options: ConnectionOptions,
        service: S,
    ) -> Self {
        Self {
            service,
            telemetry: Telemetry::new(&info, &options),
            info,
            http_version: Capabilities::of(version).http_version,
            commands: None,
            advertised: false,
            stats: options.stats_every.map(StatsTimer::new).map(Box::new),
            #[cfg(feature = "http1")]
            replayed: None,
            seldom: None,
            boxes: None,
            heads: Heads::new(options.date),
            shutdown: options.shutdown.clone(),
            moved: true,
            options: options.shared(),
        }
    }

    /// Returns the options and the information of the connection.
    pub(crate) fn facts(&self) -> (&ServerOptions, &ConnectionInfo) {
        (&self.options, &self.info)
    }

    /// Sends the response, as far as it is there.
    fn answer(
        &mut self,
        conn: &mut Context<'_>,
        stream: StreamKey,
        ticket: Ticket,
        mut response: Response<S::ResponseBody>,
    ) {
        if response.status().is_informational() {
            drop_caught(response);
            let error = "its status is informational (1xx)".into();
            return self.fail(conn, stream, ticket, &StreamError::Response(error));
        }
        // Sends the interim responses and pushes of the handler before its response.
        self.handle_commands(conn);
        let heads = &self.heads;
        // `prepare` calls the body's `is_end_stream` and `size_hint`, which may panic.
        let prepared = catch_unwind(AssertUnwindSafe(|| {
            heads.prepare(&mut response, ticket.kind, conn.now())
        }));
        let Prepared {
            added,
            priority,
            permits_body,
            length,
            left_out,
        } = match prepared.unwrap_or(Err(StreamError::BodyPanicked)) {
            Ok(prepared) => prepared,
            Err(error) => {
                drop_caught(response);
                return self.fail(conn, stream, ticket, &error);
            }
        };
        let (parts, body) = response.into_parts();
        let status = parts.status;
        let head = Head {
            control: Control::Response { status },
            fields: parts.headers,
        };
        let body = Some(Outgoing::new(body, length));
        let body = body.filter(|body| permits_body && !body.is_end_stream());
        if let Err(error) = conn.stream(stream).respond(head, added, body.is_none()) {
            drop_caught(body);
            if is_over(error) {
                return;
            }
            // No byte of the response was sent, so another can replace it.
            return self.fail(conn, stream, ticket, &StreamError::Response(error.into()));
        }
        if left_out {
            self.report(stream.id(), &StreamError::NoContent { status });
        }
        self.telemetry.response(stream.id(), status, ticket.clock);
        if let Some(priority) = priority {
            conn.stream(stream).prioritize(priority);
        }
        let Some(body) = body else {
            return self.telemetry.handed_over(stream.id());
        };
        let mut pinned = self
            .boxes
            .get_or_insert_with(Boxes::take)
            .bodies
            .pop()
            .unwrap_or_default();
        pinned.put(body);
        if !conn.may_send_ahead(stream) {
            conn.stream(stream).offer();
            return self.keep(stream, Pending::Sending(Some(pinned)));
        }
        if let Some(pinned) = self.send(conn, stream, pinned, Asked::First) {
            self.keep(stream, Pending::Sending(Some(pinned)));
        }
    }

    /// Reports the failure of a request, and answers it with status 500.
    fn fail(
        &mut self,
        conn: &mut Context<'_>,
        stream: StreamKey,
        ticket: Ticket,
        error: &StreamError,
    ) {
        self.report(stream.id(), error);
        let (head, added) = self.heads.internal_error(conn.now());
        let status = head.status().unwrap_or_default();
        match conn.stream(stream).respond(head, added, true) {
            Ok(()) => {
                self.telemetry.response(stream.id(), status, ticket.clock);
                self.telemetry.handed_over(stream.id());
            }
            Err(error) => self.not_sent(conn, stream, error),
        }
    }

    /// The engine refused a message of ours.
    fn not_sent(&mut self, conn: &mut Context<'_>, stream: StreamKey, error: UsageError) {
        if is_over(error) {
            return;
        }
        self.report(stream.id(), &StreamError::Response(error.into()));
        conn.reset(stream, Reason::InternalError);
    }

    fn report(&self, stream: StreamId, error: &StreamError) {
        self.telemetry.failed(stream, error);
        let event = ServerEvent::StreamFailed {
            connection: &self.info,
            stream,
            error,
        };
        self.options.observer.tell(&event);
    }

    #[inline]
    fn keep_handler(&mut self, handler: Handler<S>) {
        if let Some(boxes) = &mut self.boxes {
            if boxes.handlers.len() < SPARES {
                boxes.handlers.push(handler);
            }
        }
    }

    fn keep(&mut self, stream: StreamKey, pending: Pending<S>) {
        // An earlier stream's entry left the table when that stream ended.
        let boxes = self.boxes.get_or_insert_with(Boxes::take);
        boxes.pending.insert(stream, pending);
    }

    /// Returns the exchanges that take longer than one poll; `None`: there are none.
    #[inline]
    fn pending(&mut self) -> Option<&mut PendingTable<S>> {
        Some(&mut self.boxes.as_mut()?.pending)
    }

    /// Ends the exchange of a stream that ended before it.
    fn end(&mut self, stream: StreamKey) {
        match self.pending().and_then(|pending| pending.remove(stream)) {
            None => {}
            Some(Pending::Handling { running, .. }) => self.abort(stream, running),
            Some(Pending::Sending(body)) => {
                drop_caught(body);
            }
        }
    }

    fn abort(&mut self, stream: StreamKey, mut running: Running<S>) {
        if !running.abort() {
            let seldom = self.seldom.get_or_insert_default();
            seldom.ending.push((stream, running));
        }
    }

    /// Finishes a stream whose aborted handler has ended.
    fn poll_ending(&mut self, conn: &mut Context<'_>, stream: StreamKey) {
        let Some(seldom) = &mut self.seldom else {
            return;
        };
        let mut ending = seldom.ending.iter();
        let Some(index) = ending.position(|(ending, _)| *ending == stream) else {
            return;
        };
        let waker = conn.waker(stream);
        let mut cx = task::Context::from_waker(&waker);
        let ended =
            seldom
                .ending
                .get_mut(index)
                .is_some_and(|(_, running)| match running.poll(&mut cx) {
                    task::Poll::Ready(outcome) => {
                        drop_caught(outcome);
                        true
                    }
                    task::Poll::Pending => false,
                });
        if ended {
            seldom.ending.swap_remove(index);
            finish(conn, stream);
        }
    }

    /// Waits for a shutdown, at the cost of a load in every turn.
    fn shutdown_has_started(&mut self, cx: &task::Context<'_>) -> bool {
        match &mut self.shutdown {
            Some(signal) if self.moved => {
                self.moved = false;
                signal.poll_started(cx).is_ready()
            }
            Some(signal) => signal.has_started(),
            None => false,
        }
    }

    /// Leaves the empty boxes with the thread, so that an idle connection holds none.
    fn give_back_boxes(&mut self) {
        if let Some(boxes) = self.boxes.take_if(|boxes| boxes.pending.is_empty()) {
            // A service of this connection may still have the waker.
            if !boxes.probe.is_held() {
                spares::give_back(boxes);
            }
        }
        if self
            .seldom
            .as_ref()
            .is_some_and(|seldom| seldom.ending.is_empty())
        {
            self.seldom = None;
        }
    }
}

/// Drops a value of the service, whose panic must not end the connection.
fn drop_caught<T>(value: T) {
    let _ = catch_unwind(AssertUnwindSafe(|| drop(value)));
}

/// Returns whether the peer has closed the stream or refuses the rest. That is no error of the
/// server.
fn is_over(error: UsageError) -> bool {
    matches!(error, UsageError::StreamClosed | UsageError::HalfClosed)
}

/// Returns whether the client opened this stream; a push is opened by the server.
fn is_of_peer(stream: StreamKey) -> bool {
    stream.id().opener() == Some(Side::Client)
}

/// Reports to the engine that the handler of this stream has ended.
fn finish(conn: &mut Context<'_>, stream: StreamKey) {
    if is_of_peer(stream) {
        conn.stream(stream).finish();
    }
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
                let mut request = None;
                self.request(conn, stream, head, fin, &mut request);
                self.serve(conn, stream, &mut request);
            }
            EngineEvent::Data { stream, data, .. } => conn.stream(stream).release(data.len()),
            EngineEvent::Refused { id, error } => self.report(id, &StreamError::Refused(error)),
            EngineEvent::Reset { stream, error } => {
                self.telemetry.reset(stream.id(), &error);
                if error.initiator() == Initiator::Library && !error.is_connection() {
                    self.report(stream.id(), &StreamError::Refused(error));
                }
                self.end(stream);
                self.poll_ending(conn, stream);
            }
            EngineEvent::ReturnedSettings { settings } => {
                self.options.observer.tell(&ServerEvent::SettingsReturned {
                    connection: &self.info,
                    settings: &settings,
                });
            }
            EngineEvent::Stopped { stream, .. } => {
                let pending = self.pending().and_then(|pending| pending.get(stream));
                if let Some(Pending::Sending(_)) = pending {
                    self.end(stream);
                }
            }
            _ => {}
        }
    }

    fn pull(&mut self, conn: &mut Context<'_>, stream: StreamKey, _: usize) {
        let body = self
            .pending()
            .and_then(|pending| take_body(pending, stream));
        if let Some(body) = body {
            let polled = self.send(conn, stream, body, Asked::InTurn);
            if let Some(pending) = self.pending() {
                put_body(pending, stream, polled);
            }
        }
    }

    fn handle_ready(&mut self, conn: &mut Context<'_>, stream: StreamKey) {
        match self.pending().and_then(|pending| pending.get(stream)) {
            Some(Pending::Handling { .. }) => self.poll_handler(conn, stream),
            Some(Pending::Sending(_)) => conn.stream(stream).offer(),
            _ => self.poll_ending(conn, stream),
        }
    }

    /// The handler waits for a body that the client sends only after 100 (Continue).
    fn handle_wanted(&mut self, conn: &mut Context<'_>, stream: StreamKey) {
        self.send_continue(conn, stream);
    }

    /// The handler reads no more of the request.
    fn handle_abandoned(&mut self, conn: &mut Context<'_>, stream: StreamKey) {
        if conn.stream(stream).is_tunnel() {
            // The user dropped the tunnel; the data that it wrote is still sent.
            return conn.stream(stream).depart();
        }
        conn.stream(stream).abandon();
    }

    fn handle_moved(&mut self) {
        self.moved = true;
    }

    fn poll_sources(&mut self, conn: &mut Context<'_>, cx: &mut task::Context<'_>) {
        if self.shutdown_has_started(cx) {
            self.shutdown = None;
            conn.shutdown();
        }
        self.advertise(conn);
        self.handle_commands(conn);
        self.serve_promised(conn);
        self.report_stats(conn);
        self.telemetry.streams(conn.open_streams());
        self.telemetry.sample(conn);
        if conn.is_idle() {
            self.give_back_boxes();
        }
    }

    fn handle_memory_step(&mut self, conn: &mut Context<'_>, report: &MemoryReport) {
        self.report_memory_step(conn, report);
    }

    fn stream_memory(&self) -> usize {
        let kept = size_of::<S::Future>().max(size_of::<S::ResponseBody>());
        kept.saturating_add(memory::EXCHANGE)
    }

    fn handle_closed(&mut self, conn: &mut Context<'_>, _: &Result<(), Error>) {
        self.last_report(conn);
        self.telemetry.closed(|| conn.stats());
        // One by one: a second panic while one unwinds would end the process.
        let pending = self.boxes.as_mut().map(|boxes| boxes.pending.drain());
        for (_, pending) in pending.into_iter().flatten() {
            drop_caught(pending);
        }
        self.seldom = None;
        if let Some(commands) = self.commands.take() {
            drop(commands.close());
        }
    }
}
