//! Opens a raw stream to an echo server, sends a number of bytes, and checks that
//! the server returns the same.
//!
//! ```text
//! cargo run -p lacewing-conn --example raw_client -- 127.0.0.1:8081 spdy/3.1 1000000
//! ```
//!
//! By default it works with peers without flow control, such as Go's
//! docker/spdystream. `--flow-control` turns windows on for other peers.

use std::io::Write as _;
use std::{error::Error, io, process::ExitCode};

use http::HeaderMap;
use lacewing_conn::{
    Side, Version,
    driver::{Mux, MuxConfig, OpenOptions, RawReader, RawWriter},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

#[tokio::main]
async fn main() -> ExitCode {
    match run().await {
        Ok(bytes) => {
            let _ = writeln!(std::io::stdout(), "ok: {bytes} bytes came back");
            ExitCode::SUCCESS
        }
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "{error}");
            ExitCode::FAILURE
        }
    }
}

async fn run() -> Result<u64, Box<dyn Error>> {
    let (options, arguments): (Vec<String>, Vec<String>) = std::env::args()
        .skip(1)
        .partition(|argument| argument.starts_with("--"));
    let (address, protocol, bytes) = match arguments.as_slice() {
        [address, protocol, bytes] => (address, protocol.as_str(), bytes),
        [address, bytes] => (address, "spdy/3.1", bytes),
        _ => return Err("usage: raw_client [--flow-control] ADDR [PROTOCOL] BYTES".into()),
    };
    let version: Version = protocol.parse()?;
    let bytes: u64 = bytes.parse()?;
    let config = match options.iter().any(|option| option == "--flow-control") {
        true => MuxConfig::new(Side::Client),
        false => MuxConfig::kubernetes(Side::Client),
    };

    let io = TcpStream::connect(address).await?;
    io.set_nodelay(true)?;
    let (mux, connection) = Mux::client(io, version, config);
    let connection = tokio::spawn(connection);

    let mut stream = mux.open(HeaderMap::new(), OpenOptions::default()).await?;
    // Peers of the spdystream family discard data that arrives before their reply.
    stream.recv_reply().await?;
    let (reader, writer) = stream.into_split();
    let sending = tokio::spawn(send(writer, bytes));
    check(reader, bytes).await?;
    sending.await??;

    mux.shutdown();
    connection.await??;
    Ok(bytes)
}

async fn send(mut writer: RawWriter, bytes: u64) -> io::Result<()> {
    let mut pattern = Pattern::default();
    let mut buffer = vec![0; 64 << 10];
    let mut left = bytes;
    while left > 0 {
        let len = usize::try_from(left).map_or(buffer.len(), |left| left.min(buffer.len()));
        let piece = buffer.get_mut(..len).unwrap_or_default();
        pattern.fill(piece);
        writer.write_all(piece).await?;
        left = left.saturating_sub(len as u64);
    }
    writer.shutdown().await
}

async fn check(mut reader: RawReader, bytes: u64) -> Result<(), Box<dyn Error>> {
    let mut pattern = Pattern::default();
    let (mut got, mut expected) = (vec![0; 64 << 10], vec![0; 64 << 10]);
    let mut read = 0;
    loop {
        let len = reader.read(&mut got).await?;
        if len == 0 {
            break;
        }
        let expected = expected.get_mut(..len).unwrap_or_default();
        pattern.fill(expected);
        if got.get(..len) != Some(&*expected) {
            return Err(format!("wrong bytes after the first {read}").into());
        }
        read += len as u64;
    }
    if read == bytes {
        Ok(())
    } else {
        Err(format!("{read} bytes came back instead of {bytes}").into())
    }
}

/// Bytes that do not repeat soon (a linear congruential generator).
struct Pattern(u64);

impl Default for Pattern {
    fn default() -> Self {
        Self(0x2545_f491_4f6c_dd1d)
    }
}

impl Pattern {
    fn fill(&mut self, piece: &mut [u8]) {
        for byte in piece {
            self.0 = self
                .0
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            [.., *byte] = self.0.to_le_bytes();
        }
    }
}
