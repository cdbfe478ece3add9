//! The exchanges of a connection, on its task: opens streams for the requests of handles, pulls
//! their bodies, and delivers their responses.

mod expect_continue;
mod fields;
mod messages;
mod opening;
mod promises;
mod request;
mod upload;

use std::{collections::VecDeque, sync::Arc, time::Duration};

use http::{Response, header::CONTENT_LENGTH};
use lacewing_conn::{
    Initiator, Reason, Version,
    driver::{
        Incoming,
        facade::{Application, Context, MemoryReport, StreamTable},
    },
    proto::{Control, Event, Head, StreamKey, fields::content_length},
};
use tokio::sync::oneshot;

#[cfg(feature = "h2c")]
pub(crate) use self::request::PreparedRequest;
#[cfg(any(feature = "h2c", feature = "http1"))]
pub(crate) use self::request::prepare;
#[cfg(feature = "http1")]
pub(crate) use self::request::{Expectation, Vocabulary};
use self::{expect_continue::Expectations, opening::start, upload::Upload};
use crate::{
    AlternativeService, ClientError, OnInformational, Security,
    alternative_services::OnAlternative,
    link::{Delivered, Failure, Link, Message, Progress, Reply, Rest, State, Submission},
    pushes,
    spdy_settings::{EarlierSettings, Keeper},
    stats::{OnStats, Reports},
    telemetry::{Clock, Telemetry},
};

/// The [`Application`] of a client's connection.
pub(crate) struct Exchanges {
    link: Arc<Link>,
    /// Messages that this turn takes from the link; empty between turns.
    messages: Vec<Message>,
    security: Security,
    /// Requests that wait until the server permits another stream.
    waiting: VecDeque<Submission>,
    /// Extended CONNECT requests that wait for the server's SETTINGS.
    deferred: VecDeque<Submission>,
    /// Exchanges that wait for a response or still send, and those that pushes may refer to by URI.
    exchanges: StreamTable<Exchange>,
    /// Bodies that wait for 100 (Continue).
    expectations: Expectations,
    /// Streams whose response began before the body was sent. The body is never sent; the stream
    /// ends with its response.
    unfinished: Vec<StreamKey>,
    /// Handles that wait for the answer to a PING.
    pings: Vec<oneshot::Sender<Duration>>,
    /// The queue of pushes, if they are accepted.
    pushes: Option<Arc<pushes::Waiting>>,
    on_alternative: Option<OnAlternative>,
    reports: Option<Reports>,
    keeper: Option<Keeper>,
    telemetry: Telemetry,
    /// The number of received responses.
    answered: u64,
    /// The error of requests that cannot have a stream; `None` while streams may be opened.
    refusing: Option<lacewing_conn::Error>,
    shutdown: Shutdown,
}

/// The options of exchanges.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    pub(crate) version: Version,
    pub(crate) security: Security,
    pub(crate) continue_timeout: Duration,
    pub(crate) pushes: Option<Arc<pushes::Waiting>>,
    pub(crate) on_alternative: Option<OnAlternative>,
    pub(crate) on_stats: Option<OnStats>,
    pub(crate) keeper: Option<Keeper>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Shutdown {
    NotYet,
    Begun,
}

struct Exchange {
    /// `None` once the response's head is delivered.
    reply: Option<Arc<Reply>>,
    /// `None` when no more of the body is sent, and no retry needs it.
    upload: Option<Upload>,
    informational: Option<OnInformational>,
    /// The request's URI, if pushes are accepted. Kept until the slot is used again.
    uri: Option<Box<http::Uri>>,
    clock: Clock,
    /// The value of `Exchanges::answered` when this request was sent.
    answered: u64,
}

impl Exchange {
    /// Returns whether the request has its outcome, sends nothing more, and no push may refer to
    /// it.
    fn is_done(&self) -> bool {
        self.reply.is_none() && self.upload.is_none() && self.uri.is_none()
    }
}

impl Exchanges {
    pub(crate) fn new(link: Arc<Link>, settings: Settings) -> Self {
        Self {
            link,
            messages: Vec::new(),
            security: settings.security,
            waiting: VecDeque::new(),
            deferred: VecDeque::new(),
            exchanges: StreamTable::new(),
            expectations: Expectations::new(settings.continue_timeout),
            unfinished: Vec::new(),
            pings: Vec::new(),
            pushes: settings.pushes,
            on_alternative: settings.on_alternative,
            reports: settings.on_stats.map(Reports::new),
            keeper: settings.keeper,
            telemetry: Telemetry::new(settings.version),
            answered: 0,
            refusing: None,
            shutdown: Shutdown::NotYet,
        }
    }

