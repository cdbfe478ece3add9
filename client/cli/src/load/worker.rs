//! A thread of a run: its connections, made again when they end.

use std::{
    cell::RefCell,
    pin::pin,
    rc::Rc,
    sync::{Arc, atomic::Ordering::Relaxed},
    time::{Duration, Instant},
};

use lacewing_client::{ClientError, Connect as _, Connected, Security, Transport, Version};
use lacewing_conn::{Side, driver::facade::Driver};
use lacewing_server::live::WatchedConnection;
use tokio::{
    sync::watch,
    task::{JoinSet, LocalSet},
    time::{sleep, timeout},
};

use super::{
    account::{Account, Ended},
    arrivals::Wake,
    exchanges::Exchanges,
    http1,
    plan::{Phase, Plan},
    tally::Tally,
    watching::{self, Single, Streams},
};
use crate::dialling::HTTP1;

/// The pause after the first connection in a row that brought nothing; it doubles each time.
const FIRST_PAUSE: Duration = Duration::from_millis(10);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);
/// Attempts of each connection, if none of the run was ever made.
const FIRST_ATTEMPTS: u32 = 3;

/// The time for GOAWAY and the close after the last outcome of a connection.
const FAREWELL: Duration = Duration::from_millis(200);

/// Runs some of the plan's connections to their end. `first`: the number of the first one.
pub(super) fn run(plan: Arc<Plan>, first: usize, connections: usize) -> std::io::Result<Tally> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let tally = Rc::new(RefCell::new(Tally::new(plan.with_series)));
    LocalSet::new().block_on(&runtime, async {
        let mut tasks = JoinSet::new();
        for number in first..first.saturating_add(connections) {
            tasks.spawn_local(place(Arc::clone(&plan), Rc::clone(&tally), number));
        }
        while tasks.join_next().await.is_some() {}
    });
    let mut tally = tally.take();
    tally.close();
    Ok(tally)
}

/// The pauses of a place whose connections bring nothing.
#[derive(Default)]
struct Failures {
    in_a_row: u32,
    since: Option<Instant>,
}

/// Keeps one place among the connections filled until the plan is done.
async fn place(plan: Arc<Plan>, tally: Rc<RefCell<Tally>>, number: usize) {
    let mut phase = plan.phase.clone();
    let mut failures = Failures::default();
    while !plan.is_done(number) && plan.is_sending() {
        let began = Instant::now();
        let connected = tokio::select! {
            connected = connect(&plan) => connected,
            () = until_no_longer_sending(&mut phase) => return,
        };
        let fruitful = match connected {
            Ok(connected) => {
                plan.reached.store(true, Relaxed);
                if let Some(live) = &plan.live {
                    live.connected();
                }
                let time = began.elapsed();
                tally.borrow_mut().connections.connect.record(time);
                drive(&plan, &tally, number, connected).await
            }
            Err(cause) => {
                tally.borrow_mut().connections.failed.count(cause);
                false
            }
        };
        if fruitful {
            failures = Failures::default();
            continue;
        }
        let Some(pause) = failures.pause(&plan) else {
            return;
        };
        tokio::select! {
            () = sleep(pause) => {}
            () = until_no_longer_sending(&mut phase) => return,
        }
    }
}

impl Failures {
    /// The pause before the next attempt; `None` if there is none.
    fn pause(&mut self, plan: &Plan) -> Option<Duration> {
        self.in_a_row += 1;
        let since = *self.since.get_or_insert_with(Instant::now);
        let hopeless = self.in_a_row >= FIRST_ATTEMPTS && !plan.reached.load(Relaxed);
        if hopeless || since.elapsed() >= plan.waits.reconnect {
            return None;
        }
        let doubled = FIRST_PAUSE.saturating_mul(1 << self.in_a_row.min(10).saturating_sub(1));
        Some(doubled.min(LONGEST_PAUSE))
    }
}

async fn connect(plan: &Plan) -> Result<Connected, String> {
    let limit = plan.waits.connect;
    match timeout(limit, plan.connector.connect(&plan.origin)).await {
        Ok(connected) => connected.map_err(|error| cause(&error)),
        Err(_) => Err(format!("not connected after {limit:?}")),
    }
}

