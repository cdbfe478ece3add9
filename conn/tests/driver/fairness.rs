//! A busy connection, and others on the same thread.

use std::{
    io::{self, Write},
    pin::Pin,
    sync::Arc,
    task::{self, Poll},
};

use http::StatusCode;
use lacewing_conn::{
    Side, Version,
    driver::facade::{Application, Context, Driver},
    proto::{Config, Event, Head, StreamKey},
};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, ReadBuf};

use crate::support::{Counted, Counters, soon};

/// A client that never stops sending requests, and reads all responses.
struct Flood {
    next_stream: u32,
    begun: bool,
}

impl AsyncRead for Flood {
    fn poll_read(
        mut self: Pin<&mut Self>,
        _: &mut task::Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if !self.begun {
            self.begun = true;
            buffer.put_slice(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0");
            // The acknowledgement of the server's SETTINGS.
            buffer.put_slice(b"\0\0\0\x04\x01\0\0\0\0");
        }
        while buffer.remaining() >= 15 && self.next_stream < 1 << 31 {
            buffer.put_slice(b"\0\0\x06\x01\x05");
            buffer.put_slice(&self.next_stream.to_be_bytes());
            // GET http://a/ by the static table (RFC 7541 appendix A).
            buffer.put_slice(b"\x82\x86\x84\x01\x01a");
            self.next_stream += 2;
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Flood {
    fn poll_write(
        self: Pin<&mut Self>,
        _: &mut task::Context<'_>,
        data: &[u8],
    ) -> Poll<io::Result<usize>> {
        Poll::Ready(Ok(data.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut task::Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut task::Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

struct NoContent;

impl Application for NoContent {
    fn handle_event(&mut self, conn: &mut Context<'_>, event: Event) {
        if let Event::Opened { stream, .. } = event {
            let head = Head::response(StatusCode::NO_CONTENT);
            conn.stream(stream).reply(head, true).unwrap();
        }
    }

    fn pull(&mut self, _: &mut Context<'_>, _: StreamKey, _: usize) {}
}

/// The runtime polls its sockets after every turn of a busy connection, and not only after its 61
/// polls.
#[tokio::test]
async fn a_flood_leaves_the_runtime_time_for_other_sockets() {
    let counters = Arc::new(Counters::default());
    let flood = Flood {
        next_stream: 1,
        begun: false,
    };
    let config = Config::new(Version::Http2, Side::Server);
    let flooded = tokio::spawn(Counted {
        future: Driver::new(flood, config, NoContent),
        counters: Arc::clone(&counters),
    });
    let (mut peer, socket) = std::os::unix::net::UnixStream::pair().unwrap();
    socket.set_nonblocking(true).unwrap();
    let mut socket = tokio::net::UnixStream::from_std(socket).unwrap();
    soon(async {
        while counters.polls() < 2 {
            tokio::task::yield_now().await;
        }
        let before = counters.polls();
        const ROUNDS: usize = 5;
        for _ in 0..ROUNDS {
            // The first read finds nothing, and waits for the runtime.
            let write = async { peer.write_all(&[1]).unwrap() };
            let (byte, ()) = tokio::join!(socket.read_u8(), write);
            assert_eq!(byte.unwrap(), 1);
        }
        let polls = counters.polls() - before;
        assert!(polls <= 5 * ROUNDS, "{polls} polls of the flood");
        assert!(!flooded.is_finished(), "the flood continues");
    })
    .await;
}
