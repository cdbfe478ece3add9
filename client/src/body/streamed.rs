//! Bodies that yield piece by piece, and the pieces that were sent. A request
//! that the server did not process can be sent again.

use std::{
    collections::VecDeque,
    mem,
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::{Buf, Bytes};
use http::HeaderMap;
use http_body::Frame;

use crate::BoxError;

/// A body, and the pieces of it that went out.
pub(crate) struct Streamed {
    source: Pin<Box<dyn Source>>,
    /// Pieces that were sent before a retry, and are sent again first.
    again: VecDeque<Kept>,
    taken: Taken,
}

/// The part that is kept of a body that is being sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Replay {
    /// Nothing: a body of which a part was sent cannot be sent again.
    Never,
    /// Pieces up to this number of bytes together. A body that is a single piece is kept at any
    /// length, since it was in memory from the beginning.
    UpTo(usize),
}

/// A body of any type.
trait Source: Send {
    fn poll_piece(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<FrameResult>>;
    /// There are no more pieces.
    fn is_done(&self) -> bool;
    /// The length of what is left, if known.
    fn length(&self) -> Option<u64>;
}

type FrameResult = Result<Frame<Bytes>, BoxError>;

struct Taken {
    pieces: Vec<Kept>,
    bytes: usize,
    replay: Replay,
}

enum Kept {
    Data(Bytes),
    Trailers(HeaderMap),
}

impl Streamed {
    pub(crate) fn new<B>(body: B, replay: Replay) -> Self
    where
        B: http_body::Body + Send + 'static,
        B::Error: Into<BoxError>,
    {
        Self {
            source: Box::pin(body),
            again: VecDeque::new(),
            taken: Taken {
                pieces: Vec::new(),
                bytes: 0,
                replay,
            },
        }
    }

    pub(super) fn poll_piece(&mut self, cx: &mut Context<'_>) -> Poll<Option<FrameResult>> {
        if let Some(kept) = self.again.pop_front() {
            let piece = kept.frame();
            self.taken.pieces.push(kept);
            return Poll::Ready(Some(Ok(piece)));
        }
        let piece = ready!(self.source.as_mut().poll_piece(cx));
        if let Some(Ok(frame)) = &piece {
            self.taken.note(frame, self.source.is_done());
        }
        Poll::Ready(piece)
    }

    /// There are no more pieces.
    pub(crate) fn is_done(&self) -> bool {
        self.again.is_empty() && self.source.is_done()
    }

    /// The length of what is left, if known.
    pub(crate) fn length(&self) -> Option<u64> {
        let again = self.again.iter().map(Kept::length);
        again.fold(self.source.length(), |sum, length| {
            sum?.checked_add(u64::try_from(length).ok()?)
        })
    }

    /// Returns the body from its beginning, if all pieces that were taken are kept.
    pub(crate) fn rewind(mut self) -> Option<Self> {
        if self.taken.replay == Replay::Never {
            return None;
        }
        let mut again = VecDeque::from(mem::take(&mut self.taken.pieces));
        again.append(&mut self.again);
        self.again = again;
        Some(self)
    }

    pub(crate) fn can_rewind(&self) -> bool {
        self.taken.replay != Replay::Never
    }

    /// Drops the pieces that are kept: the body will not be sent again.
    pub(crate) fn forget(&mut self) {
        self.taken.give_up();
    }
}

impl Taken {
    fn note(&mut self, frame: &Frame<Bytes>, done: bool) {
        let Replay::UpTo(limit) = self.replay else {
            return;
        };
        let (kept, size) = if let Some(data) = frame.data_ref() {
            (Kept::Data(data.clone()), data.len())
        } else if let Some(trailers) = frame.trailers_ref() {
            let size = trailers.iter().fold(0_usize, |size, (name, value)| {
                size.saturating_add(name.as_str().len())
                    .saturating_add(value.len())
            });
            (Kept::Trailers(trailers.clone()), size)
        } else {
            return;
        };
        if size == 0 {
            return;
        }
        let whole = done && self.pieces.is_empty();
        self.bytes = self.bytes.saturating_add(size);
        if self.bytes > limit && !whole {
            self.give_up();
        } else {
            self.pieces.push(kept);
        }
    }

