//! The events and metrics of the features `tracing` and `metrics`.

#![cfg(all(feature = "tracing", feature = "metrics"))]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

use std::{
    collections::BTreeMap,
    fmt::{Debug, Write as _},
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
};

use bytes::BytesMut;
use http::{Method, Request, Response};
use lacewing_conn::proto::{Config, Engine, Event, Head, OpenOptions, Transmit};
use lacewing_server::{RequestBody, ServerOptions, Side, Version, serve_connection, service_fn};
use metrics::{
    Counter, Gauge, Histogram, HistogramFn, Key, KeyName, Metadata, Recorder, SharedString, Unit,
};
use std::time::Instant;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tracing::{
    Subscriber,
    field::{Field, Visit},
    span::{Attributes, Id, Record},
};

/// Records spans and events.
#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<String>>>);

struct Text(String);

impl Visit for Text {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        let _ = write!(self.0, " {}={value:?}", field.name());
    }
}

impl Subscriber for Lines {
    fn enabled(&self, metadata: &tracing::Metadata<'_>) -> bool {
        metadata.target().starts_with("lacewing_server")
    }

    fn new_span(&self, span: &Attributes<'_>) -> Id {
        let mut text = Text(format!("span {}", span.metadata().name()));
        span.record(&mut text);
        self.0.lock().unwrap().push(text.0);
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}
    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &tracing::Event<'_>) {
        let mut text = Text(event.metadata().level().to_string());
        event.record(&mut text);
        self.0.lock().unwrap().push(text.0);
    }

    fn enter(&self, _: &Id) {}
    fn exit(&self, _: &Id) {}
}

/// Sums the values.
#[derive(Default)]
struct Numbers {
    counters: Mutex<BTreeMap<String, Arc<AtomicU64>>>,
    recorded: Arc<AtomicU64>,
}

struct Recorded(Arc<AtomicU64>);

impl HistogramFn for Recorded {
    fn record(&self, _: f64) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

impl Numbers {
    fn of(&self, key: &Key) -> Arc<AtomicU64> {
        let labels: Vec<_> = key.labels().map(metrics::Label::value).collect();
        let name = format!("{} {}", key.name(), labels.join(" "));
        Arc::clone(self.counters.lock().unwrap().entry(name).or_default())
    }

    fn count(&self, name: &str) -> u64 {
        let counters = self.counters.lock().unwrap();
        let counter = counters.get(name);
        counter.map_or(0, |counter| counter.load(Ordering::SeqCst))
    }

