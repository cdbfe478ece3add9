//! Stacks of tower's layers around a service and around axum's extractors, on all protocols and
//! HTTP/1.1, with clients that leave in the middle.

use std::{
    convert::Infallible,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use axum::{
    Router,
    body::Bytes,
    error_handling::HandleErrorLayer,
    extract::{DefaultBodyLimit, Extension, Multipart},
    response::sse::{Event, KeepAlive, Sse},
    routing::{get, post},
};
use futures_util::StreamExt;
use http::{HeaderValue, Method, Request, Response, StatusCode};
use lacewing_conn::proto::Head;
use lacewing_server::{BoxError, ConnectionInfo, RequestBody, ServerOptions, Version, service_fn};
use tokio::sync::Semaphore;
use tower::{ServiceBuilder, limit::GlobalConcurrencyLimitLayer};
use tower_service::Service;

use crate::peer::Peer;

/// A connection of any protocol.
enum Client {
    Multiplexed(Box<Peer>),
    #[cfg(feature = "http1")]
    Http1(crate::http1::Http1),
}

/// The protocols of every test: the four, and `None` for HTTP/1.1.
fn protocols() -> Vec<Option<Version>> {
    let mut all: Vec<_> = Version::ALL.into_iter().map(Some).collect();
    if cfg!(feature = "http1") {
        all.push(None);
    }
    all
}

/// Any service.
trait Handler:
    Service<Request<RequestBody>, Response: Send, Error: Into<BoxError>, Future: Send + 'static>
    + Clone
    + Send
    + 'static
{
}

impl<S> Handler for S where
    S: Service<Request<RequestBody>, Response: Send, Error: Into<BoxError>, Future: Send + 'static>
        + Clone
        + Send
        + 'static
{
}

impl Client {
    fn connect<S, B>(protocol: Option<Version>, service: S) -> Self
    where
        S: Handler + Service<Request<RequestBody>, Response = Response<B>>,
        <S as Service<Request<RequestBody>>>::Error: Into<BoxError>,
        <S as Service<Request<RequestBody>>>::Future: Send + 'static,
        B: http_body::Body<Data: bytes::Buf + Send, Error: Into<BoxError>> + Send + 'static,
    {
        // One of the handlers reads an extension.
        let options = ServerOptions::default().connection_info(lacewing_server::Extension::Insert);
        match protocol {
            Some(version) => Self::Multiplexed(Box::new(Peer::connect(version, options, service))),
            #[cfg(feature = "http1")]
            None => Self::Http1(crate::http1::Http1::connect(options, service)),
            #[cfg(not(feature = "http1"))]
            None => unreachable!("no HTTP/1.1"),
        }
    }

    /// Sends a request, and does not wait.
    async fn send(&mut self, path: &str) {
        match self {
            Self::Multiplexed(peer) => {
                peer.open(Method::GET, path, None);
                peer.flush().await;
            }
            #[cfg(feature = "http1")]
            Self::Http1(client) => client.send("GET", path).await,
        }
    }

    async fn get(&mut self, path: &str) -> (u16, String) {
        match self {
            Self::Multiplexed(peer) => {
                let answer = peer.get(path).await;
                (answer.status.unwrap().as_u16(), answer.text().to_owned())
            }
            #[cfg(feature = "http1")]
            Self::Http1(client) => {
                let reply = client.get(path).await;
                assert!(reply.whole, "{reply:?}");
                (reply.status(), reply.body)
            }
        }
    }

    async fn post(&mut self, path: &str, media: &'static str, body: String) -> (u16, String) {
        match self {
            Self::Multiplexed(peer) => {
                let uri = format!("http://example.org{path}").parse().unwrap();
                let mut head = Head::request(Method::POST, uri);
                let media = HeaderValue::from_static(media);
                head.fields.insert("content-type", media);
                let key = peer.open_with(head);
                peer.stream(key).send_data(body.into(), true).unwrap();
                let answer = peer.answer(key).await;
                (answer.status.unwrap().as_u16(), answer.text().to_owned())
            }
            #[cfg(feature = "http1")]
            Self::Http1(client) => {
                use tokio::io::AsyncWriteExt;

                let request = format!(
                    "POST {path} HTTP/1.1\r\nhost: example.org\r\ncontent-type: {media}\r\n\
                     content-length: {}\r\n\r\n{body}",
                    body.len()
                );
                client.io.write_all(request.as_bytes()).await.unwrap();
                let reply = client.reply("POST").await;
                (reply.status(), reply.body)
            }
        }
    }

    /// Disappears without a shutdown.
    async fn leave(self) {
        let serving = match self {
            Self::Multiplexed(peer) => peer.hang_up(),
            #[cfg(feature = "http1")]
            Self::Http1(client) => client.serving,
        };
        let _ = in_time("the end of the client that left", serving).await;
    }

    fn log(&self) -> String {
        let log = match self {
            Self::Multiplexed(peer) => &peer.log,
            #[cfg(feature = "http1")]
            Self::Http1(client) => &client.log,
        };
        log.lock().unwrap().join("\n")
    }
}

/// In virtual time: until every task waits for something that does not happen.
async fn in_time<T>(what: &str, work: impl Future<Output = T>) -> T {
    let done = tokio::time::timeout(Duration::from_secs(36_000), work).await;
    done.unwrap_or_else(|_| panic!("hangs: {what}"))
}

async fn others_run() {
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
}

/// Handlers that wait for a permit; `/now` needs none. Counts those that run.
#[derive(Clone)]
struct Gate {
    permits: Arc<Semaphore>,
    running: Arc<AtomicUsize>,
}

impl Gate {
    fn new() -> Self {
        Self {
            permits: Arc::new(Semaphore::new(0)),
            running: Arc::default(),
        }
    }

    fn service(
        &self,
    ) -> impl Handler<Response = Response<String>, Error = Infallible, Future: Send + 'static> {
        let gate = self.clone();
        service_fn(move |request: Request<RequestBody>| {
            let gate = gate.clone();
            async move {
                if request.uri().path() != "/now" {
                    let running = Running::new(&gate.running);
                    let _ = gate.permits.acquire().await;
                    drop(running);
                }
                Ok(Response::new("served".to_owned()))
            }
        })
    }
}

