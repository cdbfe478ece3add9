//! Bytes inside the binary messages of a WebSocket, as a transport for SPDY.

use std::{
    io::{self, IoSlice},
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::{Buf, Bytes, BytesMut};
use futures_util::{Sink, Stream};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_tungstenite::{
    WebSocketStream,
    tungstenite::{
        Error, Message,
        protocol::{CloseFrame, frame::coding::CloseCode},
    },
};

use super::MAX_SENT;

/// A WebSocket as a transport. Messages and the frames in them are not aligned. A Close
/// with code 1000 is the end; any other end is an error, so that nothing cut short looks
/// complete.
#[derive(Debug)]
pub(crate) struct Tunnel<IO> {
    socket: WebSocketStream<IO>,
    /// The unread rest of a message.
    rest: Bytes,
    ended: bool,
    /// Our Close was sent.
    closing: bool,
}

impl<IO> Tunnel<IO> {
    pub(crate) fn new(socket: WebSocketStream<IO>) -> Self {
        Self {
            socket,
            rest: Bytes::new(),
            ended: false,
            closing: false,
        }
    }
}

impl<IO: AsyncRead + AsyncWrite + Unpin> AsyncRead for Tunnel<IO> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        while self.rest.is_empty() {
            if self.ended {
                return Poll::Ready(Ok(()));
            }
            match ready!(Pin::new(&mut self.socket).poll_next(cx)) {
                Some(Ok(Message::Binary(data))) => self.rest = data,
                Some(Ok(Message::Text(_))) => {
                    let text = "a text message in a tunnel of bytes";
                    return Poll::Ready(Err(io::Error::new(io::ErrorKind::InvalidData, text)));
                }
                Some(Ok(Message::Close(frame))) => {
                    self.ended = true;
                    let code = frame.map_or(CloseCode::Status, |frame| frame.code);
                    if code != CloseCode::Normal {
                        let text = format!("the WebSocket was closed with code {code}");
                        let error = io::Error::new(io::ErrorKind::ConnectionReset, text);
                        return Poll::Ready(Err(error));
                    }
                }
                // PINGs are answered below.
                Some(Ok(_)) => {}
                Some(Err(error)) => return Poll::Ready(Err(failure(error))),
                None => return Poll::Ready(Err(io::ErrorKind::UnexpectedEof.into())),
            }
        }
        let len = self.rest.len().min(buffer.remaining());
        buffer.put_slice(self.rest.get(..len).unwrap_or_default());
        self.rest.advance(len);
        Poll::Ready(Ok(()))
    }
}

impl<IO: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Tunnel<IO> {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        data: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.poll_write_vectored(cx, &[IoSlice::new(data)])
    }

    /// Many small frames go into one message.
    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        ready!(Pin::new(&mut self.socket).poll_ready(cx)).map_err(failure)?;
        let len: usize = slices.iter().map(|slice| slice.len()).sum();
        let mut message = BytesMut::with_capacity(len.min(MAX_SENT));
        for slice in slices {
            let room = MAX_SENT.saturating_sub(message.len());
            message.extend_from_slice(slice.get(..room).unwrap_or(slice));
        }
        let written = message.len();
        if written > 0 {
            let message = Message::Binary(message.freeze());
            Pin::new(&mut self.socket)
                .start_send(message)
                .map_err(failure)?;
        }
        Poll::Ready(Ok(written))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_flush(cx).map_err(failure)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if !self.closing {
            ready!(Pin::new(&mut self.socket).poll_ready(cx)).map_err(failure)?;
            self.closing = true;
            let sent = Pin::new(&mut self.socket).start_send(close(CloseCode::Normal));
            // The peer may have closed first; its Close was answered.
            if !matches!(sent, Err(Error::Protocol(_) | Error::ConnectionClosed)) {
                sent.map_err(failure)?;
            }
        }
        match ready!(Pin::new(&mut self.socket).poll_flush(cx)) {
            Ok(()) | Err(Error::ConnectionClosed) => Poll::Ready(Ok(())),
            Err(error) => Poll::Ready(Err(failure(error))),
        }
    }
}

/// Returns a Close with a code. Go's clients take a Close without one for an error.
pub(super) fn close(code: CloseCode) -> Message {
    Message::Close(Some(CloseFrame {
        code,
        reason: "".into(),
    }))
}

pub(super) fn failure(error: Error) -> io::Error {
    match error {
        Error::Io(error) => error,
        Error::ConnectionClosed | Error::AlreadyClosed => io::ErrorKind::BrokenPipe.into(),
        Error::Capacity(_) | Error::Protocol(_) | Error::Utf8(_) => {
            io::Error::new(io::ErrorKind::InvalidData, error)
        }
        other => io::Error::other(other),
    }
}
