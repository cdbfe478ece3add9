//! The attacker's frames: one vocabulary, four wires.

use bytes::{BufMut, Bytes, BytesMut};
use lacewing_frames::{http2, spdy};
use lacewing_hpack::Sensitivity;

use super::dialect::Dialect;

/// A header field with its values.
#[derive(Clone, Debug)]
pub(crate) struct Field {
    pub(crate) name: Vec<u8>,
    pub(crate) values: Vec<Vec<u8>>,
}

/// One field with one value.
pub(crate) fn field(name: impl AsRef<[u8]>, value: impl AsRef<[u8]>) -> Field {
    Field {
        name: name.as_ref().to_vec(),
        values: vec![value.as_ref().to_vec()],
    }
}

/// The first line of a message.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Start<'a> {
    Request { method: &'a str, path: &'a str },
    Response { status: &'a str },
    Trailers,
}

/// The end of a stream: this frame ends it, or more follow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fin {
    End,
    More,
}

/// Frames to bytes.
pub(crate) struct Wire {
    pub(crate) dialect: Dialect,
    codec: Codec,
    /// The host and port of requests and pushes.
    pub(crate) authority: String,
    /// Encoded and not sent.
    pub(crate) out: BytesMut,
}

enum Codec {
    Http2(http2::Encoder),
    Spdy(spdy::Encoder),
    Http1,
}

impl Wire {
    pub(crate) fn new(dialect: Dialect) -> Wire {
        let codec = match dialect.spdy() {
            Some(version) => Codec::Spdy(spdy::Encoder::new(version, spdy::Compression::Zlib(9))),
            None if dialect == Dialect::Http2 => Codec::Http2(http2::Encoder::new()),
            None => Codec::Http1,
        };
        Wire {
            dialect,
            codec,
            authority: "victim".to_owned(),
            out: BytesMut::new(),
        }
    }

