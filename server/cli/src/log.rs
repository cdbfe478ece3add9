//! One line in the log for each request, when its response is over.

use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll},
    time::Instant,
};

use bytes::Buf;
use http::{Method, Request, Response, StatusCode, Uri, header::CONTENT_LENGTH};
use http_body::{Body, Frame, SizeHint};
use lacewing_server::{ConnectionInfo, RequestBody, ServerEvent};
use tower_service::Service;
use tracing::{debug, info, warn};
use tracing_subscriber::{EnvFilter, filter::LevelFilter};

/// Turns the log on: to the standard error output, at the level `info` unless
/// the environment variable `RUST_LOG` says otherwise.
pub(crate) fn start() {
    let filter = EnvFilter::builder()
        .with_default_directive(LevelFilter::INFO.into())
        .from_env_lossy();
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::IsTerminal::is_terminal(&std::io::stderr()))
        .with_target(false)
        // It would tell of a closed stderr there, and panic.
        .log_internal_errors(false)
        .init();
}

/// What the server tells of its connections.
pub(crate) fn event(event: &ServerEvent<'_>) {
    match event {
        ServerEvent::Connected { .. } | ServerEvent::Closed { error: None, .. } => {
            debug!("{event}")
        }
        // Clients that hang up are none of our business.
        ServerEvent::Closed {
            error: Some(error), ..
        }
        | ServerEvent::Rejected { error, .. }
            if error.is_disconnect() =>
        {
            debug!("{event}");
        }
        _ => warn!("{event}"),
    }
}

/// Logs the requests of a service.
#[derive(Clone)]
pub(crate) struct Logged<S>(pub(crate) S);

impl<S, B> Service<Request<RequestBody>> for Logged<S>
where
    S: Service<Request<RequestBody>, Response = Response<B>>,
    B: Body,
    S::Future: Send + 'static,
{
    type Response = Response<LoggedBody<B>>;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, S::Error>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.0.poll_ready(cx)
    }

    fn call(&mut self, request: Request<RequestBody>) -> Self::Future {
        let mut line = Line {
            connection: request.extensions().get().cloned(),
            method: request.method().clone(),
            uri: request.uri().clone(),
            status: None,
            bytes: 0,
            expected: None,
            start: Instant::now(),
            whole: false,
        };
        let response = self.0.call(request);
        Box::pin(async move {
            let response = response.await?;
            line.status = Some(response.status());
            let announced = response.headers().get(CONTENT_LENGTH);
            line.expected = announced.and_then(|length| length.to_str().ok()?.parse().ok());
            Ok(response.map(|body| {
                line.expected = line.expected.or(body.size_hint().exact());
                let empty = line.expected == Some(0) || body.is_end_stream();
                line.whole = empty || line.method == Method::HEAD;
                LoggedBody {
                    body: Box::pin(body),
                    line,
                }
            }))
        })
    }
}

/// A body whose end, or whose end before its time, is a line in the log.
pub(crate) struct LoggedBody<B> {
    body: Pin<Box<B>>,
    line: Line,
}

impl<B: Body> Body for LoggedBody<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        let polled = self.body.as_mut().poll_frame(cx);
        match &polled {
            Poll::Ready(Some(Ok(frame))) => {
                let len = frame.data_ref().map_or(0, Buf::remaining);
                self.line.bytes = self.line.bytes.saturating_add(len as u64);
                // HTTP/1.1 asks no more once it has the length that it announced.
                self.line.whole = self.body.is_end_stream()
                    || self
                        .line
                        .expected
                        .is_some_and(|expected| self.line.bytes >= expected);
            }
            Poll::Ready(None) => self.line.whole = true,
            _ => {}
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// A line in the log, written when it is dropped.
struct Line {
    connection: Option<ConnectionInfo>,
    method: Method,
    uri: Uri,
    /// `None` when the request ended before it had a response.
    status: Option<StatusCode>,
    bytes: u64,
    /// How many there should be, if that is known.
    expected: Option<u64>,
    start: Instant,
    /// The response was given out to its end.
    whole: bool,
}

impl Drop for Line {
    fn drop(&mut self) {
        let milliseconds = self.start.elapsed().as_secs_f64() * 1e3;
        let status = self.status.as_ref().map_or("-", StatusCode::as_str);
        let path = self.uri.path_and_query().map_or("/", |path| path.as_str());
        let (protocol, peer) = match &self.connection {
            Some(connection) => (
                connection.protocol().alpn(),
                connection
                    .peer_addr()
                    .map(|peer| peer.to_string())
                    .unwrap_or_default(),
            ),
            None => ("-", String::new()),
        };
        let cut = if self.whole { "" } else { " (cut short)" };
        info!(
            "{peer} {protocol} {} {path} {status} {} B {milliseconds:.1} ms{cut}",
            self.method, self.bytes
        );
    }
}
