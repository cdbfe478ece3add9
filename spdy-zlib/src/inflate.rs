//! Inflates with the version's dictionary and a hard limit on the output.

use std::fmt;
use std::mem::size_of;
use std::sync::atomic::{AtomicU64, Ordering};

use flate2::{Decompress, DecompressError, FlushDecompress, Status};

use crate::received::Received;
use crate::{DecodeError, WireVersion};

/// zlib-rs and every C zlib have this method; only miniz_oxide lacks it. flate2 uses one backend
/// for the whole build. This line proves at build time that the choice of another crate has not
/// removed dictionaries. `cargo xtask standalone` runs each backend.
const _: fn(&mut Decompress, &[u8]) -> Result<u32, DecompressError> = Decompress::set_dictionary;

/// Senders choose windows from 256 bytes to 32 KiB. The largest window inflates all of them.
const WINDOW_BITS: u8 = 15;

/// The memory of zlib's state, in bytes.
const STATE: usize = 48 << 10;

/// The smallest room made in the output at a time, in bytes.
const CHUNK: usize = 1024;

/// An empty stored block (RFC 1951 section 3.2.4). Between two blocks it changes nothing.
const EMPTY_BLOCK: [u8; 5] = [0x00, 0x00, 0x00, 0xff, 0xff];

/// The next number of [`SpareInflater::holds`].
static NEXT: AtomicU64 = AtomicU64::new(0);

/// The zlib state that an idle [`Decoder`](crate::Decoder) has given away, for use by another.
///
/// It takes about 48 KiB of heap.
pub struct SpareInflater {
    stream: Box<Decompress>,
    /// The state that the stream is in: a number that only the decoder that left it knows.
    holds: u64,
}

impl SpareInflater {
    fn new() -> Self {
        SpareInflater {
            stream: Box::new(Decompress::new_with_window_bits(true, WINDOW_BITS)),
            holds: unique(),
        }
    }

    /// The heap that it takes, in bytes.
    pub fn memory(&self) -> usize {
        STATE
    }
}

impl fmt::Debug for SpareInflater {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SpareInflater").finish_non_exhaustive()
    }
}

/// The zlib stream of one direction.
pub(crate) struct Inflater {
    version: WireVersion,
    /// Absent while the decoder is idle, or before its first block.
    spare: Option<SpareInflater>,
    /// The number of our state. A spare with another number holds another decoder's state, or an
    /// earlier one of ours.
    state: u64,
    /// The stream uses the dictionary.
    dictionary: bool,
    /// The stream stopped at a place from which it cannot continue.
    ended: bool,
    received: Received,
}

impl Inflater {
    pub(crate) fn new(version: WireVersion) -> Self {
        Inflater {
            version,
            spare: None,
            state: unique(),
            dictionary: false,
            ended: false,
            received: Received::default(),
        }
    }

    /// Returns whether zlib's state here is that of this stream. A lent one is not, before its use.
    pub(crate) fn is_in_use(&self) -> bool {
        let spare = self.spare.as_ref();
        spare.is_some_and(|spare| spare.holds == self.state)
    }

    /// Gives away zlib's state. The peer must have flushed the last block.
    pub(crate) fn take_spare(&mut self) -> Option<SpareInflater> {
        let in_use = self.is_in_use();
        let mut spare = self.spare.take()?;
        if in_use {
            // Is it really between two blocks? A last block (RFC 1951 section 3.2.3) may look
            // like a flushed one.
            let stream = &mut spare.stream;
            let before = (stream.total_in() + 5, stream.total_out());
            let result = stream.decompress(&EMPTY_BLOCK, &mut [0], FlushDecompress::Sync);
            self.ended = result.is_err() || (stream.total_in(), stream.total_out()) != before;
            self.state = unique();
            spare.holds = self.state;
        }
        self.received.shrink();
        Some(spare)
    }

