//! Raw streams over pipes in memory, on all four protocols.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    missing_docs
)]

use std::{future::Future, io, sync::Arc, time::Duration};

use http::{HeaderMap, HeaderValue};
use lacewing_conn::{
    Error, Initiator, Limits, Reason, Side, Version,
    driver::{Mux, MuxConfig, OpenOptions, RawStream},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, DuplexStream},
    task::JoinHandle,
    time::timeout,
};

type Task = JoinHandle<Result<(), Error>>;

/// Both ends of a connection, running.
struct Pair {
    client: Mux,
    server: Mux,
    tasks: [Task; 2],
}

fn pair(version: Version, pipe: usize) -> Pair {
    let (here, there) = tokio::io::duplex(pipe);
    pair_over(version, MuxConfig::default(), here, there)
}

fn pair_over(version: Version, config: MuxConfig, here: DuplexStream, there: DuplexStream) -> Pair {
    let (client, connection) = Mux::client(here, version, config.clone());
    let client_task = tokio::spawn(connection);
    let (server, connection) = Mux::server(there, version, config);
    let server_task = tokio::spawn(connection);
    Pair {
        client,
        server,
        tasks: [client_task, server_task],
    }
}

impl Pair {
    /// Everything ends when nobody holds a handle any more.
    async fn end(self) {
        let Self {
            client,
            server,
            tasks,
        } = self;
        drop((client, server));
        for task in tasks {
            soon(task).await.unwrap().unwrap();
        }
    }
}

/// Under paused time a hang is found at once.
async fn soon<F: Future>(future: F) -> F::Output {
    timeout(Duration::from_secs(300), future)
        .await
        .expect("hangs")
}

fn headers(name: &'static str, value: &str) -> HeaderMap {
    let mut headers = HeaderMap::new();
    headers.insert(name, HeaderValue::from_str(value).unwrap());
    headers
}

/// Bytes that differ by seed; of a period that fits no frame.
fn bytes(len: usize, seed: usize) -> Vec<u8> {
    let period = len.min(9973);
    let hash = |at: usize| at.wrapping_mul(2_654_435_761).wrapping_add(seed) >> 7;
    let mut data: Vec<u8> = (0..period).map(|at| hash(at) as u8).collect();
    while data.len() < len {
        let more = period.min(len - data.len());
        data.extend_from_within(..more);
    }
    data
}

/// Sends back what comes on every stream that the peer opens.
fn echo(mux: Mux) -> JoinHandle<()> {
    tokio::spawn(async move {
        while let Some((headers, stream)) = mux.accept().await {
            tokio::spawn(async move {
                stream.reply(headers);
                let (mut reader, mut writer) = stream.into_split();
                let _ = tokio::io::copy(&mut reader, &mut writer).await;
                let _ = writer.shutdown().await;
            });
        }
    })
}

/// Sends and checks what comes back, at the same time.
async fn exchange(stream: RawStream, data: Vec<u8>) {
    let (mut reader, mut writer) = stream.into_split();
    let expected = data.clone();
    let writing = tokio::spawn(async move {
        writer.write_all(&data).await.unwrap();
        writer.shutdown().await.unwrap();
    });
    let mut got = Vec::new();
    reader.read_to_end(&mut got).await.unwrap();
    writing.await.unwrap();
    assert_eq!(got.len(), expected.len());
    assert!(got == expected, "other bytes came back");
}

