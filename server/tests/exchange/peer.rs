//! A client on the engine that a test controls, and a server of one connection at its other end.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
    time::Instant,
};

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, Method, StatusCode};
use lacewing_conn::proto::{
    Config, Engine, Event, Head, OpenOptions, StreamKey, StreamMut, Transmit,
};
use lacewing_server::{
    BoxError, ConnectionInfo, Limits, Reason, RequestBody, ServeError, ServerOptions, Side,
    Version, serve_connection,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, DuplexStream},
    task::JoinHandle,
};
use tower_service::Service;

/// The outcome of a request.
#[derive(Debug, Default)]
pub(crate) struct Answer {
    pub(crate) status: Option<StatusCode>,
    pub(crate) fields: HeaderMap,
    pub(crate) body: BytesMut,
    pub(crate) trailers: Option<HeaderMap>,
    pub(crate) reset: Option<Reason>,
    pub(crate) fin: bool,
}

impl Answer {
    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }

    fn is_over(&self) -> bool {
        self.fin || self.reset.is_some()
    }
}

/// Other frames of the server.
#[derive(Debug)]
pub(crate) enum Seen {
    Interim(StreamKey, Head),
    Reply(StreamKey),
    Promise {
        parent: StreamKey,
        stream: StreamKey,
        head: Head,
    },
    Origins(Vec<Bytes>),
    Alternative(Option<Bytes>, Bytes),
    Over(StreamKey),
}

pub(crate) struct Peer {
    pub(crate) engine: Engine,
    /// In the order of their arrival.
    pub(crate) seen: Vec<Seen>,
    io: DuplexStream,
    input: BytesMut,
    answers: HashMap<StreamKey, Answer>,
    /// The bodies to send.
    uploads: HashMap<StreamKey, Bytes>,
    ended: bool,
    /// Our side is closed: nothing is written any more.
    silent: bool,
    /// The server's task.
    pub(crate) serving: JoinHandle<Result<(), ServeError>>,
    /// The events of the observer.
    pub(crate) log: Arc<Mutex<Vec<String>>>,
}

impl Peer {
    pub(crate) fn connect<S, B>(version: Version, options: ServerOptions, service: S) -> Self
    where
        S: Service<http::Request<RequestBody>, Response = http::Response<B>>
            + Clone
            + Send
            + 'static,
        S::Error: Into<BoxError>,
        S::Future: Send + 'static,
        B: http_body::Body<Data: bytes::Buf + Send, Error: Into<BoxError>> + Send + 'static,
    {
        let info = ConnectionInfo::from(version);
        Self::connect_as(info, options, service, |_| {})
    }

    /// The same with information about the connection, and with another configuration of the
    /// client.
    pub(crate) fn connect_as<S, B>(
        info: ConnectionInfo,
        options: ServerOptions,
        service: S,
        configure: impl FnOnce(&mut Config),
    ) -> Self
    where
        S: Service<http::Request<RequestBody>, Response = http::Response<B>>
            + Clone
            + Send
            + 'static,
        S::Error: Into<BoxError>,
        S::Future: Send + 'static,
        B: http_body::Body<Data: bytes::Buf + Send, Error: Into<BoxError>> + Send + 'static,
    {
        let (io, server) = tokio::io::duplex(256 << 10);
        let log = Arc::new(Mutex::new(Vec::new()));
        let told = Arc::clone(&log);
        let options = options.observer(move |event| told.lock().unwrap().push(event.to_string()));
        let version = info.protocol().version().unwrap();
        let serving = tokio::spawn(serve_connection(server, info, options, service));
        let mut config = Config::new(version, Side::Client);
        config.limits = Limits::new(Side::Client).into();
        configure(&mut config);
        Self {
            seen: Vec::new(),
            engine: Engine::new(config, Instant::now(), 1),
            io,
            input: BytesMut::new(),
            answers: HashMap::new(),
            uploads: HashMap::new(),
            ended: false,
            silent: false,
            serving,
            log,
        }
    }

    pub(crate) fn open(&mut self, method: Method, path: &str, body: Option<Bytes>) -> StreamKey {
        let uri = format!("http://example.org{path}").parse().unwrap();
        let mut head = Head::request(method, uri);
        if let Some(body) = &body {
            head.fields.insert("content-length", body.len().into());
        }
        let key = self
            .engine
            .open(
                Instant::now(),
                head,
                OpenOptions::default().with(|options| options.fin = body.is_none()),
            )
            .unwrap();
        if let Some(body) = body {
            self.uploads.insert(key, body);
            self.stream(key).offer();
        }
        self.answers.insert(key, Answer::default());
        key
    }

    pub(crate) async fn get(&mut self, path: &str) -> Answer {
        let key = self.open(Method::GET, path, None);
        self.answer(key).await
    }

    pub(crate) async fn post(&mut self, path: &str, body: impl Into<Bytes>) -> Answer {
        let key = self.open(Method::POST, path, Some(body.into()));
        self.answer(key).await
    }

    /// Continues until this stream has ended.
    pub(crate) async fn answer(&mut self, key: StreamKey) -> Answer {
        self.until(|peer| peer.answers[&key].is_over()).await;
        self.answers.remove(&key).unwrap()
    }

