//! A server that does no more than an HTTP/2 client needs. It reads frame heads and sends replies
//! that were formed beforehand. It decodes no header list, so every request gets the same reply.
//! Its cost is that of the system calls and of moving the bytes.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use bytes::{Buf, BytesMut};
use rustls::ServerConfig;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use crate::Error;

const DATA: u8 = 0x0;
const HEADERS: u8 = 0x1;
const SETTINGS: u8 = 0x4;
const PING: u8 = 0x6;
const WINDOW_UPDATE: u8 = 0x8;
const ACK: u8 = 0x1;
const END_STREAM: u8 = 0x1;
const END_HEADERS: u8 = 0x4;

const PREFACE: usize = 24;
const FRAME: usize = 16_384;
/// Output beyond this waits for the socket.
const ENOUGH: usize = 256 << 10;
/// Received bytes after which windows are granted anew.
const GRANT: u32 = 16 << 20;

/// The body of the reply to an upload: as long as the length of 1 MiB in decimal.
const UPLOAD_REPLY: u64 = 7;

/// Serves for ever: prior knowledge, or behind TLS. Replies have `reply` bytes.
///
/// # Errors
///
/// The listener accepts no more connections.
pub async fn serve(
    listener: TcpListener,
    max_streams: u32,
    reply: u64,
    tls: Option<ServerConfig>,
) -> Result<(), Error> {
    let acceptor = tls.map(|config| TlsAcceptor::from(Arc::new(config)));
    loop {
        let (socket, _) = listener.accept().await?;
        socket.set_nodelay(true)?;
        let acceptor = acceptor.clone();
        tokio::spawn(async move {
            let served = match acceptor {
                None => Canned::new(max_streams, reply).run(socket).await,
                Some(acceptor) => match acceptor.accept(socket).await {
                    Ok(socket) => Canned::new(max_streams, reply).run(socket).await,
                    Err(error) => Err(error.into()),
                },
            };
            if let Err(error) = served {
                crate::note!("connection: {error}");
            }
        });
    }
}

/// One connection.
struct Canned {
    output: Vec<u8>,
    connection_window: i64,
    /// The client's initial window of a stream.
    initial_window: i64,
    /// The bodies that wait for windows, in turn.
    bodies: VecDeque<Sending>,
    /// The length of a reply's body.
    reply: u64,
    /// Received bytes that were not granted anew.
    received: u32,
    /// Windows that arrived for streams whose body is not there yet.
    early: HashMap<u32, i64>,
}

struct Sending {
    stream: u32,
    left: u64,
    window: i64,
}

impl Canned {
    fn new(max_streams: u32, reply: u64) -> Self {
        let mut output = Vec::new();
        let [a, b, c, d] = max_streams.to_be_bytes();
        head(&mut output, 12, SETTINGS, 0, 0);
        output.extend([0, 3, a, b, c, d, 0, 4, 0x7f, 0xff, 0xff, 0xff]);
        window_update(&mut output, 0, 0x7fff_ffff - 65_535);
        Self {
            output,
            connection_window: 65_535,
            initial_window: 65_535,
            bodies: VecDeque::new(),
            reply,
            received: 0,
            early: HashMap::new(),
        }
    }

    async fn run<T: AsyncRead + AsyncWrite + Unpin>(mut self, mut socket: T) -> Result<(), Error> {
        let mut input = BytesMut::with_capacity(64 << 10);
        let mut skip = PREFACE;
        loop {
            self.fill();
            if !self.output.is_empty() {
                socket.write_all(&self.output).await?;
                self.output.clear();
                if self.can_send() {
                    continue;
                }
            }
            input.reserve(64 << 10);
            if socket.read_buf(&mut input).await? == 0 {
                return Ok(());
            }
            let skipped = skip.min(input.len());
            input.advance(skipped);
            skip -= skipped;
            while let Some((frame, payload)) = next(&mut input) {
                self.handle(frame, &payload);
            }
        }
    }

