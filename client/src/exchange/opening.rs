//! Opens streams for waiting requests.

use std::sync::Arc;

use http::{Request, Uri};
use lacewing_conn::{
    driver::facade::Context,
    proto::{Control, OpenError, OpenOptions, StreamKey},
};

use super::{
    Exchange, Exchanges, Upload, not_sent,
    request::{Expectation, PreparedRequest},
};
use crate::{
    ClientError, RequestError,
    body::RequestBody,
    link::{Failure, Reply, RequestKind, Rest, Submission},
    spare::Again,
    telemetry::Clock,
};

impl Exchanges {
    /// Opens streams for waiting requests, up to the server's limit.
    pub(super) fn open_waiting(&mut self, conn: &mut Context<'_>) {
        if !self.deferred.is_empty() && conn.peer_spoke() {
            while let Some(submission) = self.deferred.pop_back() {
                self.waiting.push_front(submission);
            }
        }
        let mut opened: usize = 0;
        while !self.waiting.is_empty() && conn.can_open() {
            let Some(submission) = self.waiting.pop_front() else {
                break;
            };
            if is_too_early(conn, &submission) {
                self.deferred.push_back(submission);
                continue;
            }
            opened = opened.saturating_add(1);
            self.open(conn, submission);
        }
        if conn.is_exhausted() && self.refusing.is_none() {
            // The waiting requests and all later ones need another connection.
            self.refuse(not_sent("the connection's stream ids are used up"));
        }
        if self.link.admission.fails_rather_than_waits() && !self.waiting.is_empty() {
            self.refuse_waiting(conn);
        }
        let max = usize::try_from(conn.peer_max_concurrent_streams());
        let max = max.unwrap_or(usize::MAX);
        // The server no longer counts streams whose received content only waits for its reader.
        let open = if conn.can_open() {
            conn.open_streams().min(max.saturating_sub(1))
        } else {
            conn.open_streams().max(max)
        };
        self.link.admission.set_streams(open, max);
        if let Some(round_trip) = conn.round_trip() {
            self.link.figures.set_round_trip(round_trip);
        }
        if opened > 0 {
            self.link.admission.release_slots(opened);
        }
        let queued = self.waiting.len().saturating_add(self.deferred.len());
        self.telemetry.streams(conn.open_streams(), queued);
    }

    fn open(&mut self, conn: &mut Context<'_>, submission: Submission) {
        let reply = submission.reply;
        let mut prepared = PreparedRequest::default();
        if !reply.take_parts(|request| prepared.take(request)) {
            // Its future was dropped.
            return;
        }
        let version = conn.version();
        if let Err(error) = prepared.complete(version.into(), self.security) {
            return reply.settle(Err(Failure::new(error.into())));
        }
        let uri = self.push_parent(&prepared.head.control);
        let priority = prepared.priority;
        let fin = prepared.body.is_empty();
        let options = OpenOptions::default().with(|options| {
            options.fin = fin;
            options.priority = priority;
        });
        let opened = conn.open_with(&mut prepared.head, options);
        let spare = (submission.again == Again::Possible).then(|| prepared.spare());
        let stream = match opened {
            Ok(stream) => stream,
            Err(error) => {
                let body = Rest::Body(prepared.body);
                let request = spare.and_then(|spare| spare.restore(body));
                return self.not_opened(conn, &reply, error, request);
            }
        };
        let PreparedRequest {
            body,
            extensions,
            expectation,
            ..
        } = prepared;
        reply.opened(stream, spare);
        self.telemetry.request(stream.id());
        if let Some(handle) = extensions.priority {
            let current = handle.bind(Arc::downgrade(&self.link), stream);
            if Some(current) != priority {
                conn.stream(stream).prioritize(current);
            }
        }
        let upload = match expectation {
            Expectation::None => start(conn, stream, body),
            Expectation::Continue => {
                self.expectations.push(conn.now(), stream);
                Some(Upload::Held(body))
            }
        };
        self.exchanges.insert(
            stream,
            Exchange {
                reply: Some(reply),
                upload,
                informational: extensions.informational,
                uri,
                clock: Clock::start(conn.now()),
                answered: self.answered,
            },
        );
    }

