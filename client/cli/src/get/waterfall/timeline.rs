//! What is drawn: connections, and a row for each stream.

use std::{collections::BTreeMap, time::Duration};

use lacewing_conform::Side;

use super::{
    flow::{Flow, Point, Stall},
    trace::{Frame, Recording, Trace},
};
use crate::{
    frame_meaning::What,
    get::{dials::DialTimes, record::Exchange},
};

/// A run.
#[derive(Debug, Default)]
pub(super) struct Timeline {
    /// From the start to the last event.
    pub(super) length: Duration,
    pub(super) connections: Vec<Connection>,
    /// The frames that were not kept.
    pub(super) lost: usize,
}

/// A connection, or the requests to an origin in HTTP/1.1.
#[derive(Debug, Default)]
pub(super) struct Connection {
    pub(super) origin: String,
    pub(super) protocol: &'static str,
    /// The steps until it was ready.
    pub(super) steps: Vec<Step>,
    pub(super) rows: Vec<Row>,
    pub(super) frames: Vec<Frame>,
    /// The bytes from the server, against the connection's window.
    pub(super) received: Vec<Point>,
    /// The bytes to the server.
    pub(super) sent: Vec<Point>,
}

/// A step of dialling.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Step {
    pub(super) name: &'static str,
    pub(super) from: Duration,
    pub(super) to: Duration,
}

/// A stream.
#[derive(Clone, Debug, Default)]
pub(super) struct Row {
    pub(super) id: u32,
    /// `GET /`
    pub(super) title: String,
    pub(super) is_pushed: bool,
    pub(super) opened: Duration,
    pub(super) answered: Option<Duration>,
    /// Its last frame.
    pub(super) ended: Duration,
    /// The status, or the code of a reset.
    pub(super) outcome: String,
    pub(super) was_reset: bool,
    pub(super) chunks: Vec<Chunk>,
    pub(super) stalls: Vec<Stall>,
}

/// Bytes of content.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Chunk {
    pub(super) at: Duration,
    pub(super) from: Side,
    pub(super) length: u64,
}

impl Timeline {
    pub(super) fn new(trace: &Trace, exchanges: &[Exchange]) -> Self {
        let kept = trace.kept();
        let since = |at| trace.since(at);
        let times = kept.connections.iter().flat_map(|recording| {
            let ready = recording.dial.and_then(|dial| dial.ready);
            let last = recording.frames.last().map(|frame| frame.at);
            [ready.map(since), last]
        });
        let ends = exchanges.iter().map(|exchange| since(exchange.end));
        let length = times.flatten().chain(ends).max().unwrap_or_default();
        let recordings = kept.connections.iter();
        let mut connections: Vec<_> = recordings
            .map(|recording| Connection::new(recording, trace, length))
            .collect();
        for exchange in exchanges.iter().filter(|exchange| exchange.is_http1()) {
            add_http1(&mut connections, exchange, trace);
        }
        Self {
            length,
            connections,
            lost: kept.lost,
        }
    }
}

impl Connection {
    fn new(recording: &Recording, trace: &Trace, end: Duration) -> Self {
        let mut rows: BTreeMap<u32, Row> = BTreeMap::new();
        let mut down = Flow::new(recording.version);
        let mut up = Flow::new(recording.version);
        for frame in &recording.frames {
            let (mine, other) = match frame.from {
                Side::Client => (&mut up, &mut down),
                Side::Server => (&mut down, &mut up),
            };
            let (at, stream) = (frame.at, frame.stream);
            match &frame.what {
                What::Data(length) => mine.data(at, stream, *length, frame.fin),
                What::Credit(credit) => other.credit(at, stream, *credit),
                What::InitialWindow(value) => other.set_initial(at, *value),
                What::Reset(_) => {
                    mine.end(at, stream);
                    other.end(at, stream);
                }
                _ if frame.fin => mine.end(at, stream),
                _ => {}
            }
            if let What::Open(title) = &frame.what {
                rows.entry(stream).or_insert_with(|| Row {
                    id: stream,
                    title: title.clone(),
                    is_pushed: frame.from == Side::Server,
                    opened: at,
                    ended: at,
                    ..Row::default()
                });
            }
            if let Some(row) = rows.get_mut(&stream) {
                row.take(frame);
            }
        }
        let mut rows: Vec<Row> = rows.into_values().collect();
        for row in &mut rows {
            row.stalls = down.stalls(row.id, end);
            row.stalls.extend(up.stalls(row.id, end));
        }
        rows.sort_by_key(|row| (row.opened, row.id));
        Self {
            origin: recording.origin.clone(),
            protocol: recording.version.alpn(),
            steps: recording
                .dial
                .map_or(Vec::new(), |dial| steps(&dial, &recording.origin, trace)),
            rows,
            frames: recording.frames.clone(),
            received: down.curve,
            sent: up.curve,
        }
    }
}

