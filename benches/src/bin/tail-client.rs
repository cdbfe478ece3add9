//! Makes small requests at a steady rate on one connection (cleartext HTTP/2), alone or beside
//! downloads, and prints the 99th percentile of their latency.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

use clap::Parser;
use http::{Request, StatusCode};
use http_body_util::BodyExt;
use lacewing_benches::lacewing_peer::LacewingClient;
use lacewing_benches::load::{Peer, RequestBody};
use lacewing_benches::routes::RouteBody;
use lacewing_benches::{Error, runtime, say};
use tokio::task::JoinSet;

/// Measure the latency of small requests, alone or beside downloads
#[derive(Debug, Parser)]
struct Arguments {
    /// Port on 127.0.0.1 (cleartext, HTTP/2 with prior knowledge)
    #[arg(long, value_name = "P")]
    port: u16,
    /// Small requests a second
    #[arg(long, value_name = "N", default_value_t = 1_000)]
    rate: u32,
    /// Small requests in all
    #[arg(short = 'n', long, value_name = "N", default_value_t = 3_000)]
    requests: u32,
    /// The path of a small request
    #[arg(long, value_name = "PATH", default_value = "/")]
    small: String,
    /// Download this path again and again on the same connection
    #[arg(long, value_name = "PATH")]
    bulk: Option<String>,
}

fn main() -> Result<(), Error> {
    let arguments = Arguments::parse();
    runtime::build(1)?.block_on(measure(&arguments))
}

async fn measure(arguments: &Arguments) -> Result<(), Error> {
    let address: SocketAddr = (Ipv4Addr::LOCALHOST, arguments.port).into();
    let peer = LacewingClient::connect(address).await?;
    let get =
        |path: &str| Request::get(format!("http://{address}{path}")).body(RouteBody::Once(None));
    let small = get(&arguments.small)?.uri().clone();
    // The windows of the connection and of the server's caches are at their size.
    for _ in 0..100 {
        fetch(&mut peer.clone(), get(&arguments.small)?).await?;
    }
    let mut downloads = JoinSet::new();
    if let Some(path) = &arguments.bulk {
        let (mut peer, uri) = (peer.clone(), get(path)?.uri().clone());
        downloads.spawn(async move {
            loop {
                let mut request = Request::new(RouteBody::Once(None));
                *request.uri_mut() = uri.clone();
                if let Err(error) = fetch(&mut peer, request).await {
                    break error;
                }
            }
        });
        tokio::time::sleep(Duration::from_millis(300)).await;
    }
    let mut tasks = JoinSet::new();
    let start = Instant::now();
    for number in 0..arguments.requests {
        // From the plan: a request that starts late has waited.
        let planned = start + Duration::from_secs(1) * number / arguments.rate;
        tokio::time::sleep_until(planned.into()).await;
        let (mut peer, uri) = (peer.clone(), small.clone());
        tasks.spawn(async move {
            let mut request = Request::new(RouteBody::Once(None));
            *request.uri_mut() = uri;
            fetch(&mut peer, request).await?;
            Ok::<_, Error>(planned.elapsed())
        });
    }
    let mut latencies = Vec::new();
    while let Some(latency) = tasks.join_next().await {
        latencies.push(latency??);
    }
    if let Some(ended) = downloads.try_join_next() {
        return Err(ended?);
    }
    latencies.sort_unstable();
    let p99 = latencies
        .get(latencies.len() * 99 / 100)
        .ok_or("no requests")?;
    say!("p99: {:.3} ms", p99.as_secs_f64() * 1e3);
    Ok(())
}

/// Reads the response to its end.
async fn fetch(peer: &mut LacewingClient, request: Request<RequestBody>) -> Result<(), Error> {
    let response = peer.send(request).await?;
    if response.status() != StatusCode::OK {
        return Err(format!("status {}", response.status()).into());
    }
    let mut body = response.into_body();
    while let Some(frame) = body.frame().await {
        frame?;
    }
    Ok(())
}