    /// Takes over zlib's state of another decoder, if there is none.
    pub(crate) fn lend_spare(&mut self, spare: SpareInflater) {
        self.spare.get_or_insert(spare);
    }

    /// Keeps a block for the time after [`take_spare`](Self::take_spare).
    pub(crate) fn remember(&mut self, block: &[u8]) {
        self.received.push(block);
    }

    /// The heap that it holds, in bytes.
    pub(crate) fn memory(&self) -> usize {
        let state = if self.spare.is_some() { STATE } else { 0 };
        size_of::<Self>() + state + self.received.memory()
    }

    /// Inflates all of `input` to the end of `out`, whose length may reach `limit` and not more.
    ///
    /// After an error, the stream cannot be used again.
    pub(crate) fn inflate(
        &mut self,
        mut input: &[u8],
        out: &mut Vec<u8>,
        limit: usize,
    ) -> Result<(), DecodeError> {
        if self.ended {
            return Err(DecodeError::StreamEnded);
        }
        let mut spare = match self.spare.take() {
            Some(spare) if spare.holds == self.state => spare,
            other => self.restore(other.unwrap_or_else(SpareInflater::new))?,
        };
        if let Some(&first) = input.first() {
            self.received.start(first);
        }
        let stream = &mut spare.stream;
        loop {
            if out.len() == out.capacity() {
                // Permit one byte over the limit, to distinguish between reaching it and exceeding
                // it.
                let room = limit.saturating_add(1).saturating_sub(out.len());
                let wanted = input.len().saturating_mul(4).max(out.len()).max(CHUNK);
                out.reserve_exact(room.min(wanted).max(1));
            }
            let (consumed, produced) = (stream.total_in(), out.len());
            let result = stream.decompress_vec(input, out, FlushDecompress::Sync);
            let consumed = usize::try_from(stream.total_in() - consumed).unwrap_or(usize::MAX);
            input = input.get(consumed..).unwrap_or_default();

            if out.len() > limit {
                return Err(DecodeError::TooLarge { limit });
            }
            match result {
                Ok(Status::StreamEnd) => return Err(DecodeError::StreamEnded),
                // If room is left in the output, the inflater has no more data.
                Ok(_) if input.is_empty() && out.len() < out.capacity() => break,
                Ok(_) if out.len() == out.capacity() => {}
                Ok(_) if consumed == 0 && out.len() == produced => {
                    return Err(DecodeError::Corrupt);
                }
                Ok(_) => {}
                Err(error) => match error.needs_dictionary() {
                    Some(id) => {
                        let expected = self.version.dictionary_id();
                        if id != expected {
                            return Err(DecodeError::WrongDictionary {
                                expected,
                                found: id,
                            });
                        }
                        set_dictionary(stream, self.version.dictionary())?;
                        self.dictionary = true;
                    }
                    None => return Err(DecodeError::Corrupt),
                },
            }
        }
        self.spare = Some(spare);
        Ok(())
    }

    /// Brings any zlib state to ours.
    ///
    /// Between two flushed blocks, zlib's state is the bytes that matches can reach, and nothing
    /// else. A raw stream accepts them as dictionaries, each behind the other.
    fn restore(&self, mut spare: SpareInflater) -> Result<SpareInflater, DecodeError> {
        let started = self.received.has_started();
        spare.stream.reset(!started);
        if started && self.dictionary && !self.received.is_full() {
            set_dictionary(&mut spare.stream, self.version.dictionary())?;
        }
        if !self.received.bytes().is_empty() {
            set_dictionary(&mut spare.stream, self.received.bytes())?;
        }
        spare.holds = self.state;
        Ok(spare)
    }
}

fn set_dictionary(stream: &mut Decompress, bytes: &[u8]) -> Result<(), DecodeError> {
    let result = stream.set_dictionary(bytes);
    result.map(drop).map_err(|_| DecodeError::Corrupt)
}

fn unique() -> u64 {
    NEXT.fetch_add(1, Ordering::Relaxed)
}
