//! The data of streams, and the end of each stream.

use std::{future::Future, io, time::Duration};

use http::HeaderMap;
use lacewing_conn::{
    Initiator, Reason, Side, Version,
    driver::{Mux, MuxConfig, OpenOptions},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    time::timeout,
};

use crate::support::*;

#[tokio::test(start_paused = true)]
async fn data_of_any_size_is_echoed() {
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
            stop(echoing).await;
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
        stop(echoing).await;
        pair.end().await;
    }
}

#[tokio::test(start_paused = true)]
async fn many_streams_run_at_once() {
    for version in Version::ALL {
        let pair = pair(version, 32 << 10);
        let echoing = echo(pair.server.clone());
        let mut exchanges = Vec::new();
        // More streams than may be open at once: the rest wait.
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
        stop(echoing).await;
        pair.end().await;
    }
}

#[tokio::test(start_paused = true)]
async fn each_half_ends_on_its_own() {
    for version in Version::ALL {
        let pair = pair(version, 4096);
        let options = OpenOptions::default().with(|options| options.fin = true);
        let mut ours = soon(pair.client.open(HeaderMap::new(), options))
            .await
            .unwrap();
        assert!(
            ours.write_all(b"x").await.is_err(),
            "{version}: our half has ended"
        );

        let (_, mut theirs) = accept(&pair.server).await;
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
        let (mut ours, mut theirs) = pair.stream().await;
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
        let (mut ours, mut theirs) = pair.stream().await;
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
        let (mut ours, mut theirs) = pair.stream().await;
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
        let (mut ours, mut theirs) = pair.stream().await;
        let (beside, their_beside) = pair.stream().await;
        theirs.reply(HeaderMap::new());

        ours.reset(Reason::Cancel);
        let mut buffer = [0; 1];
        for stream in [&mut ours, &mut theirs] {
            let error = soon(stream.read_exact(&mut buffer)).await.unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::ConnectionReset, "{version}");
        }
        let error = cause(&theirs.write_all(b"x").await.unwrap_err());
        assert_eq!(
            (error.initiator(), error.reason()),
            (Initiator::Peer, Reason::Cancel)
        );

        let echoing = tokio::spawn(send_back(HeaderMap::new(), their_beside));
        soon(exchange(beside, bytes(10_000, 1))).await;
        echoing.await.unwrap();
        drop((ours, theirs));
        pair.end().await;
    }
}

/// The peer receives the reason, in the codes of its protocol.
#[tokio::test(start_paused = true)]
async fn a_reset_has_a_reason() {
    for version in Version::ALL {
        let pair = pair(version, 4096);
        for reason in [
            Reason::Cancel,
            Reason::RefusedStream,
            Reason::InternalError,
            Reason::ProtocolError,
        ] {
            for by_the_opener in [true, false] {
                let (ours, theirs) = pair.stream().await;
                theirs.reply(HeaderMap::new());
                let (by, mut other) = match by_the_opener {
                    true => (ours, theirs),
                    false => (theirs, ours),
                };
                by.reset(reason);
                assert!(soon(other.read_u8()).await.is_err());
                let error = cause(&other.write_all(b"x").await.unwrap_err());
                assert_eq!(error.initiator(), Initiator::Peer, "{version}");
                assert_eq!(error.reason(), reason, "{version}");
            }
        }
        pair.end().await;
    }
}

