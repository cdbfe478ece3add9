//! The connections of a capture: their bytes in order, and the frames in them.

use std::{
    collections::{BTreeMap, HashMap},
    net::SocketAddr,
    time::Duration,
};

use lacewing_conform::{FrameLog, Side, Version};

use super::{
    capture::Segment,
    detect::{Content, detect},
};

/// The connections that are followed; later ones are counted.
const MAX_CONNECTIONS: usize = 100_000;

/// The bytes that a direction may hold behind a gap, before they are taken for lost.
const MAX_OUT_OF_ORDER: usize = 16 << 20;

/// The bytes that decide the protocol.
const MAX_UNDECIDED: usize = 64;

/// The connections so far.
#[derive(Default)]
pub(super) struct Flows {
    connections: HashMap<Ends, Connection>,
    start: Option<Duration>,
    /// The number of the last connection.
    last: usize,
    /// Segments of connections beyond [`MAX_CONNECTIONS`].
    pub(super) passed_over: usize,
}

/// The two addresses of a connection, the smaller one first.
type Ends = (SocketAddr, SocketAddr);

struct Connection {
    number: usize,
    client: SocketAddr,
    client_half: Half,
    server_half: Half,
    content: Content,
    version: Option<Version>,
}

/// The bytes of one side.
#[derive(Default)]
struct Half {
    /// The sequence number of the next byte.
    next: Option<u32>,
    /// Segments behind a gap, by their distance from `next` when they came.
    later: BTreeMap<u32, Vec<u8>>,
    /// The sum of their lengths.
    held: usize,
    /// The bytes from before the protocol was known.
    undecided: Vec<u8>,
    log: Option<FrameLog>,
    lost: bool,
}

impl Flows {
    /// Takes a segment, and adds the lines that its bytes complete.
    pub(super) fn take(
        &mut self,
        segment: &Segment<'_>,
        protocol: Option<Version>,
        lines: &mut Vec<String>,
    ) {
        let start = *self.start.get_or_insert(segment.time);
        let ends = (segment.from.min(segment.to), segment.from.max(segment.to));
        let opens = segment.syn && !segment.ack;
        if opens || !self.connections.contains_key(&ends) {
            if self.last >= MAX_CONNECTIONS {
                self.passed_over = self.passed_over.saturating_add(1);
                return;
            }
            // The sender of the first segment is the client, unless it answers a SYN.
            let client = match segment.syn && segment.ack {
                true => segment.to,
                false => segment.from,
            };
            self.last = self.last.saturating_add(1);
            let connection = Connection::new(self.last, client, protocol);
            // The same ports again.
            if let Some(old) = self.connections.insert(ends, connection) {
                old.finish(lines);
            }
        }
        if let Some(connection) = self.connections.get_mut(&ends) {
            let at = segment.time.saturating_sub(start);
            connection.take(segment, at, lines);
        }
    }

    /// The ends of all connections: bytes that are left, and content that is no frames.
    pub(super) fn finish(self, lines: &mut Vec<String>) {
        let mut connections: Vec<_> = self.connections.into_values().collect();
        connections.sort_by_key(|connection| connection.number);
        for connection in connections {
            connection.finish(lines);
        }
    }
}

impl Connection {
    fn new(number: usize, client: SocketAddr, protocol: Option<Version>) -> Self {
        Self {
            number,
            client,
            client_half: Half::default(),
            server_half: Half::default(),
            content: Content::Undecided,
            version: protocol,
        }
    }

    fn take(&mut self, segment: &Segment<'_>, at: Duration, lines: &mut Vec<String>) {
        let sender = match segment.from == self.client {
            true => Side::Client,
            false => Side::Server,
        };
        let half = match sender {
            Side::Client => &mut self.client_half,
            Side::Server => &mut self.server_half,
        };
        let bytes = half.in_order(segment);
        if bytes.is_empty() {
            return;
        }
        if self.version.is_none() {
            half.undecided.extend_from_slice(&bytes);
            self.content = detect(&half.undecided);
            match self.content {
                Content::Frames(version, side) => {
                    self.version = Some(version);
                    // A capture that begins in the middle shows the server first.
                    if side.is_some_and(|side| side != sender) {
                        std::mem::swap(&mut self.client_half, &mut self.server_half);
                        self.client = match sender {
                            Side::Client => segment.to,
                            Side::Server => segment.from,
                        };
                    }
                    let introduction = format!(
                        "[{}] {} -> {}, {version}",
                        self.number,
                        self.client,
                        self.server(segment)
                    );
                    lines.push(introduction);
                    self.replay(at, lines);
                }
                Content::Undecided if half.undecided.len() < MAX_UNDECIDED => {}
                _ => half.undecided = Vec::new(),
            }
            return;
        }
        self.decode(sender, &bytes, at, lines);
    }

