//! The examples that have both ends, run to their end.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    dead_code,
    missing_docs
)]

#[path = "../../examples/engine.rs"]
mod engine;
#[path = "../../examples/rpc.rs"]
mod rpc;

use std::time::Duration;

use bytes::Bytes;
use http::StatusCode;
use lacewing_conn::{
    Side, Version,
    driver::{
        ConnectionConfig,
        facade::{Application, Context, Driver},
    },
    proto::{Event, Head, StreamKey},
};

/// A hang is a failure.
const PATIENCE: Duration = Duration::from_secs(60);

#[tokio::test]
async fn calls_share_a_connection() {
    let mut output = Vec::new();
    let run = rpc::run(&mut output);
    tokio::time::timeout(PATIENCE, run).await.unwrap().unwrap();
    let output = String::from_utf8(output).unwrap();
    let lines: Vec<_> = output.lines().collect();
    assert_eq!(lines[..2], ["HELLO", "olleh"]);
    assert!(lines[2].starts_with("divide: "), "{output}");
    assert!(lines[2].contains("REFUSED_STREAM"), "{output}");
}

/// Answers each request with more than the first windows.
struct Site {
    unsent: Vec<(StreamKey, Bytes)>,
}

const LENGTH: usize = 300_000;

impl Application for Site {
    fn handle_event(&mut self, conn: &mut Context<'_>, event: Event) {
        if let Event::Opened { stream, .. } = event {
            let head = Head::response(StatusCode::OK);
            conn.stream(stream).reply(head, false).unwrap();
            self.unsent.push((stream, Bytes::from(vec![b'x'; LENGTH])));
            conn.stream(stream).offer();
        }
    }

    fn pull(&mut self, conn: &mut Context<'_>, stream: StreamKey, max: usize) {
        let of_stream = |(key, _): &&mut (StreamKey, Bytes)| *key == stream;
        let Some((_, unsent)) = self.unsent.iter_mut().find(of_stream) else {
            return;
        };
        let piece = unsent.split_to(max.min(unsent.len()));
        let fin = unsent.is_empty();
        conn.stream(stream).send_data(piece, fin).unwrap();
        if !fin {
            conn.stream(stream).offer();
        }
    }

    fn poll_sources(&mut self, _: &mut Context<'_>, _: &mut std::task::Context<'_>) {}
}

#[test]
fn an_engine_on_a_blocking_socket_fetches_in_every_protocol() {
    for version in Version::ALL {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let serving = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread();
            let runtime = { runtime }.enable_all().build().unwrap();
            runtime.block_on(async {
                let (io, _) = listener.accept().unwrap();
                io.set_nonblocking(true).unwrap();
                let io = tokio::net::TcpStream::from_std(io).unwrap();
                let config = ConnectionConfig::new(Side::Server).engine(version, Side::Server);
                let site = Site { unsent: Vec::new() };
                let driver = Driver::new(io, config, site);
                let ended = tokio::time::timeout(PATIENCE, driver).await;
                ended.expect("it hangs").unwrap();
            });
        });
        let transport = std::net::TcpStream::connect(address).unwrap();
        let mut output = Vec::new();
        let url = format!("http://{address}/");
        engine::fetch(transport, version, &url, &mut output).unwrap();
        let output = String::from_utf8(output).unwrap();
        let content = output.strip_prefix("200\n").unwrap();
        assert_eq!(content, "x".repeat(LENGTH), "{version}");
        serving.join().unwrap();
    }
}
