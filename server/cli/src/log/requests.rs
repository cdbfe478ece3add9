//! Lines about requests: one for each, at the end of its response.
//!
//! They are formatted here and not by `tracing`, whose layers cost more than to
//! serve a small file. `RUST_LOG` turns them off as it does with events.

use std::{
    cell::RefCell,
    fmt::{self, Write},
    future::Future,
    net::SocketAddr,
    pin::Pin,
    task::{Context, Poll, ready},
    time::{Duration, Instant},
};

use bytes::Buf;
use http::{Method, Request, Response, StatusCode, Uri, header::CONTENT_LENGTH};
use http_body::{Body, Frame, SizeHint};
use lacewing_server::{ConnectionInfo, RequestBody};
use pin_project_lite::pin_project;
use tower_service::Service;
use tracing::{Level, enabled};
use tracing_subscriber::fmt::{
    format::Writer,
    time::{FormatTime, SystemTime},
};

use super::Output;

/// Bytes of a path that a line shows; a path may be as long as a header list.
const MAX_PATH: usize = 2048;

/// The time for which a thread shows the same time again.
const SAME_TIME: Duration = Duration::from_millis(1);

thread_local! {
    static ROOM: RefCell<Room> = const { RefCell::new(Room::new()) };
}

/// The look of a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Style {
    Plain,
    Colored,
}

/// Logs the requests of a service.
#[derive(Clone)]
pub(crate) struct Logged<S> {
    pub(crate) service: S,
    pub(crate) output: Output,
    pub(crate) style: Style,
}

impl<S, B> Service<Request<RequestBody>> for Logged<S>
where
    S: Service<Request<RequestBody>, Response = Response<B>>,
    B: Body,
{
    type Response = Response<LoggedBody<B>>;
    type Error = S::Error;
    type Future = Logging<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.service.poll_ready(cx)
    }

    fn call(&mut self, request: Request<RequestBody>) -> Self::Future {
        let line = enabled!(Level::INFO).then(|| Line {
            output: self.output.clone(),
            style: self.style,
            connection: request.body().connection().cloned(),
            method: request.method().clone(),
            uri: request.uri().clone(),
            status: None,
            bytes: 0,
            expected: None,
            start: Instant::now(),
            whole: false,
        });
        Logging {
            response: self.service.call(request),
            line,
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
                // HTTP/1.1 asks no more once it has the length that it declared.
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
    output: Output,
    style: Style,
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
        let declared = response.headers().get(CONTENT_LENGTH);
        self.expected = declared
            .and_then(|length| length.to_str().ok()?.parse().ok())
            .or(response.body().size_hint().exact());
        let empty = self.expected == Some(0) || response.body().is_end_stream();
        self.whole = empty || self.method == Method::HEAD;
    }

    fn write(&self, room: &mut Room) -> fmt::Result {
        let now = Instant::now();
        room.text.clear();
        room.write_start(self.style, now)?;
        match &self.connection {
            Some(connection) => {
                if let Some(peer) = connection.peer_addr() {
                    room.write_peer(peer)?;
                }
                room.text.push(' ');
                room.text.push_str(connection.protocol().alpn());
            }
            None => room.text.push_str(" -"),
        }
        let text = &mut room.text;
        text.push(' ');
        text.push_str(self.method.as_str());
        text.push(' ');
        self.write_path(text)?;
        text.push(' ');
        text.push_str(self.status.as_ref().map_or("-", StatusCode::as_str));
        let took = now.saturating_duration_since(self.start);
        // By `itoa`: the formatting machinery costs more than the rest of the line.
        let mut number = itoa::Buffer::new();
        text.push(' ');
        text.push_str(number.format(self.bytes));
        text.push_str(" B ");
        text.push_str(number.format(took.as_millis()));
        text.push('.');
        text.push_str(number.format(took.subsec_micros() / 100 % 10));
        text.push_str(" ms");
        text.push_str(if self.whole { "\n" } else { " (cut short)\n" });
        Ok(())
    }

    /// The path, cut to the length of a line. Control characters are escaped: they must not reach a
    /// terminal.
    fn write_path(&self, text: &mut String) -> fmt::Result {
        let path = self.uri.path_and_query().map_or("/", |path| path.as_str());
        let shown = if path.len() > MAX_PATH {
            let end = (0..=MAX_PATH).rev().find(|&end| path.is_char_boundary(end));
            end.and_then(|end| path.get(..end)).unwrap_or_default()
        } else {
            path
        };
        if shown.contains(char::is_control) {
            write!(text, "{}", shown.escape_debug())?;
        } else {
            text.push_str(shown);
        }
        if shown.len() < path.len() {
            text.push_str("...");
        }
        Ok(())
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        ROOM.with_borrow_mut(|room| {
            if self.write(room).is_ok() {
                self.output.push(room.text.as_bytes());
            }
        });
    }
}

