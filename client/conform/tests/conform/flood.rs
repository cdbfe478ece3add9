//! Peers that never stop sending: each wait of the suite ends in its time.
//!
//! Every read takes a millisecond of virtual time, so that deadlines pass
//! though the transport always has input. The flood ends after many times the
//! suite's patience: a wait that does not look at the clock reads all of it.

use std::{
    io,
    pin::{Pin, pin},
    task::{Context, Poll},
    time::Duration,
};

use lacewing_client::Version;
use lacewing_conform::{Case, Outcome, Segmentation, Target, client_cases, run, server_cases};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::conditions;

/// The frames of a flood: 50 s, where the suite waits for 2.
const FRAMES: usize = 50_000;

/// SETTINGS without entries, and the acknowledgement of the suite's.
const SETTINGS: &[u8] = b"\0\0\0\x04\0\0\0\0\0\0\0\0\x04\x01\0\0\0\0";
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// A frame of a type that HTTP/2 does not define: to be ignored (RFC 9113 §4.1).
const UNKNOWN: &[u8] = b"\0\0\0\xfa\0\0\0\0\0";
/// A control frame of a type that SPDY/3 does not define: to be ignored.
const UNKNOWN_SPDY: &[u8] = b"\x80\x03\x00\xfa\0\0\0\0";

/// The reaction of a flooding peer to the suite's frames.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Takes {
    Everything,
    Nothing,
    /// Takes bytes; a flush or shutdown never ends.
    Unflushed,
}

struct Flood {
    /// The bytes before the flood.
    start: Vec<u8>,
    frame: &'static [u8],
    left: usize,
    takes: Takes,
}

impl Flood {
    fn new(start: &[&[u8]], frame: &'static [u8]) -> Self {
        Self {
            start: start.concat(),
            frame,
            left: FRAMES,
            takes: Takes::Everything,
        }
    }

    fn flushed(&self) -> Poll<io::Result<()>> {
        match self.takes {
            Takes::Everything => Poll::Ready(Ok(())),
            Takes::Nothing | Takes::Unflushed => Poll::Pending,
        }
    }
}

impl AsyncRead for Flood {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if !self.start.is_empty() {
            buffer.put_slice(&std::mem::take(&mut self.start));
        } else if let Some(left) = self.left.checked_sub(1) {
            self.left = left;
            // The first poll moves the clock.
            let _ = pin!(tokio::time::advance(Duration::from_millis(1))).poll(cx);
            buffer.put_slice(self.frame);
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Flood {
    fn poll_write(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        match self.takes {
            Takes::Everything | Takes::Unflushed => Poll::Ready(Ok(bytes.len())),
            Takes::Nothing => Poll::Pending,
        }
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.flushed()
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.flushed()
    }
}

async fn fails_in_time(cases: Vec<Case>, id: &str, mut flood: Flood) {
    let case = cases.iter().find(|case| case.id() == id).unwrap();
    let target = Target::new("http", "localhost").version(case.version());
    let conditions = conditions(Segmentation::Whole);
    // Ends a wait that has no deadline of its own, and so fails the test.
    let hour = Duration::from_secs(3600);
    let outcome = tokio::time::timeout(hour, run(case, &mut flood, &target, &conditions)).await;
    let outcome = outcome.expect("the case ends");
    assert!(matches!(outcome, Outcome::Failed(_)), "{outcome:?}");
    assert!(flood.left > 0, "read to the end of the flood");
}

#[tokio::test(start_paused = true)]
async fn the_wait_for_a_reaction_ends() {
    let cases = server_cases(&Target::new("http", "localhost"));
    fails_in_time(cases, "6.7/1", Flood::new(&[SETTINGS], UNKNOWN)).await;
    let spdy = Target::new("http", "localhost").version(Version::Spdy3);
    let flood = Flood::new(&[], UNKNOWN_SPDY);
    fails_in_time(server_cases(&spdy), "2.6.5/1", flood).await;
}

#[tokio::test(start_paused = true)]
async fn the_wait_for_requests_ends() {
    let cases = client_cases(Version::Http2);
    let flood = Flood::new(&[PREFACE, SETTINGS], UNKNOWN);
    fails_in_time(cases, "6.9/4", flood).await;
    let cases = client_cases(Version::Spdy3);
    fails_in_time(cases, "2.6.5/1", Flood::new(&[], UNKNOWN_SPDY)).await;
}

#[tokio::test(start_paused = true)]
async fn the_probe_of_a_server_ends() {
    for (version, mut flood) in [
        (Version::Http2, Flood::new(&[SETTINGS], UNKNOWN)),
        (Version::Spdy3, Flood::new(&[], UNKNOWN_SPDY)),
    ] {
        let mut target = Target::new("http", "localhost").version(version);
        let conditions = conditions(Segmentation::Whole);
        target.probe(&mut flood, &conditions).await;
        assert!(!target.abilities.answers);
        assert!(flood.left > 0, "{version}: read to the end of the flood");
    }
}

#[tokio::test(start_paused = true)]
async fn a_write_that_the_peer_does_not_take_ends() {
    for (id, takes) in [
        ("6.7/1", Takes::Nothing),
        ("6.7/1", Takes::Unflushed),
        // Its script closes the transport.
        ("3.4/8", Takes::Unflushed),
    ] {
        let cases = server_cases(&Target::new("http", "localhost"));
        let mut flood = Flood::new(&[SETTINGS], UNKNOWN);
        flood.takes = takes;
        fails_in_time(cases, id, flood).await;
    }
}
