//! Active checks: requests that ask each upstream for its health.

use std::{sync::Arc, time::Duration};

use http::{Request, uri::PathAndQuery};
use lacewing_client::Body;
use tokio::{
    task::JoinSet,
    time::{MissedTickBehavior, interval, timeout},
};

use super::{
    failure::{Failure, Kind},
    group::Group,
    routes::Routes,
    settings::{Active, Timeouts},
    upstream::Upstream,
};

/// Checks all upstreams, each again and again, for ever. With the task, they end.
pub(super) async fn run(routes: &Routes<Arc<Group>>, active: &Active, timeouts: Timeouts) {
    let mut checks = JoinSet::new();
    for (_, group) in routes.iter() {
        for upstream in &group.upstreams {
            let (upstream, active) = (Arc::clone(upstream), active.clone());
            checks.spawn(async move { check_again_and_again(&upstream, &active, timeouts).await });
        }
    }
    while checks.join_next().await.is_some() {}
}

async fn check_again_and_again(upstream: &Upstream, active: &Active, timeouts: Timeouts) {
    let mut ticks = interval(active.interval);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let patience = timeouts.response.min(active.interval);
        upstream.checked(check(upstream, &active.path, patience).await);
    }
}

/// A GET in the upstream's own protocol. A status below 400 is well.
async fn check(upstream: &Upstream, path: &str, patience: Duration) -> Result<(), Failure> {
    let wrong = |error: String| Failure::new(Kind::BadRequest, error);
    let path: PathAndQuery = path
        .parse()
        .map_err(|_| wrong(format!("the path {path}")))?;
    let request = Request::get(upstream.uri(path))
        .header("user-agent", "lacewingd health check")
        .body(Body::empty())
        .map_err(|error| wrong(error.to_string()))?;
    let response = match timeout(patience, upstream.way.request(request)).await {
        Ok(response) => response.map_err(|attempt| attempt.failure)?,
        Err(_) => {
            let cause = format!("the health check had no response within {patience:?}");
            return Err(Failure::new(Kind::ResponseTimeout, cause));
        }
    };
    let status = response.status();
    if status.as_u16() < 400 {
        return Ok(());
    }
    Err(Failure::new(
        Kind::Sick,
        format!("its health check is answered with {status}"),
    ))
}
