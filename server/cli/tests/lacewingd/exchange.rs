//! Clients for HTTP/1.1, HTTP/2 and SPDY/3.1 that send exactly the bytes of a
//! test.

use std::io::{Read, Write};

use bytes::{Bytes, BytesMut};
use lacewing_frames::{
    http2::{self, HeaderField, HeadersHead, Sensitivity},
    spdy::{self, Compression, SynStreamHead},
};

use crate::program::Running;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Protocol {
    Http1,
    Http2,
    Spdy31,
}

pub(crate) const ALL: [Protocol; 3] = [Protocol::Http1, Protocol::Http2, Protocol::Spdy31];
pub(crate) const MULTIPLEXED: [Protocol; 2] = [Protocol::Http2, Protocol::Spdy31];

/// The answer to a request.
#[derive(Clone, Debug, Default)]
pub(crate) struct Answer {
    /// 0 if the stream was reset before a response.
    pub(crate) status: u16,
    fields: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
    pub(crate) over: bool,
}

impl Answer {
    pub(crate) fn field(&self, name: &str) -> Option<&str> {
        let found = self.fields.iter().find(|(found, _)| found == name);
        found.map(|(_, value)| value.as_str())
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    fn take_fields(&mut self, fields: impl Iterator<Item = (Bytes, Bytes)>) {
        let text = |bytes: Bytes| String::from_utf8(bytes.to_vec()).unwrap();
        for (name, value) in fields {
            let (name, value) = (text(name), text(value));
            if name == ":status" {
                self.status = value[..3].parse().unwrap();
            }
            self.fields.push((name, value));
        }
    }
}

pub(crate) type Fields<'a> = &'a [(&'a str, &'a str)];

/// Makes one request on a connection of its own.
pub(crate) fn ask(
    running: &Running,
    protocol: Protocol,
    method: &str,
    path: &str,
    fields: Fields<'_>,
) -> Answer {
    ask_over(
        running.connect(),
        protocol,
        "localhost",
        method,
        path,
        fields,
    )
}

pub(crate) fn get(running: &Running, protocol: Protocol, path: &str, fields: Fields<'_>) -> Answer {
    ask(running, protocol, "GET", path, fields)
}

/// Makes one request over a transport.
pub(crate) fn ask_over(
    mut io: impl Read + Write,
    protocol: Protocol,
    authority: &str,
    method: &str,
    path: &str,
    fields: Fields<'_>,
) -> Answer {
    if protocol == Protocol::Http1 {
        let mut request = format!("{method} {path} HTTP/1.1\r\nhost: {authority}\r\n");
        for (name, value) in fields {
            request += &format!("{name}: {value}\r\n");
        }
        request += "connection: close\r\n\r\n";
        io.write_all(request.as_bytes()).unwrap();
        let mut all = Vec::new();
        // The end of TLS without a close_notify is an end too.
        let _ = io.read_to_end(&mut all);
        return http1(&all, method);
    }
    let head = head(protocol, authority, method, path);
    let head: Vec<_> = head.iter().chain(fields).copied().collect();
    let mut session = Session::new(io, protocol, None);
    session.open(1, &head);
    session.finish(1)
}

/// The pseudo-header fields of a request.
pub(crate) fn head<'a>(
    protocol: Protocol,
    authority: &'a str,
    method: &'a str,
    path: &'a str,
) -> Vec<(&'static str, &'a str)> {
    let mut head = vec![(":method", method), (":scheme", "http"), (":path", path)];
    if protocol == Protocol::Spdy31 {
        head.extend([(":version", "HTTP/1.1"), (":host", authority)]);
    } else {
        head.push((":authority", authority));
    }
    head
}

fn http1(all: &[u8], method: &str) -> Answer {
    let mut answer = Answer::default();
    let Some(end) = all.windows(4).position(|window| window == b"\r\n\r\n") else {
        return answer;
    };
    let head = String::from_utf8(all[..end].to_vec()).unwrap();
    let mut lines = head.split("\r\n");
    answer.status = lines.next().unwrap()[9..12].parse().unwrap();
    for line in lines {
        let (name, value) = line.split_once(':').unwrap();
        let (name, value) = (name.to_ascii_lowercase(), value.trim().to_owned());
        answer.fields.push((name, value));
    }
    answer.body = all[end + 4..].to_vec();
    if let Some(len) = answer.field("content-length").filter(|_| method != "HEAD") {
        let whole = answer.status == 304 || len.parse() == Ok(answer.body.len());
        assert!(whole, "content-length is {len}: {head}");
    }
    answer.over = true;
    answer
}

/// A connection with many streams.
pub(crate) struct Session<T> {
    io: T,
    codec: Codec,
    input: BytesMut,
    /// Windows are never made larger, from this size.
    window: Option<u32>,
    answers: Vec<(u32, Answer)>,
}

enum Codec {
    Http2(
        http2::Encoder,
        http2::Decoder<Vec<(HeaderField, Sensitivity)>>,
    ),
    Spdy(spdy::Encoder, spdy::Decoder<Vec<(Bytes, Bytes)>>),
}

