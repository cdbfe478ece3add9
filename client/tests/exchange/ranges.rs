//! Video players: they request a range, read a little of it, and drop it for the next one,
//! thousands of times on one connection.

use std::{
    convert::Infallible,
    pin::Pin,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use http::{Request, Response, StatusCode, header};
use http_body::Frame;
use http_body_util::BodyExt as _;
use lacewing_client::{Body, ClientOptions, Connection, Version};
use lacewing_server::{ServerEvent, ServerOptions, serve_connection, service_fn};
use tokio::task::JoinHandle;

use crate::support::*;

const FILM: usize = 50_000_000;

/// A player that seeks thirty times per second. The limit on resets permits this to an honest
/// client forever (33 per second after 200 at once).
const PACE: Duration = Duration::from_millis(33);

/// A body of this length, without the memory for it; or its first bytes, from a slow disk.
struct Film {
    left: usize,
    stalls: bool,
    gone: Arc<AtomicUsize>,
}

impl http_body::Body for Film {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        if self.stalls && self.left == 0 {
            return Poll::Pending;
        }
        let len = self.left.min(16 << 10);
        self.left -= len;
        let piece = Bytes::from_static(&[7; 16 << 10]).slice(..len);
        Poll::Ready((len > 0).then(|| Ok(Frame::data(piece))))
    }
}

impl Drop for Film {
    fn drop(&mut self) {
        self.gone.fetch_add(1, Ordering::SeqCst);
    }
}

struct Theatre {
    connection: Connection,
    client_task: JoinHandle<Result<(), lacewing_client::Error>>,
    server_task: JoinHandle<Result<(), lacewing_server::ServeError>>,
    /// The numbers of response bodies that were created and dropped.
    begun: Arc<AtomicUsize>,
    gone: Arc<AtomicUsize>,
    /// The server's statistics of the connection, every second.
    server_stats: Arc<Mutex<Vec<lacewing_server::ConnectionStats>>>,
}

fn open(version: Version) -> Theatre {
    let (begun, gone) = (Arc::<AtomicUsize>::default(), Arc::<AtomicUsize>::default());
    let counters = (Arc::clone(&begun), Arc::clone(&gone));
    let service = service_fn(move |request: Request<lacewing_server::RequestBody>| {
        let (begun, gone) = counters.clone();
        async move {
            let range = request.headers()[header::RANGE].to_str().unwrap();
            let (from, to) = range
                .strip_prefix("bytes=")
                .unwrap()
                .split_once('-')
                .unwrap();
            let from: usize = from.parse().unwrap();
            let preview = to.parse().ok();
            let to = preview.unwrap_or(FILM - 1);
            begun.fetch_add(1, Ordering::SeqCst);
            let mut response = Response::new(Film {
                left: if preview.is_some() {
                    16 << 10
                } else {
                    to + 1 - from
                },
                stalls: preview.is_some(),
                gone,
            });
            *response.status_mut() = StatusCode::PARTIAL_CONTENT;
            let content = format!("bytes {from}-{to}/{FILM}");
            response
                .headers_mut()
                .insert(header::CONTENT_RANGE, content.parse().unwrap());
            Ok::<_, Infallible>(response)
        }
    });
    let server_stats = Arc::new(Mutex::new(Vec::new()));
    let told = Arc::clone(&server_stats);
    let options = ServerOptions::default()
        .stats_every(Duration::from_secs(1))
        .observer(move |event| {
            if let ServerEvent::Stats { stats, .. } = event {
                told.lock().unwrap().push((*stats).clone());
            }
        });
    let (here, there) = tokio::io::duplex(64 << 10);
    let server_task = tokio::spawn(serve_connection(there, version, options, service));
    let (connection, task) = Connection::handshake(here, version, ClientOptions::default());
    Theatre {
        connection,
        client_task: tokio::spawn(task),
        server_task,
        begun,
        gone,
        server_stats,
    }
}

/// From this position to the end.
fn range(from: usize) -> Request<Body> {
    asked(format!("bytes={from}-"))
}