    fn give_up(&mut self) {
        self.replay = Replay::Never;
        self.pieces = Vec::new();
    }
}

impl Kept {
    fn frame(&self) -> Frame<Bytes> {
        match self {
            Self::Data(data) => Frame::data(data.clone()),
            Self::Trailers(trailers) => Frame::trailers(trailers.clone()),
        }
    }

    /// The bytes that count for content-length.
    fn length(&self) -> usize {
        match self {
            Self::Data(data) => data.len(),
            Self::Trailers(_) => 0,
        }
    }
}

impl<B> Source for B
where
    B: http_body::Body + Send + 'static,
    B::Error: Into<BoxError>,
{
    fn poll_piece(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<FrameResult>> {
        self.poll_frame(cx).map(|frame| {
            frame.map(|frame| match frame {
                Ok(frame) => Ok(frame.map_data(|mut data| data.copy_to_bytes(data.remaining()))),
                Err(error) => Err(error.into()),
            })
        })
    }

    fn is_done(&self) -> bool {
        self.is_end_stream()
    }

    fn length(&self) -> Option<u64> {
        self.size_hint().exact()
    }
}

#[cfg(test)]
mod tests {
    use std::{convert::Infallible, task::Waker};

    use http_body_util::{BodyExt as _, Full, StreamBody};

    use super::*;

    /// Takes up to `pieces` pieces of data. Returns the bytes, and the number of trailers.
    fn take(body: &mut Streamed, pieces: usize) -> (Vec<u8>, usize) {
        let mut cx = Context::from_waker(Waker::noop());
        let (mut bytes, mut trailers) = (Vec::new(), 0);
        for _ in 0..pieces {
            match body.poll_piece(&mut cx) {
                Poll::Ready(Some(piece)) => match piece.unwrap().into_data() {
                    Ok(data) => bytes.extend_from_slice(&data),
                    Err(_) => trailers += 1,
                },
                Poll::Ready(None) => break,
                Poll::Pending => panic!("pending"),
            }
        }
        (bytes, trailers)
    }

    fn pieces(replay: Replay) -> Streamed {
        let mut trailers = HeaderMap::new();
        trailers.insert("x-sum", http::HeaderValue::from_static("6"));
        let frames = [
            Frame::data(Bytes::from("one")),
            Frame::data(Bytes::from("two")),
            Frame::trailers(trailers),
        ];
        let frames = frames.map(Ok::<_, Infallible>);
        Streamed::new(StreamBody::new(futures_util::stream::iter(frames)), replay)
    }

    #[test]
    fn what_was_taken_goes_again_and_the_rest_behind_it() {
        for taken in 0..=3 {
            let mut body = pieces(Replay::UpTo(1000));
            take(&mut body, taken);
            let mut body = body.rewind().unwrap();
            // While the kept part is sent again.
            take(&mut body, taken.min(1));
            let mut body = body.rewind().unwrap();
            assert_eq!(take(&mut body, 10), (b"onetwo".to_vec(), 1), "{taken}");
        }
    }

    #[test]
    fn what_is_kept_is_bounded_and_a_single_piece_is_whole() {
        let mut body = pieces(Replay::UpTo(4));
        take(&mut body, 1);
        assert!(body.can_rewind());
        take(&mut body, 1);
        assert!(!body.can_rewind() && body.rewind().is_none());
        let full = || Full::new(Bytes::from(vec![7; 100]));
        let mut body = Streamed::new(full(), Replay::UpTo(4));
        take(&mut body, 10);
        let mut body = body.rewind().unwrap();
        assert_eq!(body.length(), Some(100));
        assert_eq!(take(&mut body, 10), (vec![7; 100], 0));
        let mut body = Streamed::new(full().map_err(|never| match never {}), Replay::Never);
        take(&mut body, 1);
        assert!(body.rewind().is_none());
    }
}
