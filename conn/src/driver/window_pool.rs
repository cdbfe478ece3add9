//! The window pool of the process. The engine reaches no global: the driver hands it
//! over.

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
