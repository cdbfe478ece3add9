//! The ends of connections, and the errors of their streams.

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use http::HeaderMap;
use lacewing_conn::{
    Reason, Side, Version,
    driver::{Mux, MuxConfig, OpenOptions},
};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};

use crate::{
    support::*,
    watched::{Watched, Writes},
};

#[tokio::test(start_paused = true)]
async fn handles_learn_that_the_peer_is_gone() {
    for version in Version::ALL {
        let Pair {
            client,
            server,
            tasks: [client_task, server_task],
        } = pair(version, 4096);
        let mut ours = open(&client).await;
        let accepted = accept(&server).await;
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
        // The same on the side whose task was aborted.
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
        let stream = open(&client).await;
        let (_, theirs) = accept(&server).await;
        server.shutdown();
        tokio::time::sleep(Duration::from_secs(3)).await;
        let late = soon(client.open(HeaderMap::new(), OpenOptions::default())).await;
        assert!(late.unwrap_err().is_retryable(), "{version}");
        let echoing = tokio::spawn(send_back(HeaderMap::new(), theirs));
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
        let stream = open(&client).await;
        let (_, theirs) = accept(&server).await;
        drop((client, server));
        tokio::time::sleep(Duration::from_secs(120)).await;
        let echoing = tokio::spawn(send_back(HeaderMap::new(), theirs));
        soon(exchange(stream, bytes(50_000, 4))).await;
        echoing.await.unwrap();
        for task in tasks {
            soon(task).await.unwrap().unwrap();
        }
    }
}

/// The server will never accept: the peer may use another connection.
#[tokio::test(start_paused = true)]
async fn streams_without_an_acceptor_are_refused() {
    for version in Version::ALL {
        let pair = pair(version, 4096);
        let (first, theirs) = pair.stream().await;
        let Pair { client, server, .. } = pair;
        drop(server);
        let mut late = open(&client).await;
        assert!(soon(late.read_u8()).await.is_err());
        let error = cause(&late.write_all(b"x").await.unwrap_err());
        assert_eq!(error.reason(), Reason::RefusedStream, "{version}");
        assert!(error.is_retryable());
        // The open stream continues.
        let echoing = tokio::spawn(send_back(HeaderMap::new(), theirs));
        soon(exchange(first, bytes(5_000, 4))).await;
        soon(echoing).await.unwrap();
    }
}

/// A peer that opens and resets streams must not fill the queue of streams to accept.
#[tokio::test(start_paused = true)]
async fn streams_that_were_reset_are_not_accepted() {
    for version in Version::ALL {
        let pair = pair(version, 4096);
        for _ in 0..50 {
            drop(open(&pair.client).await);
        }
        let last = pair
            .client
            .open(headers("last", "yes"), OpenOptions::default());
        let _last = soon(last).await.unwrap();
        tokio::time::sleep(Duration::from_secs(1)).await;
        let (headers, _stream) = accept(&pair.server).await;
        assert_eq!(headers["last"], "yes", "{version}");
    }
}

/// The same with threads: handles run concurrently with the connections' tasks.
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
                        let stream = open(&client).await;
                        exchange(stream, bytes(30_000 + seed, round)).await;
                    }
                })
            })
            .collect();
        for exchange in exchanges {
            soon(exchange).await.unwrap();
        }
        stop(echoing).await;
        pair.end().await;
    }
}

/// The transport breaks after every number of bytes of an exchange. All tasks end, and nothing is
/// buffered.
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
            } = pair_over(version, MuxConfig::new, here, there);
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

/// Forwards bytes in both directions until `cut` of them passed, then drops both ends.
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

/// A transport whose writes fail from some time on. Its reads wait for an event even so, as tokio's
/// do until it has looked at its sockets.
struct Broken(Arc<AtomicBool>);

impl Writes for Broken {
    fn permit(&self) -> io::Result<()> {
        match self.0.load(Ordering::Relaxed) {
            true => Err(io::ErrorKind::ConnectionReset.into()),
            false => Ok(()),
        }
    }
}

/// A peer that says its last word and resets the transport: the word arrives, although our next
/// write fails before it can be read.
#[tokio::test(start_paused = true)]
async fn the_last_data_of_a_peer_is_read_after_a_failed_write() {
    for version in Version::ALL {
        let (io, there) = tokio::io::duplex(64 << 10);
        let broken = Arc::new(AtomicBool::new(false));
        let transport = Watched {
            io,
            writes: Broken(Arc::clone(&broken)),
            vectored: false,
        };
        let (client, connection) = Mux::client(transport, version, MuxConfig::new(Side::Client));
        let connection = tokio::spawn(connection);
        let (server, task) = Mux::server(there, version, MuxConfig::new(Side::Server));
        let served = tokio::spawn(task);
        let mut stream = client
            .open(HeaderMap::new(), OpenOptions::default())
            .await
            .unwrap();
        let (_, mut theirs) = server.accept().await.unwrap();
        theirs.reply(HeaderMap::new());
        stream.recv_reply().await.unwrap();
        // The client's write fails first; the server's word comes a moment later.
        broken.store(true, Ordering::Relaxed);
        stream.write_all(b"more").await.unwrap();
        tokio::time::sleep(Duration::from_millis(10)).await;
        theirs.write_all(b"status").await.unwrap();
        theirs.flush().await.unwrap();
        served.abort();
        let mut word = Vec::new();
        let _ = stream.read_to_end(&mut word).await;
        assert_eq!(word, b"status", "{version}");
        assert!(connection.await.unwrap().is_err(), "{version}");
    }
}
