//! What the connection's task does for a client: opens streams for requests
//! that handles made, pulls their bodies, and brings the responses back.

mod queue;
mod reply;

use std::{collections::VecDeque, sync::Arc};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, Request, Response, Uri, header, uri};
use http_body::Frame;
use lacewing_conn::{
    Initiator, Reason,
    driver::{Application, Context, Incoming},
    proto::{Control, Event, Head, OpenError, Priority, Protocol, StreamKey},
};

use self::{queue::Intent, reply::Verdict};
pub(crate) use self::{
    queue::{Queue, State},
    reply::{Failure, Reply, Wait},
};
use crate::{
    Error, RequestError, Security,
    body::{RequestBody, Source},
};

/// Empty pieces that a body may give in one turn before others get theirs.
const EMPTY_PIECES: usize = 16;

/// The [`Application`] of a client's connection.
pub(crate) struct Exchanges {
    queue: Arc<Queue>,
    security: Security,
    /// Taken from the queue; the server allows no further stream yet.
    waiting: VecDeque<Intent>,
    /// By [`StreamKey::slot`]: those that wait for a response or still send.
    exchanges: Vec<Option<Exchange>>,
    /// Why no further stream can be opened, once that is so.
    refusing: Option<lacewing_conn::Error>,
    shutdown: Shutdown,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Shutdown {
    NotYet,
    Begun,
}

struct Exchange {
    stream: StreamKey,
    /// `None` once the response's head was delivered.
    reply: Option<Arc<Reply>>,
    /// `None` once all was sent, or nobody wants more.
    body: Option<std::pin::Pin<Box<dyn Source>>>,
}

impl Exchanges {
    pub(crate) fn new(queue: Arc<Queue>, security: Security) -> Self {
        Self {
            queue,
            security,
            waiting: VecDeque::new(),
            exchanges: Vec::new(),
            refusing: None,
            shutdown: Shutdown::NotYet,
        }
    }

    fn open(&mut self, conn: &mut Context<'_>, intent: Intent) {
        let Intent { request, reply } = intent;
        if reply.is_abandoned() {
            return;
        }
        let version = conn.engine.version();
        let (head, priority, body) = match message(request, self.security) {
            Ok(parts) => parts,
            Err(error) => return reply.settle(Err(Failure::new(error.into()))),
        };
        let fin = body.is_empty();
        let stream = match conn.engine.open(conn.now, head, fin, priority) {
            Ok(stream) => stream,
            Err(OpenError::Usage(error)) => {
                let what = error.to_string();
                let error = RequestError::Unsupported { version, what };
                return reply.settle(Err(Failure::new(error.into())));
            }
            Err(error) => {
                let too_many = matches!(error, OpenError::TooManyStreams { .. });
                let error = not_sent(error.to_string());
                if !too_many {
                    self.refuse(error.clone());
                }
                return reply.settle(Err(Failure::new(Error::Connection(error))));
            }
        };
        reply.opened(stream.slot());
        let body = match body {
            RequestBody::Empty => None,
            RequestBody::Source(source) => {
                conn.engine.offer(stream);
                Some(source)
            }
        };
        let slot = stream.slot();
        if slot >= self.exchanges.len() {
            self.exchanges.resize_with(slot.saturating_add(1), || None);
        }
        if let Some(entry) = self.exchanges.get_mut(slot) {
            *entry = Some(Exchange {
                stream,
                reply: Some(reply),
                body,
            });
        }
    }

    fn exchange(&mut self, stream: StreamKey) -> Option<&mut Exchange> {
        let exchange = self.exchanges.get_mut(stream.slot())?.as_mut()?;
        (exchange.stream == stream).then_some(exchange)
    }

    fn remove(&mut self, stream: StreamKey) -> Option<Exchange> {
        let entry = self.exchanges.get_mut(stream.slot())?;
        entry.take_if(|exchange| exchange.stream == stream)
    }

    /// Forgets an exchange that is settled and sends no more.
    fn tidy(&mut self, stream: StreamKey) {
        if let Some(entry) = self.exchanges.get_mut(stream.slot()) {
            entry.take_if(|exchange| {
                exchange.stream == stream && exchange.reply.is_none() && exchange.body.is_none()
            });
        }
    }

