//! The record of the tested side's frames that expectations are judged on.

use std::collections::BTreeMap;

use crate::protocol::Protocol;

/// The frames of the tested side on a connection.
#[derive(Debug)]
pub(crate) struct Record<P: Protocol> {
    /// The number of frames; a header block counts once.
    pub(crate) messages: usize,
    pub(crate) settings: Vec<P::Settings>,
    pub(crate) settings_acks: usize,
    /// PINGs that answer ours; in SPDY, where both have one form, all PINGs.
    pub(crate) pings: Vec<P::Ping>,
    /// The last stream and the reason of each GOAWAY; SPDY/2 has no reason.
    pub(crate) go_aways: Vec<(u32, Option<P::GoAway>)>,
    /// The sum of WINDOW_UPDATE for the connection.
    pub(crate) credit: u64,
    pub(crate) streams: BTreeMap<u32, Stream<P>>,
    /// The streams of a client's requests, in their order.
    pub(crate) requests: Vec<u32>,
    /// The number of requests at the last mark.
    pub(crate) mark: usize,
    /// The end of the transport, in words.
    pub(crate) closed: Option<String>,
}

/// The frames of the tested side on a stream.
#[derive(Debug)]
pub(crate) struct Stream<P: Protocol> {
    /// The head of a request or of a final response was received.
    pub(crate) opened: bool,
    /// The status of the final response.
    pub(crate) status: Option<u16>,
    pub(crate) informational: Vec<u16>,
    /// Content of DATA frames, in bytes.
    pub(crate) content: u64,
    pub(crate) ended: bool,
    /// The codes of RST_STREAM.
    pub(crate) resets: Vec<P::Code>,
    /// The sum of WINDOW_UPDATE.
    pub(crate) credit: u64,
}

impl<P: Protocol> Stream<P> {
    pub(crate) fn is_over(&self) -> bool {
        self.ended || !self.resets.is_empty()
    }

    /// The code of the first RST_STREAM.
    pub(crate) fn reset(&self) -> Option<P::Code> {
        self.resets.first().copied()
    }
}

impl<P: Protocol> Record<P> {
    pub(crate) fn new() -> Self {
        Self {
            messages: 0,
            settings: Vec::new(),
            settings_acks: 0,
            pings: Vec::new(),
            go_aways: Vec::new(),
            credit: 0,
            streams: BTreeMap::new(),
            requests: Vec::new(),
            mark: 0,
            closed: None,
        }
    }

    /// The stream, if a frame was received on it.
    pub(crate) fn stream(&self, id: u32) -> Option<&Stream<P>> {
        self.streams.get(&id)
    }

    /// Returns whether the stream has ended, or was reset.
    pub(crate) fn is_over(&self, id: u32) -> bool {
        self.stream(id).is_some_and(Stream::is_over)
    }

    /// The credit that was received for a stream, or for the connection (0).
    pub(crate) fn credit(&self, id: u32) -> u64 {
        match id {
            0 => self.credit,
            id => self.stream(id).map_or(0, |stream| stream.credit),
        }
    }

    /// A GOAWAY with this reason was received.
    pub(crate) fn has_go_away(&self, reason: P::GoAway) -> bool {
        let mut reasons = self.go_aways.iter().map(|(_, received)| *received);
        reasons.any(|received| received == Some(reason))
    }

    /// The number of requests since the mark.
    pub(crate) fn since_mark(&self) -> usize {
        self.requests.len().saturating_sub(self.mark)
    }

    /// Adds content of DATA.
    pub(crate) fn add_content(&mut self, id: u32, bytes: usize, end: bool) {
        let stream = self.entry(id);
        let bytes = u64::try_from(bytes).unwrap_or(u64::MAX);
        stream.content = stream.content.saturating_add(bytes);
        stream.ended |= end;
    }

    /// Adds the increment of a WINDOW_UPDATE.
    pub(crate) fn add_credit(&mut self, id: u32, increment: u32) {
        let credit = match id {
            0 => &mut self.credit,
            id => &mut self.entry(id).credit,
        };
        *credit = credit.saturating_add(u64::from(increment));
    }

    /// The stream, inserted if it is new.
    pub(crate) fn entry(&mut self, id: u32) -> &mut Stream<P> {
        self.streams.entry(id).or_insert_with(|| Stream {
            opened: false,
            status: None,
            informational: Vec::new(),
            content: 0,
            ended: false,
            resets: Vec::new(),
            credit: 0,
        })
    }
}