    fn remove(&mut self, stream: StreamKey) -> Option<Exchange> {
        self.expectations.settle(stream);
        self.exchanges.remove(stream)
    }

    /// Removes an exchange that has its outcome and sends nothing more.
    fn forget_if_done(&mut self, stream: StreamKey) {
        let exchange = self.exchanges.get(stream);
        if exchange.is_some_and(Exchange::is_done) {
            self.exchanges.discard(stream);
        }
    }

    fn respond(&mut self, conn: &mut Context<'_>, stream: StreamKey, head: Head, fin: bool) {
        let Some(exchange) = self.exchanges.get_mut(stream) else {
            return;
        };
        let Some(reply) = exchange.reply.take() else {
            return;
        };
        let clock = exchange.clock;
        exchange.informational = None;
        let Control::Response { status } = head.control else {
            return;
        };
        let held = matches!(exchange.upload, Some(Upload::Held(_)));
        // The server has accepted the request: its response may depend on the content.
        let accepted = held && !fin && status.is_success();
        match &mut exchange.upload {
            Some(Upload::Running(body)) => body.forget(),
            Some(Upload::Held(_)) if accepted => {}
            upload => *upload = None,
        }
        self.note_answer();
        self.forget_if_done(stream);
        self.expectations.settle(stream);
        self.telemetry
            .response(stream.id(), status, clock, conn.now());
        if reply.is_abandoned() {
            self.cancel(conn, stream);
            return;
        }
        let body = if fin {
            Incoming::empty()
        } else {
            // Over SPDY, a content-length is not checked, and only declares a length.
            let checked = conn.stream(stream).content_left();
            let length = checked.or_else(|| {
                let lengths = head.fields.get_all(CONTENT_LENGTH);
                content_length(lengths).ok().flatten()
            });
            conn.incoming(stream, length)
        };
        let mut response = Response::new(body);
        *response.status_mut() = status;
        *response.version_mut() = conn.capabilities().http_version;
        *response.headers_mut() = head.fields;
        // Cancels if the response has no receiver, or if it is complete without the request's body.
        // No effect on a complete stream.
        let unwanted = reply.deliver(Ok(response)) == Delivered::No;
        if unwanted || (held && fin) {
            self.cancel(conn, stream);
        } else if accepted {
            self.send_held(conn, stream);
        } else if held {
            conn.stream(stream).withhold();
            self.unfinished.push(stream);
        }
    }

    /// Delivers an informational response.
    fn inform(&mut self, conn: &mut Context<'_>, stream: StreamKey, head: Head) {
        let Control::Response { status } = head.control else {
            return;
        };
        self.telemetry.interim(stream.id(), "informational");
        let Some(exchange) = self.exchanges.get_mut(stream) else {
            return;
        };
        if let Some(informational) = &exchange.informational {
            let mut response = Response::new(());
            *response.status_mut() = status;
            *response.version_mut() = conn.capabilities().http_version;
            *response.headers_mut() = head.fields;
            informational.call(response);
        }
        if status == http::StatusCode::CONTINUE {
            self.send_held(conn, stream);
        }
    }

    /// Sends a body that waited for 100 (Continue).
    fn send_held(&mut self, conn: &mut Context<'_>, stream: StreamKey) {
        self.expectations.settle(stream);
        if let Some(exchange) = self.exchanges.get_mut(stream) {
            match exchange.upload.take() {
                Some(Upload::Held(body)) => exchange.upload = start(conn, stream, body),
                other => exchange.upload = other,
            }
        }
    }

    /// Cancels a stream whose response is not needed.
    fn cancel(&mut self, conn: &mut Context<'_>, stream: StreamKey) {
        drop(self.remove(stream));
        conn.reset(stream, Reason::Cancel);
    }

    /// Resets a stream whose request cannot be sent completely, so that the server does not take it
    /// for complete. The response's future, or the reader of the response's body, gets the error.
    fn give_up(
        &mut self,
        conn: &mut Context<'_>,
        stream: StreamKey,
        error: ClientError,
        reason: Reason,
    ) {
        let why = error.to_string();
        if let Some(reply) = self.remove(stream).and_then(|exchange| exchange.reply) {
            reply.settle(Err(Failure::new(error)));
        }
        conn.reset_because(stream, reason, why);
    }

