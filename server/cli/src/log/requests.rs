//! Lines about requests: one for each, at the end of its response.
//!
//! They are formatted here and not by `tracing`, whose layers cost more than to
//! serve a small file. `RUST_LOG` turns them off as it does with events.

use std::{
    cell::RefCell,
    future::Future,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Instant,
};

use bytes::Buf;
use http::{Request, Response};
use http_body::{Body, Frame, SizeHint};
use lacewing_server::RequestBody;
use pin_project_lite::pin_project;
use tower_service::Service;
use tracing::{Level, enabled};

use super::{Format, Look, Output, combined, entry::Entry, json, text};

thread_local! {
    static LINE: RefCell<String> = const { RefCell::new(String::new()) };
}

/// Logs the requests of a service.
#[derive(Clone)]
pub(crate) struct Logged<S> {
    pub(super) service: S,
    pub(super) output: Output,
    pub(super) look: Look,
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
            look: self.look.clone(),
            entry: Entry::of(&request, self.look.format()),
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
            line.entry.answered(&response);
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
                let entry = &mut line.entry;
                entry.bytes = entry.bytes.saturating_add(len as u64);
                // HTTP/1.1 asks no more once it has the length that it declared.
                entry.whole = this.body.is_end_stream()
                    || entry
                        .expected
                        .is_some_and(|expected| entry.bytes >= expected);
            }
            Poll::Ready(None) => line.entry.whole = true,
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
    look: Look,
    entry: Entry,
}

impl Drop for Line {
    fn drop(&mut self) {
        LINE.with_borrow_mut(|line| {
            line.clear();
            let (entry, now) = (&self.entry, Instant::now());
            let written = match self.look.format() {
                Format::Text => text::write(line, entry, self.look.style, now),
                Format::Json => json::write(line, entry, now),
                Format::Combined => combined::write(line, entry),
            };
            if written.is_ok() {
                self.output.push(line.as_bytes());
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use std::{io, sync::mpsc, time::Duration};

    use http::{HeaderValue, Method, StatusCode, Uri};

    use super::*;
    use crate::log::{Reason, Style, entry::Fields, escape::MAX_SHOWN};

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

    fn entry(path: &str, whole: bool) -> Entry {
        Entry {
            connection: None,
            method: Method::GET,
            uri: Uri::try_from(path).unwrap(),
            fields: None,
            status: Some(StatusCode::OK),
            reason: None,
            bytes: 5,
            expected: None,
            start: Instant::now(),
            whole,
        }
    }

    fn written(format: Format, entry: Entry) -> String {
        let (sent, received) = mpsc::channel();
        let output = Output::start(Sent(sent)).unwrap();
        drop(Line {
            output: output.clone(),
            look: Look::new(format, Style::Plain),
            entry,
        });
        output.flush(Duration::from_secs(600));
        let bytes: Vec<u8> = received.try_iter().flatten().collect();
        String::from_utf8(bytes).unwrap()
    }

    /// The line of a request for a path, without its time.
    fn line(path: &str, whole: bool) -> String {
        let line = written(Format::Text, entry(path, whole));
        let (_, line) = line.split_once("INFO").unwrap();
        let (line, milliseconds) = line.split_once(" 5 B ").unwrap();
        format!("{line} {}", milliseconds.split_once(' ').unwrap().1)
    }

    #[test]
    fn a_line_names_the_request_and_how_it_ended() {
        assert_eq!(line("/a?b", true), "  - GET /a?b 200 ms\n");
        assert_eq!(line("/a", false), "  - GET /a 200 ms (cut short)\n");
        let mut failed = entry("/a", true);
        failed.reason = Some(Reason("connection_refused"));
        let line = written(Format::Text, failed);
        assert!(line.ends_with(" ms (connection_refused)\n"), "{line}");
    }

    #[test]
    fn a_path_is_cut_between_characters_and_cannot_steer_a_terminal() {
        let long = format!("/{}", "é".repeat(MAX_SHOWN));
        let shown = format!("/{}...", "é".repeat((MAX_SHOWN - 1) / 2));
        assert_eq!(line(&long, true), format!("  - GET {shown} 200 ms\n"));
        let steering = "/a\u{9b}31m";
        assert_eq!(line(steering, true), "  - GET /a\\u{9b}31m 200 ms\n");
    }

    /// What a client sends stays inside its field.
    #[test]
    fn no_request_forges_a_line_in_any_format() {
        let value = |bytes: &[u8]| HeaderValue::from_bytes(bytes).ok();
        let hostile = || Entry {
            fields: Some(Box::new(Fields {
                host: value(b"a\"b"),
                referer: value(b"\"} {\"ts\":1 \\"),
                user_agent: value(b"x\" 200 5 \"-\" \"y\xff\t"),
            })),
            ..entry("/%0a\"\u{9b}{}", false)
        };
        let json = written(Format::Json, hostile());
        assert_eq!(json.matches('\n').count(), 1, "{json}");
        let object: serde_json::Value = serde_json::from_str(&json).unwrap();
        assert_eq!(object["uri"], "/%0a\"\u{9b}{}");
        assert_eq!(object["host"], "a\"b");
        assert_eq!(object["user_agent"], "x\" 200 5 \"-\" \"y\u{fffd}\t");
        assert_eq!(
            (&object["status"], &object["size"]),
            (&200.into(), &5.into())
        );
        assert_eq!(object["complete"], false);
        let combined = written(Format::Combined, hostile());
        assert_eq!(combined.matches('\n').count(), 1, "{combined}");
        let parts: Vec<_> = combined.split('"').collect();
        assert_eq!(parts.len(), 7, "{combined}");
        assert_eq!(parts[1], "GET /%0a\\x22\\xC2\\x9B{} HTTP/1.1");
        assert_eq!(parts[2], " 200 5 ");
        assert_eq!(parts[5], "x\\x22 200 5 \\x22-\\x22 \\x22y\\xFF\\x09");
    }
}