/// The same if only our half was left.
#[tokio::test(start_paused = true)]
async fn a_reset_of_the_last_half_has_a_reason() {
    for version in Version::ALL {
        let pair = pair(version, 4096);
        let (mut ours, theirs) = pair.stream().await;
        theirs.reply(HeaderMap::new());
        let (_reader, mut writer) = theirs.into_split();
        writer.shutdown().await.unwrap();
        assert_eq!(soon(ours.read(&mut [0; 1])).await.unwrap(), 0);
        writer.reset(Reason::Cancel);
        let error = write_to_the_end(&mut ours).await;
        assert_eq!(
            (error.initiator(), error.reason()),
            (Initiator::Peer, Reason::Cancel),
            "{version}"
        );
        drop((ours, _reader, writer));
        pair.end().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_stream_dropped_before_its_end_is_reset() {
    for version in Version::ALL {
        let pair = pair(version, 4096);
        let (ours, mut theirs) = pair.stream().await;
        theirs.reply(HeaderMap::new());
        drop(ours);
        let error = soon(theirs.read_u8()).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::ConnectionReset, "{version}");
        drop(theirs);
        pair.end().await;
    }
}

/// Over HTTP/2 a later header list is a trailer section, whenever `shutdown` follows. Nothing but
/// `shutdown` can follow.
#[tokio::test(start_paused = true)]
async fn a_trailer_waits_for_its_shutdown() {
    let pair = pair(Version::Http2, 4096);
    let (mut ours, mut theirs) = pair.stream().await;
    theirs.reply(HeaderMap::new());
    ours.write_all(b"data").await.unwrap();
    ours.send_headers(headers("sum", "1234")).await.unwrap();
    soon(ours.flush()).await.unwrap();
    // Enough time for the connection to make a mistake.
    tokio::time::sleep(Duration::from_secs(5)).await;
    let error = ours.write_all(b"more").await.unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
    let error = ours.send_headers(headers("b", "2")).await.unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
    ours.shutdown().await.unwrap();
    let mut text = String::new();
    soon(theirs.read_to_string(&mut text)).await.unwrap();
    assert_eq!(text, "data");
    assert_eq!(soon(theirs.recv_headers()).await.unwrap()["sum"], "1234");
    drop((ours, theirs));
    pair.end().await;
}

/// Readers and writers of one stream, of both sides, at the same time on different tasks.
#[tokio::test(start_paused = true)]
async fn halves_work_at_the_same_time() {
    for version in Version::ALL {
        let pair = pair(version, 4096);
        let (ours, theirs) = pair.stream().await;
        theirs.reply(HeaderMap::new());
        // Neither side waits for the other: more data than all windows and buffers.
        soon(async {
            tokio::join!(
                exchange_other(ours, bytes(3_000_000, 1), bytes(2_000_000, 2)),
                exchange_other(theirs, bytes(2_000_000, 2), bytes(3_000_000, 1)),
            )
        })
        .await;
        pair.end().await;
    }
}

/// Sends some bytes and expects others.
async fn exchange_other(stream: lacewing_conn::driver::RawStream, send: Vec<u8>, want: Vec<u8>) {
    let (mut reader, mut writer) = stream.into_split();
    let writing = tokio::spawn(async move {
        writer.write_all(&send).await.unwrap();
        writer.shutdown().await.unwrap();
    });
    let mut got = Vec::new();
    reader.read_to_end(&mut got).await.unwrap();
    assert!(got == want, "other bytes came");
    writing.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn pings_are_answered_or_given_up() {
    for version in Version::ALL {
        let pair = pair(version, 4096);
        let patience = Duration::from_secs(5);
        let pings = async {
            tokio::join!(
                pair.client.ping(patience),
                pair.client.ping(patience),
                pair.server.ping(patience)
            )
        };
        let (first, second, other) = soon(pings).await;
        assert_eq!(
            first.unwrap(),
            second.unwrap(),
            "{version}: one PING for both"
        );
        other.unwrap();
        assert_eq!(soon(pair.client.stats()).await.unwrap().pings_sent, 1);
        // A second call sends a new PING.
        soon(pair.client.ping(patience)).await.unwrap();
        assert_eq!(soon(pair.client.stats()).await.unwrap().pings_sent, 2);
        pair.end().await;
    }
    let (here, _there) = tokio::io::duplex(4096);
    let (mux, connection) = Mux::client(here, Version::Spdy31, MuxConfig::new(Side::Client));
    tokio::spawn(connection);
    for patience in [5, 60, 5] {
        let error = soon(mux.ping(Duration::from_secs(patience)));
        let error = error.await.unwrap_err();
        assert_eq!(error.initiator(), Initiator::Peer);
        // No stream or connection ended.
        assert!(error.is_ping_timeout() && !error.is_connection(), "{error}");
        assert!(!error.to_string().contains("ended"), "{error}");
        soon(mux.stats()).await.unwrap();
    }
}

/// Data written before the reply waits for the reply, if the option requires it.
#[tokio::test(start_paused = true)]
async fn data_may_wait_for_the_reply() {
    for version in Version::ALL {
        let config = |side| MuxConfig::new(side).with(|config| config.await_reply = true);
        let (here, there) = tokio::io::duplex(4096);
        let pair = pair_over(version, config, here, there);
        let mut ours = open(&pair.client).await;
        ours.write_all(b"early").await.unwrap();
        begin_shutdown(&mut ours).await;
        let (_, mut theirs) = accept(&pair.server).await;
        let mut buffer = [0; 5];
        let early = timeout(Duration::from_secs(1), theirs.read(&mut buffer)).await;
        assert!(early.is_err(), "{version}: data before the reply");
        theirs.reply(HeaderMap::new());
        soon(theirs.read_exact(&mut buffer)).await.unwrap();
        assert_eq!(soon(theirs.read(&mut buffer)).await.unwrap(), 0);
        drop((ours, theirs));
        pair.end().await;
    }
}

/// A reply before a reset is sent before it.
#[tokio::test(start_paused = true)]
async fn a_reset_follows_the_reply() {
    for version in Version::ALL {
        let pair = pair(version, 4096);
        let (mut ours, theirs) = pair.stream().await;
        theirs.reply(headers("why", "no"));
        theirs.reset(Reason::Cancel);
        let reply = soon(ours.recv_reply()).await.unwrap().unwrap();
        assert_eq!(reply["why"], "no", "{version}");
        assert!(soon(ours.read_u8()).await.is_err(), "{version}");
        drop((ours, theirs));
        pair.end().await;
    }
}

/// A user who ends a stream without a reply still sends one: no half can end without a head.
#[tokio::test(start_paused = true)]
async fn an_end_without_a_reply_is_a_reply() {
    for version in Version::ALL {
        let pair = pair(version, 4096);
        let (mut ours, mut theirs) = pair.stream().await;
        theirs.shutdown().await.unwrap();
        let reply = soon(ours.recv_reply()).await.unwrap().unwrap();
        assert!(reply.is_empty(), "{version}");
        assert_eq!(soon(ours.read(&mut [0; 1])).await.unwrap(), 0);
        ours.write_all(b"still open").await.unwrap();
        ours.shutdown().await.unwrap();
        let mut text = String::new();
        soon(theirs.read_to_string(&mut text)).await.unwrap();
        assert_eq!(text, "still open", "{version}");
        drop((ours, theirs));
        pair.end().await;
    }
}

/// A dropped reader does not stop the data of our half. After that, the peer receives RST_STREAM.
#[tokio::test(start_paused = true)]
async fn a_dropped_reader_resets_the_peer_after_our_half_ends() {
    for version in Version::ALL {
        let pair = pair(version, 4096);
        let (ours, mut theirs) = pair.stream().await;
        theirs.reply(HeaderMap::new());
        let (reader, mut writer) = ours.into_split();
        drop(reader);
        // Data received meanwhile is discarded, and blocks no stream.
        soon(theirs.write_all(&[1; 2_000_000])).await.unwrap();
        writer.write_all(b"all of it").await.unwrap();
        writer.shutdown().await.unwrap();
        let mut text = String::new();
        soon(theirs.read_to_string(&mut text)).await.unwrap();
        assert_eq!(text, "all of it", "{version}");
        let error = write_to_the_end(&mut theirs).await;
        assert_eq!(
            (error.initiator(), error.reason()),
            (Initiator::Peer, Reason::Cancel),
            "{version}"
        );
        drop((theirs, writer));
        pair.end().await;
    }
}

/// No stream is opened for a caller that was dropped.
#[tokio::test(start_paused = true)]
async fn an_open_that_is_given_up_opens_nothing() {
    for version in Version::ALL {
        let pair = pair(version, 4096);
        {
            let given_up = pair.client.open(HeaderMap::new(), OpenOptions::default());
            tokio::pin!(given_up);
            let polled = std::future::poll_fn(|cx| {
                std::task::Poll::Ready(given_up.as_mut().poll(cx).is_pending())
            });
            assert!(polled.await);
        }
        let stream = open(&pair.client).await;
        assert_eq!(stream.id().value(), 1, "{version}");
        drop(stream);
        pair.end().await;
    }
}

/// A header list that the protocol cannot carry ends its stream. A list with a missing field would
/// be worse.
#[tokio::test(start_paused = true)]
async fn a_list_that_cannot_be_sent_ends_only_its_stream() {
    // SPDY/2 has sixteen bits for a length.
    let pair = pair(Version::Spdy2, 1 << 20);
    let (mut ours, mut theirs) = pair.stream().await;
    theirs.reply(HeaderMap::new());
    let long = headers("long", &"x".repeat(70_000));
    ours.send_headers(long.clone()).await.unwrap();
    assert!(soon(theirs.read_u8()).await.is_err());
    let error = cause(&theirs.write_all(b"x").await.unwrap_err());
    assert_eq!(error.reason(), Reason::InternalError);
    assert!(ours.write_all(b"x").await.is_err());

    let refused = pair.client.open(long, OpenOptions::default());
    let error = soon(refused).await.unwrap_err();
    assert!(error.to_string().contains("length fields"), "{error}");
    let echoing = echo(pair.server.clone());
    soon(exchange(open(&pair.client).await, bytes(5_000, 1))).await;
    stop(echoing).await;
    drop((ours, theirs));
    pair.end().await;
}
