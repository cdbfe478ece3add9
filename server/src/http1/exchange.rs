//! One request over HTTP/1.1, from its head to the end of its response.
//! Failures are handled and reported as in the other protocols.

use std::{
    future::poll_fn,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::{Pin, pin},
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    task::{Context, Poll, ready},
    time::{Duration, Instant},
};

use bytes::Buf;
use http::{
    HeaderValue, Method, Request, Response, StatusCode,
    header::{CONNECTION, CONTENT_LENGTH, Entry},
};
use http_body::{Body, Frame, SizeHint};
use http_body_util::{Either, Empty};
use lacewing_conn::{Error, Initiator, Reason};
use pin_project_lite::pin_project;
use tokio::time::{Sleep, sleep};

use crate::{
    BoxError, ConnectionInfo, ConnectionOptions, HttpService, RequestBody, ServerEvent,
    StreamError, StreamId,
    content::{Content, Kind},
    http1_transport::Watch,
    outgoing::{self, Outgoing},
    telemetry::{Clock, Telemetry},
};

/// The body of a response, or no body.
pub(super) type ReplyBody<B> = Either<Reply<B>, Empty<<B as Body>::Data>>;

/// The time to wait for the end of a body that has given all the bytes of its content-length.
///
/// hyper drops the body after the last byte, so a body that continues later is not noticed (see
/// [`StreamError::ContentLength`]). To notice it, the response would have to wait longer, or each
/// body would have to move to the heap.
const END_WAIT: Duration = Duration::from_millis(250);

/// The state that the requests of a connection share.
pub(super) struct Ledger {
    pub(super) info: ConnectionInfo,
    pub(super) options: ConnectionOptions,
    pub(super) watch: Arc<Watch>,
    pub(super) telemetry: Telemetry,
    /// Requests so far.
    requests: AtomicU32,
}

impl Ledger {
    pub(super) fn new(info: ConnectionInfo, options: ConnectionOptions, watch: Arc<Watch>) -> Self {
        let telemetry = Telemetry::new(&info, &options);
        #[cfg(feature = "live")]
        if let Some(watched) = telemetry.watched() {
            let watch = Arc::clone(&watch);
            watched.read_by(move || sample(&watch));
        }
        Self {
            telemetry,
            info,
            options,
            watch,
            requests: AtomicU32::new(0),
        }
    }

    /// The number of requests so far.
    pub(super) fn requests(&self) -> u32 {
        self.requests.load(Ordering::Relaxed)
    }

    /// Returns whether no request is open.
    pub(super) fn is_idle(&self) -> bool {
        self.watch.is_idle()
    }

    pub(super) fn tell_stats(&self) {
        let stats = self.watch.stats();
        self.telemetry.stats(&stats);
        self.options.observer.tell(&ServerEvent::Stats {
            connection: &self.info,
            stats: &stats,
        });
    }

    /// Reports a request that is refused before a handler sees it: hyper refuses it,
    /// or the rules of `message` do.
    pub(super) fn refused(&self, why: &dyn std::fmt::Display) {
        let stream = self.next_request();
        let error = Error::connection(
            Initiator::Library,
            Reason::ProtocolError,
            format!("HTTP/1.1: {why}"),
        );
        self.report(stream, &StreamError::Refused(error));
    }

    /// Records that no handler reads this request's upload: its client may still send it.
    pub(super) fn refuses_upload<B: Body>(&self, request: &Request<B>) {
        if !request.body().is_end_stream() {
            self.watch.upload_is_abandoned();
        }
    }

    /// Reports bytes that are not a request.
    pub(super) fn unparsable(&self, error: &hyper::Error) {
        if self.requests() == 0 {
            return self.refused(error);
        }
        let why = format!(
            "{error}; the bytes follow a request; the client may have sent more content than its content-length says"
        );
        self.refused(&why);
    }

    /// The number of a received request.
    pub(super) fn next_request(&self) -> StreamId {
        let before = self.requests.fetch_add(1, Ordering::Relaxed);
        StreamId::new(before.wrapping_add(1))
    }

    fn report(&self, stream: StreamId, error: &StreamError) {
        self.telemetry.failed(stream, error);
        self.options.observer.tell(&ServerEvent::StreamFailed {
            connection: &self.info,
            stream,
            error,
        });
    }
}