impl Row {
    fn take(&mut self, frame: &Frame) {
        match &frame.what {
            What::Head(status) => {
                // A final response follows an informational one.
                if self.answered.is_none() && !status.starts_with('1') {
                    self.answered = Some(frame.at);
                }
                self.outcome.clone_from(status);
            }
            What::Data(length) => self.chunks.push(Chunk {
                at: frame.at,
                from: frame.from,
                length: *length,
            }),
            What::Reset(code) => {
                self.outcome.clone_from(code);
                self.was_reset = true;
            }
            // Credit may come after the end.
            What::Credit(_) => return,
            What::Open(_) | What::Fields | What::InitialWindow(_) | What::Other => {}
        }
        self.ended = frame.at;
    }

    /// The bytes of content from this side.
    pub(super) fn bytes(&self, from: Side) -> u64 {
        let chunks = self.chunks.iter().filter(|chunk| chunk.from == from);
        chunks.fold(0, |sum, chunk| sum.saturating_add(chunk.length))
    }
}

fn steps(dial: &DialTimes, origin: &str, trace: &Trace) -> Vec<Step> {
    let is_secure = origin.starts_with("https:");
    let mut from = trace.since(dial.start);
    let instants = [
        ("DNS", dial.resolved),
        ("TCP", dial.connected),
        ("TLS", dial.ready.filter(|_| is_secure)),
    ];
    let mut steps = Vec::new();
    for (name, at) in instants {
        let Some(to) = at.map(|at| trace.since(at)) else {
            continue;
        };
        steps.push(Step { name, from, to });
        from = to;
    }
    steps
}

/// Adds a request that has no frames.
fn add_http1(connections: &mut Vec<Connection>, exchange: &Exchange, trace: &Trace) {
    let scheme = exchange.url.scheme_str().unwrap_or_default();
    let authority = exchange
        .url
        .authority()
        .map_or("", |authority| authority.as_str());
    let origin = format!("{scheme}://{authority}");
    let protocol = "http/1.1";
    let known = connections
        .iter()
        .position(|known| known.origin == origin && known.protocol == protocol);
    let index = known.unwrap_or_else(|| {
        connections.push(Connection {
            steps: exchange
                .dial
                .map_or(Vec::new(), |dial| steps(&dial, &origin, trace)),
            origin,
            protocol,
            ..Connection::default()
        });
        connections.len().saturating_sub(1)
    });
    let Some(connection) = connections.get_mut(index) else {
        return;
    };
    let path = exchange
        .url
        .path_and_query()
        .map_or("/", |path| path.as_str());
    let ended = trace.since(exchange.end);
    let status = exchange
        .answer
        .as_ref()
        .map(|answer| answer.status.as_u16());
    connection.rows.push(Row {
        id: u32::try_from(connection.rows.len().saturating_add(1)).unwrap_or(u32::MAX),
        title: format!("{} {path}", exchange.method),
        opened: trace.since(exchange.sent()),
        answered: exchange.answered.map(|at| trace.since(at)),
        ended,
        outcome: status.map_or_else(|| "failed".to_owned(), |status| status.to_string()),
        was_reset: exchange.error.is_some(),
        chunks: vec![Chunk {
            at: ended,
            from: Side::Server,
            length: exchange.downloaded,
        }],
        ..Row::default()
    });
}