    /// A header list; what does not fit its wire stays out.
    pub(crate) fn head(&mut self, id: u32, start: Start<'_>, fin: Fin, extra: &[Field]) {
        let end = fin == Fin::End;
        match &mut self.codec {
            Codec::Http2(encoder) => {
                let head = http2::HeadersHead::new(id, end);
                encoder.headers(&mut self.out, head, |block| {
                    for Field { name, values } in
                        http2_start(start, &self.authority).iter().chain(extra)
                    {
                        for value in values {
                            block.field(name, value, Sensitivity::Normal);
                        }
                    }
                });
            }
            Codec::Spdy(encoder) => {
                let fields = spdy_start(encoder.version(), start, &self.authority);
                let put = |block: &mut spdy::BlockEncoder<'_>| {
                    for Field { name, values } in fields.iter().chain(extra) {
                        block.field(name, values);
                    }
                };
                let _ = match start {
                    Start::Request { .. } => {
                        let head = spdy::SynStreamHead {
                            fin: end,
                            ..spdy::SynStreamHead::new(id)
                        };
                        encoder.syn_stream(&mut self.out, head, put)
                    }
                    Start::Response { .. } => encoder.syn_reply(&mut self.out, id, end, put),
                    Start::Trailers => encoder.headers(&mut self.out, id, end, put),
                };
            }
            Codec::Http1 => self.http1_head(start, fin, extra),
        }
    }

    fn http1_head(&mut self, start: Start<'_>, fin: Fin, extra: &[Field]) {
        let line = match start {
            Start::Request { method, path } => {
                format!("{method} {path} HTTP/1.1\r\nhost: victim\r\n")
            }
            Start::Response { status } => format!("HTTP/1.1 {status} Status\r\n"),
            Start::Trailers => "0\r\n".to_owned(),
        };
        self.out.put_slice(line.as_bytes());
        if fin == Fin::More {
            self.out.put_slice(b"transfer-encoding: chunked\r\n");
        }
        for Field { name, values } in extra {
            for value in values {
                self.out.put_slice(name);
                self.out.put_slice(b": ");
                self.out.put_slice(value);
                self.out.put_slice(b"\r\n");
            }
        }
        self.out.put_slice(b"\r\n");
    }

    /// A push: PUSH_PROMISE, or SYN_STREAM with an associated stream.
    pub(crate) fn push(&mut self, id: u32, promised: u32, extra: &[Field]) {
        let start = Start::Request {
            method: "GET",
            path: "/pushed",
        };
        match &mut self.codec {
            Codec::Http2(encoder) => {
                let head = http2::PushPromiseHead::new(id, promised);
                encoder.push_promise(&mut self.out, head, |block| {
                    for Field { name, values } in
                        http2_start(start, &self.authority).iter().chain(extra)
                    {
                        for value in values {
                            block.field(name, value, Sensitivity::Normal);
                        }
                    }
                });
            }
            Codec::Spdy(encoder) => {
                let fields = spdy_start(encoder.version(), start, &self.authority);
                let head = spdy::SynStreamHead {
                    associated: id,
                    unidirectional: true,
                    ..spdy::SynStreamHead::new(promised)
                };
                let _ = encoder.syn_stream(&mut self.out, head, |block| {
                    for Field { name, values } in fields.iter().chain(extra) {
                        block.field(name, values);
                    }
                });
            }
            Codec::Http1 => {}
        }
    }

    pub(crate) fn data(&mut self, id: u32, payload: &[u8], fin: Fin) {
        let len = u32::try_from(payload.len()).unwrap_or(0);
        self.data_head(id, len, fin);
        self.out.put_slice(payload);
        if let Codec::Http1 = self.codec {
            self.out.put_slice(b"\r\n");
            if fin == Fin::End {
                self.out.put_slice(b"0\r\n\r\n");
            }
        }
    }

    /// The head of a DATA frame whose payload may never arrive.
    pub(crate) fn data_head(&mut self, id: u32, len: u32, fin: Fin) {
        let end = fin == Fin::End;
        match &self.codec {
            Codec::Http2(_) => self.http2(http2::Kind::DATA, u8::from(end), id, len),
            Codec::Spdy(encoder) => encoder.data_head(&mut self.out, id, len, end),
            Codec::Http1 => self.out.put_slice(format!("{len:x}\r\n").as_bytes()),
        }
    }

    pub(crate) fn reset(&mut self, id: u32) {
        match &self.codec {
            Codec::Http2(encoder) => {
                encoder.rst_stream(&mut self.out, id, http2::ErrorCode::CANCEL);
            }
            Codec::Spdy(encoder) => encoder.rst_stream(&mut self.out, id, spdy::ErrorCode::CANCEL),
            Codec::Http1 => {}
        }
    }

    /// WINDOW_UPDATE; also one that the specification forbids.
    pub(crate) fn window_update(&mut self, id: u32, delta: u32) {
        match &self.codec {
            Codec::Http2(_) => {
                self.http2_frame(http2::Kind::WINDOW_UPDATE, 0, id, &delta.to_be_bytes())
            }
            Codec::Spdy(encoder) => encoder.window_update(&mut self.out, id, delta),
            Codec::Http1 => {}
        }
    }

    pub(crate) fn ping(&mut self, id: u32) {
        match &self.codec {
            Codec::Http2(encoder) => {
                let mut payload = [0; 8];
                payload[..4].copy_from_slice(&id.to_be_bytes());
                encoder.ping(&mut self.out, payload);
            }
            Codec::Spdy(encoder) => encoder.ping(&mut self.out, id),
            Codec::Http1 => {}
        }
    }

    /// An answer to a PING that the victim never sent. `even` is the parity of
    /// the victim's own PINGs in SPDY.
    pub(crate) fn pong(&mut self, even: bool) {
        match &self.codec {
            Codec::Http2(encoder) => encoder.ping_ack(&mut self.out, *b"not sent"),
            Codec::Spdy(encoder) => encoder.ping(&mut self.out, if even { 1000 } else { 1001 }),
            Codec::Http1 => {}
        }
    }

    pub(crate) fn go_away(&mut self, last: u32) {
        match &self.codec {
            Codec::Http2(encoder) => {
                encoder.go_away(&mut self.out, last, http2::ErrorCode::NO_ERROR, b"");
            }
            Codec::Spdy(encoder) => {
                encoder.go_away(&mut self.out, last, spdy::GoAwayStatus::OK);
            }
            Codec::Http1 => {}
        }
    }

    /// INITIAL_WINDOW_SIZE, where there are windows.
    pub(crate) fn initial_window(&mut self, size: u32) {
        match &self.codec {
            Codec::Http2(encoder) => {
                let id = http2::SettingId::INITIAL_WINDOW_SIZE;
                encoder.settings(&mut self.out, &[http2::Setting::new(id, size)]);
            }
            Codec::Spdy(encoder) if self.dialect != Dialect::Spdy2 => {
                let id = spdy::SettingId::INITIAL_WINDOW_SIZE;
                let _ = encoder.settings(&mut self.out, false, &[spdy::Setting::new(id, size)]);
            }
            Codec::Spdy(_) | Codec::Http1 => {}
        }
    }

    /// SETTINGS without entries, or with the one that means nothing.
    pub(crate) fn settings(&mut self) {
        match &self.codec {
            Codec::Http2(encoder) => {
                encoder.settings(&mut self.out, &[]);
            }
            Codec::Spdy(encoder) => {
                let entry = spdy::Setting::new(spdy::SettingId::CURRENT_CWND, 10);
                let _ = encoder.settings(&mut self.out, false, &[entry]);
            }
            Codec::Http1 => {}
        }
    }

    pub(crate) fn settings_ack(&mut self) {
        if let Codec::Http2(encoder) = &self.codec {
            encoder.settings_ack(&mut self.out);
        }
    }

    /// A frame of a type that does not exist.
    pub(crate) fn unknown(&mut self, payload: &[u8]) {
        match self.dialect.spdy() {
            Some(_) => self.spdy_frame(0x00ff, 0, payload),
            None => self.http2_frame(http2::Kind(0xbe), 0, 0, payload),
        }
    }

    /// Any HTTP/2 frame.
    pub(crate) fn http2_frame(&mut self, kind: http2::Kind, flags: u8, id: u32, payload: &[u8]) {
        self.http2(kind, flags, id, u32::try_from(payload.len()).unwrap_or(0));
        self.out.put_slice(payload);
    }

    /// The head of any HTTP/2 frame.
    pub(crate) fn http2(&mut self, kind: http2::Kind, flags: u8, stream_id: u32, length: u32) {
        let head = http2::FrameHead {
            length,
            kind,
            flags,
            stream_id,
        };
        self.out.put_slice(&head.to_bytes());
    }

    /// Any SPDY control frame.
    pub(crate) fn spdy_frame(&mut self, kind: u16, flags: u8, payload: &[u8]) {
        self.spdy(kind, flags, u32::try_from(payload.len()).unwrap_or(0));
        self.out.put_slice(payload);
    }

    /// The head of any SPDY control frame.
    pub(crate) fn spdy(&mut self, kind: u16, flags: u8, length: u32) {
        let version = match self.dialect {
            Dialect::Spdy2 => 2,
            _ => 3,
        };
        let head = spdy::FrameHead::Control {
            version,
            kind: spdy::Kind(kind),
            flags,
            length,
        };
        self.out.put_slice(&head.to_bytes());
    }

    pub(crate) fn raw(&mut self, bytes: impl AsRef<[u8]>) {
        self.out.put_slice(bytes.as_ref());
    }

    /// Takes out the bytes encoded since: to be split, repeated or sent slowly.
    pub(crate) fn take(&mut self) -> Bytes {
        self.out.split().freeze()
    }
}

