//! The reverse proxy: requests whose route leads to upstreams are forwarded, others are for the site.

mod address;
mod body;
mod check;
mod connection;
mod failure;
mod fields;
mod forward;
mod group;
mod health;
mod key;
mod message;
mod routes;
mod settings;
mod timers;
mod tunnel;
mod upstream;
mod way;

use std::{
    convert::Infallible,
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Instant,
};

use http::{
    HeaderMap, HeaderValue, Method, Request, Response, StatusCode,
    header::{ACCEPT, HOST},
};
use lacewing_server::{MemoryBudget, RequestBody};
use tower_service::Service;

pub(crate) use self::{
    body::Reply,
    connection::connection,
    routes::RouteSpec,
    settings::{Active, Balance, HostField, Network, Passive, Reach, Settings, Timeouts},
};
use self::{
    failure::{Failure, Kind},
    forward::Prepared,
    group::Group,
    routes::{Pattern, Routes},
    timers::Timers,
    upstream::Upstream,
};
use crate::{
    log::Reason,
    reverse::{self, Tunnels},
    site::{Answering, Names, Rules, Site, status_page},
};

/// Forwards the requests whose route leads to upstreams.
#[derive(Clone)]
pub(crate) struct Proxy(Arc<Shared>);

struct Shared {
    routes: Routes<Arc<Group>>,
    settings: Settings,
    rules: Rules,
    names: Names,
    timers: Timers,
}

impl Proxy {
    /// The upstreams that `before` has in the same route, reached in the same way, keep their
    /// connections and their health.
    pub(crate) fn new(
        settings: Settings,
        rules: Rules,
        names: Names,
        memory: &MemoryBudget,
        tunnels: &Tunnels,
        before: Option<&Self>,
    ) -> Result<Self, String> {
        let before = before.filter(|before| {
            let old = &before.0.settings;
            // Nothing would heal what another check left out.
            old.reach == settings.reach && old.active == settings.active
        });
        let routes = Routes::new(&settings.routes, |pattern, addresses| {
            let upstreams = addresses.into_iter();
            let known = before.and_then(|before| before.group(pattern));
            let make = |address| match known.and_then(|group| group.upstream(&address)) {
                Some(upstream) => Ok(Arc::clone(upstream)),
                None => Upstream::new(address, &settings.reach, memory, tunnels).map(Arc::new),
            };
            let upstreams: Result<Vec<_>, String> = upstreams.map(make).collect();
            Ok(Arc::new(Group::new(upstreams?, settings.balance)))
        })?;
        Ok(Self(Arc::new(Shared {
            routes,
            settings,
            rules,
            names,
            timers: Timers::default(),
        })))
    }

    fn group(&self, pattern: &Pattern) -> Option<&Arc<Group>> {
        let mut routes = self.0.routes.iter();
        let found = routes.find(|(one, _)| one == pattern);
        found.map(|(_, group)| group)
    }

    /// One line for each route.
    pub(crate) fn describe(&self) -> String {
        let mut text = String::new();
        for (pattern, group) in self.0.routes.iter() {
            let upstreams: Vec<_> = group
                .upstreams
                .iter()
                .map(|one| one.address.to_string())
                .collect();
            text += &format!("  {pattern} => {}\n", upstreams.join(", "));
        }
        text
    }

    /// The state of each upstream of each route.
    pub(crate) fn states(&self) -> Vec<UpstreamState> {
        let routes = self.0.routes.iter();
        let states = routes.flat_map(|(pattern, group)| {
            let upstreams = group.upstreams.iter();
            upstreams.map(|upstream| UpstreamState {
                route: pattern.to_string(),
                upstream: upstream.address.to_string(),
                is_up: upstream.rest(Instant::now()).is_none(),
                requests: upstream.load(),
            })
        });
        states.collect()
    }

    /// Asks the upstreams for their health, if that is set, for ever.
    pub(crate) async fn check_health(self) {
        let Some(active) = self.0.settings.active.clone() else {
            return;
        };
        check::run(&self.0.routes, &active, self.0.settings.reach.timeouts).await;
    }
}

/// The state of one upstream of a route.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct UpstreamState {
    pub(crate) route: String,
    pub(crate) upstream: String,
    /// It gets requests.
    pub(crate) is_up: bool,
    /// Those that are open.
    pub(crate) requests: usize,
}

/// The proxy before a site, and the gateway of tunnels before both. Without a site, requests
/// without a route are 404.
#[derive(Clone)]
pub(crate) struct Front {
    pub(crate) proxy: Option<Proxy>,
    pub(crate) site: Option<Site>,
    pub(crate) tunnels: Tunnels,
}

