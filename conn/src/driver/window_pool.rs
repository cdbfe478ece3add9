//! The window pool of the process. The engine uses no global state: the driver passes
//! the pool to it.

use std::sync::OnceLock;

use crate::proto::WindowPool;

impl WindowPool {
    /// Returns the pool of the process.
    pub fn global() -> Self {
        static GLOBAL: OnceLock<WindowPool> = OnceLock::new();
        GLOBAL
            .get_or_init(|| Self::new(Self::GLOBAL_CAPACITY))
            .clone()
    }
}