#[tokio::test(start_paused = true)]
async fn what_is_sent_comes_back_whatever_its_size() {
    for version in Version::ALL {
        for pipe in [64, 64 << 10] {
            let pair = pair(version, pipe);
            let echoing = echo(pair.server.clone());
            for len in [0, 1, 1000, 16_384, 70_000, 3_000_000] {
                if pipe == 64 && len > 100_000 {
                    continue;
                }
                let name = format!("{version} {len}");
                let open = pair
                    .client
                    .open(headers("name", &name), OpenOptions::default());
                let mut stream = soon(open).await.unwrap();
                let reply = soon(stream.recv_reply()).await.unwrap().unwrap();
                assert_eq!(reply["name"], *name);
                soon(exchange(stream, bytes(len, len))).await;
            }
            echoing.abort();
            let _ = echoing.await;
            pair.end().await;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn the_server_opens_streams_too() {
    for version in Version::ALL {
        let pair = pair(version, 4096);
        let echoing = echo(pair.client.clone());
        let open = pair
            .server
            .open(headers("from", "server"), OpenOptions::default());
        let mut stream = soon(open).await.unwrap();
        assert_eq!(stream.id().value() % 2, 0);
        let reply = soon(stream.recv_reply()).await.unwrap().unwrap();
        assert_eq!(reply["from"], "server");
        soon(exchange(stream, bytes(100_000, 5))).await;
        echoing.abort();
        let _ = echoing.await;
        pair.end().await;
    }
}

#[tokio::test(start_paused = true)]
async fn many_streams_run_at_once() {
    for version in Version::ALL {
        let pair = pair(version, 32 << 10);
        let echoing = echo(pair.server.clone());
        let mut exchanges = Vec::new();
        // More than may be open at once: the rest wait for their turn.
        for seed in 0..250 {
            let client = pair.client.clone();
            exchanges.push(tokio::spawn(async move {
                let stream = client
                    .open(HeaderMap::new(), OpenOptions::default())
                    .await
                    .unwrap();
                exchange(stream, bytes(20_000 + seed, seed)).await;
            }));
        }
        for exchange in exchanges {
            soon(exchange).await.unwrap();
        }
        echoing.abort();
        let _ = echoing.await;
        pair.end().await;
    }
}

#[tokio::test(start_paused = true)]
async fn each_half_ends_on_its_own() {
    for version in Version::ALL {
        let pair = pair(version, 4096);
        let options = OpenOptions {
            fin: true,
            ..OpenOptions::default()
        };
        let mut ours = soon(pair.client.open(HeaderMap::new(), options))
            .await
            .unwrap();
        assert!(
            ours.write_all(b"x").await.is_err(),
            "{version}: our half has ended"
        );

        let (_, mut theirs) = soon(pair.server.accept()).await.unwrap();
        let mut nothing = Vec::new();
        soon(theirs.read_to_end(&mut nothing)).await.unwrap();
        assert!(nothing.is_empty());
        assert!(theirs.reply(HeaderMap::new()));
        assert!(!theirs.reply(HeaderMap::new()), "a second reply");
        theirs.write_all(b"still open").await.unwrap();
        soon(theirs.flush()).await.unwrap();
        theirs.shutdown().await.unwrap();

        let mut text = String::new();
        soon(ours.read_to_string(&mut text)).await.unwrap();
        assert_eq!(text, "still open", "{version}");
        drop((ours, theirs));
        pair.end().await;
    }
}

#[tokio::test(start_paused = true)]
async fn nothing_is_sent_before_the_reply() {
    for version in Version::ALL {
        let pair = pair(version, 4096);
        let mut ours = soon(pair.client.open(HeaderMap::new(), OpenOptions::default()))
            .await
            .unwrap();
        let (_, mut theirs) = soon(pair.server.accept()).await.unwrap();
        theirs.write_all(b"early").await.unwrap();
        let mut buffer = [0; 5];
        let early = timeout(Duration::from_secs(1), ours.read_exact(&mut buffer)).await;
        assert!(early.is_err(), "{version}: data before the reply");
        theirs.reply(headers("late", "yes"));
        assert_eq!(
            soon(ours.recv_reply()).await.unwrap().unwrap()["late"],
            "yes"
        );
        soon(ours.read_exact(&mut buffer)).await.unwrap();
        assert_eq!(&buffer, b"early");
        drop((ours, theirs));
        pair.end().await;
    }
}

#[tokio::test(start_paused = true)]
async fn header_lists_travel_in_order_with_data() {
    for version in [Version::Spdy2, Version::Spdy3, Version::Spdy31] {
        let pair = pair(version, 4096);
        let mut ours = soon(pair.client.open(HeaderMap::new(), OpenOptions::default()))
            .await
            .unwrap();
        let (_, mut theirs) = soon(pair.server.accept()).await.unwrap();
        theirs.reply(HeaderMap::new());
        ours.write_all(b"before").await.unwrap();
        ours.send_headers(headers("resize", "80x25")).await.unwrap();
        ours.write_all(b"after").await.unwrap();
        let fields = soon(theirs.recv_headers()).await.unwrap();
        assert_eq!(fields["resize"], "80x25", "{version}");
        ours.shutdown().await.unwrap();
        let mut text = String::new();
        soon(theirs.read_to_string(&mut text)).await.unwrap();
        assert_eq!(text, "beforeafter");
        assert!(soon(theirs.recv_headers()).await.is_none());
        drop((ours, theirs));
        pair.end().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_header_list_at_the_end_is_a_trailer() {
    for version in Version::ALL {
        let pair = pair(version, 4096);
        let mut ours = soon(pair.client.open(HeaderMap::new(), OpenOptions::default()))
            .await
            .unwrap();
        let (_, mut theirs) = soon(pair.server.accept()).await.unwrap();
        theirs.reply(HeaderMap::new());
        ours.write_all(b"data").await.unwrap();
        ours.send_headers(headers("sum", "1234")).await.unwrap();
        ours.shutdown().await.unwrap();
        let mut text = String::new();
        soon(theirs.read_to_string(&mut text)).await.unwrap();
        assert_eq!(text, "data", "{version}");
        assert_eq!(soon(theirs.recv_headers()).await.unwrap()["sum"], "1234");
        drop((ours, theirs));
        pair.end().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_reset_reaches_both_directions_and_nothing_else() {
    for version in Version::ALL {
        let pair = pair(version, 4096);
        let open = || pair.client.open(HeaderMap::new(), OpenOptions::default());
        let mut ours = soon(open()).await.unwrap();
        let beside = soon(open()).await.unwrap();
        let (_, mut theirs) = soon(pair.server.accept()).await.unwrap();
        let (_, their_beside) = soon(pair.server.accept()).await.unwrap();
        theirs.reply(HeaderMap::new());

        ours.reset(Reason::Cancel);
        let mut buffer = [0; 1];
        for stream in [&mut ours, &mut theirs] {
            let error = soon(stream.read_exact(&mut buffer)).await.unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::ConnectionReset, "{version}");
        }
        let error = theirs.write_all(b"x").await.unwrap_err();
        let error = error
            .get_ref()
            .unwrap()
            .downcast_ref::<Error>()
            .unwrap()
            .clone();
        assert_eq!(
            (error.initiator(), error.reason()),
            (Initiator::Peer, Reason::Cancel)
        );

        let echoing = tokio::spawn(async move {
            their_beside.reply(HeaderMap::new());
            let (mut reader, mut writer) = their_beside.into_split();
            tokio::io::copy(&mut reader, &mut writer).await.unwrap();
        });
        soon(exchange(beside, bytes(10_000, 1))).await;
        echoing.await.unwrap();
        drop((ours, theirs));
        pair.end().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_stream_dropped_before_its_end_is_reset() {
    for version in Version::ALL {
        let pair = pair(version, 4096);
        let ours = soon(pair.client.open(HeaderMap::new(), OpenOptions::default()))
            .await
            .unwrap();
        let (_, mut theirs) = soon(pair.server.accept()).await.unwrap();
        theirs.reply(HeaderMap::new());
        drop(ours);
        let error = soon(theirs.read_u8()).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::ConnectionReset, "{version}");
        drop(theirs);
        pair.end().await;
    }
}

/// One reader that does not read must not stop the others: as long as there is
/// flow control, or (SPDY/2) less than the bound waits.
#[tokio::test(start_paused = true)]
async fn a_slow_reader_does_not_stall_others() {
    for version in Version::ALL {
        let pair = pair(version, 64 << 10);
        let open = || pair.client.open(HeaderMap::new(), OpenOptions::default());
        let (_our_reader, mut slow_writer) = soon(open()).await.unwrap().into_split();
        let (_, mut slow_reader) = soon(pair.server.accept()).await.unwrap();
        slow_reader.reply(HeaderMap::new());
        let data = bytes(4_000_000, 9);
        let expected = data.clone();
        let writing = tokio::spawn(async move {
            slow_writer.write_all(&data).await.unwrap();
            slow_writer.shutdown().await.unwrap();
        });
        let echoing = echo(pair.server.clone());
        for seed in 0..20 {
            let stream = soon(open()).await.unwrap();
            soon(exchange(stream, bytes(500_000, seed))).await;
        }
        let mut got = Vec::new();
        soon(slow_reader.read_to_end(&mut got)).await.unwrap();
        assert!(got == expected);
        writing.await.unwrap();
        slow_reader.shutdown().await.unwrap();
        drop((slow_reader, _our_reader));
        echoing.abort();
        let _ = echoing.await;
        pair.end().await;
    }
}

/// Readers tell what they consumed only now and then; what many of them did
/// not tell must not add up to the connection's window.
#[tokio::test(start_paused = true)]
async fn many_open_streams_share_the_connection_window() {
    for version in Version::ALL {
        let pair = pair(version, 64 << 10);
        let mut open = Vec::new();
        for _ in 0..60 {
            let options = OpenOptions::default();
            let ours = soon(pair.client.open(HeaderMap::new(), options))
                .await
                .unwrap();
            let (_, theirs) = soon(pair.server.accept()).await.unwrap();
            open.push((ours, theirs));
        }
        // Three windows of the connection in all, none of a stream.
        let mut buffer = vec![0; 200_000];
        for (ours, theirs) in &mut open {
            let data = bytes(200_000, 1);
            let (written, read) =
                soon(async { tokio::join!(ours.write_all(&data), theirs.read_exact(&mut buffer)) })
                    .await;
            written.unwrap();
            read.unwrap();
        }
    }
}

#[tokio::test(start_paused = true)]
async fn credit_of_what_nobody_reads_comes_back() {
    for version in Version::ALL {
        let pair = pair(version, 64 << 10);
        // Many times the connection's window in streams whose reader leaves.
        for _ in 0..30 {
            let open = pair.client.open(HeaderMap::new(), OpenOptions::default());
            let (reader, mut writer) = soon(open).await.unwrap().into_split();
            let (_, theirs) = soon(pair.server.accept()).await.unwrap();
            theirs.reply(HeaderMap::new());
            let (their_reader, their_writer) = theirs.into_split();
            drop(their_reader);
            soon(writer.write_all(&bytes(700_000, 3))).await.unwrap();
            writer.shutdown().await.unwrap();
            soon(writer.flush()).await.unwrap();
            drop((reader, writer, their_writer));
        }
        pair.end().await;
    }
}

#[tokio::test(start_paused = true)]
async fn without_flow_control_memory_is_bounded_by_not_reading() {
    // The Go spdystream family: no window updates in either direction.
    let config = MuxConfig {
        ignore_flow_control: true,
        ..MuxConfig::default()
    };
    let limits = Limits {
        max_buffered_bytes: 1 << 20,
        ..Limits::new(Side::Server)
    };
    let server_config = MuxConfig {
        limits: Some(limits),
        ..config.clone()
    };
    let (here, there) = tokio::io::duplex(64 << 10);
    let (client, connection) = Mux::client(here, Version::Spdy31, config);
    let client_task = tokio::spawn(connection);
    let (server, connection) = Mux::server(there, Version::Spdy31, server_config);
    let server_task = tokio::spawn(connection);

    let ours = soon(client.open(HeaderMap::new(), OpenOptions::default()))
        .await
        .unwrap();
    let (_, mut theirs) = soon(server.accept()).await.unwrap();
    theirs.reply(HeaderMap::new());
    let (_reader, mut writer) = ours.into_split();
    let data = bytes(20_000_000, 2);
    let expected = data.clone();
    let writing = tokio::spawn(async move {
        writer.write_all(&data).await.unwrap();
        writer.shutdown().await.unwrap();
    });
    tokio::time::sleep(Duration::from_secs(20)).await;
    assert!(!writing.is_finished(), "20 MB went nowhere");
    let mut got = Vec::new();
    soon(theirs.read_to_end(&mut got)).await.unwrap();
    assert!(got == expected);
    writing.await.unwrap();
    theirs.shutdown().await.unwrap();
    drop((theirs, _reader, client, server));
    soon(client_task).await.unwrap().unwrap();
    soon(server_task).await.unwrap().unwrap();
}

#[tokio::test(start_paused = true)]
async fn handles_learn_that_the_peer_is_gone() {
    for version in Version::ALL {
        let Pair {
            client,
            server,
            tasks: [client_task, server_task],
        } = pair(version, 4096);
        let mut ours = soon(client.open(HeaderMap::new(), OpenOptions::default()))
            .await
            .unwrap();
        let accepted = soon(server.accept()).await.unwrap();
        let waiting = tokio::spawn({
            let client = client.clone();
            async move { client.accept().await.is_none() }
        });
        server_task.abort();
        assert!(soon(server_task).await.unwrap_err().is_cancelled());

        let error = soon(ours.read_u8()).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::ConnectionReset, "{version}");
        assert!(soon(ours.recv_reply()).await.is_err());
        assert!(soon(ours.write_all(b"x")).await.is_err());
        assert!(soon(waiting).await.unwrap());
        assert!(
            soon(client.open(HeaderMap::new(), OpenOptions::default()))
                .await
                .is_err()
        );
        assert!(soon(client.closed()).await.is_err());
        assert!(soon(client_task).await.unwrap().is_err());
        // And on the side whose task was aborted.
        let (_, mut theirs) = accepted;
        assert!(soon(theirs.read_u8()).await.is_err());
        assert!(soon(server.closed()).await.is_err());
        assert!(soon(server.accept()).await.is_none());
    }
}

#[tokio::test(start_paused = true)]
async fn shutdown_waits_for_open_streams() {
    for version in Version::ALL {
        let Pair {
            client,
            server,
            tasks,
        } = pair(version, 4096);
        let stream = soon(client.open(HeaderMap::new(), OpenOptions::default()))
            .await
            .unwrap();
        let (_, theirs) = soon(server.accept()).await.unwrap();
        server.shutdown();
        tokio::time::sleep(Duration::from_secs(3)).await;
        let late = soon(client.open(HeaderMap::new(), OpenOptions::default())).await;
        assert!(late.unwrap_err().is_retryable(), "{version}");
        let echoing = tokio::spawn(async move {
            theirs.reply(HeaderMap::new());
            let (mut reader, mut writer) = theirs.into_split();
            tokio::io::copy(&mut reader, &mut writer).await.unwrap();
        });
        soon(exchange(stream, bytes(50_000, 4))).await;
        echoing.await.unwrap();
        for task in tasks {
            soon(task).await.unwrap().unwrap();
        }
        assert!(soon(server.closed()).await.is_ok());
    }
}

#[tokio::test(start_paused = true)]
async fn streams_outlive_the_last_handle() {
    for version in Version::ALL {
        let Pair {
            client,
            server,
            tasks,
        } = pair(version, 4096);
        let stream = soon(client.open(HeaderMap::new(), OpenOptions::default()))
            .await
            .unwrap();
        let (_, theirs) = soon(server.accept()).await.unwrap();
        drop((client, server));
        tokio::time::sleep(Duration::from_secs(120)).await;
        let echoing = tokio::spawn(async move {
            theirs.reply(HeaderMap::new());
            let (mut reader, mut writer) = theirs.into_split();
            tokio::io::copy(&mut reader, &mut writer).await.unwrap();
        });
        soon(exchange(stream, bytes(50_000, 4))).await;
        echoing.await.unwrap();
        for task in tasks {
            soon(task).await.unwrap().unwrap();
        }
    }
}

/// A peer that opens and resets must not fill the queue of those to be
/// accepted.
#[tokio::test(start_paused = true)]
async fn streams_that_were_reset_are_not_accepted() {
    for version in Version::ALL {
        let pair = pair(version, 4096);
        for _ in 0..50 {
            let open = pair.client.open(HeaderMap::new(), OpenOptions::default());
            drop(soon(open).await.unwrap());
        }
        let last = pair
            .client
            .open(headers("last", "yes"), OpenOptions::default());
        let _last = soon(last).await.unwrap();
        tokio::time::sleep(Duration::from_secs(1)).await;
        let (headers, _stream) = soon(pair.server.accept()).await.unwrap();
        assert_eq!(headers["last"], "yes", "{version}");
    }
}

/// The same with threads: handles race with the connections' tasks.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn many_streams_run_on_many_threads() {
    for version in Version::ALL {
        let pair = pair(version, 32 << 10);
        let echoing = echo(pair.server.clone());
        let exchanges: Vec<_> = (0..60)
            .map(|seed| {
                let client = pair.client.clone();
                tokio::spawn(async move {
                    for round in 0..3 {
                        let open = client.open(HeaderMap::new(), OpenOptions::default());
                        exchange(open.await.unwrap(), bytes(30_000 + seed, round)).await;
                    }
                })
            })
            .collect();
        for exchange in exchanges {
            soon(exchange).await.unwrap();
        }
        echoing.abort();
        let _ = echoing.await;
        pair.end().await;
    }
}

/// The transport breaks after every number of bytes of an exchange: everything
/// ends, and nothing is held.
#[tokio::test(start_paused = true)]
async fn the_peer_disappears_at_every_point() {
    for version in Version::ALL {
        let mut broken = 0;
        for cut in (0..1200).step_by(7) {
            let witness = Arc::new(());
            let (here, middle_here) = tokio::io::duplex(256);
            let (middle_there, there) = tokio::io::duplex(256);
            let Pair {
                client,
                server,
                tasks,
            } = pair_over(version, MuxConfig::default(), here, there);
            let forwarding = tokio::spawn(forward(middle_here, middle_there, cut));

            let held = Arc::clone(&witness);
            let serving = tokio::spawn(async move {
                while let Some((headers, stream)) = server.accept().await {
                    let held = Arc::clone(&held);
                    tokio::spawn(async move {
                        stream.reply(headers);
                        let (mut reader, mut writer) = stream.into_split();
                        let _ = tokio::io::copy(&mut reader, &mut writer).await;
                        drop(held);
                    });
                }
            });
            let held = Arc::clone(&witness);
            let asking = tokio::spawn(async move {
                let done = ask(&client).await;
                drop(held);
                done
            });
            let done = soon(asking).await.unwrap();
            broken += usize::from(done.is_err());
            for task in tasks {
                let _ = soon(task).await.unwrap();
            }
            soon(serving).await.unwrap();
            soon(forwarding).await.unwrap();
            tokio::time::sleep(Duration::from_secs(1)).await;
            assert_eq!(
                Arc::strong_count(&witness),
                1,
                "{version}, {cut} bytes: a task is left"
            );
        }
        assert!(broken > 20, "{version}: only {broken} exchanges broke");
    }
}

/// Two small exchanges, one after the other.
async fn ask(client: &Mux) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    for seed in 0..2 {
        let data = bytes(120, seed);
        let mut stream = client
            .open(headers("n", "1"), OpenOptions::default())
            .await?;
        stream.write_all(&data).await?;
        stream.recv_reply().await?;
        stream.shutdown().await?;
        let mut got = Vec::new();
        stream.read_to_end(&mut got).await?;
        if got != data {
            return Err("cut short without an error".into());
        }
    }
    Ok(())
}

/// Carries bytes both ways until `cut` of them went by, then drops both ends.
async fn forward(mut here: DuplexStream, mut there: DuplexStream, cut: usize) {
    let mut left = cut;
    let (mut from_here, mut from_there) = ([0; 64], [0; 64]);
    while left > 0 {
        let (read, to) = tokio::select! {
            read = here.read(&mut from_here) => (read.map(|len| &from_here[..len]), &mut there),
            read = there.read(&mut from_there) => (read.map(|len| &from_there[..len]), &mut here),
        };
        let Ok(data) = read else { return };
        if data.is_empty() {
            return;
        }
        let len = data.len().min(left);
        left -= len;
        if to.write_all(&data[..len]).await.is_err() {
            return;
        }
    }
}
