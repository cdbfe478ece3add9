//! HTTP/1.1, by hyper: connections that carry one request at a time.

mod download;
mod driver;
mod failure;
mod origins;
mod request;
mod send;
mod transport;
mod upload;

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use lacewing_conn::Limits;
use tokio::{
    sync::Notify,
    time::{Instant, Sleep, sleep_until},
};

pub(crate) use self::{
    download::Lease,
    origins::{Bounds, Origins, Permit},
    send::{Next, Sent, send},
};
use self::{
    driver::Driver,
    transport::{Counted, Traffic},
    upload::Upload,
};
use crate::{ClientError, Transport};

/// The least that hyper takes for a buffer.
const MIN_BUFFER: usize = 8 << 10;

/// A connection that speaks HTTP/1.1. Dropping it while a message is under way closes the transport.
pub(crate) struct Http1Connection {
    sender: http1::SendRequest<Upload>,
    driver: Driver,
    traffic: Arc<Traffic>,
    use_: Use,
    timer: Timer,
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
    /// Starts a connection. `keeper` is notified when something happens to it while it is idle.
    pub(crate) async fn start(
        io: Box<dyn Transport>,
        limits: &Limits,
        keeper: Arc<Notify>,
    ) -> Result<Self, ClientError> {
        let traffic = Arc::new(Traffic::default());
        let io = Counted::new(io, Arc::clone(&traffic), limits);
        let (sender, connection) = http1::Builder::new()
            .max_buf_size(limits.max_header_list_size.max(MIN_BUFFER))
            .max_headers(limits.max_header_fields.min(Limits::MOST_HEADER_FIELDS))
            .handshake(TokioIo::new(io))
            .await
            .map_err(|error| failure::of(&error, limits))?;
        Ok(Self {
            sender,
            driver: Driver::new(connection, keeper),
            traffic,
            use_: Use::New,
            timer: Timer::default(),
        })
    }

    /// Returns whether the connection can carry a request now. After a response hyper needs a
    /// moment, and may find that the server has closed.
    async fn is_ready(&mut self) -> bool {
        if self.driver.is_quiet() && self.sender.is_ready() {
            return true;
        }
        let (driver, sender) = (&mut self.driver, &mut self.sender);
        let ready = std::future::poll_fn(|cx| driver.poll(cx, |cx| sender.poll_ready(cx)));
        ready.await.is_ok()
    }

    /// Returns whether the connection has ended, as far as that is known.
    fn is_closed(&self) -> bool {
        self.sender.is_closed()
    }

    /// Nobody needs the connection now.
    fn rest(&mut self) {
        self.driver.rest();
    }

    /// Looks at an idle connection on which something happened.
    fn look(&mut self) {
        if !self.driver.is_quiet() {
            self.driver.rest();
        }
    }
}

impl Drop for Http1Connection {
    fn drop(&mut self) {
        match self.use_ {
            Use::Busy => self.driver.abort(),
            // Without a message under way, hyper ends the connection itself.
            Use::New | Use::Idle => self.driver.finish(),
        }
    }
}

/// The timer of one request after the other. It nearly always ends unused: to make and to drop one
/// takes a lock of the runtime each, to set one to a later time takes none.
#[derive(Debug, Default)]
struct Timer(Option<Pin<Box<Sleep>>>);

impl Timer {
    fn start(&mut self, after: Duration) {
        // As tokio's own `timeout` has it: a time that no clock reaches.
        let far = Duration::from_secs(30 * 365 * 24 * 3600);
        let until = Instant::now() + after.min(far);
        match &mut self.0 {
            Some(sleep) => sleep.as_mut().reset(until),
            None => self.0 = Some(Box::pin(sleep_until(until))),
        }
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        match &mut self.0 {
            Some(sleep) => sleep.as_mut().poll(cx),
            None => Poll::Pending,
        }
    }
}
