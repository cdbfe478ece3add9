//! A client that sends any bytes in HTTP/1.1, and any header list in the other protocols.

use std::{
    io::{Read, Write},
    net::{Shutdown, SocketAddr, TcpStream},
    time::Duration,
};

use bytes::{Bytes, BytesMut};
use lacewing_frames::{
    http2::{self, HeaderField, HeadersHead, Sensitivity},
    spdy::{self, Compression, SynStreamHead},
};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Front {
    Http2,
    Spdy31,
    Spdy2,
}

pub(crate) const FRONTS: [Front; 3] = [Front::Http2, Front::Spdy31, Front::Spdy2];

fn connect(to: SocketAddr) -> TcpStream {
    let io = TcpStream::connect(to).unwrap();
    io.set_read_timeout(Some(Duration::from_secs(40))).unwrap();
    io
}

/// Sends bytes in HTTP/1.1 and then no more, and returns all that is answered.
pub(crate) fn http1(to: SocketAddr, bytes: &[u8]) -> String {
    let mut io = connect(to);
    // The server may close before it has read everything.
    let _ = io.write_all(bytes);
    let _ = io.shutdown(Shutdown::Write);
    let mut answer = Vec::new();
    let _ = io.read_to_end(&mut answer);
    String::from_utf8_lossy(&answer).into_owned()
}

/// The names of pseudo-header fields are those of HTTP/2, and are translated.
fn translated(front: Front, fields: &[(&str, &[u8])]) -> Vec<(String, Vec<u8>)> {
    let mut list: Vec<(String, Vec<u8>)> = Vec::new();
    for (name, value) in fields {
        let name = match (front, *name) {
            (Front::Spdy31, ":authority") => ":host",
            (Front::Spdy2, ":authority") => "host",
            (Front::Spdy2, ":path") => "url",
            (Front::Spdy2, ":method") => "method",
            (Front::Spdy2, ":scheme") => "scheme",
            (_, name) => name,
        };
        list.push((name.to_owned(), value.to_vec()));
    }
    match front {
        Front::Http2 => {}
        Front::Spdy31 => list.push((":version".into(), b"HTTP/1.1".to_vec())),
        Front::Spdy2 => list.push(("version".into(), b"HTTP/1.1".to_vec())),
    }
    list
}

/// Sends one request, and returns the status of its answer; 0 for a reset or the end of the
/// connection.
pub(crate) fn ask(
    to: SocketAddr,
    front: Front,
    fields: &[(&str, &[u8])],
    content: Option<&[u8]>,
) -> u16 {
    let fields = translated(front, fields);
    let mut io = connect(to);
    let mut output = BytesMut::new();
    let fin = content.is_none();
    if front == Front::Http2 {
        output.extend_from_slice(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
        let mut encoder = http2::Encoder::new();
        encoder.settings(&mut output, &[]);
        encoder.headers(&mut output, HeadersHead::new(1, fin), |block| {
            for (name, value) in &fields {
                block.field(name.as_bytes(), value, Sensitivity::Normal);
            }
        });
        if let Some(content) = content {
            encoder.data_head(&mut output, 1, content.len().try_into().unwrap(), true);
            output.extend_from_slice(content);
        }
        io.write_all(&output).unwrap();
        return status_http2(io);
    }
    let version = match front {
        Front::Spdy2 => spdy::WireVersion::V2,
        _ => spdy::WireVersion::V3,
    };
    let mut encoder = spdy::Encoder::new(version, Compression::default());
    let head = SynStreamHead {
        fin,
        ..SynStreamHead::new(1)
    };
    let block = encoder.syn_stream(&mut output, head, |block| {
        for (name, value) in &fields {
            block.field(name.as_bytes(), value.split(|byte| *byte == 0));
        }
    });
    block.unwrap();
    if let Some(content) = content {
        encoder.data_head(&mut output, 1, content.len().try_into().unwrap(), true);
        output.extend_from_slice(content);
    }
    io.write_all(&output).unwrap();
    status_spdy(io, version)
}

fn status_http2(mut io: TcpStream) -> u16 {
    let mut decoder: http2::Decoder<Vec<(HeaderField, Sensitivity)>> =
        http2::Decoder::new(Default::default());
    let mut input = BytesMut::new();
    loop {
        while let Some(message) = decoder.decode(&mut input).unwrap() {
            match message {
                http2::Message::Headers { list, .. } => {
                    let list = list.unwrap();
                    let status = list[0].0.value();
                    return std::str::from_utf8(status).unwrap().parse().unwrap();
                }
                http2::Message::RstStream { .. } => return 0,
                _ => {}
            }
        }
        if !read_more(&mut io, &mut input) {
            return 0;
        }
    }
}

fn status_spdy(mut io: TcpStream, version: spdy::WireVersion) -> u16 {
    let mut decoder: spdy::Decoder<Vec<(Bytes, Bytes)>> =
        spdy::Decoder::new(version, Default::default());
    let mut input = BytesMut::new();
    loop {
        while let Some(message) = decoder.decode(&mut input).unwrap() {
            match message {
                spdy::Message::SynReply { block, .. } => {
                    let list = block.list.unwrap();
                    let mut fields = list.iter();
                    let status = fields.find(|(name, _)| name.ends_with(b"status")).unwrap();
                    return std::str::from_utf8(&status.1[..3])
                        .unwrap()
                        .parse()
                        .unwrap();
                }
                spdy::Message::RstStream(_) => return 0,
                _ => {}
            }
        }
        if !read_more(&mut io, &mut input) {
            return 0;
        }
    }
}

fn read_more(io: &mut TcpStream, input: &mut BytesMut) -> bool {
    let mut bytes = [0; 4096];
    let len = io.read(&mut bytes).unwrap_or(0);
    input.extend_from_slice(&bytes[..len]);
    len > 0
}
