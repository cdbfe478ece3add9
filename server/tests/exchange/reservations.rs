//! Services that reserve capacity in `poll_ready` for their next call. The server calls the
//! instance that it polled, and no reservation is left unused.

use std::{
    convert::Infallible,
    future::{Ready, ready},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use http::{Method, Request, Response, StatusCode};
use lacewing_server::{BoxError, RequestBody, ServerOptions, Spawn, Version, service_fn};
use tokio::sync::watch;
use tower::{
    Layer, ServiceBuilder,
    limit::{ConcurrencyLimitLayer, GlobalConcurrencyLimitLayer},
};
use tower_service::Service;

use crate::peer::Peer;

/// In virtual time: until all tasks wait for something that does not happen.
async fn in_time<T>(what: impl std::fmt::Display, work: impl Future<Output = T>) -> T {
    let done = tokio::time::timeout(Duration::from_secs(3600), work).await;
    done.unwrap_or_else(|_| panic!("hangs: {what}"))
}

/// The number of running handlers, and the largest number at once.
#[derive(Clone, Default)]
struct Running {
    now: Arc<AtomicUsize>,
    most: Arc<AtomicUsize>,
}

impl Running {
    /// A handler that needs several polls.
    fn service(
        &self,
    ) -> impl Service<
        Request<RequestBody>,
        Response = Response<String>,
        Error = Infallible,
        Future: Send,
    > + Clone
    + Send
    + 'static {
        let running = self.clone();
        service_fn(move |_: Request<RequestBody>| {
            let running = running.clone();
            async move {
                let now = running.now.fetch_add(1, Ordering::SeqCst) + 1;
                running.most.fetch_max(now, Ordering::SeqCst);
                for _ in 0..3 {
                    tokio::task::yield_now().await;
                }
                running.now.fetch_sub(1, Ordering::SeqCst);
                Ok(Response::new("served".to_owned()))
            }
        })
    }

    fn most(&self) -> usize {
        self.most.load(Ordering::SeqCst)
    }
}

/// Several requests at once on one connection, and some on another; twice. Returns the number of
/// served requests.
async fn two_connections<S, T>(
    what: &str,
    options: ServerOptions,
    first: S,
    second: T,
) -> Vec<usize>
where
    S: Service<
            Request<RequestBody>,
            Response = Response<String>,
            Error: Into<BoxError>,
            Future: Send,
        > + Clone
        + Send
        + 'static,
    S::Future: 'static,
    T: Service<
            Request<RequestBody>,
            Response = Response<String>,
            Error: Into<BoxError>,
            Future: Send,
        > + Clone
        + Send
        + 'static,
    T::Future: 'static,
{
    let mut served = Vec::new();
    for version in Version::ALL {
        let mut one = Peer::connect(version, options.clone(), first.clone());
        let mut other = Peer::connect(version, options.clone(), second.clone());
        let mut count = 0;
        for _ in 0..2 {
            let ask = |peer: &mut Peer, many: usize| -> Vec<_> {
                (0..many)
                    .map(|_| peer.open(Method::GET, "/", None))
                    .collect()
            };
            let (ones, others) = (ask(&mut one, 5), ask(&mut other, 3));
            let all = |peer: &'static str| format!("{what} over {version}, {peer}");
            let (ones, others) = tokio::join!(
                in_time(all("one"), answers(&mut one, ones)),
                in_time(all("other"), answers(&mut other, others)),
            );
            count += ones + others;
        }
        served.push(count);
    }
    #[cfg(feature = "http1")]
    {
        use crate::http1::Http1;

        let mut count = 0;
        let mut connections: Vec<_> = (0..4)
            .map(|_| Http1::connect(options.clone(), first.clone()))
            .collect();
        for connection in &mut connections {
            connection.send("GET", "/").await;
        }
        for connection in &mut connections {
            let reply = in_time(what, connection.reply("GET")).await;
            count += usize::from(reply.status() == 200);
        }
        assert!(count > 0, "{what} over HTTP/1.1");
    }
    served
}

async fn answers(peer: &mut Peer, keys: Vec<lacewing_conn::proto::StreamKey>) -> usize {
    let mut served = 0;
    for key in keys {
        let answer = peer.answer(key).await;
        match answer.status.unwrap() {
            StatusCode::OK => served += 1,
            status => assert_eq!(status, StatusCode::INTERNAL_SERVER_ERROR),
        }
    }
    served
}

fn both_ways() -> [ServerOptions; 3] {
    [Spawn::WhenPending, Spawn::Never, Spawn::Always]
        .map(|spawn| ServerOptions::default().spawn(spawn))
}

