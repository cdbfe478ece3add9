//! A malformed message calls no handler: the header validation matrix through the facade. The
//! engine's own tests have the complete matrix.

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicUsize, Ordering},
};

use bytes::BytesMut;
use http::{Request, Response};
use lacewing_frames::{http2, spdy};
use lacewing_hpack::{HeaderField, Sensitivity};
use lacewing_server::{RequestBody, ServerOptions, Version, serve_connection, service_fn};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

type Fields = Vec<(&'static [u8], &'static [u8])>;

/// The fault of a request, and its answer over SPDY, if any.
#[derive(Clone, Copy)]
enum Row {
    /// Malformed in any protocol: an additional field.
    With(&'static [u8], &'static [u8]),
    /// Over SPDY, 400 answers it: a control field with this value.
    Control(&'static str, &'static [u8]),
    /// The same: a control field is missing.
    Without(&'static str),
    /// The same: an additional field.
    Refused(&'static [u8], &'static [u8]),
    /// Over HTTP/2 only.
    Http2(&'static [u8], &'static [u8]),
}

use Row::{Control, Http2, Refused, With, Without};

const ROWS: &[Row] = &[
    With(b"X-Upper", b"1"),
    With(b"", b"1"),
    With(b"x y", b"1"),
    With(b"x\0", b"1"),
    With(b"x\x7f", b"1"),
    With(b"x\xff", b"1"),
    With(b"x:y", b"1"),
    With(b":unknown", b"1"),
    With(b"x", b"a\r"),
    With(b"x", b"a\nb"),
    With(b"x", b"\0a"),
    With(b"x", b"a\x01"),
    Http2(b"x", b"a\0b"),
    Http2(b"x", b" a"),
    Http2(b"x", b"a\t"),
    Http2(b"connection", b"close"),
    Http2(b"proxy-connection", b"close"),
    Http2(b"keep-alive", b"1"),
    Http2(b"transfer-encoding", b"chunked"),
    Http2(b"upgrade", b"x"),
    Http2(b"te", b"gzip"),
    Http2(b":path", b"/again"),
    Http2(b":status", b"200"),
    Http2(b":protocol", b"websocket"),
    Http2(b"host", b"other.example"),
    Refused(b"content-length", b"+0"),
    Refused(b"content-length", b"7"),
    Control("method", b"GE\rT"),
    Control("path", b"a"),
    Control("path", b"*"),
    Control("path", b"/a b"),
    Control("path", b"/#a"),
    Control("scheme", b"1a"),
    Without("method"),
    Without("path"),
    Without("scheme"),
];

fn name(version: Version, control: &str) -> &'static [u8] {
    match (version, control) {
        (Version::Spdy2, "method") => b"method",
        (Version::Spdy2, "scheme") => b"scheme",
        (Version::Spdy2, "path") => b"url",
        (_, "method") => b":method",
        (_, "scheme") => b":scheme",
        (_, "path") => b":path",
        (_, other) => panic!("{other}"),
    }
}

fn plain(version: Version) -> Fields {
    let control = |control| name(version, control);
    let mut fields: Fields = vec![
        (control("method"), b"GET"),
        (control("scheme"), b"https"),
        (control("path"), b"/"),
    ];
    match version {
        Version::Http2 => fields.push((b":authority", b"example.org")),
        Version::Spdy2 => fields.extend([
            (&b"host"[..], &b"example.org"[..]),
            (b"version", b"HTTP/1.1"),
        ]),
        _ => fields.extend([
            (&b":host"[..], &b"example.org"[..]),
            (b":version", b"HTTP/1.1"),
        ]),
    }
    fields
}

/// The request, and whether it is answered; `None` if the protocol permits it.
fn request(version: Version, row: Row) -> Option<(Fields, bool)> {
    let spdy = version != Version::Http2;
    let mut fields = plain(version);
    let answered = match row {
        With(name, value) => {
            fields.push((name, value));
            false
        }
        Refused(name, value) => {
            fields.push((name, value));
            spdy
        }
        Http2(_, _) if spdy => return None,
        Http2(name, value) => {
            fields.push((name, value));
            false
        }
        Control(control, value) => {
            let name = name(version, control);
            let field = fields.iter_mut().find(|(other, _)| *other == name);
            field.unwrap().1 = value;
            spdy
        }
        Without(control) => {
            let name = name(version, control);
            fields.retain(|(other, _)| *other != name);
            spdy
        }
    };
    Some((fields, answered))
}

/// Writes the frames of requests.
struct Writer {
    version: Version,
    http2: http2::Encoder,
    spdy: spdy::Encoder,
    bytes: BytesMut,
}

impl Writer {
    fn new(version: Version) -> Self {
        let wire = version.spdy_frames().unwrap_or(spdy::WireVersion::V3);
        let mut writer = Self {
            version,
            http2: http2::Encoder::new(),
            spdy: spdy::Encoder::new(wire, spdy::Compression::Stored),
            bytes: BytesMut::new(),
        };
        if version == Version::Http2 {
            writer.bytes.extend_from_slice(http2::PREFACE);
            writer.http2.settings(&mut writer.bytes, &[]);
        }
        writer
    }

