//! What streams carry, and how they end one by one.

use std::{io, time::Duration};

use http::HeaderMap;
use lacewing_conn::{Error, Initiator, Reason, Version, driver::OpenOptions};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    time::timeout,
};

use crate::support::*;

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
