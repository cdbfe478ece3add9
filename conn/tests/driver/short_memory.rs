//! Many connections, and their ends, while the memory budget is short.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue};
use lacewing_conn::{
    Error, Side, Version,
    driver::{
        Incoming, MemoryBudget, MemoryStep, Mux, MuxConfig, OpenOptions,
        facade::{Application, Context, Driver},
    },
    proto::{Config, Event, Head, HeaderCompression, Rule, Semantics, StreamKey},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex},
    task::JoinHandle,
};

use crate::{memory::Pair, support::*};

const MIB: usize = 1 << 20;

/// The bytes of a client that opens so many streams, with a header field of its own and this much
/// content on each, and ends none of them. Its zlib window is the largest.
async fn requests(version: Version, streams: usize, content: usize) -> Bytes {
    let (here, mut there) = duplex(8 * MIB);
    let config = MuxConfig::new(Side::Client).with(|config| {
        config.connection.header_compression = HeaderCompression::Zlib(1);
    });
    let (client, connection) = Mux::client(here, version, config);
    let task = tokio::spawn(connection);
    let mut open = Vec::new();
    for n in 0..streams {
        let mut fields = HeaderMap::new();
        fields.insert("x-number", HeaderValue::from(n));
        let stream = soon(client.open(fields, OpenOptions::default())).await;
        let mut stream = stream.unwrap();
        // The content within the protocol's window, which no peer has to grant.
        soon(stream.write_all(&vec![7; content])).await.unwrap();
        open.push(stream);
    }
    settle().await;
    let mut bytes = vec![0; 8 * MIB];
    let len = soon(there.read(&mut bytes)).await.unwrap();
    bytes.truncate(len);
    task.abort();
    bytes.into()
}

/// Holds what arrives until the connection ends, as handlers do that do not read.
struct Keeping {
    budget: MemoryBudget,
    /// The most that the budget's connections have held.
    peak: Arc<AtomicUsize>,
    /// The bytes of the response of each stream, in one piece.
    reply: usize,
    held: Vec<(StreamKey, Head, Incoming)>,
}

impl Application for Keeping {
    fn handle_event(&mut self, conn: &mut Context<'_>, event: Event) {
        match event {
            Event::Opened {
                stream, head, fin, ..
            } => {
                let body = match fin {
                    true => Incoming::empty(),
                    false => conn.incoming(stream, None),
                };
                self.held.push((stream, head, body));
                let mut stream = conn.stream(stream);
                stream.reply(Head::default(), false).unwrap();
                if self.reply > 0 {
                    let reply = Bytes::from(vec![7; self.reply]);
                    stream.send_data(reply, false).unwrap();
                }
            }
            Event::Reset { stream, .. } => self.held.retain(|(key, ..)| *key != stream),
            _ => {}
        }
    }

