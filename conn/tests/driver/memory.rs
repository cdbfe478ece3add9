//! The memory budget of several connections, and bodies that wait for windows.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use http_body_util::BodyExt;
use lacewing_conn::{
    Error, Initiator, Limits, Reason, Side, Version,
    driver::{
        Incoming, MemoryBudget, MemoryStep, Mux, OpenOptions, RawStream,
        facade::{Application, Context, Driver, MemoryReport},
    },
    proto::{Config, Event, Head, Rule, Semantics, StreamKey},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex},
    sync::mpsc,
    task::JoinHandle,
};

use crate::support::*;

const CAPACITY: usize = 1 << 20;

/// Replies to each stream, and passes its body to the test.
struct Holder {
    bodies: mpsc::UnboundedSender<Incoming>,
    steps: mpsc::UnboundedSender<MemoryReport>,
    turns: Arc<AtomicUsize>,
}

impl Application for Holder {
    fn handle_event(&mut self, conn: &mut Context<'_>, event: Event) {
        if let Event::Opened { stream, fin, .. } = event {
            let body = match fin {
                true => Incoming::empty(),
                false => conn.incoming(stream, None),
            };
            let _ = self.bodies.send(body);
            conn.stream(stream).reply(Head::default(), fin).unwrap();
        }
    }

    fn pull(&mut self, _: &mut Context<'_>, _: StreamKey, _: usize) {}

    fn poll_sources(&mut self, _: &mut Context<'_>, _: &mut std::task::Context<'_>) {
        self.turns.fetch_add(1, Ordering::Relaxed);
    }

    fn handle_memory_step(&mut self, _: &mut Context<'_>, report: &MemoryReport) {
        let _ = self.steps.send(*report);
    }
}

/// A client and a server that share a budget.
pub(crate) struct Pair {
    mux: Mux,
    bodies: mpsc::UnboundedReceiver<Incoming>,
    steps: mpsc::UnboundedReceiver<MemoryReport>,
    /// The turns of the server's task.
    turns: Arc<AtomicUsize>,
    task: JoinHandle<Result<(), Error>>,
}

impl Pair {
    pub(crate) fn new(version: Version, budget: &MemoryBudget) -> Self {
        Self::with(version, budget, |_| {})
    }

    fn with(version: Version, budget: &MemoryBudget, change: impl FnOnce(&mut Limits)) -> Self {
        let (here, there) = duplex(16 << 10);
        let (mux, _) = mux(version, here);
        Self::serving(mux, there, version, budget, change)
    }

    /// A server of what this client has written already.
    fn serving(
        mux: Mux,
        there: DuplexStream,
        version: Version,
        budget: &MemoryBudget,
        change: impl FnOnce(&mut Limits),
    ) -> Self {
        let (tell_bodies, bodies) = mpsc::unbounded_channel();
        let (tell_steps, steps) = mpsc::unbounded_channel();
        let config = Config::new(version, Side::Server).with(|config| {
            config.semantics = Semantics::Raw;
            config.limits.idle_timeout = None;
            config.limits.stream_window = 256 << 10;
            config.limits.max_stream_window = 256 << 10;
            change(&mut config.limits);
        });
        let turns = Arc::new(AtomicUsize::new(0));
        let holder = Holder {
            bodies: tell_bodies,
            steps: tell_steps,
            turns: Arc::clone(&turns),
        };
        let task = tokio::spawn(Driver::in_budget(there, config, holder, budget));
        Self {
            mux,
            bodies,
            steps,
            turns,
            task,
        }
    }

    /// The next step that was reported.
    async fn step(&mut self) -> MemoryStep {
        soon(self.steps.recv()).await.unwrap().step
    }

    pub(crate) async fn open(&mut self) -> (RawStream, Incoming) {
        let stream = soon(self.mux.open(HeaderMap::new(), OpenOptions::default())).await;
        (stream.unwrap(), soon(self.bodies.recv()).await.unwrap())
    }

