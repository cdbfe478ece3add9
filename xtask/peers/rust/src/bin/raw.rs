//! Raw streams of SPDY/3.1 with a peer that has no flow control: a large
//! stream that somebody reads slowly, and a busy one beside it.
//!
//! ```text
//! raw serve ADDR              sends back what comes; a stream with the header
//!                             `pace: slow` slowly. Prints its peak of memory
//!                             when a connection is over
//! raw client ADDR BYTES PACE  sends BYTES and takes them back, slowly if PACE is
//!                             `slow`, and messages all the while on another stream
//! ```

use std::time::Duration;

use http::{HeaderMap, HeaderValue};
use lacewing_conn::{Side, Version};
use lacewing_conn::driver::{Mux, MuxConfig, OpenOptions, RawReader, RawStream, RawWriter};
use lacewing_interop_peers::{Error, files};
use sha2::{Digest as _, Sha256};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

/// A slow reader rests after so many bytes.
const STRIDE: usize = 1 << 20;
const REST: Duration = Duration::from_millis(20);

#[tokio::main]
async fn main() -> Result<(), Error> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    match args[..] {
        ["serve", address] => {
            let listener = TcpListener::bind(address).await?;
            loop {
                let (io, _) = listener.accept().await?;
                serve(io).await?;
                println!("peak {} KiB", peak()?);
            }
        }
        ["client", address, bytes, pace] => {
            let io = TcpStream::connect(address).await?;
            let all = client(io, bytes.parse()?, pace == "slow");
            tokio::time::timeout(Duration::from_secs(60), all).await?
        }
        _ => Err("usage: raw serve|client …".into()),
    }
}

fn config(side: Side) -> MuxConfig {
    MuxConfig::new(side).with(|config| config.ignore_flow_control = true)
}

async fn serve(io: TcpStream) -> Result<(), Error> {
    io.set_nodelay(true)?;
    let (mux, connection) = Mux::server(io, Version::Spdy31, config(Side::Server));
    let connection = tokio::spawn(connection);
    while let Some((headers, stream)) = mux.accept().await {
        let slow = headers.get("pace").is_some_and(|pace| pace == "slow");
        tokio::spawn(async move {
            if let Err(error) = echo(stream, slow).await {
                println!("echo: {error}");
            }
        });
    }
    if let Err(error) = connection.await? {
        println!("connection: {error}");
    }
    Ok(())
}

async fn echo(stream: RawStream, slow: bool) -> Result<(), Error> {
    stream.reply(HeaderMap::new());
    let (mut reader, mut writer) = stream.into_split();
    let mut pace = Pace::new(slow);
    while let Some(chunk) = reader.read_chunk().await? {
        writer.write_all(&chunk).await?;
        pace.took(chunk.len()).await;
    }
    writer.shutdown().await?;
    Ok(())
}

async fn client(io: TcpStream, bytes: usize, slow: bool) -> Result<(), Error> {
    io.set_nodelay(true)?;
    let (mux, connection) = Mux::client(io, Version::Spdy31, config(Side::Client));
    let connection = tokio::spawn(connection);
    let (reader, writer) = open(&mux, "large").await?;
    let (busy_reader, busy_writer) = open(&mux, "busy").await?;
    let busy = tokio::spawn(converse(busy_reader, busy_writer));
    let sending = tokio::spawn(send(writer, bytes));
    let (length, received) = take(reader, slow).await?;
    let sent = sending.await??;
    // Ends the conversation with the next answer.
    busy.abort();
    let turns = TURNS.load(std::sync::atomic::Ordering::Relaxed);
    if (length, &received) != (bytes, &sent) {
        return Err(format!("{length} bytes of {bytes} came back, {received}, not {sent}").into());
    }
    mux.shutdown();
    drop(connection);
    println!("{length} bytes, {turns} messages, peak {} KiB", peak()?);
    Ok(())
}

/// Messages that were echoed.
static TURNS: std::sync::atomic::AtomicUsize = std::sync::atomic::AtomicUsize::new(0);

async fn open(mux: &Mux, kind: &'static str) -> Result<(RawReader, RawWriter), Error> {
    let mut headers = HeaderMap::new();
    headers.insert("streamtype", HeaderValue::from_static(kind));
    let mut stream = mux.open(headers, OpenOptions::default()).await?;
    // The peer drops what comes before its reply.
    stream.recv_reply().await?;
    Ok(stream.into_split())
}

async fn send(mut writer: RawWriter, bytes: usize) -> Result<String, Error> {
    let mut hash = Sha256::new();
    let (mut left, mut state) = (bytes, 0x9e37_79b9_7f4a_7c15_u64);
    let mut piece = vec![0; 32 << 10];
    while left > 0 {
        let size = left.min(piece.len());
        for octets in piece.chunks_mut(8) {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            octets.copy_from_slice(&state.to_le_bytes()[..octets.len()]);
        }
        hash.update(&piece[..size]);
        writer.write_all(&piece[..size]).await?;
        left -= size;
    }
    writer.shutdown().await?;
    Ok(files::hex(&hash.finalize()))
}

async fn take(mut reader: RawReader, slow: bool) -> Result<(usize, String), Error> {
    let (mut hash, mut length) = (Sha256::new(), 0);
    let mut pace = Pace::new(slow);
    while let Some(chunk) = reader.read_chunk().await? {
        hash.update(&chunk);
        length += chunk.len();
        pace.took(chunk.len()).await;
    }
    Ok((length, files::hex(&hash.finalize())))
}

/// Messages to and fro, one after the other, for as long as it is let.
async fn converse(mut reader: RawReader, mut writer: RawWriter) -> Result<(), Error> {
    for turn in 0_usize.. {
        let message = [turn as u8; 1_000];
        writer.write_all(&message).await?;
        let mut answer = [0; 1_000];
        reader.read_exact(&mut answer).await?;
        if answer != message {
            println!("message {turn} came back different");
            std::process::exit(1);
        }
        TURNS.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
    }
    Ok(())
}

struct Pace {
    slow: bool,
    since: usize,
}

impl Pace {
    fn new(slow: bool) -> Self {
        Self { slow, since: 0 }
    }

    async fn took(&mut self, bytes: usize) {
        self.since += bytes;
        if self.slow && self.since >= STRIDE {
            self.since = 0;
            tokio::time::sleep(REST).await;
        }
    }
}

/// The most memory that this process ever had (VmHWM), in KiB.
fn peak() -> Result<u64, Error> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let number = line.and_then(|line| line.split_whitespace().next());
    Ok(number.ok_or("no VmHWM")?.parse()?)
}
