//! Bytes in one direction on a stream: the client says how many.

use std::io;

use bytes::Bytes;
use lacewing_conn::driver::RawStream;
use lacewing_kube::client::{CommandReader, CommandStdin, ForwardStream};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::Error;

/// The size of a write and of a read: that of Go's copies.
const PIECE: usize = 32 << 10;

/// The length of a request: a direction of four letters, and a number of 15 digits.
const REQUEST: usize = 21;

/// The direction of the bytes of an exchange.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// To the client.
    Down,
    /// To the server, which answers with a byte.
    Up,
}

/// Asks for an exchange, and makes it. Returns the number of bytes that arrived here.
///
/// # Errors
///
/// The stream ended early.
pub(super) async fn ask<S>(mut stream: S, direction: Direction, length: u64) -> Result<u64, Error>
where
    S: GivesBytes + TakesBytes,
{
    let name = match direction {
        Direction::Down => "down",
        Direction::Up => "up",
    };
    let request = format!("{name:<4} {length:015}\n");
    stream.write_all(request.as_bytes()).await?;
    if direction == Direction::Up {
        send(&mut stream, length).await?;
    }
    stream.shutdown().await?;
    discard(&mut stream).await
}

/// Serves one exchange.
///
/// # Errors
///
/// The stream ended early, or asks for something else.
pub(super) async fn answer<S>(mut stream: S) -> Result<(), Error>
where
    S: GivesBytes + TakesBytes,
{
    let mut request = [0; REQUEST];
    stream.read_exact(&mut request).await?;
    let (direction, length) = request.split_at(4);
    let length: u64 = std::str::from_utf8(length)?.trim().parse()?;
    if direction == b"down" {
        send(&mut stream, length).await?;
    } else {
        let received = discard(&mut stream).await?;
        if received != length {
            return Err(format!("{received} bytes of {length}").into());
        }
        stream.write_all(b"!").await?;
    }
    Ok(stream.shutdown().await?)
}

/// Serves exchanges over TCP: the pod behind a port-forward.
///
/// # Errors
///
/// The listener fails.
pub async fn serve_pod(listener: TcpListener) -> Result<(), Error> {
    loop {
        let (io, _) = listener.accept().await?;
        tokio::spawn(async move {
            // A connection without a request is the wait for the listener.
            let _ = answer(io).await;
        });
    }
}

/// A stream that takes bytes which the caller owns: without a copy, where it can.
pub(super) trait TakesBytes: AsyncWrite + Unpin {
    /// Writes all of `bytes`.
    async fn write_bytes(&mut self, bytes: Bytes) -> io::Result<()> {
        self.write_all(&bytes).await
    }
}

impl TakesBytes for TcpStream {}

impl TakesBytes for ForwardStream {
    async fn write_bytes(&mut self, bytes: Bytes) -> io::Result<()> {
        self.write_chunk(bytes).await
    }
}

impl TakesBytes for CommandStdin {
    async fn write_bytes(&mut self, bytes: Bytes) -> io::Result<()> {
        self.send(bytes).await
    }
}

impl TakesBytes for RawStream {
    async fn write_bytes(&mut self, bytes: Bytes) -> io::Result<()> {
        self.write_chunk(bytes).await
    }
}

/// A stream that gives bytes as they arrived: without a copy, where it can.
pub(super) trait GivesBytes: AsyncRead + Unpin {
    /// Reads, and returns the number of bytes.
    async fn read_bytes(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.read(buffer).await
    }
}

impl GivesBytes for TcpStream {}

impl GivesBytes for ForwardStream {
    async fn read_bytes(&mut self, _: &mut [u8]) -> io::Result<usize> {
        Ok(self.read_chunk().await?.map_or(0, |chunk| chunk.len()))
    }
}

impl GivesBytes for CommandReader {
    async fn read_bytes(&mut self, _: &mut [u8]) -> io::Result<usize> {
        Ok(self.read_chunk().await?.map_or(0, |chunk| chunk.len()))
    }
}

impl GivesBytes for RawStream {
    async fn read_bytes(&mut self, _: &mut [u8]) -> io::Result<usize> {
        Ok(self.read_chunk().await?.map_or(0, |chunk| chunk.len()))
    }
}

/// Sends zeros.
///
/// # Errors
///
/// The stream ended early.
pub(super) async fn send(stream: &mut impl TakesBytes, length: u64) -> Result<(), Error> {
    let zeros = Bytes::from_static(&[0; PIECE]);
    let mut left = length;
    while left > 0 {
        let size = usize::try_from(left).map_or(PIECE, |left| left.min(PIECE));
        stream.write_bytes(zeros.slice(..size)).await?;
        left = left.saturating_sub(size as u64);
    }
    Ok(())
}

/// Reads to the end, and returns the number of bytes.
///
/// # Errors
///
/// The stream ended early.
pub(super) async fn discard(stream: &mut impl GivesBytes) -> Result<u64, Error> {
    let mut buffer = vec![0; PIECE];
    let mut count = 0;
    loop {
        match stream.read_bytes(&mut buffer).await? {
            0 => return Ok(count),
            read => count += read as u64,
        }
    }
}
