//! The requests of one connection, on its task: sends them, and counts their outcomes.

use std::{rc::Rc, sync::Arc, time::Instant};

use bytes::Bytes;
use http::StatusCode;
use lacewing_conn::{
    Error, Initiator, Reason,
    driver::{
        OpenOptions,
        facade::{Application, Context, StreamTable},
    },
    proto::{ConnectionStats, Event, Head, Rule, Semantics, StreamKey},
};
use tokio::sync::Notify;

use super::{
    account::Account,
    plan::{Begun, Plan},
    watching::Streams,
};

/// The [`Application`] of a connection that loads a server.
pub(super) struct Exchanges {
    plan: Arc<Plan>,
    account: Account,
    watched: Streams,
    /// The connection's number.
    number: usize,
    open: StreamTable<Exchange>,
    /// The turn of the next request in the plan's round.
    turn: usize,
    /// The time of this turn's events: one look at the clock serves all events of a read.
    read_at: Option<Instant>,
    /// No response can be late before this time.
    next_check: Option<Instant>,
    /// Why the connection takes no more requests, if the plan is not the reason.
    ended: Option<String>,
    /// The plan has no more requests for the connection.
    done: bool,
    /// Says so to the task of the connection.
    finished: Rc<Notify>,
}

/// A request under way.
struct Exchange {
    begun: Begun,
    /// The content of the request.
    content: Bytes,
    /// The part of the content that is sent.
    uploaded: usize,
    status: Option<StatusCode>,
    received: usize,
}

impl Exchanges {
    /// `number`: that of the connection.
    pub(super) fn new(plan: Arc<Plan>, account: Account, watched: Streams, number: usize) -> Self {
        Self {
            account,
            watched,
            plan,
            open: StreamTable::new(),
            number,
            // Connections begin at different places of the round.
            turn: number,
            read_at: None,
            next_check: None,
            ended: None,
            done: false,
            finished: Rc::default(),
        }
    }

    /// Notified when all requests have their outcome, and the connection is to end.
    pub(super) fn finished(&self) -> Rc<Notify> {
        Rc::clone(&self.finished)
    }

    /// The connection has ended, with these statistics.
    pub(super) fn closed(&self, stats: &ConnectionStats) {
        self.watched.closed(stats);
    }

    /// Complete responses on the connection.
    pub(super) fn answered(&self) -> u64 {
        self.account.answered()
    }

    /// Requests that are under way, those of the warm-up left out.
    pub(super) fn in_flight(&self) -> usize {
        let open = self.open.iter();
        open.filter(|(_, exchange)| !self.account.is_warm_up(exchange.begun))
            .count()
    }

    /// Why the connection ended before the plan did.
    pub(super) fn ended(&mut self) -> Option<String> {
        let silent = self.ended.is_none() && !self.done;
        let silent = silent.then(|| "connection closed by the server".to_owned());
        self.ended.take().or(silent)
    }

    fn read_at(&mut self) -> Instant {
        *self.read_at.get_or_insert_with(Instant::now)
    }

    /// Sends requests, as many as plan, server and `-m` permit.
    fn send(&mut self, conn: &mut Context<'_>) {
        if self.ended.is_some() || !self.plan.is_sending() {
            return;
        }
        let mut now = None;
        loop {
            while self.room(conn) > 0 {
                let Some(taken) = self.plan.take(self.number) else {
                    break;
                };
                let sent = *now.get_or_insert_with(Instant::now);
                self.open(conn, taken.send(sent));
                if self.ended.is_some() {
                    return;
                }
            }
            if !self.plan.set_room(self.number, self.room(conn)) {
                break;
            }
        }
        if conn.is_exhausted() {
            self.end(conn, "stream ids used up".to_owned());
        }
    }

    /// The requests that `-m` and, as far as is known, the server permit now.
    fn room(&self, conn: &Context<'_>) -> usize {
        match conn.can_open() {
            true => self.plan.streams.saturating_sub(self.open.len()),
            false => 0,
        }
    }

