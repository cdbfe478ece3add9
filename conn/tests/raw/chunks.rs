//! Bytes that the writer owns, without a copy.

use std::time::Duration;

use bytes::Bytes;
use lacewing_conn::Version;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    time::timeout,
};

use crate::support::*;

/// Chunks of any size, and copied bytes between them, arrive in their order.
#[tokio::test(start_paused = true)]
async fn chunks_and_copied_bytes_keep_their_order() {
    for version in Version::ALL {
        let pair = pair(version, 64 << 10);
        let echoing = echo(pair.server.clone());
        let data = Bytes::from(bytes(2_000_000, 3));
        let expected = data.clone();
        let (mut reader, mut writer) = open(&pair.client).await.into_split();
        let writing = tokio::spawn(async move {
            let mut rest = data;
            for round in 0.. {
                // From nothing to more than the stream's buffer.
                let len = [0, 1, 8_191, 8_192, 5, 300_000, 70_000][round % 7];
                let part = rest.split_to(len.min(rest.len()));
                match round % 3 {
                    0 => writer.write_all(&part).await.unwrap(),
                    _ => writer.write_chunk(part).await.unwrap(),
                }
                if rest.is_empty() {
                    break;
                }
            }
            writer.shutdown().await.unwrap();
            let chunk = Bytes::from_static(&[0; 10_000]);
            for late in [chunk.clone(), chunk.slice(..1)] {
                let error = writer.write_chunk(late).await.unwrap_err();
                assert_eq!(error.kind(), std::io::ErrorKind::BrokenPipe);
            }
        });
        let mut back = Vec::new();
        soon(reader.read_to_end(&mut back)).await.unwrap();
        assert!(back == expected, "{version}: {} bytes", back.len());
        soon(writing).await.unwrap();
        drop(reader);
        stop(echoing).await;
        pair.end().await;
    }
}

/// A reader that takes nothing holds chunks up. A call that is cancelled while it waits has taken
/// nothing.
#[tokio::test(start_paused = true)]
async fn chunks_wait_for_room() {
    for version in Version::ALL {
        let pair = pair(version, 4 << 10);
        let (mut ours, mut theirs) = pair.stream().await;
        theirs.reply(http::HeaderMap::new());
        let chunk = Bytes::from(bytes(50_000, 1));
        let mut taken = 0;
        let second = Duration::from_secs(1);
        while timeout(second, ours.write_chunk(chunk.clone()))
            .await
            .is_ok()
        {
            taken += 1;
            assert!(taken < 2_000, "{version}: no bound");
        }
        let mut got = Vec::new();
        let (ended, read) =
            soon(async { tokio::join!(ours.shutdown(), theirs.read_to_end(&mut got)) }).await;
        ended.unwrap();
        read.unwrap();
        assert_eq!(got.len(), taken * chunk.len(), "{version}");
        assert!(got.chunks(chunk.len()).all(|part| part == chunk));
        theirs.shutdown().await.unwrap();
        drop((ours, theirs));
        pair.end().await;
    }
}