    fn request(&mut self, id: u32, fields: &Fields) {
        if self.version == Version::Http2 {
            let head = http2::HeadersHead {
                stream_id: id,
                fin: true,
                priority: None,
                padding: None,
            };
            self.http2.headers(&mut self.bytes, head, |block| {
                for (name, value) in fields {
                    block.field(name, value, Sensitivity::Normal);
                }
            });
            return;
        }
        let mut head = spdy::SynStreamHead::new(id);
        head.fin = true;
        let encoded = self.spdy.syn_stream(&mut self.bytes, head, |block| {
            for (name, value) in fields {
                block.field(name, [*value]);
            }
        });
        encoded.unwrap();
    }
}

/// The outcome of each stream: its status, or `None` for a reset.
async fn outcomes(
    version: Version,
    io: &mut tokio::io::DuplexStream,
    last: u32,
) -> Vec<(u32, Option<String>)> {
    let mut found = Vec::new();
    let mut input = BytesMut::new();
    let mut http2 =
        http2::Decoder::<Vec<(HeaderField, Sensitivity)>>::new(http2::DecoderLimits::default());
    let wire = version.spdy_frames().unwrap_or(spdy::WireVersion::V3);
    let mut spdy = spdy::Decoder::<Vec<(bytes::Bytes, bytes::Bytes)>>::new(
        wire,
        spdy::DecoderLimits::default(),
    );
    while found.last().is_none_or(|(id, _)| *id != last) {
        assert_ne!(io.read_buf(&mut input).await.unwrap(), 0, "{version}");
        if version == Version::Http2 {
            while let Some(message) = http2.decode(&mut input).unwrap() {
                match message {
                    http2::Message::Headers {
                        stream_id, list, ..
                    } => {
                        let list = list.unwrap();
                        let status = String::from_utf8_lossy(list[0].0.value()).into_owned();
                        found.push((stream_id, Some(status)));
                    }
                    http2::Message::RstStream { stream_id, .. } => found.push((stream_id, None)),
                    http2::Message::GoAway { .. } => panic!("the connection ended"),
                    _ => {}
                }
            }
            continue;
        }
        while let Some(message) = spdy.decode(&mut input).unwrap() {
            match message {
                spdy::Message::SynReply {
                    stream_id, block, ..
                } => {
                    let list = block.list.unwrap();
                    let status = list.iter().find(|(name, _)| name.ends_with(b"status"));
                    let status = String::from_utf8_lossy(&status.unwrap().1).into_owned();
                    found.push((stream_id, Some(status)));
                }
                spdy::Message::RstStream(frame) => found.push((frame.stream_id, None)),
                spdy::Message::GoAway(_) => panic!("the connection ended"),
                _ => {}
            }
        }
    }
    found
}

#[tokio::test]
async fn what_is_malformed_calls_no_handler() {
    for version in Version::ALL {
        let calls = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&calls);
        let service = service_fn(move |_: Request<RequestBody>| {
            counted.fetch_add(1, Ordering::SeqCst);
            async { Ok::<_, std::convert::Infallible>(Response::new(String::new())) }
        });
        let log = Arc::new(Mutex::new(Vec::new()));
        let told = Arc::clone(&log);
        let options = ServerOptions::default()
            .observer(move |event| told.lock().unwrap().push(event.to_string()));
        let (mut io, server) = tokio::io::duplex(256 << 10);
        tokio::spawn(serve_connection(server, version, options, service));
        let mut writer = Writer::new(version);
        let mut expected = Vec::new();
        let mut id = 1;
        for row in ROWS {
            let Some((fields, answered)) = request(version, *row) else {
                continue;
            };
            writer.request(id, &fields);
            expected.push((id, answered.then(|| "400".to_owned())));
            id += 2;
        }
        let refused = expected.len();
        writer.request(id, &plain(version));
        expected.push((id, Some("200".to_owned())));
        io.write_all(&writer.bytes).await.unwrap();
        let found = outcomes(version, &mut io, id).await;
        for (found, expected) in found.iter().zip(&expected) {
            let index = found.0 / 2;
            assert_eq!(found, expected, "{version}: request {index}");
        }
        assert_eq!(found.len(), expected.len(), "{version}");
        assert_eq!(calls.load(Ordering::SeqCst), 1, "{version}");
        // The observer receives a report for each of them.
        assert_eq!(log.lock().unwrap().len(), refused, "{version}");
    }
}

/// Bytes that are illegal in a path are accepted if a `Uri` can hold them, as other servers do.
#[tokio::test]
async fn odd_paths_are_served() {
    const PATH: &str = "/\u{e9}\"{}|";
    for version in Version::ALL {
        let paths = Arc::new(Mutex::new(Vec::new()));
        let seen = Arc::clone(&paths);
        let service = service_fn(move |request: Request<RequestBody>| {
            seen.lock().unwrap().push(request.uri().path().to_owned());
            async { Ok::<_, std::convert::Infallible>(Response::new(String::new())) }
        });
        let (mut io, server) = tokio::io::duplex(256 << 10);
        tokio::spawn(serve_connection(
            server,
            version,
            ServerOptions::default(),
            service,
        ));
        let mut writer = Writer::new(version);
        let odd = Control("path", PATH.as_bytes());
        let (fields, _) = request(version, odd).unwrap();
        writer.request(1, &fields);
        io.write_all(&writer.bytes).await.unwrap();
        let outcomes = outcomes(version, &mut io, 1).await;
        assert_eq!(outcomes, [(1, Some("200".to_owned()))], "{version}");
        assert_eq!(paths.lock().unwrap()[..], [PATH.to_owned()], "{version}");
    }
}
