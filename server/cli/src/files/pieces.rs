//! Buffers for the pieces of large files. They are used again: a fresh one needs fresh pages of the
//! system, and to touch those for the first time costs more than to copy the piece.

use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;

use crate::budget::{Budget, Charge};

/// The bytes of large files that all responses hold on their way to the transport.
pub(super) const MAX_BYTES: usize = 64 << 20;
/// The length of the longest piece, and of the buffers that are kept.
pub(super) const MAX_PIECE: usize = 256 << 10;
/// A piece that is longer takes such a buffer.
const HALF: usize = MAX_PIECE / 2;
/// The empty buffers that are kept, at most: 4 MiB.
const MAX_KEPT: usize = 16;

/// The buffers of all responses.
pub(super) struct Pieces {
    pub(super) budget: Arc<Budget>,
    empty: Mutex<Vec<Box<[u8]>>>,
}

/// A buffer, which is charged until it is dropped.
pub(super) struct Piece {
    buffer: Box<[u8]>,
    /// The bytes in use.
    len: usize,
    pieces: Arc<Pieces>,
    _charge: Charge,
}

impl Pieces {
    pub(super) fn new() -> Arc<Self> {
        Arc::new(Self {
            budget: Budget::new(MAX_BYTES),
            empty: Mutex::default(),
        })
    }

    /// A buffer for `len` bytes; `None` if the responses hold too many.
    pub(super) fn take(self: &Arc<Self>, len: usize) -> Option<Piece> {
        let room = if (HALF..=MAX_PIECE).contains(&len) {
            MAX_PIECE
        } else {
            len
        };
        let charge = self.budget.charge(room)?;
        let kept = if room == MAX_PIECE {
            self.with_empty(Vec::pop)
        } else {
            None
        };
        Some(Piece {
            buffer: kept.unwrap_or_else(|| vec![0; room].into_boxed_slice()),
            len,
            pieces: Arc::clone(self),
            _charge: charge,
        })
    }

    /// Frees the empty buffers.
    pub(super) fn free(&self) {
        drop(self.with_empty(std::mem::take));
    }

    fn with_empty<T>(&self, change: impl FnOnce(&mut Vec<Box<[u8]>>) -> T) -> T {
        change(&mut self.empty.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Piece {
    /// The bytes to read into. They are zeros, or bytes of an earlier piece.
    pub(super) fn room(&mut self) -> &mut [u8] {
        self.buffer.get_mut(..self.len).unwrap_or_default()
    }

    /// The first `len` bytes.
    pub(super) fn into_bytes(mut self, len: usize) -> Bytes {
        self.len = len.min(self.len);
        Bytes::from_owner(self)
    }
}

impl AsRef<[u8]> for Piece {
    fn as_ref(&self) -> &[u8] {
        self.buffer.get(..self.len).unwrap_or_default()
    }
}

impl Drop for Piece {
    fn drop(&mut self) {
        if self.buffer.len() != MAX_PIECE {
            return;
        }
        let buffer = std::mem::take(&mut self.buffer);
        // One too many is dropped after the lock.
        let _excess = self.pieces.with_empty(|empty| {
            if empty.len() < MAX_KEPT {
                empty.push(buffer);
                return None;
            }
            Some(buffer)
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_buffers_are_used_again_and_no_piece_has_bytes_of_another() {
        let pieces = Pieces::new();
        let mut first = pieces.take(MAX_PIECE).unwrap();
        first.room().fill(b'x');
        let first = first.into_bytes(MAX_PIECE);
        let memory = first.as_ptr();
        let part = first.slice(10..20);
        drop(first);
        assert_eq!(pieces.with_empty(|empty| empty.len()), 0, "in use");
        drop(part);
        let mut second = pieces.take(MAX_PIECE - 1).unwrap();
        assert_eq!(second.room().len(), MAX_PIECE - 1);
        second.room()[..3].copy_from_slice(b"new");
        let second = second.into_bytes(3);
        assert_eq!((second.as_ptr(), &second[..]), (memory, &b"new"[..]));
        drop(second);
        pieces.free();
        assert_eq!(pieces.with_empty(|empty| empty.capacity()), 0);
    }

    #[test]
    fn the_bytes_in_use_and_the_buffers_that_are_kept_are_bounded() {
        let pieces = Pieces::new();
        let held: Vec<_> = std::iter::from_fn(|| pieces.take(MAX_PIECE)).collect();
        assert_eq!(held.len(), MAX_BYTES / MAX_PIECE);
        assert!(pieces.take(1).is_none());
        drop(held);
        assert_eq!(pieces.with_empty(|empty| empty.len()), MAX_KEPT);
        assert_eq!(pieces.take(10).unwrap().room().len(), 10);
    }
}
