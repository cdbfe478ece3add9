//! Client and server of one library in one thread, over TCP on 127.0.0.1: Lacewing and hyper,
//! HTTP/2. Measures small GETs, and uploads and downloads of 1 MiB: the cost of both sides
//! together. (`cargo xtask bench` measures the servers alone.)

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

use std::future::Future;
use std::net::{Ipv4Addr, SocketAddr};

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use lacewing_benches::hyper_peer::{self, HyperClient};
use lacewing_benches::lacewing_peer::{self, LacewingClient};
use lacewing_benches::load::{Kind, Load, Peer};
use lacewing_benches::{Error, runtime};
use tokio::net::TcpListener;

criterion_group!(benches, ours, hyper);
criterion_main!(benches);

const MAX_STREAMS: u32 = 1000;
const MIB: u64 = 1 << 20;

/// The number of requests in one iteration.
const LOADS: [(&str, Load); 3] = [
    ("small-gets", load(Kind::Small, 1000, 100)),
    ("download-1-MiB", load(Kind::Download(MIB), 16, 4)),
    ("upload-1-MiB", load(Kind::Upload(MIB), 16, 4)),
];

const fn load(kind: Kind, requests: u64, streams: usize) -> Load {
    Load {
        kind,
        requests,
        connections: 1,
        streams,
    }
}

fn ours(criterion: &mut Criterion) {
    measure::<LacewingClient, _>(criterion, "ours", |listener| {
        lacewing_peer::serve(listener, MAX_STREAMS)
    });
}

fn hyper(criterion: &mut Criterion) {
    measure::<HyperClient, _>(criterion, "hyper", |listener| {
        hyper_peer::serve(listener, MAX_STREAMS, None)
    });
}

fn measure<P, F>(criterion: &mut Criterion, library: &str, serve: fn(TcpListener) -> F)
where
    P: Peer,
    F: Future<Output = Result<(), Error>> + Send + 'static,
{
    let runtime = runtime::build(1).unwrap();
    let address: SocketAddr = runtime.block_on(async {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move { serve(listener).await.unwrap() });
        address
    });
    let mut group = criterion.benchmark_group("loopback");
    group.sample_size(20);
    for (name, load) in LOADS {
        let peers = runtime.block_on(load.connect::<P>(address)).unwrap();
        group.throughput(match load.bytes_per_request() {
            0 => Throughput::Elements(load.requests),
            bytes => Throughput::Bytes(load.requests * bytes),
        });
        group.bench_function(BenchmarkId::new(name, library), |bencher| {
            bencher.iter(|| runtime.block_on(load.run(&peers, address)).unwrap());
        });
    }
    group.finish();
}
