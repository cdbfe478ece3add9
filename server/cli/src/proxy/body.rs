//! Content on its way through the proxy. Nothing is collected: a piece is asked for when the other
//! side can take it.

use std::{
    future::Future as _,
    pin::Pin,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::Bytes;
use http::{HeaderMap, HeaderName};
use http_body::{Body, Frame, SizeHint};
use lacewing_client::Incoming;
use lacewing_server::{BoxError, RequestBody, TunnelBody};
use tokio::time::{Sleep, sleep};

use super::{timers::Timers, upstream::Open};
use crate::site::body::Content;

/// The content of a response.
pub(crate) enum Reply {
    /// The site's or the proxy's own.
    Own(Content),
    Upstream(Box<Download>),
    Tunnel(TunnelBody),
}

impl Body for Reply {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        match self.get_mut() {
            Self::Own(body) => Pin::new(body).poll_frame(cx).map_err(Into::into),
            Self::Upstream(body) => Pin::new(&mut **body).poll_frame(cx),
            Self::Tunnel(body) => Pin::new(body).poll_frame(cx).map_err(Into::into),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Own(body) => body.is_end_stream(),
            Self::Upstream(body) => body.is_end_stream(),
            Self::Tunnel(body) => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Own(body) => body.size_hint(),
            Self::Upstream(body) => body.size_hint(),
            Self::Tunnel(body) => body.size_hint(),
        }
    }
}

/// The content of an upstream's response. It fails if it stands still: the client's stream is then
/// reset, so that no part is taken for the whole.
pub(crate) struct Download {
    source: Source,
    idle: Duration,
    /// Runs while the content is waited for.
    wait: Option<Pin<Box<Sleep>>>,
    /// The request counts as open until its response ends.
    open: Open,
}

/// The library that reads the content.
pub(super) enum Source {
    Client(Incoming),
    /// The answer to a request for a tunnel, which is none.
    Hyper(hyper::body::Incoming),
}

impl Download {
    pub(super) fn new(source: Source, idle: Duration, open: Open) -> Self {
        Self {
            source,
            idle,
            wait: None,
            open,
        }
    }
}

impl Body for Download {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let this = self.get_mut();
        let frame = match &mut this.source {
            Source::Client(body) => Pin::new(body).poll_frame(cx).map_err(Into::into),
            Source::Hyper(body) => Pin::new(body).poll_frame(cx).map_err(Into::into),
        };
        if let Poll::Ready(frame) = frame {
            this.wait = None;
            if let Some(Err(error)) = &frame {
                this.open.cut_short(error);
            }
            return Poll::Ready(frame);
        }
        let idle = this.idle;
        let wait = this.wait.get_or_insert_with(|| Box::pin(sleep(idle)));
        ready!(wait.as_mut().poll(cx));
        let error = format!("the response stood still for {idle:?} (--proxy-idle-timeout)").into();
        this.open.cut_short(&error);
        Poll::Ready(Some(Err(error)))
    }

    fn is_end_stream(&self) -> bool {
        match &self.source {
            Source::Client(body) => body.is_end_stream(),
            Source::Hyper(body) => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.source {
            Source::Client(body) => body.size_hint(),
            Source::Hyper(body) => body.size_hint(),
        }
    }
}

/// The content of a client's request, on its way to an upstream. If that takes none of it, the
/// next one may.
pub(super) struct Upload {
    home: Arc<Home>,
    trailers: Trailers,
}

/// The trailers of a request that an upstream can take.
#[derive(Clone, Debug)]
pub(super) enum Trailers {
    All,
    /// Over HTTP/1.1, those that the field `trailer` declares. To drop others is permitted
    /// (RFC 9110 §6.5.1).
    Declared(Vec<HeaderName>),
}

/// The content of a client's request, and its progress.
pub(super) struct Home {
    /// `None` after [`end`](Self::end).
    body: Mutex<Option<RequestBody>>,
    /// Polls: grows with each piece, and with each wait for one.
    polls: AtomicU64,
}

impl Home {
    pub(super) fn new(body: RequestBody) -> Arc<Self> {
        Arc::new(Self {
            body: Mutex::new(Some(body)),
            polls: AtomicU64::new(0),
        })
    }

    pub(super) fn lend(self: &Arc<Self>, trailers: Trailers) -> Upload {
        Upload {
            home: Arc::clone(self),
            trailers,
        }
    }

    /// Returns whether no upstream has asked for the content.
    pub(super) fn is_whole(&self) -> bool {
        self.polls() == 0
    }

    /// Drops the content before the response if nobody asked for it: so the server knows that it
    /// will not be read, and over HTTP/1.1 says so to a client that holds it back (RFC 9110 §10.1.1).
    pub(super) fn end(&self) {
        if self.is_whole() {
            let body = self.lock().take();
            drop(body);
        }
    }

    fn polls(&self) -> u64 {
        self.polls.load(Ordering::Relaxed)
    }

    fn lock(&self) -> MutexGuard<'_, Option<RequestBody>> {
        self.body.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Upload {
    fn leave_out(&self, trailers: HeaderMap) -> HeaderMap {
        let Trailers::Declared(names) = &self.trailers else {
            return trailers;
        };
        let mut kept = HeaderMap::new();
        for (name, value) in &trailers {
            if names.contains(name) {
                kept.append(name, value.clone());
            }
        }
        kept
    }
}

impl Body for Upload {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        self.home.polls.fetch_add(1, Ordering::Relaxed);
        let frame = {
            let mut body = self.home.lock();
            let Some(body) = &mut *body else {
                let error = "the response came before the content";
                return Poll::Ready(Some(Err(error.into())));
            };
            ready!(Pin::new(body).poll_frame(cx))
        };
        let Some(Ok(frame)) = frame else {
            return Poll::Ready(frame.map(|frame| frame.map_err(Into::into)));
        };
        match frame.into_trailers() {
            Ok(trailers) => {
                let trailers = self.leave_out(trailers);
                let frame = (!trailers.is_empty()).then(|| Ok(Frame::trailers(trailers)));
                Poll::Ready(frame)
            }
            Err(frame) => Poll::Ready(Some(Ok(frame))),
        }
    }

    fn is_end_stream(&self) -> bool {
        let body = self.home.lock();
        body.as_ref().is_some_and(Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        let body = self.home.lock();
        body.as_ref()
            .map_or_else(SizeHint::default, Body::size_hint)
    }
}

/// Waits until `home` makes no progress for `patience`.
pub(super) async fn stands_still(home: Option<&Home>, patience: Duration, timers: &Timers) {
    let mut polls = home.map_or(0, Home::polls);
    let mut timer = timers.start(patience);
    loop {
        (&mut timer).await;
        let now = home.map_or(0, Home::polls);
        if now == polls {
            return;
        }
        polls = now;
        timer.restart(patience);
    }
}
