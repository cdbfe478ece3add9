//! The features that espdy lists as missing, on connections whose peer is written by hand.
//!
//! Other tests cover these points of its list:
//!
//! * received HEADERS: `exchanges::header_lists_travel_in_order_with_data`;
//! * ids that run out: the tests in `driver::raw`, and
//!   `ids_that_run_out_end_a_connection_without_an_error` of the simulation;
//! * streams that were reset before they were accepted:
//!   `endings::streams_that_were_reset_are_not_accepted`;
//! * NPN: `tests/npn`.

use std::time::Duration;

use bytes::{BufMut, BytesMut};
use http::HeaderMap;
use lacewing_conn::{
    Error, Limits, Reason, Side, Version,
    driver::{Mux, MuxConfig, OpenOptions, RawStream},
    proto::{Rate, Rule},
};
use lacewing_frames::spdy::{ErrorCode, GoAwayStatus, Message, Setting, SettingId};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, DuplexStream},
    time::timeout,
};

use crate::{peer::Peer, support::*};

const SPDY: [Version; 3] = [Version::Spdy2, Version::Spdy3, Version::Spdy31];

fn server(version: Version, pipe: usize) -> (Mux, Task, Peer<DuplexStream>) {
    let (here, there) = tokio::io::duplex(pipe);
    let (mux, connection) = Mux::server(there, version, MuxConfig::new(Side::Server));
    (mux, tokio::spawn(connection), Peer::new(here, version))
}

fn client(version: Version, pipe: usize) -> (Mux, Task, Peer<DuplexStream>) {
    let (here, there) = tokio::io::duplex(pipe);
    let (mux, connection) = Mux::client(there, version, MuxConfig::new(Side::Client));
    (mux, tokio::spawn(connection), Peer::new(here, version))
}

async fn open(mux: &Mux) -> RawStream {
    soon(mux.open(HeaderMap::new(), OpenOptions::default()))
        .await
        .unwrap()
}

/// The error inside of a read's or write's error.
fn inner(error: &std::io::Error) -> Error {
    error
        .get_ref()
        .unwrap()
        .downcast_ref::<Error>()
        .unwrap()
        .clone()
}

/// Writes until the peer accepts nothing for a second. Returns the number of accepted bytes.
async fn fill(io: &mut DuplexStream, bytes: &[u8], rounds: usize) -> usize {
    let mut taken = 0;
    for _ in 0..rounds {
        let mut rest = bytes;
        while !rest.is_empty() {
            match timeout(Duration::from_secs(1), io.write(rest)).await {
                Ok(Ok(len)) if len > 0 => {
                    taken += len;
                    rest = &rest[len..];
                }
                _ => return taken,
            }
        }
    }
    taken
}

/// "No unbounded write queue": PINGs and frames for unknown streams require answers, and the peer
/// reads none of them. The token buckets, which would end this earlier, are disabled.
#[tokio::test(start_paused = true)]
async fn no_unbounded_write_queue() {
    let without_end = Rate {
        burst: 100_000_000,
        per_second: 0,
    };
    for version in SPDY {
        for pings in [true, false] {
            let config = MuxConfig::new(Side::Server).with(|config| {
                config.connection.limits.glitches = without_end;
                config.connection.limits.resets = without_end;
            });
            let (here, there) = tokio::io::duplex(4096);
            let (mux, connection) = Mux::server(there, version, config);
            let task = tokio::spawn(connection);
            let mut peer = Peer::new(here, version);
            let mut flood = BytesMut::new();
            for id in 0..1000_u32 {
                if pings {
                    peer.encoder.ping(&mut flood, 1);
                } else {
                    peer.encoder.data_head(&mut flood, 2 * id + 1, 4, false);
                    flood.put_slice(b"lost");
                }
            }
            let taken = fill(&mut peer.io, &flood, 1_000).await;
            assert!(taken < 1 << 20, "{version}: {taken} bytes were read");
            let stats = soon(mux.stats()).await.unwrap();
            assert!(stats.output_bytes < 512 << 10, "{version}: {stats:?}");
            // The state does not last forever.
            let error = soon(task).await.unwrap().unwrap_err();
            assert_eq!(error.rule(), Some(Rule::WriteStall), "{version}: {error}");
            assert!(soon(mux.stats()).await.is_err());
        }
    }
}

