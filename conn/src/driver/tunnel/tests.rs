#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

use std::future::poll_fn;

use http::{Method, StatusCode};
use http_body::Body as _;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, duplex},
    sync::oneshot,
    task::yield_now,
};

use super::*;
use crate::{
    Limits, Side, Version,
    driver::{
        cells::Body,
        facade::{Application, Context as Conn, Driver},
        notifier::Notifier,
    },
    proto::{Config, Control, Event, Head, OpenOptions, StreamId, StreamKey},
};

/// Either side of one request. The channel delivers the tunnel.
struct One {
    request: Option<Head>,
    pending: Option<PendingTunnel>,
    body: Option<(StreamKey, TunnelBody)>,
    tunnel: Option<oneshot::Sender<Tunnel>>,
}

impl One {
    fn hand_over(&mut self, tunnel: Tunnel) {
        if let Some(sender) = self.tunnel.take() {
            let _ = sender.send(tunnel);
        }
    }
}

impl Application for One {
    fn handle_event(&mut self, conn: &mut Conn<'_>, event: Event) {
        match event {
            Event::Opened { stream, head, .. } => {
                assert!(matches!(head.control, Control::Request { .. }));
                let (tunnel, body) = Tunnel::new(conn.incoming(stream, None));
                conn.stream(stream)
                    .reply(Head::response(StatusCode::OK), false)
                    .unwrap();
                conn.stream(stream).offer();
                self.body = Some((stream, body));
                self.hand_over(tunnel);
            }
            Event::Reply { stream, fin, .. } => {
                assert!(!fin);
                let incoming = conn.incoming(stream, None);
                let tunnel = self.pending.take().unwrap().attach(incoming);
                self.hand_over(tunnel);
            }
            Event::Reset { .. } => self.body = None,
            _ => {}
        }
    }

    fn handle_abandoned(&mut self, conn: &mut Conn<'_>, stream: StreamKey) {
        conn.stream(stream).depart();
    }

    fn pull(&mut self, conn: &mut Conn<'_>, stream: StreamKey, _: usize) {
        let Some((_, body)) = &mut self.body else {
            return;
        };
        match conn.poll_source(stream, |cx| Pin::new(&mut *body).poll_frame(cx)) {
            Poll::Pending => {}
            Poll::Ready(None) => {
                let _ = conn.stream(stream).send_data(Bytes::new(), true);
            }
            Poll::Ready(Some(Ok(frame))) => {
                let data = frame.into_data().unwrap();
                let _ = conn.stream(stream).send_data(data, false);
            }
            Poll::Ready(Some(Err(error))) => {
                self.body = None;
                conn.reset(stream, error.reason());
            }
        }
    }

    fn handle_ready(&mut self, conn: &mut Conn<'_>, stream: StreamKey) {
        conn.stream(stream).offer();
    }

    fn poll_sources(&mut self, conn: &mut Conn<'_>, _: &mut Context<'_>) {
        let Some(head) = self.request.take() else {
            return;
        };
        let stream = conn.open(head, OpenOptions::default()).unwrap();
        let (pending, body) = Tunnel::pending();
        conn.stream(stream).offer();
        self.pending = Some(pending);
        self.body = Some((stream, body));
    }
}

/// A tunnel through a connection: the client's end and the server's.
async fn tunnel(version: Version) -> (Tunnel, Tunnel) {
    let (here, there) = duplex(64 << 10);
    let mut ends = Vec::new();
    for (io, side) in [(here, Side::Client), (there, Side::Server)] {
        let (sender, receiver) = oneshot::channel();
        let one = One {
            request: (side == Side::Client).then(|| request(version)),
            pending: None,
            body: None,
            tunnel: Some(sender),
        };
        let mut config = Config::new(version, side);
        config.limits = limits(side).into();
        tokio::spawn(Driver::new(io, config, one));
        ends.push(receiver);
    }
    let server = ends.pop().unwrap().await.unwrap();
    let client = ends.pop().unwrap().await.unwrap();
    (client, server)
}

/// A SPDY server asks for a scheme and a path, and the drafts have no CONNECT.
fn request(version: Version) -> Head {
    let (method, uri) = match version {
        Version::Http2 => (Method::CONNECT, "example.org:22"),
        _ => (Method::POST, "https://example.org/tunnel"),
    };
    Head::request(method, uri.parse().unwrap())
}

