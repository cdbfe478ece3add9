//! HTTP/1.1 on the same ports, by hyper.

mod message;

use std::{
    future::poll_fn,
    pin::{Pin, pin},
    sync::{Arc, Mutex, PoisonError},
    time::Instant,
};

use http::{HeaderValue, Request, Response, StatusCode, header};
use http_body::Body;
use http_body_util::{Either, Empty};
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use lacewing_conn::{Error, Initiator, Reason, proto::Engine};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    time::timeout,
};

use crate::{
    BoxError, ConnectionError, ConnectionInfo, H2cUpgrade, HttpService, Incoming, Options,
    Protocol, Serving, connection,
    h2c::{self, Drained, Upgrade, Wish},
    telemetry,
};

/// The least that hyper takes for a buffer.
const MIN_BUFFER: usize = 8 << 10;

/// Serves one connection to its end.
pub(crate) async fn serve<T, S>(
    io: T,
    options: Options,
    info: ConnectionInfo,
    service: S,
) -> Result<(), ConnectionError>
where
    T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    S: HttpService,
{
    let limits = &options.limits;
    let upgrade = Arc::default();
    let adapter = Adapter {
        service: service.clone(),
        info: info.clone(),
        options: options.clone(),
        upgrade: Arc::clone(&upgrade),
    };
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.preface_timeout)
        .max_buf_size(limits.max_header_list_size.max(MIN_BUFFER))
        .auto_date_header(options.date.is_added())
        .serve_connection(TokioIo::new(io), adapter)
        .with_upgrades();
    let mut connection = pin!(connection);
    let result = match options.shutdown.clone() {
        None => connection.await.map_err(failed),
        Some(mut signal) => {
            let early = tokio::select! {
                result = connection.as_mut() => Some(result.map_err(failed)),
                () = signal.wait() => None,
            };
            match early {
                Some(result) => result,
                None => {
                    connection.as_mut().graceful_shutdown();
                    let after = limits.drain_timeout;
                    match timeout(after, connection).await {
                        Ok(result) => result.map_err(failed),
                        Err(_) => Err(ConnectionError::DrainTimeout { after }),
                    }
                }
            }
        }
    };
    result?;
    let upgrade = upgrade
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .take();
    match upgrade {
        Some(upgrade) => upgraded::<T, S>(upgrade, options, &info, service).await,
        None => Ok(()),
    }
}

fn failed(error: hyper::Error) -> ConnectionError {
    ConnectionError::Http1(error.into())
}

/// Goes on in HTTP/2, after the 101.
async fn upgraded<T, S>(
    upgrade: Upgrade,
    options: Options,
    info: &ConnectionInfo,
    service: S,
) -> Result<(), ConnectionError>
where
    T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    S: HttpService,
{
    let io = upgrade.on.await.map_err(failed)?;
    let parts = io.downcast::<TokioIo<T>>().map_err(|_| {
        ConnectionError::Http1("the connection is not the one that was upgraded".into())
    })?;
    // A client may not say anything in HTTP/2 before it has the 101. What came
    // earlier was said to HTTP/1.1: somebody hopes that it will be taken for
    // something else.
    if !parts.read_buf.is_empty() {
        let text = "bytes after a request for h2c came before its 101";
        let error = Error::connection(Initiator::Library, Reason::ProtocolError, text);
        return Err(ConnectionError::Connection(error));
    }
    let info = info.clone().with_protocol(Protocol::Http2);
    // In a box: rare, and large.
    let serving: Serving<T, S> = Serving::upgraded(
        parts.io.into_inner(),
        info,
        options,
        service,
        upgrade.wish,
        |application| {
            application.replay(crate::exchange::Replayed {
                data: upgrade.data,
                trailers: upgrade.trailers,
            });
        },
    )
    .map_err(ConnectionError::Connection)?;
    Box::pin(serving).await
}

/// One of our services as one of hyper's.
struct Adapter<S> {
    service: S,
    info: ConnectionInfo,
    options: Options,
    /// Where the connection goes when this one is over.
    upgrade: Arc<Mutex<Option<Upgrade>>>,
}

/// The body of a response: the service's, or none with a 101.
type ReplyBody<B> = Either<B, Empty<<B as Body>::Data>>;

impl<S: HttpService> hyper::service::Service<Request<hyper::body::Incoming>> for Adapter<S> {
    type Response = Response<ReplyBody<S::ResponseBody>>;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, BoxError>> + Send>>;

    fn call(&self, mut request: Request<hyper::body::Incoming>) -> Self::Future {
        if let Err(status) = message::settle_host(&mut request) {
            return Box::pin(std::future::ready(Ok(message::refusal(status))));
        }
        let wish = self.wish(&request);
        let service = self.service.clone();
        let info = self.info.clone();
        let Some((wish, max_body)) = wish else {
            return Box::pin(handle(service, info, request.map(Incoming::http1)));
        };
        let slot = Arc::clone(&self.upgrade);
        Box::pin(telemetry::in_span(async move {
            let mut request = request;
            let request = match h2c::drain(request.body_mut(), max_body).await {
                Drained::All { data, trailers } => {
                    let upgrade = Upgrade {
                        on: hyper::upgrade::on(&mut request),
                        wish,
                        data,
                        trailers,
                    };
                    *slot.lock().unwrap_or_else(PoisonError::into_inner) = Some(upgrade);
                    return Ok(switching());
                }
                Drained::TooLarge(read) => request.map(|rest| Incoming::partly_read(read, rest)),
                Drained::Failed(error) => return Err(error.into()),
            };
            handle(service, info, request).await
        }))
    }
}

impl<S: HttpService> Adapter<S> {
    /// The request asks for h2c, and may have it.
    fn wish<B>(&self, request: &Request<B>) -> Option<(Wish, usize)> {
        let H2cUpgrade::Accept { max_body } = self.options.h2c_upgrade else {
            return None;
        };
        // RFC 7540 §3.2: h2c is for cleartext. A shutdown wants no new
        // connection.
        let stopping = self.options.shutdown.as_ref();
        if self.info.is_tls() || stopping.is_some_and(crate::ShutdownSignal::has_started) {
            return None;
        }
        let wish = Wish::of(request)?;
        // After the 101 it would be too late for bad settings.
        let config = connection::config(lacewing_conn::Version::Http2, &self.options);
        let mut probe = Engine::new(config, Instant::now(), 0);
        probe
            .upgrade_server(wish.head.clone(), &wish.settings)
            .ok()?;
        Some((wish, max_body))
    }
}

async fn handle<S: HttpService>(
    mut service: S,
    info: ConnectionInfo,
    mut request: Request<Incoming>,
) -> Result<Response<ReplyBody<S::ResponseBody>>, BoxError> {
    request.extensions_mut().insert(info);
    let method = request.method().clone();
    poll_fn(|cx| service.poll_ready(cx))
        .await
        .map_err(Into::into)?;
    let response = service.call(request).await.map_err(Into::into)?;
    Ok(message::settle_content(response.map(Either::Left), &method))
}

fn switching<B: Body>() -> Response<ReplyBody<B>> {
    let mut response = Response::new(Either::Right(Empty::new()));
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    let fields = response.headers_mut();
    fields.insert(header::CONNECTION, HeaderValue::from_static("Upgrade"));
    fields.insert(header::UPGRADE, HeaderValue::from_static("h2c"));
    response
}