    fn respond(&mut self, conn: &mut Context<'_>, stream: StreamKey, head: Head, fin: bool) {
        let version = conn.engine.version();
        let Some(exchange) = self.exchange(stream) else {
            return;
        };
        let Some(reply) = exchange.reply.take() else {
            return;
        };
        let unsent = exchange.body.is_some();
        self.tidy(stream);
        let Control::Response { status } = head.control else {
            return;
        };
        if reply.is_abandoned() {
            self.cancel(conn, stream);
            return;
        }
        let body = if fin {
            Incoming::empty()
        } else {
            conn.incoming(stream, content_length(&head.fields))
        };
        let mut response = Response::new(body);
        *response.status_mut() = status;
        *response.version_mut() = version.http_version();
        *response.headers_mut() = head.fields;
        // Nobody took it: the response's body is dropped, and that resets the
        // stream unless nothing was to come.
        if reply.deliver(Ok(response)) == Verdict::Unwanted && (unsent || !fin) {
            self.cancel(conn, stream);
        }
    }

    /// Nobody waits for this stream's response any more.
    fn cancel(&mut self, conn: &mut Context<'_>, stream: StreamKey) {
        drop(self.remove(stream));
        conn.reset(stream, Reason::Cancel);
    }

    fn fail(&mut self, stream: StreamKey, error: lacewing_conn::Error) {
        let Some(exchange) = self.remove(stream) else {
            return;
        };
        if let Some(reply) = exchange.reply {
            reply.settle(Err(Failure::new(Error::Connection(error))));
        }
    }

    /// No stream will be opened any more: what waits goes back whole.
    fn refuse(&mut self, error: lacewing_conn::Error) {
        self.queue.set_state(State::Draining);
        let error = self.refusing.get_or_insert(error).clone();
        self.queue.drain(&mut self.waiting);
        self.queue.forget(self.waiting.len());
        for intent in self.waiting.drain(..) {
            intent.give_back(Error::Connection(error.clone()));
        }
    }

    /// Futures of these were dropped.
    fn cancel_abandoned(&mut self, conn: &mut Context<'_>) {
        let mut before_opening = false;
        for reply in self.queue.take_cancelled() {
            let entry = reply.slot().and_then(|slot| self.exchanges.get(slot));
            let exchange = entry.and_then(Option::as_ref);
            let current = exchange.filter(|exchange| {
                exchange
                    .reply
                    .as_ref()
                    .is_some_and(|other| Arc::ptr_eq(other, &reply))
            });
            match current.map(|exchange| exchange.stream) {
                Some(stream) => self.cancel(conn, stream),
                None => before_opening = true,
            }
        }
        if before_opening {
            let before = self.waiting.len();
            self.waiting.retain(|intent| !intent.reply.is_abandoned());
            self.queue.forget(before.saturating_sub(self.waiting.len()));
        }
    }

    /// Everything ends here: nothing is left that nobody answers.
    fn close(&mut self, error: &lacewing_conn::Error) {
        self.queue.set_state(State::Closed);
        for exchange in self.exchanges.drain(..).flatten() {
            if let Some(reply) = exchange.reply {
                reply.settle(Err(Failure::new(Error::Connection(error.clone()))));
            }
        }
        self.refuse(error.clone().with_retryable(true));
        self.queue.close(error.clone().with_retryable(true));
    }
}

impl Application for Exchanges {
    fn handle_event(&mut self, conn: &mut Context<'_>, event: Event) {
        match event {
            Event::Reply { stream, head, fin } => self.respond(conn, stream, head, fin),
            Event::Reset { stream, error } => self.fail(stream, error),
            Event::Stopped { stream } => {
                if let Some(exchange) = self.exchange(stream) {
                    exchange.body = None;
                    self.tidy(stream);
                }
            }
            Event::Data { stream, data, .. } => conn.engine.release(stream, data.len()),
            Event::Opened { stream, .. } | Event::Promised { stream, .. } => {
                // Nobody here answers requests, or asked for pushes.
                conn.reset(stream, Reason::RefusedStream);
            }
            Event::GoAway { reason, .. } => {
                let detail = "the server takes no new requests on this connection";
                let error = lacewing_conn::Error::connection(Initiator::Peer, reason, detail);
                self.refuse(error.with_retryable(true));
            }
            Event::Closed { error } => self.refuse(error.with_retryable(true)),
            _ => {}
        }
    }

