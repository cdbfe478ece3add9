//! Wakers that are kept for later: `facade::wakers` shows these functions.

use std::task::Waker;

/// Keeps the waker of the only task that waits. Replaces the one before, and
/// copies nothing if both wake the same task.
#[inline]
pub fn register(slot: &mut Option<Waker>, waker: &Waker) {
    match slot {
        Some(known) => known.clone_from(waker),
        None => *slot = Some(waker.clone()),
    }
}

/// Keeps the waker of a task, and returns `true` if the one before would not have woken it: the
/// task has yet to register where it is woken from.
#[inline]
pub fn register_new(slot: &mut Option<Waker>, waker: &Waker) -> bool {
    let is_new = !slot.as_ref().is_some_and(|known| known.will_wake(waker));
    if is_new {
        *slot = Some(waker.clone());
    }
    is_new
}

/// Keeps the waker of one of several tasks that wait, each of them once.
#[inline]
pub fn register_shared(list: &mut Vec<Waker>, waker: &Waker) {
    if !list.iter().any(|known| known.will_wake(waker)) {
        list.push(waker.clone());
    }
}

/// Wakes all that were kept. Call it after the lock is released.
pub fn wake(wakers: impl IntoIterator<Item = Waker>) {
    wakers.into_iter().for_each(Waker::wake);
}

#[cfg(all(test, not(lacewing_loom)))]
mod tests {
    use std::{
        sync::{
            Arc,
            atomic::{AtomicUsize, Ordering},
        },
        task::Wake,
    };

    use super::*;

    #[derive(Default)]
    struct Count(AtomicUsize);

    impl Wake for Count {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }

    #[test]
    fn each_task_is_woken_once_and_a_slot_keeps_the_last_one() {
        let (first, second) = (Arc::new(Count::default()), Arc::new(Count::default()));
        let wakers = [
            Waker::from(Arc::clone(&first)),
            Waker::from(Arc::clone(&second)),
        ];
        let (mut slot, mut list) = (None, Vec::new());
        for waker in [&wakers[0], &wakers[0], &wakers[1], &wakers[1]] {
            register(&mut slot, waker);
            register_shared(&mut list, waker);
        }
        assert!(register_new(&mut slot, &wakers[0]) && !register_new(&mut slot, &wakers[0]));
        assert!(register_new(&mut slot, &wakers[1]));
        wake(slot.take());
        let counts = || {
            (
                first.0.load(Ordering::SeqCst),
                second.0.load(Ordering::SeqCst),
            )
        };
        assert_eq!(counts(), (0, 1));
        wake(list);
        assert_eq!(counts(), (1, 2));
    }
}
