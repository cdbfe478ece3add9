//! Many idle connections of another process, and many busy ones of this one.

use std::{
    io::{BufRead as _, BufReader},
    process::Stdio,
    time::Duration,
};

use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt as _, Full};
use lacewing_client::{ClientOptions, Connection, Version};
use tokio::{net::TcpStream, time::sleep};

use super::{Resources, Running, listener, settle};
use crate::Error;

/// Requests on each busy connection.
const REQUESTS: usize = 20;

pub(super) async fn run(idle: usize, busy: usize) -> Result<(), Error> {
    let server = Running::start(listener()?).await?;
    let before = Resources::now();
    let mut clients = super::kill::sibling("idle-clients")?
        .args(["--port", &server.address.port().to_string()])
        .args(["--connections", &idle.to_string()])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()?;
    let output = clients.stdout.take().ok_or("no output")?;
    let ready = tokio::task::spawn_blocking(move || {
        let mut line = String::new();
        BufReader::new(output).read_line(&mut line).map(|_| line)
    });
    let ready = ready.await??;
    if ready.trim() != format!("ready {idle}") {
        return Err(format!("idle connections: {ready:?} of {idle}").into());
    }
    sleep(Duration::from_millis(500)).await;
    crate::say!("{idle} idle connections: {}", Resources::now());
    let address = server.address;
    let mut tasks = Vec::new();
    for _ in 0..busy {
        tasks.push(tokio::spawn(async move {
            let socket = TcpStream::connect(address).await?;
            let options = ClientOptions::default();
            let (connection, task) = Connection::handshake(socket, Version::Http2, options);
            tokio::spawn(task);
            for _ in 0..REQUESTS {
                let uri = format!("http://{address}/bytes/5000");
                let request = Request::get(uri).body(Full::new(Bytes::new()))?;
                let body = connection.request(request).await?.into_body();
                body.collect().await?;
                sleep(Duration::from_millis(50)).await;
            }
            Ok::<_, Error>(())
        }));
    }
    sleep(Duration::from_millis(500)).await;
    crate::say!("and {busy} busy ones: {}", Resources::now());
    for task in tasks {
        task.await??;
    }
    drop(clients.stdin.take());
    clients.wait()?;
    settle("many connections", before).await?;
    server.stop().await
}