/// The connection's state for a board: its streams are known by their ends alone.
#[cfg(feature = "live")]
fn sample(watch: &Watch) -> crate::board::Sample {
    crate::board::Sample {
        stats: watch.stats(),
        stall: watch
            .is_write_blocked()
            .then_some(crate::board::Stall::Transport),
        ..crate::board::Sample::default()
    }
}

impl Drop for Ledger {
    fn drop(&mut self) {
        self.telemetry.closed(|| self.watch.stats());
    }
}

/// A request whose content is read before its exchange begins. It is open meanwhile: its wait is
/// for content, and not for the head of the next request.
pub(super) struct Reading(Arc<Watch>);

impl Reading {
    pub(super) fn begin(watch: &Arc<Watch>) -> Self {
        watch.open();
        Self(Arc::clone(watch))
    }
}

impl Drop for Reading {
    fn drop(&mut self) {
        self.0.close();
    }
}

/// The upload of a request, whose end may never be read.
struct Remaining {
    /// 0 for an unknown length.
    length: u64,
    /// Bytes of earlier uploads.
    before: u64,
}

impl Remaining {
    /// Returns whether the handler has dropped the upload, and too much of it is left for the
    /// connection to continue.
    fn is_left(&self, ledger: &Ledger) -> bool {
        let read = ledger.watch.bytes_received().saturating_sub(self.before);
        let left = self.length.saturating_sub(read);
        ledger.watch.has_abandoned_upload()
            && super::exceeds_buffers(left, &ledger.options.connection.limits)
    }
}

/// A request that is being answered.
pub(super) struct Exchange {
    ledger: Arc<Ledger>,
    stream: StreamId,
    clock: Clock,
    upload: Remaining,
    /// The response is complete, or its failure was reported.
    over: bool,
}

impl Exchange {
    pub(super) fn begin<B: Body>(
        ledger: &Arc<Ledger>,
        stream: StreamId,
        request: &Request<B>,
    ) -> Self {
        let (method, uri) = (request.method(), request.uri());
        let clock = ledger
            .telemetry
            .request(stream, method, uri, Instant::now());
        let before = ledger.watch.open();
        ledger.telemetry.streams(before.saturating_add(1));
        Self {
            ledger: Arc::clone(ledger),
            stream,
            clock,
            upload: Remaining {
                length: request.body().size_hint().exact().unwrap_or(0),
                before: ledger.watch.bytes_received(),
            },
            over: false,
        }
    }

    /// Returns the response of the service, or 500 if there is none.
    pub(super) async fn answer<S: HttpService>(
        mut self,
        service: S,
        mut request: Request<RequestBody>,
    ) -> Response<ReplyBody<S::ResponseBody>> {
        request.body_mut().set_connection(&self.ledger.info);
        if self.ledger.options.connection_info.is_inserted() {
            request.extensions_mut().insert(self.ledger.info.clone());
        }
        let method = request.method().clone();
        let response = call(service, request).await.and_then(|response| {
            let ledger = &self.ledger;
            let settled = catch_unwind(AssertUnwindSafe(|| {
                let kind = Kind::of(&method);
                if let Some(status) = left_out(&response, kind) {
                    ledger.report(self.stream, &StreamError::NoContent { status });
                }
                hold_to_length(response, kind)
            }));
            settled.unwrap_or(Err(StreamError::BodyPanicked))
        });
        let response = match response {
            Ok(response) => response,
            Err(error) => {
                self.fail(&error);
                let mut response = Response::new(None);
                *response.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
                response
            }
        };
        let ledger = &self.ledger;
        ledger
            .telemetry
            .response(self.stream, response.status(), self.clock);
        let (mut parts, body) = response.into_parts();
        let tunnel = method == Method::CONNECT && parts.status.is_success();
        if tunnel || parts.status == StatusCode::SWITCHING_PROTOCOLS {
            ledger.watch.becomes_tunnel();
        } else if self.upload.is_left(ledger) {
            let close = HeaderValue::from_static("close");
            parts.headers.insert(CONNECTION, close);
        }
        let body = match body {
            Some(body) => {
                let unasked = parts.status == StatusCode::NOT_MODIFIED;
                self.over = unasked || body.is_complete() || body.is_end_stream();
                if !unasked && !body.has_length() {
                    ledger.watch.sends_chunks();
                }
                Either::Left(Reply {
                    body,
                    exchange: self,
                    failed: None,
                    last: None,
                })
            }
            None => {
                self.over = true;
                Either::Right(Empty::new())
            }
        };
        Response::from_parts(parts, body)
    }

