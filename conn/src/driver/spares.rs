//! Empty tables and boxes of connections that sleep. They belong to the thread, as the read
//! buffers do: an idle connection holds none, and one that wakes allocates none.

use std::{any::Any, cell::RefCell};

/// The values of a type that a thread keeps.
const KEPT: usize = 16;

thread_local! {
    /// A `Vec<T>` for each type. There are few: one for engines, one for each kind of service.
    static POOL: RefCell<Vec<Box<dyn Any>>> = const { RefCell::new(Vec::new()) };
}

/// Takes a value that [`give_back`] has left with this thread.
///
/// ```
/// use lacewing_conn::driver::spares;
///
/// #[derive(Default)]
/// struct Tables(Vec<u8>);
///
/// let tables: Tables = spares::take().unwrap_or_default();
/// spares::give_back(tables);
/// assert!(spares::take::<Tables>().is_some());
/// assert!(spares::take::<Tables>().is_none());
/// ```
pub fn take<T: 'static>() -> Option<T> {
    POOL.with_borrow_mut(|pool| {
        let mut pool = pool.iter_mut();
        pool.find_map(|values| values.downcast_mut::<Vec<T>>())?
            .pop()
    })
}

/// Leaves a value with the thread, which keeps up to 16 of each type and drops the others.
pub fn give_back<T: 'static>(value: T) {
    // Not dropped while the pool is borrowed: its drop might use the pool.
    let dropped = POOL.with_borrow_mut(|pool| {
        let values = pool
            .iter_mut()
            .find_map(|values| values.downcast_mut::<Vec<T>>());
        match values {
            Some(values) if values.len() >= KEPT => return Some(value),
            Some(values) => values.push(value),
            None => pool.push(Box::new(vec![value])),
        }
        None
    });
    drop(dropped);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thread_keeps_so_many_of_each_type() {
        for n in 0..100u8 {
            give_back(n);
            give_back(u16::from(n));
        }
        assert_eq!(std::iter::from_fn(take::<u8>).count(), KEPT);
        assert_eq!(std::iter::from_fn(take::<u16>).count(), KEPT);
        assert_eq!(take::<u8>(), None);
    }
}
