//! The reads of bulk transfers.

use std::{
    io,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use http::HeaderMap;
use lacewing_conn::{
    Side, Version,
    driver::{Mux, MuxConfig},
};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, DuplexStream, ReadBuf};

use crate::support::*;

const LENGTH: usize = 16 << 20;

/// A pipe that counts the bytes of reads with room for 128 KiB and more.
struct Reads {
    io: DuplexStream,
    huge: Arc<AtomicUsize>,
}

impl AsyncRead for Reads {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let (room, before) = (buffer.remaining(), buffer.filled().len());
        ready!(Pin::new(&mut self.io).poll_read(cx, buffer))?;
        if room >= 128 << 10 {
            let read = buffer.filled().len() - before;
            self.huge.fetch_add(read, Ordering::Relaxed);
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Reads {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        data: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write(cx, data)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}

/// A reader that takes all at once does not lag, although it reports what it took later and in
/// few parts: its connection reads in large pieces.
#[tokio::test]
async fn a_reader_that_keeps_up_makes_large_reads() {
    let (near, far) = tokio::io::duplex(4 << 20);
    let huge = Arc::new(AtomicUsize::new(0));
    let io = Reads {
        io: near,
        huge: Arc::clone(&huge),
    };
    let of = MuxConfig::kubernetes;
    let (receiver, connection) = Mux::server(io, Version::Spdy31, of(Side::Server));
    tokio::spawn(connection);
    let (sender, connection) = Mux::client(far, Version::Spdy31, of(Side::Client));
    tokio::spawn(connection);
    let sending = tokio::spawn(async move {
        let mut stream = open(&sender).await;
        let zeros = Bytes::from_static(&[0; 32 << 10]);
        for _ in 0..LENGTH / zeros.len() {
            stream.write_chunk(zeros.clone()).await.unwrap();
        }
        stream.shutdown().await.unwrap();
    });
    let (_, mut stream) = soon(receiver.accept()).await.unwrap();
    stream.reply(HeaderMap::new());
    let mut received = 0;
    while let Some(chunk) = soon(stream.read_chunk()).await.unwrap() {
        received += chunk.len();
    }
    soon(sending).await.unwrap();
    assert_eq!(received, LENGTH);
    let huge = huge.load(Ordering::Relaxed);
    assert!(huge > LENGTH / 2, "{huge} bytes of {LENGTH}");
}

/// A peer that reads nothing must not make each of many streams hold its whole write buffer.
#[tokio::test]
async fn streams_of_a_connection_share_the_room_for_writes() {
    for version in [
        Version::Http2,
        Version::Spdy31,
        Version::Spdy3,
        Version::Spdy2,
    ] {
        let (near, _far) = tokio::io::duplex(1024);
        let (mux, connection) = Mux::client(near, version, MuxConfig::new(Side::Client));
        tokio::spawn(connection);
        let mut streams = Vec::new();
        let mut all = 0;
        for _ in 0..60 {
            streams.push(open(&mux).await);
        }
        for _ in 0..20 {
            for stream in &mut streams {
                let mut cx = Context::from_waker(std::task::Waker::noop());
                while let Poll::Ready(written) =
                    Pin::new(&mut *stream).poll_write(&mut cx, &[7; 1000])
                {
                    all += written.unwrap();
                }
                let mut cx = Context::from_waker(std::task::Waker::noop());
                assert!(stream.poll_writable(&mut cx).is_pending(), "{version}");
            }
            tokio::task::yield_now().await;
        }
        // 60 write buffers have 3.8 MiB. The engine and the output have up to 1 MiB besides.
        assert!((256 << 10..1536 << 10).contains(&all), "{version}: {all}");
    }
}
