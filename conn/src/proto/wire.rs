//! The wires: frames to neutral messages and back. The differences between the
//! protocols on the wire end here: nothing above knows them.

mod fields;
pub(crate) mod foreign;
mod header_bytes;
mod http2;
mod spdy;
mod target;

use std::num::NonZeroU16;

use bytes::{Bytes, BytesMut};

pub(crate) use self::fields::{DeclaredLength, Fields, ListLimit, content_length_of};
pub use self::header_bytes::HeaderBytes;
pub(crate) use self::http2::settings::payload as settings_payload;
use super::{
    AddedFields, Config, Direction, Head, Output, Priority, Reason, Rule, Setting, StreamId,
    Violation,
};

/// The wire of a connection: the codec of its protocol, and the frames that wait to
/// be written. Frames are encoded straight into the output, so the order in which
/// header lists are compressed is the order in which they are sent.
#[derive(Debug)]
pub(crate) struct Wire {
    codec: Codec,
    pub(crate) output: Output,
}

/// Decoder and encoder of one protocol, with their compression contexts.
#[derive(Debug)]
enum Codec {
    Http2(Box<http2::Wire>),
    Spdy(Box<spdy::Wire>),
}

/// What idle codecs hand on.
#[derive(Debug, Default)]
pub(crate) struct Spare {
    /// The box for the next header list.
    fields: Option<Box<Fields>>,
    zlib: spdy::Spare,
}

/// The meaning of a frame of any of the protocols.
#[derive(Debug)]
pub(crate) enum Message {
    /// A header list: SYN_STREAM, SYN_REPLY or HEADERS.
    Headers(Headers),
    /// A server promises a response.
    Promise {
        parent: StreamId,
        promised: StreamId,
        fields: Box<Fields>,
    },
    /// A DATA frame, or a piece of one.
    Data(Data),
    /// RST_STREAM.
    Reset { stream: StreamId, reason: Reason },
    /// SETTINGS; what concerns the wire itself has been obeyed.
    Settings(PeerSettings),
    /// The acknowledgement of our SETTINGS.
    SettingsAck,
    /// PING that needs an answer.
    Ping { opaque: u64 },
    /// The answer to our PING.
    Pong { opaque: u64 },
    /// GOAWAY, with its debug data where it has some.
    GoAway {
        last: StreamId,
        reason: Reason,
        debug: Bytes,
    },
    /// WINDOW_UPDATE of a stream, or (`None`) of the connection.
    Credit {
        stream: Option<StreamId>,
        increment: u32,
    },
    /// A stream's new priority.
    Priority {
        stream: StreamId,
        priority: Priority,
    },
    /// An alternative service (ALTSVC), for an origin or for that of a stream's request.
    Alternative {
        stream: Option<StreamId>,
        origin: Option<Bytes>,
        value: Bytes,
    },
    /// The origins that the connection is good for (ORIGIN).
    Origins(Vec<Bytes>),
    /// A frame that is legal and of no use here.
    Ignored,
}

/// A DATA frame, or a piece of one.
#[derive(Debug)]
pub(crate) struct Data {
    pub(crate) stream: StreamId,
    pub(crate) data: Bytes,
    /// Bytes that it takes from the windows, padding included.
    pub(crate) flow_len: u32,
    pub(crate) fin: bool,
    /// The rule that its head breaks.
    pub(crate) broken: Option<Rule>,
}

/// A header list with what its frame says.
#[derive(Debug)]
pub(crate) struct Headers {
    pub(crate) stream: StreamId,
    pub(crate) kind: HeadersKind,
    pub(crate) fields: Box<Fields>,
    pub(crate) fin: bool,
    pub(crate) priority: Option<Priority>,
    pub(crate) unidirectional: bool,
    /// The stream that it belongs to: of a push, or of a raw stream.
    pub(crate) associated: Option<StreamId>,
}

/// The effect of a header list on its stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum HeadersKind {
    /// As the stream's state decides: open, reply or trailers.
    ByState,
    /// Open the stream.
    Open,
    /// Reply on the stream.
    Reply,
    /// Add to the fields before.
    More,
}

