//! The content of responses.

mod coded;

use std::{
    collections::VecDeque,
    io,
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use tokio::sync::OwnedSemaphorePermit;

use self::coded::Coded;
use super::coding::Encoder;
use crate::files::{Reader, Span};

/// The content of a response.
pub(crate) enum Content {
    /// Bytes in memory that are still to be sent.
    Bytes(Bytes),
    Pieces(Box<Pieces>),
    /// Compressed on its way.
    Coded(Box<Coded>),
}

/// A piece of content.
pub(crate) enum Piece {
    Bytes(Bytes),
    /// Bytes of the file that the response is about.
    Span(Span),
}

/// Pieces that follow each other.
pub(crate) struct Pieces {
    queue: VecDeque<Piece>,
    reader: Option<Reader>,
}

impl Content {
    pub(crate) fn empty() -> Self {
        Self::Bytes(Bytes::new())
    }

    pub(crate) fn bytes(bytes: impl Into<Bytes>) -> Self {
        Self::Bytes(bytes.into())
    }

    /// A `reader` is needed for pieces of a file.
    pub(crate) fn pieces(mut queue: VecDeque<Piece>, reader: Option<Reader>) -> Self {
        queue.retain(|piece| piece.len() > 0);
        Self::Pieces(Box::new(Pieces { queue, reader }))
    }

    /// Compresses content on its way, with an encoder that the permit counts.
    pub(super) fn coded(plain: Self, encoder: Encoder, permit: OwnedSemaphorePermit) -> Self {
        Self::Coded(Box::new(Coded {
            plain,
            encoder: Some(encoder),
            _permit: permit,
        }))
    }

    /// The number of bytes that are left; `None` if only the end will show it.
    pub(crate) fn len(&self) -> Option<u64> {
        match self {
            Self::Bytes(bytes) => Some(bytes.len() as u64),
            Self::Pieces(pieces) => {
                let lens = pieces.queue.iter().map(Piece::len);
                Some(lens.fold(0, u64::saturating_add))
            }
            Self::Coded(_) => None,
        }
    }
}

impl Piece {
    pub(crate) fn len(&self) -> u64 {
        match self {
            Self::Bytes(bytes) => bytes.len() as u64,
            Self::Span(span) => span.len,
        }
    }
}

impl Pieces {
    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<io::Result<Bytes>>> {
        let Some(piece) = self.queue.front_mut() else {
            return Poll::Ready(None);
        };
        let bytes = match (piece, &mut self.reader) {
            (Piece::Bytes(bytes), _) => std::mem::take(bytes),
            (Piece::Span(span), Some(reader)) => match ready!(reader.poll_read(span, cx)) {
                Ok(bytes) if span.len > 0 => return Poll::Ready(Some(Ok(bytes))),
                Ok(bytes) => bytes,
                Err(error) => {
                    self.queue.clear();
                    return Poll::Ready(Some(Err(error)));
                }
            },
            (Piece::Span(_), None) => Bytes::new(),
        };
        self.queue.pop_front();
        Poll::Ready(Some(Ok(bytes)))
    }
}

impl Body for Content {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        match self.get_mut() {
            Self::Bytes(bytes) if bytes.is_empty() => Poll::Ready(None),
            Self::Bytes(bytes) => Poll::Ready(Some(Ok(Frame::data(std::mem::take(bytes))))),
            Self::Pieces(pieces) => pieces
                .poll_next(cx)
                .map(|next| next.map(|bytes| bytes.map(Frame::data))),
            Self::Coded(coded) => coded
                .poll_next(cx)
                .map(|next| next.map(|bytes| bytes.map(Frame::data))),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Bytes(bytes) => bytes.is_empty(),
            Self::Pieces(pieces) => pieces.queue.is_empty(),
            Self::Coded(coded) => coded.is_over(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        self.len().map_or_else(SizeHint::new, SizeHint::with_exact)
    }
}
