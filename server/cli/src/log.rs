//! The log: one line for each request, at the end of its response.

mod events;
mod output;

use std::{
    borrow::Cow,
    future::Future,
    io,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Instant,
};

use bytes::Buf;
use http::{Method, Request, Response, StatusCode, Uri, header::CONTENT_LENGTH};
use http_body::{Body, Frame, SizeHint};
use lacewing_server::{ConnectionInfo, RequestBody};
use pin_project_lite::pin_project;
use tower_service::Service;
use tracing::info;
use tracing_subscriber::{EnvFilter, filter::LevelFilter};

pub(crate) use self::{events::Events, output::Output};

/// Bytes of a path that a line shows; a path may be as long as a header list.
const MAX_PATH: usize = 2048;

/// Turns the log on: to the standard error output, at the level `info` unless
/// the environment variable `RUST_LOG` says otherwise. Lines are written later,
/// by a thread of their own.
pub(crate) fn start() -> io::Result<Output> {
    let output = Output::start(io::stderr())?;
    let filter = EnvFilter::builder()
        .with_default_directive(LevelFilter::INFO.into())
        .from_env_lossy();
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(output.clone())
        .with_ansi(io::IsTerminal::is_terminal(&io::stderr()))
        .with_target(false)
        .log_internal_errors(false)
        .init();
    Ok(output)
}

/// Logs the requests of a service.
#[derive(Clone)]
pub(crate) struct Logged<S>(pub(crate) S);

impl<S, B> Service<Request<RequestBody>> for Logged<S>
where
    S: Service<Request<RequestBody>, Response = Response<B>>,
    B: Body,
{
    type Response = Response<LoggedBody<B>>;
    type Error = S::Error;
    type Future = Logging<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.0.poll_ready(cx)
    }

    fn call(&mut self, request: Request<RequestBody>) -> Self::Future {
        let line = Line {
            connection: request.extensions().get().cloned(),
            method: request.method().clone(),
            uri: request.uri().clone(),
            status: None,
            bytes: 0,
            expected: None,
            start: Instant::now(),
            whole: false,
        };
        Logging {
            response: self.0.call(request),
            line: Some(line),
        }
    }
}

pin_project! {
    /// A response on its way, with its line.
    pub(crate) struct Logging<F> {
        #[pin]
        response: F,
        line: Option<Line>,
    }
}

impl<F, B, E> Future for Logging<F>
where
    F: Future<Output = Result<Response<B>, E>>,
    B: Body,
{
    type Output = Result<Response<LoggedBody<B>>, E>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let response = ready!(this.response.poll(cx))?;
        let line = this.line.take().map(|mut line| {
            line.answered(&response);
            line
        });
        Poll::Ready(Ok(response.map(|body| LoggedBody { body, line })))
    }
}

pin_project! {
    /// A body that writes a line to the log when it ends, complete or not.
    pub(crate) struct LoggedBody<B> {
        #[pin]
        body: B,
        line: Option<Line>,
    }
}

impl<B: Body> Body for LoggedBody<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        let mut this = self.project();
        let polled = this.body.as_mut().poll_frame(cx);
        let Some(line) = this.line else {
            return polled;
        };
        match &polled {
            Poll::Ready(Some(Ok(frame))) => {
                let len = frame.data_ref().map_or(0, Buf::remaining);
                line.bytes = line.bytes.saturating_add(len as u64);
                // HTTP/1.1 asks no more once it has the length that it announced.
                line.whole = this.body.is_end_stream()
                    || line.expected.is_some_and(|expected| line.bytes >= expected);
            }
            Poll::Ready(None) => line.whole = true,
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
    /// `None` if the request ended without a response.
    status: Option<StatusCode>,
    bytes: u64,
    /// The length of the body, if it is known.
    expected: Option<u64>,
    start: Instant,
    /// The response is complete.
    whole: bool,
}

impl Line {
    fn answered<B: Body>(&mut self, response: &Response<B>) {
        self.status = Some(response.status());
        let announced = response.headers().get(CONTENT_LENGTH);
        self.expected = announced
            .and_then(|length| length.to_str().ok()?.parse().ok())
            .or(response.body().size_hint().exact());
        let empty = self.expected == Some(0) || response.body().is_end_stream();
        self.whole = empty || self.method == Method::HEAD;
    }

    /// The path, or as much of it as a line shows.
    fn path(&self) -> Cow<'_, str> {
        let path = self.uri.path_and_query().map_or("/", |path| path.as_str());
        match path.as_bytes().get(..MAX_PATH) {
            Some(begin) if path.len() > MAX_PATH => {
                Cow::Owned(format!("{}...", String::from_utf8_lossy(begin)))
            }
            _ => Cow::Borrowed(path),
        }
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        let milliseconds = self.start.elapsed().as_secs_f64() * 1e3;
        let status = self.status.as_ref().map_or("-", StatusCode::as_str);
        let path = self.path();
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
