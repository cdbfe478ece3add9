//! A peer that disappears, at every point of an exchange: no task, no handler and no body is left.

use std::{
    convert::Infallible,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use bytes::Bytes;
use http::{Method, Request, Response};
use http_body::Frame;
use http_body_util::BodyExt;
use lacewing_server::{
    ConnectionConfig, Limits, RequestBody, ServerOptions, Side, Spawn, Version, service_fn,
};
use tokio::runtime::Handle;

use crate::{bodies::pieces, peer::Peer};

/// Counts its instances that exist.
#[derive(Clone, Default)]
struct Census(Arc<AtomicUsize>);

struct Citizen(Census);

impl Census {
    fn born(&self) -> Citizen {
        self.0.fetch_add(1, Ordering::SeqCst);
        Citizen(self.clone())
    }

    fn alive(&self) -> usize {
        self.0.load(Ordering::SeqCst)
    }
}

impl Drop for Citizen {
    fn drop(&mut self) {
        self.0.0.fetch_sub(1, Ordering::SeqCst);
    }
}

/// Runs all other tasks until `done`, which must happen.
async fn settle(what: &str, mut done: impl FnMut() -> bool) {
    for _ in 0..100_000 {
        if done() {
            return;
        }
        tokio::task::yield_now().await;
    }
    panic!("never: {what}");
}

async fn handle(
    census: Census,
    request: Request<RequestBody>,
) -> Result<
    Response<impl http_body::Body<Data = Bytes, Error = lacewing_server::BoxError>>,
    Infallible,
> {
    let citizen = census.born();
    let path = request.uri().path().to_owned();
    let (sender, body) = pieces();
    match path.as_str() {
        "/never" => std::future::pending::<()>().await,
        "/reads" => {
            let _ = request.into_body().collect().await;
        }
        "/streams" => {
            tokio::spawn(async move {
                let _citizen = citizen;
                let piece = Bytes::from(vec![0; 10_000]);
                while sender.send(Ok(Frame::data(piece.clone()))).await.is_ok() {}
            });
            return Ok(Response::new(body));
        }
        _ => {}
    }
    sender
        .send(Ok(Frame::data(Bytes::from_static(b"done"))))
        .await
        .unwrap();
    Ok(Response::new(body))
}

fn connect(version: Version, spawn: Spawn, census: &Census) -> Peer {
    let census = census.clone();
    let service = service_fn(move |request| handle(census.clone(), request));
    Peer::connect(version, ServerOptions::default().spawn(spawn), service)
}

#[tokio::test]
async fn a_peer_that_hangs_up_leaves_nothing_behind() {
    let census = Census::default();
    for version in Version::ALL {
        for spawn in [Spawn::WhenPending, Spawn::Never, Spawn::Always] {
            for point in 0..5 {
                let before = Handle::current().metrics().num_alive_tasks();
                let mut peer = connect(version, spawn, &census);
                match point {
                    0 => {}
                    1 => {
                        // While the handler runs.
                        peer.open(Method::GET, "/never", None);
                        peer.flush().await;
                        settle("a handler", || census.alive() == 1).await;
                    }
                    2 => {
                        // During the request's body.
                        let uri = "http://example.org/reads".parse().unwrap();
                        let head = lacewing_conn::proto::Head::request(Method::POST, uri);
                        let key = peer.open_with(head);
                        peer.stream(key)
                            .send_data(Bytes::from_static(b"half"), false)
                            .unwrap();
                        peer.flush().await;
                        settle("a handler", || census.alive() == 1).await;
                    }
                    3 => {
                        // During the response's body.
                        let key = peer.open(Method::GET, "/streams", None);
                        peer.until(|peer| peer.received(key).body.len() > 100_000)
                            .await;
                    }
                    _ => {
                        // After a response.
                        assert_eq!(peer.get("/").await.text(), "done");
                    }
                }
                let serving = peer.hang_up();
                settle("the end", || serving.is_finished() && census.alive() == 0).await;
                drop(serving);
                let tasks = || Handle::current().metrics().num_alive_tasks();
                settle("no task", || tasks() == before).await;
            }
        }
    }
}

#[tokio::test]
async fn a_stream_that_is_reset_takes_its_handler_with_it() {
    let census = Census::default();
    for version in Version::ALL {
        for spawn in [Spawn::WhenPending, Spawn::Never, Spawn::Always] {
            let before = Handle::current().metrics().num_alive_tasks();
            let mut peer = connect(version, spawn, &census);
            for path in ["/never", "/streams", "/never"] {
                let key = peer.open(Method::GET, path, None);
                peer.flush().await;
                settle("a handler", || census.alive() == 1).await;
                if path == "/streams" {
                    peer.head(key).await;
                }
                peer.reset(key);
                peer.flush().await;
                settle("no handler", || census.alive() == 0).await;
            }
            // The connection continues.
            assert_eq!(peer.get("/").await.text(), "done", "{version}");
            let tasks = || Handle::current().metrics().num_alive_tasks();
            // The connection's, and that of the clock if its wait is long.
            settle("no task of a handler", || tasks() <= before + 2).await;
            drop(peer);
            settle("no task", || tasks() == before).await;
        }
    }
}

/// Rapid Reset (CVE-2023-44487): reset streams count until their handlers end. There are never more
/// handlers than permitted streams.
#[tokio::test]
async fn resets_do_not_multiply_handlers() {
    for version in Version::ALL {
        let (census, most) = (Census::default(), Arc::new(AtomicUsize::new(0)));
        let service = service_fn({
            let (census, most) = (census.clone(), Arc::clone(&most));
            move |_: Request<RequestBody>| {
                let citizen = census.born();
                most.fetch_max(census.alive(), Ordering::SeqCst);
                async move {
                    let _citizen = citizen;
                    std::future::pending::<()>().await;
                    Ok::<_, Infallible>(Response::new(String::new()))
                }
            }
        });
        let limits = Limits::new(Side::Server).with(|limits| limits.max_concurrent_streams = 5);
        let mut peer = Peer::connect(
            version,
            ServerOptions::default().connection(
                ConnectionConfig::new(Side::Server).with(|config| config.limits = limits.into()),
            ),
            service,
        );
        for _ in 0..100 {
            let key = peer.open(Method::GET, "/", None);
            peer.stream(key).reset(lacewing_server::Reason::Cancel);
        }
        peer.flush().await;
        for _ in 0..1000 {
            tokio::task::yield_now().await;
        }
        assert!(most.load(Ordering::SeqCst) <= 5, "{version}: {most:?}");
        let serving = peer.hang_up();
        settle("the end", || serving.is_finished() && census.alive() == 0).await;
    }
}
