//! Opens connections, makes some requests by HTTP/2 or SPDY/3.1 on each, and keeps them open and
//! idle until its standard input ends. This measures a server's memory per idle connection, or per
//! upload that has begun and stands still.
//!
//! The client is a few hand-made frames on a plain socket, so that ten
//! thousand of them weigh nothing. It prints `ready N` once all are idle.

use std::error::Error;
use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use bytes::BytesMut;
use clap::Parser;
use lacewing_frames::spdy::{Compression, Encoder, SynStreamHead, WireVersion};

/// Open connections, some requests on each, keep them idle until stdin ends
#[derive(Debug, Parser)]
struct Arguments {
    /// Port on 127.0.0.1 (cleartext, with prior knowledge)
    #[arg(long, value_name = "P")]
    port: u16,
    /// Connections to open (see `ulimit -n`)
    #[arg(long, value_name = "N", default_value_t = 1000)]
    connections: usize,
    /// Requests on each before it goes idle; 0: only SETTINGS are exchanged
    #[arg(long, value_name = "N", default_value_t = 1)]
    requests: u32,
    /// Uploads on each that begin and do not end, after the requests; HTTP/2 alone
    #[arg(long, value_name = "N", default_value_t = 0, conflicts_with = "spdy")]
    uploads: u32,
    /// Speak SPDY/3.1 instead of HTTP/2
    #[arg(long)]
    spdy: bool,
}

fn main() -> Result<(), Box<dyn Error>> {
    let arguments = Arguments::parse();
    let mut sockets = Vec::with_capacity(arguments.connections);
    for number in 0..arguments.connections {
        let socket = connect(arguments.port).and_then(|socket| match arguments.spdy {
            true => spdy(socket, arguments.requests),
            false => http2(socket, arguments.requests, arguments.uploads),
        });
        sockets.push(socket.map_err(|error| format!("connection {number}: {error}"))?);
    }
    lacewing_benches::say!("ready {}", sockets.len());
    io::stdin().read_to_end(&mut Vec::new())?;
    drop(sockets);
    Ok(())
}

fn connect(port: u16) -> io::Result<TcpStream> {
    let socket = TcpStream::connect(("127.0.0.1", port))?;
    socket.set_nodelay(true)?;
    socket.set_read_timeout(Some(Duration::from_secs(30)))?;
    Ok(socket)
}

/// Has `requests` requests answered, one after the other.
fn spdy(mut socket: TcpStream, requests: u32) -> io::Result<TcpStream> {
    let mut encoder = Encoder::new(WireVersion::V3, Compression::default());
    for number in 0..requests {
        let id = 2 * number + 1;
        let mut out = BytesMut::new();
        let head = SynStreamHead {
            fin: true,
            ..SynStreamHead::new(id)
        };
        let sent = encoder.syn_stream(&mut out, head, |block| {
            for (name, value) in SPDY_REQUEST {
                block.field(name.as_bytes(), [value.as_bytes()]);
            }
        });
        sent.map_err(io::Error::other)?;
        socket.write_all(&out)?;
        await_fin(&mut socket, id)?;
    }
    Ok(socket)
}

/// Reads frames of SPDY until the end of the stream; returns PING on the way.
fn await_fin(socket: &mut TcpStream, id: u32) -> io::Result<()> {
    loop {
        let mut head = [0; 8];
        socket.read_exact(&mut head)?;
        let [s0, s1, s2, s3, flags, a, b, c] = head;
        let mut payload = vec![0; u32::from_be_bytes([0, a, b, c]) as usize];
        socket.read_exact(&mut payload)?;
        let stream = match (s0 & 0x80 != 0, s3, payload.first_chunk()) {
            (false, ..) => u32::from_be_bytes([s0, s1, s2, s3]),
            (true, SPDY_SYN_REPLY, Some(stream)) => u32::from_be_bytes(*stream),
            (true, SPDY_PING, Some(_)) => {
                socket.write_all(&[head.as_slice(), &payload].concat())?;
                continue;
            }
            (true, SPDY_RST_STREAM | SPDY_GOAWAY, _) => {
                let text = format!("the server sent frame type {s3}: {payload:02x?}");
                return Err(io::Error::other(text));
            }
            _ => continue,
        };
        if stream == id && flags & SPDY_FIN != 0 {
            return Ok(());
        }
    }
}

