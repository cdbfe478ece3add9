//! The end of a command's session over raw streams.

use std::time::Duration;

use bytes::Bytes;
use lacewing_conn::driver::{RawStream, RawWriter};
use tokio::{
    io::AsyncWriteExt,
    time::{Instant, timeout_at},
};
use tokio_util::sync::DropGuard;

use super::link::Link;
use crate::{error::KubeError, sink::Sink};

/// The parts of a session that its end needs.
#[derive(Debug)]
pub(super) struct RawEnding {
    pub(super) error: Option<RawStream>,
    /// Our halves of streams that the client alone sends on.
    pub(super) halves: Vec<RawWriter>,
    pub(super) link: Link,
    /// Its drop ends the tasks of `resize` streams.
    pub(super) end_of_session: DropGuard,
}

impl RawEnding {
    /// Sends what is left in the order that every client survives: the output, the
    /// outcome, the ends of the streams. v1 clients, and others that are impatient, stop
    /// at the first end. GOAWAY follows all of it, since clients of Go stop reading
    /// there; then the transport closes.
    pub(super) async fn finish(
        mut self,
        mut sinks: Vec<Sink>,
        status: Bytes,
        finish_timeout: Duration,
    ) -> Result<(), KubeError> {
        // A deadline beyond the clock's range ends at once.
        let now = Instant::now();
        let deadline = now.checked_add(finish_timeout).unwrap_or(now);
        let sending = async {
            // Frames of different streams may overtake each other: the output must be
            // with the transport before the status is written.
            for sink in &mut sinks {
                // The client may have closed one of them.
                let _ = sink.flush().await;
            }
            let mut sent = Ok(());
            if let Some(error) = &mut self.error {
                sent = error.write_all(&status).await;
                if sent.is_ok() {
                    sent = error.flush().await;
                }
                let _ = error.shutdown().await;
            }
            for sink in &mut sinks {
                let _ = sink.shutdown().await;
            }
            sent
        };
        let sent = timeout_at(deadline, sending).await;
        drop((sinks, self.error, self.halves, self.end_of_session));
        self.link.close().await;
        match sent {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) => Err(KubeError::Closed),
            Err(_) => Err(KubeError::TimedOut {
                event: "the client's reading of the last bytes",
                limit: finish_timeout,
            }),
        }
    }
}
