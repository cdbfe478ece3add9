//! A raw stream and its halves.

use std::{
    fmt,
    future::poll_fn,
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use bytes::{Buf, Bytes};
use http::HeaderMap;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::outgoing::Outgoing;
use crate::{
    Error, Reason,
    driver::incoming::Incoming,
    proto::{Direction, StreamId, StreamKey},
};

/// One stream of a [`Mux`](super::Mux): header lists, and bytes in two directions
/// that end independently.
///
/// It implements [`AsyncRead`] and [`AsyncWrite`]. Written bytes wait in a bounded
/// buffer until the connection sends them. `flush` waits until the transport has
/// taken all of them. `shutdown` ends our half, and waits for its end too. Both
/// wait while the peer takes nothing, and fail if something was lost. After their
/// `Ok`, the bytes are with the transport, even if the stream, its halves or the
/// [`Mux`](super::Mux) are dropped.
///
/// Dropping the stream without a shutdown is like closing a socket. If the peer's
/// half was read to its end, written bytes are sent and our half ends. Otherwise
/// `CANCEL` resets the stream, behind the flushed bytes, and the rest is lost.
/// Dropping it after a shutdown discards the peer's half: `CANCEL` follows the end
/// of ours. Bytes that remain once both halves are dropped get
/// [`drain_timeout`](crate::Limits::drain_timeout).
///
/// ```
/// use lacewing_conn::driver::RawStream;
/// use tokio::io::{AsyncReadExt, AsyncWriteExt};
///
/// async fn echo(mut stream: RawStream) -> std::io::Result<u64> {
///     stream.reply(http::HeaderMap::new());
///     let (mut reader, mut writer) = stream.into_split();
///     let bytes = tokio::io::copy(&mut reader, &mut writer).await?;
///     writer.shutdown().await?;
///     Ok(bytes)
/// }
/// # let _ = echo;
/// ```
#[derive(Debug)]
pub struct RawStream {
    reader: RawReader,
    writer: RawWriter,
}

impl RawStream {
    pub(super) fn new(stream: StreamKey, incoming: Incoming, outgoing: Arc<Outgoing>) -> Self {
        let reader = RawReader {
            incoming,
            outgoing: Arc::clone(&outgoing),
            chunk: Bytes::new(),
            failed: None,
            ended: false,
        };
        Self {
            reader,
            writer: RawWriter {
                stream,
                whole: !outgoing.kind().is_ours_alone(),
                outgoing,
            },
        }
    }

    /// Returns `true` once all of the peer's half has arrived.
    pub(super) fn is_whole(&self) -> bool {
        self.reader.incoming.is_whole()
    }

    pub(super) fn key(&self) -> StreamKey {
        self.writer.stream
    }

    /// Returns the stream's id.
    pub fn id(&self) -> StreamId {
        self.writer.stream.id()
    }

    /// Returns the direction of the stream. On a unidirectional one only the opener
    /// sends; the other side reads, and [`reply`](Self::reply) does nothing.
    pub fn direction(&self) -> Direction {
        self.writer.outgoing.kind().direction
    }

    /// Returns the stream that this one is associated with, if its opener named
    /// one. It may have ended since.
    pub fn parent(&self) -> Option<StreamId> {
        self.writer.outgoing.kind().parent
    }

    /// Answers a stream that the peer opened with a header list; data follows only
    /// after it. Returns `false` if the stream was answered before, if we opened it,
    /// or if it is unidirectional.
    pub fn reply(&self, headers: HeaderMap) -> bool {
        self.writer.outgoing.reply(headers)
    }

    /// Waits for the peer's answer to a stream that we opened; `None` if it
    /// was taken before, if the peer opened the stream, or if it is
    /// unidirectional.
    ///
    /// Data may be sent before the answer arrives, but some peers discard it (the
    /// Go spdystream family).
    ///
    /// # Errors
    ///
    /// The stream or its connection ended first.
    pub async fn recv_reply(&mut self) -> Result<Option<HeaderMap>, Error> {
        poll_fn(|cx| self.writer.outgoing.poll_reply(cx)).await
    }

    /// Waits for the next header list after the reply; `None` when no more will
    /// arrive. At most four may wait for the reader: more of them reset the stream.
    pub async fn recv_headers(&mut self) -> Option<HeaderMap> {
        self.reader.recv_headers().await
    }

    /// Sends a header list behind the written bytes. HTTP/2 has header lists only at
    /// the end of a stream (RFC 9113 §8.1). There it waits for `shutdown` and ends
    /// our half, and writes in between fail with
    /// [`InvalidInput`](io::ErrorKind::InvalidInput).
    ///
    /// # Errors
    ///
    /// Our half, the stream, or the connection has ended.
    pub async fn send_headers(&mut self, headers: HeaderMap) -> io::Result<()> {
        self.writer.send_headers(headers).await
    }

    /// Waits for the next bytes as they arrived, without a copy; `None` at the end.
    ///
    /// # Errors
    ///
    /// The stream or its connection ended first.
    pub async fn read_chunk(&mut self) -> io::Result<Option<Bytes>> {
        poll_fn(|cx| self.poll_read_chunk(cx)).await
    }

    /// Polls for the next bytes, as [`read_chunk`](Self::read_chunk).
    ///
    /// # Errors
    ///
    /// The stream or its connection ended first.
    pub fn poll_read_chunk(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Option<Bytes>>> {
        let read = self.reader.poll_read_chunk(cx);
        self.writer.whole &= !self.reader.ended;
        read
    }

    /// Writes all of a chunk, without a copy if it has 8 KiB or more; see
    /// [`RawWriter::write_chunk`].
    ///
    /// # Errors
    ///
    /// Our half, the stream, or the connection has ended.
    pub async fn write_chunk(&mut self, chunk: Bytes) -> io::Result<()> {
        self.writer.write_chunk(chunk).await
    }

    /// Polls a write of all of a chunk; see [`RawWriter::poll_write_chunk`].
    ///
    /// # Errors
    ///
    /// Our half, the stream, or the connection has ended.
    pub fn poll_write_chunk(
        &mut self,
        cx: &mut Context<'_>,
        chunk: &mut Bytes,
    ) -> Poll<io::Result<()>> {
        self.writer.poll_write_chunk(cx, chunk)
    }

    /// Waits for room for a write; see [`RawWriter::poll_writable`].
    pub fn poll_writable(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.writer.poll_writable(cx)
    }

    /// Ends the stream in both directions at once. Unsent bytes are lost.
    pub fn reset(&self, reason: Reason) {
        self.writer.outgoing.reset(reason);
    }

    /// Splits the stream into two halves for two tasks. Dropping the writer ends our
    /// half as `shutdown` does, without waiting. Dropping the reader before the
    /// peer's end discards further data, and `CANCEL` stops the peer once our half
    /// has ended.
    pub fn into_split(mut self) -> (RawReader, RawWriter) {
        self.writer.whole = false;
        (self.reader, self.writer)
    }
}

impl AsyncRead for RawStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let read = Pin::new(&mut self.reader).poll_read(cx, buffer);
        self.writer.whole &= !self.reader.ended;
        read
    }
}

