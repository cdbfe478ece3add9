//! What the user wants, and how it becomes frames.

use std::time::Instant;

use bytes::Bytes;
use http::{HeaderMap, header::CONTENT_LENGTH};

use super::{Engine, Phase, Transmit, UsageError};
use crate::proto::{
    Head, Semantics, StreamKey,
    content::{self, Content},
    streams::{
        Ending, Source,
        state::{Half, Part},
    },
    wire::SendKind,
};

/// A body this small goes out with its head at once if nobody waits.
const AT_ONCE: usize = 4096;

impl Engine {
    /// Sends an informational (1xx) response ahead of the reply.
    pub fn inform(&mut self, stream: StreamKey, mut head: Head) -> Result<(), UsageError> {
        let informational = head
            .status()
            .is_some_and(|status| status.is_informational());
        if !informational {
            return Err(UsageError::WrongHead);
        }
        if !self.rules.capabilities.informational {
            return Err(UsageError::Unsupported);
        }
        let open = self.streams.get(stream).ok_or(UsageError::StreamClosed)?;
        if open.state.send() != Half::Waiting {
            return Err(UsageError::AlreadyReplied);
        }
        content::of_our_response(&mut head, open.asked)?;
        self.wire.headers(
            stream.id(),
            SendKind::Reply,
            &head,
            false,
            self.output.buffer(),
        )?;
        Ok(())
    }

    /// Sends the head of the reply. `fin`: no body follows. A content-length
    /// that may not be sent is left out: with 204 and 205, and where a 2xx to
    /// CONNECT opens a tunnel (RFC 9110 §8.6).
    pub fn reply(
        &mut self,
        stream: StreamKey,
        mut head: Head,
        fin: bool,
    ) -> Result<(), UsageError> {
        let informational = head
            .status()
            .is_some_and(|status| status.is_informational());
        let response = head.status().is_some();
        if informational || (self.config.semantics == Semantics::Http && !response) {
            return Err(UsageError::WrongHead);
        }
        let open = self
            .streams
            .get_mut(stream)
            .ok_or(UsageError::StreamClosed)?;
        // With pushes to come, the end comes behind them.
        let waits = fin && open.send.behind > 0;
        let fin = fin && !waits;
        let after = open.state.after_send(Part::Head { fin });
        let after = after.map_err(|_| UsageError::AlreadyReplied)?;
        let content = content::of_our_response(&mut head, open.asked)?;
        let status = head.status();
        if open.push.is_some() {
            self.reply_to_push(stream, head, fin)?;
        } else {
            let out = self.output.buffer();
            self.wire
                .headers(stream.id(), SendKind::Reply, &head, fin, out)?;
        }
        if let Some(open) = self.streams.get_mut(stream) {
            open.state = after;
            open.note_reply(status);
            open.send.content = content;
            if waits {
                open.send.ending = Ending::Fin;
            }
        }
        self.send_held_pushes(self.clock);
        if fin {
            self.settle(stream);
        }
        Ok(())
    }

    /// Bytes that the windows let this stream send now.
    pub fn send_capacity(&self, stream: StreamKey) -> usize {
        match self.streams.get(stream) {
            Some(open) if open.state.send() == Half::Open => {
                open.send.window.available().min(self.flow.send_available())
            }
            _ => 0,
        }
    }

    /// The stream's source may have data: it is asked, by
    /// [`Transmit::Pull`], when it is its turn and the windows are open.
    pub fn offer(&mut self, stream: StreamKey) {
        if let Some(open) = self.streams.get_mut(stream) {
            open.send.source = Source::Offered;
            self.schedule(stream);
        }
    }

    /// Hands over data of any size, and with `fin` the end of our half. Refused
    /// as [`Busy`](UsageError::Busy) while earlier data of this stream waits.
    pub fn send_data(
        &mut self,
        stream: StreamKey,
        data: Bytes,
        fin: bool,
    ) -> Result<(), UsageError> {
        let open = self.writable(stream)?;
        if open.send.content == Content::None && !data.is_empty() {
            return Err(UsageError::ContentForbidden);
        }
        open.send.source.answered(fin);
        if data.is_empty() {
            if fin {
                open.send.ending = Ending::Fin;
                self.end(stream);
            }
            return Ok(());
        }
        let room = if open.is_waiting() {
            0
        } else {
            open.send.window.available()
        };
        open.send.pending = data;
        if fin {
            open.send.ending = Ending::Fin;
        }
        let len = open.send.pending.len();
        let lonely = self.scheduler.front().is_none_or(|front| front == stream);
        if len <= AT_ONCE
            && lonely
            && len
                <= room
                    .min(self.flow.send_available())
                    .min(self.wire.max_data())
            && self.output.len() < self.config.limits.cut_ahead
        {
            self.cut(stream, len);
            return Ok(());
        }
        self.schedule(stream);
        Ok(())
    }

