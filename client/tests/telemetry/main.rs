//! Spans, events and metrics, with the features enabled.

#![cfg(any(feature = "tracing", feature = "metrics"))]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    missing_docs
)]

#[path = "../support/lib.rs"]
mod support;

/// A thread without a subscriber may reach a callsite first. `tracing` may then treat the callsite
/// as disabled, so these tests run one after the other.
static ALONE: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());

#[cfg(feature = "tracing")]
mod events {
    use std::{
        io,
        sync::{Arc, Mutex},
    };

    use lacewing_client::{ClientOptions, Version};

    use crate::support::{peer::*, *};

    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[tokio::test]
    async fn requests_and_their_ends_are_told_in_the_span_of_their_connection() {
        let _alone = crate::ALONE.lock().await;
        let lines = Lines::default();
        let writer = lines.clone();
        let subscriber = tracing_subscriber::fmt()
            .with_max_level(tracing_subscriber::filter::LevelFilter::DEBUG)
            .with_ansi(false)
            .with_writer(move || writer.clone())
            .finish();
        // The tests of this program run on several threads.
        let _guard = tracing::subscriber::set_default(subscriber);
        let (connection, mut peer) = by_hand(ClientOptions::default(), &[]).await;
        let first = connection.request(get("/first"));
        peer.expect(HEADERS).await;
        peer.answer(1).await;
        first.await.unwrap();
        let second = connection.request(get("/second"));
        peer.expect(HEADERS).await;
        peer.reset(3, REFUSED_STREAM).await;
        second.await.unwrap_err();
        let text = String::from_utf8(lines.0.lock().unwrap().clone()).unwrap();
        let span = format!("protocol=\"{}\"", Version::Http2.alpn());
        for (event, stream) in [
            ("request sent", 1),
            ("response", 1),
            ("request sent", 3),
            ("stream reset", 3),
        ] {
            let told = text.lines().any(|line| {
                line.contains(&span)
                    && line.contains(event)
                    && line.contains(&format!("stream={stream}"))
            });
            assert!(told, "{event} {stream}: {text}");
        }
    }
}

#[cfg(feature = "metrics")]
mod figures {
    use std::{
        collections::BTreeMap,
        sync::{Arc, Mutex},
    };

    use metrics::{
        Counter, CounterFn, Gauge, GaugeFn, Histogram, HistogramFn, Key, KeyName, Metadata,
        Recorder, SharedString, Unit,
    };

    use crate::support::*;

    /// The sum of the values of each name.
    #[derive(Clone, Debug, Default)]
    struct Sums(Arc<Mutex<BTreeMap<String, f64>>>);

    #[derive(Debug)]
    struct Sum(String, Sums);

    impl Sum {
        fn add(&self, value: f64) {
            *self.1.0.lock().unwrap().entry(self.0.clone()).or_default() += value;
        }
    }

    impl CounterFn for Sum {
        fn increment(&self, value: u64) {
            self.add(value as f64);
        }
        fn absolute(&self, _: u64) {
            panic!("counters only grow");
        }
    }

    impl GaugeFn for Sum {
        fn increment(&self, value: f64) {
            self.add(value);
        }
        fn decrement(&self, value: f64) {
            self.add(-value);
        }
        fn set(&self, _: f64) {
            panic!("several connections share a gauge");
        }
    }

    impl HistogramFn for Sum {
        fn record(&self, value: f64) {
            assert!(value >= 0.0);
            self.add(1.0);
        }
    }

    impl Sums {
        fn sum(&self, key: &Key) -> Arc<Sum> {
            Arc::new(Sum(key.name().to_owned(), self.clone()))
        }

        fn of(&self, name: &str) -> f64 {
            let sums = self.0.lock().unwrap();
            sums.get(&format!("lacewing_client_{name}"))
                .copied()
                .unwrap_or_default()
        }
    }

    impl Recorder for Sums {
        fn describe_counter(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
        fn describe_gauge(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
        fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

        fn register_counter(&self, key: &Key, _: &Metadata<'_>) -> Counter {
            Counter::from_arc(self.sum(key))
        }
        fn register_gauge(&self, key: &Key, _: &Metadata<'_>) -> Gauge {
            Gauge::from_arc(self.sum(key))
        }
        fn register_histogram(&self, key: &Key, _: &Metadata<'_>) -> Histogram {
            Histogram::from_arc(self.sum(key))
        }
    }

    #[test]
    fn connections_streams_and_responses_are_counted() {
        let _alone = crate::ALONE.blocking_lock();
        let sums = Sums::default();
        let _guard = metrics::set_default_local_recorder(&sums);
        every_version(|version| async move {
            let pair = pair(version);
            let response = pair.connection.request(get("/hello")).await.unwrap();
            assert_eq!(text(response).await, "hello world");
            let response = pair.connection.request(get("/stall")).await.unwrap();
            drop(response);
            drop(pair.connection);
            pair.client_task.await.unwrap().unwrap();
        });
        assert_eq!(sums.of("connections_total"), 4.0);
        assert_eq!(sums.of("responses_total"), 8.0);
        assert_eq!(sums.of("response_seconds"), 8.0);
        // All open streams and connections have closed.
        assert_eq!(sums.of("connections"), 0.0);
        assert_eq!(sums.of("streams"), 0.0);
        assert_eq!(sums.of("queued"), 0.0);
    }
}