/// Has `requests` requests answered, one after the other. Then begins `uploads` uploads.
fn http2(mut socket: TcpStream, requests: u32, uploads: u32) -> io::Result<TcpStream> {
    let mut hello = PREFACE.to_vec();
    hello.extend(frame_head(0, SETTINGS, 0, 0));
    socket.write_all(&hello)?;
    await_frames(&mut socket, Awaited::Settings)?;
    for number in 0..requests {
        let id = 2 * number + 1;
        let mut out = Vec::new();
        out.extend(frame_head(
            REQUEST.len(),
            HEADERS,
            END_STREAM | END_HEADERS,
            id,
        ));
        out.extend(REQUEST);
        socket.write_all(&out)?;
        await_frames(&mut socket, Awaited::EndOfStream(id))?;
    }
    let mut out = Vec::new();
    for number in requests..requests + uploads {
        let id = 2 * number + 1;
        out.extend(frame_head(UPLOAD.len(), HEADERS, END_HEADERS, id));
        out.extend(UPLOAD);
    }
    if uploads > 0 {
        // Its answer shows that the server has read all of them.
        out.extend(frame_head(8, PING, 0, 0));
        out.extend([0; 8]);
        socket.write_all(&out)?;
        await_frames(&mut socket, Awaited::Pong)?;
    }
    Ok(socket)
}

/// The frames to wait for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Awaited {
    /// The server's SETTINGS and its acknowledgement of ours.
    Settings,
    /// The end of a response.
    EndOfStream(u32),
    /// The answer to our PING.
    Pong,
}

/// Reads frames until the awaited ones arrived; acknowledges SETTINGS and PING on
/// the way.
fn await_frames(socket: &mut TcpStream, awaited: Awaited) -> io::Result<()> {
    let mut settings = 0;
    let mut ended = false;
    while !(ended || awaited == Awaited::Settings && settings == 2) {
        let mut head = [0; 9];
        socket.read_exact(&mut head)?;
        let [a, b, c, kind, flags, s0, s1, s2, s3] = head;
        let length = u32::from_be_bytes([0, a, b, c]) as usize;
        let stream = u32::from_be_bytes([s0, s1, s2, s3]) & 0x7fff_ffff;
        let mut payload = vec![0; length];
        socket.read_exact(&mut payload)?;
        match kind {
            SETTINGS if flags & ACK == 0 => {
                settings += 1;
                socket.write_all(&frame_head(0, SETTINGS, ACK, 0))?;
            }
            PING if flags & ACK == 0 => {
                let mut out = frame_head(length, PING, ACK, 0).to_vec();
                out.extend(payload);
                socket.write_all(&out)?;
            }
            SETTINGS => settings += 1,
            PING => ended |= awaited == Awaited::Pong,
            DATA | HEADERS if flags & END_STREAM != 0 => {
                ended |= awaited == Awaited::EndOfStream(stream);
            }
            RST_STREAM | GOAWAY => {
                let text = format!("the server sent frame type {kind}: {payload:02x?}");
                return Err(io::Error::other(text));
            }
            _ => {}
        }
    }
    Ok(())
}

/// A frame's nine bytes (RFC 9113 §4.1). Our payloads are far below 256 bytes.
fn frame_head(length: usize, kind: u8, flags: u8, stream: u32) -> [u8; 9] {
    let [_, a, b, c] = u32::try_from(length).unwrap_or(0).to_be_bytes();
    let [s0, s1, s2, s3] = stream.to_be_bytes();
    [a, b, c, kind, flags, s0, s1, s2, s3]
}

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// `:method: GET`, `:scheme: http`, `:path: /` by index; `:authority: localhost`
/// as a literal that enters the table.
const REQUEST: &[u8] = b"\x82\x86\x84\x41\x09localhost";

/// `POST /upload` of `localhost`: the last two as literals that enter no table.
const UPLOAD: &[u8] = b"\x83\x86\x04\x07/upload\x01\x09localhost";

const SPDY_REQUEST: [(&str, &str); 5] = [
    (":method", "GET"),
    (":scheme", "http"),
    (":host", "localhost"),
    (":path", "/"),
    (":version", "HTTP/1.1"),
];

const SPDY_SYN_REPLY: u8 = 2;
const SPDY_RST_STREAM: u8 = 3;
const SPDY_PING: u8 = 6;
const SPDY_GOAWAY: u8 = 7;
const SPDY_FIN: u8 = 0x01;

const DATA: u8 = 0x0;
const HEADERS: u8 = 0x1;
const RST_STREAM: u8 = 0x3;
const SETTINGS: u8 = 0x4;
const PING: u8 = 0x6;
const GOAWAY: u8 = 0x7;
const ACK: u8 = 0x1;
const END_STREAM: u8 = 0x1;
const END_HEADERS: u8 = 0x4;
