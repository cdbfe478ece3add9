//! Mixed traffic: every protocol, both directions, cancels, pushes, slow readers, reconnects.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use bytes::Bytes;
use http::{Request, Version as HttpVersion};
use http_body_util::{BodyExt as _, Full};
use lacewing_client::{Client, PushPolicy, Version};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::{sleep, timeout},
};

use super::{Resources, Running, listener, settle};
use crate::Error;

const VERSIONS: [Version; 4] = [
    Version::Http2,
    Version::Spdy31,
    Version::Spdy3,
    Version::Spdy2,
];

/// Workers of each protocol.
const WORKERS: u64 = 4;

/// The time of the traffic before the first measurement: caches and pools fill.
const WARM_UP: Duration = Duration::from_secs(3);

/// The numbers of exchanges, by their ends.
#[derive(Debug, Default)]
struct Counts {
    whole: AtomicU64,
    cancelled: AtomicU64,
    connections: AtomicU64,
    pushes: AtomicU64,
}

pub(super) async fn run(time: Duration) -> Result<(), Error> {
    let server = Running::start(listener()?).await?;
    play(server.address, WARM_UP).await?;
    sleep(Duration::from_secs(2)).await;
    let before = Resources::now();
    let counts = play(server.address, time).await?;
    crate::say!("traffic for {} s: {counts:?}", time.as_secs());
    settle("traffic", before).await?;
    server.stop().await
}

async fn play(address: SocketAddr, time: Duration) -> Result<Arc<Counts>, Error> {
    let counts = Arc::new(Counts::default());
    let end = Instant::now() + time;
    let mut tasks = Vec::new();
    for version in VERSIONS {
        for worker in 0..WORKERS {
            tasks.push(tokio::spawn(work(
                address,
                version,
                worker,
                end,
                counts.clone(),
            )));
        }
    }
    tasks.push(tokio::spawn(work_http1(address, end, counts.clone())));
    for task in tasks {
        task.await??;
    }
    Ok(counts)
}

/// One worker's requests, over a client that it throws away from time to time.
async fn work(
    address: SocketAddr,
    version: Version,
    seed: u64,
    end: Instant,
    counts: Arc<Counts>,
) -> Result<(), Error> {
    let mut rng = seed.wrapping_mul(0x9e37_79b9).wrapping_add(version as u64) + 1;
    while Instant::now() < end {
        counts.connections.fetch_add(1, Relaxed);
        let client = Client::builder()
            .cleartext_protocol(version)
            .options(|options| options.accept_push(PushPolicy::default()))
            .build();
        for _ in 0..40 {
            rng ^= rng << 13;
            rng ^= rng >> 7;
            rng ^= rng << 17;
            exchange(&client, address, rng, &counts)
                .await
                .map_err(|error| format!("{version}, {}: {error}", rng % 9))?;
        }
    }
    Ok(())
}

async fn exchange(
    client: &Client,
    address: SocketAddr,
    rng: u64,
    counts: &Counts,
) -> Result<(), Error> {
    let url = |path: &str| format!("http://{address}{path}");
    let get = |path: &str| Request::get(url(path)).body(Full::new(Bytes::new()));
    let size = rng >> 20 & 0xffff;
    match rng % 9 {
        // Cancelled: before the response, or in its middle.
        0 => {
            let request = client.request(get("/bytes/300000")?);
            let wait = Duration::from_micros(size % 3_000);
            drop(timeout(wait, request).await);
            counts.cancelled.fetch_add(1, Relaxed);
            return Ok(());
        }
        1 => {
            let mut body = client.request(get("/bytes/300000")?).await?.into_body();
            body.frame().await.ok_or("no content")??;
            counts.cancelled.fetch_add(1, Relaxed);
            return Ok(());
        }
        // A slow reader.
        2 => {
            let mut body = client.request(get("/bytes/200000")?).await?.into_body();
            let mut received = 0;
            while let Some(frame) = body.frame().await {
                received += frame?.data_ref().map_or(0, Bytes::len);
                sleep(Duration::from_millis(1)).await;
            }
            assert_len(received, 200_000)?;
        }
        3 | 4 => {
            let content = vec![7; usize::try_from(size)?];
            let request = Request::post(url("/echo")).body(Full::new(Bytes::from(content)))?;
            let body = client.request(request).await?.into_body();
            assert_len(
                body.collect().await?.to_bytes().len(),
                usize::try_from(size)?,
            )?;
        }
        5 => {
            let response = client.request(get("/page")?).await?;
            assert_len(response.into_body().collect().await?.to_bytes().len(), 100)?;
            counts.pushes.fetch_add(1, Relaxed);
        }
        _ => {
            let response = client.request(get(&format!("/bytes/{size}"))?).await?;
            let body = response.into_body().collect().await?;
            assert_len(body.to_bytes().len(), usize::try_from(size)?)?;
        }
    }
    counts.whole.fetch_add(1, Relaxed);
    Ok(())
}

fn assert_len(received: usize, expected: usize) -> Result<(), Error> {
    if received == expected {
        return Ok(());
    }
    Err(format!("{received} bytes instead of {expected}").into())
}

/// Requests of HTTP/1.1, ten on a connection, on the same port.
async fn work_http1(address: SocketAddr, end: Instant, counts: Arc<Counts>) -> Result<(), Error> {
    let version = HttpVersion::HTTP_11;
    while Instant::now() < end {
        counts.connections.fetch_add(1, Relaxed);
        let mut socket = TcpStream::connect(address).await?;
        for _ in 0..10 {
            let request = format!("GET /bytes/10000 {version:?}\r\nhost: {address}\r\n\r\n");
            socket.write_all(request.as_bytes()).await?;
            let mut received = Vec::new();
            loop {
                let head = received.windows(4).position(|four| four == b"\r\n\r\n");
                if head.is_some_and(|head| received.len() >= head + 4 + 10_000) {
                    break;
                }
                if socket.read_buf(&mut received).await? == 0 {
                    return Err("HTTP/1.1: the connection ended in a response".into());
                }
            }
            counts.whole.fetch_add(1, Relaxed);
        }
    }
    Ok(())
}
