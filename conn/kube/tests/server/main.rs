//! The server's side against clients that are written by hand, frame by frame and message
//! by message.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    missing_docs
)]

mod bare;
mod cri;
mod exec;
mod handshake;
mod legacy_forward;
mod life;
#[path = "../support/named_tests.rs"]
mod named_tests;
#[cfg(target_os = "linux")]
mod network_namespace;
#[path = "../../../tests/raw/peer.rs"]
mod peer;
mod port_forward;
mod terminal;
#[path = "../support/waits.rs"]
mod waits;
mod websocket;

use std::time::Duration;

use bytes::Bytes;
use http::Request;
use lacewing_conn::Version;
use lacewing_frames::spdy::Message;
use lacewing_kube::{
    CommandOutcome, KubeError, RemoteCommandProtocol,
    server::{CommandOffer, CommandStreams, ExecSession},
};
use tokio::{
    io::{AsyncRead, AsyncWrite, DuplexStream},
    task::JoinHandle,
    time::timeout,
};

use self::{
    peer::Peer,
    waits::{soon, tasks, tasks_end},
};

/// A request for SPDY/3.1 with these stream protocols.
fn spdy_request(protocols: &[&str]) -> Request<()> {
    let mut request = Request::post("/exec")
        .header("connection", "Upgrade")
        .header("upgrade", "SPDY/3.1");
    for protocol in protocols {
        request = request.header("x-stream-protocol-version", *protocol);
    }
    request.body(()).unwrap()
}

/// A session that starts, and the client's end of its transport.
fn start(offer: &CommandOffer, protocol: &str) -> (Starting, Peer<DuplexStream>) {
    let (here, there) = tokio::io::duplex(64 << 10);
    let (response, pending) = offer.accept(&mut spdy_request(&[protocol])).unwrap();
    assert_eq!(response.headers()["x-stream-protocol-version"], protocol);
    let session = tokio::spawn(pending.serve_on(there, Bytes::new()));
    (session, Peer::new(here, Version::Spdy31))
}

type Starting = JoinHandle<Result<ExecSession, KubeError>>;

/// A session of version 4 with open streams, whose ids are 1, 3, 5 and so on.
async fn session(query: &str, kinds: &[&str]) -> (ExecSession, Peer<DuplexStream>) {
    let offer = CommandOffer::new(CommandStreams::from_query(query));
    session_of(&offer, "v4.channel.k8s.io", kinds).await
}

async fn session_of(
    offer: &CommandOffer,
    protocol: &str,
    kinds: &[&str],
) -> (ExecSession, Peer<DuplexStream>) {
    let (starting, mut client) = start(offer, protocol);
    open(&mut client, kinds).await;
    (soon(starting).await.unwrap().unwrap(), client)
}

/// Opens streams, and awaits the answer to each.
async fn open(client: &mut Peer<DuplexStream>, kinds: &[&str]) {
    for (place, kind) in kinds.iter().enumerate() {
        let id = place as u32 * 2 + 1;
        client.open(id, &[("streamtype", kind)]).await;
        assert!(soon(client.expect_reply(id)).await.is_empty());
    }
}

/// A frame of a test that compares orders.
#[derive(Debug, PartialEq, Eq)]
enum Seen {
    Data(u32, Vec<u8>),
    Fin(u32),
    Reset(u32),
    GoAway,
    Reply(u32),
}

/// All frames to the end of the connection; data without its cuts.
async fn to_the_end(client: &mut Peer<DuplexStream>) -> Vec<Seen> {
    let mut seen: Vec<Seen> = Vec::new();
    while let Some(frame) = soon(client.next()).await {
        match frame {
            Message::Data {
                stream_id,
                payload,
                fin,
                ..
            } => {
                if !payload.is_empty() {
                    match seen.last_mut() {
                        Some(Seen::Data(id, data)) if *id == stream_id => data.extend(&payload),
                        _ => seen.push(Seen::Data(stream_id, payload.to_vec())),
                    }
                }
                if fin {
                    seen.push(Seen::Fin(stream_id));
                }
            }
            Message::RstStream(reset) => seen.push(Seen::Reset(reset.stream_id)),
            Message::GoAway(_) => seen.push(Seen::GoAway),
            Message::SynReply { stream_id, .. } => seen.push(Seen::Reply(stream_id)),
            Message::Ping(_) => {}
            other => panic!("{other:?}"),
        }
    }
    seen
}

/// The content of an output stream, and the outcome of version 4 on stream 1, once both have
/// ended.
async fn output_and_outcome<IO: AsyncRead + AsyncWrite + Unpin>(
    client: &mut Peer<IO>,
    output_id: u32,
) -> (Vec<u8>, CommandOutcome) {
    let (mut output, mut status) = (Vec::<u8>::new(), Vec::<u8>::new());
    let mut fins = 0;
    while fins < 2 {
        if let Message::Data {
            stream_id,
            payload,
            fin,
            ..
        } = soon(client.next()).await.unwrap()
        {
            match stream_id {
                1 => status.extend(&payload),
                id if id == output_id => output.extend(&payload),
                _ => continue,
            }
            fins += usize::from(fin);
        }
    }
    let outcome = CommandOutcome::decode(RemoteCommandProtocol::V4, &status).unwrap();
    (output, outcome)
}

/// The table of checks names tests that exist, and has a test for every complaint.
#[test]
fn the_table_names_tests_that_exist() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    let table = std::fs::read_to_string(folder.join("tests/CHECKS.md")).unwrap();
    named_tests::check(&table, 40 + 2 + 30, |file| match file.starts_with("src/") {
        true => folder.join(file),
        false => folder.join("tests").join(file),
    });
}

/// The README shows the example that is compiled, and that kubectl is tested with.
#[test]
fn the_readme_has_the_example() {
    let (readme, example) = (
        include_str!("../../README.md"),
        include_str!("../../examples/exec.rs"),
    );
    assert!(
        readme.contains(example),
        "copy examples/exec.rs into README.md"
    );
    assert!(example.lines().count() <= 60);
}
