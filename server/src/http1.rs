//! HTTP/1.1 on the same ports, by hyper.

use std::{future::poll_fn, pin::Pin, pin::pin};

use http::{Request, Response};
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    time::timeout,
};

use crate::{BoxError, ConnectionError, ConnectionInfo, HttpService, Incoming, Options};

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
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.preface_timeout)
        .max_buf_size(limits.max_header_list_size.max(MIN_BUFFER))
        .auto_date_header(options.date.is_added())
        .serve_connection(TokioIo::new(io), Adapter { service, info })
        .with_upgrades();
    let mut connection = pin!(connection);
    let Some(mut signal) = options.shutdown else {
        return connection.await.map_err(failed);
    };
    tokio::select! {
        result = connection.as_mut() => return result.map_err(failed),
        () = signal.wait() => {}
    }
    connection.as_mut().graceful_shutdown();
    let after = limits.drain_timeout;
    match timeout(after, connection).await {
        Ok(result) => result.map_err(failed),
        Err(_) => Err(ConnectionError::DrainTimeout { after }),
    }
}

fn failed(error: hyper::Error) -> ConnectionError {
    ConnectionError::Http1(error.into())
}

/// One of our services as one of hyper's.
struct Adapter<S> {
    service: S,
    info: ConnectionInfo,
}

impl<S: HttpService> hyper::service::Service<Request<hyper::body::Incoming>> for Adapter<S> {
    type Response = Response<S::ResponseBody>;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, BoxError>> + Send>>;

    fn call(&self, request: Request<hyper::body::Incoming>) -> Self::Future {
        let mut service = self.service.clone();
        let mut request = request.map(Incoming::http1);
        request.extensions_mut().insert(self.info.clone());
        Box::pin(async move {
            poll_fn(|cx| service.poll_ready(cx))
                .await
                .map_err(Into::into)?;
            service.call(request).await.map_err(Into::into)
        })
    }
}