    /// Ends our half with trailers, after the data that still waits. A
    /// content-length, which no trailers may have, is left out (RFC 9110
    /// §6.5.1).
    pub fn send_trailers(
        &mut self,
        stream: StreamKey,
        mut fields: HeaderMap,
    ) -> Result<(), UsageError> {
        let open = self
            .streams
            .get_mut(stream)
            .ok_or(UsageError::StreamClosed)?;
        match open.state.send() {
            Half::Waiting => return Err(UsageError::NoHead),
            Half::Closed => return Err(UsageError::HalfClosed),
            Half::Open if !open.send.ending.is_open() => return Err(UsageError::HalfClosed),
            Half::Open if open.is_tunnel() => return Err(UsageError::Unsupported),
            // Nor has it trailers (RFC 9110 §15.3.5, §15.4.5).
            Half::Open if open.send.content == Content::None => {
                return Err(UsageError::ContentForbidden);
            }
            Half::Open => {}
        }
        open.send.source.answered(true);
        if self.config.semantics == Semantics::Http {
            fields.remove(CONTENT_LENGTH);
        }
        open.send.ending = Ending::Trailers(Box::new(fields));
        self.end(stream);
        Ok(())
    }

    /// Sends header fields in the middle of our half: a SPDY HEADERS frame.
    pub fn send_headers(&mut self, stream: StreamKey, fields: HeaderMap) -> Result<(), UsageError> {
        if !self.rules.headers_anywhere {
            return Err(UsageError::Unsupported);
        }
        if self.writable(stream)?.is_held() {
            return Err(UsageError::Busy);
        }
        let head = Head::fields(fields);
        self.wire.headers(
            stream.id(),
            SendKind::More,
            &head,
            false,
            self.output.buffer(),
        )?;
        Ok(())
    }

    /// The stream, if data may be handed over now.
    fn writable(
        &mut self,
        stream: StreamKey,
    ) -> Result<&mut crate::proto::streams::Stream, UsageError> {
        let open = self
            .streams
            .get_mut(stream)
            .ok_or(UsageError::StreamClosed)?;
        match open.state.send() {
            Half::Waiting => Err(UsageError::NoHead),
            Half::Closed => Err(UsageError::HalfClosed),
            Half::Open if !open.send.ending.is_open() => Err(UsageError::HalfClosed),
            Half::Open if !open.send.pending.is_empty() => Err(UsageError::Busy),
            Half::Open => Ok(open),
        }
    }

    /// The user still works on the stream: it counts against
    /// `max_concurrent_streams` until [`finish`](Self::finish), even if the
    /// peer resets it (Rapid Reset, CVE-2023-44487).
    pub fn retain(&mut self, stream: StreamKey) {
        if let Some(open) = self.streams.get_mut(stream) {
            open.retained = true;
        }
    }

    /// The user is done with a stream that it [retained](Self::retain).
    pub fn finish(&mut self, stream: StreamKey) {
        match self.streams.get_mut(stream) {
            Some(open) => {
                open.retained = false;
                self.settle(stream);
            }
            // Our own streams never count among those that are gone.
            None if stream.id().opener() == Some(self.config.side) => {}
            None => self.streams.finish_orphan(),
        }
    }

    /// The user reads no more of this stream's body: what comes is discarded
    /// and its credit given back, with no events; once our half has ended, the
    /// peer is told to stop (RFC 9113 §8.1: RST_STREAM with NO_ERROR after a
    /// complete response).
    pub fn abandon(&mut self, stream: StreamKey) {
        let Some(open) = self.streams.get_mut(stream) else {
            return;
        };
        open.recv.reader.discard();
        let held = open.recv.unreleased;
        self.release(stream, held);
    }

    /// Gives receive credit back: the user consumed `len` bytes of this
    /// stream's data.
    pub fn release(&mut self, stream: StreamKey, len: usize) {
        let Some(open) = self.streams.get_mut(stream) else {
            return;
        };
        let len = len.min(open.recv.unreleased);
        open.recv.unreleased = open.recv.unreleased.saturating_sub(len);
        self.flow.let_go(len);
        if self.phase != Phase::Closed {
            self.give_back(Some(stream), len);
        }
        self.settle(stream);
    }

    /// Cuts DATA frames, most urgent streams first, until the output holds
    /// `cut_ahead` bytes, a source must be asked, or nothing is left.
    pub fn poll_transmit(&mut self, now: Instant) -> Transmit {
        self.clock = now;
        let transmit = self.cut_frames();
        self.finish_sending();
        self.watch_output(now);
        transmit
    }

