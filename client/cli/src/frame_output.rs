//! The frames of many connections on stdout: lines of text, or JSON.

use std::{net::SocketAddr, time::Duration};

use lacewing_conform::{Side, Version};
use serde_json::{Map, Value};

use crate::{
    console,
    frame_text::{FrameFilter, FrameText},
    status::Failure,
};

/// The form of the output.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    Text,
    /// One object a line.
    Json,
}

/// Collects what one step shows, for one write.
pub(crate) struct Output<'a> {
    filter: &'a FrameFilter,
    form: Form,
    at: Duration,
    text: String,
}

impl<'a> Output<'a> {
    pub(crate) fn new(filter: &'a FrameFilter, form: Form) -> Self {
        Self {
            filter,
            form,
            at: Duration::ZERO,
            text: String::new(),
        }
    }

    /// The time of what follows, since the start.
    pub(crate) fn at(&mut self, at: Duration) {
        self.at = at;
    }

    /// The ends of a connection and its protocol.
    pub(crate) fn introduce(
        &mut self,
        number: usize,
        client: SocketAddr,
        server: SocketAddr,
        version: Version,
    ) {
        match self.form {
            Form::Text => {
                let line = format!("[{number}] {client} -> {server}, {version}\n");
                self.text.push_str(&line);
            }
            Form::Json => {
                let mut object = self.object(number);
                object.insert("client".into(), client.to_string().into());
                object.insert("server".into(), server.to_string().into());
                object.insert("protocol".into(), version.alpn().into());
                self.push(object);
            }
        }
    }

    pub(crate) fn frame(&mut self, number: usize, sender: Side, frame: &FrameText) {
        if !self.filter.admits(frame) {
            return;
        }
        match self.form {
            Form::Text => {
                let arrow = match sender {
                    Side::Client => '>',
                    Side::Server => '<',
                };
                let mark = format!("{:.6} [{number}] {arrow} ", self.at.as_secs_f64());
                self.text.push_str(&frame.marked(&mark).to_string());
            }
            Form::Json => {
                let mut object = self.object(number);
                object.extend(frame.json(sender));
                self.push(object);
            }
        }
    }

    /// Something about a connection that is no frame.
    pub(crate) fn remark(&mut self, number: usize, text: &str) {
        match self.form {
            Form::Text => self.text.push_str(&format!("[{number}] {text}\n")),
            Form::Json => {
                let mut object = self.object(number);
                object.insert("remark".into(), text.into());
                self.push(object);
            }
        }
    }

    /// Writes what was collected.
    pub(crate) fn write(&mut self) -> Result<(), Failure> {
        let text = std::mem::take(&mut self.text);
        match text.is_empty() {
            true => Ok(()),
            false => console::print(text),
        }
    }

    fn object(&self, number: usize) -> Map<String, Value> {
        let mut object = Map::new();
        object.insert("time".into(), self.at.as_secs_f64().into());
        object.insert("connection".into(), number.into());
        object
    }

    fn push(&mut self, object: Map<String, Value>) {
        self.text.push_str(&Value::from(object).to_string());
        self.text.push('\n');
    }
}
