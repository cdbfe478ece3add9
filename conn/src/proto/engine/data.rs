//! DATA and WINDOW_UPDATE of the peer.

use std::time::Instant;

use bytes::{Bytes, BytesMut};

use super::Engine;
use crate::proto::{
    Event, Outcome, Rule, StreamId, StreamKey,
    charges::CHEAP_DATA,
    ids::Standing,
    rules::{PushStyle, Rules},
    streams::{
        Reader, Stream,
        state::{Misplaced, Part},
    },
    wire::Data,
};

impl Engine {
    /// Returns the content of a message whose head was the last event, if one frame of at most
    /// `max` bytes at the front of `input` has all of it. It needs no further event, and is to be
    /// [released](super::StreamMut::release) like that of [`Event::Data`].
    pub fn poll_all_content(
        &mut self,
        now: Instant,
        stream: StreamKey,
        max: usize,
        input: &mut BytesMut,
    ) -> Option<Bytes> {
        let len = self.wire.last_data(stream.id(), max, input)?;
        // The caller has not seen the head yet. So nothing may end the stream here: a handler that
        // starts after its stream has ended counts nowhere (MadeYouReset, CVE-2025-8671).
        if !self.events.is_empty() || !self.wants_input() || !self.takes_last_data(stream, len) {
            return None;
        }
        match self.receive(now, input) {
            Ok(Some(Event::Data { data, .. })) => Some(data),
            Ok(event) => {
                event.into_iter().for_each(|event| self.push_event(event));
                None
            }
            Err(broken) => {
                self.handle_broken(now, broken);
                None
            }
        }
    }

    /// Returns whether DATA of this length, without padding, may end the peer's half of a stream
    /// that is read.
    fn takes_last_data(&self, stream: StreamKey, len: usize) -> bool {
        let (Some(stream), Ok(flow)) = (self.streams.get(stream), u32::try_from(len)) else {
            return false;
        };
        // Copies: nothing is taken yet.
        let (mut window, mut content) = (stream.recv.window, stream.content);
        stream.recv.reader == Reader::Reading
            && stream.check_recv(Part::Data { fin: true }).is_ok()
            && content.count_down(len, true).is_ok()
            && window.debit(flow).is_ok()
            && self.flow.permits(flow)
    }

    pub(super) fn handle_data(&mut self, now: Instant, frame: Data) -> Outcome {
        let (id, flow_len, fin) = (frame.stream, frame.flow_len, frame.fin);
        if id.value() == 0 {
            return Err(Rule::StreamIdParity.fatal());
        }
        if self.flow.debit_recv(flow_len).is_err() {
            return Err(Rule::ConnectionWindowExceeded.fatal());
        }
        let flow = usize::try_from(flow_len).unwrap_or(usize::MAX);
        let received = &mut self.counters.data_received;
        *received = received.saturating_add(u64::from(flow_len));
        let Some(key) = self.streams.find(id) else {
            self.flow.count(None, flow);
            self.give_back(now, None, flow);
            return self.handle_stray_data(now, &frame);
        };
        self.flow.count(Some(key), flow);
        let Some(stream) = self.streams.get_mut(key) else {
            return Ok(None);
        };
        if let Err(rule) = take_data(self.rules, stream, &frame) {
            self.give_back(now, None, flow);
            return self.broken_by_content(now, rule, key, fin);
        }
        let data = frame.data;
        if data.is_empty() && !fin {
            self.give_back(now, Some(key), flow);
            return self.useless(now);
        }
        if stream.recv.reader != Reader::Reading {
            // A lingering stream gets no more window: the client is to stop.
            let credited = (stream.recv.reader != Reader::Lingering).then_some(key);
            self.give_back(now, credited, flow);
            if fin {
                self.close_if_done(now, key);
            }
            if data.len() < CHEAP_DATA && !fin {
                return self.useless(now);
            }
            return Ok(None);
        }
        stream.recv.unreleased = stream.recv.unreleased.saturating_add(data.len());
        self.flow.hold(data.len());
        self.give_back(now, Some(key), flow.saturating_sub(data.len()));
        if fin {
            self.close_if_done(now, key);
        }
        Ok(Some(Event::Data {
            stream: key,
            data,
            fin,
        }))
    }

