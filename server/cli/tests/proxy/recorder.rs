//! Upstreams that record what reaches them.

use std::{
    convert::Infallible,
    io::{BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::{Arc, Mutex},
};

use http::{Request, Response};
use http_body_util::BodyExt as _;
use lacewing_server::{Protocol, RequestBody, Server, service_fn};

/// The requests that an upstream received, as text.
#[derive(Clone, Default)]
pub(crate) struct Record(Arc<Mutex<Vec<String>>>);

impl Record {
    pub(crate) fn all(&self) -> Vec<String> {
        self.0.lock().unwrap().clone()
    }

    fn push(&self, request: String) {
        self.0.lock().unwrap().push(request);
    }
}

/// An upstream that reads HTTP/1.1 by the letter: each request is recorded byte by byte, and what
/// is none as such.
pub(crate) fn http1() -> (SocketAddr, Record) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let record = Record::default();
    let requests = record.clone();
    std::thread::spawn(move || {
        for io in listener.incoming().map_while(Result::ok) {
            let record = record.clone();
            std::thread::spawn(move || serve(io, &record));
        }
    });
    (address, requests)
}

fn serve(io: TcpStream, record: &Record) {
    let mut input = BufReader::new(io.try_clone().unwrap());
    while let Some(request) = read_request(&mut input) {
        let garbage = request.is_err();
        record.push(request.unwrap_or_else(|text| format!("GARBAGE {text}")));
        let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";
        if garbage || (&io).write_all(answer).is_err() {
            return;
        }
    }
}

/// `None` at the end of the connection. A request that lacks its end is none.
fn read_request(input: &mut impl BufRead) -> Option<Result<String, String>> {
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        let before = head.len();
        if input.read_line(&mut head).ok()? == 0 {
            return None;
        }
        let line = &head[before..];
        let plain = line.strip_suffix("\r\n").unwrap_or("\n");
        if plain.contains(['\r', '\n', '\0']) || line.starts_with([' ', '\t']) {
            return Some(Err(head));
        }
    }
    let value = |name: &str| {
        let mut lines = head.lines().filter_map(|line| line.split_once(": "));
        lines
            .find(|(found, _)| *found == name)
            .map(|(_, value)| value.to_owned())
    };
    let mut body = String::new();
    match (
        value("content-length"),
        value("transfer-encoding").as_deref(),
    ) {
        (None, None) => {}
        (Some(length), None) => {
            let Ok(length) = length.parse() else {
                return Some(Err(head));
            };
            input.take(length).read_to_string(&mut body).ok()?;
            if (body.len() as u64) < length {
                return None;
            }
        }
        (None, Some("chunked")) => loop {
            let from = body.len();
            if input.read_line(&mut body).ok()? == 0 {
                return None;
            }
            let Ok(size) = u64::from_str_radix(body[from..].trim_end(), 16) else {
                return Some(Err(head + &body));
            };
            if size == 0 {
                while !body.ends_with("\r\n\r\n") {
                    if input.read_line(&mut body).ok()? == 0 {
                        return None;
                    }
                }
                break;
            }
            input.take(size + 2).read_to_string(&mut body).ok()?;
        },
        _ => return Some(Err(head)),
    }
    Some(Ok(head + &body))
}

/// An upstream in another protocol. Its requests are recorded in a form of their own.
pub(crate) fn multiplexed(protocol: Protocol) -> (SocketAddr, Record) {
    let record = Record::default();
    let requests = record.clone();
    let (send, receive) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build();
        runtime.unwrap().block_on(async move {
            let builder = Server::builder().bind(([127, 0, 0, 1], 0).into());
            let builder = builder.options(|options| options.protocols([protocol]));
            let server = builder.build().await.unwrap();
            send.send(server.local_addrs().next().unwrap()).unwrap();
            server
                .serve(service_fn(move |request: Request<RequestBody>| {
                    let record = record.clone();
                    async move {
                        record.push(text(request).await);
                        Ok::<_, Infallible>(Response::new(String::from("ok")))
                    }
                }))
                .await;
        });
    });
    (receive.recv().unwrap(), requests)
}

async fn text(request: Request<RequestBody>) -> String {
    let (head, body) = request.into_parts();
    let mut text = format!("{} {}\r\n", head.method, head.uri);
    for (name, value) in &head.headers {
        text += &format!("{name}: {}\r\n", value.as_bytes().escape_ascii());
    }
    text += "\r\n";
    match body.collect().await {
        Ok(body) => text += &String::from_utf8_lossy(&body.to_bytes()),
        Err(error) => text += &format!("({error})"),
    }
    text
}
