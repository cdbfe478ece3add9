//! One tunnel of a gateway: the connections that diallers made under its name.

use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use http::StatusCode;
use lacewing_client::{ClientOptions, Connection, ConnectionConfig, Transport, Version};
use metrics::gauge;
use tokio::{sync::watch, time::timeout};
use tracing::{info, warn};

use super::{
    name::TunnelName,
    token::{Presented, Token},
};

/// Diallers of one name at once.
const MAX_DIALLERS: usize = 64;

/// Requests that wait on one connection while the dialler permits no further stream.
const MAX_QUEUED: usize = 1024;

/// Time for a connection to end after the gateway has answered its last request.
const LAST_FRAMES: Duration = Duration::from_secs(1);

/// One tunnel.
pub(crate) struct Tunnel {
    name: TunnelName,
    state: Mutex<State>,
    turn: AtomicUsize,
    count: watch::Sender<usize>,
}

struct State {
    /// `None` if the tunnel is no more among the settings.
    token: Option<Token>,
    /// The number of the token.
    epoch: u64,
    /// The gateway ends.
    stopping: bool,
    dialled: Vec<Dialled>,
    next_id: u64,
}

/// A connection that a dialler made.
struct Dialled {
    id: u64,
    connection: Connection,
}

/// The reason why a dialler is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    /// The name or the token. A dialler does not learn which names there are.
    Unauthorized,
    Full,
    Stopping,
}

impl Refusal {
    /// For the log.
    pub(super) fn why(self) -> &'static str {
        match self {
            Self::Unauthorized => "the token is wrong, or no tunnel has the name",
            Self::Full => "too many diallers have this name already",
            Self::Stopping => "this gateway ends",
        }
    }

    pub(super) fn status(self) -> StatusCode {
        match self {
            Self::Unauthorized => StatusCode::UNAUTHORIZED,
            Self::Full | Self::Stopping => StatusCode::SERVICE_UNAVAILABLE,
        }
    }
}

impl Tunnel {
    pub(super) fn new(name: TunnelName) -> Self {
        Self {
            name,
            state: Mutex::new(State {
                token: None,
                epoch: 0,
                stopping: false,
                dialled: Vec::new(),
                next_id: 0,
            }),
            turn: AtomicUsize::new(0),
            count: watch::Sender::new(0),
        }
    }

    /// Returns whether the settings have it.
    pub(super) fn is_open(&self) -> bool {
        self.lock().token.is_some()
    }

    /// Sets its token. If it is another one, the connections of the old one end.
    pub(super) fn set_token(&self, token: Option<&Token>) {
        let mut state = self.lock();
        if state.token.as_ref() == token {
            return;
        }
        state.token = token.cloned();
        state.epoch = state.epoch.saturating_add(1);
        if !state.dialled.is_empty() {
            warn!(
                "tunnel {}: its token is gone or another; connections that end: {}",
                self.name,
                state.dialled.len()
            );
        }
        state
            .dialled
            .iter()
            .for_each(|one| one.connection.shutdown());
    }

    /// Admits a dialler by its token.
    pub(super) fn admit(self: &Arc<Self>, presented: &Presented) -> Result<Permit, Refusal> {
        let state = self.lock();
        if !state
            .token
            .as_ref()
            .is_some_and(|token| token.is(presented))
        {
            return Err(Refusal::Unauthorized);
        }
        state.room()?;
        Ok(Permit {
            tunnel: Arc::clone(self),
            epoch: state.epoch,
        })
    }

    /// The connection with the fewest requests; `None` if no dialler is connected.
    pub(crate) fn connection(&self) -> Option<Connection> {
        let state = self.lock();
        let turn = self.turn.fetch_add(1, Ordering::Relaxed);
        let turn = turn.checked_rem(state.dialled.len())?;
        let (before, from) = state.dialled.split_at_checked(turn)?;
        let in_turn = from.iter().chain(before).map(|one| &one.connection);
        // The first of equals is the one whose turn it is.
        let open = in_turn.filter(|connection| connection.is_open());
        open.min_by_key(|connection| load(connection)).cloned()
    }

    /// Returns whether a dialler is connected.
    pub(crate) fn is_connected(&self) -> bool {
        let state = self.lock();
        state.dialled.iter().any(|one| one.connection.is_open())
    }

    /// Ends all connections once their requests are answered, and admits no more.
    pub(super) fn stop(&self) {
        let mut state = self.lock();
        state.stopping = true;
        state
            .dialled
            .iter()
            .for_each(|one| one.connection.shutdown());
    }

    /// Waits for their end. A dialler that does not answer must not hold up the program's.
    pub(super) async fn wait_for_end(&self) {
        let mut counts = self.count.subscribe();
        let gone = counts.wait_for(|count| *count == 0);
        let _ = timeout(LAST_FRAMES, gone).await;
    }

    fn add(&self, epoch: u64, connection: Connection) -> Result<u64, Refusal> {
        let mut state = self.lock();
        if state.epoch != epoch {
            return Err(Refusal::Unauthorized);
        }
        state.room()?;
        let id = state.next_id;
        state.next_id = id.saturating_add(1);
        state.dialled.push(Dialled { id, connection });
        self.counted(state.dialled.len());
        Ok(id)
    }

    /// Returns how many are left.
    fn remove(&self, id: u64) -> usize {
        let mut state = self.lock();
        state.dialled.retain(|one| one.id != id);
        self.counted(state.dialled.len());
        state.dialled.len()
    }

    fn counted(&self, count: usize) {
        self.count.send_replace(count);
        let figure = u32::try_from(count).unwrap_or(u32::MAX);
        gauge!("lacewingd_tunnel_connections", "tunnel" => self.name.to_string())
            .set(f64::from(figure));
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn room(&self) -> Result<(), Refusal> {
        if self.stopping {
            return Err(Refusal::Stopping);
        }
        if self.dialled.len() >= MAX_DIALLERS {
            return Err(Refusal::Full);
        }
        Ok(())
    }
}

/// The requests of a connection, those included that wait.
fn load(connection: &Connection) -> usize {
    let streams = connection.streams();
    streams.open.saturating_add(streams.queued)
}

/// The right of a dialler that has shown the token.
pub(super) struct Permit {
    tunnel: Arc<Tunnel>,
    epoch: u64,
}

impl Permit {
    /// Sends requests over a connection that a dialler made, until it ends.
    pub(super) async fn serve(
        self,
        io: impl Transport,
        from: &str,
        version: Version,
        config: ConnectionConfig,
    ) {
        let name = &self.tunnel.name;
        let options = ClientOptions::default()
            .connection(config)
            .max_queued(MAX_QUEUED);
        let (connection, task) = Connection::handshake(io, version, options);
        let id = match self.tunnel.add(self.epoch, connection) {
            Ok(id) => id,
            Err(why) => {
                warn!("tunnel {name}: {from} is refused after all: {}", why.why());
                return;
            }
        };
        info!("tunnel {name}: {from} has dialled in, in {version}");
        let ended = task.await;
        let left = self.tunnel.remove(id);
        match ended {
            Ok(()) => info!("tunnel {name}: {from} has left; connections that remain: {left}"),
            Err(why) => {
                warn!("tunnel {name}: {from} is gone: {why}; connections that remain: {left}")
            }
        }
    }
}
