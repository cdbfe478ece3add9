//! HTTP/1.1 on the same ports, by hyper.

mod exchange;
mod memory;
mod message;
mod waits;

use std::{
    future::{pending, poll_fn},
    pin::{Pin, pin},
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll},
    time::{Duration, Instant},
};

use http::{HeaderValue, Request, Response, StatusCode, header};
use http_body::Body;
use http_body_util::{Either, Empty};
use hyper::server::conn::http1::{self, UpgradeableConnection};
use hyper_util::rt::{TokioIo, TokioTimer};
use lacewing_conn::{
    Error, Initiator, Limits, Reason,
    driver::facade::{StatsTimer, wakers},
    proto::Engine,
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    time::{Sleep, sleep},
};

use self::{
    exchange::{Exchange, Ledger, Reading, ReplyBody},
    memory::Memory,
    waits::{Over, Waits},
};
use crate::{
    BoxError, ConnectionInfo, ConnectionOptions, H2cUpgrade, HttpService, Protocol, RequestBody,
    ServeError,
    body::Upload,
    connections::Place,
    h2c::{self, Drained, Upgrade, UpgradeRequest},
    http1_transport::{Watch, Watched},
    multiplexed::{self, Multiplexed, Occupied},
    telemetry::{self, Span},
};

/// The least that hyper takes for a buffer.
const MIN_BUFFER: usize = 8 << 10;

/// Serves one connection to its end.
pub(crate) async fn serve<T, S>(
    io: T,
    mut options: ConnectionOptions,
    info: ConnectionInfo,
    service: S,
    watch: Arc<Watch>,
) -> Result<(), ServeError>
where
    T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    S: HttpService,
{
    let place = options.place.take();
    let connection = Arc::clone(&options.connection);
    let limits = &connection.limits;
    let upgrade = Arc::default();
    let ledger = Arc::new(Ledger::new(
        info.clone(),
        options.clone(),
        Arc::clone(&watch),
    ));
    let adapter = Adapter {
        service: service.clone(),
        ledger: Arc::clone(&ledger),
        upgrade: Arc::clone(&upgrade),
    };
    watch.discards_for(limits.upload_linger);
    let io = Watched::new(io, Arc::clone(&watch), place.clone());
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        // `Waits` has shorter waits, with a graceful end for an idle connection.
        .header_read_timeout(
            waits::idle_timeout(limits)
                .max(limits.preface_timeout)
                .saturating_add(Duration::from_secs(1)),
        )
        .max_buf_size(buffer_size(limits))
        .max_headers(limits.max_header_fields.min(Limits::MOST_HEADER_FIELDS))
        .auto_date_header(options.date.is_added())
        .half_close(true)
        .serve_connection(TokioIo::new(io), adapter)
        .with_upgrades();
    drive(connection, &ledger, place.as_ref()).await?;
    // The connection has switched from HTTP/1.1 to another protocol.
    drop(ledger);
    let upgrade = upgrade
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .take();
    match upgrade {
        Some(upgrade) => upgraded::<T, S>(upgrade, options, &info, service, place, &watch).await,
        None => Ok(()),
    }
}

/// The most bytes that hyper reads into its buffer.
fn buffer_size(limits: &Limits) -> usize {
    limits.max_header_list_size.max(MIN_BUFFER)
}

/// Returns whether hyper is sure to close the connection after a response that leaves this
/// many bytes of an upload unread. The response must say so (RFC 9112 §9.6). If a shorter rest has
/// arrived, hyper reads it and continues. Whether it has is unknown when the head is sent.
fn exceeds_buffers(upload: u64, limits: &Limits) -> bool {
    // One buffer may wait for the handler, and one for hyper.
    let buffers = buffer_size(limits).saturating_mul(4);
    upload > u64::try_from(buffers).unwrap_or(u64::MAX)
}