    fn fail(&mut self, error: &StreamError) {
        self.over = true;
        self.ledger.report(self.stream, error);
    }
}

impl Drop for Exchange {
    fn drop(&mut self) {
        let ledger = &self.ledger;
        ledger.watch.request_is_over(self.stream);
        let before = ledger.watch.close();
        ledger.telemetry.streams(before.saturating_sub(1));
        #[cfg(feature = "live")]
        if let (Some(watched), true) = (ledger.telemetry.watched(), self.over) {
            let stats = ledger.watch.stats();
            let moved = (stats.data_sent, stats.data_received);
            watched.ended(self.stream.value(), Some(moved));
        }
        if !self.over {
            let error = Error::reset(Initiator::Peer, Reason::Cancel);
            ledger.telemetry.reset(self.stream, &error);
        }
    }
}

/// Calls the service once it is ready. A panic is an error.
async fn call<S: HttpService>(
    mut service: S,
    request: Request<RequestBody>,
) -> Result<Response<S::ResponseBody>, StreamError> {
    // A service's own error may not be `Send`: it is converted at once.
    poll_fn(|cx| guarded(|| service.poll_ready(cx).map_err(Into::into))).await?;
    let called = catch_unwind(AssertUnwindSafe(|| service.call(request)));
    // The dropped service releases its place in a queue: the call needs it no longer.
    let _ = catch_unwind(AssertUnwindSafe(|| drop(service)));
    let future = called.map_err(|_| StreamError::HandlerPanicked)?;
    let mut future = pin!(Some(future));
    let result = poll_fn(|cx| {
        guarded(|| match future.as_mut().as_pin_mut() {
            Some(future) => future.poll(cx).map_err(Into::into),
            None => Poll::Pending,
        })
    })
    .await;
    // The drop of the future may panic too.
    let _ = catch_unwind(AssertUnwindSafe(|| future.set(None)));
    let response = result?;
    let status = response.status();
    if status.is_informational() && status != StatusCode::SWITCHING_PROTOCOLS {
        let error = "its status is informational (1xx)".into();
        return Err(StreamError::Response(error));
    }
    Ok(response)
}

fn guarded<T>(poll: impl FnOnce() -> Poll<Result<T, BoxError>>) -> Poll<Result<T, StreamError>> {
    match catch_unwind(AssertUnwindSafe(poll)) {
        Ok(polled) => polled.map_err(StreamError::Handler),
        Err(_) => Poll::Ready(Err(StreamError::HandlerPanicked)),
    }
}

/// The status of a response whose body it does not allow.
fn left_out<B: Body>(response: &Response<B>, kind: Kind) -> Option<StatusCode> {
    let status = response.status();
    Content::of_response(kind, status)
        .is_left_out(kind, response.body())
        .then_some(status)
}

/// Holds a response to its content-length. The body is `None` if the
/// response has no content.
fn hold_to_length<B>(
    response: Response<B>,
    kind: Kind,
) -> Result<Response<Option<Outgoing<B>>>, StreamError>
where
    B: Body<Data: Buf, Error: Into<BoxError>>,
{
    let (mut parts, body) = response.into_parts();
    let status = parts.status;
    let content = Content::of_response(kind, status);
    content.remove_length(&mut parts.headers);
    if content == Content::NotModified && kind != Kind::Head {
        // hyper leaves out the content-length of a response without a body, and
        // the body of this status.
        let body = Some(Outgoing::new(body, None));
        return Ok(Response::from_parts(parts, body));
    }
    if content != Content::Permitted || status.is_informational() {
        return Ok(Response::from_parts(parts, None));
    }
    let length = match parts.headers.entry(CONTENT_LENGTH) {
        Entry::Occupied(entry) => outgoing::declared(entry.iter())?,
        // A service may leave out the content itself: its length is unknown (RFC 9110 §8.6).
        Entry::Vacant(_) if kind == Kind::Head && body.is_end_stream() => None,
        Entry::Vacant(entry) => {
            let exact = body.size_hint().exact();
            if let Some(length) = exact {
                entry.insert(HeaderValue::from(length));
            }
            exact
        }
    };
    if kind == Kind::Head {
        return Ok(Response::from_parts(parts, None));
    }
    // hyper does not poll a body of length 0.
    let given = body.size_hint().lower();
    if length == Some(0) && given > 0 {
        return Err(StreamError::ContentLength { declared: 0, given });
    }
    let body = Some(Outgoing::new(body, length));
    Ok(Response::from_parts(parts, body))
}

