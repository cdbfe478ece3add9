//! What the features `tracing` and `metrics` tell.

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
use lacewing_conn::proto::{Config, Engine, Event, Head, Transmit};
use lacewing_server::{Incoming, Options, Side, Version, serve_connection, service_fn};
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

/// Writes spans and events down.
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

/// Adds numbers up.
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

async fn serve(request: Request<Incoming>) -> Result<Response<String>, std::io::Error> {
    match request.uri().path() {
        "/wrong" => Err(std::io::Error::other("no database")),
        "/slow" => {
            tokio::task::yield_now().await;
            let mut response = Response::new("slowly".into());
            // As a service of HTTP/1.1 would.
            let keep_alive = http::HeaderValue::from_static("keep-alive");
            response.headers_mut().insert("connection", keep_alive);
            Ok(response)
        }
        _ => Ok(Response::new("hello".into())),
    }
}

/// Makes three requests of a server, and hangs up.
async fn converse() {
    let (mut io, server) = tokio::io::duplex(64 << 10);
    let serving = serve_connection(
        server,
        Version::Http2,
        Options::default(),
        service_fn(serve),
    );
    let serving = tokio::spawn(serving);
    let mut engine = Engine::new(Config::new(Version::Http2, Side::Client), Instant::now(), 1);
    for path in ["/", "/slow", "/wrong"] {
        let uri = format!("http://example.org{path}").parse().unwrap();
        let head = Head::request(Method::GET, uri);
        engine.open(Instant::now(), head, true, None).unwrap();
    }
    let mut input = BytesMut::new();
    while engine.open_streams() > 0 {
        while engine.poll_transmit(Instant::now()) != Transmit::Idle {}
        io.write_all_buf(engine.output()).await.unwrap();
        assert_ne!(io.read_buf(&mut input).await.unwrap(), 0);
        while let Some(event) = engine.poll_event(Instant::now(), &mut input) {
            if let Event::Data { stream, data, .. } = event {
                engine.release(stream, data.len());
            }
        }
    }
    drop(io);
    let _ = serving.await.unwrap();
}

#[test]
fn requests_are_told_and_counted() {
    let (lines, numbers) = (Lines::default(), Numbers::default());
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    tracing::subscriber::with_default(lines.clone(), || {
        metrics::with_local_recorder(&numbers, || runtime.block_on(converse()));
    });
    let told = lines.0.lock().unwrap().clone();
    let has = |parts: &[&str]| {
        let found = told
            .iter()
            .any(|line| parts.iter().all(|part| line.contains(part)));
        assert!(found, "{parts:?} in {told:#?}");
    };
    has(&["span connection", "protocol=\"h2\""]);
    has(&[
        "DEBUG",
        "request",
        "stream=1",
        "method=GET",
        "uri=http://example.org/",
    ]);
    has(&["DEBUG", "response", "stream=3", "status=200", "elapsed="]);
    has(&["DEBUG", "left out of the response", "field=connection"]);
    has(&["WARN", "request failed", "stream=5", "no database"]);

    let counters = numbers
        .counters
        .lock()
        .unwrap()
        .keys()
        .cloned()
        .collect::<Vec<_>>();
    let count = |name: &str| numbers.count(&format!("lacewing_server_{name}"));
    assert_eq!(count("connections_total h2"), 1, "{counters:?}");
    assert_eq!(count("requests_total h2 2xx"), 2, "{counters:?}");
    assert_eq!(count("requests_total h2 5xx"), 1, "{counters:?}");
    assert_eq!(count("failures_total h2 handler"), 1, "{counters:?}");
    assert_eq!(numbers.recorded.load(Ordering::SeqCst), 3);
    for gauge in ["connections h2", "streams h2"] {
        let left = numbers.gauge(&format!("lacewing_server_{gauge}"));
        assert!(left.abs() < f64::EPSILON, "{gauge}: {left}");
    }
}
