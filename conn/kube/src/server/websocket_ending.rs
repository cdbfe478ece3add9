//! The end of a command's session over WebSocket.

use bytes::Bytes;
use tokio::{io::AsyncWriteExt, time::timeout};

use crate::{
    error::KubeError,
    limits::KubeLimits,
    websocket::{Channel, ChannelSocket, EndOfChannel},
};

/// The part of a session that its end needs.
#[derive(Debug)]
pub(super) struct WebSocketEnding {
    pub(super) socket: ChannelSocket,
}

impl WebSocketEnding {
    /// Sends the status behind all output: messages keep their order. Close with code 1000
    /// is the last one, and the client's Close follows.
    pub(super) async fn finish(self, status: Bytes, limits: &KubeLimits) -> Result<(), KubeError> {
        if self.socket.cancellation().is_cancelled() {
            return Err(KubeError::Closed);
        }
        let limit = limits.finish_timeout;
        let sending = async {
            let mut error = self.socket.writer(Channel::ERROR, EndOfChannel::Silent);
            error.write_all(&status).await?;
            error.flush().await
        };
        let sent = timeout(limit, sending).await;
        self.socket.close();
        let over = self.socket.cancellation().cancelled();
        // After that, the drop closes the transport.
        let _ = timeout(limits.close_timeout, over).await;
        match sent {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) => Err(KubeError::Closed),
            Err(_) => Err(KubeError::TimedOut {
                event: "the client's reading of the last bytes",
                limit,
            }),
        }
    }
}

impl Drop for WebSocketEnding {
    fn drop(&mut self) {
        self.socket.abandon();
    }
}
