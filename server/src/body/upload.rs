//! The body of a request over HTTP/1.1.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use lacewing_conn::{Error, Initiator, Reason, proto::StreamId};

use crate::http1_transport::Watch;

/// The body of a request over HTTP/1.1.
#[derive(Debug)]
pub(crate) struct Upload {
    body: hyper::body::Incoming,
    watch: Arc<Watch>,
    /// The number of the request on its connection.
    number: StreamId,
}

impl Upload {
    pub(crate) fn new(body: hyper::body::Incoming, watch: Arc<Watch>, number: StreamId) -> Self {
        let upload = Self {
            body,
            watch,
            number,
        };
        let declared = upload.body.size_hint().exact().is_some();
        upload.watch.declares_content(declared);
        upload.note_end();
        upload
    }

    fn note_end(&self) {
        if self.body.is_end_stream() {
            self.watch.request_is_whole(self.number);
        }
    }
}

impl Drop for Upload {
    fn drop(&mut self) {
        self.watch.body_awaited(false);
        if !self.body.is_end_stream() {
            self.watch.upload_is_abandoned();
        }
    }
}

impl Body for Upload {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        let this = self.get_mut();
        let frame = Pin::new(&mut this.body).poll_frame(cx);
        this.watch.body_awaited(frame.is_pending());
        let frame = ready!(frame);
        match &frame {
            Some(Ok(frame)) => {
                this.watch.received(frame.data_ref().map_or(0, Bytes::len));
                this.note_end();
            }
            Some(Err(_)) => {}
            None => this.watch.request_is_whole(this.number),
        }
        Poll::Ready(frame.map(|frame| frame.map_err(neutral)))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// The handler sees one type of error in all protocols.
fn neutral(error: hyper::Error) -> Error {
    let reason = if error.is_incomplete_message() {
        Reason::Cancel
    } else {
        Reason::ProtocolError
    };
    Error::connection(Initiator::Peer, reason, format!("HTTP/1.1: {error}"))
}
