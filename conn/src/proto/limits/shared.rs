//! Limits that many connections have in common.

use std::{
    ops::{Deref, DerefMut},
    sync::Arc,
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
#[derive(Clone, Debug, PartialEq)]
pub struct SharedLimits(Arc<Limits>);

impl SharedLimits {
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
        Self(Arc::new(limits))
    }
}

impl Deref for SharedLimits {
    type Target = Limits;

    fn deref(&self) -> &Limits {
        &self.0
    }
}

impl DerefMut for SharedLimits {
    fn deref_mut(&mut self) -> &mut Limits {
        Arc::make_mut(&mut self.0)
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
}
