//! Decodes compressed header blocks to header fields.

use std::fmt;
use std::mem::{self, size_of};

use bytes::Bytes;

use crate::block::Reader;
use crate::inflate::{Inflater, SpareInflater};
use crate::{
    DecodeError, Exceeded, HeaderError, ListError, ListLimits, Summary, Values, WireVersion,
};

/// The end of a flushed zlib block (Z_SYNC_FLUSH: an empty stored block).
const FLUSH_MARKER: [u8; 4] = [0x00, 0x00, 0xff, 0xff];

/// A value for an empty tail: no part of it can be taken for a part of the marker.
const NO_TAIL: [u8; 4] = [0xff; 4];

/// The scratch space that is kept between blocks, in bytes. A larger one is freed.
const KEPT_SCRATCH: usize = 4096;

/// The number of name places that are kept between blocks.
const KEPT_NAMES: usize = 64;

/// Up to this number, names are compared pairwise. More names are sorted first, so that a long list
/// costs no quadratic time.
const COMPARED_NAMES: usize = 32;

/// The charge for a field beside its bytes, as in RFC 9113 section 6.5.2. All protocols use the
/// same measure.
const FIELD_OVERHEAD: usize = 32;

/// Decodes the header blocks of one direction of a connection, in the order of the wire.
///
/// Holds no zlib state until the first block with content, and about 48 KiB from then on.
/// [`take_spare`](Self::take_spare) takes these from an idle decoder.
///
/// ```
/// use lacewing_spdy_zlib::{Compression, Decoder, Encoder, ListLimits, WireVersion};
///
/// let mut block = bytes::BytesMut::new();
/// let mut encoder = Encoder::new(WireVersion::V3, Compression::Stored);
/// let mut list = encoder.block(&mut block);
/// list.field(b":status", [b"200 OK"]);
/// list.finish()?;
///
/// let mut decoder = Decoder::new(WireVersion::V3);
/// let fields = decoder.decode_to_vec(&block, ListLimits::default())?;
/// assert_eq!(fields, [(":status".into(), "200 OK".into())]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Decoder {
    version: WireVersion,
    inflater: Option<Box<Inflater>>,
    /// The inflated block.
    scratch: Vec<u8>,
    /// The names of the block. Kept for its capacity.
    names: Vec<Span>,
    /// The last bytes of the compressed block.
    tail: [u8; 4],
    state: State,
}

impl Decoder {
    /// Returns a decoder for the start of a connection.
    pub fn new(version: WireVersion) -> Self {
        Decoder {
            version,
            inflater: None,
            scratch: Vec::new(),
            names: Vec::new(),
            tail: NO_TAIL,
            state: State::Empty,
        }
    }

    /// The version of the blocks.
    pub fn version(&self) -> WireVersion {
        self.version
    }

    /// Decodes one complete compressed block and passes its fields to `sink`, in wire order.
    ///
    /// An empty block holds no fields (Netty sends such blocks).
    ///
    /// # Errors
    ///
    /// [`DecodeError::List`] when the list breaks a rule or exceeds one of `limits`. The decoder
    /// inflated it to its end, and the next block can be decoded. The sink receives the fields of a
    /// malformed list as they are, but no fields after an exceeded limit.
    ///
    /// Every other error [is final](DecodeError::is_final): it ends the zlib stream, and with it
    /// the connection. Discard the fields that `sink` received before. Every later call returns
    /// [`DecodeError::Poisoned`].
    ///
    /// ```
    /// use lacewing_spdy_zlib::{Compression, DecodeError, Decoder, Encoder, ListLimits, WireVersion};
    ///
    /// let mut block = bytes::BytesMut::new();
    /// let mut encoder = Encoder::new(WireVersion::V3, Compression::Stored);
    /// let mut list = encoder.block(&mut block);
    /// list.field(b"a", [b"1"]).field(b"b", [b"2"]);
    /// list.finish()?;
    ///
    /// let mut decoder = Decoder::new(WireVersion::V3);
    /// let limits = ListLimits::default().with(|limits| limits.max_fields = 1);
    /// let mut seen = 0;
    /// match decoder.decode(&block, limits, |_, _| seen += 1) {
    ///     Ok(summary) => unreachable!("{summary:?}"),
    ///     // Answer 431, or reset the stream.
    ///     Err(DecodeError::List(error)) => assert!(error.exceeded.is_some() && seen == 1),
    ///     // The connection is lost.
    ///     Err(error) => return Err(error.into()),
    /// }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn decode(
        &mut self,
        block: &[u8],
        limits: ListLimits,
        sink: impl FnMut(&[u8], Values<'_>),
    ) -> Result<Summary, DecodeError> {
        self.feed(block, limits)?;
        self.finish(limits, sink)
    }

    /// Decodes one complete compressed block and returns all names and values. NUL joins the values
    /// of one name, as on the wire (see [`Values`]).
    ///
    /// # Errors
    ///
    /// As [`decode`](Self::decode). A list that breaks a rule or exceeds a limit is discarded.
    pub fn decode_to_vec(
        &mut self,
        block: &[u8],
        limits: ListLimits,
    ) -> Result<Vec<(Bytes, Bytes)>, DecodeError> {
        let mut list = Vec::new();
        self.decode(block, limits, |name, values| {
            let value = Bytes::copy_from_slice(values.joined());
            list.push((Bytes::copy_from_slice(name), value));
        })?;
        Ok(list)
    }

