//! Writes zlib data: our own stored blocks, or flate2's deflate with the version's dictionary.

use std::mem;

use bytes::{BufMut, BytesMut};
use flate2::{Compress, CompressError, FlushCompress};

use crate::{EncodeError, WireVersion};

/// As in [`crate::inflate`]: the build fails if the backend cannot set a dictionary.
const _: fn(&mut Compress, &[u8]) -> Result<u32, CompressError> = Compress::set_dictionary;

/// A window of 32 KiB, as in Netty and Go. Real requests take a third fewer bytes than with the 2
/// KiB of spdylay. The rest of the state is four times as large.
const WINDOW_BITS: u8 = 15;

/// The zlib header of a stream of stored blocks (RFC 1950 section 2.2). It has deflate, a window of
/// 2 KiB, the fastest level, and then the dictionary's id. spdylay sends the same at level 0.
const STORED_HEADER: [u8; 2] = [0x38, 0x30];

/// The largest stored block: its length has 16 bits (RFC 1951 section 3.2.4).
const MAX_STORED: usize = 0xffff;

/// The header of a stored block: type and padding in one byte, the length, and its complement.
pub(crate) const STORED_BLOCK_HEAD: usize = 5;

/// Z_SYNC_FLUSH at a byte boundary: an empty stored block.
const FLUSH: [u8; 5] = [0x00, 0x00, 0x00, 0xff, 0xff];

/// Appends the header of a zlib stream that has only stored blocks.
pub(crate) fn put_stored_header(version: WireVersion, dst: &mut BytesMut) {
    dst.put_slice(&STORED_HEADER);
    dst.put_u32(version.dictionary_id());
}

/// Turns the bytes after `at`, where room for one block's header precedes them, into stored blocks,
/// and flushes.
///
/// Stored blocks need no state, so a connection that sends them holds no window.
pub(crate) fn store(dst: &mut BytesMut, at: usize) {
    let raw = dst.len().saturating_sub(at + STORED_BLOCK_HEAD);
    if raw > MAX_STORED {
        spread(dst, at, raw);
    } else {
        put_stored_head(dst, at, raw);
    }
    dst.put_slice(&FLUSH);
}

/// Moves `raw` bytes apart, the last piece first, so that each piece of [`MAX_STORED`] bytes has
/// room for its header.
fn spread(dst: &mut BytesMut, at: usize, raw: usize) {
    let pieces = raw.div_ceil(MAX_STORED);
    dst.resize(dst.len() + (pieces - 1) * STORED_BLOCK_HEAD, 0);
    for piece in (0..pieces).rev() {
        let from = at + STORED_BLOCK_HEAD + piece * MAX_STORED;
        let length = (raw - piece * MAX_STORED).min(MAX_STORED);
        let head = at + piece * (MAX_STORED + STORED_BLOCK_HEAD);
        dst.copy_within(from..from + length, head + STORED_BLOCK_HEAD);
        put_stored_head(dst, head, length);
    }
}

fn put_stored_head(dst: &mut BytesMut, at: usize, length: usize) {
    let length = u16::try_from(length).unwrap_or(u16::MAX);
    let [len_low, len_high] = length.to_le_bytes();
    if let Some(head) = dst.get_mut(at..at + STORED_BLOCK_HEAD) {
        head.copy_from_slice(&[0x00, len_low, len_high, !len_low, !len_high]);
    }
}

/// The scratch space that is kept between blocks, in bytes.
const KEPT_SCRATCH: usize = 4096;

/// One direction's deflate stream.
pub(crate) struct Deflater {
    stream: Compress,
    /// The block before compression.
    scratch: Vec<u8>,
}

impl Deflater {
    pub(crate) fn new(version: WireVersion, level: u8) -> Result<Self, EncodeError> {
        let level = flate2::Compression::new(u32::from(level.clamp(1, 9)));
        let mut stream = Compress::new_with_window_bits(level, true, WINDOW_BITS);
        stream
            .set_dictionary(version.dictionary())
            .map_err(|_| EncodeError::Backend)?;
        Ok(Deflater {
            stream,
            scratch: Vec::new(),
        })
    }

    /// Compresses the bytes of `dst` from `raw_at` on, in place, and flushes.
    pub(crate) fn deflate(&mut self, dst: &mut BytesMut, raw_at: usize) -> Result<(), EncodeError> {
        let mut scratch = mem::take(&mut self.scratch);
        scratch.extend_from_slice(dst.get(raw_at..).unwrap_or_default());
        dst.truncate(raw_at);
        let result = self.append(&scratch, dst);
        if scratch.capacity() <= KEPT_SCRATCH {
            scratch.clear();
            self.scratch = scratch;
        }
        result
    }

    /// Appends `raw`, compressed and flushed.
    fn append(&mut self, mut raw: &[u8], dst: &mut BytesMut) -> Result<(), EncodeError> {
        loop {
            let start = dst.len();
            // This room is almost always enough, even for data that does not compress: one round.
            let room = raw.len() + raw.len() / 1000 + 64;
            dst.resize(start + room, 0);
            let (consumed, produced) = (self.stream.total_in(), self.stream.total_out());
            let result = self.stream.compress(
                raw,
                dst.get_mut(start..).unwrap_or_default(),
                FlushCompress::Sync,
            );
            let consumed = usize::try_from(self.stream.total_in() - consumed).unwrap_or(usize::MAX);
            let produced = usize::try_from(self.stream.total_out() - produced).unwrap_or(room);
            dst.truncate(start + produced);
            raw = raw.get(consumed..).unwrap_or_default();
            if result.is_err() {
                return Err(EncodeError::Backend);
            }
            if raw.is_empty() && produced < room {
                return Ok(());
            }
        }
    }
}