/// Runs a connection to its end. Returns whether it brought a response.
async fn drive(
    plan: &Arc<Plan>,
    tally: &Rc<RefCell<Tally>>,
    number: usize,
    connected: Connected,
) -> bool {
    let watched = watched(plan, number, &connected);
    let Connected {
        io,
        version,
        resumed,
        ..
    } = connected;
    {
        let connections = &mut tally.borrow_mut().connections;
        connections.made += 1;
        connections.handshakes += u64::from(resumed.is_some());
        connections.resumed += u64::from(resumed == Some(true));
        let protocol = version.map_or(HTTP1, |version| version.alpn());
        connections.protocol = Some(protocol.to_owned());
    }
    let account = Account::new(Arc::clone(plan), Rc::clone(tally));
    let ended = match version {
        Some(version) => {
            let watched = Streams::new(watched);
            let exchanges = Exchanges::new(Arc::clone(plan), account, watched, number);
            drive_multiplexed(plan, tally, number, io, version, exchanges).await
        }
        None => {
            let watched = Single::new(watched);
            let connection = http1::Connection::new(Arc::clone(plan), account, watched, number);
            connection.drive(io).await
        }
    };
    let mut tally = tally.borrow_mut();
    tally.in_flight += ended.in_flight as u64;
    if let Some(cause) = ended.cause {
        tally.connections.ended.count(cause);
    }
    ended.answered > 0
}

/// The connection on the live page, if there is one.
fn watched(plan: &Plan, number: usize, connected: &Connected) -> Option<WatchedConnection> {
    let board = plan.board.as_ref()?;
    let protocol = connected.version.map_or(HTTP1, |version| version.alpn());
    // A Unix socket has no address.
    let server = match connected.address {
        Some(address) => address.to_string(),
        None => plan.origin.to_string(),
    };
    let facts = watching::facts(protocol, number, &server);
    Some(board.watch(match plan.origin.security() {
        Security::Tls => facts.with_tls(),
        Security::Cleartext => facts,
    }))
}

async fn drive_multiplexed(
    plan: &Plan,
    tally: &RefCell<Tally>,
    number: usize,
    io: Box<dyn Transport>,
    version: Version,
    exchanges: Exchanges,
) -> Ended {
    let finished = exchanges.finished();
    let mut closing = pin!(async move {
        finished.notified().await;
        sleep(FAREWELL).await;
    });
    let mut config = plan.config.engine(version, Side::Client);
    config.scheme = plan.scheme.clone();
    config.semantics = plan.semantics;
    let mut driver = Driver::new(io, config, exchanges);
    let notifier = driver.notifier();
    let _joined = plan.join(number, || Wake::Driver(driver.notifier()));
    let mut phase = plan.phase.clone();
    let mut cut = false;
    loop {
        tokio::select! {
            biased;
            // All outcomes are known: a server that does not close is left. This comes first, since
            // after a pause of the process the driver's timers are due as well.
            () = &mut closing => {
                cut = true;
                break;
            }
            _ = &mut driver => break,
            changed = phase.changed() => {
                if changed.is_err() || *phase.borrow() == Phase::Over {
                    cut = true;
                    break;
                }
                notifier.notify();
            }
        }
    }
    let stats = driver.stats();
    tally.borrow_mut().add_connection(&stats);
    let exchanges = driver.application();
    exchanges.closed(&stats);
    Ended {
        in_flight: exchanges.in_flight(),
        // A connection that is cut at the end of the run did not end by itself.
        cause: exchanges.ended().filter(|_| !cut),
        answered: exchanges.answered(),
    }
}

async fn until_no_longer_sending(phase: &mut watch::Receiver<Phase>) {
    // An error means that the run is over.
    let _ = phase.wait_for(|phase| *phase != Phase::Sending).await;
}

/// The cause of a failed attempt, without what differs from one time to the next.
fn cause(error: &ClientError) -> String {
    match error {
        ClientError::Connect { source, .. } => format!("cannot connect: {source}"),
        error => error.to_string(),
    }
}
