//! A transport that counts writes, a task that counts polls, and a small server.

use std::{
    future::Future,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::{self, Poll, Waker},
    time::Duration,
};

use bytes::Bytes;
use http::StatusCode;
use lacewing_conn::{
    Error, Side, Version,
    driver::{
        Incoming, Mux, MuxConfig,
        facade::{Application, Context, Driver},
    },
    proto::{Config, Event, Head, Semantics, StreamKey},
};
use tokio::{
    io::{AsyncRead, AsyncReadExt, DuplexStream},
    sync::mpsc,
    task::JoinHandle,
    time::timeout,
};

use crate::watched::{Watched, Writes};

pub(crate) async fn soon<F: Future>(future: F) -> F::Output {
    timeout(Duration::from_secs(300), future)
        .await
        .expect("hangs")
}

/// Runs all tasks until only time can continue them.
pub(crate) async fn settle() {
    tokio::time::sleep(Duration::from_millis(10)).await;
}

#[derive(Default)]
pub(crate) struct Counters {
    pub(crate) polls: AtomicUsize,
    pub(crate) writes: AtomicUsize,
    pub(crate) written: AtomicUsize,
}

impl Counters {
    pub(crate) fn polls(&self) -> usize {
        self.polls.load(Ordering::SeqCst)
    }

    pub(crate) fn writes(&self) -> usize {
        self.writes.load(Ordering::SeqCst)
    }
}

impl Writes for Arc<Counters> {
    fn note(&self, len: usize) {
        self.writes.fetch_add(1, Ordering::SeqCst);
        self.written.fetch_add(len, Ordering::SeqCst);
    }
}

/// A future that counts its polls.
pub(crate) struct Counted<F> {
    pub(crate) future: F,
    pub(crate) counters: Arc<Counters>,
}

impl<F: Future + Unpin> Future for Counted<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, cx: &mut task::Context<'_>) -> Poll<F::Output> {
        self.counters.polls.fetch_add(1, Ordering::SeqCst);
        Pin::new(&mut self.future).poll(cx)
    }
}

/// The reports of the tests' application.
#[derive(Debug)]
pub(crate) enum Told {
    Request(Head, Incoming),
    Ready,
    Abandoned,
    Closed(Result<(), Error>),
}

/// Replies to every stream at once with this body, and passes the request's body to the test.
pub(crate) struct Server {
    pub(crate) head: Head,
    pub(crate) reply: Bytes,
    pub(crate) told: mpsc::UnboundedSender<Told>,
    pub(crate) wakers: mpsc::UnboundedSender<Waker>,
}

impl Application for Server {
    fn handle_event(&mut self, conn: &mut Context<'_>, event: Event) {
        if let Event::Opened {
            stream, head, fin, ..
        } = event
        {
            let length = head.fields.get("content-length");
            let length = length.and_then(|length| length.to_str().ok()?.parse().ok());
            let body = if fin {
                Incoming::empty()
            } else {
                conn.incoming(stream, length)
            };
            let _ = self.told.send(Told::Request(head, body));
            let _ = self.wakers.send(conn.waker(stream));
            if !self.reply.is_empty() {
                conn.stream(stream).reply(self.head.clone(), false).unwrap();
                conn.stream(stream)
                    .send_data(self.reply.clone(), true)
                    .unwrap();
            }
        }
    }

    fn pull(&mut self, _: &mut Context<'_>, _: StreamKey, _: usize) {}

    fn handle_ready(&mut self, _: &mut Context<'_>, _: StreamKey) {
        let _ = self.told.send(Told::Ready);
    }

    fn handle_abandoned(&mut self, _: &mut Context<'_>, _: StreamKey) {
        let _ = self.told.send(Told::Abandoned);
    }

    fn handle_closed(&mut self, _: &mut Context<'_>, result: &Result<(), Error>) {
        let _ = self.told.send(Told::Closed(result.clone()));
    }
}

pub(crate) struct Served {
    pub(crate) counters: Arc<Counters>,
    pub(crate) task: JoinHandle<Result<(), Error>>,
    pub(crate) told: mpsc::UnboundedReceiver<Told>,
    pub(crate) wakers: mpsc::UnboundedReceiver<Waker>,
}

pub(crate) fn serve(
    version: Version,
    semantics: Semantics,
    io: DuplexStream,
    reply: usize,
) -> Served {
    serve_by(version, semantics, io, reply, true)
}

pub(crate) fn serve_by(
    version: Version,
    semantics: Semantics,
    io: DuplexStream,
    reply: usize,
    vectored: bool,
) -> Served {
    let counters = Arc::new(Counters::default());
    let (tell, told) = mpsc::unbounded_channel();
    let (wake, wakers) = mpsc::unbounded_channel();
    let mut config = Config::new(version, Side::Server);
    config.semantics = semantics;
    if semantics == Semantics::Raw {
        // As in a `Mux`.
        config.limits.idle_timeout = None;
    }
    let io = Watched {
        io,
        writes: Arc::clone(&counters),
        vectored,
    };
    let head = match semantics {
        Semantics::Http => Head::response(StatusCode::OK),
        Semantics::Raw => Head::default(),
    };
    let reply = Bytes::from(vec![b'x'; reply]);
    let connection = Driver::new(
        io,
        config,
        Server {
            head,
            reply,
            told: tell,
            wakers: wake,
        },
    );
    let task = tokio::spawn(Counted {
        future: connection,
        counters: Arc::clone(&counters),
    });
    Served {
        counters,
        task,
        told,
        wakers,
    }
}

impl Served {
    pub(crate) async fn request(&mut self) -> (Head, Incoming) {
        match soon(self.told.recv()).await.unwrap() {
            Told::Request(head, body) => (head, body),
            other => panic!("{other:?}"),
        }
    }
}

pub(crate) fn mux(version: Version, io: DuplexStream) -> (Mux, JoinHandle<Result<(), Error>>) {
    let (mux, connection) = Mux::client(io, version, MuxConfig::new(Side::Client));
    (mux, tokio::spawn(connection))
}

pub(crate) async fn read(stream: &mut (impl AsyncRead + Unpin)) -> Vec<u8> {
    let mut data = Vec::new();
    soon(stream.read_to_end(&mut data)).await.unwrap();
    data
}