fn asked(range: String) -> Request<Body> {
    Request::get("http://theatre.example/film")
        .header(header::RANGE, range)
        .body(Body::empty())
        .unwrap()
}

#[tokio::test(start_paused = true)]
async fn thousands_of_seeks_leave_nothing_behind() {
    for version in Version::ALL {
        let theatre = open(version);
        let connection = &theatre.connection;
        for seek in 0..3_000_usize {
            let from = seek * 7919 % (FILM - 1_000_000);
            match seek % 5 {
                // Dropped before the response, perhaps before the request is sent.
                0 => drop(connection.request(range(from))),
                1 => {
                    let asking = tokio::spawn(connection.request(range(from)));
                    tokio::task::yield_now().await;
                    asking.abort();
                }
                // Dropped after the head, after one piece, or after many.
                2 => drop(connection.request(range(from)).await.unwrap()),
                more => {
                    let response = connection.request(range(from)).await.unwrap();
                    assert_eq!(response.status(), StatusCode::PARTIAL_CONTENT);
                    let mut body = response.into_body();
                    for _ in 0..(more - 2) * 5 {
                        body.frame().await.unwrap().unwrap();
                    }
                }
            }
            tokio::time::sleep(PACE).await;
        }
        nothing_is_left(version, &theatre).await;

        // No window credit was lost: the film still plays to its end.
        let response = connection.request(range(30_000_000)).await.unwrap();
        let (length, _) = measure(response.into_body()).await;
        assert_eq!(length, 20_000_000, "{version}");
        drop(theatre.connection);
        theatre.client_task.await.unwrap().unwrap();
        theatre.server_task.await.unwrap().unwrap();
    }
}

/// Many requests at once, like a player that shows previews while the user scrolls: within the
/// burst that the limit on resets permits. (The unread data is less than the connection may buffer:
/// without windows, the head of the next response follows that data.)
#[tokio::test(start_paused = true)]
async fn a_burst_of_seeks_is_no_attack() {
    for version in Version::ALL {
        let theatre = open(version);
        let connection = &theatre.connection;
        for burst in 0..10 {
            let mut bodies = Vec::new();
            for number in 0..90 {
                let from = number * 100_000 + burst;
                let request = asked(format!("bytes={from}-{}", from + 50_000));
                let request = connection.request(request);
                bodies.push(request.await.unwrap().into_body());
            }
            drop(bodies);
            // As long as this number of seeks takes at a player's pace.
            tokio::time::sleep(PACE * 90).await;
        }
        nothing_is_left(version, &theatre).await;
        drop(theatre.connection);
        theatre.client_task.await.unwrap().unwrap();
        theatre.server_task.await.unwrap().unwrap();
    }
}

async fn nothing_is_left(version: Version, theatre: &Theatre) {
    tokio::time::sleep(Duration::from_secs(5)).await;
    let load = |counter: &AtomicUsize| counter.load(Ordering::SeqCst);
    let (begun, gone) = (load(&theatre.begun), load(&theatre.gone));
    assert!(begun > 500, "{version}: only {begun} began");
    assert_eq!(begun, gone, "{version}: bodies are left");
    assert!(theatre.connection.is_idle(), "{version}");
    assert_eq!(theatre.connection.streams().open, 0, "{version}");
    let ours = theatre.connection.stats().await.unwrap();
    let theirs = theatre
        .server_stats
        .lock()
        .unwrap()
        .last()
        .cloned()
        .unwrap();
    for stats in [&ours, &theirs] {
        let held = (
            stats.open_streams,
            stats.detached_handlers,
            stats.buffered_bytes,
            stats.output_bytes,
        );
        assert_eq!(held, (0, 0, 0, 0), "{version}: {stats:?}");
        assert!(stats.remembered_resets <= 128, "{version}: {stats:?}");
    }
    if let Some(window) = ours.receive_window {
        assert_eq!(
            ours.receive_credit,
            i64::from(window),
            "{version}: {ours:?}"
        );
    }
    assert!(ours.resets_sent.total() > 300, "{version}: {ours:?}");
}