impl Service<Request<RequestBody>> for Front {
    type Response = Response<Reply>;
    type Error = Infallible;
    type Future = Fronted;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<RequestBody>) -> Fronted {
        if reverse::is_asked(&self.tunnels, &request) {
            let response = reverse::answer(&self.tunnels, request);
            return Fronted::Own(Some(response.map(Reply::Own)));
        }
        let shared = match (&self.proxy, &mut self.site) {
            (Some(proxy), _) => &proxy.0,
            (None, Some(site)) => return Fronted::Site(site.call(request)),
            (None, None) => return Fronted::Own(Some(not_found())),
        };
        let path = request.uri().path();
        let found = match routes::normalize(path) {
            Ok(normal) => shared.routes.find(host(&request), &normal).cloned(),
            // The site has rules of its own for paths.
            Err(_) if shared.routes.find(host(&request), path).is_none() && self.site.is_some() => {
                None
            }
            Err(why) => {
                let failure = Failure::new(Kind::BadPath, why);
                return Fronted::Own(Some(shared.refuse(&failure, request.headers())));
            }
        };
        match (found, &mut self.site) {
            (Some(group), _) => shared.answer(group, request),
            (None, Some(site)) => Fronted::Site(site.call(request)),
            (None, None) => {
                let failure = Failure::new(Kind::NoRoute, "no route leads there");
                Fronted::Own(Some(shared.refuse(&failure, request.headers())))
            }
        }
    }
}

/// A response of the site, of an upstream, or of the proxy itself.
pub(crate) enum Fronted {
    Site(Answering),
    Forwarded(Pin<Box<dyn Future<Output = Response<Reply>> + Send>>),
    Own(Option<Response<Reply>>),
}

impl Future for Fronted {
    type Output = Result<Response<Reply>, Infallible>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match self.get_mut() {
            Self::Site(answering) => {
                let response = Pin::new(answering).poll(cx);
                response.map(|response| response.map(|response| response.map(Reply::Own)))
            }
            Self::Forwarded(response) => response.as_mut().poll(cx).map(Ok),
            Self::Own(response) => response
                .take()
                .map_or(Poll::Pending, |response| Poll::Ready(Ok(response))),
        }
    }
}

impl Shared {
    /// Forwards a request, and answers if that fails. The future waits for the upstream, and has
    /// only what is needed from then on: each request has one.
    fn answer(self: &Arc<Self>, group: Arc<Group>, request: Request<RequestBody>) -> Fronted {
        if self
            .names
            .is_misdirected(&request, request.body().connection())
        {
            let mut response = status_page(StatusCode::MISDIRECTED_REQUEST);
            self.rules.finish(request.headers(), &mut response);
            return Fronted::Own(Some(response.map(Reply::Own)));
        }
        let preferences = Preferences::of(request.headers());
        let shared = Arc::clone(self);
        match self.prepare(request) {
            Ok(Prepared::Exchange(mut outbound, home)) => {
                Fronted::Forwarded(Box::pin(async move {
                    let answered = shared.forward(&group, &mut outbound, home).await;
                    shared.finish(answered, preferences)
                }))
            }
            Ok(Prepared::Tunnel(mut outbound, asked)) => Fronted::Forwarded(Box::pin(async move {
                let opened = shared.open_tunnel(&group, &mut outbound, asked).await;
                shared.finish(opened, preferences)
            })),
            Err(failure) => Fronted::Own(Some(self.refuse(&failure, &preferences.into_fields()))),
        }
    }

    fn finish(
        &self,
        answered: Result<Response<Reply>, Failure>,
        preferences: Preferences,
    ) -> Response<Reply> {
        match answered {
            Ok(mut response) => {
                self.rules.add_fields(response.headers_mut());
                response
            }
            Err(failure) => self.refuse(&failure, &preferences.into_fields()),
        }
    }

    /// The proxy's own answer.
    fn refuse(&self, failure: &Failure, request: &HeaderMap) -> Response<Reply> {
        let mut response = status_page(failure.kind.status());
        self.rules
            .finish_with(request, &mut response, failure.kind.explanation());
        let reason = Reason(failure.kind.error_type());
        response.extensions_mut().insert(reason);
        let fields = response.headers_mut();
        fields.insert("proxy-status", failure.kind.proxy_status());
        if failure.kind.status() == StatusCode::SERVICE_UNAVAILABLE {
            fields.insert(http::header::RETRY_AFTER, HeaderValue::from_static("1"));
        }
        if failure.kind.status() == StatusCode::METHOD_NOT_ALLOWED {
            let allowed = HeaderValue::from_static("GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS");
            fields.insert(http::header::ALLOW, allowed);
        }
        response.map(Reply::Own)
    }
}

fn not_found() -> Response<Reply> {
    status_page(StatusCode::NOT_FOUND).map(Reply::Own)
}

/// The host that a request is for; empty if it names none.
fn host<B>(request: &Request<B>) -> &str {
    if let Some(authority) = request.uri().authority() {
        return authority.as_str();
    }
    let field = request.headers().get(HOST);
    field
        .and_then(|host| host.to_str().ok())
        .unwrap_or_default()
}

/// The values of `accept`, on which the look of an error page depends.
struct Preferences(Vec<HeaderValue>);

impl Preferences {
    fn of(fields: &HeaderMap) -> Self {
        Self(fields.get_all(ACCEPT).iter().cloned().collect())
    }

    fn into_fields(self) -> HeaderMap {
        let mut fields = HeaderMap::new();
        for value in self.0 {
            fields.append(ACCEPT, value);
        }
        fields
    }
}

/// Methods that end at a proxy: CONNECT without a protocol would make it an open one, and TRACE
/// would show the fields that it adds.
fn is_forwarded(method: &Method) -> bool {
    !matches!(*method, Method::CONNECT | Method::TRACE)
}