/// The meaning of the peer's SETTINGS.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct PeerSettings {
    /// All of them, in their order.
    pub(crate) all: Vec<Setting>,
    /// Those that the peer asks us to keep for its next connection.
    pub(crate) keep: Vec<Setting>,
    /// Settings that we kept before are to be forgotten.
    pub(crate) forget: bool,
    /// Those that we once asked the peer to keep.
    pub(crate) returned: Vec<Setting>,
    pub(crate) max_concurrent_streams: Option<u32>,
    pub(crate) initial_window: Option<u32>,
    pub(crate) enable_push: Option<bool>,
    pub(crate) extended_connect: Option<bool>,
}

/// The effect of a header list of ours on its stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SendKind {
    /// Opens it.
    Open {
        priority: Priority,
        direction: Direction,
        parent: Option<StreamId>,
    },
    /// Opens a pushed stream that belongs to `parent`.
    Push { parent: StreamId },
    /// Replies on it.
    Reply,
    /// Replies on a stream that was pushed.
    PushReply,
    /// Adds header fields.
    More,
}

/// The reason that the protocol cannot carry a message. Nothing was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unencodable {
    /// It has no such frame.
    NoSuchFrame,
    /// Its length fields are too small.
    TooLarge,
}

impl Wire {
    pub(crate) fn new(config: &Config) -> Self {
        let codec = match config.version.spdy_frames() {
            None => Codec::Http2(Box::new(http2::Wire::new(config))),
            Some(version) => Codec::Spdy(Box::new(spdy::Wire::new(version, config))),
        };
        Self {
            codec,
            output: Output::default(),
        }
    }

    /// The next message in `input`, which is consumed as far as frames are
    /// whole. A stream's violation leaves the wire usable.
    #[inline]
    pub(crate) fn decode(&mut self, input: &mut BytesMut) -> Result<Option<Message>, Violation> {
        match &mut self.codec {
            Codec::Http2(wire) => wire.decode(input),
            Codec::Spdy(wire) => wire.decode(input),
        }
    }

    /// Returns the length of the DATA frame, without padding, at the front of `input`, if it is
    /// whole, has at most `max` bytes, and ends this stream.
    #[inline]
    pub(crate) fn last_data(&self, stream: StreamId, max: usize, input: &[u8]) -> Option<usize> {
        match &self.codec {
            Codec::Http2(_) => http2::Wire::last_data(stream, max, input),
            Codec::Spdy(_) => spdy::Wire::last_data(stream, max, input),
        }
    }

    /// Payloads of DATA below this are copied off the input.
    #[inline]
    pub(crate) fn set_copy_below(&mut self, length: usize) {
        match &mut self.codec {
            Codec::Http2(wire) => wire.set_copy_below(length),
            Codec::Spdy(wire) => wire.set_copy_below(length),
        }
    }

    /// A header block has begun and not ended.
    #[inline]
    pub(crate) fn in_header_block(&self) -> bool {
        match &self.codec {
            Codec::Http2(wire) => wire.in_header_block(),
            // A block has one frame.
            Codec::Spdy(_) => false,
        }
    }

    /// A DATA frame has begun and not ended, and its content is passed on in pieces.
    #[inline]
    pub(crate) fn in_data(&self) -> bool {
        match &self.codec {
            // A frame is passed on as a whole.
            Codec::Http2(_) => false,
            Codec::Spdy(wire) => wire.in_data(),
        }
    }

    /// The size of all header blocks: sent, received.
    pub(crate) fn header_bytes(&self) -> (HeaderBytes, HeaderBytes) {
        match &self.codec {
            Codec::Http2(wire) => wire.header_bytes(),
            Codec::Spdy(wire) => wire.header_bytes(),
        }
    }

    /// The memory of the output and the codec: compression contexts, and a header
    /// block that has not ended.
    pub(crate) fn memory(&self) -> usize {
        let codec = match &self.codec {
            Codec::Http2(wire) => wire.memory(),
            Codec::Spdy(wire) => wire.memory(),
        };
        codec.saturating_add(self.output.memory())
    }

    /// Takes back the box of a list whose head was taken, for the next list.
    #[inline]
    pub(crate) fn recycle(&mut self, fields: Box<Fields>) {
        if let Codec::Http2(wire) = &mut self.codec {
            wire.recycle(fields);
        }
    }

    /// Returns whether [`rest`](Self::rest) would put something aside.
    pub(crate) fn can_rest(&self) -> bool {
        match &self.codec {
            Codec::Http2(_) => false,
            Codec::Spdy(wire) => wire.can_rest(),
        }
    }

