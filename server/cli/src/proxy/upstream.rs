//! One upstream: its connections, its health, and the requests that it works on.

use std::{
    fmt::Display,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use http::{
    Uri,
    uri::{Authority, PathAndQuery},
};
use lacewing_client::MemoryBudget;
use tracing::{info, warn};

use super::{
    address::{Speaks, UpstreamAddress},
    failure::Failure,
    health::{Change, Health},
    settings::Reach,
    way::Way,
};
use crate::{complaints::Complaints, reverse::Tunnels};

/// One upstream.
pub(super) struct Upstream {
    pub(super) address: UpstreamAddress,
    pub(super) way: Way,
    health: Health,
    open: AtomicUsize,
    complaints: Complaints,
}

impl Upstream {
    pub(super) fn new(
        address: UpstreamAddress,
        reach: &Reach,
        memory: &MemoryBudget,
        tunnels: &Tunnels,
    ) -> Result<Self, String> {
        let path = PathAndQuery::from_static("/");
        let uri = uri(address.speaks, address.authority.clone(), path);
        let way = match &address.tunnel {
            Some(name) => Way::Tunnel(tunnels.named(name)),
            None => Way::direct(&address, &uri, reach, memory)
                .map_err(|error| format!("{address}: {error}"))?,
        };
        Ok(Self {
            way,
            address,
            health: Health::new(reach.passive),
            open: AtomicUsize::new(0),
            complaints: Complaints::default(),
        })
    }

    /// The URI of a request to this upstream.
    pub(super) fn uri(&self, path: PathAndQuery) -> Uri {
        self.uri_of(self.address.authority.clone(), path)
    }

    /// The URI of a request to this upstream for another host.
    pub(super) fn uri_of(&self, host: Authority, path: PathAndQuery) -> Uri {
        uri(self.address.speaks, host, path)
    }

    /// Returns whether requests in HTTP/1.1 may reach it.
    pub(super) fn may_speak_http1(&self) -> bool {
        matches!(self.address.speaks, Speaks::Http1 | Speaks::Tls)
    }

    /// The time for which requests should go elsewhere.
    pub(super) fn rest(&self, now: Instant) -> Option<Duration> {
        if !self.way.is_there() {
            return Some(Duration::MAX);
        }
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

fn uri(speaks: Speaks, host: Authority, path: PathAndQuery) -> Uri {
    let mut parts = http::uri::Parts::default();
    parts.scheme = Some(speaks.uri_scheme());
    parts.authority = Some(host);
    parts.path_and_query = Some(path);
    Uri::from_parts(parts).unwrap_or_default()
}
