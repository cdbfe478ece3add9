//! A session of port-forward, and its connections.

use std::{
    future::poll_fn,
    io,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    task::{Context, Poll, ready},
};

use bytes::{Bytes, BytesMut};
#[cfg(feature = "websocket")]
use lacewing_conn::Version;
use lacewing_conn::driver::{RawReader, RawStream};
use tokio::{
    io::{AsyncRead, AsyncWrite, AsyncWriteExt, ReadBuf},
    sync::{OwnedSemaphorePermit, Semaphore},
    time::timeout,
};
use tokio_util::sync::CancellationToken;

use super::{error::ConnectError, life::Life, link::Link, upgrade::Upgraded};
use crate::{
    activity::ActivityClock,
    error::KubeError,
    limits::KubeLimits,
    relay::{ReadChunks, WriteChunks, relay},
    stream_headers::{StreamHeaders, StreamType},
};

/// A session of port-forward: one connection to the server, which carries any number of
/// local connections.
///
/// The failure of a local connection ends only that one; kubectl ends the whole session.
/// Dropping the session closes the connection within a second, with all that it carries.
///
/// ```no_run
/// use lacewing_kube::client::PortForwardSession;
/// use tokio::net::TcpListener;
///
/// async fn serve(session: PortForwardSession, listener: TcpListener) -> std::io::Result<()> {
///     loop {
///         let (mut local, _) = listener.accept().await?;
///         match session.open(8080).await {
///             Ok(mut forward) => {
///                 tokio::spawn(async move { forward.relay(&mut local).await });
///             }
///             Err(error) => eprintln!("{error}"),
///         }
///     }
/// }
/// # let _ = serve;
/// ```
#[derive(Debug)]
#[must_use = "a dropped session closes the connection"]
pub struct PortForwardSession {
    link: Link,
    life: Life,
    next_request: AtomicU64,
    open: Arc<Semaphore>,
    limits: KubeLimits,
}

impl PortForwardSession {
    pub(super) fn start<IO>(
        upgraded: Upgraded<IO>,
        limits: &KubeLimits,
    ) -> Result<Self, ConnectError>
    where
        IO: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let life = Life::default();
        let link = match upgraded {
            Upgraded::Raw(switched, _) => {
                Link::start(switched.version, switched.io, switched.input, limits, &life)
            }
            #[cfg(feature = "websocket")]
            Upgraded::WebSocket(socket) => {
                let tunnel = crate::websocket::Tunnel::new(*socket);
                Link::start(Version::Spdy31, tunnel, BytesMut::new(), limits, &life)
            }
        };
        let bound = limits.max_forwards.clamp(1, Semaphore::MAX_PERMITS);
        Ok(Self {
            link,
            life,
            next_request: AtomicU64::new(0),
            open: Arc::new(Semaphore::new(bound)),
            limits: limits.clone(),
        })
    }

    /// Opens a connection to a port of the pod. Waits while
    /// [`max_forwards`](KubeLimits::max_forwards) are open, at most for
    /// [`stream_creation_timeout`](KubeLimits::stream_creation_timeout).
    ///
    /// The server connects to the port afterwards: a refused port is an error of the
    /// stream.
    ///
    /// # Errors
    ///
    /// The connection is over; the server refuses a stream, or does not answer it in
    /// time; the port is 0.
    pub async fn open(&self, port: u16) -> Result<ForwardStream, KubeError> {
        if port == 0 {
            return Err(KubeError::Protocol("port 0 is no port of a pod"));
        }
        let limit = self.limits.stream_creation_timeout;
        let permit = match timeout(limit, Arc::clone(&self.open).acquire_owned()).await {
            Ok(permit) => permit.map_err(|_| KubeError::Closed)?,
            Err(_) => {
                let event = "the end of one of the `max_forwards` connections";
                return Err(KubeError::TimedOut { event, limit });
            }
        };
        let request = self
            .next_request
            .fetch_add(1, Ordering::Relaxed)
            .to_string();
        let headers = StreamHeaders::forward(StreamType::Error, port, request.clone());
        let (error, mut writer) = self.link.open(&headers).await?.into_split();
        // Clients send nothing on it. A failure is that of the next stream as well.
        let _ = timeout(limit, writer.shutdown()).await;
        let headers = StreamHeaders::forward(StreamType::Data, port, request);
        let data = self.link.open(&headers).await?;
        Ok(ForwardStream {
            data,
            report: Report::new(error, self.limits.max_status),
            activity: self.link.activity().clone(),
            _permit: permit,
        })
    }

    /// Returns a token that is cancelled when the connection is over.
    pub fn cancellation(&self) -> CancellationToken {
        self.life.over.clone()
    }

    /// Ends the session: GOAWAY, then the end of the transport, within
    /// [`finish_timeout`](KubeLimits::finish_timeout). Streams that are open may finish
    /// first.
    pub async fn close(self) {
        self.link.close().await;
    }
}

impl Drop for PortForwardSession {
    fn drop(&mut self) {
        self.life.abort.cancel();
    }
}

/// A connection to a port of the pod. Each direction ends by itself: `shutdown` ends
/// ours. Dropping it before both have ended resets it.
///
/// A failure that the server reports, such as a refused port, is an error of reads and
/// writes, with the server's text.
#[derive(Debug)]
pub struct ForwardStream {
    data: RawStream,
    report: Report,
    activity: ActivityClock,
    _permit: OwnedSemaphorePermit,
}

