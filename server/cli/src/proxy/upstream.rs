//! One upstream: its connections, its health, and the requests that it works on.

use std::{
    fmt::Display,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use http::{Uri, uri::PathAndQuery};
use lacewing_client::{
    Client, Concurrency, ConnectionConfig, Connector, Limits, MemoryBudget, Origin, Side, Unix,
    Version,
    tls::{Certificates, Tls},
};
use tracing::{info, warn};

use super::{
    address::{Speaks, UpstreamAddress},
    failure::Failure,
    health::{Change, Health},
    settings::Reach,
};
use crate::complaints::Complaints;

/// Connections to one upstream in a multiplexed protocol.
const MAX_MULTIPLEXED: usize = 16;

/// Content of one response that may wait for a slow client. Windows that are larger in all than
/// these together keep one slow client from stopping the others on its connection.
const STREAM_WINDOW: u32 = 256 << 10;
const CONNECTION_WINDOW: u32 = 32 << 20;

/// Bytes of a response's head. A connection in HTTP/1.1 reads as much at once.
pub(super) const MAX_HEAD: usize = 64 << 10;

/// The protocols that are offered by ALPN, beside HTTP/1.1.
const OFFERED: [Version; 4] = Version::ALL;

/// One upstream.
pub(super) struct Upstream {
    pub(super) address: UpstreamAddress,
    pub(super) client: Client,
    /// For tunnels over HTTP/1.1.
    pub(super) connector: Connector,
    pub(super) origin: Origin,
    health: Health,
    open: AtomicUsize,
    complaints: Complaints,
}

impl Upstream {
    pub(super) fn new(
        address: UpstreamAddress,
        reach: &Reach,
        memory: &MemoryBudget,
    ) -> Result<Self, String> {
        let uri = uri(&address, PathAndQuery::from_static("/"));
        let certificates = reach.trust.certificates();
        let origin = Origin::of(&uri).map_err(|error| format!("{address}: {error}"))?;
        Ok(Self {
            client: client(&address, reach, &certificates, memory),
            connector: connector(&address, certificates),
            origin,
            address,
            health: Health::new(reach.passive),
            open: AtomicUsize::new(0),
            complaints: Complaints::default(),
        })
    }

    /// The URI of a request to this upstream.
    pub(super) fn uri(&self, path: PathAndQuery) -> Uri {
        uri(&self.address, path)
    }

    /// Returns whether requests in HTTP/1.1 may reach it.
    pub(super) fn may_speak_http1(&self) -> bool {
        !matches!(self.address.speaks, Speaks::Multiplexed(_))
    }

    /// The time for which requests should go elsewhere.
    pub(super) fn rest(&self, now: Instant) -> Option<Duration> {
        self.health.rest(now)
    }

    /// The requests that it works on.
    pub(super) fn load(&self) -> usize {
        self.open.load(Ordering::Relaxed)
    }

    pub(super) fn open(self: &Arc<Self>) -> Open {
        self.open.fetch_add(1, Ordering::Relaxed);
        Open(Arc::clone(self))
    }

    /// It answered a request.
    pub(super) fn answered(&self) {
        self.log(self.health.answered(), &"it answers again");
    }

    /// It failed a request.
    pub(super) fn failed(&self, failure: &Failure) {
        self.log(self.health.failed(Instant::now()), failure);
    }

    /// An active check had this outcome.
    pub(super) fn checked(&self, outcome: Result<(), Failure>) {
        match outcome {
            Ok(()) => self.log(self.health.checked(true), &"its health check succeeds"),
            Err(failure) => self.log(self.health.checked(false), &failure),
        }
    }

    /// Returns whether a warning about it is due.
    pub(super) fn complains(&self) -> bool {
        self.complaints.are_due()
    }

    fn log(&self, change: Option<Change>, why: &dyn Display) {
        match change {
            Some(Change::Down) => warn!("upstream {} is left out for now: {why}", self.address),
            Some(Change::Up) => info!("upstream {} is back: {why}", self.address),
            None => {}
        }
    }
}

/// A request that an upstream works on.
pub(super) struct Open(Arc<Upstream>);

impl Open {
    /// The response failed after it began.
    pub(super) fn cut_short(&self, error: &dyn Display) {
        if self.0.complaints.are_due() {
            warn!("a response of {} is cut short: {error}", self.0.address);
        }
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.open.fetch_sub(1, Ordering::Relaxed);
    }
}

fn uri(address: &UpstreamAddress, path: PathAndQuery) -> Uri {
    let mut parts = http::uri::Parts::default();
    parts.scheme = Some(address.speaks.uri_scheme());
    parts.authority = Some(address.authority.clone());
    parts.path_and_query = Some(path);
    Uri::from_parts(parts).unwrap_or_default()
}

fn client(
    address: &UpstreamAddress,
    reach: &Reach,
    certificates: &Certificates,
    memory: &MemoryBudget,
) -> Client {
    let timeouts = reach.timeouts;
    let connection = ConnectionConfig::new(Side::Client).with(|config| {
        config.limits = Limits::new(Side::Client)
            .with(|limits| {
                limits.max_header_list_size = MAX_HEAD;
                limits.stream_window = STREAM_WINDOW;
                limits.max_stream_window = STREAM_WINDOW;
                limits.connection_window = CONNECTION_WINDOW;
                limits.max_connection_window = CONNECTION_WINDOW;
                limits.max_buffered_bytes =
                    limits.max_buffered_bytes.max(CONNECTION_WINDOW as usize);
                // The proxy has shorter waits of its own.
                limits.stall_timeout = timeouts.response.max(timeouts.idle).saturating_mul(2);
            })
            .into();
        config.memory_budget = memory.clone();
    });
    let builder = Client::builder()
        .connection(connection)
        .options(|options| {
            options.concurrency(Concurrency::OpenAnother {
                max: MAX_MULTIPLEXED,
            })
        })
        .connect_timeout(timeouts.connect)
        .max_connections(reach.max_connections)
        .max_http1_connections(reach.max_connections)
        .certificates(certificates.clone())
        .protocols(OFFERED);
    let builder = match address.speaks {
        Speaks::Multiplexed(version) => builder.cleartext_protocol(version),
        Speaks::Http1 | Speaks::Tls => builder.http1(),
    };
    match &address.socket {
        Some(path) => builder.dial(Unix::new(path)).build(),
        None => builder.build(),
    }
}

/// Offers HTTP/1.1 alone.
fn connector(address: &UpstreamAddress, certificates: Certificates) -> Connector {
    let tls = Tls::with_certificates(certificates, Vec::new());
    let connector = Connector::tls(tls, None).http1();
    match &address.socket {
        Some(path) => connector.dial(Unix::new(path)),
        None => connector,
    }
}