    /// Inflates a piece of a compressed block; [`finish`](Self::finish) ends the block. For callers
    /// that do not buffer whole compressed blocks.
    ///
    /// # Errors
    ///
    /// As [`decode`](Self::decode).
    ///
    /// ```
    /// use lacewing_spdy_zlib::{Decoder, ListLimits, WireVersion};
    ///
    /// let limits = ListLimits::default();
    /// let mut decoder = Decoder::new(WireVersion::V2);
    /// for piece in [&[0x38, 0x30, 0xdf, 0xa2][..], &[0x51, 0xb2, 0x00, 0x02, 0x00],
    ///               &[0xfd, 0xff, 0x00, 0x00, 0x00, 0x00, 0x00, 0xff, 0xff]] {
    ///     decoder.feed(piece, limits)?;
    /// }
    /// assert_eq!(decoder.finish(limits, |_, _| {})?.fields, 0);
    /// # Ok::<(), lacewing_spdy_zlib::DecodeError>(())
    /// ```
    pub fn feed(&mut self, piece: &[u8], limits: ListLimits) -> Result<(), DecodeError> {
        if self.state == State::Poisoned {
            return Err(DecodeError::Poisoned);
        }
        if piece.is_empty() {
            return Ok(());
        }
        if self.state == State::Empty {
            self.state = State::Fed;
            self.tail = NO_TAIL;
        }
        self.keep_tail(piece);
        let version = self.version;
        let inflater = self
            .inflater
            .get_or_insert_with(|| Box::new(Inflater::new(version)));
        let result = inflater.inflate(piece, &mut self.scratch, limits.max_size);
        result.inspect_err(|_| self.poison())
    }

    /// Ends the block of the previous calls of [`feed`](Self::feed), and returns its fields.
    ///
    /// # Errors
    ///
    /// As [`decode`](Self::decode).
    pub fn finish(
        &mut self,
        limits: ListLimits,
        sink: impl FnMut(&[u8], Values<'_>),
    ) -> Result<Summary, DecodeError> {
        match mem::replace(&mut self.state, State::Empty) {
            State::Poisoned => {
                self.state = State::Poisoned;
                return Err(DecodeError::Poisoned);
            }
            State::Empty => return Ok(Summary::default()),
            State::Fed => {}
        }
        if let Some(inflater) = &mut self.inflater {
            inflater.remember(&self.scratch);
        }
        let result = read_list(self.version, &self.scratch, limits, &mut self.names, sink);
        // An incomplete list ends its stream if the zlib data was flushed. It ends the connection
        // if the zlib data stops in the middle.
        let breaks_off = |error: &ListError| error.malformed == Some(HeaderError::BlockTooShort);
        if result.as_ref().is_err_and(breaks_off) && self.tail != FLUSH_MARKER {
            self.poison();
            return Err(DecodeError::Truncated);
        }
        if self.scratch.capacity() > KEPT_SCRATCH {
            self.scratch = Vec::new();
        } else {
            self.scratch.clear();
        }
        result.map_err(DecodeError::List)
    }

    /// Takes zlib's state from a decoder that will be idle, to [lend](Self::lend_spare) it to one
    /// that will not. The decoder keeps the end of the blocks that it received, as far as the
    /// peer's window goes: 2 KiB for most peers.
    ///
    /// Returns `None` inside of a block, if the peer did not flush the last block (SPDY/3 section
    /// 2.6.10.1), or if there is no state.
    ///
    /// ```
    /// use lacewing_spdy_zlib::{Decoder, ListLimits, WireVersion};
    ///
    /// let block = [0x38, 0x30, 0xdf, 0xa2, 0x51, 0xb2, 0x00, 0x02, 0x00, 0xfd, 0xff, 0x00,
    ///              0x00, 0x00, 0x00, 0x00, 0xff, 0xff];
    /// let (mut one, mut other) = (Decoder::new(WireVersion::V2), Decoder::new(WireVersion::V2));
    /// one.decode_to_vec(&block, ListLimits::default())?;
    /// if let Some(spare) = one.take_spare() {
    ///     other.lend_spare(spare);
    /// }
    /// assert!(one.memory() < 1_000);
    /// other.decode_to_vec(&block, ListLimits::default())?;
    /// # Ok::<(), lacewing_spdy_zlib::DecodeError>(())
    /// ```
    pub fn take_spare(&mut self) -> Option<SpareInflater> {
        if self.state != State::Empty {
            return None;
        }
        let inflater = self.inflater.as_mut()?;
        if inflater.is_in_use() && self.tail != FLUSH_MARKER {
            return None;
        }
        self.scratch = Vec::new();
        self.names = Vec::new();
        inflater.take_spare()
    }

    /// Returns whether zlib's state here is that of this decoder's stream. A
    /// [lent](Self::lend_spare) one is not, before its use.
    pub fn has_state(&self) -> bool {
        self.inflater.as_ref().is_some_and(|it| it.is_in_use())
    }

    /// Lends zlib's state of another decoder to this one. A decoder that lacks it, and needs it,
    /// allocates its own.
    pub fn lend_spare(&mut self, spare: SpareInflater) {
        if self.state != State::Poisoned {
            self.inflater_mut().lend_spare(spare);
        }
    }

    /// Frees all memory, since the connection has ended. Every later call returns
    /// [`DecodeError::Poisoned`].
    pub fn end(&mut self) {
        self.poison();
    }

    /// The heap that the decoder holds, in bytes.
    pub fn memory(&self) -> usize {
        let inflater = self.inflater.as_ref().map_or(0, |it| it.memory());
        inflater + self.scratch.capacity() + self.names.capacity() * size_of::<Span>()
    }

    fn inflater_mut(&mut self) -> &mut Inflater {
        let version = self.version;
        self.inflater
            .get_or_insert_with(|| Box::new(Inflater::new(version)))
    }

    fn keep_tail(&mut self, piece: &[u8]) {
        for &byte in piece.get(piece.len().saturating_sub(4)..).unwrap_or(piece) {
            self.tail.rotate_left(1);
            if let Some(last) = self.tail.last_mut() {
                *last = byte;
            }
        }
    }

    fn poison(&mut self) {
        *self = Decoder::new(self.version);
        self.state = State::Poisoned;
    }
}

impl fmt::Debug for Decoder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Decoder")
            .field("version", &self.version)
            .field("state", &self.state)
            .finish_non_exhaustive()
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// No byte of the next block was received.
    Empty,
    /// The scratch has a piece of a block.
    Fed,
    Poisoned,
}