    /// Puts aside what a codec without streams can do without for long.
    pub(crate) fn rest(&mut self) {
        if let Codec::Spdy(wire) = &mut self.codec {
            wire.rest();
        }
    }

    /// Frees what the codec can make again, or do without, while streams are open. Until the next
    /// header list it keeps only what that list may refer to.
    pub(crate) fn shrink(&mut self) {
        match &mut self.codec {
            Codec::Http2(wire) => wire.forget(),
            Codec::Spdy(wire) => wire.shrink(),
        }
    }

    /// Frees what codes header lists, since the connection has ended.
    pub(crate) fn end(&mut self) {
        match &mut self.codec {
            Codec::Http2(wire) => wire.end(),
            Codec::Spdy(wire) => wire.end(),
        }
    }

    /// Returns what the codec does not need before the next frame.
    pub(crate) fn take_spare(&mut self) -> Spare {
        let mut spare = Spare::default();
        match &mut self.codec {
            Codec::Http2(wire) => spare.fields = wire.take_spare(),
            Codec::Spdy(wire) => spare.zlib = wire.take_spare(),
        }
        spare
    }

    /// Takes over what another codec did not need.
    pub(crate) fn lend_spare(&mut self, spare: Spare) {
        match (&mut self.codec, spare) {
            (Codec::Http2(wire), Spare { fields, .. }) => {
                fields.into_iter().for_each(|it| wire.recycle(it));
            }
            (Codec::Spdy(wire), Spare { zlib, .. }) => wire.lend_spare(zlib),
        }
    }

    /// The first bytes of a connection, SETTINGS included.
    pub(crate) fn preface(&mut self, config: &Config) {
        let out = self.output.buffer();
        match &mut self.codec {
            Codec::Http2(wire) => wire.preface(config, out),
            Codec::Spdy(wire) => wire.preface(config, out),
        }
    }

    /// The SETTINGS that an upgrade request brings, as a payload in text; they
    /// are not acknowledged.
    pub(crate) fn upgrade_settings(&mut self, payload: &[u8]) -> Result<PeerSettings, Violation> {
        match &mut self.codec {
            Codec::Http2(wire) => wire.upgrade_settings(payload),
            Codec::Spdy(_) => Ok(PeerSettings::default()),
        }
    }

    /// Our SETTINGS were acknowledged.
    pub(crate) fn settings_acknowledged(&mut self) {
        if let Codec::Http2(wire) = &mut self.codec {
            wire.settings_acknowledged();
        }
    }

    /// A header list, compressed now.
    #[inline]
    pub(crate) fn headers(
        &mut self,
        stream: StreamId,
        kind: SendKind,
        head: &Head,
        fin: bool,
    ) -> Result<(), Unencodable> {
        let out = self.output.buffer();
        match &mut self.codec {
            Codec::Http2(wire) => {
                wire.headers(stream, kind, head, &AddedFields::NONE, fin, out);
                Ok(())
            }
            Codec::Spdy(wire) => wire.headers(stream, kind, head, fin, out),
        }
    }

    /// A response's header list, with the fields that we add to it.
    #[inline]
    pub(crate) fn response(
        &mut self,
        stream: StreamId,
        kind: SendKind,
        head: &mut Head,
        added: AddedFields,
        fin: bool,
    ) -> Result<(), Unencodable> {
        let out = self.output.buffer();
        match &mut self.codec {
            Codec::Http2(wire) => {
                wire.headers(stream, kind, head, &added, fin, out);
                Ok(())
            }
            Codec::Spdy(wire) => {
                added.insert_into(&mut head.fields);
                wire.headers(stream, kind, head, fin, out)
            }
        }
    }

    /// A push and the head of its response in one frame, where there is such a
    /// frame.
    pub(crate) fn pushed_response(
        &mut self,
        stream: StreamId,
        parent: StreamId,
        request: &Head,
        response: &Head,
        fin: bool,
    ) -> Result<(), Unencodable> {
        let out = self.output.buffer();
        match &mut self.codec {
            Codec::Http2(_) => Err(Unencodable::NoSuchFrame),
            Codec::Spdy(wire) => wire.pushed_response(stream, parent, request, response, fin, out),
        }
    }

