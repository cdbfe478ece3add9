//! One schedule: the setup, its run, and the end.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use lacewing_client::{
    Client, ClientOptions, Concurrency, Connect, Connected, Connecting, Connection,
    ConnectionStats, MemoryBudget, Origin, PushPolicy, Side, Version,
};
use lacewing_server::{
    Acceptor, Extension, ServerEvent, ServerOptions, Shutdown, Spawn, StreamError,
    serve_connection, service_fn,
};
use tokio::{
    runtime::{Builder, Handle as Runtime},
    task::{AbortHandle, JoinHandle},
    time::{sleep, timeout},
};

use crate::{
    client::{self, Handle},
    ledger::{Weather, World},
    limits,
    plan::Plan,
    seeds::Rng,
    server,
    transport::{self, FAULTS, Fault, Pipe},
};

/// No exchange takes as long.
const FOREVER: Duration = Duration::from_secs(24 * 3600);

pub(crate) struct Schedule {
    rng: Rng,
}

/// A disturbance from outside.
#[derive(Clone, Copy, Debug)]
enum Disturbance {
    Break(usize, usize, Fault),
    Delay(usize, Duration),
    LeaveClient,
    LeaveServer,
    AbortClient,
    AbortServer,
}

/// The reports of the two sides.
#[derive(Debug, Default)]
struct Reports {
    /// Connections of a pool's server, whose protocol became known.
    connected: usize,
    closed: usize,
    panicked: usize,
    handler_failed: usize,
    server: Option<ConnectionStats>,
    client: Option<ConnectionStats>,
}

/// The connections of a schedule, newest last.
struct Network {
    version: Version,
    weather: Weather,
    options: ServerOptions,
    world: Arc<World>,
    state: Mutex<State>,
}

struct State {
    rng: Rng,
    pipes: Vec<[Pipe; 2]>,
    servers: Vec<JoinHandle<()>>,
    /// Faults that transports have from the start.
    breaks: usize,
}

impl Schedule {
    pub(crate) fn new(seed: u64) -> Self {
        Self {
            rng: Rng::new(seed),
        }
    }

    pub(crate) fn run(self, verbose: bool) {
        let runtime = Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .unwrap();
        runtime.block_on(self.play(verbose));
    }

