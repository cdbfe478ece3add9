//! Inflates with the version's dictionary and a hard limit on the output.

use flate2::{Decompress, DecompressError, FlushDecompress, Status};

use crate::{DecodeError, Version};

/// zlib-rs and every C zlib have this method; only miniz_oxide lacks it. flate2 uses one backend
/// for the whole build. This line proves at build time that the choice of another crate has not
/// removed dictionaries. `cargo xtask standalone` runs each backend.
const _: fn(&mut Decompress, &[u8]) -> Result<u32, DecompressError> = Decompress::set_dictionary;

/// Senders choose windows from 256 bytes to 32 KiB. The largest window inflates all of them.
const WINDOW_BITS: u8 = 15;

/// The smallest room made in the output at a time, in bytes.
const CHUNK: usize = 1024;

/// The zlib stream of one direction. It takes about 48 KiB of heap.
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

    /// Inflates all of `input` to the end of `out`, whose length may reach `limit` and not more.
    ///
    /// After an error, the stream cannot be used again.
    pub(crate) fn inflate(
        &mut self,
        mut input: &[u8],
        out: &mut Vec<u8>,
        limit: usize,
    ) -> Result<(), DecodeError> {
        loop {
            if out.len() == out.capacity() {
                // Permit one byte over the limit, to distinguish between reaching it and exceeding
                // it.
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
                // If room is left in the output, the inflater has no more data.
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