impl AsyncWrite for RawStream {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        data: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.writer.outgoing.poll_write(cx, data)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.writer.outgoing.poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.writer.outgoing.poll_shutdown(cx)
    }
}

/// The receiving half of a [`RawStream`].
///
/// ```
/// async fn count(mut reader: lacewing_conn::driver::RawReader) -> std::io::Result<usize> {
///     let mut bytes = 0;
///     while let Some(chunk) = reader.read_chunk().await? {
///         bytes += chunk.len();
///     }
///     Ok(bytes)
/// }
/// # let _ = count;
/// ```
pub struct RawReader {
    incoming: Incoming,
    outgoing: Arc<Outgoing>,
    /// The unread rest of the current chunk.
    chunk: Bytes,
    /// The error that ended the stream early. Every later read returns it again, so
    /// that no reader takes it for the end.
    failed: Option<Error>,
    ended: bool,
}

impl RawReader {
    /// Waits for the next bytes as they arrived, without a copy; `None` at the end.
    ///
    /// # Errors
    ///
    /// The stream or its connection ended first.
    pub async fn read_chunk(&mut self) -> io::Result<Option<Bytes>> {
        poll_fn(|cx| self.poll_read_chunk(cx)).await
    }

    /// Waits for a header list; see [`RawStream::recv_headers`].
    pub async fn recv_headers(&mut self) -> Option<HeaderMap> {
        poll_fn(|cx| self.incoming.poll_fields(cx)).await
    }