    async fn play(mut self, verbose: bool) {
        let rng = &mut self.rng;
        let version = rng.one_of(&Version::ALL);
        let weather = rng.one_of(&[
            Weather::Calm,
            Weather::Leaving,
            Weather::Storm,
            Weather::Storm,
            Weather::Storm,
        ]);
        let storm = weather == Weather::Storm;
        let world = world(rng);
        let capacity = if storm && rng.chance(15) {
            (64 << 10) << rng.below(6)
        } else {
            64 << 20
        };
        let budget = MemoryBudget::new(capacity);
        let server_config = limits::config(Side::Server, &budget, weather, rng);
        let client_config = limits::config(Side::Client, &budget, weather, rng);
        let reports = Arc::new(Mutex::new(Reports::default()));
        let shutdown = Shutdown::new();
        let options = ServerOptions::default()
            .connection(server_config)
            .informer(Extension::Insert)
            .pusher(Extension::Insert)
            .spawn(rng.one_of(&[Spawn::WhenPending, Spawn::Always]))
            .stats_every(Duration::from_secs(3600))
            .shutdown(shutdown.signal())
            .observer(observer(&reports));
        let takes_pushes = rng.chance(50);
        let client_options = client_options(client_config, takes_pushes, storm, &reports, rng);
        let disturbances = disturbances(weather, rng);
        let network = Arc::new(Network {
            version,
            weather,
            options,
            world: Arc::clone(&world),
            state: Mutex::new(State {
                breaks: if storm { rng.below(3) } else { 0 },
                rng: Rng::new(rng.next()),
                pipes: Vec::new(),
                servers: Vec::new(),
            }),
        });
        let pooled = rng.chance(40);
        if verbose {
            println!("{version}, {weather:?}, pooled: {pooled}, {disturbances:?}, {world:#?}");
        }

        let mut client_task = None;
        let mut takers = Vec::new();
        let handle = if pooled {
            let connector = ToServer(Arc::clone(&network));
            let client = Client::builder()
                .connector(connector)
                .options(|_| client_options)
                .max_retries(rng.below(4) as u32)
                .replay_limit(rng.one_of(&[0, 1_000, 64 << 10]))
                .max_connections(1 + rng.below(3))
                .build();
            Handle::Pool(client)
        } else {
            let io = network.connect(false);
            let (connection, task) = Connection::handshake(io, version, client_options);
            client_task = Some(tokio::spawn(task));
            let mut pushes = connection.pushes();
            let world = Arc::clone(&world);
            takers.push(tokio::spawn(async move {
                let mut tasks = Vec::new();
                while let Some(pushed) = pushes.next().await {
                    tasks.push(tokio::spawn(client::pushed(pushed, Arc::clone(&world))));
                }
                for task in tasks {
                    task.await.unwrap();
                }
            }));
            Handle::Connection(connection)
        };
        let users: Vec<_> = world
            .requests()
            .map(|number| {
                let exchange = client::exchange(handle.clone(), number, Arc::clone(&world));
                tokio::spawn(exchange)
            })
            .collect();
        let abort = client_task.as_ref().map(JoinHandle::abort_handle);
        let disturb = tokio::spawn(disturb(
            disturbances,
            Arc::clone(&network),
            handle.clone(),
            shutdown.signal(),
            abort,
            Arc::new(shutdown),
        ));

        let end = async {
            for user in users {
                user.await.unwrap();
            }
            drop(handle);
            let shutdown = disturb.await.unwrap();
            for taker in takers {
                taker.await.unwrap();
            }
            if let Some(task) = client_task {
                match task.await {
                    Ok(_) => {}
                    Err(error) => assert!(error.is_cancelled(), "{error}"),
                }
            }
            // A pool closes what is idle in its own time; then the server has none left.
            loop {
                let servers = std::mem::take(&mut network.state.lock().unwrap().servers);
                if servers.is_empty() {
                    break;
                }
                for server in servers {
                    match server.await {
                        Ok(()) => {}
                        Err(error) => assert!(error.is_cancelled(), "{error}"),
                    }
                }
            }
            drop(shutdown);
        };
        if timeout(FOREVER, end).await.is_err() {
            let tasks = Runtime::current().metrics().num_alive_tasks();
            panic!("a wait without an end, {tasks} tasks: {world:#?} {reports:#?}");
        }
        for _ in 0..100 {
            if Runtime::current().metrics().num_alive_tasks() == 0 {
                break;
            }
            sleep(Duration::from_secs(600)).await;
        }
        let tasks = Runtime::current().metrics().num_alive_tasks();
        assert!(
            tasks == 0,
            "{tasks} tasks are left: {world:#?} {reports:#?}"
        );
        assert!(world.is_empty(), "something lives: {world:#?} {reports:#?}");
        let stats = budget.stats();
        assert!(
            (stats.held, stats.connections) == (0, 0),
            "the budget is charged: {stats:?}"
        );
        world.assert_rules(weather);
        let reports = reports.lock().unwrap();
        let pool = pooled.then(|| network.connections());
        reports.assert_add_up(&world, weather, pool);
    }
}

fn world(rng: &mut Rng) -> Arc<World> {
    let most = rng.one_of(&[1, 4, 4, 12, 40]);
    let requests = 1 + rng.below(most);
    let mut plans: Vec<Plan> = (0..requests).map(|_| Plan::new(rng)).collect();
    let pushes: usize = plans.iter().map(|plan| plan.handler.pushes).sum();
    for _ in 0..pushes {
        let mut plan = Plan::new(rng);
        plan.method = http::Method::GET;
        plan.upload = None;
        plan.handler.pushes = 0;
        if plan.handler.result == crate::plan::Outcome::Echoes {
            plan.handler.result = crate::plan::Outcome::Responds;
        }
        plans.push(plan);
    }
    World::new(requests, plans)
}

