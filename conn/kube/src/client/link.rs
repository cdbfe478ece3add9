//! The connection of raw streams below a session, and the task that supervises it.

use std::time::Duration;

use bytes::BytesMut;
use http::HeaderMap;
use lacewing_conn::{
    Side, Version,
    driver::{Mux, MuxConnection, OpenOptions, RawStream},
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    time::{Instant, timeout, timeout_at},
};

use super::life::{ABORT_GRACE, Life};
use crate::{
    activity::{ActivityClock, Gate},
    error::KubeError,
    limits::KubeLimits,
    raw_connection::RawConnection,
    stream_headers::StreamHeaders,
};

/// A connection of raw streams, of the client's side. It ends with its [`Life`].
#[derive(Debug)]
pub(super) struct Link {
    mux: Mux,
    activity: ActivityClock,
    limits: KubeLimits,
}

impl Link {
    /// Starts the connection on a task of its own. `input` are the bytes behind the
    /// server's response.
    pub(super) fn start<IO>(
        version: Version,
        io: IO,
        input: BytesMut,
        limits: &KubeLimits,
        life: &Life,
    ) -> Self
    where
        IO: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        // The server has answered: nothing holds our frames.
        let gate = Gate::default();
        gate.open();
        let connection = RawConnection::new(version, Side::Client, io, input, gate, limits);
        let supervisor = Supervisor {
            mux: connection.mux.clone(),
            activity: connection.activity.clone(),
            life: life.clone(),
            close_timeout: limits.close_timeout,
        };
        tokio::spawn(supervisor.run(connection.task));
        Self {
            mux: connection.mux,
            activity: connection.activity,
            limits: limits.clone(),
        }
    }

    pub(super) fn activity(&self) -> &ActivityClock {
        &self.activity
    }

    /// Opens a stream, and waits for the server's answer: servers of Go discard data
    /// that precedes it.
    pub(super) async fn open(&self, headers: &StreamHeaders) -> Result<RawStream, KubeError> {
        let headers: HeaderMap = headers
            .to_map()
            .ok_or(KubeError::Protocol("a request id that no field can carry"))?;
        let limit = self.limits.stream_creation_timeout;
        let opening = async {
            let mut stream = self.mux.open(headers, OpenOptions::default()).await?;
            stream.recv_reply().await?;
            Ok(stream)
        };
        timeout(limit, opening).await.unwrap_or({
            let event = "the server's answer to a stream";
            Err(KubeError::TimedOut { event, limit })
        })
    }

    /// Ends the connection: GOAWAY, then the end of the transport.
    pub(super) async fn close(&self) {
        self.mux.shutdown();
        // The connection's own limits bound it; this bound does not depend on them.
        let _ = timeout(self.limits.finish_timeout, self.mux.closed()).await;
    }
}

/// The owner of the connection's future.
struct Supervisor {
    mux: Mux,
    activity: ActivityClock,
    life: Life,
    close_timeout: Duration,
}

impl Supervisor {
    async fn run<IO>(self, connection: MuxConnection<IO>)
    where
        IO: AsyncRead + AsyncWrite + Unpin,
    {
        // The end is reported also if the runtime drops the task.
        let _over = self.life.over.clone().drop_guard();
        let mut connection = std::pin::pin!(connection);
        let grace = tokio::select! {
            // The session's streams report the error.
            _ = &mut connection => return,
            () = self.life.abort.cancelled() => ABORT_GRACE,
            () = self.life.released.cancelled() => self.close_timeout,
            () = self.activity.idle() => self.close_timeout,
        };
        self.mux.shutdown();
        let now = Instant::now();
        let deadline = now.checked_add(grace).unwrap_or(now);
        tokio::select! {
            _ = timeout_at(deadline, connection) => {}
            () = async {
                self.life.abort.cancelled().await;
                tokio::time::sleep(ABORT_GRACE).await;
            } => {}
        }
    }
}