const WINDOW: u32 = 128 << 10;

fn limits(side: Side) -> Limits {
    Limits::new(side).with(|limits| {
        limits.stream_window = WINDOW;
        limits.connection_window = 2 * WINDOW;
    })
}

const VERSIONS: [Version; 2] = [Version::Http2, Version::Spdy31];

/// The bytes that a writer can write before it waits.
async fn offer(writer: &mut Tunnel, total: usize) -> usize {
    let chunk = vec![7; 32 << 10];
    let mut accepted = 0;
    let mut idle = 0;
    while accepted < total && idle < 200 {
        let len = chunk.len().min(total - accepted);
        let write = poll_fn(|cx| {
            Poll::Ready(match Pin::new(&mut *writer).poll_write(cx, &chunk[..len]) {
                Poll::Ready(written) => Some(written.unwrap()),
                Poll::Pending => None,
            })
        });
        match write.await {
            Some(written) => (accepted, idle) = (accepted + written, 0),
            // Everybody else gets as far as they can.
            None => {
                idle += 1;
                yield_now().await;
            }
        }
    }
    accepted
}

/// A gigabyte is offered, and no reader reads.
#[tokio::test]
async fn a_stalled_reader_keeps_memory_flat() {
    for version in VERSIONS {
        let (mut client, mut server) = tunnel(version).await;
        stalls_and_goes_on(version, &mut client, &mut server).await;
        stalls_and_goes_on(version, &mut server, &mut client).await;
    }
}

async fn stalls_and_goes_on(version: Version, writer: &mut Tunnel, reader: &mut Tunnel) {
    let accepted = offer(writer, 1 << 30).await;
    // The window, the piece that the engine holds, and the pipe.
    let most = WINDOW as usize + 2 * WRITE_BUFFER;
    assert!(
        (WINDOW as usize..=most).contains(&accepted),
        "{version}: {accepted}"
    );
    // The rest is not lost: it follows what is read.
    let mut left = accepted;
    let mut buffer = vec![0; 16 << 10];
    while left > 0 {
        let read = reader.read(&mut buffer).await.unwrap();
        assert!(read > 0 && buffer[..read].iter().all(|byte| *byte == 7));
        left -= read;
    }
    writer.flush().await.unwrap();
    writer.write_all(b"and more").await.unwrap();
    reader.read_exact(&mut buffer[..8]).await.unwrap();
    assert_eq!(&buffer[..8], b"and more", "{version}");
}

#[tokio::test]
async fn either_half_ends_by_itself() {
    for version in VERSIONS {
        let (mut client, mut server) = tunnel(version).await;
        client.write_all(b"question").await.unwrap();
        client.shutdown().await.unwrap();
        let mut text = String::new();
        server.read_to_string(&mut text).await.unwrap();
        assert_eq!(text, "question", "{version}");
        let late = client.write_all(b"x").await.unwrap_err();
        assert_eq!(late.kind(), io::ErrorKind::BrokenPipe);

        let (mut reader, mut writer) = tokio::io::split(client);
        writer.shutdown().await.unwrap();
        server.write_all(b"answer").await.unwrap();
        server.flush().await.unwrap();
        server.shutdown().await.unwrap();
        let mut text = String::new();
        reader.read_to_string(&mut text).await.unwrap();
        assert_eq!(text, "answer", "{version}");
    }
}

#[tokio::test]
async fn a_dropped_tunnel_resets_the_stream() {
    for version in VERSIONS {
        let (mut client, server) = tunnel(version).await;
        drop(server);
        let error = client.read(&mut [0; 8]).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::ConnectionReset);
        let inner = error.get_ref().unwrap().downcast_ref::<Error>().unwrap();
        assert_eq!(inner.reason(), Reason::Cancel, "{version}");
        assert_eq!(inner.initiator(), Initiator::Peer);
        let error = client.write_all(b"x").await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::BrokenPipe);
    }
}

