//! Reverse tunnels: two programs, a gateway and a dialler, between clients and an upstream.

mod ends;
mod exchanges;
mod handshake;
mod reloads;

use std::{
    fs,
    io::Read as _,
    net::SocketAddr,
    process::Command,
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

use http::{Request, Response};
use http_body_util::BodyExt as _;
use lacewing_client::{Body, Incoming, Version};

use crate::{
    peers::{client, patiently},
    program::{Directory, PROGRAM, Running},
};

const TOKEN: &str = "0123456789abcdef0123456789abcdef";
const OTHER_TOKEN: &str = "fedcba9876543210fedcba9876543210";
const PROTOCOLS: [&str; 2] = ["h2", "spdy/3.1"];

/// A directory with the files of two tokens.
pub(crate) fn tokens(name: &str) -> Directory {
    let directory = Directory::new(name);
    fs::write(directory.path("token"), format!("{TOKEN}\n")).unwrap();
    fs::write(directory.path("other"), OTHER_TOKEN).unwrap();
    directory
}

/// The same under a name of its own.
fn fresh_tokens() -> Directory {
    static NUMBER: AtomicUsize = AtomicUsize::new(0);
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    tokens(&format!("lacewingd-reverse-{number}"))
}

/// A gateway in cleartext, on a free port.
fn gateway(tokens: &Directory, options: &[&str]) -> Running {
    gateway_at("127.0.0.1:0", tokens, options)
}

fn gateway_at(address: &str, tokens: &Directory, options: &[&str]) -> Running {
    gateway_until(address, tokens, options, None)
}

/// Reads what it says up to a line with this text.
fn gateway_until(
    address: &str,
    tokens: &Directory,
    options: &[&str],
    last: Option<&str>,
) -> Running {
    let office = format!("office={}", tokens.path("token").display());
    let args = [
        &["--https", "off", "--http", address, "--tunnel", &office][..],
        &["--proxy", "tunnel:office", "--tunnel-keep-alive", "1"],
        // A tunnel without requests is not idle.
        &["--idle-timeout", "1"],
        options,
    ];
    Running::launch(Command::new(PROGRAM), None, &args.concat(), last)
}

/// A program that dials a gateway, and is reached in no other way.
fn dialler(gateway: SocketAddr, tokens: &Directory, options: &[&str]) -> Running {
    let url = format!("http://{gateway}/office");
    dialler_to(&url, tokens, options)
}

pub(crate) fn dialler_to(url: &str, tokens: &Directory, options: &[&str]) -> Running {
    dialler_until(url, tokens, options, "through")
}

/// Reads what it says up to a line with this text.
fn dialler_until(url: &str, tokens: &Directory, options: &[&str], last: &str) -> Running {
    let token = tokens.path("token").display().to_string();
    let mut args = vec!["--https", "off", "--http", "off", "--dial", url];
    args.extend(["--dial-token-file", &token, "--tunnel-keep-alive", "1"]);
    args.extend(["--idle-timeout", "1"]);
    args.extend(options);
    Running::launch(Command::new(PROGRAM), None, &args, Some(last))
}

async fn get(gateway: &Running, path: &str) -> (u16, String) {
    get_by(gateway, path, None).await
}

async fn get_by(gateway: &Running, path: &str, front: Option<Version>) -> (u16, String) {
    let uri = format!("http://{}{path}", gateway.http);
    let request = Request::get(uri).body(Body::empty()).unwrap();
    let response = patiently(client(front).request(request)).await.unwrap();
    text(response).await
}

async fn text(response: Response<Incoming>) -> (u16, String) {
    let status = response.status().as_u16();
    let body = patiently(response.into_body().collect()).await.unwrap();
    let text = String::from_utf8_lossy(&body.to_bytes()).into_owned();
    (status, text)
}

/// Waits until the gateway answers with this status.
async fn becomes(gateway: &Running, path: &str, status: u16) {
    patiently(async {
        while get(gateway, path).await.0 != status {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    })
    .await;
}

/// What the log of a program says up to this text; its end has the rest.
async fn until(mut running: Running, text: &'static str) -> (Running, String) {
    let reading = tokio::task::spawn_blocking(move || {
        let (mut log, mut byte) = (Vec::new(), [0]);
        let stderr = running.child.stderr.as_mut().unwrap();
        while !log.ends_with(text.as_bytes()) {
            let read = stderr.read(&mut byte).unwrap();
            assert_eq!(read, 1, "{}", String::from_utf8_lossy(&log));
            log.push(byte[0]);
        }
        (running, String::from_utf8(log).unwrap())
    });
    patiently(reading).await.unwrap()
}
