//! A server with known answers, and connections to it.

#![allow(
    dead_code,
    unreachable_pub,
    reason = "every test program uses its part"
)]

pub mod peer;

use std::{
    convert::Infallible,
    future::Future,
    net::SocketAddr,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll},
};

use bytes::{Buf, Bytes};
use http::{HeaderMap, Method, Request, Response, StatusCode};
use http_body::{Body, Frame};
use http_body_util::{BodyExt as _, Empty, combinators::UnsyncBoxBody};
use lacewing_client::{ClientOptions, Connection, Incoming, Version};
use lacewing_server::{RequestBody, ServerBuilder, ServerOptions, serve_connection, service_fn};
use sha2::{Digest as _, Sha256};
use tokio::{io::DuplexStream, task::JoinHandle};
use tower_service::Service;

pub type BoxBody = UnsyncBoxBody<Bytes, lacewing_server::BoxError>;

/// The state of the routes.
#[derive(Clone, Debug, Default)]
pub struct Witness {
    pub requests: Arc<AtomicUsize>,
    /// Bodies of responses that were dropped, complete or not.
    pub bodies_gone: Arc<AtomicUsize>,
}

/// Runs a test on every version, with enough time for a slow machine: a hang is a failure.
pub fn every_version<F, R>(test: F)
where
    F: Fn(Version) -> R,
    R: Future<Output = ()>,
{
    for version in Version::ALL {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(async {
            let patience = std::time::Duration::from_secs(60);
            let done = tokio::time::timeout(patience, test(version)).await;
            assert!(done.is_ok(), "hangs on {version}");
        });
    }
}

/// A server on a pipe in memory, and a client's connection to it.
pub struct Pair {
    pub connection: Connection,
    pub client_task: JoinHandle<Result<(), lacewing_client::Error>>,
    pub server_task: JoinHandle<Result<(), lacewing_server::ServeError>>,
    pub witness: Witness,
}

pub fn pair(version: Version) -> Pair {
    pair_with(version, ClientOptions::default(), ServerOptions::default())
}

pub fn pair_with(version: Version, config: ClientOptions, options: ServerOptions) -> Pair {
    let (client, server) = tokio::io::duplex(64 * 1024);
    let witness = Witness::default();
    let server_task = serve(server, version, options, witness.clone());
    let (connection, task) = Connection::handshake(client, version, config);
    Pair {
        connection,
        client_task: tokio::spawn(task),
        server_task,
        witness,
    }
}

pub fn serve(
    io: DuplexStream,
    version: Version,
    options: ServerOptions,
    witness: Witness,
) -> JoinHandle<Result<(), lacewing_server::ServeError>> {
    let service = service_fn(move |request| routes(request, witness.clone()));
    tokio::spawn(serve_connection(io, version, options, service))
}

/// Starts a server on a port that it chooses, until the test ends. Returns its address.
pub async fn listen<S, B>(server: ServerBuilder, service: S) -> SocketAddr
where
    S: Service<Request<RequestBody>, Response = Response<B>> + Clone + Send + 'static,
    S::Error: Into<lacewing_server::BoxError>,
    S::Future: Send,
    B: Body<Data: Buf + Send, Error: Into<lacewing_server::BoxError>> + Send + 'static,
{
    let server = server.build().await.unwrap();
    let address = server.local_addrs().next().unwrap();
    tokio::spawn(server.serve(service));
    address
}

/// The bind address of a server that chooses its port.
pub fn any_port() -> SocketAddr {
    ([127, 0, 0, 1], 0).into()
}

