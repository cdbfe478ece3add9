//! An HTTP/1.1 client that a test controls, and a server of one connection at its other end.

use std::sync::{Arc, Mutex};

use lacewing_server::{
    BoxError, Protocol, RequestBody, ServeError, ServerOptions, serve_connection,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, DuplexStream},
    task::JoinHandle,
};
use tower_service::Service;

pub(crate) struct Http1 {
    pub(crate) io: DuplexStream,
    input: Vec<u8>,
    /// The server's task.
    pub(crate) serving: JoinHandle<Result<(), ServeError>>,
    /// The events of the observer.
    pub(crate) log: Arc<Mutex<Vec<String>>>,
}

/// The outcome of a request.
#[derive(Debug, Default)]
pub(crate) struct Reply {
    /// The status line and the fields; empty if nothing arrived.
    pub(crate) head: String,
    pub(crate) body: String,
    /// All content that the head declared has arrived. The end of the connection does not count as
    /// the end of content.
    pub(crate) whole: bool,
}

impl Reply {
    pub(crate) fn status(&self) -> u16 {
        let status = self.head.split(' ').nth(1);
        status.map_or(0, |status| status.parse().unwrap())
    }
}

impl Http1 {
    pub(crate) fn connect<S, B>(options: ServerOptions, service: S) -> Self
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
        let serving = serve_connection(server, Protocol::Http1, options, service);
        Self {
            io,
            input: Vec::new(),
            serving: tokio::spawn(serving),
            log,
        }
    }

    pub(crate) async fn send(&mut self, method: &str, path: &str) {
        let request = format!("{method} {path} HTTP/1.1\r\nhost: example.org\r\n\r\n");
        self.io.write_all(request.as_bytes()).await.unwrap();
    }

    pub(crate) async fn get(&mut self, path: &str) -> Reply {
        self.send("GET", path).await;
        self.reply("GET").await
    }

    /// The answer to a request with this method.
    pub(crate) async fn reply(&mut self, method: &str) -> Reply {
        let mut reply = Reply::default();
        let head = loop {
            if let Some(end) = self.input.windows(4).position(|four| four == b"\r\n\r\n") {
                break end + 4;
            }
            if !self.more().await {
                return reply;
            }
        };
        reply.head = String::from_utf8(self.input.drain(..head).collect()).unwrap();
        let field = |name: &str| {
            let line = reply.head.lines().find(|line| line.starts_with(name))?;
            Some(line[name.len() + 2..].to_owned())
        };
        if let Some(length) = field("content-length").filter(|_| method != "HEAD") {
            let length: usize = length.parse().unwrap();
            while self.input.len() < length && self.more().await {}
            reply.whole = self.input.len() >= length;
            let len = length.min(self.input.len());
            reply.body = String::from_utf8(self.input.drain(..len).collect()).unwrap();
        } else if field("transfer-encoding").is_some() {
            let end = b"0\r\n\r\n";
            while !self.input.ends_with(end) && self.more().await {}
            reply.whole = self.input.ends_with(end);
            reply.body = String::from_utf8(std::mem::take(&mut self.input)).unwrap();
        } else {
            reply.whole = true;
        }
        reply
    }

    async fn more(&mut self) -> bool {
        self.io.read_buf(&mut self.input).await.unwrap_or(0) > 0
    }
}
