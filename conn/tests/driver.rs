//! The connection's task: how often it is polled, reads and writes, what it
//! tells its application, and the bodies of received messages.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    clippy::large_enum_variant,
    missing_docs
)]

use std::{
    future::Future,
    io::{self, IoSlice},
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::{self, Poll, Waker},
    time::Duration,
};

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, Method, StatusCode};
use http_body::Body;
use http_body_util::BodyExt;
use lacewing_conn::{
    Error, Initiator, Reason, Side, Version,
    driver::{Application, Connection, Context, Incoming, Mux, MuxConfig, OpenOptions},
    proto::{Config, Event, Head, Semantics, StreamKey},
};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, DuplexStream, ReadBuf, duplex},
    sync::mpsc,
    task::JoinHandle,
    time::timeout,
};

async fn soon<F: Future>(future: F) -> F::Output {
    timeout(Duration::from_secs(300), future)
        .await
        .expect("hangs")
}

/// Lets everything happen that does not need time.
async fn settle() {
    tokio::time::sleep(Duration::from_millis(10)).await;
}

#[derive(Default)]
struct Counters {
    polls: AtomicUsize,
    writes: AtomicUsize,
    written: AtomicUsize,
}

impl Counters {
    fn polls(&self) -> usize {
        self.polls.load(Ordering::SeqCst)
    }

    fn writes(&self) -> usize {
        self.writes.load(Ordering::SeqCst)
    }

    fn wrote(&self, result: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        if let Poll::Ready(Ok(len)) = &result {
            self.writes.fetch_add(1, Ordering::SeqCst);
            self.written.fetch_add(*len, Ordering::SeqCst);
        }
        result
    }
}

/// A transport that counts, and takes one slice at a time or many.
struct Watched {
    io: DuplexStream,
    counters: Arc<Counters>,
    vectored: bool,
}

impl AsyncRead for Watched {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut task::Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_read(cx, buffer)
    }
}

impl AsyncWrite for Watched {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut task::Context<'_>,
        data: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.io).poll_write(cx, data);
        self.counters.wrote(written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut task::Context<'_>,
        data: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        assert!(self.vectored);
        let written = Pin::new(&mut self.io).poll_write_vectored(cx, data);
        self.counters.wrote(written)
    }

    fn is_write_vectored(&self) -> bool {
        self.vectored
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut task::Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut task::Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}

/// A future that counts its polls.
struct Counted<F> {
    future: F,
    counters: Arc<Counters>,
}

impl<F: Future + Unpin> Future for Counted<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, cx: &mut task::Context<'_>) -> Poll<F::Output> {
        self.counters.polls.fetch_add(1, Ordering::SeqCst);
        Pin::new(&mut self.future).poll(cx)
    }
}

/// What the tests' application tells.
#[derive(Debug)]
enum Told {
    Request(Head, Incoming),
    Ready,
    Abandoned,
    Closed(Result<(), Error>),
}

/// Replies to every stream at once, with this body, and hands the request's
/// body to the test.
struct Server {
    head: Head,
    reply: Bytes,
    told: mpsc::UnboundedSender<Told>,
    wakers: mpsc::UnboundedSender<Waker>,
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
                conn.engine.reply(stream, self.head.clone(), false).unwrap();
                conn.engine
                    .send_data(stream, self.reply.clone(), true)
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

    fn handle_closed(&mut self, result: &Result<(), Error>) {
        let _ = self.told.send(Told::Closed(result.clone()));
    }
}

struct Served {
    counters: Arc<Counters>,
    task: JoinHandle<Result<(), Error>>,
    told: mpsc::UnboundedReceiver<Told>,
    wakers: mpsc::UnboundedReceiver<Waker>,
}

fn serve(version: Version, semantics: Semantics, io: DuplexStream, reply: usize) -> Served {
    serve_by(version, semantics, io, reply, true)
}