    /// Polls for the next bytes, as [`read_chunk`](Self::read_chunk).
    ///
    /// # Errors
    ///
    /// The stream or its connection ended first.
    pub fn poll_read_chunk(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Option<Bytes>>> {
        if !self.chunk.is_empty() {
            return Poll::Ready(Ok(Some(std::mem::take(&mut self.chunk))));
        }
        if let Some(error) = &self.failed {
            return Poll::Ready(Err(failure(error)));
        }
        match ready!(self.incoming.poll_data(cx)) {
            Some(Ok(chunk)) => Poll::Ready(Ok(Some(chunk))),
            Some(Err(error)) => {
                let failed = Err(failure(&error));
                self.failed = Some(error);
                Poll::Ready(failed)
            }
            None => {
                self.ended = true;
                Poll::Ready(Ok(None))
            }
        }
    }
}

fn failure(error: &Error) -> io::Error {
    io::Error::new(io::ErrorKind::ConnectionReset, error.clone())
}

impl AsyncRead for RawReader {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let mut any = false;
        while buffer.remaining() > 0 {
            let mut chunk = match self.poll_read_chunk(cx) {
                Poll::Ready(Ok(Some(chunk))) => chunk,
                Poll::Ready(Ok(None)) => break,
                Poll::Ready(Err(error)) if !any => return Poll::Ready(Err(error)),
                Poll::Pending if !any => return Poll::Pending,
                // The next read returns the error.
                Poll::Ready(Err(_)) | Poll::Pending => break,
            };
            any = true;
            let len = chunk.len().min(buffer.remaining());
            buffer.put_slice(chunk.get(..len).unwrap_or_default());
            chunk.advance(len);
            self.chunk = chunk;
        }
        Poll::Ready(Ok(()))
    }
}

impl Drop for RawReader {
    fn drop(&mut self) {
        self.outgoing.leave();
    }
}

impl fmt::Debug for RawReader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RawReader")
            .field("ended", &self.ended)
            .finish_non_exhaustive()
    }
}

/// The sending half of a [`RawStream`].
///
/// ```
/// use tokio::io::AsyncWriteExt;
///
/// async fn greet(mut writer: lacewing_conn::driver::RawWriter) -> std::io::Result<()> {
///     writer.write_all(b"hello").await?;
///     writer.shutdown().await
/// }
/// # let _ = greet;
/// ```
pub struct RawWriter {
    stream: StreamKey,
    outgoing: Arc<Outgoing>,
    /// It is part of a stream that is read, too, and not to its end.
    whole: bool,
}

impl RawWriter {
    /// Sends a header list; see [`RawStream::send_headers`].
    ///
    /// # Errors
    ///
    /// Our half, the stream, or the connection has ended.
    pub async fn send_headers(&mut self, headers: HeaderMap) -> io::Result<()> {
        let mut headers = Some(headers);
        poll_fn(|cx| self.outgoing.poll_send_fields(cx, &mut headers)).await
    }

    /// Writes all of a chunk. One of 8 KiB or more is not copied: it waits as it is until the
    /// transport has it.
    ///
    /// Waits while as much as [`write_buffer`](super::MuxConfig::write_buffer) is to be sent. Then
    /// the chunk is taken whole, although it may exceed what is left of that. If the call is
    /// cancelled, nothing of a long chunk has been taken, and perhaps a part of a shorter one.
    ///
    /// ```
    /// use bytes::Bytes;
    /// use lacewing_conn::driver::RawWriter;
    ///
    /// async fn greet(writer: &mut RawWriter) -> std::io::Result<()> {
    ///     writer.write_chunk(Bytes::from_static(b"hello")).await
    /// }
    /// # let _ = greet;
    /// ```
    ///
    /// # Errors
    ///
    /// Our half, the stream, or the connection has ended.
    pub async fn write_chunk(&mut self, mut chunk: Bytes) -> io::Result<()> {
        poll_fn(|cx| self.poll_write_chunk(cx, &mut chunk)).await
    }

    /// Polls a write of all of a chunk, as [`write_chunk`](Self::write_chunk). `chunk` is empty
    /// once it is ready.
    ///
    /// # Errors
    ///
    /// Our half, the stream, or the connection has ended.
    pub fn poll_write_chunk(
        &mut self,
        cx: &mut Context<'_>,
        chunk: &mut Bytes,
    ) -> Poll<io::Result<()>> {
        self.outgoing.poll_write_chunk(cx, chunk)
    }

    /// Waits for room for a write. A program that copies from another source calls it before it
    /// reads: it then holds nothing that it cannot write. Ready too if the stream has ended; a write
    /// then has the reason.
    pub fn poll_writable(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.outgoing.poll_writable(cx)
    }

    /// Resets the stream; see [`RawStream::reset`].
    pub fn reset(&self, reason: Reason) {
        self.outgoing.reset(reason);
    }
}

impl AsyncWrite for RawWriter {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        data: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.outgoing.poll_write(cx, data)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.outgoing.poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.outgoing.poll_shutdown(cx)
    }
}

impl Drop for RawWriter {
    fn drop(&mut self) {
        let unfinished = self.whole && !self.outgoing.is_finishing();
        if unfinished || self.outgoing.is_message() {
            self.outgoing.reset(Reason::Cancel);
        } else {
            // An error would be that there is nothing to finish any more.
            let _ = self.outgoing.finish();
        }
        self.outgoing.leave();
    }
}

impl fmt::Debug for RawWriter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RawWriter")
            .field("stream", &self.stream.id())
            .finish_non_exhaustive()
    }
}
