//! The sizes of the client's terminal, as the command receives them.

#[cfg(feature = "websocket")]
use std::future::poll_fn;

use lacewing_conn::driver::RawStream;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

#[cfg(feature = "websocket")]
use crate::relay::ReadChunks as _;
use crate::terminal_size::{TerminalSize, TerminalSizeDecoder};

/// The sizes of the client's terminal. Only the newest one is kept: a command that is
/// slow to take them misses those in between.
#[derive(Debug)]
pub struct TerminalSizes {
    receiver: watch::Receiver<Option<TerminalSize>>,
}

impl TerminalSizes {
    /// Waits for a new size; `None` when no more will arrive. Cancelling the call loses
    /// no size.
    pub async fn next(&mut self) -> Option<TerminalSize> {
        self.receiver.changed().await.ok()?;
        *self.receiver.borrow_and_update()
    }

    /// Returns the newest size, if one has arrived.
    pub fn current(&self) -> Option<TerminalSize> {
        *self.receiver.borrow()
    }
}

/// The sender of the sizes; each stream or channel has one.
#[derive(Clone, Debug)]
pub(super) struct SizeSender(watch::Sender<Option<TerminalSize>>);

pub(super) fn terminal_sizes() -> (SizeSender, TerminalSizes) {
    let (sender, receiver) = watch::channel(None);
    (SizeSender(sender), TerminalSizes { receiver })
}

impl SizeSender {
    pub(super) fn send(&self, size: TerminalSize) {
        // The command may not be interested.
        self.0.send_replace(Some(size));
    }

    /// Reads a `resize` stream until it or the session ends. Our half ends then, too: an
    /// open one would delay GOAWAY.
    pub(super) async fn read(self, stream: RawStream, end_of_session: CancellationToken) {
        let (mut reader, _writer) = stream.into_split();
        let mut decoder = TerminalSizeDecoder::new();
        loop {
            let chunk = tokio::select! {
                chunk = reader.read_chunk() => chunk,
                () = end_of_session.cancelled() => return,
            };
            let Ok(Some(bytes)) = chunk else {
                return;
            };
            if let Some(size) = decoder.push(&bytes) {
                self.send(size);
            }
        }
    }

    /// Reads the channel of the sizes until it or the session ends.
    #[cfg(feature = "websocket")]
    pub(super) async fn read_channel(self, mut channel: crate::websocket::ChannelReader) {
        let mut decoder = TerminalSizeDecoder::new();
        while let Ok(Some(bytes)) = poll_fn(|cx| channel.poll_read_chunk(cx)).await {
            if let Some(size) = decoder.push(&bytes) {
                self.send(size);
            }
        }
    }
}