impl ForwardStream {
    /// Joins the connection to a local one, and copies in both directions until both have
    /// ended. It copies less, and wakes both sides less often, than
    /// [`copy_bidirectional`](tokio::io::copy_bidirectional).
    ///
    /// # Errors
    ///
    /// The first error of either side; one that the server reported has its text.
    pub async fn relay<IO>(&mut self, local: &mut IO) -> io::Result<()>
    where
        IO: AsyncRead + AsyncWrite + Unpin,
    {
        relay(self, local).await
    }

    /// Waits for the next bytes as they arrived, without a copy; `None` at the end.
    ///
    /// # Errors
    ///
    /// Those of reads.
    pub async fn read_chunk(&mut self) -> io::Result<Option<Bytes>> {
        poll_fn(|cx| self.poll_read_chunk(cx)).await
    }

    /// Writes all of a chunk, without a copy if it has 8 KiB or more.
    ///
    /// # Errors
    ///
    /// Those of writes.
    pub async fn write_chunk(&mut self, mut chunk: Bytes) -> io::Result<()> {
        poll_fn(|cx| self.poll_write_chunk(cx, &mut chunk)).await
    }

    /// Replaces the end of the data by the server's text, if there is one. `more`: it is no end.
    fn explain_read<T>(
        &mut self,
        cx: &mut Context<'_>,
        read: Poll<io::Result<T>>,
        more: bool,
    ) -> Poll<io::Result<T>> {
        match read {
            Poll::Ready(Ok(read)) if more => {
                self.activity.record_data();
                Poll::Ready(Ok(read))
            }
            // The text precedes the end of the data.
            Poll::Ready(Ok(read)) => {
                let failure = self.report.poll(cx).or_else(|| self.report.failure());
                Poll::Ready(failure.map_or(Ok(read), Err))
            }
            Poll::Ready(Err(error)) => Poll::Ready(Err(self.report.explain(cx, error))),
            // A failure may leave the data open.
            Poll::Pending => match self.report.poll(cx) {
                Some(error) => Poll::Ready(Err(error)),
                None => Poll::Pending,
            },
        }
    }

    /// Returns the text of a failure that the server reported, as far as it has been read.
    pub fn failure(&self) -> Option<String> {
        self.report.failure().map(|error| error.to_string())
    }
}

/// The server's text about a failure: the content of the error stream.
#[derive(Debug)]
struct Report {
    stream: Option<RawReader>,
    text: BytesMut,
    limit: usize,
}

impl Report {
    fn new(stream: RawReader, limit: usize) -> Self {
        Self {
            stream: Some(stream),
            text: BytesMut::new(),
            limit,
        }
    }

    /// Reads what is there. Returns the failure once its text is complete.
    fn poll(&mut self, cx: &mut Context<'_>) -> Option<io::Error> {
        while let Some(stream) = &mut self.stream {
            let mut piece = [0; 512];
            let mut buffer = ReadBuf::new(&mut piece);
            match Pin::new(stream).poll_read(cx, &mut buffer) {
                Poll::Ready(Ok(())) if !buffer.filled().is_empty() => {
                    let room = self.limit.saturating_sub(self.text.len());
                    let filled = buffer.filled();
                    self.text
                        .extend_from_slice(filled.get(..room).unwrap_or(filled));
                }
                Poll::Pending => break,
                // FIN, or a reset of both streams behind the text.
                Poll::Ready(_) => self.stream = None,
            }
        }
        self.failure().filter(|_| self.stream.is_none())
    }

    /// Returns the text as an error, complete or not.
    fn failure(&self) -> Option<io::Error> {
        let text = String::from_utf8_lossy(&self.text);
        (!text.is_empty()).then(|| io::Error::other(text.into_owned()))
    }

    /// Returns the better explanation of a failure.
    fn explain(&mut self, cx: &mut Context<'_>, error: io::Error) -> io::Error {
        self.poll(cx).or_else(|| self.failure()).unwrap_or(error)
    }
}

impl ReadChunks for ForwardStream {
    fn poll_read_chunk(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Option<Bytes>>> {
        let read = self.data.poll_read_chunk(cx);
        let more = matches!(read, Poll::Ready(Ok(Some(_))));
        self.explain_read(cx, read, more)
    }
}

impl WriteChunks for ForwardStream {
    fn poll_write_chunk(
        &mut self,
        cx: &mut Context<'_>,
        chunk: &mut Bytes,
    ) -> Poll<io::Result<()>> {
        let written = ready!(self.data.poll_write_chunk(cx, chunk));
        self.activity.record_data();
        Poll::Ready(written.map_err(|error| self.report.explain(cx, error)))
    }

    fn poll_writable(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.data.poll_writable(cx)
    }
}

impl AsyncRead for ForwardStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let read = Pin::new(&mut self.data).poll_read(cx, buffer);
        let more = buffer.filled().len() > before || buffer.remaining() == 0;
        self.explain_read(cx, read, more)
    }
}

impl AsyncWrite for ForwardStream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        data: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = &mut *self;
        match Pin::new(&mut this.data).poll_write(cx, data) {
            Poll::Ready(Ok(written)) => {
                this.activity.record_data();
                Poll::Ready(Ok(written))
            }
            Poll::Ready(Err(error)) => Poll::Ready(Err(this.report.explain(cx, error))),
            Poll::Pending => Poll::Pending,
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        let flushed = ready!(Pin::new(&mut this.data).poll_flush(cx));
        Poll::Ready(flushed.map_err(|error| this.report.explain(cx, error)))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        let ended = ready!(Pin::new(&mut this.data).poll_shutdown(cx));
        Poll::Ready(ended.map_err(|error| this.report.explain(cx, error)))
    }
}
