//! The content of large files, piece by piece, at the reader's pace.

use std::{
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::{Duration, Instant},
};

use bytes::Bytes;

use super::{Files, pieces::MAX_PIECE, ranges::Span};
use crate::disk::Identity;

/// The length of the first piece, and of the first after each pause, so that a stalled reader holds
/// little.
const FIRST_CHUNK: usize = 16 << 10;
/// A piece that takes longer than this is followed by a small one.
const PAUSE: Duration = Duration::from_secs(1);

/// A file that is opened again for each read, unless it is open still.
#[derive(Debug)]
pub(crate) struct Source {
    /// Below the root.
    pub(crate) path: String,
    pub(crate) identity: Identity,
}

/// Reads a file for one response, which owns no open file.
pub(crate) struct Reader {
    files: Arc<Files>,
    source: Arc<Source>,
    chunk: usize,
    /// The time of the last piece.
    given: Option<Instant>,
    reading: Option<Reading>,
}

type Reading = Pin<Box<dyn Future<Output = io::Result<Bytes>> + Send>>;

impl Reader {
    pub(crate) fn new(files: Arc<Files>, source: Source) -> Self {
        Self {
            files,
            source: Arc::new(source),
            chunk: FIRST_CHUNK,
            given: None,
            reading: None,
        }
    }

    /// The next bytes of `span`, which becomes shorter by them. Bytes that the system has in memory
    /// are read on this thread: to hand a job to another costs more than to copy a piece.
    pub(crate) fn poll_read(
        &mut self,
        span: &mut Span,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<Bytes>> {
        let bytes = match self.reading.as_mut() {
            Some(reading) => ready!(reading.as_mut().poll(cx))?,
            None => {
                self.adapt();
                let len = usize::try_from(span.len).unwrap_or(usize::MAX);
                let (start, len) = (span.start, len.min(self.chunk));
                match self.files.read_at_once(&self.source, start, len) {
                    Some(bytes) => bytes,
                    None => ready!(self.begin(start, len).as_mut().poll(cx))?,
                }
            }
        };
        self.reading = None;
        self.given = Some(Instant::now());
        let len = bytes.len() as u64;
        span.start = span.start.saturating_add(len);
        span.len = span.len.saturating_sub(len);
        Poll::Ready(Ok(bytes))
    }

    /// Begins a read that may wait for the disk.
    fn begin(&mut self, start: u64, len: usize) -> &mut Reading {
        let files = Arc::clone(&self.files);
        let source = Arc::clone(&self.source);
        let reading = async move { files.read(source, start, len).await };
        self.reading.insert(Box::pin(reading))
    }

    fn adapt(&mut self) {
        if let Some(given) = self.given {
            self.chunk = if given.elapsed() < PAUSE {
                (2 * self.chunk).min(MAX_PIECE)
            } else {
                FIRST_CHUNK
            };
        }
    }
}