fn serve_by(
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
    let io = Watched {
        io,
        counters: Arc::clone(&counters),
        vectored,
    };
    let head = match semantics {
        Semantics::Http => Head::response(StatusCode::OK),
        Semantics::Raw => Head::default(),
    };
    let reply = Bytes::from(vec![b'x'; reply]);
    let connection = Connection::new(
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
    async fn request(&mut self) -> (Head, Incoming) {
        match soon(self.told.recv()).await.unwrap() {
            Told::Request(head, body) => (head, body),
            other => panic!("{other:?}"),
        }
    }
}

fn mux(version: Version, io: DuplexStream) -> (Mux, JoinHandle<Result<(), Error>>) {
    let (mux, connection) = Mux::client(io, version, MuxConfig::default());
    (mux, tokio::spawn(connection))
}

async fn read(stream: &mut (impl AsyncRead + Unpin)) -> Vec<u8> {
    let mut data = Vec::new();
    soon(stream.read_to_end(&mut data)).await.unwrap();
    data
}

#[tokio::test(start_paused = true)]
async fn head_and_first_data_leave_in_one_write() {
    for version in Version::ALL {
        for vectored in [true, false] {
            let (here, there) = duplex(64 << 10);
            let (mux, _task) = mux(version, here);
            let served = serve_by(version, Semantics::Raw, there, 2000, vectored);
            settle().await;
            let before = served.counters.writes();
            let options = OpenOptions {
                fin: true,
                ..OpenOptions::default()
            };
            let mut stream = soon(mux.open(HeaderMap::new(), options)).await.unwrap();
            assert_eq!(read(&mut stream).await.len(), 2000);
            let writes = served.counters.writes() - before;
            assert_eq!(writes, 1, "{version}, vectored {vectored}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn many_replies_leave_in_few_writes() {
    for version in Version::ALL {
        for vectored in [true, false] {
            let (here, there) = duplex(64 << 10);
            let (mux, _task) = mux(version, here);
            let served = serve_by(version, Semantics::Raw, there, 100, vectored);
            settle().await;
            let (writes, polls) = (served.counters.writes(), served.counters.polls());
            let options = OpenOptions {
                fin: true,
                ..OpenOptions::default()
            };
            let mut asking = Vec::new();
            for _ in 0..100 {
                let mux = mux.clone();
                asking.push(tokio::spawn(async move {
                    let mut stream = mux.open(HeaderMap::new(), options).await.unwrap();
                    assert_eq!(read(&mut stream).await.len(), 100);
                }));
            }
            for asking in asking {
                soon(asking).await.unwrap();
            }
            let writes = served.counters.writes() - writes;
            let polls = served.counters.polls() - polls;
            assert!(writes <= 4, "{version}: {writes} writes for 100 replies");
            assert!(polls <= 10, "{version}: {polls} polls for 100 requests");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_connection_with_nothing_to_do_sleeps() {
    for version in Version::ALL {
        let (here, there) = duplex(64 << 10);
        let (mux, _task) = mux(version, here);
        let served = serve(version, Semantics::Raw, there, 100);
        let options = OpenOptions {
            fin: true,
            ..OpenOptions::default()
        };
        let mut stream = soon(mux.open(HeaderMap::new(), options)).await.unwrap();
        read(&mut stream).await;
        settle().await;
        assert!(
            served.counters.polls() < 12,
            "{version}: {} polls",
            served.counters.polls()
        );
        // Timers that were set at the start may fire once.
        tokio::time::sleep(Duration::from_secs(60)).await;
        let before = served.counters.polls();
        tokio::time::sleep(Duration::from_secs(24 * 3600)).await;
        assert_eq!(
            served.counters.polls(),
            before,
            "{version}: polled for nothing"
        );
    }
}

/// A peer that takes nothing: the task waits for it, and does not spin.
#[tokio::test(start_paused = true)]
async fn a_blocked_transport_is_waited_for() {
    for version in Version::ALL {
        let (mut peer, there) = duplex(100);
        let served = serve(version, Semantics::Raw, there, 100_000);
        // A client's first bytes, and its request, without reading.
        let (here, mut client_io) = duplex(64 << 10);
        let (mux, _task) = mux(version, here);
        let options = OpenOptions {
            fin: true,
            ..OpenOptions::default()
        };
        let opening = tokio::spawn(async move { mux.open(HeaderMap::new(), options).await });
        let mut bytes = vec![0; 4096];
        settle().await;
        let len = client_io.read(&mut bytes).await.unwrap();
        peer.write_all(&bytes[..len]).await.unwrap();
        opening.await.unwrap().unwrap();
        settle().await;
        let before = served.counters.polls();
        tokio::time::sleep(Duration::from_secs(5)).await;
        assert_eq!(served.counters.polls(), before, "{version}");
        // A transport that takes nothing for write_stall_timeout is given up.
        let error = soon(served.task).await.unwrap().unwrap_err();
        assert_eq!(error.initiator(), Initiator::Library, "{version}: {error}");
    }
}

/// Reading what has come already does not bother the connection's task.
#[tokio::test(start_paused = true)]
async fn a_reader_wakes_the_task_only_to_give_much_back() {
    for version in Version::ALL {
        let (here, there) = duplex(64 << 10);
        let (mux, _task) = mux(version, here);
        let mut served = serve(version, Semantics::Raw, there, 0);
        let stream = soon(mux.open(HeaderMap::new(), OpenOptions::default()))
            .await
            .unwrap();
        let (_reader, mut writer) = stream.into_split();
        let (_, mut body) = served.request().await;
        soon(writer.write_all(&[7; 200_000])).await.unwrap();
        settle().await;
        let before = served.counters.polls();
        let mut got = 0;
        while got < 200_000 {
            got += soon(body.frame())
                .await
                .unwrap()
                .unwrap()
                .into_data()
                .unwrap()
                .len();
        }
        settle().await;
        assert_eq!(served.counters.polls(), before, "{version}");

        // A whole megabyte, in a stream window of as much.
        for _ in 0..10 {
            soon(writer.write_all(&[7; 100_000])).await.unwrap();
            settle().await;
            let mut got = 0;
            while got < 100_000 {
                got += soon(body.frame())
                    .await
                    .unwrap()
                    .unwrap()
                    .into_data()
                    .unwrap()
                    .len();
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_body_says_how_long_it_is() {
    for version in Version::ALL {
        let (here, there) = duplex(64 << 10);
        let (mux, _task) = mux(version, here);
        let mut served = serve(version, Semantics::Raw, there, 0);
        let mut headers = HeaderMap::new();
        headers.insert("content-length", 11.into());
        let mut stream = soon(mux.open(headers, OpenOptions::default()))
            .await
            .unwrap();
        let (_, mut body) = served.request().await;
        assert_eq!(body.size_hint().exact(), Some(11), "{version}");
        assert!(!body.is_end_stream());
        stream.write_all(b"hello ").await.unwrap();
        let data = soon(body.frame())
            .await
            .unwrap()
            .unwrap()
            .into_data()
            .unwrap();
        assert_eq!(data, "hello ");
        assert_eq!(body.size_hint().exact(), Some(5));
        stream.write_all(b"world").await.unwrap();
        let mut trailers = HeaderMap::new();
        trailers.insert("sum", 42.into());
        stream.send_headers(trailers).await.unwrap();
        stream.shutdown().await.unwrap();
        settle().await;
        assert!(!body.is_end_stream());
        let rest = soon(body.collect()).await.unwrap();
        assert_eq!(rest.trailers().unwrap()["sum"], "42", "{version}");
        assert_eq!(rest.to_bytes(), "world");
    }
}

#[tokio::test(start_paused = true)]
async fn the_application_learns_of_an_abandoned_body_once() {
    for version in Version::ALL {
        let (here, there) = duplex(64 << 10);
        let (mux, _task) = mux(version, here);
        let mut served = serve(version, Semantics::Raw, there, 0);
        let mut stream = soon(mux.open(HeaderMap::new(), OpenOptions::default()))
            .await
            .unwrap();
        let (_, body) = served.request().await;
        stream.write_all(&[1; 50_000]).await.unwrap();
        settle().await;
        drop(body);
        assert!(
            matches!(soon(served.told.recv()).await.unwrap(), Told::Abandoned),
            "{version}"
        );
        // The rest is discarded; its credit goes back.
        soon(stream.write_all(&vec![1; 6_000_000])).await.unwrap();
        stream.shutdown().await.unwrap();
        soon(stream.flush()).await.unwrap();
        settle().await;
        assert!(served.told.try_recv().is_err(), "{version}: told twice");
    }
}

#[tokio::test(start_paused = true)]
async fn a_stream_waker_brings_the_task_to_its_stream() {
    for version in Version::ALL {
        let (here, there) = duplex(64 << 10);
        let (mux, _task) = mux(version, here);
        let mut served = serve(version, Semantics::Raw, there, 0);
        let _stream = soon(mux.open(HeaderMap::new(), OpenOptions::default()))
            .await
            .unwrap();
        let _request = served.request().await;
        let waker = served.wakers.recv().await.unwrap();
        settle().await;
        for _ in 0..2 {
            let before = served.counters.polls();
            // Several wakes before the task runs are one.
            waker.wake_by_ref();
            waker.wake_by_ref();
            assert!(
                matches!(soon(served.told.recv()).await.unwrap(), Told::Ready),
                "{version}"
            );
            settle().await;
            assert!(served.told.try_recv().is_err());
            assert_eq!(served.counters.polls(), before + 1, "{version}");
        }
        // And from another thread.
        let other = waker.clone();
        std::thread::spawn(move || other.wake()).join().unwrap();
        assert!(matches!(
            soon(served.told.recv()).await.unwrap(),
            Told::Ready
        ));
        // After the end it does nothing.
        served.task.abort();
        settle().await;
        waker.wake();
    }
}

#[tokio::test(start_paused = true)]
async fn the_application_learns_of_the_end_once() {
    for version in Version::ALL {
        // Graceful.
        let (here, there) = duplex(64 << 10);
        let (mux, task) = mux(version, here);
        let mut served = serve(version, Semantics::Raw, there, 0);
        settle().await;
        drop(mux);
        soon(task).await.unwrap().unwrap();
        soon(served.task).await.unwrap().unwrap();
        assert!(
            matches!(served.told.recv().await.unwrap(), Told::Closed(Ok(()))),
            "{version}"
        );
        assert!(served.told.recv().await.is_none());

        // The task is dropped while a body is read.
        let (here, there) = duplex(64 << 10);
        let (mux, _task) = self::mux(version, here);
        let mut served = serve(version, Semantics::Raw, there, 0);
        let _stream = soon(mux.open(HeaderMap::new(), OpenOptions::default()))
            .await
            .unwrap();
        let (_, mut body) = served.request().await;
        let reading = tokio::spawn(async move { body.frame().await });
        settle().await;
        served.task.abort();
        let error = soon(reading).await.unwrap().unwrap().unwrap_err();
        assert_eq!(error.initiator(), Initiator::User, "{version}");
        assert!(matches!(
            served.told.recv().await.unwrap(),
            Told::Closed(Err(_))
        ));
        assert!(served.told.recv().await.is_none());
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_not_the_protocol_ends_with_an_error() {
    for version in Version::ALL {
        let (mut here, there) = duplex(64 << 10);
        let served = serve(version, Semantics::Http, there, 0);
        // A SYN_STREAM of a SPDY version that does not exist.
        let frame = b"\x80\x09\x00\x01\x00\x00\x00\x0c\0\0\0\x01\0\0\0\0\0\0\0\0";
        here.write_all(frame).await.unwrap();
        let mut said = Vec::new();
        soon(here.read_to_end(&mut said)).await.unwrap();
        assert!(!said.is_empty(), "{version}: a last word");
        drop(here);
        let error = soon(served.task).await.unwrap().unwrap_err();
        assert_eq!(error.initiator(), Initiator::Library, "{version}: {error}");
        assert!(error.rule().is_some() || error.reason() != Reason::NoError);
    }
}

#[tokio::test(start_paused = true)]
async fn bytes_that_were_read_before_come_first() {
    for version in Version::ALL {
        let (here, mut between) = duplex(64 << 10);
        let (mux, _task) = mux(version, here);
        let options = OpenOptions {
            fin: true,
            ..OpenOptions::default()
        };
        let opening = tokio::spawn(async move { mux.open(HeaderMap::new(), options).await });
        settle().await;
        let mut early = BytesMut::with_capacity(4096);
        between.read_buf(&mut early).await.unwrap();
        let _stream = soon(opening).await.unwrap().unwrap();

        let (server, connection) = Mux::server(between, version, MuxConfig::default());
        tokio::spawn(connection.with_input(early));
        assert!(soon(server.accept()).await.is_some(), "{version}");
    }
}

/// HTTP semantics, from a client of the test's own.
#[tokio::test(start_paused = true)]
async fn requests_and_responses() {
    /// Makes one request and tells the response.
    struct Client {
        request: Option<Head>,
        told: mpsc::UnboundedSender<Told>,
    }

    impl Application for Client {
        fn handle_event(&mut self, conn: &mut Context<'_>, event: Event) {
            if let Event::Reply { stream, head, .. } = event {
                let body = conn.incoming(stream, None);
                let _ = self.told.send(Told::Request(head, body));
            }
        }

        fn pull(&mut self, _: &mut Context<'_>, _: StreamKey, _: usize) {}

        fn poll_intents(&mut self, conn: &mut Context<'_>, _: &mut task::Context<'_>) {
            if let Some(head) = self.request.take() {
                conn.engine.open(conn.now, head, true, None).unwrap();
            } else if conn.engine.is_idle() {
                conn.engine.shutdown(conn.now);
            }
        }
    }

    for version in Version::ALL {
        let (here, there) = duplex(1000);
        let mut served = serve(version, Semantics::Http, there, 123_456);
        let (tell, mut told) = mpsc::unbounded_channel();
        let head = Head::request(Method::GET, "http://example.org/path".parse().unwrap());
        let client = Client {
            request: Some(head),
            told: tell,
        };
        let client = Connection::new(here, Config::new(version, Side::Client), client);
        let task = tokio::spawn(client);
        let Told::Request(response, body) = soon(told.recv()).await.unwrap() else {
            panic!()
        };
        assert_eq!(response.status(), Some(StatusCode::OK), "{version}");
        assert_eq!(
            soon(body.collect()).await.unwrap().to_bytes().len(),
            123_456
        );
        let (_, body) = served.request().await;
        assert!(body.is_end_stream());
        soon(task).await.unwrap().unwrap();
        soon(served.task).await.unwrap().unwrap();
    }
}
