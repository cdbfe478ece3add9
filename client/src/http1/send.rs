//! One request over a connection, up to the head of its response.

use std::{
    future::{Future, poll_fn},
    pin::{Pin, pin},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    task::Poll,
    time::Duration,
};

use http::{Request, Response, StatusCode};
use hyper::client::conn::TrySendError;
use lacewing_conn::{Error, Limits, driver::Incoming};
use tokio::time::Instant;

use super::{
    Http1Connection, Use,
    download::{Download, Lease},
    failure,
    request::{Prepared, prepare_http1},
    transport::Traffic,
    upload::{Upload, UploadState},
};
use crate::{
    ClientError, ClientOptions, Security,
    body::RequestBody,
    exchange::Expectation,
    link::{Failure, Rest},
    spare::Spare,
};

/// The outcome of a request on one connection.
pub(crate) enum Sent {
    Response(Response<Incoming>),
    Failed(Box<Failure>),
    /// The server closed a connection that had been idle. The request may be sent again over
    /// another one.
    Closed {
        request: Box<Request<RequestBody>>,
        place: Option<super::Permit>,
        next: Next,
    },
}

/// The connection for a request whose connection was closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Next {
    /// The request was not sent: any.
    Any,
    /// The request was sent, and no byte of a response came: a new one, which cannot be closed for
    /// having been idle. So an idempotent request is repeated once (RFC 9110 §9.2.2).
    New,
}

/// Sends a request. `lease` returns the connection to its origin after the response.
pub(crate) async fn send(
    mut lease: Lease,
    request: Request<RequestBody>,
    options: &ClientOptions,
    security: Security,
) -> Sent {
    let reused = lease.connection.use_ == Use::Idle;
    if reused && !lease.connection.is_ready().await {
        let next = Next::Any;
        return Sent::Closed {
            request: Box::new(request),
            place: lease.give_up(),
            next,
        };
    }
    let mut prepared = match prepare_http1(request, security) {
        Ok(prepared) => prepared,
        Err(error) => {
            // The connection is as it was.
            lease.give_back();
            return Sent::Failed(Failure::new(error.into()));
        }
    };
    let spare = std::mem::take(&mut prepared.spare);
    lease.connection.use_ = Use::Busy;
    let limits = &options.connection.limits;
    let traffic = Arc::clone(&lease.connection.traffic);
    let sent_before = traffic.read();
    let watch = HeadWatch::new(Arc::clone(&traffic), limits);
    let (request, upload) = for_hyper(prepared, options.continue_timeout, &watch.interim, &traffic);
    let response = pin!(lease.connection.sender.try_send_request(request));
    let answered = watch.wait(&mut lease.connection, response).await;
    let mut error = match answered {
        Ok(Ok(response)) if response.status() == StatusCode::SWITCHING_PROTOCOLS => {
            return Sent::Failed(Failure::new(failure::switched().into()));
        }
        Ok(Ok(response)) => {
            upload.answered(response.status());
            return Sent::Response(Download::of(response, lease, upload, limits));
        }
        Ok(Err(error)) => error,
        Err(error) => return Sent::Failed(Failure::new(error.into())),
    };
    let untouched = traffic.read() == sent_before;
    let unsent = error.take_message().is_some();
    failed(
        &error,
        lease,
        spare,
        &upload,
        limits,
        Course {
            reused,
            untouched,
            unsent,
        },
    )
}

/// The course of a request that failed.
struct Course {
    reused: bool,
    /// No byte of a response arrived.
    untouched: bool,
    /// No byte of the request was sent.
    unsent: bool,
}

