//! What happens beside requests and responses: interim responses, pushes,
//! announcements, reports.

use std::{collections::VecDeque, sync::Arc, task};

use bytes::Buf;
use http::{Request, StatusCode};
use lacewing_conn::{
    driver::Context,
    proto::{AlternativeFor, Control, Head, StreamKey},
};

use super::{Exchanges, Ticket, response::Kind};
use crate::{
    HttpService, InformError, PushError, PushedRequest, RequestBody, ServerEvent,
    intents::{Intent, Intents, intents},
};

/// What handlers of this connection wish for.
#[derive(Default)]
pub(super) struct Wishes {
    /// Made when the first handle is.
    intents: Option<Arc<Intents>>,
    /// Requests that were promised and are to be served, as many as the peer
    /// lets us push at most.
    promised: VecDeque<(StreamKey, Request<RequestBody>)>,
    /// What is told at the start was told.
    announced: bool,
}

impl Wishes {
    pub(super) fn intents(&mut self, conn: &Context<'_>) -> Arc<Intents> {
        let intents = self.intents.get_or_insert_with(|| intents(conn.notifier()));
        Arc::clone(intents)
    }

    /// The connection is over.
    pub(super) fn close(&mut self) {
        if let Some(intents) = self.intents.take() {
            drop(intents.close());
        }
        self.promised.clear();
    }
}

impl<S: HttpService> Exchanges<S> {
    /// `100 Continue`, to a client that waits for it with its body.
    pub(super) fn go_on(&mut self, conn: &mut Context<'_>, stream: StreamKey) {
        // Without effect where there is none (SPDY), and after the response.
        let head = Head::response(StatusCode::CONTINUE);
        if conn.engine.stream(conn.now, stream).inform(head).is_ok() {
            self.telemetry.interim(stream.id(), "100 Continue");
        }
    }

    /// What handlers asked for. It is sent before any response of theirs.
    pub(super) fn handle_wishes(&mut self, conn: &mut Context<'_>) {
        let Some(intents) = &self.wishes.intents else {
            return;
        };
        for intent in intents.take() {
            match intent {
                Intent::Inform { stream, head, tell } => {
                    let _ = tell.send(self.inform(conn, stream, head));
                }
                Intent::Push {
                    parent,
                    request,
                    tell,
                } => {
                    let _ = tell.send(self.push(conn, parent, request));
                }
            }
        }
    }

    fn inform(
        &mut self,
        conn: &mut Context<'_>,
        stream: StreamKey,
        mut head: Head,
    ) -> Result<(), InformError> {
        // A client that does not read must not fill memory.
        if conn.engine.output().remaining() > conn.engine.limits().max_output_backlog {
            return Err(InformError::Busy);
        }
        super::response::settle_fields(&mut head.fields);
        conn.engine.stream(conn.now, stream).inform(head)?;
        self.telemetry.interim(stream.id(), "interim response");
        Ok(())
    }

    fn push(
        &mut self,
        conn: &mut Context<'_>,
        parent: StreamKey,
        request: Request<()>,
    ) -> Result<(), PushError> {
        let (parts, ()) = request.into_parts();
        let head = Head {
            control: Control::Request {
                method: parts.method.clone(),
                uri: parts.uri.clone(),
                protocol: None,
            },
            fields: parts.headers.clone(),
        };
        let stream = conn.engine.stream(conn.now, parent).push(head)?;
        self.telemetry.interim(parent.id(), "promise of a push");
        let mut request = Request::from_parts(parts, RequestBody::empty());
        request.extensions_mut().insert(PushedRequest);
        self.wishes.promised.push_back((stream, request));
        Ok(())
    }

    /// Pushed requests get their handlers once those that promised them are
    /// done with their first poll.
    pub(super) fn serve_promised(&mut self, conn: &mut Context<'_>) {
        while let Some((stream, mut request)) = self.wishes.promised.pop_front() {
            // The client may have declined it meanwhile.
            if conn.engine.stream(conn.now, stream).priority().is_none() {
                continue;
            }
            let ticket = Ticket {
                kind: Kind::of(request.method()),
                clock: self.telemetry.request(
                    stream.id(),
                    request.method(),
                    request.uri(),
                    conn.now,
                ),
            };
            self.attach(conn, stream, &mut request);
            self.serve(conn, stream, ticket, request);
        }
    }

    /// ORIGIN and ALTSVC, once. SPDY has neither.
    pub(super) fn announce(&mut self, conn: &mut Context<'_>) {
        if std::mem::replace(&mut self.wishes.announced, true) {
            return;
        }
        let announcements = &self.options.announcements;
        // In cleartext a client must ignore it (RFC 8336 §2.4).
        if !announcements.origins.is_empty() && self.info.is_tls() {
            let _ = conn.engine.send_origins(&announcements.origins);
        }
        for (origin, value) in &announcements.alternatives {
            let whose = AlternativeFor::Origin(origin.clone());
            let _ = conn.engine.send_alternative(&whose, value);
        }
    }

    /// Tells the observer of the connection's numbers, when it is time.
    pub(super) fn report_stats(&mut self, conn: &Context<'_>, cx: &mut task::Context<'_>) {
        let Some(reports) = &mut self.reports else {
            return;
        };
        if conn.engine.is_closed() {
            self.last_report(conn);
        } else if reports.is_due(conn.now, cx) {
            self.tell_stats(conn);
        }
    }

    /// The same at the end, if it was asked for at all.
    pub(super) fn last_report(&mut self, conn: &Context<'_>) {
        if self.reports.take().is_some() {
            self.tell_stats(conn);
        }
    }

    fn tell_stats(&self, conn: &Context<'_>) {
        self.options.observer.tell(&ServerEvent::Stats {
            connection: &self.info,
            stats: &conn.engine.stats(),
        });
    }
}
