//! Unidirectional streams, and streams with a parent: the parameters of SYN_STREAM beside its
//! header list.

use http::HeaderMap;
use lacewing_conn::{
    Error, Initiator, Reason, Side, Version,
    driver::{Mux, MuxConfig, OpenOptions, RawStream},
    proto::{Direction, Priority, Rule, StreamId},
};
use lacewing_frames::spdy::{ErrorCode, Message, SynStreamHead};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};

use crate::{peer::Peer, support::*};

const SPDY: [Version; 3] = [Version::Spdy2, Version::Spdy3, Version::Spdy31];

fn one_way() -> OpenOptions {
    OpenOptions::default().with(|options| options.direction = Direction::Unidirectional)
}

fn child_of(parent: StreamId) -> OpenOptions {
    OpenOptions::default().with(|options| options.parent = Some(parent))
}

async fn open_as(mux: &Mux, options: OpenOptions) -> Result<RawStream, Error> {
    soon(mux.open(headers("n", "1"), options)).await
}

/// Both sides of a connection, each in both roles.
fn roles(pair: &Pair) -> [(&Mux, &Mux); 2] {
    [(&pair.client, &pair.server), (&pair.server, &pair.client)]
}

#[tokio::test(start_paused = true)]
async fn only_the_opener_of_a_unidirectional_stream_sends() {
    for version in SPDY {
        let pair = pair(version, 4096);
        for (here, there) in roles(&pair) {
            let mut ours = open_as(here, one_way()).await.unwrap();
            let (fields, mut theirs) = accept(there).await;
            assert_eq!(fields["n"], "1");
            for stream in [&ours, &theirs] {
                assert_eq!(stream.direction(), Direction::Unidirectional, "{version}");
                assert_eq!(stream.parent(), None);
            }
            // The opposite direction has no data and no reply.
            assert!(!theirs.reply(HeaderMap::new()));
            assert!(theirs.write_all(b"x").await.is_err());
            assert!(soon(ours.recv_reply()).await.unwrap().is_none());
            assert_eq!(soon(ours.read(&mut [0; 1])).await.unwrap(), 0);

            let (mut sent, mut got) = (bytes(200_000, 3), Vec::new());
            let sending = async {
                ours.write_all(&sent).await.unwrap();
                ours.send_headers(headers("sum", "1234")).await.unwrap();
                ours.write_all(b"end").await.unwrap();
                ours.shutdown().await.unwrap();
            };
            soon(async { tokio::join!(sending, theirs.read_to_end(&mut got)) })
                .await
                .1
                .unwrap();
            sent.extend_from_slice(b"end");
            assert!(got == sent, "{version}: other bytes came");
            assert_eq!(soon(theirs.recv_headers()).await.unwrap()["sum"], "1234");
            // With the end of its only half, the stream has ended on both sides.
            for mux in [here, there] {
                assert_eq!(soon(mux.stats()).await.unwrap().open_streams, 0);
            }
        }
        pair.end().await;
    }
}

/// To drop a handle closes the stream, on both sides of a unidirectional stream.
#[tokio::test(start_paused = true)]
async fn a_unidirectional_stream_ends_when_it_is_dropped() {
    for version in SPDY {
        let pair = pair(version, 4096);
        for (here, there) in roles(&pair) {
            let mut ours = open_as(here, one_way()).await.unwrap();
            ours.write_all(b"all of it").await.unwrap();
            drop(ours);
            let (_, mut theirs) = accept(there).await;
            let mut text = String::new();
            soon(theirs.read_to_string(&mut text)).await.unwrap();
            assert_eq!(text, "all of it", "{version}");

            // There is no reader: the sender receives the reason.
            let mut ours = open_as(here, one_way()).await.unwrap();
            drop(accept(there).await);
            let error = write_to_the_end(&mut ours).await;
            assert_eq!(
                (error.initiator(), error.reason()),
                (Initiator::Peer, Reason::Cancel),
                "{version}"
            );
        }
        pair.end().await;
    }
}