#[tokio::test]
async fn a_reset_says_why() {
    let (mut client, server) = tunnel(Version::Http2).await;
    server.reset(Reason::ConnectError);
    let error = client.read(&mut [0; 8]).await.unwrap_err();
    let inner = error.get_ref().unwrap().downcast_ref::<Error>().unwrap();
    assert_eq!(inner.reason(), Reason::ConnectError);
}

#[tokio::test]
async fn a_writer_that_waits_learns_that_the_stream_ended() {
    for version in VERSIONS {
        let (mut client, server) = tunnel(version).await;
        let writing = tokio::spawn(async move { client.write_all(&vec![0; 1 << 20]).await });
        for _ in 0..100 {
            yield_now().await;
        }
        assert!(!writing.is_finished());
        drop(server);
        let error = writing.await.unwrap().unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::BrokenPipe, "{version}");
    }
}

#[test]
fn the_body_ends_with_the_last_written_bytes() {
    let mut cx = Context::from_waker(Waker::noop());
    let (mut tunnel, mut body) = Tunnel::new(Incoming::empty());
    let mut body = Pin::new(&mut body);
    assert!(body.as_mut().poll_frame(&mut cx).is_pending());
    assert!(
        Pin::new(&mut tunnel)
            .poll_write(&mut cx, b"last")
            .is_ready()
    );
    assert!(Pin::new(&mut tunnel).poll_flush(&mut cx).is_pending());
    assert_eq!(body.size_hint().lower(), 4);
    assert_eq!(body.size_hint().exact(), None);
    // Not with the connection yet.
    assert!(Pin::new(&mut tunnel).poll_shutdown(&mut cx).is_pending());
    drop(tunnel);
    assert_eq!(body.size_hint().exact(), Some(4));
    let Poll::Ready(Some(Ok(frame))) = body.as_mut().poll_frame(&mut cx) else {
        panic!("what was written before the end is sent");
    };
    assert_eq!(frame.into_data().unwrap(), "last");
    assert!(body.is_end_stream());
    assert!(matches!(body.poll_frame(&mut cx), Poll::Ready(None)));
}

#[test]
fn a_client_that_gives_up_resets_its_request() {
    let mut cx = Context::from_waker(Waker::noop());
    let (pending, mut body) = Tunnel::pending();
    drop(pending);
    let Poll::Ready(Some(Err(error))) = Pin::new(&mut body).poll_frame(&mut cx) else {
        panic!("the body ends with an error");
    };
    assert_eq!(error.reason(), Reason::Cancel);
    assert!(matches!(
        Pin::new(&mut body).poll_frame(&mut cx),
        Poll::Ready(None)
    ));
}

/// A peer that takes nothing from many tunnels must not fill the pipe of each.
#[test]
fn tunnels_of_a_connection_share_the_room_for_writes() {
    let mut limits = Limits::new(Side::Server);
    limits.max_unsent_bytes = 256 << 10;
    let connection = Notifier::new(&limits);
    let mut cx = Context::from_waker(Waker::noop());
    let mut tunnels = Vec::new();
    let mut all = 0;
    for id in 0..40 {
        let stream = StreamKey::new(id, StreamId::new(2 * id + 1));
        let body = Body::new(stream, Arc::clone(connection.queue()));
        let (mut tunnel, body) = Tunnel::new(Incoming::new(body, None));
        while let Poll::Ready(written) = Pin::new(&mut tunnel).poll_write(&mut cx, &[7; 1000]) {
            all += written.unwrap();
        }
        tunnels.push((tunnel, body));
    }
    assert!(
        (128 << 10..(128 << 10) + 40 * (2 << 10)).contains(&all),
        "{all}"
    );
    assert_eq!(connection.queue().waiting_to_be_taken(), all);
    // The connection takes what one has: this one has room again.
    let (tunnel, body) = tunnels.last_mut().unwrap();
    let Poll::Ready(Some(Ok(taken))) = Pin::new(body).poll_frame(&mut cx) else {
        panic!("nothing to take");
    };
    assert_eq!(taken.into_data().unwrap().len(), 2 << 10);
    assert!(Pin::new(tunnel).poll_write(&mut cx, &[7]).is_ready());
    drop(tunnels);
    assert_eq!(connection.queue().waiting_to_be_taken(), 0);
}
