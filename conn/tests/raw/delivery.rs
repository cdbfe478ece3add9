//! Data after `shutdown` or `flush` arrives, whatever the user then drops.

use std::time::Duration;

use http::HeaderMap;
use lacewing_conn::{
    Error, Limits, Reason, Side, Version,
    driver::{Mux, MuxConfig, OpenOptions, RawStream},
};
use lacewing_frames::spdy::{ErrorCode, Message};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, DuplexStream},
    time::Instant,
};

use crate::{peer::Peer, support::*};

/// The orders in which the handles of a stream and its connection are dropped.
#[derive(Clone, Copy, Debug)]
enum Order {
    StreamFirst,
    MuxFirst,
    ReaderFirst,
    WriterFirst,
    MuxBetween,
    /// The stream stays until the other side has read all data.
    MuxAlone,
}

const ORDERS: [Order; 6] = [
    Order::StreamFirst,
    Order::MuxFirst,
    Order::ReaderFirst,
    Order::WriterFirst,
    Order::MuxBetween,
    Order::MuxAlone,
];

/// Drops handles in this order; returns those that stay.
fn drop_in(order: Order, stream: RawStream, mux: Mux) -> Option<RawStream> {
    match order {
        Order::StreamFirst => drop((stream, mux)),
        Order::MuxFirst => drop((mux, stream)),
        Order::ReaderFirst => {
            let (reader, writer) = stream.into_split();
            drop((reader, writer, mux));
        }
        Order::WriterFirst => {
            let (reader, writer) = stream.into_split();
            drop(writer);
            drop((reader, mux));
        }
        Order::MuxBetween => {
            let (reader, writer) = stream.into_split();
            drop(reader);
            drop(mux);
            drop(writer);
        }
        Order::MuxAlone => {
            drop(mux);
            return Some(stream);
        }
    }
    None
}

/// One side sends `len` bytes, ends its half, and drops all handles. The other side reads after
/// `pause`.
async fn deliver<IO>(version: Version, (here, there): (IO, IO), case: Case)
where
    IO: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let Case {
        sender,
        order,
        len,
        pause,
    } = case;
    let (client, connection) = Mux::client(here, version, MuxConfig::new(Side::Client));
    let client_task = tokio::spawn(connection);
    let (server, connection) = Mux::server(there, version, MuxConfig::new(Side::Server));
    let server_task = tokio::spawn(connection);
    let data = bytes(len, 3);
    let expected = data.clone();

    let mut ours = open(&client).await;
    let (mut sending, mux, rest) = match sender {
        Side::Client => (ours, client, Receiver::Accepts(server)),
        Side::Server => {
            let (_, theirs) = accept(&server).await;
            theirs.reply(HeaderMap::new());
            ours.recv_reply().await.unwrap();
            (theirs, server, Receiver::Has(ours, client))
        }
    };
    let ending = tokio::spawn(async move {
        sending.write_all(&data).await.unwrap();
        sending.shutdown().await.unwrap();
        drop_in(order, sending, mux)
    });
    tokio::time::sleep(pause).await;
    let (mut reading, mux) = match rest {
        Receiver::Has(stream, mux) => (stream, mux),
        Receiver::Accepts(mux) => (accept(&mux).await.1, mux),
    };
    let mut got = Vec::new();
    let read = soon(reading.read_to_end(&mut got)).await;
    read.unwrap_or_else(|error| panic!("{version}, {case:?}: {} bytes, {error}", got.len()));
    assert!(got == expected, "{version}, {case:?}: {} bytes", got.len());
    drop((reading, mux));
    drop(soon(ending).await.unwrap());
    soon(client_task).await.unwrap().unwrap();
    soon(server_task).await.unwrap().unwrap();
}

#[derive(Clone, Copy, Debug)]
struct Case {
    sender: Side,
    order: Order,
    len: usize,
    pause: Duration,
}

enum Receiver {
    /// The other side did not accept the stream yet.
    Accepts(Mux),
    Has(RawStream, Mux),
}

#[tokio::test(start_paused = true)]
async fn data_before_shutdown_arrives_after_any_drop() {
    for version in Version::ALL {
        for order in ORDERS {
            for sender in [Side::Client, Side::Server] {
                for (len, pipe, pause) in [
                    (5_000, 64 << 10, 0),
                    (5_000, 100, 0),
                    (5_000, 64 << 10, 5_000),
                    (300_000, 1_000, 0),
                    (0, 64, 10),
                ] {
                    let case = Case {
                        sender,
                        order,
                        len,
                        pause: Duration::from_millis(pause),
                    };
                    deliver(version, tokio::io::duplex(pipe), case).await;
                }
            }
        }
    }
}

