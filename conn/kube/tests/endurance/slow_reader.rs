//! Output into a reader of 1 MB/s, in virtual time.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use lacewing_conn::{Side, driver::MuxConfig};
use lacewing_kube::{
    CommandOutcome, CommandStreams, KubeLimits,
    client::{CommandRequest, StreamingProtocol},
    server::{BareRequest, CommandOffer, ExecSession},
};
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader, DuplexStream, duplex},
    time::{Instant, sleep},
};

use crate::{ALONE, size, waits::soon};

/// The bytes that the transport holds.
const PIPE: usize = 64 << 10;

/// The bytes that the reader takes in a tenth of a second.
const PORTION: usize = 100_000;

/// The pieces between the bounds: in the hands of the writer and of the reader, in the buffer of a
/// read, and those by which a frame or a message exceeds a bound.
const BETWEEN: usize = 6 * (64 << 10);

const QUERY: &str = "stdout=true&stderr=true";

#[tokio::test(start_paused = true)]
async fn output_over_spdy_is_whole_and_little_of_it_waits() {
    let limits = MuxConfig::kubernetes(Side::Client).connection.limits;
    read_slowly(StreamingProtocol::Spdy, limits.max_buffered_bytes).await;
}

#[tokio::test(start_paused = true)]
async fn output_over_http2_is_whole_and_little_of_it_waits() {
    let limits = MuxConfig::kubernetes(Side::Client).connection.limits;
    read_slowly(StreamingProtocol::Http2, limits.max_buffered_bytes).await;
}

#[tokio::test(start_paused = true)]
async fn output_over_websocket_is_whole_and_little_of_it_waits() {
    let limits = KubeLimits::new(Side::Client);
    read_slowly(StreamingProtocol::WebSocket, limits.channel_buffer).await;
}

/// `buffer` is the client's bound for what waits for its reader.
async fn read_slowly(transport: StreamingProtocol, buffer: usize) {
    let _alone = ALONE.lock().await;
    let length = size(12_000_000, 1_000_000_000);
    let ours = MuxConfig::kubernetes(Side::Server).connection.limits;
    let sending = KubeLimits::new(Side::Server).write_buffer + ours.max_output_backlog;
    let bound = sending + PIPE + buffer + BETWEEN;
    let (client, server) = duplex(PIPE);
    let written = Arc::new(AtomicUsize::new(0));
    let began = Instant::now();
    let serving = tokio::spawn(serve(server, length, Arc::clone(&written), began));

    let uri = format!("http://pod/exec?{QUERY}").parse().unwrap();
    let request = CommandRequest::new(uri).with(|request| request.transport = transport);
    let mut session = soon(request.connect_on(client)).await.unwrap();
    let mut stdout = session.stdout.take().unwrap();
    let stderr = BufReader::new(session.stderr.take().unwrap());
    // The other stream moves meanwhile: each line has the time of its start.
    let beats = tokio::spawn(async move {
        let mut lines = stderr.lines();
        let (mut count, mut longest) = (0, 0);
        while let Some(line) = lines.next_line().await.unwrap() {
            let sent: u128 = line.parse().unwrap();
            longest = longest.max(began.elapsed().as_millis() - sent);
            count += 1;
        }
        (count, longest)
    });

    let mut portion = vec![0; PORTION];
    let (mut received, mut most) = (0, 0);
    while received < length {
        let part = PORTION.min(length - received);
        soon(stdout.read_exact(&mut portion[..part])).await.unwrap();
        for (at, byte) in portion[..part].iter().enumerate() {
            assert_eq!(*byte, content(received + at), "at {}", received + at);
        }
        received += part;
        most = most.max(written.load(Ordering::Relaxed) - received);
        assert!(most <= bound, "{most} bytes wait, and not {bound} at most");
        sleep(Duration::from_millis(100)).await;
    }
    assert_eq!(soon(stdout.read(&mut portion)).await.unwrap(), 0);
    assert_eq!(
        soon(session.outcome()).await.unwrap(),
        CommandOutcome::Exited(7)
    );
    let (count, longest) = soon(beats).await.unwrap();
    let slow = length.saturating_sub(bound) / (10 * PORTION);
    assert!(count + 1 >= slow, "{count} lines in {slow} s");
    assert!(longest < 2_000, "a line took {longest} ms");
    drop(session);
    soon(serving).await.unwrap();
}

async fn serve(io: DuplexStream, length: usize, written: Arc<AtomicUsize>, began: Instant) {
    let mut bare = BareRequest::read(io).await.unwrap();
    let offer = CommandOffer::new(CommandStreams::from_query(QUERY));
    let (response, pending) = offer.accept(bare.request_mut()).unwrap();
    let (io, early) = bare.switch(response).await.unwrap();
    let mut session: ExecSession = pending.serve_on(io, early).await.unwrap();
    let mut stdout = session.stdout.take().unwrap();
    let mut stderr = session.stderr.take().unwrap();
    let output = async {
        let mut at = 0;
        while at < length {
            let end = length.min(at + (32 << 10));
            let piece: Vec<u8> = (at..end).map(content).collect();
            stdout.write_all(&piece).await.unwrap();
            at = end;
            written.store(at, Ordering::Relaxed);
        }
    };
    let beats = async {
        loop {
            let line = format!("{}\n", began.elapsed().as_millis());
            stderr.write_all(line.as_bytes()).await.unwrap();
            sleep(Duration::from_secs(1)).await;
        }
    };
    tokio::select! {
        () = output => {}
        () = beats => {}
    }
    session.finish(CommandOutcome::Exited(7)).await.unwrap();
}

/// The byte at a place: no two blocks are alike.
fn content(at: usize) -> u8 {
    let mixed = (at as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    (mixed >> 56) as u8
}
