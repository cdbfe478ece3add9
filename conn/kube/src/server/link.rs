//! The connection of raw streams below a session, and the task that supervises it.

use bytes::BytesMut;
use lacewing_conn::{
    Side, Version,
    driver::{Mux, MuxConnection},
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    time::timeout,
};
use tokio_util::sync::CancellationToken;

use crate::{
    activity::{ActivityClock, Gate},
    limits::KubeLimits,
    raw_connection::RawConnection,
};

/// A connection of raw streams, of the server's side. When it is dropped, the connection
/// shuts down.
#[derive(Debug)]
pub(super) struct Link {
    mux: Mux,
    activity: ActivityClock,
    /// Holds our frames until the client's first one.
    gate: Gate,
    cancellation: CancellationToken,
    limits: KubeLimits,
}

impl Link {
    /// Starts the connection on a task of its own. `early` are the bytes that the HTTP
    /// server read behind the request.
    pub(super) fn start<IO>(version: Version, io: IO, early: BytesMut, limits: &KubeLimits) -> Self
    where
        IO: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let gate = Gate::default();
        if !early.is_empty() {
            gate.open();
        }
        let connection = RawConnection::new(version, Side::Server, io, early, gate.clone(), limits);
        let link = Self {
            mux: connection.mux,
            activity: connection.activity,
            gate,
            cancellation: CancellationToken::new(),
            limits: limits.clone(),
        };
        let supervisor = Supervisor {
            mux: link.mux.clone(),
            activity: link.activity.clone(),
            cancellation: link.cancellation.clone(),
            limits: limits.clone(),
        };
        tokio::spawn(supervisor.run(connection.task));
        link
    }

    pub(super) fn mux(&self) -> &Mux {
        &self.mux
    }

    pub(super) fn activity(&self) -> &ActivityClock {
        &self.activity
    }

    /// Returns the token that is cancelled when the client is gone, or idle for too
    /// long.
    pub(super) fn cancellation(&self) -> &CancellationToken {
        &self.cancellation
    }

    /// Ends the connection: first the client may close it, then GOAWAY goes out behind
    /// all data. Returns when the transport is closed.
    pub(super) async fn close(self) {
        self.gate.open();
        let closed_by_client = self.cancellation.cancelled();
        if timeout(self.limits.close_timeout, closed_by_client)
            .await
            .is_err()
        {
            self.mux.shutdown();
        }
        // The connection's own limits bound it; this bound does not depend on them.
        let _ = timeout(self.limits.finish_timeout, self.mux.closed()).await;
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        // A client that never sent a frame gets GOAWAY nevertheless.
        self.gate.open();
        self.mux.shutdown();
    }
}

/// The owner of the connection's future.
struct Supervisor {
    mux: Mux,
    activity: ActivityClock,
    cancellation: CancellationToken,
    limits: KubeLimits,
}

impl Supervisor {
    async fn run<IO>(self, connection: MuxConnection<IO>)
    where
        IO: AsyncRead + AsyncWrite + Unpin,
    {
        // The runtime of the container learns of the end also if this task is aborted.
        let _cancel = self.cancellation.clone().drop_guard();
        let mut connection = std::pin::pin!(connection);
        tokio::select! {
            // The session's streams report the error.
            _ = &mut connection => return,
            () = self.activity.idle() => {}
        }
        self.cancellation.cancel();
        self.mux.shutdown();
        let _ = timeout(self.limits.finish_timeout, connection).await;
    }
}