/// Room for the text of a line, and what the lines of a thread have in common.
struct Room {
    text: String,
    start: String,
    start_at: Option<Instant>,
    peer: String,
    peer_is: Option<SocketAddr>,
}

impl Room {
    const fn new() -> Self {
        Self {
            text: String::new(),
            start: String::new(),
            start_at: None,
            peer: String::new(),
            peer_is: None,
        }
    }

    /// Writes the time and the level.
    fn write_start(&mut self, style: Style, now: Instant) -> fmt::Result {
        let fresh = |at| now.saturating_duration_since(at) < SAME_TIME;
        if !self.start_at.is_some_and(fresh) {
            let (dim, green, plain) = match style {
                Style::Plain => ("", "", ""),
                Style::Colored => ("\x1b[2m", "\x1b[32m", "\x1b[0m"),
            };
            self.start_at = Some(now);
            self.start.clear();
            self.start.push_str(dim);
            SystemTime.format_time(&mut Writer::new(&mut self.start))?;
            write!(self.start, "{plain} {green} INFO{plain} ")?;
        }
        self.text.push_str(&self.start);
        Ok(())
    }

    fn write_peer(&mut self, peer: SocketAddr) -> fmt::Result {
        if self.peer_is != Some(peer) {
            self.peer_is = Some(peer);
            self.peer.clear();
            write!(self.peer, "{peer}")?;
        }
        self.text.push_str(&self.peer);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::{io, sync::mpsc};

    use super::*;

    struct Sent(mpsc::Sender<Vec<u8>>);

    impl io::Write for Sent {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let _ = self.0.send(bytes.to_vec());
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// The line of a request for a path, without its time.
    fn line(path: &str, whole: bool) -> String {
        let (sent, received) = mpsc::channel();
        let output = Output::start(Sent(sent)).unwrap();
        drop(Line {
            output: output.clone(),
            style: Style::Plain,
            connection: None,
            method: Method::GET,
            uri: Uri::try_from(path).unwrap(),
            status: Some(StatusCode::OK),
            bytes: 5,
            expected: None,
            start: Instant::now(),
            whole,
        });
        output.flush(std::time::Duration::from_secs(600));
        let bytes: Vec<u8> = received.try_iter().flatten().collect();
        let line = String::from_utf8(bytes).unwrap();
        let (_, line) = line.split_once("INFO").unwrap();
        let (line, milliseconds) = line.split_once(" 5 B ").unwrap();
        format!("{line} {}", milliseconds.split_once(' ').unwrap().1)
    }

    #[test]
    fn a_line_names_the_request_and_how_it_ended() {
        assert_eq!(line("/a?b", true), "  - GET /a?b 200 ms\n");
        assert_eq!(line("/a", false), "  - GET /a 200 ms (cut short)\n");
    }

    #[test]
    fn a_path_is_cut_between_characters_and_cannot_steer_a_terminal() {
        let long = format!("/{}", "é".repeat(MAX_PATH));
        let shown = format!("/{}...", "é".repeat((MAX_PATH - 1) / 2));
        assert_eq!(line(&long, true), format!("  - GET {shown} 200 ms\n"));
        let steering = "/a\u{9b}31m";
        assert_eq!(line(steering, true), "  - GET /a\\u{9b}31m 200 ms\n");
    }
}
