//! Streams of HTTP that carry bytes after their heads: CONNECT tunnels (RFC
//! 9113 §8.5) and what extended CONNECT opens (RFC 8441).

#[cfg(test)]
mod tests;

use std::{
    fmt, io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, Waker},
};

use bytes::{Buf, Bytes, BytesMut};
use http_body::{Frame, SizeHint};
use tokio::io::{AsyncBufRead, AsyncRead, AsyncWrite, ReadBuf};

use super::{incoming::Incoming, ready_queue::Cell, wakers, write_room::WriteRoom};
use crate::{Error, Initiator, Reason};

/// The written bytes that may wait until the connection takes them.
const WRITE_BUFFER: usize = 64 << 10;

/// The bytes of one stream in both directions, after a CONNECT request.
///
/// Reads return the peer's data until it ends its half, and release flow-control
/// credit. A reset is an error of kind
/// [`ConnectionReset`](io::ErrorKind::ConnectionReset) with the [`Error`] inside.
/// Writes go into a pipe of 64 KiB, or of 2 KiB while the tunnels of the connection together hold the
/// half of [`max_unsent_bytes`](crate::Limits::max_unsent_bytes); its other end, a [`TunnelBody`], is the body of
/// our message. Writes wait while the peer's windows are closed. A stalled side
/// costs little memory, and does not delay the other streams of its connection.
///
/// [Flushing](tokio::io::AsyncWrite::poll_flush) waits until the connection has
/// taken all bytes. [Shutting down](tokio::io::AsyncWrite::poll_shutdown) waits
/// too, and ends our half while the other continues. Both fail if something was
/// lost. After their `Ok` the bytes are sent, even if the tunnel is dropped, if the
/// peer takes them within [`drain_timeout`](crate::Limits::drain_timeout).
///
/// A tunnel that is dropped without a shutdown resets its stream (CANCEL),
/// behind the flushed bytes. `tokio::io::split` makes two halves of it.
///
/// ```
/// use lacewing_conn::driver::{Incoming, Tunnel};
/// use tokio::io::{AsyncReadExt, AsyncWriteExt};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> std::io::Result<()> {
/// // The body of the response goes in; the returned one is the body of a
/// // CONNECT request.
/// let (mut tunnel, body) = Tunnel::new(Incoming::empty());
/// # let sent = tokio::spawn(http_body_util::BodyExt::collect(body));
/// tunnel.write_all(b"hello").await?;
/// tunnel.shutdown().await?;
/// let mut said = String::new();
/// tunnel.read_to_string(&mut said).await?;
/// assert_eq!(said, "");
/// # assert_eq!(sent.await.unwrap().unwrap().to_bytes(), "hello");
/// # Ok(())
/// # }
/// ```
pub struct Tunnel {
    incoming: Incoming,
    /// The unread rest of the current piece.
    piece: Bytes,
    pipe: Writer,
}

/// A [`Tunnel`] that waits for the peer's response: a client sends the
/// [`TunnelBody`] with its request, and attaches the response's body.
///
/// Dropping it resets the stream (CANCEL).
///
/// ```
/// use lacewing_conn::driver::{Incoming, Tunnel};
///
/// let (pending, body) = Tunnel::pending();
/// // Send the request with `body`; the peer answers with a status of 2xx.
/// # let response = http::Response::new(Incoming::empty());
/// let tunnel = pending.attach(response.into_body());
/// # let _ = (tunnel, body);
/// ```
#[derive(Debug)]
pub struct PendingTunnel(Writer);

/// The bytes written into a [`Tunnel`], as the body of a message. It ends when the
/// tunnel is shut down. If the tunnel is dropped before, it ends with an [`Error`]
/// (CANCEL).
///
/// ```
/// use http_body_util::BodyExt;
/// use lacewing_conn::{Reason, driver::{Incoming, Tunnel}};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// let (tunnel, mut body) = Tunnel::new(Incoming::empty());
/// drop(tunnel);
/// let error = body.frame().await.unwrap().unwrap_err();
/// assert_eq!(error.reason(), Reason::Cancel);
/// # }
/// ```
pub struct TunnelBody(Arc<Pipe>);