    /// Adopts a stream whose request was already sent completely, over HTTP/1.1.
    #[cfg(feature = "h2c")]
    pub(crate) fn adopt(
        &mut self,
        stream: StreamKey,
        request: PreparedRequest,
    ) -> crate::ResponseFuture {
        let reply = Reply::of_stream(stream);
        if let Some(handle) = &request.extensions.priority {
            handle.bind(Arc::downgrade(&self.link), stream);
        }
        let uri = self.push_parent(&request.head.control);
        let response = crate::ResponseFuture::new(Arc::clone(&reply), Arc::clone(&self.link));
        self.exchanges.insert(
            stream,
            Exchange {
                reply: Some(reply),
                upload: None,
                informational: request.extensions.informational,
                uri,
                clock: Clock::start(std::time::Instant::now()),
                answered: self.answered,
            },
        );
        response
    }

    /// Returns the request's URI as the server sees it, if the server may push: pushes must have
    /// its origin. If only the `host` field has the authority, the origins cannot be compared.
    fn push_parent(&self, control: &Control) -> Option<Box<Uri>> {
        match control {
            Control::Request { uri, .. } if self.pushes.is_some() => {
                uri.authority().is_some().then(|| uri.clone().into())
            }
            _ => None,
        }
    }

    /// Returns the request to its future, as far as it remains.
    fn not_opened(
        &mut self,
        conn: &Context<'_>,
        reply: &Reply,
        error: OpenError,
        request: Option<Request<RequestBody>>,
    ) {
        let error = match error {
            OpenError::Usage(error) => RequestError::Unsupported {
                version: conn.version(),
                what: error.to_string(),
            }
            .into(),
            OpenError::ExtendedConnectDisabled => RequestError::NoExtendedConnect.into(),
            error => {
                let too_many = matches!(error, OpenError::TooManyStreams { .. });
                let error = not_sent(error.to_string());
                if !too_many {
                    self.refuse(error.clone());
                }
                ClientError::Connection(error)
            }
        };
        reply.settle(Err(match request {
            Some(request) => Failure::unsent(error, request),
            None => Failure::new(error),
        }));
    }

    /// Refuses the waiting requests: the server's limit is reached, and the options say that
    /// requests fail instead of waiting.
    fn refuse_waiting(&mut self, conn: &Context<'_>) {
        let max = usize::try_from(conn.peer_max_concurrent_streams());
        let max = max.unwrap_or(usize::MAX);
        self.link.admission.release_slots(self.waiting.len());
        for submission in self.waiting.drain(..) {
            let open = max;
            let error = self.link.admission.too_many(0);
            let error = error.unwrap_or(ClientError::TooManyStreams { open, max });
            submission.fail(error, self.link.lifecycle.progress());
        }
    }
}

/// Returns whether the request must wait for the server's first frame, which shows whether the
/// server accepts extended CONNECT.
fn is_too_early(conn: &Context<'_>, submission: &Submission) -> bool {
    submission.kind == RequestKind::ExtendedConnect
        && conn.capabilities().extended_connect
        && !conn.peer_spoke()
}

/// Begins to send a body. A body in memory is sent at once.
pub(super) fn start(
    conn: &mut Context<'_>,
    stream: StreamKey,
    body: RequestBody,
) -> Option<Upload> {
    match body {
        RequestBody::Empty => None,
        RequestBody::Bytes(bytes) => {
            // This cannot fail: the stream was opened without END_STREAM, and nothing was sent on
            // it.
            let _ = conn.stream(stream).send_data(bytes, true);
            None
        }
        RequestBody::Source(source) => {
            conn.stream(stream).offer();
            Some(Upload::Running(source))
        }
    }
}
