//! Inflating with the version's dictionary and a hard cap on the output.

use flate2::{Decompress, DecompressError, FlushDecompress, Status};

use crate::{DecodeError, Version};

/// The method is there with zlib-rs and with every C zlib, and missing with miniz_oxide alone.
/// flate2 takes one backend for the whole build, and this line proves at build time that no other
/// crate's choice has removed dictionaries; `cargo xtask standalone` runs each of them.
const _: fn(&mut Decompress, &[u8]) -> Result<u32, DecompressError> = Decompress::set_dictionary;

/// Senders choose windows from 256 bytes to 32 KiB; the largest reads them all.
const WINDOW_BITS: u8 = 15;

/// Smallest room made in the output at a time, bytes.
const CHUNK: usize = 1024;

/// One direction's zlib stream. About 48 KiB of heap.
pub(crate) struct Inflater {
    version: Version,
    stream: Decompress,
}

impl Inflater {
    pub(crate) fn new(version: Version) -> Self {
        Inflater {
            version,
            stream: Decompress::new_with_window_bits(true, WINDOW_BITS),
        }
    }

    /// Inflates all of `input` onto `out`, whose length may reach `limit` and not more.
    ///
    /// After an error the stream can't be used again.
    pub(crate) fn inflate(
        &mut self,
        mut input: &[u8],
        out: &mut Vec<u8>,
        limit: usize,
    ) -> Result<(), DecodeError> {
        loop {
            if out.len() == out.capacity() {
                // One byte over the limit, so that reaching it and crossing it differ.
                let room = limit.saturating_add(1).saturating_sub(out.len());
                let wanted = input.len().saturating_mul(4).max(out.len()).max(CHUNK);
                out.reserve_exact(room.min(wanted).max(1));
            }
            let (consumed, produced) = (self.stream.total_in(), out.len());
            let result = self
                .stream
                .decompress_vec(input, out, FlushDecompress::Sync);
            let consumed = usize::try_from(self.stream.total_in() - consumed).unwrap_or(usize::MAX);
            input = input.get(consumed..).unwrap_or_default();

            if out.len() > limit {
                return Err(DecodeError::TooLarge { limit });
            }
            match result {
                Ok(Status::StreamEnd) => return Err(DecodeError::StreamEnded),
                // With room left in the output, the inflater has no more to give.
                Ok(_) if input.is_empty() && out.len() < out.capacity() => return Ok(()),
                Ok(_) if out.len() == out.capacity() => {}
                Ok(_) if consumed == 0 && out.len() == produced => {
                    return Err(DecodeError::Corrupt);
                }
                Ok(_) => {}
                Err(error) => match error.needs_dictionary() {
                    Some(id) => self.set_dictionary(id)?,
                    None => return Err(DecodeError::Corrupt),
                },
            }
        }
    }

    fn set_dictionary(&mut self, found: u32) -> Result<(), DecodeError> {
        let expected = self.version.dictionary_id();
        if found != expected {
            return Err(DecodeError::WrongDictionary { expected, found });
        }
        self.stream
            .set_dictionary(self.version.dictionary())
            .map(drop)
            .map_err(|_| DecodeError::Corrupt)
    }
}
