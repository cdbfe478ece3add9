//! Request bodies from a file or stdin, streamed.

use std::{
    io,
    path::Path,
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::{Bytes, BytesMut};
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
    meter: Meter,
}

enum Source {
    Nothing,
    File(File),
    Stdin(Stdin),
}

impl Upload {
    /// A request without a body.
    pub(crate) fn none() -> Self {
        Self {
            source: Source::Nothing,
            remaining: Some(0),
            meter: Meter::default(),
        }
    }

    /// A file, or stdin if the path is `-`.
    pub(crate) async fn open(path: &Path, meter: Meter) -> Result<Self, Failure> {
        if path == Path::new("-") {
            let source = Source::Stdin(tokio::io::stdin());
            return Ok(Self {
                source,
                remaining: None,
                meter,
            });
        }
        let failed = |error| Failure::local(format!("cannot read {}: {error}", path.display()));
        let file = File::open(path).await.map_err(failed)?;
        let metadata = file.metadata().await.map_err(failed)?;
        // A pipe or device has no useful length.
        let remaining = metadata.is_file().then_some(metadata.len());
        if let Some(length) = remaining {
            meter.set_total(length);
        }
        Ok(Self {
            source: Source::File(file),
            remaining,
            meter,
        })
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
            return Poll::Ready(None);
        }
        let mut piece = BytesMut::zeroed(PIECE);
        let mut buffer = ReadBuf::new(&mut piece);
        let read = match &mut this.source {
            Source::Nothing => return Poll::Ready(None),
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
            return Poll::Ready(missing);
        }
        if let Some(remaining) = &mut this.remaining {
            // Content-Length is sent already: bytes that a file gains are not.
            let sent = u64::try_from(length).unwrap_or(u64::MAX).min(*remaining);
            *remaining = remaining.saturating_sub(sent);
            piece.truncate(usize::try_from(sent).unwrap_or(length));
        }
        this.meter.advance(piece.len());
        Poll::Ready(Some(Ok(Frame::data(piece.freeze()))))
    }

    fn is_end_stream(&self) -> bool {
        self.remaining == Some(0)
    }

    fn size_hint(&self) -> SizeHint {
        self.remaining
            .map_or_else(SizeHint::new, SizeHint::with_exact)
    }
}
