//! The requests of a run with their times: `--har` (HAR 1.2) and `--stat`.

use std::{
    fmt::Write as _,
    path::Path,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use http::{HeaderMap, Method, Uri, header};
use serde_json::{Value, json};

use super::{answer::Answer, dials::DialTimes};
use crate::{console, status::Failure};

/// The most requests that a record keeps; further ones are counted.
const MAX_EXCHANGES: usize = 100_000;

/// The requests of a run, in the order of their ends.
#[derive(Debug, Default)]
pub(super) struct Record(Mutex<Kept>);

#[derive(Debug, Default)]
struct Kept {
    exchanges: Vec<Exchange>,
    more: usize,
}

/// A request and its response, or its failure.
#[derive(Clone, Debug)]
pub(super) struct Exchange {
    pub(super) began: SystemTime,
    pub(super) start: Instant,
    pub(super) method: Method,
    pub(super) url: Uri,
    pub(super) fields: HeaderMap,
    pub(super) dial: Option<DialTimes>,
    pub(super) answered: Option<Instant>,
    pub(super) answer: Option<Answer>,
    pub(super) uploaded: u64,
    pub(super) downloaded: u64,
    pub(super) end: Instant,
    pub(super) error: Option<String>,
    pub(super) is_pushed: bool,
}

impl Record {
    pub(super) fn push(&self, exchange: Exchange) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.exchanges.len() < MAX_EXCHANGES {
            kept.exchanges.push(exchange);
        } else {
            kept.more = kept.more.saturating_add(1);
        }
    }

    /// Writes a HAR into a file; `-` is stdout.
    pub(super) fn write_har(&self, path: &Path) -> Result<(), Failure> {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut text = har(&kept.exchanges).to_string();
        text.push('\n');
        if kept.more > 0 {
            console::note(format_args!(
                "the HAR lacks the last {} requests",
                kept.more
            ));
        }
        if path == Path::new("-") {
            return console::print(text);
        }
        let failed = |error| Failure::local(format!("cannot write {}: {error}", path.display()));
        std::fs::write(path, text).map_err(failed)
    }

    pub(super) fn exchanges(&self) -> Vec<Exchange> {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.exchanges.clone()
    }

    /// Prints the table that `nghttp -s` prints, on stderr.
    pub(super) fn print_table(&self) {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        console::eprint(table(&kept.exchanges));
    }
}

impl Exchange {
    /// A request that begins now.
    pub(super) fn new(url: &Uri) -> Self {
        let now = Instant::now();
        Self {
            began: SystemTime::now(),
            start: now,
            method: Method::GET,
            url: url.clone(),
            fields: HeaderMap::new(),
            dial: None,
            answered: None,
            answer: None,
            uploaded: 0,
            downloaded: 0,
            end: now,
            error: None,
            is_pushed: false,
        }
    }

    /// The connection, if it was made for this request.
    fn own_dial(&self) -> Option<DialTimes> {
        self.dial.filter(|dial| dial.start >= self.start)
    }

    /// The time at which the request could go out.
    pub(super) fn sent(&self) -> Instant {
        self.own_dial()
            .and_then(|dial| dial.ready)
            .unwrap_or(self.start)
    }

    /// Whether it had no stream.
    pub(super) fn is_http1(&self) -> bool {
        self.protocol().starts_with("http/1.")
    }

    fn protocol(&self) -> &'static str {
        let version = self.answer.as_ref().map(|answer| answer.version);
        match (version, self.dial.and_then(|dial| dial.version)) {
            (Some(http::Version::HTTP_2), _) => "h2",
            (Some(_), Some(version)) => version.alpn(),
            (Some(http::Version::HTTP_10), None) => "http/1.0",
            (Some(_), None) => "http/1.1",
            (None, _) => "",
        }
    }
}