    fn pull(&mut self, conn: &mut Context<'_>, stream: StreamKey, _max: usize) {
        let Some(exchange) = self.exchange(stream) else {
            return;
        };
        let Some(body) = &mut exchange.body else {
            return;
        };
        for _ in 0..EMPTY_PIECES {
            let piece = conn.poll_source(stream, |cx| body.as_mut().poll_piece(cx));
            let std::task::Poll::Ready(piece) = piece else {
                return;
            };
            let sent = match piece.map(|piece| piece.map(Frame::into_data)) {
                Some(Ok(Ok(data))) => {
                    let fin = body.is_done();
                    if data.is_empty() && !fin {
                        continue;
                    }
                    if !fin {
                        let sent = conn.engine.send_data(stream, data, false);
                        if sent.is_ok() {
                            conn.engine.offer(stream);
                        }
                        return;
                    }
                    conn.engine.send_data(stream, data, true)
                }
                Some(Ok(Err(frame))) => match frame.into_trailers() {
                    Ok(trailers) => conn.engine.send_trailers(stream, trailers),
                    Err(_) => continue,
                },
                Some(Err(error)) => {
                    if let Some(reply) = exchange.reply.take() {
                        reply.settle(Err(Failure::new(Error::Body(error.into()))));
                    }
                    self.cancel(conn, stream);
                    return;
                }
                None => conn.engine.send_data(stream, Bytes::new(), true),
            };
            exchange.body = None;
            if let Err(error) = sent {
                let version = conn.engine.version();
                let error = RequestError::Unsupported {
                    version,
                    what: error.to_string(),
                };
                if let Some(reply) = exchange.reply.take() {
                    reply.settle(Err(Failure::new(error.into())));
                }
                self.cancel(conn, stream);
                return;
            }
            self.tidy(stream);
            // The stream may end with what is cut now, after `poll_intents` of
            // this turn.
            if self.queue.is_unwanted() {
                conn.notifier().notify();
            }
            return;
        }
        conn.engine.offer(stream);
    }

    fn handle_ready(&mut self, conn: &mut Context<'_>, stream: StreamKey) {
        if self
            .exchange(stream)
            .is_some_and(|exchange| exchange.body.is_some())
        {
            conn.engine.offer(stream);
        }
    }

    fn handle_abandoned(&mut self, conn: &mut Context<'_>, stream: StreamKey) {
        self.cancel(conn, stream);
    }

    fn poll_intents(&mut self, conn: &mut Context<'_>, _cx: &mut std::task::Context<'_>) {
        if self.queue.has_news() {
            self.queue.drain(&mut self.waiting);
            self.cancel_abandoned(conn);
        }
        if let Some(error) = self.refusing.clone() {
            self.refuse(error);
        }
        let mut opened: usize = 0;
        while !self.waiting.is_empty() && conn.engine.can_open() {
            let Some(intent) = self.waiting.pop_front() else {
                break;
            };
            opened = opened.saturating_add(1);
            self.open(conn, intent);
        }
        if opened > 0 {
            self.queue.forget(opened);
        }
        let idle = self.waiting.is_empty() && conn.engine.is_idle();
        self.queue.set_idle(idle);
        if idle && self.shutdown == Shutdown::NotYet && self.queue.is_unwanted() {
            self.shutdown = Shutdown::Begun;
            self.queue.set_state(State::Draining);
            conn.engine.shutdown(conn.now);
        }
    }