    fn cut_frames(&mut self) -> Transmit {
        if self.phase == Phase::Closed {
            return Transmit::Idle;
        }
        loop {
            let Some(key) = self.scheduler.front() else {
                return Transmit::Idle;
            };
            if self.output.len() >= self.config.limits.cut_ahead {
                self.counters.stalls.transport = self.counters.stalls.transport.saturating_add(1);
                return Transmit::Write;
            }
            let connection = self.flow.send_available();
            let Some(stream) = self.streams.get_mut(key) else {
                self.scheduler.pop();
                continue;
            };
            let room = stream.send.window.available();
            if !stream.wants_to_send() || room == 0 {
                let stalls = &mut self.counters.stalls.stream_window;
                *stalls = stalls.saturating_add(u64::from(stream.wants_to_send()));
                stream.send.scheduled = false;
                stream.send.source.answered(true);
                self.scheduler.pop();
                continue;
            }
            let room = room.min(connection);
            if room == 0 {
                // Blocked on the connection: streams keep their places.
                if self.forget_connection_window() {
                    continue;
                }
                if self.flow.note_stall() {
                    let stalls = &mut self.counters.stalls.connection_window;
                    *stalls = stalls.saturating_add(1);
                }
                return Transmit::Idle;
            }
            if stream.send.pending.is_empty() {
                stream.send.source = Source::Asked;
                return Transmit::Pull {
                    stream: key,
                    max: room,
                };
            }
            let len = room
                .min(self.wire.max_data())
                .min(stream.send.pending.len());
            self.cut(key, len);
        }
    }

    /// Cuts one DATA frame. Only here are send windows debited.
    fn cut(&mut self, key: StreamKey, len: usize) {
        let Some(stream) = self.streams.get_mut(key) else {
            return;
        };
        let data = if len == stream.send.pending.len() {
            std::mem::take(&mut stream.send.pending)
        } else {
            stream.send.pending.split_to(len)
        };
        let done = stream.send.pending.is_empty();
        let fin = done && matches!(stream.send.ending, Ending::Fin);
        stream.send.window.debit(len);
        self.flow.debit_send(len);
        self.counters.data_sent = self.counters.data_sent.saturating_add(len as u64);
        let incremental = stream.priority.incremental();
        let scheduled = stream.send.scheduled;
        self.wire
            .data_head(key.id(), len, fin, self.output.buffer());
        self.output.append(data);
        if done && !stream.send.ending.is_open() {
            if fin {
                stream.state.close_send();
                stream.send.source = Source::None;
                self.unschedule(key);
                self.settle(key);
            } else {
                self.finish_half(key);
            }
        } else if scheduled {
            self.scheduler.served(len, incremental);
        } else {
            self.schedule(key);
        }
    }

    /// Ends our half with an empty frame, or with trailers, now: no data
    /// waits.
    fn finish_half(&mut self, key: StreamKey) {
        let Some(stream) = self.streams.get_mut(key) else {
            return;
        };
        stream.state.close_send();
        stream.send.source = Source::None;
        match std::mem::take(&mut stream.send.ending) {
            Ending::Trailers(fields) => {
                let head = Head::fields(*fields);
                let (kind, out) = (SendKind::More, self.output.buffer());
                if self.wire.headers(key.id(), kind, &head, true, out).is_err() {
                    // Trailers that do not fit are left out: the body before
                    // them is whole.
                    self.wire.data_head(key.id(), 0, true, self.output.buffer());
                }
            }
            _ => self.wire.data_head(key.id(), 0, true, self.output.buffer()),
        }
        self.unschedule(key);
        self.settle(key);
    }

    /// Ends our half if no data waits, nor the stream itself.
    pub(super) fn end(&mut self, key: StreamKey) {
        let at_end = self.streams.get(key).is_some_and(|stream| {
            !stream.send.ending.is_open() && stream.send.pending.is_empty() && !stream.is_waiting()
        });
        if at_end {
            self.finish_half(key);
        }
    }

    /// Queues the stream if it has something to send and a window for it.
    pub(super) fn schedule(&mut self, key: StreamKey) {
        let Some(stream) = self.streams.get_mut(key) else {
            return;
        };
        if !stream.send.scheduled && stream.wants_to_send() && stream.send.window.available() > 0 {
            stream.send.scheduled = true;
            self.scheduler.push(key, stream.priority);
        }
    }

    pub(super) fn unschedule(&mut self, key: StreamKey) {
        let Some(stream) = self.streams.get_mut(key) else {
            return;
        };
        if !std::mem::take(&mut stream.send.scheduled) {
            return;
        }
        if self.scheduler.front() == Some(key) {
            self.scheduler.pop();
        } else {
            self.scheduler.remove(key, stream.priority);
        }
    }
}
