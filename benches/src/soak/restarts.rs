//! Rolling restarts under load: one server after the other takes over the port, and no request
//! fails.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt as _, Full};
use lacewing_client::{Client, Version};
use tokio::time::sleep;

use super::{Resources, Running, listener, settle};
use crate::Error;

pub(super) async fn run(restarts: usize) -> Result<(), Error> {
    let socket = listener()?;
    let before = Resources::now();
    let mut server = Running::start(socket.try_clone()?).await?;
    let address = server.address;
    let (over, whole) = (
        Arc::new(AtomicBool::new(false)),
        Arc::new(AtomicU64::new(0)),
    );
    let mut tasks = Vec::new();
    for version in [
        Version::Http2,
        Version::Spdy31,
        Version::Spdy3,
        Version::Spdy2,
    ] {
        let client = Client::builder().cleartext_protocol(version).build();
        for _ in 0..4 {
            let (client, over, whole) = (client.clone(), over.clone(), whole.clone());
            tasks.push(tokio::spawn(async move {
                while !over.load(Relaxed) {
                    let uri = format!("http://{address}/bytes/20000");
                    let request = Request::get(uri).body(Full::new(Bytes::new()))?;
                    let response = client.request(request).await;
                    let response = response.map_err(|error| format!("{version}: {error}"))?;
                    let body = response.into_body().collect().await;
                    body.map_err(|error| format!("{version}, content: {error}"))?;
                    whole.fetch_add(1, Relaxed);
                }
                Ok::<_, Error>(())
            }));
        }
    }
    for _ in 0..restarts {
        sleep(Duration::from_millis(700)).await;
        let next = Running::start(socket.try_clone()?).await?;
        std::mem::replace(&mut server, next).stop().await?;
    }
    sleep(Duration::from_millis(300)).await;
    over.store(true, Relaxed);
    for task in tasks {
        task.await??;
    }
    let whole = whole.load(Relaxed);
    crate::say!("{restarts} restarts: {whole} requests, none failed");
    server.stop().await?;
    settle("restarts", before).await
}