    fn open(&mut self, conn: &mut Context<'_>, begun: Begun) {
        let requests = &self.plan.requests;
        let Some(template) = requests.get(self.turn % requests.len().max(1)) else {
            return;
        };
        self.turn = self.turn.wrapping_add(1);
        let upload = !template.content.is_empty();
        let options = OpenOptions::default().with(|options| options.fin = !upload);
        let exchange = Exchange {
            begun,
            content: template.content.clone(),
            uploaded: 0,
            status: None,
            received: 0,
        };
        self.account.sent(begun);
        let head = match self.plan.semantics {
            Semantics::Http => template.head.clone(),
            Semantics::Raw => Head::fields(template.head.fields.clone()),
        };
        match conn.open(head, options) {
            Ok(stream) => {
                self.watched.begin(stream, template);
                self.open.insert(stream, exchange);
                if upload {
                    conn.stream(stream).offer();
                }
            }
            Err(error) => {
                self.account.failed(begun, format!("not sent: {error}"));
                self.end(conn, format!("cannot send: {error}"));
            }
        }
    }

    /// Takes a piece of a response. On a raw stream it must be what was sent. Returns false if the
    /// stream is given up.
    fn receive(&mut self, conn: &mut Context<'_>, stream: StreamKey, data: &[u8]) -> bool {
        let Some(exchange) = self.open.get_mut(stream) else {
            return self.plan.semantics != Semantics::Raw;
        };
        let end = exchange.received.saturating_add(data.len());
        let expected = exchange.content.get(exchange.received..end);
        if self.plan.semantics != Semantics::Raw || expected == Some(data) {
            exchange.received = end;
            return true;
        }
        conn.reset(stream, Reason::Cancel);
        self.watched.reset(stream, Reason::Cancel);
        if let Some(exchange) = self.open.remove(stream) {
            let cause = "other bytes came back than were sent".to_owned();
            self.account.failed(exchange.begun, cause);
        }
        false
    }

    fn complete(&mut self, conn: &mut Context<'_>, stream: StreamKey) {
        let now = self.read_at();
        let Some(exchange) = self.open.remove(stream) else {
            return;
        };
        self.watched
            .ended(stream, exchange.uploaded, exchange.received);
        if exchange.uploaded < exchange.content.len() {
            // The response is complete, and the rest of the content is not wanted.
            conn.reset(stream, Reason::Cancel);
        }
        if self.plan.semantics == Semantics::Raw {
            let (echoed, sent) = (exchange.received, exchange.content.len());
            match echoed == sent {
                true => self.account.complete(exchange.begun, None, now),
                false => {
                    let cause = format!("{echoed} bytes of {sent} came back");
                    self.account.failed(exchange.begun, cause);
                }
            }
        } else if let Some(status) = exchange.status {
            self.account.complete(exchange.begun, Some(status), now);
        }
    }

    fn fail(&mut self, stream: StreamKey, error: &Error) {
        let Some(exchange) = self.open.remove(stream) else {
            return;
        };
        self.watched.reset(stream, error.reason());
        let cause = cause(error);
        if error.is_retryable() {
            self.account.left_alone(exchange.begun, cause);
        } else {
            self.account.failed(exchange.begun, cause);
        }
    }

    /// Gives requests up that wait too long.
    fn check_waits(&mut self, conn: &mut Context<'_>) {
        let (now, limit) = (conn.now(), self.plan.waits.response);
        if self.open.is_empty() {
            return;
        }
        let due = *self.next_check.get_or_insert(now + limit);
        if now < due {
            conn.wake_at(due);
            return;
        }
        let late = self.open.iter();
        let late: Vec<_> = late
            .filter(|(_, exchange)| exchange.begun.sent + limit <= now)
            .map(|(stream, _)| stream)
            .collect();
        for stream in late {
            conn.reset(stream, Reason::Cancel);
            self.watched.reset(stream, Reason::Cancel);
            if let Some(exchange) = self.open.remove(stream) {
                self.account
                    .failed(exchange.begun, format!("timeout after {limit:?}"));
            }
        }
        let oldest = self
            .open
            .iter()
            .map(|(_, exchange)| exchange.begun.sent)
            .min();
        let next = oldest.unwrap_or(now) + limit;
        self.next_check = Some(next);
        conn.wake_at(next);
    }