/// The same between threads and over sockets, where every run differs.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn data_before_shutdown_arrives_over_sockets_in_every_schedule() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    for run in 0..100 {
        let connected = tokio::net::TcpStream::connect(address);
        let (here, there) = tokio::join!(connected, listener.accept());
        let case = Case {
            sender: [Side::Client, Side::Server][run % 2],
            order: ORDERS[run / 4 % ORDERS.len()],
            len: 5_000 + 700 * run,
            pause: Duration::ZERO,
        };
        let version = Version::ALL[run % 4];
        deliver(version, (here.unwrap(), there.unwrap().0), case).await;
    }
}

/// Without `shutdown`, a drop resets the stream after its flushed bytes.
#[tokio::test(start_paused = true)]
async fn flushed_data_arrives_before_the_reset() {
    for version in Version::ALL {
        // Much more than a window and a pipe.
        for (pipe, len) in [(100, 5_000), (64 << 10, 300_000)] {
            let config = |side| {
                MuxConfig::new(side).with(|config| {
                    config.connection.limits.stream_window = 20_000;
                    config.connection.limits.max_stream_window = 0;
                })
            };
            let (here, there) = tokio::io::duplex(pipe);
            let pair = pair_over(version, config, here, there);
            let (mut ours, mut theirs) = pair.stream().await;
            let data = bytes(len, 4);
            let sent = data.clone();
            tokio::spawn(async move {
                ours.write_all(&sent).await.unwrap();
                ours.flush().await.unwrap();
            });
            let mut got = vec![0; data.len()];
            soon(theirs.read_exact(&mut got)).await.unwrap();
            assert!(got == data, "{version}");
            let error = soon(theirs.read_u8()).await.unwrap_err();
            assert_eq!(cause(&error).reason(), Reason::Cancel, "{version}");
            drop(theirs);
            pair.end().await;
        }
    }
}

/// A program may exit after it learned that all data was sent.
#[tokio::test(start_paused = true)]
async fn the_task_is_not_needed_any_more_after_a_shutdown() {
    for version in Version::ALL {
        let Pair {
            client,
            server,
            tasks: [client_task, _server_task],
        } = pair(version, 64 << 10);
        let mut ours = open(&client).await;
        ours.write_all(&[7; 20_000]).await.unwrap();
        ours.shutdown().await.unwrap();
        client_task.abort();
        let _ = client_task.await;
        let mut got = Vec::new();
        let mut theirs = accept(&server).await.1;
        soon(theirs.read_to_end(&mut got)).await.unwrap();
        assert_eq!(got.len(), 20_000, "{version}");
    }
}

#[tokio::test(start_paused = true)]
async fn data_that_did_not_arrive_is_an_error() {
    for version in Version::ALL {
        // More than the pipe accepts, and a peer that reads nothing and leaves.
        let (here, there) = tokio::io::duplex(1_000);
        let (mux, connection) = Mux::client(here, version, MuxConfig::new(Side::Client));
        let task = tokio::spawn(connection);
        let mut ours = open(&mux).await;
        ours.write_all(&[1; 5_000]).await.unwrap();
        let ending = tokio::spawn(async move { ours.shutdown().await });
        tokio::time::sleep(Duration::from_secs(1)).await;
        assert!(!ending.is_finished(), "{version}: it is not sent");
        drop(there);
        let error = soon(ending).await.unwrap().unwrap_err();
        assert!(error.get_ref().is_some(), "{version}: {error}");
        assert!(soon(task).await.unwrap().is_err());
    }
}

/// A peer that reads nothing cannot keep a stream without handles forever.
#[tokio::test(start_paused = true)]
async fn data_of_dropped_handles_is_bounded() {
    for version in [Version::Http2, Version::Spdy31, Version::Spdy3] {
        let config = |side| {
            MuxConfig::new(side).with(|config| {
                let limits = &mut config.connection.limits;
                limits.stream_window = 1_000;
                limits.connection_window = 1_000;
                limits.max_stream_window = 0;
                limits.max_connection_window = 0;
            })
        };
        let (here, there) = tokio::io::duplex(64 << 10);
        let Pair {
            client,
            server,
            tasks: [client_task, _],
        } = pair_over(version, config, here, there);
        let mut ours = open(&client).await;
        let theirs = accept(&server).await.1;
        theirs.reply(HeaderMap::new());
        ours.recv_reply().await.unwrap();
        // Twice the minimum window of such a protocol.
        ours.write_all(&bytes(60_000, 1)).await.unwrap();
        tokio::time::sleep(Duration::from_secs(1)).await;
        let filled = tokio::time::timeout(Duration::from_secs(1), async {
            loop {
                ours.write_all(&[0; 1_000]).await.unwrap();
            }
        });
        filled.await.unwrap_err();
        begin_shutdown(&mut ours).await;
        let start = Instant::now();
        drop((ours, client));
        soon(client_task).await.unwrap().unwrap();
        let took = start.elapsed();
        let drain = Limits::new(Side::Client).drain_timeout;
        assert!(took >= drain && took < 2 * drain, "{version}: {took:?}");
        drop(theirs);
    }
}