pin_project! {
    /// The body of a response, whose failure is reported.
    #[project = ReplyProj]
    pub(super) struct Reply<B: Body> {
        #[pin]
        body: Outgoing<B>,
        exchange: Exchange,
        // The error that ends the connection after hyper has written the earlier frames.
        failed: Option<StreamError>,
        last: Option<Last<B::Data>>,
    }
}

/// The frame with which a body reaches its declared length. It waits until the body has ended:
/// after this frame, hyper does not poll the body again.
struct Last<D> {
    frame: Frame<D>,
    until: Option<Pin<Box<Sleep>>>,
}

impl<B> Body for Reply<B>
where
    B: Body<Data: Buf, Error: Into<BoxError>>,
{
    type Data = B::Data;
    type Error = StreamError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<B::Data>, StreamError>>> {
        let mut this = self.project();
        if let Some(error) = this.failed.take() {
            return Poll::Ready(Some(Err(error)));
        }
        let mut last = match this.last.take() {
            Some(last) => last,
            None => match ready!(this.body.as_mut().poll_frame(cx)) {
                Some(Ok(frame)) if this.body.is_complete() => Last { frame, until: None },
                other => return this.pass(other, cx),
            },
        };
        // hyper stops here, and would not notice that the body is too long.
        let frame = match poll_rest(this.body.as_mut(), cx) {
            Poll::Ready(Ok(())) => Ok(last.frame),
            Poll::Ready(Err(error)) => Err(error),
            Poll::Pending => {
                let until = last.until.get_or_insert_with(|| Box::pin(sleep(END_WAIT)));
                if until.as_mut().poll(cx).is_pending() {
                    *this.last = Some(last);
                    return Poll::Pending;
                }
                Ok(last.frame)
            }
        };
        this.pass(Some(frame), cx)
    }

    fn is_end_stream(&self) -> bool {
        self.failed.is_none() && self.last.is_none() && self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl<B> ReplyProj<'_, B>
where
    B: Body<Data: Buf, Error: Into<BoxError>>,
{
    /// Hands a frame to hyper, and reports a failure before it does.
    fn pass(
        self,
        frame: Option<Result<Frame<B::Data>, StreamError>>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<B::Data>, StreamError>>> {
        match frame {
            Some(Err(error)) => {
                self.exchange.fail(&error);
                *self.failed = Some(error);
                // hyper drops what it has not written when a body fails.
                cx.waker().wake_by_ref();
                Poll::Pending
            }
            Some(Ok(frame)) => {
                let len = frame.data_ref().map_or(0, Buf::remaining);
                self.exchange.ledger.watch.sent(len);
                self.exchange.over =
                    frame.is_trailers() || self.body.is_complete() || self.body.is_end_stream();
                Poll::Ready(Some(Ok(frame)))
            }
            None => {
                self.exchange.over = true;
                Poll::Ready(None)
            }
        }
    }
}

/// Polls a body of the declared length to its end. More content is an error.
fn poll_rest<B>(
    mut body: Pin<&mut Outgoing<B>>,
    cx: &mut Context<'_>,
) -> Poll<Result<(), StreamError>>
where
    B: Body<Data: Buf, Error: Into<BoxError>>,
{
    while !body.is_end_stream() {
        match ready!(body.as_mut().poll_frame(cx)) {
            Some(Ok(frame)) if frame.is_data() => {}
            Some(Err(error)) => return Poll::Ready(Err(error)),
            Some(Ok(_)) | None => break,
        }
    }
    Poll::Ready(Ok(()))
}