impl Tunnel {
    /// Creates a tunnel that reads the body of a message, and the body that carries
    /// the written bytes.
    pub fn new(incoming: Incoming) -> (Self, TunnelBody) {
        let (pending, body) = Self::pending();
        (pending.attach(incoming), body)
    }

    /// Creates a tunnel in two steps, for a side that sends its body first.
    pub fn pending() -> (PendingTunnel, TunnelBody) {
        let pipe = Arc::new(Pipe::default());
        (PendingTunnel(Writer(Arc::clone(&pipe))), TunnelBody(pipe))
    }

    /// Resets the stream with a reason, for example [`Reason::ConnectError`] when the
    /// connection behind the tunnel failed (RFC 9113 §8.5). Bytes that the connection
    /// has not taken are lost. Without effect on a half that was shut down.
    pub fn reset(self, reason: Reason) {
        self.pipe.0.abort(reason);
    }

    fn poll_piece(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while self.piece.is_empty() {
            match std::task::ready!(self.incoming.poll_data(cx)) {
                Some(Ok(piece)) => self.piece = piece,
                Some(Err(error)) => {
                    let kind = io::ErrorKind::ConnectionReset;
                    return Poll::Ready(Err(io::Error::new(kind, error)));
                }
                None => break,
            }
        }
        Poll::Ready(Ok(()))
    }
}

impl PendingTunnel {
    /// Returns the tunnel once the peer has accepted; `incoming` is the body of its
    /// response.
    pub fn attach(self, incoming: Incoming) -> Tunnel {
        if let Some(cell) = incoming.cell() {
            self.0.0.state.lock().room.join(cell.queue());
        }
        Tunnel {
            incoming,
            piece: Bytes::new(),
            pipe: self.0,
        }
    }
}

impl AsyncRead for Tunnel {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if buf.remaining() == 0 {
            return Poll::Ready(Ok(()));
        }
        std::task::ready!(this.poll_piece(cx))?;
        let piece = this.piece.split_to(this.piece.len().min(buf.remaining()));
        buf.put_slice(&piece);
        Poll::Ready(Ok(()))
    }
}

impl AsyncBufRead for Tunnel {
    fn poll_fill_buf(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<&[u8]>> {
        let this = self.get_mut();
        std::task::ready!(this.poll_piece(cx))?;
        Poll::Ready(Ok(&this.piece))
    }

    fn consume(self: Pin<&mut Self>, amount: usize) {
        let piece = &mut self.get_mut().piece;
        piece.advance(amount.min(piece.len()));
    }
}

impl AsyncWrite for Tunnel {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        data: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.pipe.0.poll_write(cx, data)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.pipe.0.poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.pipe.0.finish()?;
        self.pipe.0.poll_flush(cx)
    }
}

impl fmt::Debug for Tunnel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tunnel")
            .field("incoming", &self.incoming)
            .finish_non_exhaustive()
    }
}

impl http_body::Body for TunnelBody {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        self.0
            .poll_take(cx)
            .map(|piece| piece.map(|piece| piece.map(Frame::data)))
    }

    fn is_end_stream(&self) -> bool {
        let state = self.0.state.lock();
        state.buffer.is_empty() && state.ending == Ending::Fin
    }

    fn size_hint(&self) -> SizeHint {
        let state = self.0.state.lock();
        let waiting = state.buffer.len() as u64;
        if state.ending == Ending::Fin {
            return SizeHint::with_exact(waiting);
        }
        let mut hint = SizeHint::new();
        hint.set_lower(waiting);
        hint
    }
}

impl Drop for TunnelBody {
    /// The peer takes no more.
    fn drop(&mut self) {
        let mut state = self.0.state.lock();
        state.gone = true;
        state.body = None;
        let buffer = state.take_buffer();
        state.lost = !buffer.is_empty();
        let writer = state.writer.take();
        drop(state);
        drop(buffer);
        wakers::wake(writer);
    }
}

impl fmt::Debug for TunnelBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TunnelBody").finish_non_exhaustive()
    }
}

/// The end of a pipe that is written into.
#[derive(Debug)]
struct Writer(Arc<Pipe>);

impl Drop for Writer {
    fn drop(&mut self) {
        self.0.abort(Reason::Cancel);
    }
}