/// The routes of the test server.
pub async fn routes(
    request: Request<RequestBody>,
    witness: Witness,
) -> Result<Response<BoxBody>, Infallible> {
    witness.requests.fetch_add(1, Ordering::SeqCst);
    let path = request.uri().path().to_owned();
    let number = path
        .rsplit('/')
        .next()
        .and_then(|number| number.parse().ok())
        .unwrap_or(0);
    let response = match (request.method(), path.split('/').nth(1).unwrap_or_default()) {
        (_, "hello") => Response::new(boxed(String::from("hello world"))),
        // This many bytes, in pieces.
        (_, "bytes") => Response::new(boxed(Generator::new(number, witness.bodies_gone.clone()))),
        (_, "status") => {
            let mut response = Response::new(boxed(Empty::<Bytes>::new()));
            *response.status_mut() = StatusCode::from_u16(number as u16).unwrap();
            response
        }
        // The body is echoed as it arrives.
        (&Method::POST, "echo") => Response::new(boxed(request.into_body())),
        // The body is read, and its digest returned.
        (&Method::POST, "digest") => {
            let body = request.into_body().collect().await;
            let digest = body.map(|body| sha256(&body.to_bytes()));
            Response::new(boxed(digest.unwrap_or_else(|error| error.to_string())))
        }
        // The fields of the request are returned as a body.
        (_, "fields") => Response::new(boxed(format!("{:?}", request.headers()))),
        // A response with this number of header fields.
        (_, "many-fields") => {
            let mut response = Response::new(boxed(String::from("done")));
            for field in 0..number {
                let name = http::HeaderName::try_from(format!("x-field-{field}")).unwrap();
                response
                    .headers_mut()
                    .insert(name, "value".parse().unwrap());
            }
            response
        }
        (_, "trailers") => {
            let mut trailers = HeaderMap::new();
            trailers.insert("x-checksum", "42".parse().unwrap());
            let body = http_body_util::Full::new(Bytes::from("body"));
            Response::new(boxed(body.with_trailers(async move { Some(Ok(trailers)) })))
        }
        // This number of trailers.
        (_, "many-trailers") => {
            let mut trailers = HeaderMap::new();
            for field in 0..number {
                let name = http::HeaderName::try_from(format!("x-field-{field}")).unwrap();
                trailers.insert(name, "value".parse().unwrap());
            }
            let body = http_body_util::Full::new(Bytes::from("body"));
            Response::new(boxed(body.with_trailers(async move { Some(Ok(trailers)) })))
        }
        // The request's trailers are returned as a body.
        (_, "request-trailers") => {
            let body = request.into_body().collect().await.unwrap();
            let trailers = body.trailers().cloned().unwrap_or_default();
            let data = body.to_bytes();
            let checksum = trailers
                .get("x-checksum")
                .map(|value| value.to_str().unwrap());
            Response::new(boxed(format!("{} {checksum:?}", data.len())))
        }
        // A page with an associated resource.
        (_, "pushes") => {
            if let Some(pusher) = request.extensions().get::<lacewing_server::Pusher>() {
                let pushed = Request::get("/bytes/1000").body(()).unwrap();
                // Refused if the client accepts none.
                let _ = pusher.push(pushed).await;
            }
            Response::new(boxed(String::from("page")))
        }
        // Never answers.
        (_, "never") => std::future::pending().await,
        // A head, and then nothing more.
        (_, "stall") => Response::new(boxed(Stall(Gone(witness.bodies_gone.clone())))),
        _ => {
            let mut response = Response::new(boxed(String::from("no such page")));
            *response.status_mut() = StatusCode::NOT_FOUND;
            response
        }
    };
    Ok(response)
}

pub fn get(path: &str) -> Request<lacewing_client::Body> {
    Request::get(format!("http://test.example{path}"))
        .body(lacewing_client::Body::empty())
        .unwrap()
}

pub fn post<B>(path: &str, body: B) -> Request<B> {
    Request::post(format!("http://test.example{path}"))
        .body(body)
        .unwrap()
}

pub async fn text(response: Response<Incoming>) -> String {
    let body = response.into_body().collect().await.unwrap().to_bytes();
    String::from_utf8(body.to_vec()).unwrap()
}

pub fn sha256(bytes: &[u8]) -> String {
    format!("{:x}", Sha256::digest(bytes))
}

/// Reads a body to its end: its length and digest.
pub async fn measure(mut body: Incoming) -> (u64, String) {
    let mut digest = Sha256::new();
    let mut length = 0;
    while let Some(frame) = body.frame().await {
        let data = frame.unwrap().into_data().unwrap();
        length += data.len() as u64;
        digest.update(&data);
    }
    (length, format!("{:x}", digest.finalize()))
}

/// The bytes of [`Generator`], by their position.
pub fn pattern(length: usize) -> Vec<u8> {
    (0..length)
        .map(|at| (at.wrapping_mul(2_654_435_761) >> 7) as u8)
        .collect()
}

fn boxed<B>(body: B) -> BoxBody
where
    B: Body<Data = Bytes, Error: Into<lacewing_server::BoxError>> + Send + 'static,
{
    body.map_err(Into::into).boxed_unsync()
}

/// Counts its own end.
struct Gone(Arc<AtomicUsize>);

impl Drop for Gone {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

/// A body of a known pattern, in pieces of uneven size.
pub struct Generator {
    at: usize,
    end: usize,
    _gone: Gone,
}

impl Generator {
    pub fn new(length: usize, gone: Arc<AtomicUsize>) -> Self {
        Self {
            at: 0,
            end: length,
            _gone: Gone(gone),
        }
    }
}

impl Body for Generator {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        if self.at == self.end {
            return Poll::Ready(None);
        }
        let length = (self.at % 20_011 + 1).max(4096).min(self.end - self.at);
        let piece =
            (self.at..self.at + length).map(|at| (at.wrapping_mul(2_654_435_761) >> 7) as u8);
        let piece = Bytes::from_iter(piece);
        self.at += length;
        Poll::Ready(Some(Ok(Frame::data(piece))))
    }
}

struct Stall(Gone);

impl Body for Stall {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        _cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Poll::Pending
    }
}

/// Runs the tasks of a current-thread runtime until a condition holds.
pub async fn until(what: &str, mut condition: impl FnMut() -> bool) {
    for _ in 0..10_000 {
        if condition() {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(1)).await;
    }
    panic!("did not happen: {what}");
}

/// All tasks of this runtime except for the test's own have ended.
pub async fn no_tasks_left() {
    let metrics = tokio::runtime::Handle::current().metrics();
    until("the end of all tasks", || metrics.num_alive_tasks() == 0).await;
}

/// A server that a test controls, and a client's connection to it.
pub async fn by_hand(config: ClientOptions, settings: &[(u16, u32)]) -> (Connection, peer::Peer) {
    let (client, server) = tokio::io::duplex(64 * 1024);
    let (connection, task) = Connection::handshake(client, Version::Http2, config);
    tokio::spawn(task);
    (connection, peer::Peer::start(server, settings).await)
}