/// Polls the connection until it ends or a limit ends it.
async fn drive<T, S>(
    connection: UpgradeableConnection<TokioIo<Watched<T>>, Adapter<S>>,
    ledger: &Ledger,
    place: Option<&Place>,
) -> Result<(), ServeError>
where
    T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    S: HttpService,
{
    let options = &ledger.options;
    let after = options.connection.limits.drain_timeout;
    let mut connection = pin!(connection);
    let mut stop = pin!(async {
        match options.shutdown.clone() {
            Some(mut signal) => signal.wait().await,
            None => pending().await,
        }
    });
    let (mut stopping, mut leaving, mut waker) = (false, false, None);
    let mut deadline: Option<Pin<Box<Sleep>>> = None;
    let mut waits = Waits::new(ledger);
    let mut memory = Memory::new(ledger);
    let mut reports = options.stats_every.map(StatsTimer::new);
    // hyper's connection does not wake this task for the reports.
    let mut report_at = Box::pin(sleep(options.stats_every.unwrap_or_default()));
    let result = poll_fn(|cx| {
        // A request that has arrived is answered: hyper reads it before it receives the shutdown.
        // After that, hyper closes a connection on which nothing was read.
        let mut polled = connection.as_mut().poll(cx);
        if polled.is_pending() {
            let mut stops = !stopping && stop.as_mut().poll(cx).is_ready();
            if let Some(place) = place {
                let moved = wakers::register_new(&mut waker, cx.waker());
                if !leaving && place.poll_leave(cx, moved).is_ready() {
                    (leaving, stops) = (true, true);
                }
            }
            if stops {
                stopping = true;
                connection.as_mut().graceful_shutdown();
                polled = connection.as_mut().poll(cx);
            }
        }
        if let Some(place) = place {
            // A tunnel is never asked to leave: nothing here could end it.
            place.note(ledger.is_idle() && !ledger.watch.is_tunnel());
        }
        if let Poll::Ready(result) = polled {
            let left = place.filter(|_| leaving);
            return Poll::Ready(over(result, left, ledger));
        }
        if let Err(error) = memory.check(cx) {
            return Poll::Ready(Err(error));
        }
        if let Some(reports) = &mut reports {
            report(reports, report_at.as_mut(), ledger, cx);
        }
        match waits.poll(cx) {
            Poll::Ready(Over::Fail(error)) => return Poll::Ready(Err(error)),
            Poll::Ready(Over::Close) => {
                stopping = true;
                connection.as_mut().graceful_shutdown();
                cx.waker().wake_by_ref();
            }
            Poll::Pending => {}
        }
        if stopping || ledger.watch.has_ended() {
            let deadline = deadline.get_or_insert_with(|| Box::pin(sleep(after)));
            if deadline.as_mut().poll(cx).is_ready() {
                return Poll::Ready(Err(ServeError::DrainTimeout { after }));
            }
        }
        Poll::Pending
    })
    .await;
    if reports.is_some() {
        ledger.tell_stats();
    }
    result
}

/// Converts the end of a connection. `left` is the place that it gave up for another.
fn over(
    result: hyper::Result<()>,
    left: Option<&Place>,
    ledger: &Ledger,
) -> Result<(), ServeError> {
    match (result, left) {
        (Ok(()), None) => Ok(()),
        (Ok(()), Some(place)) => Err(ServeError::MadeRoom {
            max_connections: place.max(),
        }),
        (Err(error), _) => {
            if error.is_parse() {
                ledger.unparsable(&error);
            }
            Err(failed(error))
        }
    }
}

/// Reports the statistics when they are due, and sets the timer for the next.
fn report(
    reports: &mut StatsTimer,
    mut at: Pin<&mut Sleep>,
    ledger: &Ledger,
    cx: &mut Context<'_>,
) {
    if reports.is_due(tokio::time::Instant::now().into_std()) {
        ledger.tell_stats();
    }
    if let Some(next) = reports.next() {
        let next = tokio::time::Instant::from_std(next);
        if at.deadline() != next {
            at.as_mut().reset(next);
        }
        // A ready timer needs one more poll to report.
        if at.poll(cx).is_ready() {
            cx.waker().wake_by_ref();
        }
    }
}

fn failed(error: hyper::Error) -> ServeError {
    ServeError::Http1(error.into())
}

/// Serves the connection in HTTP/2 after the 101.
async fn upgraded<T, S>(
    upgrade: Upgrade,
    options: ConnectionOptions,
    info: &ConnectionInfo,
    service: S,
    place: Option<Place>,
    watch: &Watch,
) -> Result<(), ServeError>
where
    T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    S: HttpService,
{
    let io = upgrade.on.await.map_err(failed)?;
    let parts = io.downcast::<TokioIo<Watched<T>>>().map_err(|_| {
        ServeError::Http1("the upgraded transport is not the one of this connection".into())
    })?;
    let (io, ahead) = parts.io.into_inner().into_parts();
    // A client must not send HTTP/2 before it has the 101. Earlier bytes belong
    // to HTTP/1.1: an attacker may have smuggled them through a proxy.
    if !parts.read_buf.is_empty() || !ahead.is_empty() {
        let text =
            "the client sent bytes after its h2c request before it received the 101 response";
        let error = Error::connection(Initiator::Library, Reason::ProtocolError, text);
        return Err(ServeError::Connection(error));
    }
    let info = info.clone().with_protocol(Protocol::Http2);
    let span = Span::new(&info);
    let connection: Multiplexed<T, S> =
        multiplexed::upgrade(io, info, options, service, upgrade.request, |exchanges| {
            exchanges.replay(crate::exchange::Replayed {
                data: upgrade.data,
                trailers: upgrade.trailers,
            });
        })
        .map_err(ServeError::Connection)?;
    // In a box, as it is rare and large.
    let mut connection = Box::pin(connection);
    let mut occupied = place.map(Occupied::new);
    poll_fn(|cx| {
        span.within(|| {
            let polled = match &mut occupied {
                Some(place) => place.poll(&mut connection, cx),
                None => connection.as_mut().poll(cx).map_err(ServeError::Connection),
            };
            watch.upgraded(connection.stats());
            polled
        })
    })
    .await
}