const SPDY: [Version; 3] = [Version::Spdy2, Version::Spdy3, Version::Spdy31];

async fn served(version: Version, config: MuxConfig) -> (Mux, Peer<DuplexStream>) {
    let (here, there) = tokio::io::duplex(64 << 10);
    let (mux, connection) = Mux::server(there, version, config);
    tokio::spawn(connection);
    (mux, Peer::new(here, version))
}

/// The reader is dropped, before or after our `shutdown`. The end of our half goes first; then
/// RST_STREAM stops the peer's half.
#[tokio::test(start_paused = true)]
async fn a_dropped_reader_stops_the_peers_half_after_our_end() {
    for version in SPDY {
        for reader_first in [true, false] {
            let (mux, mut peer) = served(version, MuxConfig::new(Side::Server)).await;
            peer.open(1, &[]).await;
            let (_, stream) = accept(&mux).await;
            stream.reply(HeaderMap::new());
            soon(peer.expect_reply(1)).await;
            let (reader, mut writer) = stream.into_split();
            if reader_first {
                drop(reader);
                // Received data is discarded meanwhile.
                peer.data(1, b"discarded", false).await;
                writer.write_all(&[5; 9_000]).await.unwrap();
                writer.shutdown().await.unwrap();
            } else {
                writer.write_all(&[5; 9_000]).await.unwrap();
                writer.shutdown().await.unwrap();
                drop(reader);
            }
            assert_eq!(soon(peer.expect_data(1)).await.len(), 9_000, "{version}");
            let frame = soon(peer.next()).await;
            let Some(Message::RstStream(reset)) = frame else {
                panic!("{version}: {frame:?}")
            };
            assert_eq!((reset.stream_id, reset.code), (1, ErrorCode::CANCEL));
        }
    }
}

/// Such peers stop reading at GOAWAY, so it is sent after all data.
#[tokio::test(start_paused = true)]
async fn go_away_follows_the_data_for_kubernetes() {
    for run in 0..20 {
        let (mux, mut peer) = served(Version::Spdy31, MuxConfig::kubernetes(Side::Server)).await;
        let mut streams = Vec::new();
        for id in [1, 3, 5] {
            peer.open(id, &[]).await;
            let (_, stream) = accept(&mux).await;
            stream.reply(HeaderMap::new());
            soon(peer.expect_reply(id)).await;
            streams.push(stream);
        }
        let ended = streams.into_iter().map(|mut stream| {
            tokio::spawn(async move {
                stream.write_all(&bytes(3_000 * run, 1)).await.unwrap();
                stream.shutdown().await.unwrap();
            })
        });
        let ended: Vec<_> = ended.collect();
        tokio::task::yield_now().await;
        mux.shutdown();
        // The side accepts no new stream meanwhile: its data would be lost.
        peer.open(7, &[]).await;
        let (mut bytes, mut fins) = (0, 0);
        loop {
            match soon(peer.next()).await.unwrap() {
                Message::Data { payload, fin, .. } => {
                    bytes += payload.len();
                    fins += usize::from(fin);
                }
                Message::RstStream(reset) => {
                    // The error of the new stream, or one after the end, which is irrelevant.
                    assert!(reset.stream_id == 7 || fins > 0, "{reset:?}");
                }
                Message::GoAway(_) => break,
                other => panic!("{other:?}"),
            }
        }
        assert_eq!((bytes, fins), (9_000 * run, 3));
        for ended in ended {
            soon(ended).await.unwrap();
        }
    }
}

#[tokio::test(start_paused = true)]
async fn go_away_does_not_wait_for_ever_for_kubernetes() {
    let (mux, mut peer) = served(Version::Spdy31, MuxConfig::kubernetes(Side::Server)).await;
    peer.open(1, &[]).await;
    let (_, stream) = accept(&mux).await;
    stream.reply(HeaderMap::new());
    soon(peer.expect_reply(1)).await;
    let start = Instant::now();
    mux.shutdown();
    let frame = soon(peer.next()).await.unwrap();
    assert!(matches!(frame, Message::GoAway(_)), "{frame:?}");
    let drain = Limits::new(Side::Server).drain_timeout;
    assert!(start.elapsed() >= drain);
    drop(stream);
}