/// The bytes written into a tunnel, until the connection takes them.
#[derive(Debug, Default)]
struct Pipe {
    state: Cell<State>,
}

#[derive(Debug)]
struct State {
    buffer: BytesMut,
    /// That of the buffer: [`WRITE_BUFFER`] bytes at most.
    room: WriteRoom,
    ending: Ending,
    /// The body was dropped: the connection takes no more bytes.
    gone: bool,
    /// The body was dropped while written bytes waited.
    lost: bool,
    /// Waits for something to take.
    body: Option<Waker>,
    /// Waits for room, or for everything to be taken.
    writer: Option<Waker>,
}

impl Default for State {
    fn default() -> Self {
        Self {
            buffer: BytesMut::new(),
            room: WriteRoom::new(WRITE_BUFFER),
            ending: Ending::default(),
            gone: false,
            lost: false,
            body: None,
            writer: None,
        }
    }
}

impl State {
    fn take_buffer(&mut self) -> BytesMut {
        self.room.clear();
        std::mem::take(&mut self.buffer)
    }
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Ending {
    #[default]
    Open,
    /// Shut down.
    Fin,
    /// Dropped without a shutdown, or reset.
    Aborted(Reason),
    /// The same, and the body has said so.
    Reported,
}

impl Pipe {
    fn poll_write(&self, cx: &mut Context<'_>, data: &[u8]) -> Poll<io::Result<usize>> {
        let mut state = self.state.lock();
        if state.gone {
            return Poll::Ready(Err(takes_no_more()));
        }
        if state.ending != Ending::Open {
            let kind = io::ErrorKind::BrokenPipe;
            return Poll::Ready(Err(io::Error::new(
                kind,
                "written after the tunnel was shut down",
            )));
        }
        let room = state.room.left();
        let Some(data) = data.get(..data.len().min(room)).filter(|_| room > 0) else {
            wakers::register(&mut state.writer, cx.waker());
            return Poll::Pending;
        };
        state.buffer.extend_from_slice(data);
        state.room.add(data.len());
        let body = state.body.take();
        drop(state);
        wakers::wake(body);
        Poll::Ready(Ok(data.len()))
    }

    fn poll_flush(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut state = self.state.lock();
        // If nothing was lost, a reader may still find the peer's last bytes, such
        // as the answer to a closing handshake. Protocols on top flush before they
        // read.
        if state.lost {
            return Poll::Ready(Err(takes_no_more()));
        }
        if state.buffer.is_empty() {
            return Poll::Ready(Ok(()));
        }
        wakers::register(&mut state.writer, cx.waker());
        Poll::Pending
    }

    fn finish(&self) -> io::Result<()> {
        let mut state = self.state.lock();
        if state.ending != Ending::Open {
            return Ok(());
        }
        state.ending = Ending::Fin;
        let (lost, body) = (state.lost, state.body.take());
        drop(state);
        wakers::wake(body);
        if lost { Err(takes_no_more()) } else { Ok(()) }
    }

    fn abort(&self, reason: Reason) {
        let mut state = self.state.lock();
        state.writer = None;
        if state.ending != Ending::Open {
            return;
        }
        state.ending = Ending::Aborted(reason);
        let buffer = state.take_buffer();
        let body = state.body.take();
        drop(state);
        drop(buffer);
        wakers::wake(body);
    }

    /// Takes all written bytes.
    fn poll_take(&self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, Error>>> {
        let mut state = self.state.lock();
        if !state.buffer.is_empty() {
            let piece = state.take_buffer();
            let writer = state.writer.take();
            drop(state);
            wakers::wake(writer);
            return Poll::Ready(Some(Ok(piece.freeze())));
        }
        match state.ending {
            Ending::Open => {
                wakers::register(&mut state.body, cx.waker());
                Poll::Pending
            }
            Ending::Fin | Ending::Reported => Poll::Ready(None),
            Ending::Aborted(reason) => {
                state.ending = Ending::Reported;
                Poll::Ready(Some(Err(Error::reset(Initiator::User, reason))))
            }
        }
    }
}

fn takes_no_more() -> io::Error {
    io::Error::new(
        io::ErrorKind::BrokenPipe,
        "the stream of the tunnel has ended: nothing more can be sent",
    )
}