    fn gauge(&self, name: &str) -> f64 {
        f64::from_bits(self.count(name))
    }
}

impl Recorder for Numbers {
    fn describe_counter(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_gauge(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn register_counter(&self, key: &Key, _: &Metadata<'_>) -> Counter {
        Counter::from_arc(self.of(key))
    }

    fn register_gauge(&self, key: &Key, _: &Metadata<'_>) -> Gauge {
        Gauge::from_arc(self.of(key))
    }

    fn register_histogram(&self, _: &Key, _: &Metadata<'_>) -> Histogram {
        Histogram::from_arc(Arc::new(Recorded(Arc::clone(&self.recorded))))
    }
}

async fn serve(request: Request<RequestBody>) -> Result<Response<String>, std::io::Error> {
    match request.uri().path() {
        "/wrong" => Err(std::io::Error::other("no database")),
        "/never" => std::future::pending().await,
        "/read" => {
            use http_body_util::BodyExt;
            let _ = request.into_body().collect().await;
            Ok(Response::new("hello".into()))
        }
        "/slow" => {
            tokio::task::yield_now().await;
            let mut response = Response::new("slowly".into());
            // As a service written for HTTP/1.1 would.
            let keep_alive = http::HeaderValue::from_static("keep-alive");
            response.headers_mut().insert("connection", keep_alive);
            Ok(response)
        }
        _ => Ok(Response::new("hello".into())),
    }
}

/// Makes three requests over HTTP/1.1 and disappears during a fourth. Makes one more on another
/// connection, which ends normally.
#[cfg(feature = "http1")]
async fn converse_by_http1() {
    let told = Arc::new(Mutex::new(Vec::new()));
    let connect = || {
        let (io, server) = tokio::io::duplex(64 << 10);
        let told = Arc::clone(&told);
        let options = ServerOptions::default()
            .stats_every(std::time::Duration::from_secs(3600))
            .observer(move |event| {
                if let lacewing_server::ServerEvent::Stats { stats, .. } = event {
                    told.lock().unwrap().push((*stats).clone());
                }
            });
        let protocol = lacewing_server::Protocol::Http1;
        let serving = serve_connection(server, protocol, options, service_fn(serve));
        (io, tokio::spawn(serving))
    };
    let post = |path: &str, close: &str| {
        format!("POST {path} HTTP/1.1\r\nhost: a\r\n{close}content-length: 4\r\n\r\nbody")
    };
    let (mut io, serving) = connect();
    for (path, last) in [("/", "hello"), ("/slow", "slowly"), ("/wrong", "\r\n\r\n")] {
        io.write_all(post(path, "").as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        while !answer.ends_with(last.as_bytes()) {
            assert_ne!(io.read_buf(&mut answer).await.unwrap(), 0);
        }
    }
    io.write_all(post("/never", "").as_bytes()).await.unwrap();
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
    serving.abort();
    let _ = serving.await;

    let (mut io, serving) = connect();
    let request = post("/read", "connection: close\r\n");
    io.write_all(request.as_bytes()).await.unwrap();
    io.read_to_end(&mut Vec::new()).await.unwrap();
    serving.await.unwrap().unwrap();
    let last = told.lock().unwrap().pop().unwrap();
    let numbers = (last.open_streams, last.data_sent, last.data_received);
    assert_eq!(numbers, (0, 5, 4));
}

/// Makes three requests to a server, and closes the transport.
async fn converse() {
    let (mut io, server) = tokio::io::duplex(64 << 10);
    let serving = serve_connection(
        server,
        Version::Http2,
        ServerOptions::default(),
        service_fn(serve),
    );
    let serving = tokio::spawn(serving);
    let mut engine = Engine::new(Config::new(Version::Http2, Side::Client), Instant::now(), 1);
    for path in ["/", "/slow", "/wrong"] {
        let uri = format!("http://example.org{path}").parse().unwrap();
        let head = Head::request(Method::GET, uri);
        engine
            .open(Instant::now(), head, OpenOptions::without_content())
            .unwrap();
    }
    let mut input = BytesMut::new();
    while engine.open_streams() > 0 {
        while engine.poll_transmit(Instant::now()) != Transmit::Idle {}
        io.write_all_buf(engine.output()).await.unwrap();
        assert_ne!(io.read_buf(&mut input).await.unwrap(), 0);
        while let Some(event) = engine.poll_event(Instant::now(), &mut input) {
            if let Event::Data { stream, data, .. } = event {
                engine.stream(Instant::now(), stream).release(data.len());
            }
        }
    }
    drop(io);
    let _ = serving.await.unwrap();
}

struct Told {
    lines: Vec<String>,
    numbers: Numbers,
}

/// The `tracing` events during the run.
fn told_of(conversation: impl Future<Output = ()>) -> Told {
    let (lines, numbers) = (Lines::default(), Numbers::default());
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    tracing::subscriber::with_default(lines.clone(), || {
        metrics::with_local_recorder(&numbers, || runtime.block_on(conversation));
    });
    let lines = lines.0.lock().unwrap().clone();
    Told { lines, numbers }
}

impl Told {
    fn has(&self, parts: &[&str]) {
        let mut lines = self.lines.iter();
        let found = lines.any(|line| parts.iter().all(|part| line.contains(part)));
        assert!(found, "{parts:?} in {:#?}", self.lines);
    }

    fn count(&self, name: &str) -> u64 {
        self.numbers.count(&format!("lacewing_server_{name}"))
    }

    fn recorded(&self) -> u64 {
        self.numbers.recorded.load(Ordering::SeqCst)
    }

    /// Gauges are zero again.
    fn nothing_is_left(&self, protocol: &str) {
        for gauge in ["connections", "streams"] {
            let left = self
                .numbers
                .gauge(&format!("lacewing_server_{gauge} {protocol}"));
            assert!(left.abs() < f64::EPSILON, "{gauge}: {left}");
        }
    }
}

#[test]
fn requests_are_told_and_counted() {
    let told = told_of(converse());
    told.has(&["span connection", "protocol=\"h2\""]);
    told.has(&[
        "DEBUG",
        "request",
        "stream=1",
        "method=GET",
        "uri=http://example.org/",
    ]);
    told.has(&["DEBUG", "response", "stream=3", "status=200", "elapsed="]);
    told.has(&["DEBUG", "left out of the response", "field=connection"]);
    told.has(&["WARN", "request failed", "stream=5", "no database"]);
    assert_eq!(told.count("connections_total h2"), 1);
    assert_eq!(told.count("requests_total h2 2xx"), 2);
    assert_eq!(told.count("requests_total h2 5xx"), 1);
    assert_eq!(told.count("failures_total h2 handler"), 1);
    assert_eq!(told.recorded(), 3);
    told.nothing_is_left("h2");
}

#[cfg(feature = "http1")]
#[test]
fn requests_of_http_1_1_are_told_and_counted_as_all_others() {
    let told = told_of(converse_by_http1());
    told.has(&["span connection", "protocol=\"http/1.1\""]);
    told.has(&["DEBUG", "request", "stream=1", "method=POST", "uri=/"]);
    told.has(&["DEBUG", "response", "stream=2", "status=200", "elapsed="]);
    told.has(&["WARN", "request failed", "stream=3", "no database"]);
    told.has(&["DEBUG", "stream reset", "stream=4"]);
    assert_eq!(told.count("connections_total http/1.1"), 2);
    assert_eq!(told.count("requests_total http/1.1 2xx"), 3);
    assert_eq!(told.count("requests_total http/1.1 5xx"), 1);
    assert_eq!(told.count("failures_total http/1.1 handler"), 1);
    assert_eq!(told.count("resets_total http/1.1 CANCEL"), 1);
    // Of the connection that ended with a report.
    assert_eq!(told.count("bytes_total http/1.1 sent"), 5);
    assert_eq!(told.count("bytes_total http/1.1 received"), 4);
    assert_eq!(told.recorded(), 4);
    told.nothing_is_left("http/1.1");
}