#[tokio::test(start_paused = true)]
async fn a_concurrency_limit_lets_everybody_through_one_by_one() {
    for options in both_ways() {
        let running = Running::default();
        let service = ConcurrencyLimitLayer::new(1).layer(running.service());
        let served = two_connections("a limit", options, service.clone(), service).await;
        assert_eq!(served, [16; 4]);
        assert_eq!(running.most(), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn a_limit_for_several_services_lets_everybody_through_one_by_one() {
    for options in both_ways() {
        let running = Running::default();
        let layer = GlobalConcurrencyLimitLayer::new(1);
        let (first, second) = (
            layer.layer(running.service()),
            layer.layer(running.service()),
        );
        let served = two_connections("a global limit", options, first, second).await;
        assert_eq!(served, [16; 4]);
        assert_eq!(running.most(), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn a_buffer_passes_on_what_waits_in_it() {
    for options in both_ways() {
        let running = Running::default();
        let service = ServiceBuilder::new()
            .buffer(1)
            .concurrency_limit(1)
            .service(running.service());
        let served = two_connections("a buffer", options, service.clone(), service).await;
        assert_eq!(served, [16; 4]);
        assert_eq!(running.most(), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn a_rate_limit_is_waited_for() {
    for options in both_ways() {
        let service = ServiceBuilder::new()
            .buffer(4)
            .rate_limit(2, Duration::from_secs(1))
            .service(Running::default().service());
        let served = two_connections("a rate limit", options, service.clone(), service).await;
        assert_eq!(served, [16; 4]);
    }
}

/// A request that was shed must not hold a permit.
#[tokio::test(start_paused = true)]
async fn load_is_shed_while_there_is_too_much_and_not_after() {
    for options in both_ways() {
        let running = Running::default();
        let service = ServiceBuilder::new()
            .load_shed()
            .concurrency_limit(1)
            .service(running.service());
        let served = two_connections(
            "shed load",
            options.clone(),
            service.clone(),
            service.clone(),
        )
        .await;
        assert!(
            served.iter().all(|served| (1..16).contains(served)),
            "{served:?}"
        );
        assert_eq!(running.most(), 1);
        for version in Version::ALL {
            // One connection is busy and sheds requests; then another has the whole capacity.
            let mut busy = Peer::connect(version, options.clone(), service.clone());
            let keys = (0..5).map(|_| busy.open(Method::GET, "/", None)).collect();
            let served = in_time("shed load", answers(&mut busy, keys)).await;
            assert!(served < 5, "{version}");
            let mut other = Peer::connect(version, options.clone(), service.clone());
            for _ in 0..3 {
                let answer = in_time("the next", other.get("/")).await;
                assert_eq!(answer.status, Some(StatusCode::OK), "{version}");
            }
        }
    }
}

/// A handler that waits at a gate, behind one permit.
fn gated() -> (
    watch::Sender<bool>,
    impl Service<
        Request<RequestBody>,
        Response = Response<String>,
        Error = Infallible,
        Future: Send + 'static,
    > + Clone
    + Send
    + 'static,
) {
    let (open, gate) = watch::channel(false);
    let service = service_fn(move |_: Request<RequestBody>| {
        let mut gate = gate.clone();
        async move {
            let _ = gate.wait_for(|open| *open).await;
            Ok(Response::new("served".to_owned()))
        }
    });
    (open, ConcurrencyLimitLayer::new(1).layer(service))
}

async fn everybody_runs() {
    for _ in 0..50 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_client_that_leaves_gives_back_what_it_waits_for() {
    for options in both_ways() {
        for version in Version::ALL {
            for hangs_up in [false, true] {
                let (open, service) = gated();
                let mut holder = Peer::connect(version, options.clone(), service.clone());
                let first = holder.open(Method::GET, "/", None);
                holder.flush().await;
                everybody_runs().await;
                let mut leaver = Peer::connect(version, options.clone(), service.clone());
                let waiting: Vec<_> = (0..3)
                    .map(|_| leaver.open(Method::GET, "/", None))
                    .collect();
                leaver.flush().await;
                everybody_runs().await;
                let mut last = Peer::connect(version, options.clone(), service.clone());
                let patient = last.open(Method::GET, "/", None);
                last.flush().await;
                everybody_runs().await;
                if hangs_up {
                    let serving = leaver.hang_up();
                    let _ = in_time("the end of the client that left", serving).await;
                } else {
                    for key in waiting {
                        leaver.reset(key);
                    }
                    leaver.flush().await;
                    everybody_runs().await;
                }
                open.send_replace(true);
                let told = format!("{version}, hangs up: {hangs_up}");
                assert_eq!(in_time(&told, holder.answer(first)).await.text(), "served");
                assert_eq!(in_time(&told, last.answer(patient)).await.text(), "served");
            }
        }
    }
}

/// A client that held the permit, too.
#[tokio::test(start_paused = true)]
async fn a_client_that_leaves_in_the_middle_gives_its_permit_back() {
    for options in both_ways() {
        for version in Version::ALL {
            let (open, service) = gated();
            let mut holder = Peer::connect(version, options.clone(), service.clone());
            let held = holder.open(Method::GET, "/", None);
            holder.open(Method::GET, "/", None);
            holder.flush().await;
            everybody_runs().await;
            let mut other = Peer::connect(version, options.clone(), service.clone());
            let patient = other.open(Method::GET, "/", None);
            other.flush().await;
            everybody_runs().await;
            holder.reset(held);
            holder.flush().await;
            drop(holder);
            // The gate opens only for later requests.
            everybody_runs().await;
            open.send_replace(true);
            let told = version.to_string();
            assert_eq!(in_time(&told, other.answer(patient)).await.text(), "served");
        }
    }
}

/// Ready in every second poll. Otherwise it fails, or panics.
#[derive(Clone)]
struct Flaky {
    polls: Arc<AtomicUsize>,
    panics: bool,
}

impl Service<Request<RequestBody>> for Flaky {
    type Response = Response<String>;
    type Error = BoxError;
    type Future = Ready<Result<Response<String>, BoxError>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        match self.polls.fetch_add(1, Ordering::SeqCst) % 2 {
            0 if self.panics => panic!("the service panics, as it should"),
            0 => Poll::Ready(Err("overloaded".into())),
            _ => Poll::Ready(Ok(())),
        }
    }

    fn call(&mut self, _: Request<RequestBody>) -> Self::Future {
        ready(Ok(Response::new("called".into())))
    }
}

/// An instance that failed holds a permit for a call that never follows.
#[tokio::test(start_paused = true)]
async fn a_service_that_fails_to_be_ready_keeps_nothing() {
    for options in both_ways() {
        for panics in [false, true] {
            let told = if panics { "panicked" } else { "overloaded" };
            let service = ConcurrencyLimitLayer::new(1).layer(Flaky {
                polls: Arc::default(),
                panics,
            });
            for version in Version::ALL {
                let mut one = Peer::connect(version, options.clone(), service.clone());
                let mut other = Peer::connect(version, options.clone(), service.clone());
                let failed = in_time("a failure", one.get("/")).await;
                assert_eq!(failed.status, Some(StatusCode::INTERNAL_SERVER_ERROR));
                let last = one.log.lock().unwrap().pop().unwrap();
                assert!(last.contains(told), "{version}: {last}");
                let answer = in_time("the next request", other.get("/")).await;
                assert_eq!(answer.text(), "called", "{version}");
            }
            #[cfg(feature = "http1")]
            {
                let mut one = crate::http1::Http1::connect(options.clone(), service.clone());
                let failed = in_time("a failure", one.get("/")).await;
                assert_eq!(failed.status(), 500, "{}", failed.head);
                let last = one.log.lock().unwrap().pop().unwrap();
                assert!(last.contains(told), "{last}");
                assert_eq!(in_time("the next", one.get("/")).await.body, "called");
            }
        }
    }
}

/// Counts its clones.
struct Counted(Arc<AtomicUsize>);

impl Clone for Counted {
    fn clone(&self) -> Self {
        self.0.fetch_add(1, Ordering::SeqCst);
        Self(Arc::clone(&self.0))
    }
}

impl Service<Request<RequestBody>> for Counted {
    type Response = Response<String>;
    type Error = Infallible;
    type Future = Ready<Result<Response<String>, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Request<RequestBody>) -> Self::Future {
        ready(Ok(Response::new("called".into())))
    }
}

#[tokio::test]
async fn a_service_that_is_always_ready_is_not_cloned_for_a_request() {
    for version in Version::ALL {
        let clones = Arc::new(AtomicUsize::new(0));
        let service = Counted(Arc::clone(&clones));
        let mut peer = Peer::connect(version, ServerOptions::default(), service);
        assert_eq!(peer.get("/").await.text(), "called", "{version}");
        let before = clones.load(Ordering::SeqCst);
        for _ in 0..20 {
            assert_eq!(peer.get("/").await.text(), "called", "{version}");
        }
        assert_eq!(clones.load(Ordering::SeqCst), before, "{version}");
    }
}