fn http2_start(start: Start<'_>, authority: &str) -> Vec<Field> {
    match start {
        // RFC 9113 §8.5.
        Start::Request {
            method: "CONNECT", ..
        } => vec![
            field(":method", "CONNECT"),
            field(":authority", format!("{authority}:80")),
        ],
        Start::Request { method, path } => vec![
            field(":method", method),
            field(":scheme", "http"),
            field(":authority", authority),
            field(":path", path),
        ],
        Start::Response { status } => vec![field(":status", status)],
        Start::Trailers => Vec::new(),
    }
}

fn spdy_start(version: spdy::WireVersion, start: Start<'_>, authority: &str) -> Vec<Field> {
    let v2 = version == spdy::WireVersion::V2;
    let name = |v3: &'static str, v2_name: &'static str| if v2 { v2_name } else { v3 };
    match start {
        Start::Request { method, path } => vec![
            field(name(":method", "method"), method),
            field(name(":path", "url"), path),
            field(name(":version", "version"), "HTTP/1.1"),
            field(name(":host", "host"), authority),
            field(name(":scheme", "scheme"), "http"),
        ],
        Start::Response { status } => vec![
            field(name(":status", "status"), status),
            field(name(":version", "version"), "HTTP/1.1"),
        ],
        Start::Trailers => Vec::new(),
    }
}
