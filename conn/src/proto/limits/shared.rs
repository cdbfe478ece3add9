//! Limits that many connections have in common.

use std::{
    any::Any,
    fmt,
    ops::{Deref, DerefMut},
    sync::{Arc, Mutex, PoisonError},
};

use super::Limits;

/// [`Limits`] that connections share. A clone costs a reference count, and a change to one of
/// them copies the limits first: it concerns no other connection.
///
/// ```
/// use lacewing_conn::{Limits, Side, driver::ConnectionConfig};
///
/// let mut config = ConnectionConfig::new(Side::Server);
/// config.limits.max_concurrent_streams = 250;
/// config.limits = Limits::new(Side::Server).into();
/// assert_eq!(config.limits.max_concurrent_streams, 100);
/// ```
#[derive(Clone)]
pub struct SharedLimits(Arc<Shared>);

struct Shared {
    limits: Limits,
    /// What a codec makes of them. Made for the first connection.
    derived: Mutex<Option<Arc<dyn Any + Send + Sync>>>,
}

impl Shared {
    fn new(limits: Limits) -> Self {
        Self {
            limits,
            derived: Mutex::default(),
        }
    }
}

/// A clone is about to differ.
impl Clone for Shared {
    fn clone(&self) -> Self {
        Self::new(self.limits.clone())
    }
}

impl SharedLimits {
    /// Returns what `make` makes of these limits. All connections that share them share it too.
    pub(crate) fn derived<T: Send + Sync + 'static>(&self, make: fn(&Limits) -> T) -> Arc<T> {
        let derived = self.0.derived.lock();
        let mut derived = derived.unwrap_or_else(PoisonError::into_inner);
        let derived = derived.get_or_insert_with(|| Arc::new(make(self)));
        let shared = Arc::clone(derived).downcast();
        shared.unwrap_or_else(|_| Arc::new(make(self)))
    }

    /// Moves what no frame could say to the nearest that one can.
    pub(crate) fn clamp(&mut self) {
        let mut clamped = Limits::clone(self);
        clamped.clamp();
        if clamped != **self {
            *self = clamped.into();
        }
    }
}

impl From<Limits> for SharedLimits {
    fn from(limits: Limits) -> Self {
        Self(Arc::new(Shared::new(limits)))
    }
}

impl Deref for SharedLimits {
    type Target = Limits;

    fn deref(&self) -> &Limits {
        &self.0.limits
    }
}

impl DerefMut for SharedLimits {
    fn deref_mut(&mut self) -> &mut Limits {
        let shared = Arc::make_mut(&mut self.0);
        shared.derived = Mutex::default();
        &mut shared.limits
    }
}

impl PartialEq for SharedLimits {
    fn eq(&self, other: &Self) -> bool {
        **self == **other
    }
}

impl fmt::Debug for SharedLimits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("SharedLimits").field(&**self).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::Side;

    #[test]
    fn a_change_concerns_one_connection() {
        let first = SharedLimits::from(Limits::new(Side::Server));
        let mut second = first.clone();
        second.clamp();
        assert!(Arc::ptr_eq(&first.0, &second.0));
        second.max_frame_size = 1;
        second.clamp();
        assert_eq!(
            (first.max_frame_size, second.max_frame_size),
            (16_384, 16_384)
        );
        assert!(!Arc::ptr_eq(&first.0, &second.0));
        second.max_header_fields = usize::MAX;
        second.clamp();
        assert_eq!(second.max_header_fields, 16_384);
    }

    #[test]
    fn what_is_derived_is_shared_until_a_limit_changes() {
        let mut first = SharedLimits::from(Limits::new(Side::Server));
        let fields = |limits: &Limits| limits.max_header_fields;
        let derived = first.derived(fields);
        assert!(Arc::ptr_eq(&derived, &first.clone().derived(fields)));
        first.max_header_fields = 7;
        assert_eq!(*first.derived(fields), 7);
    }
}
