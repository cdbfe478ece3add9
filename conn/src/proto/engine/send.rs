//! Data on its way out: cut into frames in the order of the scheduler.

use std::time::Instant;

use bytes::Bytes;

use super::{Engine, Transmit};
use crate::proto::{
    Head, StreamKey, memory,
    streams::{Ending, Source},
    wire::SendKind,
};

impl Engine {
    /// Cuts DATA frames, most urgent streams first, until the output holds
    /// `cut_ahead` bytes, a source must be asked, or nothing is left.
    pub fn poll_transmit(&mut self, now: Instant) -> Transmit {
        let transmit = self.cut_frames(now);
        self.finish_sending();
        self.watch_output(now);
        self.start_sweep(now);
        transmit
    }

    fn cut_frames(&mut self, now: Instant) -> Transmit {
        if self.shutdown.is_closed() {
            return Transmit::Idle;
        }
        loop {
            let Some(key) = self.streams.front() else {
                return Transmit::Idle;
            };
            if self.wire.output.len() >= self.config.limits.cut_ahead {
                let stalls = &mut self.counters.stalls().transport;
                *stalls = stalls.saturating_add(1);
                return Transmit::Write;
            }
            let connection = self.flow.send_available();
            let Some(stream) = self.streams.get_mut(key) else {
                return Transmit::Idle;
            };
            let room = stream.send.window.available();
            if !stream.wants_to_send() || room == 0 {
                if stream.wants_to_send() {
                    let stalls = &mut self.counters.stalls().stream_window;
                    *stalls = stalls.saturating_add(1);
                }
                self.progress.watch_streams();
                stream.send.source.answered(true);
                self.streams.dequeue(key);
                continue;
            }
            let room = room.min(connection);
            if room == 0 {
                // Blocked on the connection: streams keep their places.
                if self.forget_connection_window() {
                    continue;
                }
                self.progress.watch_streams();
                if self.flow.note_stall() {
                    let stalls = &mut self.counters.stalls().connection_window;
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
            self.cut(now, key, len);
        }
    }

    /// Cuts one DATA frame. Only here are send windows debited.
    pub(super) fn cut(&mut self, now: Instant, key: StreamKey, len: usize) {
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
        stream.progress.count_sent(len);
        self.flow.debit_send(len);
        self.counters.data_sent = self.counters.data_sent.saturating_add(len as u64);
        self.charges.sent_data();
        let (priority, queued) = (stream.priority, stream.is_queued());
        let charged = stream.is_charged_for_unsent();
        self.wire.data(key.id(), data, fin);
        if done && !stream.send.ending.is_open() {
            if fin {
                stream.send_end_stream();
                stream.send.source = Source::None;
                self.streams.dequeue(key);
                self.close_if_done(now, key);
            } else {
                self.finish_half(now, key);
            }
        } else if queued {
            self.streams.served(len, priority);
        } else {
            self.schedule(key);
        }
        if charged {
            self.streams.release_unsent(key, len);
        }
    }

    /// Ends our half with an empty frame, or with trailers, now: no data
    /// waits.
    fn finish_half(&mut self, now: Instant, key: StreamKey) {
        let Some(stream) = self.streams.get_mut(key) else {
            return;
        };
        stream.send_end_stream();
        stream.send.source = Source::None;
        match std::mem::take(&mut stream.send.ending) {
            Ending::Trailers(fields) => {
                let head = Head::fields(*fields);
                let sent = self.wire.headers(key.id(), SendKind::More, &head, true);
                if sent.is_err() {
                    // Trailers that do not fit are left out: the body before
                    // them is whole.
                    self.wire.data(key.id(), Bytes::new(), true);
                }
            }
            _ => self.wire.data(key.id(), Bytes::new(), true),
        }
        self.streams.release_unsent(key, usize::MAX);
        self.streams.dequeue(key);
        self.close_if_done(now, key);
    }

    /// Ends our half if no data waits, nor the stream itself.
    pub(super) fn end(&mut self, now: Instant, key: StreamKey) {
        let at_end = self.streams.get(key).is_some_and(|stream| {
            !stream.send.ending.is_open() && stream.send.pending.is_empty() && !stream.is_waiting()
        });
        if at_end {
            self.finish_half(now, key);
        }
    }

    /// Charges the data of a stream that waits.
    pub(super) fn hold_unsent_data(&mut self, key: StreamKey) {
        let stream = self.streams.get(key);
        let memory = stream.map(|stream| memory::of_data(&stream.send.pending));
        if let Some(memory) = memory {
            self.streams.hold_unsent(key, memory);
        }
    }

    /// Queues the stream if it has something to send and a window for it.
    pub(super) fn schedule(&mut self, key: StreamKey) {
        let Some(stream) = self.streams.get(key) else {
            return;
        };
        if !stream.wants_to_send() {
            return;
        }
        if stream.send.window.available() > 0 {
            self.streams.queue(key);
        } else {
            self.progress.watch_streams();
        }
    }
}