    fn end(&mut self, conn: &mut Context<'_>, cause: String) {
        self.ended.get_or_insert(cause);
        conn.shutdown();
    }
}

impl Application for Exchanges {
    fn handle_event(&mut self, conn: &mut Context<'_>, event: Event) {
        match event {
            Event::Reply { stream, head, fin } => {
                let now = self.read_at();
                let Some(exchange) = self.open.get_mut(stream) else {
                    return;
                };
                exchange.status = head.status();
                let begun = exchange.begun;
                let status = exchange.status.map(|status| status.as_u16());
                self.watched.answered(stream, status);
                self.account.first_byte(begun, now);
                if fin {
                    self.complete(conn, stream);
                }
            }
            Event::Data { stream, data, fin } => {
                conn.stream(stream).release(data.len());
                if !self.receive(conn, stream, &data) {
                    return;
                }
                if fin {
                    self.complete(conn, stream);
                }
            }
            Event::Headers { stream, fin, .. } => {
                conn.stream(stream).release_headers();
                if fin {
                    self.complete(conn, stream);
                }
            }
            Event::Reset { stream, error } => self.fail(stream, &error),
            Event::GoAway { reason, .. } => self.end(conn, format!("GOAWAY {reason}")),
            Event::Closed { error } => {
                self.ended.get_or_insert(cause(&error));
            }
            // A client answers no requests.
            Event::Opened { stream, .. } | Event::Promised { stream, .. } => {
                conn.reset(stream, Reason::RefusedStream);
            }
            _ => {}
        }
    }

    fn pull(&mut self, conn: &mut Context<'_>, stream: StreamKey, max: usize) {
        let Some(exchange) = self.open.get_mut(stream) else {
            return;
        };
        let content = &exchange.content;
        let end = exchange.uploaded.saturating_add(max).min(content.len());
        let piece = content.slice(exchange.uploaded..end);
        let fin = end == content.len();
        // An error means that the stream has ended; its event says why.
        if conn.stream(stream).send_data(piece, fin).is_ok() {
            exchange.uploaded = end;
            if !fin {
                conn.stream(stream).offer();
            }
        }
    }

    fn poll_sources(&mut self, conn: &mut Context<'_>, _: &mut std::task::Context<'_>) {
        self.read_at = None;
        if conn.is_closed() {
            return;
        }
        self.send(conn);
        // The last request may be given up here.
        self.check_waits(conn);
        let (plan, room) = (&self.plan, self.open.len() < self.plan.streams);
        self.watched
            .sample(conn, || room && plan.is_sending() && plan.has_waiting());
        if self.open.is_empty() && (self.plan.is_done(self.number) || !self.plan.is_sending()) {
            self.done = true;
            self.finished.notify_one();
            conn.shutdown();
        }
    }
}

/// The cause of a failure, without what differs from one time to the next.
fn cause(error: &Error) -> String {
    if let Some(code) = error.go_away_code() {
        return format!("GOAWAY {code}");
    }
    if let Some(io) = error.io_error() {
        return format!("connection lost: {}", io.kind());
    }
    if let Some(rule) = error.rule() {
        return match rule {
            Rule::PrefaceTimeout => {
                "connected, but the server sent no frame of HTTP/2 (--connect-timeout)".to_owned()
            }
            rule => format!("the server broke a rule: {rule}"),
        };
    }
    let reason = error.reason();
    match (error.is_connection(), error.initiator()) {
        (true, _) if error.is_ping_timeout() => "no answer to PING".to_owned(),
        (true, Initiator::Peer) => "connection closed by the server".to_owned(),
        (true, _) => format!("connection ended: {reason}"),
        (false, Initiator::Peer) => format!("RST_STREAM {reason} from the server"),
        (false, _) => format!("stream ended: {reason}"),
    }
}
