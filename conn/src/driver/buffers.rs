//! The buffers for reading and writing. They belong to the thread and not to a
//! connection: an idle connection holds none.
//!
//! DATA is split off a buffer without a copy. The buffer's memory is free when
//! the last of these bodies is consumed. The pool takes the buffer earlier, and
//! checks it again when the next one is needed. In a bulk transfer a few
//! buffers circulate, and no memory is allocated or faulted in.

use std::{cell::RefCell, collections::VecDeque};

use bytes::BytesMut;

/// The sizes of buffers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Size {
    /// Small enough to be pinned by a slow reader of one frame of it.
    Small,
    /// For reads that fill a small one.
    Large,
    /// For reads that fill a large one: a bulk transfer. A read of this size costs half of four
    /// smaller ones, since each tells the sender about new room and may wake it.
    Huge,
}

impl Size {
    pub(super) const fn bytes(self) -> usize {
        match self {
            Self::Small => 16 << 10,
            Self::Large => 64 << 10,
            Self::Huge => 256 << 10,
        }
    }

    /// The next size, for a reader that fills this one.
    pub(super) fn larger(self) -> Self {
        match self {
            Self::Small => Self::Large,
            Self::Large | Self::Huge => Self::Huge,
        }
    }

    /// The number of buffers that a thread keeps: half a mebibyte of small ones, one of large
    /// ones, two of huge ones.
    const fn kept(self) -> usize {
        match self {
            Self::Small => 32,
            Self::Large => 16,
            Self::Huge => 8,
        }
    }
}

/// The buffers that are tried for a free one, at most.
const MAX_TRIED: usize = 4;

thread_local! {
    static SMALL: RefCell<VecDeque<BytesMut>> = const { RefCell::new(VecDeque::new()) };
    static LARGE: RefCell<VecDeque<BytesMut>> = const { RefCell::new(VecDeque::new()) };
    static HUGE: RefCell<VecDeque<BytesMut>> = const { RefCell::new(VecDeque::new()) };
}

fn with_pool<T>(size: Size, use_pool: impl FnOnce(&mut VecDeque<BytesMut>) -> T) -> T {
    match size {
        Size::Small => SMALL.with_borrow_mut(use_pool),
        Size::Large => LARGE.with_borrow_mut(use_pool),
        Size::Huge => HUGE.with_borrow_mut(use_pool),
    }
}

/// An empty buffer with room for `size`.
pub(super) fn take(size: Size) -> BytesMut {
    let pooled = with_pool(size, |pool| {
        for _ in 0..MAX_TRIED.min(pool.len()) {
            let mut buffer = pool.pop_front()?;
            if buffer.try_reclaim(size.bytes()) {
                return Some(buffer);
            }
            pool.push_back(buffer);
        }
        None
    });
    pooled.unwrap_or_else(|| BytesMut::with_capacity(size.bytes()))
}

/// Gives back a buffer that was made of that size, of which parts may be in use
/// elsewhere.
pub(super) fn give_back(mut buffer: BytesMut, size: Size) {
    buffer.clear();
    // One that grew is not for keeping; nor is one that never had memory.
    if buffer.capacity() > 2 * size.bytes() {
        return;
    }
    with_pool(size, |pool| {
        if pool.len() < size.kept() {
            pool.push_back(buffer);
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_goes_round_when_the_bodies_made_of_it_are_gone() {
        let mut buffer = take(Size::Large);
        buffer.extend_from_slice(&[1; 64 << 10]);
        let memory = buffer.as_ptr();
        let body = buffer.split_to(64 << 10).freeze();
        give_back(buffer, Size::Large);
        let other = take(Size::Large);
        assert_ne!(other.as_ptr(), memory, "still in use");
        drop(body);
        let again = take(Size::Large);
        assert_eq!((again.as_ptr(), again.len()), (memory, 0));
        assert!(again.capacity() >= Size::Large.bytes());
    }

    #[test]
    fn a_thread_keeps_only_so_many() {
        for size in [Size::Small, Size::Large, Size::Huge] {
            for _ in 0..100 {
                give_back(BytesMut::with_capacity(size.bytes()), size);
            }
            give_back(BytesMut::with_capacity(1 << 20), size);
            assert_eq!(with_pool(size, |pool| pool.len()), size.kept());
        }
    }
}