fn table(exchanges: &[Exchange]) -> String {
    let mut text = String::from(
        "***** Statistics *****\n\n\
         responseEnd: when the response was complete, from connectEnd\n\
         requestStart: just before the request was sent, from connectEnd\n\
         process: responseEnd - requestStart\n\
         Sorted by responseEnd. * marks what the server pushed.\n\n\
         id  responseEnd requestStart  process code size request path\n",
    );
    // Of the first connection, as in nghttp.
    let start = exchanges.iter().map(Exchange::sent).min();
    for (index, exchange) in exchanges.iter().enumerate() {
        let since =
            |at: Instant| start.map_or(Duration::ZERO, |start| at.saturating_duration_since(start));
        let code = exchange
            .answer
            .as_ref()
            .map_or(0, |answer| answer.status.as_u16());
        let path = exchange
            .url
            .path_and_query()
            .map_or("/", |path| path.as_str());
        let sent = exchange.sent();
        let mark = if exchange.is_pushed { '*' } else { ' ' };
        let _ = writeln!(
            text,
            "{:3} {:>12} {mark}{:>11} {:>8} {code:4} {:>4} {path}",
            index.saturating_add(1),
            format!("+{}", short(since(exchange.end))),
            format!("+{}", short(since(sent))),
            short(exchange.end.saturating_duration_since(sent)),
            size(exchange.downloaded),
        );
    }
    text
}

pub(super) fn short(time: Duration) -> String {
    let micros = time.as_micros();
    match micros {
        0..1000 => format!("{micros}us"),
        1000..1_000_000 => format!("{:.2}ms", time.as_secs_f64() * 1000.0),
        _ => format!("{:.2}s", time.as_secs_f64()),
    }
}

pub(super) fn size(bytes: u64) -> String {
    match bytes {
        0..1024 => bytes.to_string(),
        1024..1_048_576 => format!("{}K", bytes >> 10),
        1_048_576..1_073_741_824 => format!("{}M", bytes >> 20),
        _ => format!("{}G", bytes >> 30),
    }
}

/// HAR 1.2. Fields of our own begin with `_`.
fn har(exchanges: &[Exchange]) -> Value {
    let entries: Vec<Value> = exchanges.iter().map(entry).collect();
    json!({"log": {
        "version": "1.2",
        "creator": {"name": "lacewing", "version": env!("CARGO_PKG_VERSION")},
        "pages": [],
        "entries": entries,
    }})
}

fn entry(exchange: &Exchange) -> Value {
    let timings = timings(exchange);
    // `ssl` is a part of `connect`.
    let parts = ["blocked", "dns", "connect", "send", "wait", "receive"].map(|name| {
        timings
            .get(name)
            .and_then(Value::as_f64)
            .unwrap_or(0.0)
            .max(0.0)
    });
    let entry = json!({
        "startedDateTime": date_time(exchange.began),
        "time": parts.iter().sum::<f64>(),
        "request": request(exchange),
        "response": response(exchange),
        "cache": {},
        "timings": timings,
        "_protocol": exchange.protocol(),
    });
    let address = exchange.dial.and_then(|dial| dial.address);
    let more = [
        (
            "serverIPAddress",
            address.map(|address| address.ip().to_string()),
        ),
        ("_error", exchange.error.clone()),
    ];
    let Value::Object(mut entry) = entry else {
        return entry;
    };
    for (name, value) in more {
        if let Some(value) = value {
            entry.insert(name.to_owned(), Value::String(value));
        }
    }
    if exchange.is_pushed {
        entry.insert("_was_pushed".to_owned(), 1.into());
    }
    Value::Object(entry)
}

/// Importers know these versions alone.
fn har_version(version: Option<http::Version>) -> &'static str {
    match version {
        Some(http::Version::HTTP_2) => "HTTP/2.0",
        Some(http::Version::HTTP_10) => "HTTP/1.0",
        _ => "HTTP/1.1",
    }
}

fn request(exchange: &Exchange) -> Value {
    let version = exchange.answer.as_ref().map(|answer| answer.version);
    let query = exchange.url.query().unwrap_or_default().split('&');
    let query: Vec<Value> = query
        .filter(|pair| !pair.is_empty())
        .map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            json!({"name": name, "value": value})
        })
        .collect();
    json!({
        "method": exchange.method.as_str(),
        "url": exchange.url.to_string(),
        "httpVersion": har_version(version),
        "cookies": [],
        "headers": headers(&exchange.fields),
        "queryString": query,
        "headersSize": -1,
        "bodySize": exchange.uploaded,
    })
}