    fn server(&self, segment: &Segment<'_>) -> SocketAddr {
        match segment.from == self.client {
            true => segment.to,
            false => segment.from,
        }
    }

    /// Decodes what came before the protocol was known.
    fn replay(&mut self, at: Duration, lines: &mut Vec<String>) {
        for sender in [Side::Client, Side::Server] {
            let half = match sender {
                Side::Client => &mut self.client_half,
                Side::Server => &mut self.server_half,
            };
            let bytes = std::mem::take(&mut half.undecided);
            if !bytes.is_empty() {
                self.decode(sender, &bytes, at, lines);
            }
        }
    }

    fn decode(&mut self, sender: Side, bytes: &[u8], at: Duration, lines: &mut Vec<String>) {
        let Some(version) = self.version else { return };
        let (half, arrow) = match sender {
            Side::Client => (&mut self.client_half, '>'),
            Side::Server => (&mut self.server_half, '<'),
        };
        let log = half
            .log
            .get_or_insert_with(|| FrameLog::new(version, sender));
        let mut frames = Vec::new();
        log.decode(bytes, &mut frames);
        let mark = format!("{:.6} [{}] {arrow} ", at.as_secs_f64(), self.number);
        lines.extend(frames.into_iter().map(|line| format!("{mark}{line}")));
    }

    fn finish(&self, lines: &mut Vec<String>) {
        let number = self.number;
        if self.version.is_none() {
            let content = match self.content {
                Content::Tls => "TLS: its frames cannot be read",
                Content::Http1 => "HTTP/1.1",
                _ => "an unknown protocol; name it by --protocol",
            };
            // A connection without any bytes is of no interest.
            if self.content != Content::Undecided {
                lines.push(format!("[{number}] {} speaks {content}", self.client));
            }
            return;
        }
        for (half, arrow) in [(&self.client_half, '>'), (&self.server_half, '<')] {
            if half.held > 0 {
                let held = half.held;
                lines.push(format!(
                    "[{number}] {arrow} ! {held} bytes follow a gap in the capture"
                ));
            }
            let unfinished = half.log.as_ref().map_or(0, FrameLog::unfinished);
            if unfinished > 0 {
                lines.push(format!(
                    "[{number}] {arrow} ! {unfinished} bytes of an incomplete frame"
                ));
            }
        }
    }
}

impl Half {
    /// Takes a segment. Returns the bytes that it makes complete, in order.
    fn in_order(&mut self, segment: &Segment<'_>) -> Vec<u8> {
        if segment.syn {
            self.next = Some(segment.sequence.wrapping_add(1));
            return Vec::new();
        }
        if self.lost || segment.payload.is_empty() {
            return Vec::new();
        }
        let next = *self.next.get_or_insert(segment.sequence);
        let distance = segment.sequence.wrapping_sub(next);
        let mut bytes = Vec::new();
        if distance == 0 {
            self.append(segment.payload, &mut bytes);
        } else if distance < u32::MAX / 2 {
            self.hold(segment);
            return bytes;
        } else {
            // A retransmission: its end may be new.
            let known = usize::try_from(next.wrapping_sub(segment.sequence)).unwrap_or(usize::MAX);
            match segment.payload.get(known..) {
                Some(rest) if !rest.is_empty() => self.append(rest, &mut bytes),
                _ => return bytes,
            }
        }
        // The gap in front of later segments may be closed.
        while let Some(next) = self.next {
            let position = self
                .later
                .keys()
                .copied()
                .find(|sequence| next.wrapping_sub(*sequence) < u32::MAX / 2);
            let Some(payload) =
                position.and_then(|sequence| Some((sequence, self.later.remove(&sequence)?)))
            else {
                break;
            };
            let (sequence, payload) = payload;
            self.held = self.held.saturating_sub(payload.len());
            let known = usize::try_from(next.wrapping_sub(sequence)).unwrap_or(usize::MAX);
            if let Some(rest) = payload.get(known..) {
                self.append(rest, &mut bytes);
            }
        }
        bytes
    }

    fn append(&mut self, payload: &[u8], bytes: &mut Vec<u8>) {
        bytes.extend_from_slice(payload);
        let length = u32::try_from(payload.len()).unwrap_or(u32::MAX);
        self.next = self.next.map(|next| next.wrapping_add(length));
    }

    fn hold(&mut self, segment: &Segment<'_>) {
        let payload = segment.payload.to_vec();
        let length = payload.len();
        let replaced = self.later.insert(segment.sequence, payload);
        self.held = self
            .held
            .saturating_sub(replaced.map_or(0, |old| old.len()))
            .saturating_add(length);
        if self.held > MAX_OUT_OF_ORDER {
            self.lost = true;
            self.later = BTreeMap::new();
        }
    }
}