    fn pull(&mut self, _: &mut Context<'_>, _: StreamKey, _: usize) {}

    fn poll_sources(&mut self, _: &mut Context<'_>, _: &mut std::task::Context<'_>) {
        self.peak.fetch_max(self.budget.held(), Ordering::Relaxed);
    }

    fn handle_closed(&mut self, _: &mut Context<'_>, _: &Result<(), Error>) {
        self.held.clear();
    }
}

fn serve(
    version: Version,
    budget: &MemoryBudget,
    peak: &Arc<AtomicUsize>,
    reply: usize,
    size: usize,
) -> (DuplexStream, JoinHandle<Result<(), Error>>) {
    let (here, there) = duplex(size);
    let config = Config::new(version, Side::Server).with(|config| {
        config.semantics = Semantics::Raw;
        config.limits.idle_timeout = None;
    });
    let application = Keeping {
        budget: budget.clone(),
        peak: Arc::clone(peak),
        reply,
        held: Vec::new(),
    };
    let driver = Driver::in_budget(there, config, application, budget);
    (here, tokio::spawn(driver))
}

/// What they send at once is many times the budget. They read nothing, and all are ready in the same
/// moment: an order to end must free memory before the others take more.
#[tokio::test(start_paused = true)]
async fn hundreds_of_connections_stay_below_the_capacity_together() {
    const CONNECTIONS: usize = 300;
    const CAPACITY: usize = 12 * MIB;
    for version in Version::ALL {
        // Some protocols have a window of the connection.
        let content = match version {
            Version::Http2 | Version::Spdy31 => 1_600,
            _ => 16_000,
        };
        for content in [0, content] {
            let attack = requests(version, 40, content).await;
            let budget = MemoryBudget::new(CAPACITY);
            let peak = Arc::default();
            let mut peers = Vec::new();
            for _ in 0..CONNECTIONS {
                let (mut here, task) = serve(version, &budget, &peak, 0, 64 << 10);
                let attack = attack.clone();
                let writing = tokio::spawn(async move {
                    let _ = here.write_all(&attack).await;
                    here
                });
                peers.push((writing, task));
            }
            tokio::time::sleep(Duration::from_secs(5)).await;
            let peak = peak.load(Ordering::Relaxed);
            let context = format!("{version}, {content}: {peak}, {:?}", budget.stats());
            assert!(peak > CAPACITY / 2, "{context}");
            assert!(peak <= CAPACITY, "{context}");
            // Those that hold little are served.
            Pair::new(version, &budget).ask().await.unwrap();
            for (writing, task) in peers {
                writing.abort();
                task.abort();
            }
        }
    }
}

/// The peer reads nothing. Otherwise its connection would hold output for `write_stall_timeout`, and
/// the budget would count on memory that is not free.
#[tokio::test(start_paused = true)]
async fn the_end_that_the_budget_orders_does_not_wait_for_the_peer() {
    const CAPACITY: usize = 2 * MIB;
    for version in Version::ALL {
        let attack = requests(version, 4, 0).await;
        let budget = MemoryBudget::new(CAPACITY);
        let (mut here, task) = serve(version, &budget, &Arc::default(), 60_000, 1 << 10);
        soon(here.write_all(&attack)).await.unwrap();
        settle().await;
        let held = budget.held();
        assert!(held > 200_000, "{version}: {held}");
        let began = tokio::time::Instant::now();
        let mut others = [(); 16].map(|()| budget.open_account());
        for other in &mut others {
            other.report(CAPACITY * 86 / 100 / 16);
        }
        let error = soon(task).await.unwrap().unwrap_err();
        assert_eq!(error.rule(), Some(Rule::ConnectionOverBudget), "{version}");
        let waited = began.elapsed();
        assert!(waited < Duration::from_millis(100), "{version}: {waited:?}");
        drop(here);
    }
}

/// A connection that the budget ends, and that holds little then, still waits for its peer to read
/// the reason.
#[tokio::test(start_paused = true)]
async fn a_peer_that_reads_gets_the_reason() {
    const CAPACITY: usize = 2 * MIB;
    for version in Version::ALL {
        let attack = requests(version, 40, 1_600).await;
        let budget = MemoryBudget::new(CAPACITY);
        let (mut here, task) = serve(version, &budget, &Arc::default(), 0, MIB);
        soon(here.write_all(&attack)).await.unwrap();
        settle().await;
        let mut others = [(); 16].map(|()| budget.open_account());
        for other in &mut others {
            other.report(CAPACITY * 80 / 100 / 16);
        }
        settle().await;
        assert!(!task.is_finished(), "{version}");
        let mut end = Vec::new();
        soon(here.read_to_end(&mut end)).await.unwrap();
        if version == Version::Http2 {
            let text = String::from_utf8_lossy(&end);
            assert!(text.contains("memory_budget"), "{text}");
        }
        drop(here);
        soon(task).await.unwrap().unwrap_err();
    }
}

/// The state of zlib can be made again. Streams are open, and continue.
#[tokio::test(start_paused = true)]
async fn a_connection_that_sleeps_while_the_budget_is_short_keeps_no_state_of_zlib() {
    const CAPACITY: usize = 8 * MIB;
    for version in Version::ALL {
        let budget = MemoryBudget::new(CAPACITY);
        let mut pair = Pair::new(version, &budget);
        let first = pair.open().await;
        settle().await;
        let before = budget.held();
        let mut other = budget.open_account();
        other.report(CAPACITY * 66 / 100);
        let second = pair.open().await;
        settle().await;
        let held = budget.held() - other.held();
        if version != Version::Http2 {
            assert!(before > 48 << 10, "{version}: {before}");
        }
        assert!(held < 48 << 10, "{version}: {held}");
        drop(other);
        for (stream, body) in [first, second] {
            let (_reader, mut writer) = stream.into_split();
            soon(writer.write_all(&[7; 1000])).await.unwrap();
            soon(writer.shutdown()).await.unwrap();
            let body = http_body_util::BodyExt::collect(body);
            assert_eq!(soon(body).await.unwrap().to_bytes().len(), 1000);
        }
        pair.ask().await.unwrap();
    }
}

/// The first order to shed frees the state of zlib of a connection that is asleep. No stream ends.
#[tokio::test(start_paused = true)]
async fn the_state_of_zlib_is_shed_before_a_stream() {
    const CAPACITY: usize = MIB;
    for version in [Version::Spdy2, Version::Spdy3, Version::Spdy31] {
        let budget = MemoryBudget::new(CAPACITY);
        let mut pair = Pair::new(version, &budget);
        let open = pair.open().await;
        settle().await;
        let before = budget.held();
        let mut others = [(); 32].map(|()| budget.open_account());
        for other in &mut others {
            other.report((CAPACITY * 79 / 100 - before) / 32);
        }
        settle().await;
        assert!(budget.step() < MemoryStep::Shed, "{version}");
        assert_eq!(budget.stats().shed, 0, "{version}");
        drop(others);
        pair.ask().await.unwrap();
        drop(open);
    }
}

/// Nothing is read while nearly all memory is held, and then all.
#[tokio::test(start_paused = true)]
async fn a_full_budget_delays_reads_and_loses_nothing() {
    const CAPACITY: usize = 4 * MIB;
    for version in Version::ALL {
        let budget = MemoryBudget::new(CAPACITY);
        let mut pair = Pair::new(version, &budget);
        pair.ask().await.unwrap();
        // These accounts do not obey.
        let mut others = [(); 16].map(|()| budget.open_account());
        for other in &mut others {
            other.report(CAPACITY * 96 / 100 / 16);
        }
        let began = tokio::time::Instant::now();
        pair.ask().await.unwrap();
        let waited = began.elapsed();
        let (least, most) = (Duration::from_millis(90), Duration::from_secs(5));
        assert!((least..most).contains(&waited), "{version}: {waited:?}");
        drop(others);
        pair.ask().await.unwrap();
    }
}
