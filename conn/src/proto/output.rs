//! The bytes on their way out: frame heads and small payloads in one growing
//! buffer, large payloads by reference between its pieces.

use std::{collections::VecDeque, io::IoSlice};

use bytes::{Buf, Bytes, BytesMut};

use super::memory;

/// Payloads below this length, in bytes, are copied behind their frame's head. Larger ones
/// are kept by reference: a slice of its own in a vectored write costs as much as a copy
/// of this length.
const COPY_BELOW: usize = 1024;

/// The bytes that an engine sends, in order. A driver writes what
/// [`Buf::chunks_vectored`] shows and calls [`Buf::advance`] by what the
/// transport took.
#[derive(Debug, Default)]
pub struct Output {
    /// The chunks before `tail`, none of them empty. Made for the first large payload.
    #[expect(clippy::box_collection, reason = "a queue of its own takes four words")]
    segments: Option<Box<VecDeque<Bytes>>>,
    /// The sum of their lengths.
    segments_len: usize,
    tail: BytesMut,
    written: u64,
}

impl Output {
    /// The buffer that frames are encoded into.
    pub(crate) fn buffer(&mut self) -> &mut BytesMut {
        &mut self.tail
    }

    /// Adds a payload behind what was encoded.
    pub(crate) fn append(&mut self, payload: Bytes) {
        if payload.len() < COPY_BELOW {
            self.tail.extend_from_slice(&payload);
            return;
        }
        let segments = self.segments.get_or_insert_default();
        if !self.tail.is_empty() {
            let head = self.tail.split().freeze();
            self.segments_len = self.segments_len.saturating_add(head.len());
            segments.push_back(head);
        }
        self.segments_len = self.segments_len.saturating_add(payload.len());
        segments.push_back(payload);
    }

    /// Bytes that wait.
    pub fn len(&self) -> usize {
        self.segments_len.saturating_add(self.tail.len())
    }

    /// The memory that the output takes, the room for more included.
    pub(crate) fn memory(&self) -> usize {
        let segments = self.segments.as_ref().map_or(0, |segments| {
            memory::of_table::<Bytes>(segments.capacity())
                .saturating_add(size_of::<VecDeque<Bytes>>())
        });
        segments
            .saturating_add(self.segments_len)
            .saturating_add(self.tail.capacity())
    }

    /// Bytes that the transport took since the start.
    pub fn written(&self) -> u64 {
        self.written
    }

    /// The value of [`written`](Self::written) once everything that waits now
    /// is with the transport.
    pub fn end(&self) -> u64 {
        self.written
            .saturating_add(u64::try_from(self.len()).unwrap_or(u64::MAX))
    }

    /// The transport takes no more: what waits is lost.
    pub(crate) fn discard(&mut self) {
        *self = Self {
            written: self.written,
            ..Self::default()
        };
    }

    /// Nothing waits.
    pub fn is_empty(&self) -> bool {
        self.segments_len == 0 && self.tail.is_empty()
    }

    /// Takes an empty buffer to encode into, so that drivers can share
    /// buffers among connections instead of each holding one while idle.
    pub fn lend(&mut self, buffer: BytesMut) {
        if self.tail.is_empty() && self.tail.capacity() < buffer.capacity() {
            self.tail = buffer;
        }
    }

    /// Gives up the buffer if nothing waits in it: an idle connection holds
    /// none.
    pub fn take_back(&mut self) -> Option<BytesMut> {
        if !self.is_empty() || self.tail.capacity() == 0 {
            return None;
        }
        self.segments = None;
        Some(std::mem::take(&mut self.tail))
    }
}

impl Output {
    /// Takes `count` bytes from the segments. Returns how many they lacked.
    fn advance_segments(&mut self, mut count: usize) -> usize {
        let segments = self.segments.get_or_insert_default();
        while let Some(front) = segments.front_mut() {
            if count < front.len() {
                self.segments_len = self.segments_len.saturating_sub(count);
                front.advance(count);
                return 0;
            }
            count = count.saturating_sub(front.len());
            self.segments_len = self.segments_len.saturating_sub(front.len());
            segments.pop_front();
        }
        count
    }
}

impl Buf for Output {
    fn remaining(&self) -> usize {
        self.len()
    }

    fn chunk(&self) -> &[u8] {
        let segments = self.segments.as_ref();
        let front = segments.and_then(|segments| segments.front());
        front.map_or(&self.tail, |chunk| chunk)
    }

    fn chunks_vectored<'a>(&'a self, dst: &mut [IoSlice<'a>]) -> usize {
        let segments = self.segments.iter();
        let chunks = segments.flat_map(|segments| segments.iter());
        let chunks = chunks.map(|chunk| &chunk[..]);
        let tail = (!self.tail.is_empty()).then_some(&self.tail[..]);
        let mut filled = 0;
        for (slot, chunk) in dst.iter_mut().zip(chunks.chain(tail)) {
            *slot = IoSlice::new(chunk);
            filled += 1;
        }
        filled
    }

    fn advance(&mut self, mut count: usize) {
        self.written = self
            .written
            .wrapping_add(u64::try_from(count).unwrap_or(u64::MAX));
        if self.segments_len > 0 {
            count = self.advance_segments(count);
            if self.segments_len > 0 {
                return;
            }
        }
        if count >= self.tail.len() {
            self.tail.clear();
        } else {
            self.tail.advance(count);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_payloads_are_copied_and_large_ones_ride_by_reference() {
        let mut output = Output::default();
        output.buffer().extend_from_slice(b"head");
        output.append(Bytes::from_static(b"small"));
        assert_eq!(output.chunk(), b"headsmall");
        let large = Bytes::from(vec![7; COPY_BELOW]);
        output.append(large.clone());
        output.buffer().extend_from_slice(b"next");
        assert_eq!(output.len(), 9 + COPY_BELOW + 4);
        let mut slices = [IoSlice::new(&[]); 8];
        assert_eq!(output.chunks_vectored(&mut slices), 3);
        assert_eq!(slices[1].as_ptr(), large.as_ptr());
        output.advance(4);
        assert_eq!(output.chunk(), b"small");
        output.advance(5 + COPY_BELOW + 1);
        assert_eq!(output.chunk(), b"ext");
        output.advance(3);
        assert!(output.is_empty());
        assert!(output.take_back().is_some());
        assert!(output.take_back().is_none());
    }
}
