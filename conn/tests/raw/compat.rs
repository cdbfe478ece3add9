//! A peer without flow control, like the Go spdystream family: it ignores windows and sends no
//! WINDOW_UPDATE. 100 MB in each direction, with a slow reader, and a busy stream on the same
//! connection.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use bytes::{BufMut, BytesMut};
use http::HeaderMap;
use lacewing_conn::{
    Limits, Side, Version,
    driver::{Mux, MuxConfig, RawReader, RawWriter},
};
use lacewing_frames::spdy::Message;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};

use crate::{peer::Peer, support::*};

const TOTAL: usize = 100_000_000;
const CHUNK: usize = 32 << 10;
/// One message on the busy stream for this number of chunks.
const EVERY: usize = 16;
const WORD: usize = 100;
const PIPE: usize = 64 << 10;

/// The progress of each direction.
#[derive(Default)]
struct Progress {
    /// Bytes of the large stream that left the peer, and bytes that we read.
    peer_sent: AtomicUsize,
    we_read: AtomicUsize,
    /// The opposite direction.
    we_wrote: AtomicUsize,
    peer_read: AtomicUsize,
    /// The largest number of bytes between them.
    most_in: AtomicUsize,
    most_out: AtomicUsize,
}

impl Progress {
    fn note(&self) {
        let load = |counter: &AtomicUsize| counter.load(Ordering::SeqCst);
        let inward = load(&self.peer_sent).saturating_sub(load(&self.we_read));
        let outward = load(&self.we_wrote).saturating_sub(load(&self.peer_read));
        self.most_in.fetch_max(inward, Ordering::SeqCst);
        self.most_out.fetch_max(outward, Ordering::SeqCst);
    }
}

/// Bytes with a period that is no divisor of a frame's length.
struct Pattern(Vec<u8>);

impl Pattern {
    const PERIOD: usize = 9973;

    fn new() -> Self {
        Self(bytes(Self::PERIOD + (1 << 20), 7))
    }

    fn at(&self, position: usize, len: usize) -> &[u8] {
        let start = position % Self::PERIOD;
        &self.0[start..start + len]
    }
}

#[tokio::test(start_paused = true)]
async fn a_hundred_megabytes_each_way_as_the_server() {
    let (here, there) = tokio::io::duplex(PIPE);
    let (mux, connection) =
        Mux::server(there, Version::Spdy31, MuxConfig::kubernetes(Side::Server));
    let task = tokio::spawn(connection);
    let mut peer = Peer::new(here, Version::Spdy31);
    let mut streams = Vec::new();
    for id in [1, 3] {
        peer.open(id, &[]).await;
        let (_, stream) = soon(mux.accept()).await.unwrap();
        stream.reply(HeaderMap::new());
        soon(peer.expect_reply(id)).await;
        streams.push(stream.into_split());
    }
    run(mux, task, peer, streams, Side::Server).await;
}

#[tokio::test(start_paused = true)]
async fn a_hundred_megabytes_each_way_as_the_client() {
    let (here, there) = tokio::io::duplex(PIPE);
    let (mux, connection) =
        Mux::client(there, Version::Spdy31, MuxConfig::kubernetes(Side::Client));
    let task = tokio::spawn(connection);
    let mut peer = Peer::new(here, Version::Spdy31);
    let mut streams = Vec::new();
    for id in [1, 3] {
        let stream = soon(mux.open(HeaderMap::new(), Default::default())).await;
        soon(peer.expect_open(id)).await;
        peer.reply(id, &[]).await;
        streams.push(stream.unwrap().into_split());
    }
    run(mux, task, peer, streams, Side::Client).await;
}

async fn run(
    mux: Mux,
    task: Task,
    peer: Peer<DuplexStream>,
    mut streams: Vec<(RawReader, RawWriter)>,
    side: Side,
) {
    let progress = Arc::new(Progress::default());
    let (busy_reader, busy_writer) = streams.pop().unwrap();
    let (reader, writer) = streams.pop().unwrap();
    let (read_half, write_half) = tokio::io::split(peer.io);
    let peer_writes = tokio::spawn(peer_writes(write_half, Arc::clone(&progress)));
    let read_half = tokio::io::join(read_half, tokio::io::sink());
    let mut peer_reads = Peer::new(read_half, Version::Spdy31);
    peer_reads.input = peer.input;
    let peer_reads = tokio::spawn(peer_reads_all(peer_reads, Arc::clone(&progress)));
    let we_read = tokio::spawn(we_read(reader, mux.clone(), Arc::clone(&progress)));
    let we_write = tokio::spawn(we_write(writer, Arc::clone(&progress)));
    let busy = tokio::spawn(async move {
        let (mut reader, mut writer) = (busy_reader, busy_writer);
        tokio::io::copy(&mut reader, &mut writer).await.unwrap();
        writer.shutdown().await.unwrap();
    });

    let patience = Duration::from_secs(3600);
    let all = async { tokio::join!(we_read, we_write, busy, peer_writes, peer_reads) };
    let (we_read, we_write, busy, writes, reads) =
        tokio::time::timeout(patience, all).await.expect("hangs");
    we_read.unwrap();
    we_write.unwrap();
    busy.unwrap();
    let open = writes.unwrap();
    reads.unwrap();

    // In: the bytes that may wait for readers, a read buffer, and the pipe. Out: the written and
    // cut bytes, and the pipe.
    let most_in = progress.most_in.load(Ordering::SeqCst);
    let most_out = progress.most_out.load(Ordering::SeqCst);
    let bound = Limits::new(side).max_buffered_bytes;
    assert!(
        most_in < bound + (1 << 20),
        "{side:?}: {most_in} bytes were held"
    );
    assert!(most_out < 1 << 20, "{side:?}: {most_out} bytes were held");
    // The reader was slow enough to reach its bound.
    assert!(most_in + (1 << 20) > bound, "{side:?}: only {most_in}");
    drop((mux, open));
    soon(task).await.unwrap().unwrap();
}

