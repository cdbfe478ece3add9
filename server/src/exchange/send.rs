//! Sends the body of a response: polls it when the engine asks the stream for
//! data.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    task::Poll,
};

use bytes::{Buf, Bytes};
use http_body::Body;
use lacewing_conn::{
    Error, Initiator, Reason,
    driver::facade::Context,
    proto::{StreamKey, UsageError},
};

use super::{Exchanges, PinnedBody, SPARES};
use crate::{HttpService, StreamError};

/// The reason for a poll of a body.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Asked {
    /// Its response's head was just sent.
    First,
    /// The engine calls this on the stream's turn, and needs no further offer.
    InTurn,
}

impl<S: HttpService> Exchanges<S> {
    /// Polls the body, and sends its frames. Returns the body unless it has ended.
    pub(super) fn send(
        &mut self,
        conn: &mut Context<'_>,
        stream: StreamKey,
        mut body: PinnedBody<S>,
        asked: Asked,
    ) -> Option<PinnedBody<S>> {
        loop {
            let polled = conn.poll_source(stream, |cx| match body.as_pin_mut() {
                Some(body) => body.poll_frame(cx),
                None => Poll::Ready(None),
            });
            let frame = match polled {
                Poll::Pending => return Some(body),
                Poll::Ready(None) => {
                    let sent = conn.stream(stream).send_data(Bytes::new(), true);
                    return self.sent_last(conn, stream, body, sent);
                }
                Poll::Ready(Some(Ok(frame))) => frame,
                Poll::Ready(Some(Err(error))) => {
                    self.fail_body(conn, stream, body, &error);
                    return None;
                }
            };
            let frame = match frame.into_data() {
                Ok(mut data) => {
                    let data = data.copy_to_bytes(data.remaining());
                    self.telemetry.given(stream.id(), data.len());
                    let fin = body.is_end_stream();
                    let sent = conn.stream(stream).send_data(data, fin);
                    if fin || sent.is_err() {
                        return self.sent_last(conn, stream, body, sent);
                    }
                    if asked == Asked::First {
                        conn.stream(stream).offer();
                    }
                    return Some(body);
                }
                Err(frame) => frame,
            };
            if let Ok(trailers) = frame.into_trailers() {
                let sent = conn.stream(stream).send_trailers(trailers);
                return self.sent_last(conn, stream, body, sent);
            }
        }
    }

    #[inline]
    fn sent_last(
        &mut self,
        conn: &mut Context<'_>,
        stream: StreamKey,
        mut body: PinnedBody<S>,
        sent: Result<(), UsageError>,
    ) -> Option<PinnedBody<S>> {
        // A body that panics in its drop has given all its frames.
        let cleared = catch_unwind(AssertUnwindSafe(|| body.clear()));
        if let (Ok(()), Some(boxes)) = (cleared, &mut self.boxes) {
            if boxes.bodies.len() < SPARES {
                boxes.bodies.push(body);
            }
        }
        match sent {
            Ok(()) => self.telemetry.handed_over(stream.id()),
            Err(error) => self.not_sent(conn, stream, error),
        }
        None
    }

    fn fail_body(
        &mut self,
        conn: &mut Context<'_>,
        stream: StreamKey,
        body: PinnedBody<S>,
        error: &StreamError,
    ) {
        let _ = catch_unwind(AssertUnwindSafe(|| drop(body)));
        // The user ended the tunnel and gave the reason: no report.
        if let Some(reason) = asked_for(error) {
            return conn.reset(stream, reason);
        }
        self.report(stream.id(), error);
        conn.reset(stream, Reason::InternalError);
    }
}

/// The reason with which our own side ends a stream on purpose: a tunnel that
/// was dropped.
fn asked_for(error: &StreamError) -> Option<Reason> {
    let mut source = std::error::Error::source(error);
    while let Some(error) = source {
        if let Some(error) = error.downcast_ref::<Error>() {
            return (error.initiator() == Initiator::User).then(|| error.reason());
        }
        source = error.source();
    }
    None
}