/// The place of a name in the inflated block.
#[derive(Debug, Clone, Copy)]
struct Span {
    start: usize,
    end: usize,
}

fn read_list(
    version: WireVersion,
    block: &[u8],
    limits: ListLimits,
    names: &mut Vec<Span>,
    mut sink: impl FnMut(&[u8], Values<'_>),
) -> Result<Summary, ListError> {
    let mut list = ListError::default();
    let mut reader = Reader::new(version, block);
    names.clear();

    let Some(count) = reader.count() else {
        list.malformed = Some(HeaderError::BlockTooShort);
        return Err(list);
    };
    for _ in 0..count {
        let end_of_name = |reader: &Reader<'_>| block.len() - reader.remaining();
        let Some(name) = reader.string() else {
            list.malformed = Some(HeaderError::BlockTooShort);
            return Err(list);
        };
        let end = end_of_name(&reader);
        let Some(value) = reader.string() else {
            list.malformed = Some(HeaderError::BlockTooShort);
            return Err(list);
        };
        if list.exceeded.is_some() {
            continue;
        }
        let size = list.summary.size + name.len() + value.len() + FIELD_OVERHEAD;
        list.exceeded = if list.summary.fields == limits.max_fields {
            let limit = limits.max_fields;
            Some(Exceeded::Fields { limit })
        } else if size > limits.max_size {
            let limit = limits.max_size;
            Some(Exceeded::Size { limit })
        } else {
            None
        };
        if list.exceeded.is_some() {
            continue;
        }
        list.summary.size = size;
        list.summary.fields += 1;
        list.malformed = list.malformed.or_else(|| broken(version, name, value));
        names.push(Span {
            start: end - name.len(),
            end,
        });
        sink(name, Values::from(value));
    }
    if list.malformed.is_none() {
        if reader.remaining() != 0 {
            list.malformed = Some(HeaderError::TrailingBytes);
        } else if has_duplicate(block, names) {
            list.malformed = Some(HeaderError::DuplicateName);
        }
    }
    if names.capacity() > KEPT_NAMES {
        *names = Vec::new();
    }
    match (list.malformed, list.exceeded) {
        (None, None) => Ok(list.summary),
        _ => Err(list),
    }
}

/// The rule that the field breaks, if any.
fn broken(version: WireVersion, name: &[u8], value: &[u8]) -> Option<HeaderError> {
    if name.is_empty() {
        return Some(HeaderError::EmptyName);
    }
    if name.iter().any(u8::is_ascii_uppercase) {
        return Some(HeaderError::UppercaseName);
    }
    if value.is_empty() {
        return (version == WireVersion::V2).then_some(HeaderError::EmptyValue);
    }
    // Almost every value has no NUL, and this one search is enough for it.
    if value.contains(&0) && Values::from(value).iter().any(<[u8]>::is_empty) {
        return Some(HeaderError::EmptySegment);
    }
    None
}

fn has_duplicate(block: &[u8], names: &mut [Span]) -> bool {
    let name = |span: &Span| block.get(span.start..span.end).unwrap_or_default();
    if names.len() > COMPARED_NAMES {
        names.sort_unstable_by(|a, b| name(a).cmp(name(b)));
        return names
            .iter()
            .zip(names.iter().skip(1))
            .any(|(a, b)| name(a) == name(b));
    }
    names.iter().enumerate().any(|(index, span)| {
        names
            .iter()
            .take(index)
            .any(|before| name(before) == name(span))
    })
}