    /// DATA without an open stream.
    fn handle_stray_data(&mut self, now: Instant, frame: &Data) -> Outcome {
        let id = frame.stream;
        let rule = match self.ids.standing(id) {
            Standing::ResetByUs if frame.data.len() >= CHEAP_DATA => return Ok(None),
            Standing::ResetByUs | Standing::BeyondGoAway => return self.useless(now),
            // One frame may arrive in many pieces, and is answered once.
            Standing::Idle if self.ids.was_reset(id) => return self.useless(now),
            Standing::Idle => Rule::DataOnIdleStream,
            Standing::PassedOver | Standing::Closed => Rule::DataOnClosedStream,
        };
        Err(rule.on(id))
    }

    /// Drops the connection's send window if a peer of uncertain version does not know of it. The
    /// sign is that the peer grants streams more than the initial window, and the connection
    /// nothing while its window is used up. Returns `true` if the window was dropped.
    pub(super) fn forget_connection_window(&mut self) -> bool {
        let raised = self.peer.stream_window() > self.rules.stream_window;
        raised && self.flow.forget_send_window()
    }

    pub(super) fn handle_credit(
        &mut self,
        now: Instant,
        stream: Option<StreamId>,
        increment: u32,
    ) -> Outcome {
        self.charges
            .window_update(&self.config.limits, now, self.counters.data_sent)?;
        let Some(id) = stream else {
            return match self.flow.credit_send(increment) {
                Ok(()) => Ok(None),
                Err(_) => Err(Rule::ConnectionWindowOverflow.fatal()),
            };
        };
        let Some(key) = self.streams.find(id) else {
            return match self.ids.standing(id) {
                Standing::Idle => Err(Rule::WindowUpdateOnIdleStream.on(id)),
                // It may have crossed the end of its stream (RFC 9113 §5.1).
                _ => self.useless(now),
            };
        };
        let reserved = self.streams.get(key).is_some_and(Stream::is_reserved);
        if reserved && self.rules.push == PushStyle::Promise {
            let rule = Rule::FrameOnReservedStream;
            return Err(rule.on(id));
        }
        let credited = self
            .streams
            .get_mut(key)
            .map(|open| open.send.window.credit(increment));
        if let Some(Err(_)) = credited {
            return Err(Rule::StreamWindowOverflow.on(id));
        }
        // A peer with a connection window credits it before a stream's window of the same initial
        // size. A peer that credits the stream first, while we wait for the other, has none.
        self.flow.forget_send_window();
        self.schedule(key);
        Ok(None)
    }
}

/// Takes a DATA frame into the stream: its state, window and content.
fn take_data(rules: &Rules, stream: &mut Stream, frame: &Data) -> Result<(), Rule> {
    let fin = frame.fin;
    match stream.check_recv(Part::Data { fin }) {
        Ok(()) => {}
        Err(_) if rules.push == PushStyle::Promise && stream.is_reserved() => {
            return Err(Rule::FrameOnReservedStream);
        }
        Err(Misplaced::BeforeHead | Misplaced::SecondHead) => return Err(Rule::DataBeforeReply),
        Err(Misplaced::AfterEnd) => return Err(Rule::DataAfterEnd),
    }
    if let Some(rule) = frame.broken {
        return Err(rule);
    }
    let debited = stream.recv.window.debit(frame.flow_len);
    debited.map_err(|_| Rule::StreamWindowExceeded)?;
    stream.content.count_down(frame.data.len(), fin)?;
    stream.progress.count_received(frame.data.len());
    stream.recv_data(fin);
    stream.begin_body();
    Ok(())
}
