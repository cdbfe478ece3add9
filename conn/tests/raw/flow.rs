//! Slow readers, shared windows, and credit.

use std::time::Duration;

use http::HeaderMap;
use lacewing_conn::{
    Limits, Side, Version,
    driver::{Mux, MuxConfig, OpenOptions},
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::support::*;

/// One reader that does not read must not stop the others: as long as there is
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