fn failed(
    error: &TrySendError<Request<Upload>>,
    lease: Lease,
    spare: Spare,
    upload: &UploadState,
    limits: &Limits,
    course: Course,
) -> Sent {
    let place = lease.give_up();
    if let Some(cause) = upload.failure() {
        return Sent::Failed(Failure::new(ClientError::Body(cause.into())));
    }
    let idempotent = spare.is_idempotent();
    let rest = upload.rest().map_or(Rest::Nothing, Rest::Body);
    let request = spare.restore(rest);
    let cause = failure::of_connection(error.error(), limits);
    match request {
        Some(request) if course.unsent && course.reused => Sent::Closed {
            request: Box::new(request),
            place,
            next: Next::Any,
        },
        Some(request) if course.unsent => {
            let cause = cause.with_retryable(true).into();
            let rest = Rest::Whole(Box::new(request));
            Sent::Failed(Failure::with_rest(cause, rest))
        }
        Some(request) if course.reused && course.untouched && idempotent => Sent::Closed {
            request: Box::new(request),
            place,
            next: Next::New,
        },
        _ => Sent::Failed(Failure::new(cause.into())),
    }
}

/// The request as hyper takes it.
fn for_hyper(
    prepared: Prepared,
    patience: Duration,
    interim: &Arc<AtomicU64>,
    traffic: &Arc<Traffic>,
) -> (Request<Upload>, Arc<UploadState>) {
    let mut upload = Upload::new(prepared.body, prepared.trailers);
    if prepared.expectation == Expectation::Continue {
        upload.wait(patience);
    }
    let state = upload.state();
    let mut request = prepared.head.map(|()| upload);
    let (watched, traffic, gate) = (Arc::clone(interim), Arc::clone(traffic), Arc::clone(&state));
    let call = prepared.informational;
    hyper::ext::on_informational(&mut request, move |head| {
        watched.store(traffic.read(), Ordering::Relaxed);
        if head.status() == StatusCode::CONTINUE {
            gate.proceed();
        }
        if let Some(call) = &call {
            let mut response = Response::new(());
            *response.status_mut() = head.status();
            *response.version_mut() = head.version();
            response.headers_mut().clone_from(head.headers());
            call.call(response);
        }
    });
    (request, state)
}

/// Ends the wait for a head that does not come, or not to its end.
struct HeadWatch<'a> {
    traffic: Arc<Traffic>,
    /// The bytes that were read when the last informational response, or none, was complete.
    interim: Arc<AtomicU64>,
    limits: &'a Limits,
}

impl<'a> HeadWatch<'a> {
    fn new(traffic: Arc<Traffic>, limits: &'a Limits) -> Self {
        let interim = Arc::new(AtomicU64::new(traffic.read()));
        Self {
            traffic,
            interim,
            limits,
        }
    }

    /// Looks at the connection now and then, so that no byte costs a timer. A head takes at most
    /// twice `headers_timeout`.
    async fn wait<F: Future>(
        &self,
        connection: &mut Http1Connection,
        mut response: Pin<&mut F>,
    ) -> Result<F::Output, Error> {
        let Http1Connection { driver, timer, .. } = connection;
        let limits = self.limits;
        let pause = limits.headers_timeout.min(limits.stall_timeout);
        let pause = pause.max(Duration::from_millis(1));
        let mut moved = (self.traffic.read(), self.traffic.written());
        let mut since = Instant::now();
        let mut begun = None;
        loop {
            timer.start(pause);
            let answered = poll_fn(
                |cx| match driver.poll(cx, |cx| response.as_mut().poll(cx)) {
                    Poll::Ready(answered) => Poll::Ready(Some(answered)),
                    Poll::Pending => timer.poll(cx).map(|()| None),
                },
            );
            if let Some(answered) = answered.await {
                return Ok(answered);
            }
            let now = (self.traffic.read(), self.traffic.written());
            let start = self.interim.load(Ordering::Relaxed);
            if now.0 > start {
                if begun == Some(start) {
                    return Err(failure::head_too_late(limits.headers_timeout));
                }
                begun = Some(start);
            }
            if now != moved {
                moved = now;
                since = Instant::now();
            } else if since.elapsed() >= limits.stall_timeout {
                return Err(failure::stalled("no byte passed", limits.stall_timeout));
            }
        }
    }
}