    /// A DATA frame. A long payload is not copied.
    #[inline]
    pub(crate) fn data(&mut self, stream: StreamId, payload: Bytes, fin: bool) {
        let (len, out) = (payload.len(), self.output.buffer());
        match &mut self.codec {
            Codec::Http2(wire) => wire.data_head(stream, len, fin, out),
            Codec::Spdy(wire) => wire.data_head(stream, len, fin, out),
        }
        self.output.append(payload);
    }

    /// The most bytes that one DATA frame carries.
    #[inline]
    pub(crate) fn max_data(&self) -> usize {
        match &self.codec {
            Codec::Http2(wire) => wire.max_data(),
            Codec::Spdy(wire) => wire.max_data(),
        }
    }

    pub(crate) fn reset(&mut self, stream: StreamId, reason: Reason) {
        let out = self.output.buffer();
        match &mut self.codec {
            Codec::Http2(wire) => wire.reset(stream, reason, out),
            Codec::Spdy(wire) => wire.reset(stream, reason, out),
        }
    }

    /// Does nothing where settings are not acknowledged.
    pub(crate) fn settings_ack(&mut self) {
        let out = self.output.buffer();
        if let Codec::Http2(wire) = &mut self.codec {
            wire.settings_ack(out);
        }
    }

    pub(crate) fn window_update(&mut self, stream: Option<StreamId>, increment: u32) {
        let out = self.output.buffer();
        match &mut self.codec {
            Codec::Http2(wire) => wire.window_update(stream, increment, out),
            Codec::Spdy(wire) => wire.window_update(stream, increment, out),
        }
    }

    pub(crate) fn ping(&mut self, opaque: u64) {
        let out = self.output.buffer();
        match &mut self.codec {
            Codec::Http2(wire) => wire.ping(opaque, out),
            Codec::Spdy(wire) => wire.ping(opaque, out),
        }
    }

    pub(crate) fn pong(&mut self, opaque: u64) {
        let out = self.output.buffer();
        match &mut self.codec {
            Codec::Http2(wire) => wire.pong(opaque, out),
            Codec::Spdy(wire) => wire.pong(opaque, out),
        }
    }

    /// A new priority for a stream of ours; nothing where it cannot be said.
    pub(crate) fn priority_update(&mut self, stream: StreamId, priority: Priority) {
        let out = self.output.buffer();
        if let Codec::Http2(wire) = &mut self.codec {
            wire.priority_update(stream, priority, out);
        }
    }

    /// ORIGIN.
    pub(crate) fn origins(&mut self, origins: &[Bytes]) -> Result<(), Unencodable> {
        let out = self.output.buffer();
        match &mut self.codec {
            Codec::Http2(wire) => wire.origins(origins, out),
            Codec::Spdy(_) => Err(Unencodable::NoSuchFrame),
        }
    }

    /// ALTSVC.
    pub(crate) fn alternative(
        &mut self,
        stream: Option<StreamId>,
        origin: &[u8],
        value: &[u8],
    ) -> Result<(), Unencodable> {
        let out = self.output.buffer();
        match &mut self.codec {
            Codec::Http2(wire) => wire.alternative(stream, origin, value, out),
            Codec::Spdy(_) => Err(Unencodable::NoSuchFrame),
        }
    }

    /// CREDENTIAL.
    pub(crate) fn credential(
        &mut self,
        slot: NonZeroU16,
        proof: Bytes,
        chain: Vec<Bytes>,
    ) -> Result<(), Unencodable> {
        let out = self.output.buffer();
        match &mut self.codec {
            Codec::Http2(_) => Err(Unencodable::NoSuchFrame),
            Codec::Spdy(wire) => wire.credential(slot, proof, chain, out),
        }
    }

    /// NOOP.
    pub(crate) fn noop(&mut self) -> Result<(), Unencodable> {
        let out = self.output.buffer();
        match &mut self.codec {
            Codec::Http2(_) => Err(Unencodable::NoSuchFrame),
            Codec::Spdy(wire) => wire.noop(out),
        }
    }

    pub(crate) fn go_away(&mut self, last: StreamId, reason: Reason, detail: &str) {
        let out = self.output.buffer();
        match &mut self.codec {
            Codec::Http2(wire) => wire.go_away(last, reason, detail, out),
            Codec::Spdy(wire) => wire.go_away(last, reason, out),
        }
    }
}
