//! The part of a body that waits for its reader.

use std::collections::VecDeque;

use bytes::{Bytes, BytesMut};

/// A piece below this is joined to the pieces that already wait. Longer ones
/// stay parts of the read buffer, without a copy.
const JOIN_BELOW: usize = 4 << 10;

/// The largest piece that is made by joining.
const BLOCK: usize = 16 << 10;

/// Data in the order of its arrival. Its memory is close to the length of its
/// payloads. A frame of one byte that waited on its own would cost a hundred
/// times its payload. A small part of a read buffer would keep the whole buffer
/// alive.
///
/// A reader that keeps up gets each piece as it arrived.
#[derive(Debug, Default)]
pub(super) struct Pieces {
    /// The oldest piece, or none.
    first: Bytes,
    /// Those behind it. Made for the first of them: most bodies have none.
    rest: Option<Box<Rest>>,
    len: usize,
}

#[derive(Debug, Default)]
struct Rest {
    whole: VecDeque<Bytes>,
    /// The last piece, while more can be joined to it.
    joined: BytesMut,
}

impl Pieces {
    /// The bytes that wait.
    pub(super) fn len(&self) -> usize {
        self.len
    }

    pub(super) fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Appends a piece. An empty one is ignored.
    pub(super) fn push(&mut self, piece: Bytes) {
        if piece.is_empty() {
            return;
        }
        let first = self.is_empty();
        self.len = self.len.saturating_add(piece.len());
        if first {
            self.first = piece;
        } else {
            self.rest.get_or_insert_default().push(piece);
        }
    }

    /// Takes the next piece.
    pub(super) fn pop(&mut self) -> Option<Bytes> {
        let mut piece = std::mem::take(&mut self.first);
        if piece.is_empty() {
            piece = self.rest.as_mut()?.pop()?;
        }
        self.len = self.len.saturating_sub(piece.len());
        Some(piece)
    }
}

impl Rest {
    fn push(&mut self, piece: Bytes) {
        if piece.len() < JOIN_BELOW {
            if self.joined.len().saturating_add(piece.len()) > BLOCK {
                self.close_joined();
            }
            self.joined.extend_from_slice(&piece);
        } else {
            self.close_joined();
            self.whole.push_back(piece);
        }
    }

    fn pop(&mut self) -> Option<Bytes> {
        if self.whole.is_empty() {
            self.close_joined();
        }
        self.whole.pop_front()
    }

    fn close_joined(&mut self) {
        if !self.joined.is_empty() {
            self.whole
                .push_back(std::mem::take(&mut self.joined).freeze());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_pieces_that_wait_are_joined_in_order() {
        let mut pieces = Pieces::default();
        let mut expected = Vec::new();
        for round in 0..40_000_u32 {
            let len = match round % 1000 {
                999 => JOIN_BELOW,
                other => other as usize % 7,
            };
            let piece = vec![round.to_le_bytes()[0]; len];
            expected.extend_from_slice(&piece);
            pieces.push(Bytes::from(piece));
        }
        assert_eq!(pieces.len(), expected.len());
        let (mut got, mut count) = (Vec::new(), 0);
        while let Some(piece) = pieces.pop() {
            assert!(!piece.is_empty() && piece.len() <= BLOCK);
            got.extend_from_slice(&piece);
            count += 1;
        }
        assert!(got == expected, "the bytes in their order");
        assert!(count <= 2 + 2 * 40, "{count} pieces");
        assert!(pieces.is_empty());
    }

    #[test]
    fn a_piece_that_finds_nothing_waiting_is_not_copied() {
        let mut pieces = Pieces::default();
        for len in [1, 100, JOIN_BELOW] {
            let piece = Bytes::from(vec![7; len]);
            pieces.push(piece.clone());
            assert_eq!(pieces.pop().map(|got| got.as_ptr()), Some(piece.as_ptr()));
        }
    }

    #[test]
    fn one_byte_at_a_time_costs_little_more_than_the_bytes() {
        let mut pieces = Pieces::default();
        for _ in 0..1 << 20 {
            pieces.push(Bytes::from_static(b"x"));
        }
        let rest = pieces.rest.unwrap();
        let slots = rest.whole.capacity() * size_of::<Bytes>();
        assert!(rest.whole.len() <= 1 + (1 << 20) / BLOCK);
        assert!(slots < 16 << 10, "{slots} bytes of slots");
        assert!(rest.joined.capacity() <= 2 * BLOCK);
    }
}
