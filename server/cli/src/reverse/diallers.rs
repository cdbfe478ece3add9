//! The tasks that keep tunnels to gateways.

use std::{
    future::Future,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use lacewing_server::{
    ConnectionConfig, ConnectionInfo, Endpoints, ServeError, ServerOptions, Shutdown,
    ShutdownSignal,
};
use metrics::counter;
use tokio::{task::JoinSet, time::sleep};
use tracing::{info, warn};

use super::{
    attempt::{Dial, Dialled},
    backoff::Backoff,
    limits::of_a_tunnel,
};

/// Streams of one tunnel, which carries the requests of many clients.
const MAX_STREAMS: u32 = 1000;

/// Serves a connection.
pub(crate) type Serve =
    dyn Fn(TokioIo<Upgraded>, ConnectionInfo, ServerOptions) -> Served + Send + Sync;

/// A connection on its way to its end.
pub(crate) type Served = Pin<Box<dyn Future<Output = Result<(), ServeError>> + Send>>;

/// What is served to gateways, and how.
#[derive(Clone)]
pub(crate) struct Serving {
    pub(crate) serve: Arc<Serve>,
    pub(crate) options: ServerOptions,
    pub(crate) connection: ConnectionConfig,
}

/// All tunnels that this program dials.
#[derive(Clone)]
pub(crate) struct Diallers(Arc<Shared>);

struct Shared {
    serving: Serving,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    stopping: bool,
    running: Vec<(Dial, Shutdown)>,
    tasks: JoinSet<()>,
}

impl Diallers {
    pub(crate) fn new(serving: Serving) -> Self {
        let state = Mutex::default();
        Self(Arc::new(Shared { serving, state }))
    }

    /// Dials these tunnels from now on. Those that are there with the same settings stay.
    pub(crate) fn set(&self, dials: &[Dial]) {
        let mut state = self.lock();
        if state.stopping {
            return;
        }
        let State { running, tasks, .. } = &mut *state;
        // Dropping its `Shutdown` ends a tunnel gracefully.
        running.retain(|(dial, _)| dials.contains(dial));
        for dial in dials {
            if running.iter().any(|(one, _)| one == dial) {
                continue;
            }
            let stop = Shutdown::new();
            let (serving, signal) = (self.0.serving.clone(), stop.signal());
            tasks.spawn(keep(dial.clone(), serving, signal));
            running.push((dial.clone(), stop));
        }
        // Those that ended long ago.
        while tasks.try_join_next().is_some() {}
    }

    /// Completes after the signal, when all requests are answered. Nothing is dialled then.
    pub(crate) async fn serve_until(&self, mut end: ShutdownSignal) {
        end.wait().await;
        let mut tasks = {
            let mut state = self.lock();
            state.stopping = true;
            state.running.clear();
            std::mem::take(&mut state.tasks)
        };
        while tasks.join_next().await.is_some() {}
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        let state = self.0.state.lock();
        state.unwrap_or_else(PoisonError::into_inner)
    }
}

/// Keeps one tunnel: dials, serves, and dials again, until the signal.
async fn keep(dial: Dial, serving: Serving, mut stop: ShutdownSignal) {
    let url = &dial.url;
    if url.is_exposed() {
        warn!("dial {url}: everyone on the way can read the token; use https");
    }
    let mut backoff = Backoff::default();
    while !stop.has_started() {
        let attempt = tokio::select! {
            biased;
            () = stop.wait() => return,
            attempt = dial.attempt() => attempt,
        };
        let outcome = if attempt.is_ok() {
            "connected"
        } else {
            "failed"
        };
        counter!("lacewingd_dials_total", "url" => url.to_string(), "outcome" => outcome)
            .increment(1);
        let why = match attempt {
            Ok(dialled) => {
                info!("dial {url}: connected; requests of the gateway are served");
                let since = Instant::now();
                let why = serve(&dial, dialled, serving.clone(), stop.clone()).await;
                backoff.stood(since.elapsed());
                why
            }
            Err(why) => why,
        };
        if stop.has_started() {
            info!("dial {url}: the tunnel has ended");
            return;
        }
        let pause = backoff.pause();
        warn!("dial {url}: {why}; again in {:.1} s", pause.as_secs_f32());
        tokio::select! {
            biased;
            () = stop.wait() => return,
            () = sleep(pause) => {}
        }
    }
}

/// Serves the gateway's requests, and returns the reason for the end.
async fn serve(dial: &Dial, dialled: Dialled, serving: Serving, stop: ShutdownSignal) -> String {
    let endpoints = match dialled.gateway {
        Some(address) => Endpoints::default().with_peer(address),
        None => Endpoints::default(),
    };
    let info = ConnectionInfo::from(dial.protocol.version()).with_endpoints(endpoints);
    let connection = tunnel(serving.connection, dial.keep_alive);
    let options = serving.options.connection(connection).shutdown(stop);
    match (serving.serve)(dialled.io, info, options).await {
        Ok(()) => "the gateway has closed the tunnel".into(),
        Err(error) => format!("the tunnel broke: {error}"),
    }
}

/// The connection of one tunnel. Streams that stand still are those of many slow clients: they put
/// no pressure on each other. It has no end of its own.
fn tunnel(connection: ConnectionConfig, keep_alive: Duration) -> ConnectionConfig {
    let mut connection = of_a_tunnel(connection, keep_alive);
    let limits = &mut *connection.limits;
    limits.max_concurrent_streams = MAX_STREAMS;
    limits.max_stalled_streams = MAX_STREAMS;
    limits.idle_timeout = None;
    limits.max_connection_age = None;
    connection
}
