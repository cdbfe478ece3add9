//! The course of one stream, as a page draws it.

use serde::Serialize;

use super::sample::{Stall, StreamSample};

/// Changes of state that are drawn; later ones replace the last.
const MAX_MARKS: usize = 24;

/// The letters of a path that are shown.
const MAX_PATH: usize = 160;

/// The state of a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Phase {
    /// The response has not begun.
    Waiting,
    /// It moves, or could.
    Moving,
    #[serde(untagged)]
    Stalled(Stall),
}

/// The number of a connection, and its protocol.
pub(super) type ConnectionName = (u32, &'static str);

/// The course of one stream. Times are milliseconds since the start of the board.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Record {
    pub(super) connection: u32,
    pub(super) id: u32,
    pub(super) protocol: &'static str,
    pub(super) method: String,
    /// Without its query, which may hold secrets.
    pub(super) path: String,
    pub(super) status: Option<u16>,
    pub(super) begin: u64,
    pub(super) end: Option<u64>,
    pub(super) sent: u64,
    pub(super) received: u64,
    pub(super) window: Option<u64>,
    /// The code of its reset, and who sent it.
    pub(super) reset: Option<String>,
    marks: Vec<(u64, Phase)>,
    /// It began before anybody watched.
    is_earlier: bool,
    #[serde(skip)]
    moved: (u32, u32),
    #[serde(skip)]
    pub(super) before: (u64, u64),
    /// Bytes that are with the engine.
    #[serde(skip)]
    pub(super) given: u64,
    /// Bytes that have arrived.
    #[serde(skip)]
    pub(super) taken: u64,
    /// All of the response is with the engine since then.
    #[serde(skip)]
    pub(super) handed_over: Option<u64>,
    #[serde(skip)]
    pub(super) is_changed: bool,
}

impl Record {
    pub(super) fn new(
        connection: ConnectionName,
        id: u32,
        method: &str,
        path: &str,
        now: u64,
    ) -> Self {
        let path = path.split(['?', '#']).next().unwrap_or_default();
        Self {
            connection: connection.0,
            protocol: connection.1,
            id,
            method: shortened(method),
            path: shortened(path),
            status: None,
            begin: now,
            end: None,
            sent: 0,
            received: 0,
            window: None,
            reset: None,
            marks: vec![(now, Phase::Waiting)],
            is_earlier: false,
            moved: (0, 0),
            before: (0, 0),
            given: 0,
            taken: 0,
            handed_over: None,
            is_changed: true,
        }
    }

    /// A stream that was open before anybody watched.
    pub(super) fn earlier(connection: ConnectionName, sample: &StreamSample, now: u64) -> Self {
        Self {
            is_earlier: true,
            moved: (sample.sent, sample.received),
            sent: u64::from(sample.sent),
            received: u64::from(sample.received),
            marks: vec![(now, Phase::Moving)],
            ..Self::new(connection, sample.id, "", "", now)
        }
    }

    pub(super) fn answered(&mut self, status: u16, now: u64) {
        self.status = Some(status);
        self.is_changed = true;
        self.enter(Phase::Moving, now);
    }

    /// Takes the state that was found at a tick.
    pub(super) fn sampled(&mut self, sample: &StreamSample, now: u64) {
        let sent = sample.sent.wrapping_sub(self.moved.0);
        let received = sample.received.wrapping_sub(self.moved.1);
        self.moved = (sample.sent, sample.received);
        self.sent = self.sent.saturating_add(u64::from(sent));
        self.received = self.received.saturating_add(u64::from(received));
        self.is_changed |= sent > 0 || received > 0 || self.window != sample.window;
        self.window = sample.window;
        self.stalled(sample.stall, now);
    }

    /// Takes the cause of its wait, if it waits.
    pub(super) fn stalled(&mut self, stall: Option<Stall>, now: u64) {
        let begun = self.status.is_some() || self.is_earlier;
        self.enter(
            match stall {
                Some(stall) => Phase::Stalled(stall),
                None if begun => Phase::Moving,
                None => Phase::Waiting,
            },
            now,
        );
    }

    pub(super) fn finish(&mut self, at: u64) {
        self.end = Some(at.max(self.begin));
        if self.reset.is_none() {
            // It may have ended between two samples.
            self.sent = self.sent.max(self.given);
        }
        self.received = self.received.max(self.taken);
        self.is_changed = true;
    }

    fn enter(&mut self, phase: Phase, now: u64) {
        let full = self.marks.len() >= MAX_MARKS;
        match self.marks.last_mut() {
            Some((_, last)) if *last == phase => return,
            Some((_, last)) if full => *last = phase,
            Some((since, last)) if *since == now => *last = phase,
            _ => self.marks.push((now, phase)),
        }
        self.is_changed = true;
    }
}

fn shortened(text: &str) -> String {
    let mut short: String = text.chars().take(MAX_PATH).collect();
    if short.len() < text.len() {
        short.push('…');
    }
    short
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_is_never_shown_and_a_path_is_short() {
        let record = Record::new((1, "h2"), 3, "GET", "/a/b?token=secret#part", 5);
        assert_eq!(record.path, "/a/b");
        let record = Record::new((1, "h2"), 3, "GET", &"é".repeat(500), 5);
        assert_eq!(record.path.chars().count(), MAX_PATH + 1);
        let json = serde_json::to_string(&record).unwrap();
        assert!(!json.contains("secret"), "{json}");
    }

    #[test]
    fn changes_of_state_are_bounded() {
        let mut record = Record::new((1, "h2"), 3, "GET", "/", 0);
        record.answered(200, 1);
        for now in 0..200 {
            let stall = (now % 2 == 0).then_some(Stall::StreamWindow);
            record.stalled(stall, now + 2);
        }
        assert_eq!(record.marks.len(), MAX_MARKS);
        assert_eq!(record.marks.last().unwrap().1, Phase::Moving);
        let json = serde_json::to_value(&record).unwrap();
        assert_eq!(json["marks"][0], serde_json::json!([0, "waiting"]));
        assert_eq!(json["marks"][2], serde_json::json!([2, "stream_window"]));
    }

    #[test]
    fn bytes_are_counted_beyond_32_bits() {
        let sample = |sent| StreamSample {
            id: 3,
            sent,
            received: 0,
            window: None,
            stall: None,
        };
        let mut record = Record::new((1, "h2"), 3, "GET", "/", 0);
        record.sampled(&sample(u32::MAX - 1), 1);
        record.sampled(&sample(9), 2);
        assert_eq!(record.sent, (1 << 32) + 9);
    }
}
