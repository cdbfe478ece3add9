//! The body of a response. It returns the connection to its origin when it ends.

use std::{
    future::Future as _,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use http::Response;
use http_body::{Body as _, Frame, SizeHint};
use lacewing_conn::{Error, SharedLimits, driver::Incoming};
use tokio::time::{Instant, Sleep, sleep};

use super::{
    Http1Connection, Use, failure,
    origins::{Origins, Permit},
    upload::UploadState,
};
use crate::Origin;

/// A connection that carries a request, and its way back.
pub(crate) struct Lease {
    pub(super) connection: Http1Connection,
    permit: Option<Permit>,
    origins: Arc<Origins>,
    origin: Origin,
}

impl Lease {
    pub(crate) fn new(
        connection: Http1Connection,
        permit: Option<Permit>,
        origins: Arc<Origins>,
        origin: Origin,
    ) -> Self {
        Self {
            connection,
            permit,
            origins,
            origin,
        }
    }

    /// Keeps the connection for another request.
    pub(super) fn give_back(self) {
        let mut connection = self.connection;
        connection.use_ = match connection.use_ {
            Use::New => Use::New,
            Use::Idle | Use::Busy => Use::Idle,
        };
        self.origins.put(&self.origin, connection);
        drop(self.permit);
    }

    /// Closes the connection.
    pub(super) fn give_up(self) -> Option<Permit> {
        self.permit
    }
}

/// A response's body.
pub(super) struct Download {
    body: hyper::body::Incoming,
    /// The piece that came with the head.
    first: Piece,
    /// `None` after its end.
    lease: Option<Lease>,
    upload: Arc<UploadState>,
    limits: SharedLimits,
    /// Runs while the body waits.
    stall: Option<Pin<Box<Sleep>>>,
}

/// A piece of a body, or its end.
type Piece = Poll<Option<Result<Frame<Bytes>, hyper::Error>>>;

impl Download {
    pub(super) fn of(
        response: Response<hyper::body::Incoming>,
        mut lease: Lease,
        upload: Arc<UploadState>,
        limits: &SharedLimits,
    ) -> Response<Incoming> {
        if !upload.is_done() {
            // It goes on, whether or not somebody reads the response.
            lease.connection.driver.spawn();
        }
        response.map(|mut body| {
            let mut first = Poll::Pending;
            if !body.is_end_stream() {
                let driver = &mut lease.connection.driver;
                first = driver.take(|cx| Pin::new(&mut body).poll_frame(cx));
            }
            let content = match (body.is_end_stream(), first) {
                (true, Poll::Pending) => Ok(Bytes::new()),
                (true, Poll::Ready(Some(Ok(frame)))) => frame
                    .into_data()
                    .map_err(|frame| Poll::Ready(Some(Ok(frame)))),
                (_, first) => Err(first),
            };
            let (content, first) = match content {
                Ok(content) => (Some(content), Poll::Pending),
                Err(first) => (None, first),
            };
            let mut download = Self {
                body,
                first,
                lease: Some(lease),
                upload,
                limits: limits.clone(),
                stall: None,
            };
            match content {
                Some(content) => {
                    download.finish();
                    Incoming::from(content)
                }
                None => Incoming::from_body(download),
            }
        })
    }

    /// The response is complete. A request that is not, or whose body waits for 100 (Continue),
    /// leaves a connection that cannot carry another.
    fn finish(&mut self) {
        if let Some(lease) = self.lease.take() {
            if self.upload.is_done() {
                lease.give_back();
            }
        }
    }

    fn poll_piece(&mut self, cx: &mut Context<'_>) -> Piece {
        if self.first.is_ready() {
            return std::mem::replace(&mut self.first, Poll::Pending);
        }
        let body = &mut self.body;
        match &mut self.lease {
            Some(lease) => {
                let driver = &mut lease.connection.driver;
                driver.poll(cx, |cx| Pin::new(&mut *body).poll_frame(cx))
            }
            None => Pin::new(body).poll_frame(cx),
        }
    }

    fn poll_stall(&mut self, cx: &mut Context<'_>) -> Poll<Duration> {
        let after = self.limits.stall_timeout;
        let stall = self.stall.get_or_insert_with(|| Box::pin(sleep(after)));
        stall.as_mut().poll(cx).map(|()| after)
    }
}

impl http_body::Body for Download {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        let this = self.get_mut();
        let Poll::Ready(frame) = this.poll_piece(cx) else {
            let after = std::task::ready!(this.poll_stall(cx));
            this.lease = None;
            return Poll::Ready(Some(Err(failure::stalled("the body stood still", after))));
        };
        if let Some(stall) = &mut this.stall {
            let until = Instant::now().checked_add(this.limits.stall_timeout);
            match until {
                Some(until) => stall.as_mut().reset(until),
                None => this.stall = None,
            }
        }
        Poll::Ready(match frame {
            Some(Ok(frame)) => {
                if this.body.is_end_stream() || frame.is_trailers() {
                    this.finish();
                }
                Some(Ok(frame))
            }
            Some(Err(error)) => {
                this.lease = None;
                Some(Err(failure::of_body(&error, &this.limits)))
            }
            None => {
                this.finish();
                None
            }
        })
    }

    fn is_end_stream(&self) -> bool {
        self.first.is_pending() && self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        let Poll::Ready(Some(Ok(frame))) = &self.first else {
            return self.body.size_hint();
        };
        let first = frame.data_ref().map_or(0, Bytes::len);
        let first = u64::try_from(first).unwrap_or(u64::MAX);
        match self.body.size_hint().exact() {
            Some(rest) => SizeHint::with_exact(rest.saturating_add(first)),
            None => SizeHint::default(),
        }
    }
}