/// A header list without data: the stream ends at once for its opener. It counts for the other side
/// until it is accepted.
#[tokio::test(start_paused = true)]
async fn messages_are_counted_until_they_are_taken() {
    let message = one_way().with(|options| options.fin = true);
    for version in SPDY {
        let pair = pair(version, 4096);
        for (here, there) in roles(&pair) {
            // Many more than may be open at once, one after the other.
            for round in 0..500 {
                let ours = open_as(here, message).await.unwrap();
                assert_eq!(soon(here.stats()).await.unwrap().open_streams, 0);
                let (fields, mut theirs) = accept(there).await;
                assert_eq!(fields["n"], "1", "{version}, {round}");
                assert_eq!(soon(theirs.read(&mut [0; 1])).await.unwrap(), 0);
                drop((ours, theirs));
            }
            // Some more, which are never accepted.
            for _ in 0..150 {
                drop(open_as(here, message).await.unwrap());
            }
            tokio::time::sleep(std::time::Duration::from_secs(1)).await;
            let stats = soon(there.stats()).await.unwrap();
            assert_eq!(stats.open_streams, 100, "{version}: max_concurrent_streams");
            assert_eq!(stats.resets_sent.of(Reason::RefusedStream), 50);
            for _ in 0..100 {
                drop(accept(there).await);
            }
            assert_eq!(soon(there.stats()).await.unwrap().open_streams, 0);
        }
        pair.end().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_stream_may_belong_to_one_of_either_side() {
    for version in SPDY {
        let pair = pair(version, 4096);
        let (of_client, there) = pair.stream().await;
        let of_server = open(&pair.server).await;
        let here = accept(&pair.client).await.1;
        assert_eq!(of_client.parent(), None);
        for (opener, other) in roles(&pair) {
            for parent in [of_client.id(), of_server.id()] {
                let mut ours = open_as(opener, child_of(parent)).await.unwrap();
                let (fields, theirs) = accept(other).await;
                for stream in [&ours, &theirs] {
                    assert_eq!(stream.parent(), Some(parent), "{version}");
                    assert_eq!(stream.direction(), Direction::Bidirectional);
                }
                // Data in both directions: a parent alone does not close a half.
                let echoing = tokio::spawn(send_back(fields, theirs));
                assert_eq!(soon(ours.recv_reply()).await.unwrap().unwrap()["n"], "1");
                soon(exchange(ours, bytes(50_000, 4))).await;
                soon(echoing).await.unwrap();

                let both =
                    child_of(parent).with(|options| options.direction = Direction::Unidirectional);
                let _ours = open_as(opener, both).await.unwrap();
                let (_, mut theirs) = accept(other).await;
                assert_eq!(theirs.parent(), Some(parent));
                assert!(theirs.write_all(b"x").await.is_err());
            }
        }
        drop((of_client, there, of_server, here));
        pair.end().await;
    }
}

/// A child continues when its parent ends, whatever the reason.
#[tokio::test(start_paused = true)]
async fn a_child_outlives_its_parent() {
    for version in SPDY {
        let pair = pair(version, 4096);
        for (here, there) in roles(&pair) {
            let parent = open(here).await;
            let their_parent = accept(there).await.1;
            let child = open_as(here, child_of(parent.id())).await.unwrap();
            parent.reset(Reason::Cancel);
            drop((parent, their_parent));
            let (fields, theirs) = accept(there).await;
            let echoing = tokio::spawn(send_back(fields, theirs));
            soon(exchange(child, bytes(10_000, 4))).await;
            soon(echoing).await.unwrap();
        }
        pair.end().await;
    }
}

/// The drafts' §3.3.1: "an existing, open stream".
#[tokio::test(start_paused = true)]
async fn no_stream_is_opened_for_one_that_is_not_open() {
    for version in SPDY {
        let pair = pair(version, 4096);
        for (here, there) in roles(&pair) {
            let gone = open(here).await;
            let id = gone.id();
            drop((gone, accept(there).await));
            for parent in [id, StreamId::new(id.value() + 2), StreamId::new(0)] {
                let error = open_as(here, child_of(parent)).await.unwrap_err();
                assert!(error.to_string().contains("parent is not open"), "{error}");
                assert!(!error.is_retryable() && !error.is_connection(), "{error}");
            }
            // Nothing was sent, and no id was used.
            let next = open(here).await;
            assert_eq!(next.id().value(), id.value() + 2, "{version}");
            assert_eq!(accept(there).await.1.id(), next.id());
        }
        pair.end().await;
    }
}

#[tokio::test(start_paused = true)]
async fn http2_has_plain_streams_only() {
    let pair = pair(Version::Http2, 4096);
    let parent = open(&pair.client).await;
    for mux in [&pair.client, &pair.server] {
        for options in [one_way(), child_of(parent.id())] {
            let error = open_as(mux, options).await.unwrap_err();
            assert_eq!(error.initiator(), Initiator::User);
            assert!(!error.is_retryable() && !error.is_connection());
            let text = error.to_string();
            assert!(text.contains("another protocol than HTTP/2"), "{text}");
        }
    }
    // The failed call did not affect the connection.
    let echoing = echo(pair.server.clone());
    soon(exchange(parent, bytes(10_000, 1))).await;
    stop(echoing).await;
    pair.end().await;
}

// --- The frames, and a peer that breaks the rules ---

/// Our server, with a client written by hand.
fn by_hand(version: Version) -> (Mux, Task, Peer<DuplexStream>) {
    let (here, there) = tokio::io::duplex(64 << 10);
    let (mux, connection) = Mux::server(there, version, MuxConfig::new(Side::Server));
    (mux, tokio::spawn(connection), Peer::new(here, version))
}

#[tokio::test(start_paused = true)]
async fn the_frame_says_direction_and_parent() {
    for version in SPDY {
        let (mux, _task, mut peer) = by_hand(version);
        peer.open(1, &[]).await;
        let parent = accept(&mux).await.1;
        let mut opened = Vec::new();
        for (direction, parent) in [
            (Direction::Bidirectional, None),
            (Direction::Unidirectional, None),
            (Direction::Bidirectional, Some(parent.id())),
            (Direction::Unidirectional, Some(parent.id())),
        ] {
            let options = OpenOptions::default().with(|options| {
                options.direction = direction;
                options.parent = parent;
            });
            opened.push(open_as(&mux, options).await.unwrap());
            let frame = soon(peer.next()).await;
            let Some(Message::SynStream {
                associated,
                unidirectional,
                fin,
                ..
            }) = frame
            else {
                panic!("{version}: {frame:?}");
            };
            assert_eq!(associated, parent.map_or(0, StreamId::value), "{version}");
            assert_eq!(unidirectional, direction == Direction::Unidirectional);
            assert!(!fin, "{version}");
        }
    }
}

/// SPDY/2 has four levels of priority, SPDY/3 eight. More urgent streams are sent first.
#[tokio::test(start_paused = true)]
async fn the_priority_is_sent_and_obeyed() {
    for version in SPDY {
        let (mux, _task, mut peer) = by_hand(version);
        let mut streams = Vec::new();
        for urgency in [7, 4, 3, 0] {
            let options = OpenOptions::default()
                .with(|options| options.priority = Some(Priority::new(urgency, false)));
            streams.push(open_as(&mux, options).await.unwrap());
            let told = match soon(peer.next()).await {
                Some(Message::SynStream { priority, .. }) => priority,
                other => panic!("{version}: {other:?}"),
            };
            let expected = match version {
                Version::Spdy2 => urgency / 2,
                _ => urgency,
            };
            assert_eq!(told, expected, "{version}");
        }
        // All at once, the least urgent first. Together they need less than any window.
        for stream in &mut streams {
            stream.write_all(&[0; 15_000]).await.unwrap();
            begin_shutdown(stream).await;
        }
        let mut ended = Vec::new();
        while ended.len() < 4 {
            match soon(peer.next()).await {
                Some(Message::Data { stream_id, fin, .. }) if fin => ended.push(stream_id),
                Some(Message::Data { .. }) => {}
                other => panic!("{version}: {other:?}"),
            }
        }
        assert_eq!(ended, [8, 6, 4, 2], "{version}");
    }
}

/// A parent that was never opened is an error. A parent that has ended is not: the two frames may
/// have crossed.
#[tokio::test(start_paused = true)]
async fn a_parent_that_was_never_opened_is_refused() {
    for version in SPDY {
        let (mux, _task, mut peer) = by_hand(version);
        for (id, parent) in [(1, 3), (3, 2), (5, 5), (7, 0x7fff_ffff)] {
            peer.open_as(associated(id, parent), &[]).await;
            match soon(peer.next()).await {
                Some(Message::RstStream(reset)) => {
                    assert_eq!(
                        (reset.stream_id, reset.code),
                        (id, ErrorCode::INVALID_STREAM)
                    );
                }
                other => panic!("{version}: {other:?}"),
            }
        }
        peer.open(9, &[]).await;
        accept(&mux).await.1.reset(Reason::Cancel);
        assert!(matches!(
            soon(peer.next()).await,
            Some(Message::RstStream(_))
        ));
        peer.open_as(associated(11, 9), &[]).await;
        let (_, child) = accept(&mux).await;
        assert_eq!(child.parent(), Some(StreamId::new(9)), "{version}");
        assert!(child.reply(HeaderMap::new()));
        soon(peer.expect_reply(11)).await;
    }
}

fn associated(id: u32, parent: u32) -> SynStreamHead {
    let mut head = SynStreamHead::new(id);
    head.associated = parent;
    head
}

/// §2.3.6: an answer on a stream where only the opener sends is data on a closed half.
#[tokio::test(start_paused = true)]
async fn an_answer_on_a_unidirectional_stream_breaks_a_rule() {
    for version in SPDY {
        for data in [false, true] {
            let (mux, _task, mut peer) = by_hand(version);
            let mut ours = open_as(&mux, one_way()).await.unwrap();
            soon(peer.expect_open(2)).await;
            if data {
                peer.data(2, b"no", false).await;
            } else {
                peer.reply(2, &[]).await;
            }
            if version == Version::Spdy2 {
                // "Must be ignored": the connection continues.
                soon(mux.ping(std::time::Duration::from_secs(1)))
                    .await
                    .unwrap_err();
                assert!(matches!(soon(peer.next()).await, Some(Message::Ping(_))));
                ours.write_all(b"on").await.unwrap();
                ours.shutdown().await.unwrap();
                assert_eq!(soon(peer.expect_data(2)).await, b"on");
                continue;
            }
            match soon(peer.next()).await {
                Some(Message::RstStream(reset)) => {
                    assert_eq!(
                        (reset.stream_id, reset.code),
                        (2, ErrorCode::STREAM_ALREADY_CLOSED)
                    );
                }
                other => panic!("{version}: {other:?}"),
            }
            let error = cause(&ours.write_all(b"x").await.unwrap_err());
            let rule = if data {
                Rule::DataAfterEnd
            } else {
                Rule::HeadersAfterEnd
            };
            assert_eq!(error.rule(), Some(rule), "{version}");
        }
    }
}
