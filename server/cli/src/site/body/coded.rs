//! Content that is compressed on its way.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use http_body::{Body, Frame};
use tokio::sync::OwnedSemaphorePermit;

use super::Content;
use crate::site::coding::Encoder;

/// Content that is encoded piece by piece.
pub(crate) struct Coded {
    pub(super) plain: Content,
    /// `None` at the end.
    pub(super) encoder: Option<Encoder>,
    pub(super) _permit: OwnedSemaphorePermit,
}

impl Coded {
    pub(super) fn is_over(&self) -> bool {
        self.encoder.is_none()
    }

    pub(super) fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<io::Result<Bytes>>> {
        while let Some(encoder) = &mut self.encoder {
            let next = ready!(Pin::new(&mut self.plain).poll_frame(cx));
            let encoded = match next.map(|frame| frame.map(Frame::into_data)) {
                Some(Ok(Ok(piece))) => encoder.encode(&piece),
                Some(Ok(Err(_))) => continue,
                Some(Err(error)) => Err(error),
                None => match self.encoder.take() {
                    Some(encoder) => encoder.finish(),
                    None => return Poll::Ready(None),
                },
            };
            match encoded {
                // The encoder collects.
                Ok(bytes) if bytes.is_empty() => {}
                Ok(bytes) => return Poll::Ready(Some(Ok(bytes))),
                Err(error) => {
                    self.encoder = None;
                    return Poll::Ready(Some(Err(error)));
                }
            }
        }
        Poll::Ready(None)
    }
}