    fn handle_closed(&mut self, result: &Result<(), lacewing_conn::Error>) {
        let error = match result {
            Ok(()) => not_sent("the connection is closed"),
            Err(error) => error.clone(),
        };
        self.close(&error);
    }
}

/// The task may end without a word: its runtime shuts down, or whoever holds
/// the future drops it.
impl Drop for Exchanges {
    fn drop(&mut self) {
        if self.queue.state() != State::Closed {
            let detail = "the connection's task was dropped";
            let error = lacewing_conn::Error::connection(Initiator::User, Reason::Cancel, detail);
            self.close(&error);
        }
    }
}

/// The error of a request that never went out.
fn not_sent(detail: impl Into<std::borrow::Cow<'static, str>>) -> lacewing_conn::Error {
    lacewing_conn::Error::connection(Initiator::Library, Reason::RefusedStream, detail)
        .with_retryable(true)
}

/// A request in the engine's words.
fn message(
    request: Request<RequestBody>,
    security: Security,
) -> Result<(Head, Option<Priority>, RequestBody), RequestError> {
    let (mut parts, body) = request.into_parts();
    let (protocol, priority) = if parts.extensions.is_empty() {
        (None, None)
    } else {
        (
            parts.extensions.remove::<Protocol>(),
            parts.extensions.remove::<Priority>(),
        )
    };
    let uri = complete(parts.uri, &parts.method, &parts.headers, security)?;
    announce_length(&mut parts.headers, &parts.method, &body);
    // The authority says it; twice is an invitation to differ.
    parts.headers.remove(header::HOST);
    let control = Control::Request {
        method: parts.method,
        uri,
        protocol,
    };
    Ok((
        Head {
            control,
            fields: parts.headers,
        },
        priority,
        body,
    ))
}

/// A URI with scheme and authority: those of an origin-form URI come from the
/// `host` field and the connection.
fn complete(
    uri: Uri,
    method: &Method,
    fields: &HeaderMap,
    security: Security,
) -> Result<Uri, RequestError> {
    if uri.authority().is_some() && (uri.scheme().is_some() || method == Method::CONNECT) {
        return Ok(uri);
    }
    let authority = match (uri.authority(), fields.get(header::HOST)) {
        (Some(authority), _) => authority.clone(),
        (None, Some(host)) => {
            uri::Authority::try_from(host.as_bytes()).map_err(|_| RequestError::NoHost)?
        }
        (None, None) => return Err(RequestError::NoHost),
    };
    let mut parts = uri.into_parts();
    parts.authority = Some(authority);
    parts.scheme.get_or_insert(match security {
        Security::Cleartext => uri::Scheme::HTTP,
        Security::Tls => uri::Scheme::HTTPS,
    });
    parts
        .path_and_query
        .get_or_insert(uri::PathAndQuery::from_static("/"));
    Uri::from_parts(parts).map_err(|_| RequestError::NoHost)
}

/// `content-length` where it is known and tells something (RFC 9110 §8.6).
fn announce_length(fields: &mut HeaderMap, method: &Method, body: &RequestBody) {
    let means_something =
        !body.is_empty() || matches!(*method, Method::POST | Method::PUT | Method::PATCH);
    if !means_something || *method == Method::CONNECT {
        return;
    }
    if let (Some(length), false) = (body.length(), fields.contains_key(header::CONTENT_LENGTH)) {
        fields.insert(header::CONTENT_LENGTH, HeaderValue::from(length));
    }
}

fn content_length(fields: &HeaderMap) -> Option<u64> {
    fields
        .get(header::CONTENT_LENGTH)?
        .to_str()
        .ok()?
        .parse()
        .ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn uri_of(uri: &str, host: Option<&str>) -> Result<String, RequestError> {
        let mut fields = HeaderMap::new();
        if let Some(host) = host {
            fields.insert(header::HOST, host.parse().unwrap());
        }
        complete(uri.parse().unwrap(), &Method::GET, &fields, Security::Tls)
            .map(|uri| uri.to_string())
    }

    #[test]
    fn an_origin_form_uri_is_completed_from_the_host_field() {
        assert_eq!(uri_of("http://a/x", None), Ok("http://a/x".into()));
        assert_eq!(uri_of("/x?y", Some("b:1")), Ok("https://b:1/x?y".into()));
        assert_eq!(uri_of("/x", None), Err(RequestError::NoHost));
        assert_eq!(uri_of("/x", Some("no host")), Err(RequestError::NoHost));
    }

    #[test]
    fn a_length_is_announced_when_it_tells_something() {
        let announced = |method: Method, body| {
            let mut fields = HeaderMap::new();
            announce_length(&mut fields, &method, &body);
            content_length(&fields)
        };
        assert_eq!(announced(Method::GET, RequestBody::Empty), None);
        assert_eq!(announced(Method::POST, RequestBody::Empty), Some(0));
        let body = || RequestBody::new(crate::Body::from("four"));
        assert_eq!(announced(Method::POST, body()), Some(4));
        assert_eq!(announced(Method::CONNECT, body()), None);
    }
}