struct Running(Arc<AtomicUsize>);

impl Running {
    fn new(count: &Arc<AtomicUsize>) -> Self {
        count.fetch_add(1, Ordering::SeqCst);
        Self(Arc::clone(count))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

/// A client that is gone leaves no handler, and no place in any queue, whichever layer delayed its
/// request.
async fn leavers_leave_nothing<S, B>(what: &str, gate: &Gate, service: S)
where
    S: Handler + Service<Request<RequestBody>, Response = Response<B>>,
    <S as Service<Request<RequestBody>>>::Error: Into<BoxError>,
    <S as Service<Request<RequestBody>>>::Future: Send + 'static,
    B: http_body::Body<Data: bytes::Buf + Send, Error: Into<BoxError>> + Send + 'static,
{
    for protocol in protocols() {
        let told = format!("{what} over {protocol:?}");
        // A new period, for a rate limit too.
        tokio::time::sleep(Duration::from_secs(10)).await;
        // Some requests hold the permits, and others wait for them.
        let mut leavers = Vec::new();
        for _ in 0..6 {
            let mut leaver = Client::connect(protocol, service.clone());
            leaver.send("/gated").await;
            others_run().await;
            leavers.push(leaver);
        }
        assert!(gate.running.load(Ordering::SeqCst) > 0, "{told}");
        for leaver in leavers {
            leaver.leave().await;
        }
        others_run().await;
        assert_eq!(gate.running.load(Ordering::SeqCst), 0, "{told}");
        for _ in 0..3 {
            let mut next = Client::connect(protocol, service.clone());
            let answer = in_time(&told, next.get("/now")).await;
            assert_eq!(answer, (200, "served".to_owned()), "{told}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn who_leaves_gives_back_what_each_layer_keeps() {
    const LONG: Duration = Duration::from_secs(3600);
    let second = Duration::from_secs(1);
    let gate = Gate::new();
    let limited = ServiceBuilder::new().concurrency_limit(2);
    leavers_leave_nothing("a limit", &gate, limited.service(gate.service())).await;
    let buffered = ServiceBuilder::new().buffer(2).concurrency_limit(2);
    leavers_leave_nothing("a buffer", &gate, buffered.service(gate.service())).await;
    let shedding = ServiceBuilder::new().load_shed().concurrency_limit(2);
    leavers_leave_nothing("shed load", &gate, shedding.service(gate.service())).await;
    let rated = ServiceBuilder::new().buffer(2).rate_limit(3, second);
    leavers_leave_nothing("a rate limit", &gate, rated.service(gate.service())).await;
    let stack = ServiceBuilder::new()
        .concurrency_limit(4)
        .buffer(2)
        .timeout(LONG)
        .rate_limit(3, second)
        .concurrency_limit(2);
    leavers_leave_nothing("a stack", &gate, stack.service(gate.service())).await;
}

/// Its error is 500, the log has the reason, and the permit is free again.
#[tokio::test(start_paused = true)]
async fn a_timeout_ends_a_handler_and_what_it_held() {
    let gate = Gate::new();
    let service = ServiceBuilder::new()
        .concurrency_limit(1)
        .timeout(Duration::from_secs(5))
        .service(gate.service());
    for protocol in protocols() {
        let mut client = Client::connect(protocol, service.clone());
        for _ in 0..2 {
            let (status, _) = in_time("a timeout", client.get("/gated")).await;
            assert_eq!(status, 500, "{protocol:?}");
            assert_eq!(gate.running.load(Ordering::SeqCst), 0, "{protocol:?}");
            let (status, _) = in_time("the next", client.get("/now")).await;
            assert_eq!(status, 200, "{protocol:?}");
        }
        let log = client.log();
        assert!(log.contains("timed out"), "{protocol:?}: {log}");
    }
}

fn router() -> Router {
    let events = || async {
        let events = futures_util::stream::iter(0..3).then(|number| async move {
            tokio::time::sleep(Duration::from_secs(20)).await;
            Ok::<_, Infallible>(Event::default().data(number.to_string()))
        });
        Sse::new(events).keep_alive(KeepAlive::new().interval(Duration::from_secs(15)))
    };
    let parts = |mut form: Multipart| async move {
        let mut seen = String::new();
        while let Some(field) = form.next_field().await? {
            let name = field.name().unwrap_or_default().to_owned();
            let len = field.bytes().await?.len();
            seen += &format!("{name}={len};");
        }
        Ok::<_, axum::extract::multipart::MultipartError>(seen)
    };
    let protocol =
        |Extension(info): Extension<ConnectionInfo>| async move { info.protocol().to_string() };
    Router::new()
        .route("/events", get(events))
        .route("/parts", post(parts))
        .route(
            "/length",
            post(|body: Bytes| async move { body.len().to_string() }),
        )
        .route("/never", get(std::future::pending::<()>))
        .route("/protocol", get(protocol))
        .layer(DefaultBodyLimit::max(10_000))
        .layer(
            ServiceBuilder::new()
                .layer(HandleErrorLayer::new(|error: BoxError| async move {
                    (StatusCode::SERVICE_UNAVAILABLE, error.to_string())
                }))
                .load_shed()
                // A limit without a name would be one for each route.
                .layer(GlobalConcurrencyLimitLayer::new(4))
                .timeout(Duration::from_secs(300)),
        )
}

fn form(lengths: &[usize]) -> String {
    let parts = lengths.iter().enumerate().map(|(number, length)| {
        let content = "x".repeat(*length);
        format!("--edge\r\ncontent-disposition: form-data; name=\"f{number}\"\r\n\r\n{content}\r\n")
    });
    parts.collect::<String>() + "--edge--\r\n"
}

#[tokio::test(start_paused = true)]
async fn extractors_work_behind_layers() {
    const FORM: &str = "multipart/form-data; boundary=edge";
    let router = router();
    for protocol in protocols() {
        let mut client = Client::connect(protocol, router.clone());
        let told = format!("{protocol:?}");
        let (status, body) = client.get("/protocol").await;
        let expected = protocol.map_or("http/1.1", Version::alpn);
        assert!(status == 200 && body == expected, "{told}: {body}");

        let small = client.post("/length", "text/plain", "x".repeat(10_000));
        assert_eq!(small.await, (200, "10000".to_owned()), "{told}");
        let (status, _) = client.post("/parts", FORM, form(&[0, 1, 9_000])).await;
        assert_eq!(status, 200, "{told}");
        let (_, seen) = client.post("/parts", FORM, form(&[0, 7, 2_000])).await;
        assert_eq!(seen, "f0=0;f1=7;f2=2000;", "{told}");

        let (status, body) = in_time(&told, client.get("/events")).await;
        assert_eq!(status, 200, "{told}");
        for number in 0..3 {
            let event = format!("data: {number}\n\n");
            assert!(body.contains(&event), "{told}: {body}");
        }
        // Keep-alive bytes between the events.
        assert!(body.contains(":\n\n"), "{told}: {body}");

        let (status, body) = in_time(&told, client.get("/never")).await;
        assert!(
            status == 503 && body.contains("timed out"),
            "{told}: {body}"
        );

        // The request that is too large is last, since HTTP/1.1 closes its connection after it.
        let (status, _) = client.post("/parts", FORM, form(&[9_000, 9_000])).await;
        assert_eq!(status, 413, "{told}");
        let mut client = Client::connect(protocol, router.clone());
        let large = client.post("/length", "text/plain", "x".repeat(20_000));
        assert_eq!(large.await.0, 413, "{told}");
    }
}

/// The events stop when their reader is gone, and the permit is free.
#[tokio::test(start_paused = true)]
async fn readers_of_events_leave_nothing_behind() {
    let router = router();
    for protocol in protocols() {
        for _ in 0..3 {
            let mut leavers = Vec::new();
            for _ in 0..4 {
                let mut leaver = Client::connect(protocol, router.clone());
                leaver.send("/never").await;
                others_run().await;
                leavers.push(leaver);
            }
            let mut shed = Client::connect(protocol, router.clone());
            let (status, body) = in_time("shed load", shed.get("/protocol")).await;
            assert!(
                status == 503 && body.contains("overloaded"),
                "{protocol:?}: {body}"
            );
            for leaver in leavers {
                leaver.leave().await;
            }
            others_run().await;
            let (status, _) = in_time("the next", shed.get("/protocol")).await;
            assert_eq!(status, 200, "{protocol:?}");
            for _ in 0..4 {
                let mut reader = Client::connect(protocol, router.clone());
                reader.send("/events").await;
                others_run().await;
                reader.leave().await;
            }
        }
    }
}

/// Without an extension, and for every protocol.
#[tokio::test]
async fn a_body_knows_its_connection() {
    let tell = lacewing_server::service_fn(|request: Request<RequestBody>| async move {
        let connection = request.body().connection().unwrap();
        Ok::<_, Infallible>(Response::new(connection.protocol().to_string()))
    });
    for protocol in protocols() {
        let (_, body) = Client::connect(protocol, tell).get("/").await;
        assert_eq!(body, protocol.map_or("http/1.1", Version::alpn));
    }
}
