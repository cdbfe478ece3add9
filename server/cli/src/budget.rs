//! A bound on the bytes that all responses hold together.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use bytes::Bytes;

/// The number of bytes that may be held at once. A charge ends when the last
/// holder drops the bytes; a stalled response is a holder.
#[derive(Debug)]
pub(crate) struct Budget {
    held: AtomicUsize,
    max: usize,
}

impl Budget {
    pub(crate) fn new(max: usize) -> Arc<Self> {
        Arc::new(Self {
            held: AtomicUsize::new(0),
            max,
        })
    }

    /// `None` if `len` more bytes would exceed the budget.
    pub(crate) fn charge(self: &Arc<Self>, len: usize) -> Option<Charge> {
        let more = |held: usize| held.checked_add(len).filter(|held| *held <= self.max);
        self.held
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, more)
            .ok()?;
        Some(Charge {
            budget: Arc::clone(self),
            len,
        })
    }
}

/// Bytes that are charged until this is dropped.
#[derive(Debug)]
pub(crate) struct Charge {
    budget: Arc<Budget>,
    len: usize,
}

impl Charge {
    /// Binds the charge to the bytes that it was made for.
    pub(crate) fn hold(self, data: Vec<u8>) -> Bytes {
        Bytes::from_owner(Charged {
            data: data.into_boxed_slice(),
            _charge: self,
        })
    }
}

impl Drop for Charge {
    fn drop(&mut self) {
        self.budget.held.fetch_sub(self.len, Ordering::Relaxed);
    }
}

struct Charged {
    data: Box<[u8]>,
    _charge: Charge,
}

impl AsRef<[u8]> for Charged {
    fn as_ref(&self) -> &[u8] {
        &self.data
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_charged_until_the_last_holder_drops_them() {
        let budget = Budget::new(10);
        let first = budget.charge(6).unwrap().hold(vec![7; 6]);
        assert!(budget.charge(5).is_none());
        let stalled = first.slice(2..3);
        drop(first);
        assert!(budget.charge(5).is_none());
        drop(stalled);
        assert!(budget.charge(10).is_some());
        assert!(budget.charge(usize::MAX).is_none());
    }
}
