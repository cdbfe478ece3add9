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
    failure::{Attempt, Failure, Kind},
    fields,
    group::{Group, Tried},
    is_forwarded,
    message::{Outbound, passed_on},
    tunnel::Asked,
    upstream::Upstream,
};

/// Bytes of a path that a warning shows.
const SHOWN_PATH: usize = 200;

impl Shared {
    /// Forwards a request to an upstream of the group. If the upstream certainly did not process
    /// it, the next one gets it.
    pub(super) async fn forward(
        &self,
        group: &Group,
        mut request: Request<RequestBody>,
    ) -> Result<Response<Reply>, Failure> {
        let asked = Asked::of(&mut request);
        if asked.is_none() && !is_forwarded(request.method()) {
            let cause = format!("the method {}", request.method());
            return Err(Failure::new(Kind::NotForwarded, cause));
        }
        let (mut outbound, body) = Outbound::of(request, &self.settings)?;
        if let Some(asked) = asked {
            // In a box: it is rare and large, and each request would have room for it.
            return Box::pin(self.open_tunnel(group, outbound, asked)).await;
        }
        let home = (!body.is_end_stream()).then(|| Home::new(body));
        let mut tried = Tried::default();
        let mut last = Failure::new(Kind::Unreachable, "the route has no upstream");
        while let Some(upstream) = group.next(&mut tried) {
            let last_one = tried.are_all(group) && !upstream.way.is_shared();
            let head = outbound.head(upstream, last_one);
            let failure = match self.exchange(upstream, head, home.as_ref()).await {
                Ok(response) => return Ok(response),
                Err(failure) => failure,
            };
            let again = failure.unprocessed && home.as_ref().is_none_or(|home| home.is_whole());
            last = self.blame(upstream, &outbound, failure.failure);
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

    /// Sends the request to one upstream.
    async fn exchange(
        &self,
        upstream: &Arc<Upstream>,
        head: Request<()>,
        home: Option<&Arc<Home>>,
    ) -> Result<Response<Reply>, Attempt> {
        let open = upstream.open();
        let sent = match home {
            None => upstream.way.request(head.map(|()| Body::empty())),
            Some(home) => {
                let trailers = match upstream.may_speak_http1() {
                    true => Trailers::Declared(fields::declared_trailers(head.headers())),
                    false => Trailers::All,
                };
                let upload = home.lend(trailers);
                upstream.way.request(head.map(|()| upload))
            }
        };
        let patience = self.settings.reach.timeouts.response;
        let response = tokio::select! {
            biased;
            response = sent => response?,
            () = stands_still(home.map(|home| &**home), patience) => {
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
            warn!(
                "{} for {} {}: {}: {failure}",
                failure.kind.status().as_u16(),
                outbound.method,
                shown.escape_debug(),
                upstream.address
            );
        }
        failure
    }
}