    /// Continues until the head of the response has arrived.
    pub(crate) async fn head(&mut self, key: StreamKey) {
        self.until(|peer| peer.answers[&key].status.is_some()).await;
    }

    pub(crate) fn received(&self, key: StreamKey) -> &Answer {
        &self.answers[&key]
    }

    pub(crate) fn reset(&mut self, key: StreamKey) {
        self.stream(key).reset(Reason::Cancel);
        self.answers.remove(&key);
    }

    /// Continues until the server closes the connection.
    pub(crate) async fn until_closed(&mut self) {
        self.until(|peer| peer.ended).await;
    }

    pub(crate) async fn until(&mut self, mut done: impl FnMut(&Self) -> bool) {
        loop {
            while let Some(event) = self.engine.poll_event(Instant::now(), &mut self.input) {
                self.handle(event);
            }
            if done(self) {
                return self.flush().await;
            }
            assert!(
                !self.ended,
                "the server closed the connection: {:?}",
                self.answers
            );
            self.cut();
            let (mut reader, mut writer) = tokio::io::split(&mut self.io);
            tokio::select! {
                read = reader.read_buf(&mut self.input) => {
                    if read.unwrap_or(0) == 0 {
                        self.ended = true;
                        self.engine.handle_eof(Instant::now());
                    }
                }
                written = writer.write_buf(self.engine.output()), if !self.engine.output().is_empty() => {
                    if written.is_err() {
                        self.engine.handle_io_error(Instant::now(), std::io::ErrorKind::BrokenPipe.into());
                    }
                }
            }
        }
    }

    /// Sends all data that can be sent now.
    pub(crate) async fn flush(&mut self) {
        self.cut();
        while !self.engine.output().is_empty() {
            if self.io.write_buf(self.engine.output()).await.is_err() {
                return;
            }
            self.cut();
        }
    }

    /// Closes our side of the transport, after all data that can be sent now.
    pub(crate) async fn half_close(&mut self) {
        self.flush().await;
        self.io.shutdown().await.unwrap();
        self.silent = true;
    }

    /// Closes the transport, with the written data still in flight.
    pub(crate) fn hang_up(self) -> JoinHandle<Result<(), ServeError>> {
        self.serving
    }

    fn cut(&mut self) {
        while let Transmit::Pull { stream, .. } = self.engine.poll_transmit(Instant::now()) {
            if let Some(body) = self.uploads.remove(&stream) {
                self.engine
                    .stream(Instant::now(), stream)
                    .send_data(body, true)
                    .unwrap();
            }
        }
        if self.silent {
            let output = self.engine.output();
            bytes::Buf::advance(output, output.len());
        }
    }

    fn handle(&mut self, event: Event) {
        if let Event::Reply {
            stream, fin: true, ..
        }
        | Event::Data {
            stream, fin: true, ..
        }
        | Event::Reset { stream, .. } = &event
        {
            self.seen.push(Seen::Over(*stream));
        }
        match event {
            Event::Informational { stream, head } => self.seen.push(Seen::Interim(stream, head)),
            Event::Promised {
                parent,
                stream,
                head,
            } => {
                self.answers.entry(stream).or_default();
                self.seen.push(Seen::Promise {
                    parent,
                    stream,
                    head,
                });
            }
            Event::Origins { origins } => self.seen.push(Seen::Origins(origins)),
            Event::AlternativeServices { origin, value, .. } => {
                self.seen.push(Seen::Alternative(origin, value));
            }
            Event::Reply { stream, head, fin } => {
                self.seen.push(Seen::Reply(stream));
                let Some(answer) = self.answers.get_mut(&stream) else {
                    return;
                };
                answer.status = head.status();
                answer.fields = head.fields;
                answer.fin = fin;
            }
            Event::Data { stream, data, fin } => {
                self.engine
                    .stream(Instant::now(), stream)
                    .release(data.len());
                let Some(answer) = self.answers.get_mut(&stream) else {
                    return;
                };
                answer.body.extend_from_slice(&data);
                answer.fin = fin;
            }
            Event::Headers {
                stream,
                fields,
                fin,
            } => {
                let Some(answer) = self.answers.get_mut(&stream) else {
                    return;
                };
                answer.trailers = Some(fields);
                answer.fin = fin;
            }
            Event::Reset { stream, error } => {
                let Some(answer) = self.answers.get_mut(&stream) else {
                    return;
                };
                answer.reset = Some(error.reason());
            }
            _ => {}
        }
    }
}

impl Peer {
    /// Informational responses that arrived, by their status.
    pub(crate) fn interim(&self, stream: StreamKey) -> Vec<u16> {
        let of_stream = |seen: &Seen| match seen {
            Seen::Interim(key, head) if *key == stream => head.status().map(|s| s.as_u16()),
            _ => None,
        };
        self.seen.iter().filter_map(of_stream).collect()
    }

    /// The calls that need one stream.
    pub(crate) fn stream(&mut self, key: StreamKey) -> StreamMut<'_> {
        self.engine.stream(Instant::now(), key)
    }

    /// Opens a stream whose body the test itself sends.
    pub(crate) fn open_with(&mut self, head: Head) -> StreamKey {
        let key = self
            .engine
            .open(Instant::now(), head, OpenOptions::default())
            .unwrap();
        self.answers.insert(key, Answer::default());
        key
    }
}
