//! Slow readers, shared windows, and credit.

use std::time::Duration;

use http::HeaderMap;
use lacewing_conn::{
    Side, Version,
    driver::{Mux, MuxConfig},
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::support::*;

/// One reader that does not read must not block the others.
#[tokio::test(start_paused = true)]
async fn a_slow_reader_does_not_stall_others() {
    for version in Version::ALL {
        let pair = pair(version, 64 << 10);
        let (ours, mut slow_reader) = pair.stream().await;
        let (_our_reader, mut slow_writer) = ours.into_split();
        slow_reader.reply(HeaderMap::new());
        let data = bytes(4_000_000, 9);
        let expected = data.clone();
        let writing = tokio::spawn(async move {
            slow_writer.write_all(&data).await.unwrap();
            slow_writer.shutdown().await.unwrap();
        });
        let echoing = echo(pair.server.clone());
        for seed in 0..20 {
            let stream = open(&pair.client).await;
            soon(exchange(stream, bytes(500_000, seed))).await;
        }
        let mut got = Vec::new();
        soon(slow_reader.read_to_end(&mut got)).await.unwrap();
        assert!(got == expected);
        writing.await.unwrap();
        slow_reader.shutdown().await.unwrap();
        drop((slow_reader, _our_reader));
        stop(echoing).await;
        pair.end().await;
    }
}

/// Readers report consumed bytes only from time to time. The unreported bytes of many readers must
/// not add up to the connection's window.
#[tokio::test(start_paused = true)]
async fn many_open_streams_share_the_connection_window() {
    for version in Version::ALL {
        let pair = pair(version, 64 << 10);
        let mut open = Vec::new();
        for _ in 0..60 {
            open.push(pair.stream().await);
        }
        // Three windows of the connection in total, less than a window of each stream.
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
async fn credit_of_discarded_data_is_returned() {
    for version in Version::ALL {
        let pair = pair(version, 64 << 10);
        // Many times the connection's window, in streams whose reader is dropped.
        for _ in 0..30 {
            let (ours, theirs) = pair.stream().await;
            let (reader, mut writer) = ours.into_split();
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
    // The Go spdystream family: no WINDOW_UPDATE in either direction.
    let config = |side| MuxConfig::new(side).with(|config| config.ignore_flow_control = true);
    let server_config =
        config(Side::Server).with(|config| config.connection.limits.max_buffered_bytes = 1 << 20);
    let (here, there) = tokio::io::duplex(64 << 10);
    let (client, connection) = Mux::client(here, Version::Spdy31, config(Side::Client));
    let client_task = tokio::spawn(connection);
    let (server, connection) = Mux::server(there, Version::Spdy31, server_config);
    let server_task = tokio::spawn(connection);

    let ours = open(&client).await;
    let (_, mut theirs) = accept(&server).await;
    theirs.reply(HeaderMap::new());
    let (_reader, mut writer) = ours.into_split();
    let data = bytes(20_000_000, 2);
    let expected = data.clone();
    let writing = tokio::spawn(async move {
        writer.write_all(&data).await.unwrap();
        writer.shutdown().await.unwrap();
    });
    tokio::time::sleep(Duration::from_secs(20)).await;
    assert!(
        !writing.is_finished(),
        "20 MB were written without a reader"
    );
    let mut got = Vec::new();
    soon(theirs.read_to_end(&mut got)).await.unwrap();
    assert!(got == expected);
    writing.await.unwrap();
    theirs.shutdown().await.unwrap();
    drop((theirs, _reader, client, server));
    soon(client_task).await.unwrap().unwrap();
    soon(server_task).await.unwrap().unwrap();
}

/// The unsent bytes and header lists of a stream's writer are bounded.
#[tokio::test(start_paused = true)]
async fn data_that_waits_for_the_reply_is_bounded() {
    for version in [Version::Spdy2, Version::Spdy3, Version::Spdy31] {
        // A buffer of size 0 still accepts one byte at a time.
        for write_buffer in [0, 1000] {
            let config = |side| {
                MuxConfig::new(side).with(|config| {
                    config.write_buffer = write_buffer;
                    config.await_reply = true;
                })
            };
            let (here, there) = tokio::io::duplex(4096);
            let pair = pair_over(version, config, here, there);
            let (mut ours, mut theirs) = pair.stream().await;
            let room = write_buffer.max(1);
            assert_eq!(ours.write(&[1; 5000]).await.unwrap(), room, "{version}");
            let second = Duration::from_secs(1);
            let more = tokio::time::timeout(second, ours.write(b"x")).await;
            assert!(more.is_err(), "{version}: more than the buffer");
            for list in 0..4 {
                let list = headers("list", &list.to_string());
                soon(ours.send_headers(list)).await.unwrap();
            }
            let more = ours.send_headers(headers("list", "4"));
            let more = tokio::time::timeout(second, more).await;
            assert!(more.is_err(), "{version}: more than four lists");

            assert!(theirs.reply(HeaderMap::new()));
            let lists = async {
                for list in 0..4 {
                    let fields = theirs.recv_headers().await.unwrap();
                    assert_eq!(fields["list"], list.to_string());
                }
            };
            soon(lists).await;
            soon(ours.write_all(&[2; 3000])).await.unwrap();
            ours.shutdown().await.unwrap();
            let mut got = Vec::new();
            soon(theirs.read_to_end(&mut got)).await.unwrap();
            assert_eq!(got, [vec![1; room], vec![2; 3000]].concat());
            drop((ours, theirs));
            pair.end().await;
        }
    }
}