    fn fail(&mut self, stream: StreamKey, error: lacewing_conn::Error) {
        let Some(exchange) = self.remove(stream) else {
            return;
        };
        if let Some(reply) = exchange.reply {
            // If the connection ends, its whole lifetime shows whether it made progress. If it
            // continues, only the responses since this request count.
            let progress = if error.is_connection() {
                self.link.lifecycle.progress()
            } else if self.answered > exchange.answered {
                Progress::Made
            } else {
                Progress::None
            };
            let rest = exchange.upload.map_or(Rest::Nothing, Upload::rewind);
            let failure = Failure::with_rest(ClientError::Connection(error), rest);
            reply.settle(Err(failure.after(progress)));
        }
    }

    fn note_answer(&mut self) {
        self.answered = self.answered.saturating_add(1);
        self.link.lifecycle.note_progress();
    }

    /// Counts the open requests as progress when the server ends the connection: it still works on
    /// them.
    fn note_accepted(&self, conn: &Context<'_>) {
        if conn.open_streams() > 0 {
            self.link.lifecycle.note_progress();
        }
    }

    /// Opens no more streams. Returns the waiting requests whole.
    fn refuse(&mut self, error: lacewing_conn::Error) {
        if self.refusing.is_none() {
            self.link.lifecycle.refuse(&error);
            self.telemetry.draining(&error);
        }
        let error = self.refusing.get_or_insert(error).clone();
        self.waiting.append(&mut self.deferred);
        self.link.admission.release_slots(self.waiting.len());
        let progress = self.link.lifecycle.progress();
        for submission in self.waiting.drain(..) {
            submission.fail(ClientError::Connection(error.clone()), progress);
        }
    }

    /// Cancels a stream whose future was dropped.
    fn cancel_abandoned(
        &mut self,
        conn: &mut Context<'_>,
        stream: StreamKey,
        abandoned: &Arc<Reply>,
    ) {
        let exchange = self.exchanges.get(stream);
        let reply = exchange.and_then(|exchange| exchange.reply.as_ref());
        if reply.is_some_and(|reply| Arc::ptr_eq(reply, abandoned)) {
            self.cancel(conn, stream);
        }
    }

    /// Removes the waiting requests whose futures were dropped.
    fn forget_abandoned(&mut self) {
        for waiting in [&mut self.waiting, &mut self.deferred] {
            let before = waiting.len();
            waiting.retain(|submission| !submission.reply.is_abandoned());
            let forgotten = before.saturating_sub(waiting.len());
            self.link.admission.release_slots(forgotten);
        }
    }

    /// Handles deadlines, and streams whose response is complete.
    fn handle_due(&mut self, conn: &mut Context<'_>) {
        while let Some(stream) = self.expectations.take_due(conn.now()) {
            self.send_held(conn, stream);
        }
        if let Some(next) = self.expectations.next() {
            conn.wake_at(next);
        }
        if !self.unfinished.is_empty() {
            self.unfinished.retain(|stream| {
                let receiving = conn.is_receiving(*stream);
                if !receiving {
                    conn.reset(*stream, Reason::Cancel);
                }
                receiving
            });
        }
        if let Some(reports) = &mut self.reports {
            if let Some(next) = reports.report(conn.now(), || conn.stats()) {
                conn.wake_at(next);
            }
        }
    }

    /// Ends everything. Each request receives its outcome.
    fn close(&mut self, error: &lacewing_conn::Error) {
        self.link.lifecycle.drain();
        for (_, exchange) in self.exchanges.drain() {
            if let Some(reply) = exchange.reply {
                reply.settle(Err(Failure::new(ClientError::Connection(error.clone()))));
            }
        }
        self.refuse(error.clone().with_retryable(true));
        self.link.close(&error.clone().with_retryable(true));
        // These PINGs remain without an answer.
        self.pings.clear();
        if let Some(pushes) = &self.pushes {
            pushes.end();
        }
    }
}

