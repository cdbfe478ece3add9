//! The calls of the task to its application, and the bodies of received messages.

use std::{
    sync::Arc,
    task,
    time::{Duration, Instant},
};

use bytes::BytesMut;
use http::{HeaderMap, Method, StatusCode};
use http_body::Body;
use http_body_util::BodyExt;
use lacewing_conn::{
    Initiator, Side, Version,
    driver::{
        Mux, MuxConfig, OpenOptions,
        facade::{Application, Context, Driver},
    },
    proto::{Config, Event, Head, Rule, Semantics, StreamKey},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, duplex},
    sync::mpsc,
};

use crate::support::*;

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
        // The driver discards the rest, and returns its credit.
        soon(stream.write_all(&vec![1; 6_000_000])).await.unwrap();
        stream.shutdown().await.unwrap();
        soon(stream.flush()).await.unwrap();
        settle().await;
        assert!(served.told.try_recv().is_err(), "{version}: reported twice");
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
            // Several wakes before the task runs count as one.
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
        // The same from another thread.
        let other = waker.clone();
        std::thread::spawn(move || other.wake()).join().unwrap();
        assert!(matches!(
            soon(served.told.recv()).await.unwrap(),
            Told::Ready
        ));
        // After the end, a wake does nothing.
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

        // The task is dropped while a body is being read.
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
async fn bytes_of_another_protocol_end_with_an_error() {
    for version in Version::ALL {
        let (mut here, there) = duplex(64 << 10);
        let served = serve(version, Semantics::Http, there, 0);
        here.write_all(b"GET / HTTP/1.1\r\n\r\n").await.unwrap();
        let mut said = Vec::new();
        soon(here.read_to_end(&mut said)).await.unwrap();
        assert!(!said.is_empty(), "{version}: the final GOAWAY");
        drop(here);
        let error = soon(served.task).await.unwrap().unwrap_err();
        assert_eq!(error.initiator(), Initiator::Library, "{version}: {error}");
        assert_eq!(
            error.rule(),
            Some(Rule::ForeignProtocol),
            "{version}: {error}"
        );
        let rule = Rule::ForeignProtocol.to_string();
        let detail = error.to_string().replace(&rule, "");
        assert!(error.to_string().contains(&rule), "{version}: {error}");
        assert!(detail.len() > "connection error: PROTOCOL_ERROR (: )".len());
    }
}

#[tokio::test(start_paused = true)]
async fn bytes_that_were_read_before_arrive_first() {
    for version in Version::ALL {
        let (here, mut between) = duplex(64 << 10);
        let (mux, _task) = mux(version, here);
        let options = OpenOptions::default().with(|options| options.fin = true);
        let opening = tokio::spawn(async move { mux.open(HeaderMap::new(), options).await });
        settle().await;
        let mut early = BytesMut::with_capacity(4096);
        between.read_buf(&mut early).await.unwrap();
        let _stream = soon(opening).await.unwrap().unwrap();

        let (server, connection) = Mux::server(between, version, MuxConfig::new(Side::Server));
        tokio::spawn(connection.with_input(early));
        assert!(soon(server.accept()).await.is_some(), "{version}");
    }
}

