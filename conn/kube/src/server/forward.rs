//! One forwarded connection.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll, ready},
};

use lacewing_conn::driver::{RawStream, RawWriter};
use tokio::{
    io::{AsyncRead, AsyncWrite, AsyncWriteExt, ReadBuf},
    sync::OwnedSemaphorePermit,
};

use crate::activity::ActivityClock;

/// A local connection of the client, to a port of the pod.
///
/// Either [connect](Self::into_io) it, or report that this [failed](Self::fail). Dropping
/// it ends it without a text: the client closes the local connection.
#[derive(Debug)]
#[must_use = "the client waits"]
pub struct Forward {
    port: u16,
    error: RawWriter,
    data: RawStream,
    permit: OwnedSemaphorePermit,
    activity: ActivityClock,
}

impl Forward {
    pub(super) fn new(
        error: RawStream,
        data: RawStream,
        port: u16,
        permit: OwnedSemaphorePermit,
        activity: ActivityClock,
    ) -> Self {
        // Clients send nothing on it.
        let (_, error) = error.into_split();
        Self {
            port,
            error,
            data,
            permit,
            activity,
        }
    }

    /// Returns the port of the pod, from 1 to 65535.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Returns the bytes of the connection, in both directions.
    pub fn into_io(self) -> ForwardIo {
        ForwardIo {
            data: self.data,
            error: self.error,
            _permit: self.permit,
            activity: self.activity,
        }
    }

    /// Reports a failure to the user of the client, and ends the connection.
    ///
    /// kubectl ends the whole session at such a text, with all of its ports. Report only
    /// that the pod cannot be connected to; end a connection that breaks later by dropping
    /// its [`ForwardIo`].
    pub async fn fail(mut self, text: &str) {
        // The client may be gone.
        let _ = self.error.write_all(text.as_bytes()).await;
        let _ = self.error.shutdown().await;
        let _ = self.data.shutdown().await;
    }
}

/// The bytes of a forwarded connection. Each direction ends by itself: `shutdown` ends
/// ours. Dropping it before both have ended resets the connection, and reports nothing.
#[derive(Debug)]
pub struct ForwardIo {
    data: RawStream,
    /// Its drop ends the error stream, without a text.
    error: RawWriter,
    _permit: OwnedSemaphorePermit,
    activity: ActivityClock,
}

impl ForwardIo {
    /// Reports a failure to the user of the client, and ends the connection. For proxies,
    /// which learn late that a port is refused; see [`Forward::fail`].
    pub async fn fail(mut self, text: &str) {
        // The client may be gone.
        let _ = self.error.write_all(text.as_bytes()).await;
        let _ = self.error.shutdown().await;
        let _ = self.data.shutdown().await;
    }
}

impl AsyncRead for ForwardIo {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        ready!(Pin::new(&mut self.data).poll_read(cx, buffer))?;
        self.activity.record_data();
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for ForwardIo {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        data: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = ready!(Pin::new(&mut self.data).poll_write(cx, data))?;
        self.activity.record_data();
        Poll::Ready(Ok(written))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.data).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.data).poll_shutdown(cx)
    }
}

/// Writes a text to an error stream, and ends it. The connection bounds the wait.
pub(super) async fn report(stream: RawStream, text: String) {
    let (_, mut writer) = stream.into_split();
    // The client may be gone.
    let _ = writer.write_all(text.as_bytes()).await;
    let _ = writer.shutdown().await;
}