impl Application for Exchanges {
    fn handle_event(&mut self, conn: &mut Context<'_>, event: Event) {
        match event {
            Event::Reply { stream, head, fin } => self.respond(conn, stream, head, fin),
            Event::Informational { stream, head } => self.inform(conn, stream, head),
            Event::Reset { stream, error } => {
                self.telemetry.reset(stream.id(), &error);
                if error.is_connection() {
                    self.note_accepted(conn);
                }
                self.fail(stream, error);
            }
            Event::Pong { round_trip } => {
                self.link.figures.set_round_trip(round_trip);
                for ping in self.pings.drain(..) {
                    // The handle may be dropped already.
                    let _ = ping.send(round_trip);
                }
            }
            Event::Stopped { stream, .. } => {
                self.expectations.settle(stream);
                if let Some(exchange) = self.exchanges.get_mut(stream) {
                    exchange.upload = None;
                    self.forget_if_done(stream);
                }
            }
            Event::Data { stream, data, .. } => conn.stream(stream).release(data.len()),
            Event::Promised {
                parent,
                stream,
                head,
            } => self.promised(conn, parent, stream, head),
            Event::Opened { stream, .. } => {
                // A client answers no requests.
                conn.reset(stream, Reason::RefusedStream);
            }
            Event::KeepSettings { forget, settings } => {
                if let Some(keeper) = &self.keeper {
                    let earlier = if forget {
                        EarlierSettings::Forget
                    } else {
                        EarlierSettings::Keep
                    };
                    keeper.keep(earlier, &settings);
                }
            }
            // RFC 8336 §2.1: in cleartext, anyone on the path could send this.
            Event::Origins { origins } if self.security == Security::Tls => {
                self.link
                    .figures
                    .advertised(|advertised| advertised.add_origins(origins));
            }
            Event::AlternativeServices { origin, value, .. } => {
                if let Some(service) = AlternativeService::new(origin, value) {
                    if let Some(callback) = &self.on_alternative {
                        (callback.0)(&service);
                    }
                    self.link
                        .figures
                        .advertised(|advertised| advertised.add_service(service));
                }
            }
            Event::GoAway { error, .. } => {
                self.note_accepted(conn);
                self.refuse(error.with_retryable(true));
            }
            Event::Closed { error } => self.refuse(error.with_retryable(true)),
            _ => {}
        }
    }

    fn pull(&mut self, conn: &mut Context<'_>, stream: StreamKey, _max: usize) {
        self.pull_upload(conn, stream);
    }

    fn handle_ready(&mut self, conn: &mut Context<'_>, stream: StreamKey) {
        if self
            .exchanges
            .get(stream)
            .is_some_and(|exchange| matches!(exchange.upload, Some(Upload::Running(_))))
        {
            conn.stream(stream).offer();
        }
    }

    fn handle_abandoned(&mut self, conn: &mut Context<'_>, stream: StreamKey) {
        if conn.stream(stream).is_tunnel() {
            // The user dropped the tunnel; the data that it wrote is still sent.
            return conn.stream(stream).depart();
        }
        self.cancel(conn, stream);
    }

    fn handle_memory_step(&mut self, _: &mut Context<'_>, report: &MemoryReport) {
        self.telemetry.memory_step(report);
    }

    fn poll_sources(&mut self, conn: &mut Context<'_>, _: &mut std::task::Context<'_>) {
        self.handle_messages(conn);
        if let Some(error) = self.refusing.clone() {
            self.refuse(error);
        }
        self.handle_due(conn);
        self.open_waiting(conn);
        let idle = self.waiting.is_empty() && self.deferred.is_empty() && conn.is_idle();
        self.link.lifecycle.set_idle(idle);
        if idle {
            self.release_memory();
        }
        if let Some(pushes) = &self.pushes {
            // No handle remains that could take a push.
            if self.link.lifecycle.is_unwanted() && Arc::strong_count(pushes) == 1 {
                pushes.discard();
            }
        }
        if idle && self.shutdown == Shutdown::NotYet && self.link.lifecycle.is_unwanted() {
            self.shutdown = Shutdown::Begun;
            self.link.lifecycle.drain();
            conn.shutdown();
        }
    }

    fn handle_closed(&mut self, conn: &mut Context<'_>, result: &Result<(), lacewing_conn::Error>) {
        if let Some(reports) = &mut self.reports {
            reports.end(&conn.stats());
        }
        self.telemetry.closed(result);
        let error = match result {
            Ok(()) => not_sent("the connection is closed"),
            Err(error) => error.clone(),
        };
        self.close(&error);
    }
}

/// The task may be dropped at any time, by a runtime that shuts down or by the owner of the future.
impl Drop for Exchanges {
    fn drop(&mut self) {
        if self.link.lifecycle.state() != State::Closed {
            let detail = "the connection's task was dropped";
            let error = lacewing_conn::Error::connection(Initiator::User, Reason::Cancel, detail);
            self.close(&error);
        }
    }
}

/// Returns the error of a request that was not sent.
fn not_sent(detail: impl Into<std::borrow::Cow<'static, str>>) -> lacewing_conn::Error {
    lacewing_conn::Error::connection(Initiator::Library, Reason::RefusedStream, detail)
        .with_retryable(true)
}
