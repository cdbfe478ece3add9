//! The connections of a capture: their bytes in order, and the frames in them.

use std::{
    collections::{BTreeMap, HashMap},
    net::SocketAddr,
    time::Duration,
};

use lacewing_conform::{Side, Version};

use super::capture::Segment;
use crate::{conversation::Conversation, detect::Content, frame_output::Output};

/// The connections that are followed; later ones are counted.
const MAX_CONNECTIONS: usize = 100_000;

/// The bytes that a direction may hold behind a gap, before they are taken for lost.
const MAX_OUT_OF_ORDER: usize = 16 << 20;

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
    server: SocketAddr,
    client_half: Half,
    server_half: Half,
    conversation: Conversation,
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
    lost: bool,
}

impl Flows {
    /// Takes a segment, and writes the frames that its bytes complete.
    pub(super) fn take(
        &mut self,
        segment: &Segment<'_>,
        protocol: Option<Version>,
        output: &mut Output<'_>,
    ) {
        let start = *self.start.get_or_insert(segment.time);
        output.at(segment.time.saturating_sub(start));
        let ends = (segment.from.min(segment.to), segment.from.max(segment.to));
        let opens = segment.syn && !segment.ack;
        if opens || !self.connections.contains_key(&ends) {
            if self.last >= MAX_CONNECTIONS {
                self.passed_over = self.passed_over.saturating_add(1);
                return;
            }
            // The sender of the first segment is the client, unless it answers a SYN.
            let (client, server) = match segment.syn && segment.ack {
                true => (segment.to, segment.from),
                false => (segment.from, segment.to),
            };
            self.last = self.last.saturating_add(1);
            let connection = Connection::new(self.last, client, server, protocol);
            // The same ports again.
            if let Some(old) = self.connections.insert(ends, connection) {
                old.finish(output);
            }
        }
        if let Some(connection) = self.connections.get_mut(&ends) {
            connection.take(segment, output);
        }
    }

    /// The ends of all connections: bytes that are left, and content that is no frames.
    pub(super) fn finish(self, output: &mut Output<'_>) {
        let mut connections: Vec<_> = self.connections.into_values().collect();
        connections.sort_by_key(|connection| connection.number);
        for connection in connections {
            connection.finish(output);
        }
    }
}

impl Connection {
    fn new(
        number: usize,
        client: SocketAddr,
        server: SocketAddr,
        protocol: Option<Version>,
    ) -> Self {
        Self {
            number,
            client,
            server,
            client_half: Half::default(),
            server_half: Half::default(),
            conversation: Conversation::new(protocol),
        }
    }

    fn take(&mut self, segment: &Segment<'_>, output: &mut Output<'_>) {
        let (sender, half) = match segment.from == self.client {
            true => (Side::Client, &mut self.client_half),
            false => (Side::Server, &mut self.server_half),
        };
        let bytes = half.in_order(segment);
        let taken = self.conversation.take(sender, &bytes);
        // A capture that begins in the middle may show the server first.
        if taken.reversed {
            std::mem::swap(&mut self.client, &mut self.server);
            std::mem::swap(&mut self.client_half, &mut self.server_half);
        }
        if let Some(version) = taken.detected {
            output.introduce(self.number, self.client, self.server, version);
        }
        for (sender, frame) in &taken.frames {
            output.frame(self.number, *sender, frame);
        }
    }

    fn finish(&self, output: &mut Output<'_>) {
        if self.conversation.version().is_none() {
            let content = match self.conversation.content() {
                Content::Tls => "TLS: its frames cannot be read",
                Content::Http1 => "HTTP/1.1",
                // A connection without any bytes is of no interest.
                Content::Undecided => return,
                _ => "an unknown protocol; name it by --protocol",
            };
            return output.remark(self.number, &format!("{} speaks {content}", self.client));
        }
        for (half, sender) in [
            (&self.client_half, Side::Client),
            (&self.server_half, Side::Server),
        ] {
            let name = match sender {
                Side::Client => "client",
                Side::Server => "server",
            };
            if half.held > 0 || half.lost {
                let text = format!(
                    "{} bytes of the {name} follow a gap in the capture",
                    half.held
                );
                output.remark(self.number, &text);
            }
            let unfinished = self.conversation.unfinished(sender);
            if unfinished > 0 {
                let text = format!("{unfinished} bytes of an incomplete frame of the {name}");
                output.remark(self.number, &text);
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