/// With the default limits, such a peer is closed at its own bound, whether it reads or not.
#[tokio::test(start_paused = true)]
async fn floods_end_at_a_bound() {
    for version in SPDY {
        for rule in [Rule::TooManyGlitches, Rule::TooManyResets] {
            let (mux, task, peer) = server(version, 4096);
            let mut flood = BytesMut::new();
            for id in 0..20_000_u32 {
                if rule == Rule::TooManyGlitches {
                    peer.encoder.ping(&mut flood, 1);
                } else {
                    peer.encoder.data_head(&mut flood, 2 * id + 1, 4, false);
                    flood.put_slice(b"lost");
                }
            }
            let (mut read_half, mut write_half) = tokio::io::split(peer.io);
            let reading = tokio::spawn(async move {
                let mut answers = Vec::new();
                read_half
                    .read_to_end(&mut answers)
                    .await
                    .map(|_| answers.len())
            });
            let _ = write_half.write_all(&flood).await;
            let error = soon(mux.closed()).await.unwrap_err();
            assert_eq!(error.rule(), Some(rule), "{version}: {error}");
            assert!(soon(task).await.unwrap().is_err());
            let answers = soon(reading).await.unwrap().unwrap();
            assert!(
                answers < 16 * 10_100,
                "{version}: {answers} bytes of answers"
            );
        }
    }
}

/// "No unbounded read buffer in SPDY/2", which has no flow control: the side stops reading, so that
/// one stalled stream costs a bounded amount. In the other versions, a stream that ignores its
/// window is reset.
#[tokio::test(start_paused = true)]
async fn no_unbounded_read_buffer() {
    let (mux, _task, mut peer) = server(Version::Spdy2, 64 << 10);
    peer.open(1, &[]).await;
    let (_, mut stalled) = soon(mux.accept()).await.unwrap();
    let bound = Limits::new(Side::Server).max_buffered_bytes;
    let data = bytes(16_384, 3);
    let mut frame = BytesMut::new();
    peer.encoder
        .data_head(&mut frame, 1, data.len() as u32, false);
    frame.put_slice(&data);
    let taken = fill(&mut peer.io, &frame, 10_000).await;
    let slack = 256 << 10;
    assert!(
        taken > bound / 2 && taken < bound + slack,
        "{taken} of {bound}"
    );
    let held = soon(mux.stats()).await.unwrap().buffered_bytes;
    assert!(held <= bound + slack, "{held}");
    // After a reader takes data, TCP transfers more.
    let mut buffer = vec![0; bound / 2];
    soon(stalled.read_exact(&mut buffer)).await.unwrap();
    let more = fill(&mut peer.io, &frame, 10_000).await;
    assert!(more > bound / 4, "{more}");

    for version in [Version::Spdy3, Version::Spdy31] {
        let (mux, _task, mut peer) = server(version, 64 << 10);
        peer.open(1, &[]).await;
        let (_, mut stalled) = soon(mux.accept()).await.unwrap();
        let _ = fill(&mut peer.io, &frame, 100).await;
        let mut sink = Vec::new();
        let error = soon(stalled.read_to_end(&mut sink)).await.unwrap_err();
        assert_eq!(
            inner(&error).reason(),
            Reason::FlowControlError,
            "{version}"
        );
    }
}

