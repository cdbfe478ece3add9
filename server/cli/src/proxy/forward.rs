//! One request on its way to an upstream, and its response on the way back.

use std::sync::Arc;

use http::{Request, Response};
use http_body::Body as _;
use lacewing_client::Body;
use lacewing_server::RequestBody;
use metrics::counter;
use tracing::warn;

use super::{
    Shared,
    body::{Download, Home, Reply, Source, Trailers, stands_still},
    failure::{Attempt, Failure, Kind, Then},
    fields,
    group::{Group, Tried},
    is_forwarded,
    message::{Outbound, passed_on},
    tunnel::Asked,
    upstream::Upstream,
    way::Sending,
};

/// Bytes of a path that a warning shows.
const SHOWN_PATH: usize = 200;

/// A request that may go to an upstream.
pub(super) enum Prepared {
    /// With its content, if it has any.
    Exchange(Outbound, Option<Arc<Home>>),
    Tunnel(Outbound, Asked),
}

impl Shared {
    pub(super) fn prepare(&self, mut request: Request<RequestBody>) -> Result<Prepared, Failure> {
        let asked = Asked::of(&mut request);
        if asked.is_none() && !is_forwarded(request.method()) {
            let cause = format!("the method {}", request.method());
            return Err(Failure::new(Kind::NotForwarded, cause));
        }
        let (outbound, body) = Outbound::of(request, &self.settings)?;
        Ok(match asked {
            Some(asked) => Prepared::Tunnel(outbound, asked),
            None => {
                let home = (!body.is_end_stream()).then(|| Home::new(body));
                Prepared::Exchange(outbound, home)
            }
        })
    }

    /// Forwards a request to an upstream of the group. If the upstream certainly did not process
    /// it, the next one gets it.
    pub(super) async fn forward(
        &self,
        group: &Group,
        outbound: &mut Outbound,
        home: Option<Arc<Home>>,
    ) -> Result<Response<Reply>, Failure> {
        let mut tried = Tried::default();
        let mut last = Failure::new(Kind::NoUpstream, "the route has no upstream");
        while let Some(upstream) = group.next(&mut tried) {
            let last_one = tried.are_all(group) && !upstream.way.is_shared();
            let mut sent = send(upstream, outbound.head(upstream, last_one), home.as_ref());
            let failure = match self.exchange(upstream, &mut sent, home.as_ref()).await {
                Ok(response) => return Ok(response),
                Err(failure) => failure,
            };
            let again = failure.unprocessed && home.as_ref().is_none_or(|home| home.is_whole());
            let then = match again && !tried.are_all(group) {
                true => Then::NextUpstream,
                false => Then::Response,
            };
            last = self.blame(upstream, outbound, failure.failure, then);
            if !again {
                break;
            }
            if upstream.way.is_shared() && upstream.way.is_there() {
                // Another server at the end of the same tunnel.
                tried.again();
            }
        }
        Err(last)
    }

    /// Waits for the response of one upstream.
    async fn exchange(
        &self,
        upstream: &Arc<Upstream>,
        sent: &mut Sending,
        home: Option<&Arc<Home>>,
    ) -> Result<Response<Reply>, Attempt> {
        let open = upstream.open();
        let patience = self.settings.reach.timeouts.response;
        let response = tokio::select! {
            biased;
            response = sent => response?,
            () = stands_still(home.map(|home| &**home), patience, &self.timers) => {
                return Err(Failure::response_timeout(patience).into());
            }
        };
        upstream.answered();
        if let Some(home) = home.filter(|_| response.status().as_u16() >= 300) {
            home.end();
        }
        let idle = self.settings.reach.timeouts.idle;
        Ok(passed_on(response, |body| {
            Download::new(Source::Client(body), idle, open)
        }))
    }

    /// Records a failure of an upstream.
    pub(super) fn blame(
        &self,
        upstream: &Upstream,
        outbound: &Outbound,
        failure: Failure,
        then: Then,
    ) -> Failure {
        let kind = failure.kind.error_type();
        counter!("lacewingd_upstream_failures_total",
            "upstream" => upstream.address.to_string(), "error" => kind)
        .increment(1);
        if failure.kind.is_upstreams() {
            upstream.failed(&failure);
        }
        if failure.kind != Kind::Upload && upstream.complains() {
            let path = outbound.path.path();
            let shown: String = path.chars().take(SHOWN_PATH).collect();
            let (method, path, address) =
                (&outbound.method, shown.escape_debug(), &upstream.address);
            match then {
                Then::Response => {
                    let status = failure.kind.status().as_u16();
                    warn!("{status} for {method} {path}: {address}: {failure}");
                }
                // The client may well get its response.
                Then::NextUpstream => {
                    warn!("{method} {path}: another upstream is tried: {address}: {failure}");
                }
            }
        }
        failure
    }
}

/// Sends a request to one upstream.
fn send(upstream: &Upstream, head: Request<()>, home: Option<&Arc<Home>>) -> Sending {
    let Some(home) = home else {
        return upstream.way.request(head.map(|()| Body::empty()));
    };
    let trailers = match upstream.may_speak_http1() {
        true => Trailers::Declared(fields::declared_trailers(head.headers())),
        false => Trailers::All,
    };
    let upload = home.lend(trailers);
    upstream.way.request(head.map(|()| upload))
}