/// Adapts a service to hyper's trait.
struct Adapter<S> {
    service: S,
    ledger: Arc<Ledger>,
    /// The upgrade that takes the transport after HTTP/1.1.
    upgrade: Arc<Mutex<Option<Upgrade>>>,
}

impl<S: HttpService> hyper::service::Service<Request<hyper::body::Incoming>> for Adapter<S> {
    type Response = Response<ReplyBody<S::ResponseBody>>;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, BoxError>> + Send>>;

    fn call(&self, mut request: Request<hyper::body::Incoming>) -> Self::Future {
        if let Err(why) = message::check(&mut request) {
            self.ledger
                .refused(&format_args!("{why}; answered with 400"));
            self.ledger.refuses_upload(&request);
            let response = message::bad_request(&request);
            return Box::pin(std::future::ready(Ok(response)));
        }
        if self.ledger.budget_refuses() {
            self.ledger.refuses_upload(&request);
            return Box::pin(std::future::ready(Ok(memory::refusal())));
        }
        let interim = request.version() == http::Version::HTTP_11;
        self.ledger.watch.request_begins(interim);
        let upgrade = self.upgrade_request(&request);
        let number = self.ledger.next_request();
        let watch = Arc::clone(&self.ledger.watch);
        let upload = move |body| Upload::new(body, watch, number);
        let service = self.service.clone();
        let ledger = Arc::clone(&self.ledger);
        let Some((wanted, max_body)) = upgrade else {
            let exchange = Exchange::begin(&ledger, number, &request);
            let request = request.map(|body| RequestBody::http1(upload(body)));
            return Box::pin(async { Ok(exchange.answer(service, request).await) });
        };
        let slot = Arc::clone(&self.upgrade);
        let reading = Reading::begin(&ledger.watch);
        Box::pin(telemetry::in_span(async move {
            let mut request = request.map(upload);
            let request = match h2c::drain(request.body_mut(), max_body).await {
                Drained::All { data, trailers } => {
                    ledger.watch.request_is_over(number);
                    let upgrade = Upgrade {
                        on: hyper::upgrade::on(&mut request),
                        request: wanted,
                        data,
                        trailers,
                    };
                    *slot.lock().unwrap_or_else(PoisonError::into_inner) = Some(upgrade);
                    return Ok(switching());
                }
                Drained::TooLarge(read) => request.map(|rest| RequestBody::partly_read(read, rest)),
                Drained::Failed(error) => return Err(error.into()),
            };
            drop(reading);
            let exchange = Exchange::begin(&ledger, number, &request);
            Ok(exchange.answer(service, request).await)
        }))
    }
}

impl<S: HttpService> Adapter<S> {
    /// Returns the upgrade to h2c that the request asks for, if the server accepts it.
    fn upgrade_request<B>(&self, request: &Request<B>) -> Option<(UpgradeRequest, usize)> {
        let H2cUpgrade::Accept { max_body } = self.ledger.options.h2c_upgrade else {
            return None;
        };
        // RFC 7540 §3.2: h2c is for cleartext. A shutdown starts
        // no new connection.
        let stopping = self.ledger.options.shutdown.as_ref();
        if self.ledger.info.is_tls() || stopping.is_some_and(crate::ShutdownSignal::has_started) {
            return None;
        }
        let upgrade = UpgradeRequest::of(request)?;
        // Bad settings must be found before the 101.
        let config = multiplexed::config(lacewing_conn::Version::Http2, &self.ledger.options);
        let mut probe = Engine::new(config, Instant::now(), 0);
        probe
            .upgrade_server(Instant::now(), upgrade.head.clone(), &upgrade.settings)
            .ok()?;
        Some((upgrade, max_body))
    }
}

fn switching<B: Body>() -> Response<ReplyBody<B>> {
    let mut response = Response::new(Either::Right(Empty::new()));
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    let fields = response.headers_mut();
    fields.insert(header::CONNECTION, HeaderValue::from_static("Upgrade"));
    fields.insert(header::UPGRADE, HeaderValue::from_static("h2c"));
    response
}