/// "`not processed` versus `closed` told apart for every pending send and
/// receive."
#[tokio::test(start_paused = true)]
async fn unprocessed_and_closed_streams_have_different_errors() {
    for version in SPDY {
        let (mux, _task, mut peer) = client(version, 4096);
        let limit = Setting::new(SettingId::MAX_CONCURRENT_STREAMS, 2);
        peer.send(|encoder, bytes| encoder.settings(bytes, false, &[limit]).unwrap())
            .await;
        tokio::time::sleep(Duration::from_secs(1)).await;
        let first = open(&mux).await;
        let second = open(&mux).await;
        // The limit does not permit a third stream yet.
        let third = tokio::spawn({
            let mux = mux.clone();
            async move { mux.open(HeaderMap::new(), OpenOptions::default()).await }
        });
        peer.reply(1, &[]).await;
        let pending = |stream: RawStream| {
            let (mut reader, mut writer) = stream.into_split();
            let reading = tokio::spawn(async move {
                let mut all = Vec::new();
                let error = reader.read_to_end(&mut all).await.unwrap_err();
                (all, inner(&error))
            });
            let writing = tokio::spawn(async move {
                loop {
                    if let Err(error) = writer.write_all(&[0; 10_000]).await {
                        return inner(&error);
                    }
                }
            });
            (reading, writing)
        };
        let (first_read, first_write) = pending(first);
        let (second_read, second_write) = pending(second);
        tokio::time::sleep(Duration::from_secs(1)).await;
        peer.send(|encoder, bytes| encoder.go_away(bytes, 1, GoAwayStatus::OK))
            .await;
        peer.data(1, b"still here", false).await;
        // The earlier data of the streams occupies the transport.
        let (mut read_half, write_half) = tokio::io::split(peer.io);
        let discarding = tokio::spawn(async move {
            let mut buffer = [0; 512];
            while read_half.read(&mut buffer).await.is_ok_and(|len| len > 0) {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        });
        let (_, error) = soon(second_read).await.unwrap();
        assert!(error.is_retryable(), "{version}: {error:?}");
        let error = soon(second_write).await.unwrap();
        assert!(error.is_retryable(), "{version}: {error:?}");
        let error = soon(third).await.unwrap().unwrap_err();
        assert!(error.is_retryable(), "{version}: {error:?}");
        assert!(!first_read.is_finished() && !first_write.is_finished());
        discarding.abort();
        assert!(discarding.await.is_err());
        drop(write_half);
        let (all, error) = soon(first_read).await.unwrap();
        assert_eq!(all, b"still here", "{version}");
        assert!(!error.is_retryable(), "{version}: {error:?}");
        let error = soon(first_write).await.unwrap();
        assert!(!error.is_retryable(), "{version}: {error:?}");
    }
}

/// "SETTINGS both ways": we send ours, and obey the peer's.
#[tokio::test(start_paused = true)]
async fn settings_go_both_ways() {
    for version in SPDY {
        let (mux, _task, mut peer) = client(version, 64 << 10);
        let limit = Setting::new(SettingId::MAX_CONCURRENT_STREAMS, 1);
        peer.send(|encoder, bytes| encoder.settings(bytes, false, &[limit]).unwrap())
            .await;
        let Some(Message::Settings(settings)) = soon(peer.any()).await else {
            panic!("{version}: SETTINGS come first");
        };
        let ours = settings
            .entries
            .iter()
            .find(|setting| setting.id == SettingId::MAX_CONCURRENT_STREAMS);
        assert_eq!(ours.map(|setting| setting.value), Some(100), "{version}");
        let first = open(&mux).await;
        let second = mux.open(HeaderMap::new(), OpenOptions::default());
        let early = timeout(Duration::from_secs(5), second).await;
        assert!(early.is_err(), "{version}: a second stream");
        drop(first);
        open(&mux).await;
    }
}

/// "Version check": on every control frame.
#[tokio::test(start_paused = true)]
async fn another_version_is_answered() {
    for version in SPDY {
        let (_mux, _task, mut peer) = server(version, 64 << 10);
        let mut bytes = BytesMut::new();
        crate::peer::syn_stream(&mut peer.encoder, &mut bytes, 1, &[]);
        bytes[1] = 9;
        peer.io.write_all(&bytes).await.unwrap();
        let Some(Message::RstStream(reset)) = soon(peer.next()).await else {
            panic!("{version}: RST_STREAM expected");
        };
        let told = (reset.stream_id, reset.code);
        assert_eq!(told, (1, ErrorCode::UNSUPPORTED_VERSION), "{version}");
    }
}

/// "A bound on streams that were accepted and not handled."
#[tokio::test(start_paused = true)]
async fn streams_that_wait_to_be_accepted_are_bounded() {
    for version in SPDY {
        let (mux, _task, mut peer) = server(version, 64 << 10);
        for count in 0..150 {
            peer.open(2 * count + 1, &[]).await;
        }
        let mut refused = Vec::new();
        while let Ok(frame) = timeout(Duration::from_secs(1), peer.next()).await {
            let Some(Message::RstStream(reset)) = frame else {
                panic!("{version}: {frame:?}");
            };
            assert_eq!(reset.code, ErrorCode::REFUSED_STREAM, "{version}");
            refused.push(reset.stream_id);
        }
        let expected: Vec<_> = (100..150).map(|count| 2 * count + 1).collect();
        assert_eq!(refused, expected, "{version}");
        let mut accepted = 0;
        while timeout(Duration::from_secs(1), mux.accept()).await.is_ok() {
            accepted += 1;
        }
        assert_eq!(accepted, 100, "{version}");
    }
}

/// "Large sends chunked so that other streams keep moving."
#[tokio::test(start_paused = true)]
async fn large_sends_let_others_pass() {
    for version in SPDY {
        let (mux, _task, mut peer) = client(version, 16 << 10);
        peer.send(|encoder, bytes| {
            let window = Setting::new(SettingId::INITIAL_WINDOW_SIZE, 0x7fff_ffff);
            encoder.settings(bytes, false, &[window]).unwrap();
            if version == Version::Spdy31 {
                encoder.window_update(bytes, 0, 0x4000_0000);
            }
        })
        .await;
        let (_reader, mut large) = open(&mux).await.into_split();
        let (_small_reader, mut small) = open(&mux).await.into_split();
        let writing = tokio::spawn(async move {
            large.write_all(&bytes(4_000_000, 1)).await.unwrap();
            large.shutdown().await.unwrap();
        });
        let (mut from_large, mut passed_at, mut ended) = (0, None, false);
        let mut asked = false;
        while !ended {
            match soon(peer.next()).await.unwrap() {
                Message::Data {
                    stream_id: 1,
                    payload,
                    remaining,
                    fin,
                    ..
                } => {
                    from_large += payload.len();
                    let rest = remaining as usize + payload.len();
                    assert!(rest <= 16_384, "{version}: a frame of {rest} bytes");
                    ended = fin;
                    // In the middle of the transfer, the other stream sends something.
                    if !asked && from_large > 1_000_000 {
                        asked = true;
                        small.write_all(b"small").await.unwrap();
                    }
                }
                Message::Data { stream_id: 3, .. } => passed_at = Some(from_large),
                _ => {}
            }
        }
        assert_eq!(from_large, 4_000_000, "{version}");
        let passed_at = passed_at.expect("the small one came too");
        assert!(
            passed_at < 2_000_000,
            "{version}: it waited for {passed_at} bytes"
        );
        writing.await.unwrap();
    }
}

/// "A later send or receive learns of an earlier failure": every later call returns the error, and
/// never a clean end.
#[tokio::test(start_paused = true)]
async fn failures_are_remembered() {
    for version in SPDY {
        let (mux, _task, mut peer) = client(version, 64 << 10);
        let mut stream = open(&mux).await;
        soon(peer.expect_open(1)).await;
        peer.reply(1, &[]).await;
        peer.data(1, b"half of it", false).await;
        peer.send(|encoder, bytes| encoder.rst_stream(bytes, 1, ErrorCode::INTERNAL_ERROR))
            .await;
        tokio::time::sleep(Duration::from_secs(1)).await;
        let mut buffer = [0; 100];
        let len = soon(stream.read(&mut buffer)).await.unwrap();
        assert_eq!(&buffer[..len], b"half of it", "{version}");
        for _ in 0..3 {
            let error = soon(stream.read(&mut buffer)).await.unwrap_err();
            assert_eq!(inner(&error).reason(), Reason::InternalError, "{version}");
            let error = soon(stream.write(b"x")).await.unwrap_err();
            assert_eq!(inner(&error).reason(), Reason::InternalError, "{version}");
            assert!(soon(stream.send_headers(HeaderMap::new())).await.is_err());
        }
        assert!(soon(stream.flush()).await.is_err(), "{version}");
        assert!(soon(stream.shutdown()).await.is_err(), "{version}");
    }
}
