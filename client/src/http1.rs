//! HTTP/1.1, by hyper: connections that carry one request at a time.

mod download;
mod failure;
mod origins;
mod request;
mod send;
mod transport;
mod upload;

use std::sync::Arc;

use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use lacewing_conn::Limits;
use tokio::task::AbortHandle;

pub(crate) use self::{
    download::Lease,
    origins::{Bounds, Origins, Permit},
    send::{Next, Sent, send},
};
use self::{
    transport::{Counted, Traffic},
    upload::Upload,
};
use crate::{ClientError, Transport, telemetry};

/// The least that hyper takes for a buffer.
const MIN_BUFFER: usize = 8 << 10;

/// A connection that speaks HTTP/1.1. Dropping it while a message is under way closes the transport.
pub(crate) struct Http1Connection {
    sender: http1::SendRequest<Upload>,
    task: AbortHandle,
    traffic: Arc<Traffic>,
    use_: Use,
}

/// The use of a connection so far.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Use {
    /// It carried no request yet.
    New,
    /// It carried at least one, and waits for another.
    Idle,
    /// It carries one.
    Busy,
}

impl Http1Connection {
    /// Starts a connection. hyper's task ends with its last handle.
    pub(crate) async fn start(io: impl Transport, limits: &Limits) -> Result<Self, ClientError> {
        let traffic = Arc::new(Traffic::default());
        let io = Counted::new(io, Arc::clone(&traffic), limits);
        let (sender, connection) = http1::Builder::new()
            .max_buf_size(limits.max_header_list_size.max(MIN_BUFFER))
            .max_headers(limits.max_header_fields.min(Limits::MOST_HEADER_FIELDS))
            .handshake(TokioIo::new(io))
            .await
            .map_err(|error| failure::of(&error, limits))?;
        // Each request gets the error of its connection.
        let task = async move { drop(connection.await) };
        let task = tokio::spawn(telemetry::in_current_span(task)).abort_handle();
        Ok(Self {
            sender,
            task,
            traffic,
            use_: Use::New,
        })
    }

    /// Returns whether the connection can carry a request now. After a response hyper needs a
    /// moment, and may find that the server has closed.
    async fn is_ready(&mut self) -> bool {
        self.sender.ready().await.is_ok()
    }

    fn is_closed(&self) -> bool {
        self.sender.is_closed()
    }
}

impl Drop for Http1Connection {
    fn drop(&mut self) {
        // Without a message under way, hyper ends the connection itself, with TLS's close_notify.
        if self.use_ == Use::Busy {
            self.task.abort();
        }
    }
}