impl<T: Read + Write> Session<T> {
    /// With a `window`, each response is as much as that and then waits.
    pub(crate) fn new(mut io: T, protocol: Protocol, window: Option<u32>) -> Self {
        let mut output = BytesMut::new();
        let codec = if protocol == Protocol::Http2 {
            output.extend_from_slice(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
            let encoder = http2::Encoder::new();
            let id = http2::SettingId::INITIAL_WINDOW_SIZE;
            let setting = window.map(|window| http2::Setting::new(id, window));
            encoder.settings(&mut output, setting.as_slice());
            Codec::Http2(encoder, http2::Decoder::new(Default::default()))
        } else {
            let version = spdy::WireVersion::V3;
            let encoder = spdy::Encoder::new(version, Compression::default());
            if let Some(window) = window {
                let id = spdy::SettingId::INITIAL_WINDOW_SIZE;
                let setting = spdy::Setting::new(id, window);
                encoder.settings(&mut output, false, &[setting]).unwrap();
            }
            Codec::Spdy(encoder, spdy::Decoder::new(version, Default::default()))
        };
        io.write_all(&output).unwrap();
        Self {
            io,
            codec,
            input: BytesMut::new(),
            window,
            answers: Vec::new(),
        }
    }

    /// Makes a request without content.
    pub(crate) fn open(&mut self, stream_id: u32, fields: &[(&str, &str)]) {
        let mut output = BytesMut::new();
        match &mut self.codec {
            Codec::Http2(encoder, _) => {
                encoder.headers(&mut output, HeadersHead::new(stream_id, true), |block| {
                    for (name, value) in fields {
                        block.field(name.as_bytes(), value.as_bytes(), Sensitivity::Normal);
                    }
                });
            }
            Codec::Spdy(encoder, _) => {
                let head = SynStreamHead {
                    fin: true,
                    ..SynStreamHead::new(stream_id)
                };
                let block = encoder.syn_stream(&mut output, head, |block| {
                    for (name, value) in fields {
                        block.field(name.as_bytes(), value.split('\0').map(str::as_bytes));
                    }
                });
                block.unwrap();
            }
        }
        self.io.write_all(&output).unwrap();
        self.answers.push((stream_id, Answer::default()));
    }

    /// Reads until a response is over.
    pub(crate) fn finish(&mut self, stream_id: u32) -> Answer {
        self.read_until(stream_id, |answer| answer.over)
    }

    pub(crate) fn read_until(&mut self, stream_id: u32, done: impl Fn(&Answer) -> bool) -> Answer {
        loop {
            let answer = self.answers.iter().find(|(id, _)| *id == stream_id);
            let answer = &answer.unwrap().1;
            if done(answer) {
                return answer.clone();
            }
            let mut bytes = [0; 16 << 10];
            let len = self.io.read(&mut bytes).unwrap();
            assert!(len > 0, "the connection ends: {answer:?}");
            self.input.extend_from_slice(&bytes[..len]);
            self.decode();
        }
    }

    fn decode(&mut self) {
        let mut output = BytesMut::new();
        let window = self.window;
        let mut answers = std::mem::take(&mut self.answers);
        let mut of = |id: u32, change: &mut dyn FnMut(&mut Answer)| {
            let answer = answers.iter_mut().find(|(found, _)| *found == id);
            answer.into_iter().for_each(|(_, answer)| change(answer));
        };
        match &mut self.codec {
            Codec::Http2(encoder, decoder) => {
                while let Some(message) = decoder.decode(&mut self.input).unwrap() {
                    match message {
                        http2::Message::Settings(_) => encoder.settings_ack(&mut output),
                        http2::Message::Headers {
                            stream_id,
                            fin,
                            list,
                            ..
                        } => {
                            let list = list.unwrap();
                            of(stream_id, &mut |answer| {
                                answer.take_fields(list.iter().map(|(field, _)| {
                                    let bytes = Bytes::copy_from_slice;
                                    (bytes(field.name()), bytes(field.value()))
                                }));
                                answer.over |= fin;
                            });
                        }
                        http2::Message::Data {
                            stream_id,
                            fin,
                            payload,
                            ..
                        } => {
                            if !payload.is_empty() && window.is_none() {
                                let len = payload.len().try_into().unwrap();
                                encoder.window_update(&mut output, 0, len);
                                encoder.window_update(&mut output, stream_id, len);
                            }
                            of(stream_id, &mut |answer| {
                                answer.body.extend_from_slice(&payload);
                                answer.over |= fin;
                            });
                        }
                        http2::Message::RstStream { stream_id, .. } => {
                            of(stream_id, &mut |answer| answer.over = true);
                        }
                        _ => {}
                    }
                }
            }
            Codec::Spdy(encoder, decoder) => {
                while let Some(message) = decoder.decode(&mut self.input).unwrap() {
                    match message {
                        spdy::Message::SynReply {
                            stream_id,
                            fin,
                            block,
                        } => {
                            let list = block.list.unwrap();
                            of(stream_id, &mut |answer| {
                                answer.take_fields(list.iter().cloned());
                                answer.over |= fin;
                            });
                        }
                        spdy::Message::Data {
                            stream_id,
                            fin,
                            payload,
                            ..
                        } => {
                            if !payload.is_empty() && window.is_none() {
                                let len = payload.len().try_into().unwrap();
                                encoder.window_update(&mut output, 0, len);
                                encoder.window_update(&mut output, stream_id, len);
                            }
                            of(stream_id, &mut |answer| {
                                answer.body.extend_from_slice(&payload);
                                answer.over |= fin;
                            });
                        }
                        spdy::Message::RstStream(reset) => {
                            of(reset.stream_id, &mut |answer| answer.over = true);
                        }
                        _ => {}
                    }
                }
            }
        }
        self.answers = answers;
        self.io.write_all(&output).unwrap();
    }
}
