//! The combined format of Apache and nginx.

use std::{
    fmt::{self, Write},
    time::SystemTime,
};

use http::HeaderValue;
use lacewing_server::Protocol;

use super::{entry::Entry, escape::quoted};

/// The status of a request whose client left before there was a response, as nginx has it.
const CLIENT_LEFT: u16 = 499;

const MONTHS: [&str; 12] = [
    "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
];

/// Writes the line of a request.
pub(super) fn write(line: &mut String, entry: &Entry) -> fmt::Result {
    let connection = entry.connection.as_ref();
    match connection.and_then(|connection| connection.peer_addr()) {
        Some(peer) => write!(line, "{}", peer.ip())?,
        None => line.push_str("unix:"),
    }
    line.push_str(" - - [");
    write_time(line, SystemTime::now())?;
    line.push_str("] \"");
    quoted(line, entry.method.as_str().as_bytes())?;
    line.push(' ');
    quoted(line, entry.path().as_bytes())?;
    line.push(' ');
    line.push_str(match connection.map(|connection| connection.protocol()) {
        Some(Protocol::Http2) => "HTTP/2",
        Some(Protocol::Spdy31) => "SPDY/3.1",
        Some(Protocol::Spdy3) => "SPDY/3",
        Some(Protocol::Spdy2) => "SPDY/2",
        _ => "HTTP/1.1",
    });
    let status = entry.status.map_or(CLIENT_LEFT, |status| status.as_u16());
    write!(line, "\" {status} {} \"", entry.bytes)?;
    let fields = entry.fields.as_ref();
    field(line, fields.and_then(|fields| fields.referer.as_ref()))?;
    line.push_str("\" \"");
    field(line, fields.and_then(|fields| fields.user_agent.as_ref()))?;
    line.push_str("\"\n");
    Ok(())
}

fn field(line: &mut String, value: Option<&HeaderValue>) -> fmt::Result {
    match value {
        Some(value) => quoted(line, value.as_bytes()),
        None => line.write_str("-"),
    }
}

/// `28/Nov/2026:01:02:59 +0000`
fn write_time(line: &mut String, time: SystemTime) -> fmt::Result {
    let text = humantime::format_rfc3339_seconds(time).to_string();
    let (date, time) = text.split_once('T').unwrap_or_default();
    let mut date = date.split('-');
    let (year, month, day) = (date.next(), date.next(), date.next());
    let month = month.and_then(|month| month.parse::<usize>().ok());
    let month = month.and_then(|month| MONTHS.get(month.checked_sub(1)?));
    write!(
        line,
        "{}/{}/{}:{} +0000",
        day.unwrap_or_default(),
        month.unwrap_or(&"-"),
        year.unwrap_or_default(),
        time.trim_end_matches('Z')
    )
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use super::*;

    #[test]
    fn times_are_those_of_apache() {
        for (seconds, expected) in [
            (0, "01/Jan/1970:00:00:00 +0000"),
            (1_795_827_779, "28/Nov/2026:01:02:59 +0000"),
        ] {
            let mut line = String::new();
            write_time(&mut line, UNIX_EPOCH + Duration::from_secs(seconds)).unwrap();
            assert_eq!(line, expected);
        }
    }
}