    fn handle(&mut self, frame: Head, payload: &[u8]) {
        match frame.kind {
            HEADERS if frame.flags & END_STREAM != 0 => self.reply(frame.stream, self.reply),
            DATA => self.receive(frame, payload.len()),
            SETTINGS if frame.flags & ACK == 0 => {
                for setting in payload.chunks_exact(6) {
                    if let [0, 4, a, b, c, d] = *setting {
                        self.initial_window = i64::from(u32::from_be_bytes([a, b, c, d]));
                    }
                }
                head(&mut self.output, 0, SETTINGS, ACK, 0);
            }
            PING if frame.flags & ACK == 0 => {
                head(&mut self.output, payload.len(), PING, ACK, 0);
                self.output.extend(payload);
            }
            WINDOW_UPDATE => self.credit(frame.stream, payload),
            _ => {}
        }
    }

    fn credit(&mut self, stream: u32, payload: &[u8]) {
        let &[a, b, c, d] = payload else { return };
        let increment = i64::from(u32::from_be_bytes([a, b, c, d]));
        if stream == 0 {
            self.connection_window += increment;
            return;
        }
        match self.bodies.iter_mut().find(|body| body.stream == stream) {
            Some(body) => body.window += increment,
            None => *self.early.entry(stream).or_default() += increment,
        }
    }

    /// Counts an upload, and answers its end.
    fn receive(&mut self, frame: Head, length: usize) {
        self.received += u32::try_from(length).unwrap_or(0);
        if self.received >= GRANT {
            window_update(&mut self.output, 0, self.received);
            self.received = 0;
        }
        if frame.flags & END_STREAM != 0 {
            self.reply(frame.stream, UPLOAD_REPLY);
        }
    }

    /// Sends `:status: 200` by its index, and a body as far as the windows permit.
    fn reply(&mut self, stream: u32, left: u64) {
        head(&mut self.output, 1, HEADERS, END_HEADERS, stream);
        self.output.push(0x88);
        let early = self.early.remove(&stream).unwrap_or(0);
        self.bodies.push_back(Sending {
            stream,
            left,
            window: self.initial_window + early,
        });
    }

    fn can_send(&self) -> bool {
        self.connection_window > 0 && self.bodies.iter().any(|body| body.window > 0)
    }

    /// Cuts frames out of the bodies, in turn, until the output is full.
    fn fill(&mut self) {
        let mut blocked = 0;
        while self.output.len() < ENOUGH && blocked < self.bodies.len() {
            let Some(mut body) = self.bodies.pop_front() else {
                return;
            };
            let windows = self.connection_window.min(body.window).max(0);
            let length = body.left.min(windows.unsigned_abs()).min(FRAME as u64);
            if length == 0 {
                self.bodies.push_back(body);
                blocked += 1;
                continue;
            }
            blocked = 0;
            body.left -= length;
            body.window -= length.cast_signed();
            self.connection_window -= length.cast_signed();
            let flags = if body.left == 0 { END_STREAM } else { 0 };
            let length = usize::try_from(length).unwrap_or(0);
            head(&mut self.output, length, DATA, flags, body.stream);
            self.output.extend(BLOCK.get(..length).unwrap_or(&BLOCK));
            if body.left > 0 {
                self.bodies.push_back(body);
            }
        }
    }
}

static BLOCK: [u8; FRAME] = [b'.'; FRAME];

struct Head {
    kind: u8,
    flags: u8,
    stream: u32,
}

/// The next whole frame of the input.
fn next(input: &mut BytesMut) -> Option<(Head, BytesMut)> {
    let &[a, b, c, kind, flags, s0, s1, s2, s3] = input.first_chunk::<9>()?;
    let length = u32::from_be_bytes([0, a, b, c]) as usize;
    if input.len() < 9 + length {
        return None;
    }
    input.advance(9);
    let stream = u32::from_be_bytes([s0, s1, s2, s3]) & 0x7fff_ffff;
    let head = Head {
        kind,
        flags,
        stream,
    };
    Some((head, input.split_to(length)))
}

fn head(output: &mut Vec<u8>, length: usize, kind: u8, flags: u8, stream: u32) {
    let [_, a, b, c] = u32::try_from(length).unwrap_or(0).to_be_bytes();
    let [s0, s1, s2, s3] = stream.to_be_bytes();
    output.extend([a, b, c, kind, flags, s0, s1, s2, s3]);
}

fn window_update(output: &mut Vec<u8>, stream: u32, increment: u32) {
    head(output, 4, WINDOW_UPDATE, 0, stream);
    output.extend(increment.to_be_bytes());
}