/// HTTP semantics, for a client of this test.
#[tokio::test(start_paused = true)]
async fn requests_and_responses() {
    /// Makes one request and reports the response.
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

        fn poll_sources(&mut self, conn: &mut Context<'_>, _: &mut task::Context<'_>) {
            if let Some(head) = self.request.take() {
                conn.open(head, OpenOptions::without_content()).unwrap();
            } else if conn.is_idle() {
                conn.shutdown();
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
        let client = Driver::new(here, Config::new(version, Side::Client), client);
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

/// Requests two wake-ups at once, the later one first, and reports each call.
struct Alarmed {
    /// The wake-ups that are still due.
    due: Vec<Instant>,
    passed: mpsc::UnboundedSender<Instant>,
}

impl Application for Alarmed {
    fn handle_event(&mut self, _: &mut Context<'_>, _: Event) {}

    fn pull(&mut self, _: &mut Context<'_>, _: StreamKey, _: usize) {}

    fn poll_sources(&mut self, conn: &mut Context<'_>, _: &mut task::Context<'_>) {
        self.due.retain(|due| {
            if *due > conn.now() {
                conn.wake_at(*due);
                return true;
            }
            let _ = self.passed.send(*due);
            false
        });
    }
}

#[tokio::test(start_paused = true)]
async fn an_application_is_called_at_the_times_that_it_asked_for() {
    for version in Version::ALL {
        let (here, there) = duplex(64 << 10);
        let (_mux, _task) = mux(version, here);
        let start = tokio::time::Instant::now().into_std();
        let times = [
            start + Duration::from_secs(7),
            start + Duration::from_secs(3),
        ];
        let (passed, mut calls) = mpsc::unbounded_channel();
        let application = Alarmed {
            due: times.to_vec(),
            passed,
        };
        let config = Config::new(version, Side::Server);
        let counters = Arc::new(Counters::default());
        tokio::spawn(Counted {
            future: Driver::new(there, config, application),
            counters: Arc::clone(&counters),
        });
        settle().await;
        assert!(calls.try_recv().is_err(), "{version}: called early");
        assert_eq!(soon(calls.recv()).await, Some(times[1]), "{version}");
        assert_eq!(soon(calls.recv()).await, Some(times[0]), "{version}");
        // No wake-up is left: the task sleeps.
        settle().await;
        let polls = counters.polls();
        settle().await;
        assert_eq!(counters.polls(), polls, "{version}");
    }
}

/// A peer that sends more header lists than may wait for a reader, on stream after stream, makes us
/// reset them: it is charged as if it had (MadeYouReset).
#[tokio::test(start_paused = true)]
async fn streams_with_too_many_lists_are_charged() {
    for version in [Version::Spdy31, Version::Spdy3, Version::Spdy2] {
        let (here, there) = duplex(64 << 10);
        let (mux, _task) = mux(version, here);
        let mut served = serve(version, Semantics::Raw, there, 0);
        let mut count = 0;
        let closed = loop {
            let Ok(mut stream) = mux.open(HeaderMap::new(), OpenOptions::default()).await else {
                break soon(served.task).await.unwrap();
            };
            for number in 0..6 {
                let mut list = HeaderMap::new();
                list.insert("x-number", number.into());
                let _ = stream.send_headers(list).await;
            }
            // Held, and not read.
            let (_, _body) = served.request().await;
            // It is reset, at once: no time passes in which the charge is forgiven.
            let _ = soon(stream.recv_reply()).await;
            count += 1;
            assert!(count < 1_000, "{version}: each is reset");
        };
        let error = closed.unwrap_err();
        assert_eq!(error.rule(), Some(Rule::TooManyResets), "{version} {count}");
    }
}

/// A small part of a read buffer keeps the whole buffer, and the rest may have been for others. So
/// a reader that lags gets copies.
#[tokio::test(start_paused = true)]
async fn content_for_a_reader_that_lags_keeps_no_read_buffer() {
    for version in Version::ALL {
        let (here, there) = duplex(64 << 10);
        let (mux, _task) = mux(version, here);
        let mut served = serve(version, Semantics::Raw, there, 0);
        let mut stream = soon(mux.open(HeaderMap::new(), OpenOptions::default()))
            .await
            .unwrap();
        let (_, mut body) = served.request().await;
        stream.write_all(&[1; 600_000]).await.unwrap();
        stream.shutdown().await.unwrap();
        settle().await;
        let mut pieces = Vec::new();
        while let Some(frame) = soon(body.frame()).await {
            pieces.extend(frame.unwrap().into_data());
        }
        let length: usize = pieces.iter().map(|piece| piece.len()).sum();
        assert_eq!(length, 600_000, "{version}");
        let copied = pieces.iter().filter(|piece| piece.is_unique());
        let copied: usize = copied.map(|piece| piece.len()).sum();
        assert!(copied >= 400_000, "{version}: {copied} bytes");
    }
}