/// A request that failed has the status 0.
fn response(exchange: &Exchange) -> Value {
    let answer = exchange.answer.as_ref();
    let empty = HeaderMap::new();
    let fields = answer.map_or(&empty, |answer| &answer.fields);
    let text = |name| {
        let value = fields.get(name).map(header::HeaderValue::as_bytes);
        String::from_utf8_lossy(value.unwrap_or_default()).into_owned()
    };
    json!({
        "status": answer.map_or(0, |answer| answer.status.as_u16()),
        "statusText": answer.and_then(|answer| answer.status.canonical_reason()).unwrap_or_default(),
        "httpVersion": har_version(answer.map(|answer| answer.version)),
        "cookies": [],
        "headers": headers(fields),
        "content": {"size": exchange.downloaded, "mimeType": text(header::CONTENT_TYPE)},
        "redirectURL": text(header::LOCATION),
        "headersSize": -1,
        "bodySize": exchange.downloaded,
    })
}

fn headers(fields: &HeaderMap) -> Vec<Value> {
    let each = fields.iter().map(|(name, value)| {
        let value = String::from_utf8_lossy(value.as_bytes());
        json!({"name": name.as_str(), "value": value})
    });
    each.collect()
}

/// In milliseconds; -1 for what did not happen.
fn timings(exchange: &Exchange) -> Value {
    let between =
        |from: Instant, to: Instant| to.saturating_duration_since(from).as_secs_f64() * 1000.0;
    let (mut blocked, mut dns, mut connect, mut ssl) = (0.0, -1.0, -1.0, -1.0);
    let end = exchange.end;
    let mut sent = exchange.start;
    if let Some(dial) = exchange.own_dial() {
        blocked = between(exchange.start, dial.start);
        let resolved = dial.resolved.unwrap_or(dial.start);
        if dial.resolved.is_some() {
            dns = between(dial.start, resolved);
        }
        let ready = dial.ready.unwrap_or(end);
        connect = between(resolved, ready);
        if exchange.url.scheme_str() == Some("https") {
            ssl = between(dial.connected.unwrap_or(ready), ready);
        }
        sent = ready;
    }
    let answered = exchange.answered.unwrap_or(end);
    json!({
        "blocked": blocked, "dns": dns, "connect": connect, "ssl": ssl, "send": 0.0,
        "wait": between(sent, answered), "receive": between(answered, end),
    })
}

/// RFC 3339, in UTC, to the millisecond.
fn date_time(time: SystemTime) -> String {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    let seconds = since.as_secs();
    let (days, second) = (seconds / 86_400, seconds % 86_400);
    let (mut year, mut day) = (1970_u64, days);
    let is_leap =
        |year: u64| year.is_multiple_of(4) && !year.is_multiple_of(100) || year.is_multiple_of(400);
    loop {
        let length = if is_leap(year) { 366 } else { 365 };
        if day < length {
            break;
        }
        day = day.saturating_sub(length);
        year = year.saturating_add(1);
    }
    let february = if is_leap(year) { 29 } else { 28 };
    let mut month = 1_u32;
    for length in [31, february, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31] {
        if day < length {
            break;
        }
        day = day.saturating_sub(length);
        month = month.saturating_add(1);
    }
    format!(
        "{year:04}-{month:02}-{:02}T{:02}:{:02}:{:02}.{:03}Z",
        day.saturating_add(1),
        second / 3600,
        second / 60 % 60,
        second % 60,
        since.subsec_millis()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_those_of_the_calendar() {
        for (seconds, expected) in [
            (0, "1970-01-01T00:00:00.000Z"),
            (951_826_271, "2000-02-29T12:11:11.000Z"),
            (1_709_251_199, "2024-02-29T23:59:59.000Z"),
            (1_709_251_200, "2024-03-01T00:00:00.000Z"),
            (1_798_761_599, "2026-12-31T23:59:59.000Z"),
        ] {
            assert_eq!(
                date_time(UNIX_EPOCH + Duration::from_secs(seconds)),
                expected
            );
        }
    }

    #[test]
    fn times_and_sizes_are_short() {
        assert_eq!(short(Duration::from_micros(999)), "999us");
        assert_eq!(short(Duration::from_micros(1500)), "1.50ms");
        assert_eq!(short(Duration::from_millis(2500)), "2.50s");
        assert_eq!(
            [size(1023), size(2048), size(3 << 20)],
            ["1023", "2K", "3M"]
        );
    }
}