/// While the side reads nothing, since no reader takes the data, it still notices the end of the
/// transport.
#[tokio::test(start_paused = true)]
async fn a_peer_that_is_killed_is_noticed_while_nothing_is_read() {
    for version in SPDY {
        let config = MuxConfig::kubernetes(Side::Server)
            .with(|config| config.connection.limits.max_buffered_bytes = 100_000);
        let (mux, mut peer) = served(version, config).await;
        peer.open(1, &[]).await;
        let (_, stream) = accept(&mux).await;
        stream.reply(HeaderMap::new());
        soon(peer.expect_reply(1)).await;
        // Until the other side accepts no more.
        let filled = async {
            loop {
                peer.data(1, &[0; 1_000], false).await;
            }
        };
        let filled = tokio::time::timeout(Duration::from_secs(60), filled);
        filled.await.unwrap_err();
        assert!(mux.stats().await.unwrap().buffered_bytes > 100_000);
        // These PINGs have the parity of answers, so the peer need not answer them. A peer that
        // reads and writes in one loop, such as Go's spdystream, could not send an answer until we
        // read.
        let mut looked = 0;
        while let Ok(frame) = tokio::time::timeout(Duration::from_millis(900), peer.any()).await {
            match frame {
                Some(Message::Ping(ping)) => {
                    assert_eq!(ping.id % 2, 1, "{version}: a PING that needs an answer");
                    looked += 1;
                }
                other => panic!("{version}: {other:?}"),
            }
            if looked == 3 {
                break;
            }
        }
        assert_eq!(looked, 3, "{version}");
        let start = Instant::now();
        drop(peer);
        let error: Error = soon(mux.closed()).await.unwrap_err();
        assert!(
            start.elapsed() <= Duration::from_secs(1),
            "{version}: {error}"
        );
        drop(stream);
    }
}

/// A server may have closed its socket behind its last byte, as Go's kubelets do. Its kernel resets the
/// connection for any byte of ours, and discards what a slow reader has not taken.
#[tokio::test(start_paused = true)]
async fn a_client_sends_nothing_while_its_reader_stands_still() {
    for version in SPDY {
        let config = MuxConfig::kubernetes(Side::Client).with(|config| {
            let limits = &mut config.connection.limits;
            limits.max_buffered_bytes = 100_000;
            limits.keep_alive_interval = Some(Duration::from_secs(5));
        });
        let (here, there) = tokio::io::duplex(64 << 10);
        let (mux, connection) = Mux::client(there, version, config);
        tokio::spawn(connection);
        let mut peer = Peer::new(here, version);
        let mut stream = open(&mux).await;
        soon(peer.expect_open(1)).await;
        peer.reply(1, &[]).await;
        let filled = async {
            loop {
                peer.data(1, &[0; 1_000], false).await;
            }
        };
        let filled = tokio::time::timeout(Duration::from_secs(60), filled);
        filled.await.unwrap_err();
        let buffered = mux.stats().await.unwrap().buffered_bytes;
        assert!(buffered > 100_000, "{version}: {buffered}");
        // Nor behind the pause, which is no silence of the server.
        let sent = async {
            if let Ok(frame) = tokio::time::timeout(Duration::from_secs(300), peer.any()).await {
                panic!("{version}: {frame:?}");
            }
            tokio::time::timeout(Duration::from_secs(4), peer.any()).await
        };
        let (sent, ()) = tokio::join!(sent, async {
            tokio::time::sleep(Duration::from_secs(301)).await;
            let mut all = vec![0; buffered];
            soon(stream.read_exact(&mut all)).await.unwrap();
        });
        assert!(sent.is_err(), "{version}: {sent:?}");
    }
}

/// A server that is silent for a long time is only slow.
#[tokio::test(start_paused = true)]
async fn a_silent_server_is_waited_for() {
    for version in SPDY {
        let (here, there) = tokio::io::duplex(64 << 10);
        let (mux, connection) = Mux::client(there, version, MuxConfig::new(Side::Client));
        tokio::spawn(connection);
        let mut peer = Peer::new(here, version);
        let open = mux.open(HeaderMap::new(), OpenOptions::default());
        let mut stream = soon(open).await.unwrap();
        soon(peer.expect_open(1)).await;
        tokio::time::sleep(Duration::from_secs(3_600)).await;
        peer.reply(1, &[]).await;
        soon(stream.recv_reply()).await.unwrap();
    }
}
