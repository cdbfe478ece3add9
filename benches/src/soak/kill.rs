//! Processes that are killed: the other side notices, and frees all.

use std::{
    env,
    io::{BufRead as _, BufReader},
    process::{Command, Stdio},
    time::Duration,
};

use bytes::Bytes;
use http::Request;
use http_body_util::Full;
use lacewing_client::{Client, Version};
use tokio::time::{sleep, timeout};

use super::{Resources, Running, listener, settle};
use crate::Error;

/// Connections of the client that is killed.
const CONNECTIONS: &str = "50";

pub(super) async fn run() -> Result<(), Error> {
    kill_a_client().await?;
    kill_a_server().await
}

/// A program that is built beside this one.
pub(super) fn sibling(name: &str) -> Result<Command, Error> {
    Ok(Command::new(env::current_exe()?.with_file_name(name)))
}

async fn kill_a_client() -> Result<(), Error> {
    let server = Running::start(listener()?).await?;
    let before = Resources::now();
    let mut client = sibling("idle-clients")?
        .args(["--port", &server.address.port().to_string()])
        .args(["--connections", CONNECTIONS])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()?;
    sleep(Duration::from_secs(1)).await;
    crate::say!("a client is there: {}", Resources::now());
    client.kill()?;
    client.wait()?;
    settle("a killed client", before).await?;
    server.stop().await
}

async fn kill_a_server() -> Result<(), Error> {
    let before = Resources::now();
    let port = listener()?.local_addr()?.port();
    let mut server = sibling("bench-server")?
        .args(["--port", &port.to_string()])
        .stdout(Stdio::piped())
        .spawn()?;
    let output = server.stdout.take().ok_or("no output")?;
    let mut output = BufReader::new(output);
    let mut line = String::new();
    output.read_line(&mut line)?;
    let client = Client::builder().cleartext_protocol(Version::Http2).build();
    let mut bodies = Vec::new();
    for _ in 0..20 {
        let uri = format!("http://127.0.0.1:{port}/bytes/100000000");
        let request = Request::get(uri).body(Full::new(Bytes::new()))?;
        bodies.push(client.request(request).await?);
    }
    crate::say!("a server is there: {}", Resources::now());
    server.kill()?;
    server.wait()?;
    for response in bodies {
        let mut body = response.into_body();
        let end = async {
            loop {
                match http_body_util::BodyExt::frame(&mut body).await {
                    Some(Ok(_)) => {}
                    Some(Err(_)) => return Ok(()),
                    None => return Err("a response was whole all the same"),
                }
            }
        };
        timeout(Duration::from_secs(10), end).await??;
    }
    drop((client, output));
    settle("a killed server", before).await
}