/// The peer sends, whatever we answer.
async fn peer_writes(
    mut io: tokio::io::WriteHalf<DuplexStream>,
    progress: Arc<Progress>,
) -> tokio::io::WriteHalf<DuplexStream> {
    let pattern = Pattern::new();
    let encoder = Peer::new(tokio::io::duplex(1).0, Version::Spdy31).encoder;
    let mut frames = BytesMut::new();
    let (mut sent, mut round) = (0, 0);
    while sent < TOTAL {
        frames.clear();
        let len = CHUNK.min(TOTAL - sent);
        encoder.data_head(&mut frames, 1, len as u32, sent + len == TOTAL);
        frames.put_slice(pattern.at(sent, len));
        if round % EVERY == 0 {
            encoder.data_head(&mut frames, 3, WORD as u32, false);
            frames.put_slice(&[round as u8; WORD]);
        }
        io.write_all(&frames).await.unwrap();
        sent += len;
        round += 1;
        progress.peer_sent.store(sent, Ordering::SeqCst);
        progress.note();
    }
    frames.clear();
    encoder.data_head(&mut frames, 3, 0, true);
    io.write_all(&frames).await.unwrap();
    io
}

/// The peer reads, and grants no credit for it.
async fn peer_reads_all<IO>(mut peer: Peer<IO>, progress: Arc<Progress>)
where
    IO: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin,
{
    let pattern = Pattern::new();
    let words = TOTAL.div_ceil(CHUNK).div_ceil(EVERY) * WORD;
    let (mut large, mut busy, mut ended) = (0, Vec::new(), 0);
    while ended < 2 {
        match peer.next().await.unwrap() {
            Message::Data {
                stream_id,
                payload,
                fin,
                ..
            } => {
                ended += usize::from(fin);
                if stream_id == 1 {
                    assert!(
                        payload == pattern.at(large, payload.len()),
                        "other bytes at {large}"
                    );
                    large += payload.len();
                    progress.peer_read.store(large, Ordering::SeqCst);
                } else {
                    busy.extend_from_slice(&payload);
                }
            }
            // A PING tests the transport while nothing is read.
            Message::Ping(_) => {}
            other => panic!("{other:?}"),
        }
    }
    assert_eq!((large, busy.len()), (TOTAL, words));
    for (word, bytes) in busy.chunks(WORD).enumerate() {
        assert!(bytes.iter().all(|byte| *byte == (word * EVERY) as u8));
    }
}

async fn we_read(mut reader: RawReader, mux: Mux, progress: Arc<Progress>) {
    let pattern = Pattern::new();
    let mut buffer = vec![0; 1 << 20];
    let mut read = 0;
    loop {
        let len = reader.read(&mut buffer).await.unwrap();
        if len == 0 {
            break;
        }
        assert!(
            buffer[..len] == *pattern.at(read, len),
            "other bytes at {read}"
        );
        read += len;
        progress.note();
        progress.we_read.store(read, Ordering::SeqCst);
        // Slow: all other tasks run until they wait.
        tokio::time::sleep(Duration::from_millis(20)).await;
        let stats = mux.stats().await.unwrap();
        assert!(stats.buffered_bytes < 9 << 20, "{stats:?}");
        assert!(stats.output_bytes < 1 << 20, "{stats:?}");
    }
    assert_eq!(read, TOTAL);
}

async fn we_write(mut writer: RawWriter, progress: Arc<Progress>) {
    let pattern = Pattern::new();
    let mut written = 0;
    while written < TOTAL {
        let len = CHUNK.min(TOTAL - written);
        writer.write_all(pattern.at(written, len)).await.unwrap();
        written += len;
        progress.we_wrote.store(written, Ordering::SeqCst);
        progress.note();
    }
    writer.shutdown().await.unwrap();
}
