//! Request bodies from a file or stdin, streamed.

use std::{
    io,
    path::Path,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    task::{Context, Poll, ready},
};

use bytes::{Bytes, BytesMut};
use http::HeaderMap;
use http_body::{Body, Frame, SizeHint};
use tokio::{
    fs::File,
    io::{AsyncRead, ReadBuf, Stdin},
};

use crate::{progress::Meter, status::Failure};

/// Bytes read from the source at once.
const PIECE: usize = 64 * 1024;

/// A body that is read while it is sent, with one buffer for any size.
pub(crate) struct Upload {
    source: Source,
    /// The bytes that are still to be read; `None` if the length is unknown.
    remaining: Option<u64>,
    /// What follows the body.
    trailers: Option<HeaderMap>,
    sent: Sent,
    meter: Meter,
}

/// The bytes of an upload that were sent.
#[derive(Clone, Debug, Default)]
pub(crate) struct Sent(Arc<AtomicU64>);

impl Sent {
    pub(crate) fn bytes(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

enum Source {
    Nothing,
    Bytes(Bytes),
    File(File),
    Stdin(Stdin),
}

impl Upload {
    /// A request without a body.
    pub(crate) fn none() -> Self {
        Self::new(Source::Nothing, Some(0), Meter::default())
    }

    /// Bytes in memory.
    pub(crate) fn bytes(bytes: Bytes, meter: Meter) -> Self {
        let length = bytes.len() as u64;
        meter.set_total(length);
        Self::new(Source::Bytes(bytes), Some(length), meter)
    }

    fn new(source: Source, remaining: Option<u64>, meter: Meter) -> Self {
        Self {
            source,
            remaining,
            trailers: None,
            sent: Sent::default(),
            meter,
        }
    }

    pub(crate) fn with_trailers(mut self, trailers: Option<HeaderMap>) -> Self {
        self.trailers = trailers;
        self
    }

    /// Counts its bytes.
    pub(crate) fn sent(&self) -> Sent {
        self.sent.clone()
    }

    /// A file, or stdin if the path is `-`.
    pub(crate) async fn open(path: &Path, meter: Meter) -> Result<Self, Failure> {
        if path == Path::new("-") {
            return Ok(Self::new(Source::Stdin(tokio::io::stdin()), None, meter));
        }
        let failed =
            |error| Failure::unreadable(format!("cannot read {}: {error}", path.display()));
        let file = File::open(path).await.map_err(failed)?;
        let metadata = file.metadata().await.map_err(failed)?;
        // A pipe or device has no useful length.
        let remaining = metadata.is_file().then_some(metadata.len());
        if let Some(length) = remaining {
            meter.set_total(length);
        }
        Ok(Self::new(Source::File(file), remaining, meter))
    }

    fn end(&mut self) -> Option<io::Result<Frame<Bytes>>> {
        self.source = Source::Nothing;
        Some(Ok(Frame::trailers(self.trailers.take()?)))
    }

    fn count(&self, length: usize) {
        let more = u64::try_from(length).unwrap_or(u64::MAX);
        self.sent.0.fetch_add(more, Ordering::Relaxed);
        self.meter.advance(length);
    }
}

impl Body for Upload {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        let this = self.get_mut();
        if this.remaining == Some(0) {
            return Poll::Ready(this.end());
        }
        let mut piece = BytesMut::zeroed(PIECE);
        let mut buffer = ReadBuf::new(&mut piece);
        let read = match &mut this.source {
            Source::Nothing => return Poll::Ready(this.end()),
            Source::Bytes(bytes) => {
                let bytes = std::mem::take(bytes);
                this.remaining = Some(0);
                this.count(bytes.len());
                return Poll::Ready(Some(Ok(Frame::data(bytes))));
            }
            Source::File(file) => Pin::new(file).poll_read(cx, &mut buffer),
            Source::Stdin(stdin) => Pin::new(stdin).poll_read(cx, &mut buffer),
        };
        if let Err(error) = ready!(read) {
            this.source = Source::Nothing;
            return Poll::Ready(Some(Err(error)));
        }
        let length = buffer.filled().len();
        piece.truncate(length);
        if length == 0 {
            this.source = Source::Nothing;
            let missing = this.remaining.map(|missing| {
                let what = format!("the file became {missing} bytes shorter while it was sent");
                Err(io::Error::new(io::ErrorKind::UnexpectedEof, what))
            });
            return Poll::Ready(missing.or_else(|| this.end()));
        }
        if let Some(remaining) = &mut this.remaining {
            // Content-Length is sent already: bytes that a file gains are not.
            let sent = u64::try_from(length).unwrap_or(u64::MAX).min(*remaining);
            *remaining = remaining.saturating_sub(sent);
            piece.truncate(usize::try_from(sent).unwrap_or(length));
        }
        this.count(piece.len());
        Poll::Ready(Some(Ok(Frame::data(piece.freeze()))))
    }

    fn is_end_stream(&self) -> bool {
        self.remaining == Some(0) && self.trailers.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        self.remaining
            .map_or_else(SizeHint::new, SizeHint::with_exact)
    }
}
