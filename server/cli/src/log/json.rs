//! A line of JSON for each request.

use std::{
    fmt::{self, Write},
    time::{Instant, SystemTime},
};

use http::HeaderValue;

use super::{entry::Entry, escape::json};

/// Writes an object and the end of the line.
pub(super) fn write(line: &mut String, entry: &Entry, now: Instant) -> fmt::Result {
    write_start(line, "info")?;
    if let Some(connection) = &entry.connection {
        match connection.peer_addr() {
            Some(peer) => write!(line, ",\"remote_addr\":\"{peer}\"")?,
            None => line.push_str(",\"remote_addr\":\"unix:\""),
        }
        write!(line, ",\"proto\":\"{}\"", connection.protocol().alpn())?;
    }
    text(line, "method", Some(entry.method.as_str().as_bytes()))?;
    text(line, "host", entry.host())?;
    text(line, "uri", Some(entry.path().as_bytes()))?;
    match entry.status {
        Some(status) => write!(line, ",\"status\":{}", status.as_u16())?,
        None => line.push_str(",\"status\":null"),
    }
    let took = entry.took(now).as_secs_f64();
    write!(line, ",\"size\":{},\"duration\":{took:.6}", entry.bytes)?;
    if let Some(fields) = &entry.fields {
        let referer = fields.referer.as_ref();
        text(line, "referer", referer.map(HeaderValue::as_bytes))?;
        let user_agent = fields.user_agent.as_ref();
        text(line, "user_agent", user_agent.map(HeaderValue::as_bytes))?;
    }
    if let Some(reason) = entry.reason {
        text(line, "error", Some(reason.0.as_bytes()))?;
    }
    writeln!(line, ",\"complete\":{}}}", entry.whole)
}

/// Writes the time and the level of an object.
pub(super) fn write_start(line: &mut impl Write, level: &str) -> fmt::Result {
    let now = humantime::format_rfc3339_millis(SystemTime::now());
    write!(line, "{{\"ts\":\"{now}\",\"level\":\"{level}\"")
}

fn text(line: &mut String, name: &str, value: Option<&[u8]>) -> fmt::Result {
    let Some(value) = value else { return Ok(()) };
    write!(line, ",\"{name}\":")?;
    json(line, &String::from_utf8_lossy(value))
}
