//! Somebody who looks at a live page, for the tests of the programs that serve one.

use std::{
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    time::Duration,
};

use serde_json::Value;

/// Updates that a test waits for at most: they come four times a second.
pub(crate) const UPDATES: usize = 200;

/// A connection to the page.
pub(crate) fn connect(page: SocketAddr) -> TcpStream {
    let io = TcpStream::connect(page).unwrap();
    io.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    io
}

/// All of an answer.
pub(crate) fn answer(page: SocketAddr, request: &str) -> String {
    let mut io = connect(page);
    io.write_all(format!("{request}\r\nconnection: close\r\n\r\n").as_bytes())
        .unwrap();
    let mut answer = String::new();
    io.read_to_string(&mut answer).unwrap();
    answer
}

/// Somebody who looks at the page.
pub(crate) struct Viewer(BufReader<TcpStream>);

/// An event.
pub(crate) struct Event {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) data: Value,
}

impl Viewer {
    pub(crate) fn ask(page: SocketAddr, fields: &str) -> Result<Self, String> {
        let mut io = connect(page);
        let request = format!("GET /events HTTP/1.0\r\nhost: localhost\r\n{fields}\r\n");
        io.write_all(request.as_bytes()).unwrap();
        let mut io = BufReader::new(io);
        let mut status = String::new();
        io.read_line(&mut status).unwrap();
        if !status.contains(" 200 ") {
            return Err(status);
        }
        let mut line = String::new();
        while io.read_line(&mut line).unwrap() > 0 && line.trim() != "" {
            line.clear();
        }
        Ok(Self(io))
    }

    pub(crate) fn come(page: SocketAddr) -> Self {
        Self::ask(page, "").unwrap()
    }

    pub(crate) fn event(&mut self) -> Event {
        let (mut id, mut name) = (String::new(), String::new());
        loop {
            let mut line = String::new();
            assert!(self.0.read_line(&mut line).unwrap() > 0, "no more events");
            if let Some(text) = line.strip_prefix("id: ") {
                text.trim().clone_into(&mut id);
            } else if let Some(text) = line.strip_prefix("event: ") {
                text.trim().clone_into(&mut name);
            } else if let Some(text) = line.strip_prefix("data: ") {
                let data = serde_json::from_str(text).unwrap();
                return Event { id, name, data };
            }
        }
    }

    /// The first of the items with this key, in this and later updates, that is right.
    pub(crate) fn wait_for(&mut self, key: &str, is_right: impl Fn(&Value) -> bool) -> Value {
        for _ in 0..UPDATES {
            let news = self.event().data;
            let mut items = news[key].as_array().unwrap().iter();
            if let Some(found) = items.find(|item| is_right(item)) {
                return found.clone();
            }
        }
        panic!("no such item of {key} came");
    }
}

/// The state of a stream now.
pub(crate) fn phase(stream: &Value) -> &str {
    let marks = stream["marks"].as_array().unwrap();
    marks.last().unwrap()[1].as_str().unwrap()
}