    /// Sends bytes that no reader takes; returns the body in which they wait.
    async fn upload(&mut self, len: usize) -> (Incoming, JoinHandle<()>) {
        let (stream, body) = self.open().await;
        let (_reader, mut writer) = stream.into_split();
        let writing = tokio::spawn(async move {
            let _ = writer.write_all(&vec![7; len]).await;
            let _ = writer.shutdown().await;
        });
        settle().await;
        (body, writing)
    }

    /// Opens a stream. Returns the error of the peer's reset, if it sends one.
    pub(crate) async fn ask(&mut self) -> Result<(), Error> {
        let options = OpenOptions::default().with(|options| options.fin = true);
        let mut stream = soon(self.mux.open(HeaderMap::new(), options)).await?;
        let mut end = Vec::new();
        match soon(stream.read_to_end(&mut end)).await {
            Ok(_) => Ok(()),
            Err(error) => Err(*error.into_inner().unwrap().downcast().unwrap()),
        }
    }
}

async fn length(body: Incoming) -> usize {
    soon(body.collect()).await.unwrap().to_bytes().len()
}

#[tokio::test(start_paused = true)]
async fn a_connection_above_its_share_is_read_slowly_and_finishes() {
    for version in Version::ALL {
        let budget = MemoryBudget::new(CAPACITY);
        let mut other = budget.open_account();
        other.report(CAPACITY * 30 / 100);
        let mut pair = Pair::new(version, &budget);
        let mut bodies = Vec::new();
        for _ in 0..2 {
            bodies.push(pair.upload(250_000).await);
        }
        assert_eq!(pair.step().await, MemoryStep::Pause, "{version}");
        let stats = budget.stats();
        assert_eq!((stats.paused, stats.closed), (1, 0), "{version}");
        assert!(
            stats.held < CAPACITY * 80 / 100,
            "{version}: {}",
            stats.held
        );
        // Transfers that free memory continue: the reader, and the bytes after it.
        for (body, writing) in bodies {
            assert_eq!(length(body).await, 250_000, "{version}");
            soon(writing).await.unwrap();
        }
        drop(other);
        pair.ask().await.unwrap();
    }
}

/// With a thousand connections, as much as one turn can read would be many times the budget. These
/// protocols have no window that stops a client before the server has read anything.
#[tokio::test(start_paused = true)]
async fn a_connection_stops_at_its_share_within_a_turn_while_the_budget_is_short() {
    const LARGE: usize = 8 << 20;
    for version in [Version::Spdy3, Version::Spdy2] {
        let (here, there) = duplex(1 << 20);
        let (client, _) = mux(version, here);
        let mut streams = Vec::new();
        for _ in 0..8 {
            let stream = client.open(HeaderMap::new(), OpenOptions::default());
            let mut stream = soon(stream).await.unwrap();
            soon(stream.write_all(&[7; 60_000])).await.unwrap();
            streams.push(stream);
        }
        settle().await;
        let budget = MemoryBudget::new(LARGE);
        let mut others: Vec<_> = (0..100).map(|_| budget.open_account()).collect();
        others[0].report(LARGE * 66 / 100);
        let before = budget.held();
        let mut pair = Pair::serving(client, there, version, &budget, |_| {});
        assert_eq!(pair.step().await, MemoryStep::Pause, "{version}");
        settle_turns().await;
        // The state of zlib, about as much content, and one small read.
        let held = budget.held() - before;
        assert!((64 << 10..220_000).contains(&held), "{version}: {held}");
    }
}

/// A connection that is read slowly, and then not at all, sleeps: the time of its next slow read
/// passes without a read.
#[tokio::test(start_paused = true)]
async fn a_slow_read_that_is_not_possible_leaves_the_task_asleep() {
    for version in Version::ALL {
        let budget = MemoryBudget::new(CAPACITY);
        let mut other = budget.open_account();
        other.report(CAPACITY * 45 / 100);
        let mut pair = Pair::with(version, &budget, |limits| {
            limits.max_buffered_bytes = 250_000;
        });
        let (first, second) = (pair.open().await, pair.open().await);
        // Without windows, slow reads fill the bound.
        let mut held = Vec::new();
        for (stream, body) in [first, second] {
            let (reader, mut writer) = stream.into_split();
            let writing = async move { writer.write_all(&vec![7; 250_000]).await };
            held.push((reader, body, tokio::spawn(writing)));
        }
        for _ in 0..100 {
            tokio::time::advance(Duration::from_millis(100)).await;
            settle_turns().await;
        }
        let before = pair.turns.load(Ordering::Relaxed);
        tokio::time::advance(Duration::from_millis(150)).await;
        settle_turns().await;
        let turns = pair.turns.load(Ordering::Relaxed) - before;
        assert!(turns < 20, "{version}: {turns} turns");
        drop(held);
    }
}

/// Lets other tasks run, even if one of them never sleeps.
async fn settle_turns() {
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
}

/// The cap of the connection itself: it is read slowly, and all that was sent arrives.
#[tokio::test(start_paused = true)]
async fn a_connection_near_its_cap_is_read_slowly_and_finishes() {
    const CAP: usize = 1 << 20;
    const EACH: usize = 600_000;
    for version in Version::ALL {
        let budget = MemoryBudget::new(64 << 20);
        let mut pair = Pair::with(version, &budget, |limits| limits.max_connection_bytes = CAP);
        let mut opened = Vec::new();
        for _ in 0..5 {
            opened.push(pair.open().await);
        }
        let (bodies, writers): (Vec<_>, Vec<_>) = opened
            .into_iter()
            .map(|(stream, body)| {
                let (_reader, mut writer) = stream.into_split();
                let writing = async move {
                    writer.write_all(&vec![7; EACH]).await?;
                    writer.shutdown().await
                };
                (body, tokio::spawn(writing))
            })
            .unzip();
        assert_eq!(pair.step().await, MemoryStep::Pause, "{version}");
        // It stands still for now, and no stream was refused or ended.
        let held = budget.held();
        assert!((CAP * 3 / 4..CAP).contains(&held), "{version}: {held}");
        settle().await;
        assert_eq!(budget.held(), held, "{version}");
        assert!(!writers.iter().any(JoinHandle::is_finished), "{version}");

        let lengths = futures_util::future::join_all(bodies.into_iter().map(length)).await;
        assert_eq!(lengths, [EACH; 5], "{version}");
        for writing in writers {
            soon(writing).await.unwrap().unwrap();
        }
        let stats = budget.stats();
        assert_eq!(
            (stats.refused, stats.shed, stats.closed),
            (0, 0, 0),
            "{version}"
        );
        assert!(stats.held < CAP / 2, "{version}: {}", stats.held);
        pair.ask().await.unwrap();
    }
}

/// A peer that resets its streams does not escape the limits: their data is still there.
#[tokio::test(start_paused = true)]
async fn data_of_streams_that_are_gone_counts_until_it_is_read() {
    const EACH: usize = 200_000;
    for version in Version::ALL {
        let budget = MemoryBudget::new(64 << 20);
        let mut pair = Pair::new(version, &budget);
        let mut bodies = Vec::new();
        for _ in 0..4 {
            let (mut stream, body) = pair.open().await;
            soon(stream.write_all(&vec![7; EACH])).await.unwrap();
            settle().await;
            stream.reset(Reason::Cancel);
            settle().await;
            bodies.push(body);
        }
        let held = budget.held();
        assert!(held >= 4 * EACH, "{version}: {held}");
        let mut first = bodies.pop().unwrap();
        let mut read = 0;
        while let Some(Ok(frame)) = soon(first.frame()).await {
            read += frame.into_data().unwrap().len();
        }
        assert_eq!(read, EACH, "{version}");
        drop(bodies);
        pair.ask().await.unwrap();
        settle().await;
        assert!(budget.held() < EACH, "{version}: {}", budget.held());
    }
}

/// Each step of the connection's own cap is reported, with the limit and its value.
#[tokio::test(start_paused = true)]
async fn the_steps_of_the_connections_cap_are_reported() {
    const CAP: usize = 1 << 20;
    for version in Version::ALL {
        let budget = MemoryBudget::new(64 << 20);
        let mut pair = Pair::with(version, &budget, |limits| limits.max_connection_bytes = CAP);
        let windows = version != Version::Spdy2;
        let stalled = match windows {
            true => Some(pair.upload(300_000).await),
            false => None,
        };
        let mut fields = HeaderMap::new();
        for n in 0..75 {
            let name = http::HeaderName::from_bytes(format!("x-{n:03}").as_bytes()).unwrap();
            fields.insert(name, http::HeaderValue::from_static("v"));
        }
        let mut open = Vec::new();
        let refused = loop {
            let stream = pair.mux.open(fields.clone(), OpenOptions::default());
            open.push(soon(stream).await.unwrap());
            settle().await;
            match pair.steps.try_recv() {
                Ok(report) => break report,
                Err(_) => assert!(open.len() < 98, "{version}"),
            }
        };
        let is_near = |report: MemoryReport, step| {
            assert_eq!(report.step, step, "{version}");
            assert_eq!(report.limit, "max_connection_bytes", "{version}");
            assert_eq!(report.capacity, CAP, "{version}");
            let held = report.held;
            assert!((CAP * 3 / 4..=CAP).contains(&held), "{version}: {held}");
        };
        is_near(refused, MemoryStep::Refuse);
        // Content that does not stall. Its readers are slow.
        for mut stream in open.drain(..) {
            tokio::spawn(async move {
                let _ = stream.write_all(&[7; 30_000]).await;
                std::future::pending::<()>().await;
            });
        }
        let mut taken = Vec::new();
        while taken.last() != Some(&MemoryStep::Close) {
            let report = soon(pair.steps.recv()).await.unwrap();
            is_near(report, report.step);
            taken.push(report.step);
        }
        assert_eq!(taken.contains(&MemoryStep::Shed), windows, "{version}");
        let error = soon(pair.task).await.unwrap().unwrap_err();
        assert_eq!(error.rule(), Some(Rule::ConnectionOverBudget), "{version}");
        let stats = budget.stats();
        assert!(stats.refused > 0, "{version}");
        assert_eq!((stats.shed > 0, stats.closed), (windows, 1), "{version}");
        drop(stalled);
    }
}

#[tokio::test(start_paused = true)]
async fn new_streams_are_refused_above_the_share_and_not_below() {
    for version in Version::ALL {
        let budget = MemoryBudget::new(CAPACITY);
        let (mut costly, mut small) = (Pair::new(version, &budget), Pair::new(version, &budget));
        let held = costly.upload(250_000).await;
        let mut other = budget.open_account();
        other.report(CAPACITY * 71 / 100 - budget.held());
        assert_eq!(budget.step(), MemoryStep::Pause);
        // While it sleeps, it has no state of zlib.
        costly.ask().await.unwrap();
        settle().await;
        other.report(CAPACITY * 75 / 100 - (budget.held() - other.held()));
        assert_eq!(budget.step(), MemoryStep::Refuse);
        let error = costly.ask().await.unwrap_err();
        assert_eq!(error.reason(), Reason::RefusedStream, "{version}");
        assert!(error.is_retryable(), "{version}");
        while costly.step().await != MemoryStep::Refuse {}
        assert_eq!(budget.stats().refused, 1, "{version}");
        small.ask().await.unwrap();
        // More refusals are reported again after ten seconds.
        for again in [false, true] {
            costly.ask().await.unwrap_err();
            settle().await;
            let reported = std::iter::from_fn(|| costly.steps.try_recv().ok())
                .any(|report| report.step == MemoryStep::Refuse);
            assert_eq!(reported, again, "{version}");
            tokio::time::sleep(Duration::from_secs(11)).await;
        }
        drop(other);
        costly.ask().await.unwrap();
        drop(held);
    }
}

#[tokio::test(start_paused = true)]
async fn the_costliest_stalled_stream_is_shed() {
    for version in Version::ALL {
        let budget = MemoryBudget::new(CAPACITY);
        let mut pair = Pair::new(version, &budget);
        // The upload exceeds its window, so it stalls. Without windows, the stall is visible only
        // when the connection holds its maximum.
        let stalled = pair.upload(300_000).await;
        let mut others = [(); 4].map(|()| budget.open_account());
        // At the first order, the state of zlib goes.
        for _ in 0..2 {
            let held = others.iter().map(|other| other.held()).sum::<usize>();
            let each = (CAPACITY * 82 / 100 - (budget.held() - held)) / others.len();
            for other in &mut others {
                other.report(each);
            }
            settle().await;
        }
        let stats = budget.stats();
        if version == Version::Spdy2 {
            assert_eq!((stats.shed, stats.closed), (0, 0));
            continue;
        }
        assert_eq!((stats.shed, stats.closed), (1, 0), "{version}");
        while pair.step().await != MemoryStep::Shed {}
        // Its memory is free: the reader gets no data first.
        let mut body = stalled.0;
        let error = soon(body.frame()).await.unwrap().unwrap_err();
        assert_eq!(error.rule(), Some(Rule::OverBudget), "{version}");
        assert!(error.to_string().contains("memory_budget"), "{error}");
        drop(others);
        pair.ask().await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn the_costliest_connection_ends_and_others_are_served() {
    for version in Version::ALL {
        let budget = MemoryBudget::new(CAPACITY);
        let (mut costly, mut small) = (Pair::new(version, &budget), Pair::new(version, &budget));
        let held = [costly.upload(200_000).await, costly.upload(200_000).await];
        let mut others = [budget.open_account(), budget.open_account()];
        for other in &mut others {
            other.report(CAPACITY * 29 / 100);
        }
        assert_eq!(budget.step(), MemoryStep::Close);
        let error = soon(costly.task).await.unwrap().unwrap_err();
        assert_eq!(error.rule(), Some(Rule::ConnectionOverBudget), "{version}");
        assert_eq!(error.initiator(), Initiator::Library, "{version}");
        let text = error.to_string();
        assert!(text.contains(&CAPACITY.to_string()), "{text}");
        let report = soon(costly.steps.recv()).await.unwrap();
        assert_eq!(report.step, MemoryStep::Close);
        small.ask().await.unwrap();
        let stats = budget.stats();
        assert_eq!(stats.closed, 1, "{version}");
        assert!(
            stats.held < CAPACITY * 70 / 100,
            "{version}: {}",
            stats.held
        );
        drop(held);
    }
}

/// Responds with bodies whose pieces are new buffers of 64 KiB each.
struct Pieces {
    sent: mpsc::UnboundedSender<usize>,
}

impl Pieces {
    fn send(&self, conn: &mut Context<'_>, stream: StreamKey) {
        let piece = Bytes::from(vec![b'x'; 64 << 10]);
        let _ = self.sent.send(piece.len());
        conn.stream(stream).send_data(piece, false).unwrap();
    }
}

impl Application for Pieces {
    fn handle_event(&mut self, conn: &mut Context<'_>, event: Event) {
        if let Event::Opened { stream, .. } = event {
            let head = Head::response(StatusCode::OK);
            conn.stream(stream).reply(head, false).unwrap();
            if conn.may_send_ahead(stream) {
                self.send(conn, stream);
            }
            conn.stream(stream).offer();
        }
    }

    fn pull(&mut self, conn: &mut Context<'_>, stream: StreamKey, _: usize) {
        self.send(conn, stream);
        conn.stream(stream).offer();
    }
}

#[tokio::test(start_paused = true)]
async fn pieces_that_wait_for_windows_are_bounded() {
    for version in [Version::Http2, Version::Spdy31, Version::Spdy3] {
        let (here, there) = duplex(64 << 10);
        let (tell, mut sent) = mpsc::unbounded_channel();
        let config = Config::new(version, Side::Server);
        let most = config.limits.max_unsent_bytes;
        let budget = MemoryBudget::new(CAPACITY * 100);
        tokio::spawn(Driver::in_budget(
            there,
            config,
            Pieces { sent: tell },
            &budget,
        ));
        let client = Config::new(version, Side::Client).with(|config| {
            config.limits.stream_window = 1;
            config.limits.max_stream_window = 1;
        });
        let asking = Asking {
            left: 100,
            held: Vec::new(),
        };
        tokio::spawn(Driver::new(here, client, asking));
        tokio::time::sleep(Duration::from_secs(2)).await;
        let mut pulled = 0;
        while let Ok(len) = sent.try_recv() {
            pulled += len;
        }
        // The protocol's initial window accepts one piece of each stream.
        let streams = 100 * (64 << 10);
        assert!(pulled > 0, "{version}");
        if version == Version::Http2 {
            assert!(pulled <= most + (64 << 10), "{version}: {pulled}");
        }
        assert!(pulled <= streams, "{version}: {pulled}");
        assert!(
            budget.held() < most + (512 << 10),
            "{version}: {}",
            budget.held()
        );
    }
}

/// Makes requests, and reads no body.
struct Asking {
    left: usize,
    held: Vec<Incoming>,
}

impl Application for Asking {
    fn handle_event(&mut self, conn: &mut Context<'_>, event: Event) {
        if let Event::Reply { stream, fin, .. } = event {
            assert!(!fin);
            self.held.push(conn.incoming(stream, None));
        }
    }

    fn pull(&mut self, _: &mut Context<'_>, _: StreamKey, _: usize) {}

    fn poll_sources(&mut self, conn: &mut Context<'_>, _: &mut std::task::Context<'_>) {
        while self.left > 0 && conn.can_open() {
            self.left -= 1;
            let uri = "http://example.org/".parse().unwrap();
            let head = Head::request(http::Method::GET, uri);
            conn.open(head, OpenOptions::without_content()).unwrap();
        }
    }
}

/// Sends one long response in a single piece, and others when they are asked.
struct LongFirst {
    length: usize,
}

impl Application for LongFirst {
    fn handle_event(&mut self, conn: &mut Context<'_>, event: Event) {
        if let Event::Opened { stream, .. } = event {
            let head = Head::response(StatusCode::OK);
            conn.stream(stream).reply(head, false).unwrap();
            if stream.id().value() == 1 {
                let piece = Bytes::from(vec![b'a'; self.length]);
                // Its end would cause another turn.
                conn.stream(stream).send_data(piece, false).unwrap();
            } else {
                conn.stream(stream).offer();
            }
        }
    }

    fn pull(&mut self, conn: &mut Context<'_>, stream: StreamKey, _: usize) {
        let piece = Bytes::from_static(b"last");
        conn.stream(stream).send_data(piece, true).unwrap();
    }
}

/// A stream that was not asked, since much waited, is asked once that is sent: the peer need not
/// send anything for it.
#[tokio::test(start_paused = true)]
async fn a_stream_that_was_not_asked_is_asked_when_there_is_room() {
    // HTTP/2: windows of 10,000 bytes, two requests, and a large window for the first.
    let mut requests = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
    requests.extend(b"\0\0\x06\x04\0\0\0\0\0\0\x04\0\0\x27\x10");
    for id in [1, 3] {
        requests.extend([0, 0, 6, 1, 5, 0, 0, 0, id, 0x82, 0x84, 0x86, 0x41, 1, b'a']);
    }
    for id in [0, 1] {
        requests.extend([0, 0, 4, 8, 0, 0, 0, 0, id, 0, 0x10, 0, 0]);
    }
    for length in (100_000..400_000).step_by(17_000) {
        let (mut here, there) = duplex(128 << 10);
        let config = Config::new(Version::Http2, Side::Server).with(|config| {
            config.limits.max_unsent_bytes = 1;
            config.limits.cut_ahead = 64 << 10;
        });
        let application = LongFirst { length };
        let driver = Driver::in_budget(there, config, application, &MemoryBudget::new(64 << 20));
        tokio::spawn(driver);
        here.write_all(&requests).await.unwrap();
        settle().await;
        let began = tokio::time::Instant::now();
        let (mut seen, mut buffer) = (Vec::new(), vec![0; 256 << 10]);
        while !seen.ends_with(b"last") {
            let len = soon(here.read(&mut buffer)).await.unwrap();
            assert!(len > 0, "{length}");
            seen.extend_from_slice(&buffer[..len]);
        }
        let waited = began.elapsed();
        assert!(waited < Duration::from_secs(1), "{length}: {waited:?}");
    }
}