fn client_options(
    config: lacewing_client::ConnectionConfig,
    takes_pushes: bool,
    storm: bool,
    reports: &Arc<Mutex<Reports>>,
    rng: &mut Rng,
) -> ClientOptions {
    let reports = Arc::clone(reports);
    let mut options = ClientOptions::default().connection(config).on_stats(
        Duration::from_secs(3600),
        move |stats| {
            reports.lock().unwrap().client = Some(stats.clone());
        },
    );
    if takes_pushes {
        let policy = PushPolicy::default();
        options = options.accept_push(match storm && rng.chance(30) {
            true => policy.max_streams(1).max_waiting(1),
            false => policy,
        });
    }
    if storm && rng.chance(20) {
        options = options.max_queued(1 + rng.below(3));
    }
    match rng.below(if storm { 4 } else { 2 }) {
        0 => options.concurrency(Concurrency::OpenAnother { max: 2 }),
        3 => options.concurrency(Concurrency::Fail),
        _ => options,
    }
}

fn observer(reports: &Arc<Mutex<Reports>>) -> impl Fn(&ServerEvent<'_>) + Send + Sync + 'static {
    let reports = Arc::clone(reports);
    move |event| {
        let mut reports = reports.lock().unwrap();
        match event {
            ServerEvent::Connected { .. } => reports.connected += 1,
            ServerEvent::Closed { .. } => reports.closed += 1,
            ServerEvent::Stats { stats, .. } => reports.server = Some((*stats).clone()),
            ServerEvent::StreamFailed { error, .. } => match error {
                StreamError::HandlerPanicked => reports.panicked += 1,
                StreamError::Handler(_) => reports.handler_failed += 1,
                _ => {}
            },
            _ => {}
        }
    }
}

fn disturbances(weather: Weather, rng: &mut Rng) -> Vec<(Duration, Disturbance)> {
    let count = match weather {
        Weather::Calm => 0,
        Weather::Leaving => 1,
        Weather::Storm => rng.below(5),
    };
    let mut all: Vec<_> = (0..count)
        .map(|_| {
            let disturbance = match (weather, rng.below(9)) {
                (Weather::Leaving, 0..=3) => Disturbance::LeaveClient,
                (Weather::Leaving, _) => Disturbance::LeaveServer,
                (_, 0) => Disturbance::LeaveClient,
                (_, 1) => Disturbance::LeaveServer,
                (_, 2) => Disturbance::AbortClient,
                (_, 3) => Disturbance::AbortServer,
                (_, 4 | 5) => {
                    Disturbance::Break(rng.below(2), rng.below(3_000), rng.one_of(&FAULTS))
                }
                _ => Disturbance::Delay(rng.below(2), rng.time(17)),
            };
            (rng.time(14), disturbance)
        })
        .collect();
    all.sort_by_key(|(at, _)| *at);
    all
}

async fn disturb(
    disturbances: Vec<(Duration, Disturbance)>,
    network: Arc<Network>,
    handle: Handle,
    _signal: lacewing_server::ShutdownSignal,
    client: Option<AbortHandle>,
    shutdown: Arc<Shutdown>,
) -> Arc<Shutdown> {
    let mut now = Duration::ZERO;
    for (at, disturbance) in disturbances {
        sleep(at - now).await;
        now = at;
        match disturbance {
            Disturbance::Break(pipe, after, fault) => {
                if let Some(pipes) = network.state.lock().unwrap().pipes.last() {
                    pipes[pipe].break_after(after, fault);
                }
            }
            Disturbance::Delay(pipe, time) => {
                if let Some(pipes) = network.state.lock().unwrap().pipes.last() {
                    pipes[pipe].delay(time);
                }
            }
            Disturbance::LeaveClient => {
                if let Handle::Connection(connection) = &handle {
                    connection.shutdown();
                }
            }
            Disturbance::LeaveServer => shutdown.start(),
            Disturbance::AbortClient => client.iter().for_each(AbortHandle::abort),
            Disturbance::AbortServer => {
                for server in &network.state.lock().unwrap().servers {
                    server.abort();
                }
            }
        }
    }
    shutdown
}

impl Network {
    /// A transport to a server of its own.
    fn connect(self: &Arc<Self>, detects: bool) -> transport::Side {
        let mut state = self.state.lock().unwrap();
        let rng = &mut state.rng;
        let pipes = [0; 2].map(|_| Pipe::new(self.weather, rng));
        let (client, server) = transport::pair(&pipes[0], &pipes[1]);
        if state.breaks > 0 {
            state.breaks -= 1;
            let rng = &mut state.rng;
            let most = rng.one_of(&[120, 4_000, 40_000, 400_000]);
            pipes[rng.below(2)].break_after(rng.below(most), rng.one_of(&FAULTS));
        }
        let world = Arc::clone(&self.world);
        let service = service_fn(move |request| server::handle(request, Arc::clone(&world)));
        let (version, options) = (self.version, self.options.clone());
        state.servers.push(tokio::spawn(async move {
            // The faults are ours: an error is no surprise.
            let _ = if detects {
                Acceptor::new(options).serve(server, service).await
            } else {
                serve_connection(server, version, options, service).await
            };
        }));
        state.pipes.push(pipes);
        client
    }

    fn connections(&self) -> usize {
        self.state.lock().unwrap().pipes.len()
    }
}

/// Makes transports for a pool.
struct ToServer(Arc<Network>);

impl Connect for ToServer {
    fn connect<'a>(&'a self, _: &'a Origin) -> Connecting<'a> {
        Box::pin(async {
            sleep(Duration::from_millis(5)).await;
            Ok(Connected::new(self.0.connect(true), self.0.version))
        })
    }
}

impl Reports {
    fn assert_add_up(&self, world: &World, weather: Weather, pool: Option<usize>) {
        let (panicked, failed) = world.handlers_that_failed();
        let storm = weather == Weather::Storm;
        if !storm {
            assert!(self.panicked == panicked, "{panicked} panics: {self:#?}");
            assert!(self.handler_failed == failed, "{failed} errors: {self:#?}");
        }
        assert!(self.panicked <= panicked, "{panicked} panics: {self:#?}");
        assert!(self.handler_failed <= failed, "{failed} errors: {self:#?}");
        if let Some(connections) = pool {
            // The figures do not distinguish the connections of a pool.
            assert!(self.connected <= connections, "{connections}: {self:#?}");
            if !storm {
                assert!(self.closed == self.connected, "{self:#?}");
            }
            return;
        }
        let (Some(server), Some(client)) = (&self.server, &self.client) else {
            assert!(storm, "no figures at the end: {self:#?}");
            return;
        };
        let pairs = [(client, server), (server, client)];
        for (sender, receiver) in pairs {
            assert!(
                receiver.data_received <= sender.data_sent
                    && receiver.headers_received.plain <= sender.headers_sent.plain
                    && receiver.resets_received.total() <= sender.resets_sent.total(),
                "more arrived than was sent: {self:#?}"
            );
            if !storm {
                assert!(sender.open_streams == 0, "{self:#?}");
                assert!(sender.buffered_bytes == 0, "{self:#?}");
            }
            if weather == Weather::Calm && world.is_heard_out() {
                assert!(sender.data_sent == receiver.data_received, "{self:#?}");
                let (sent, received) = (&sender.headers_sent, &receiver.headers_received);
                assert!(sent.plain == received.plain, "{self:#?}");
                // A reset of an upload that nothing reads may cross the end.
            }
        }
    }
}
