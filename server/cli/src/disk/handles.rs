//! Files that are open between the reads of a response.

use std::{
    collections::HashMap,
    fs::File,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use super::Identity;

/// Time without a read after which a file is closed. A later read opens it
/// again, if it has not changed.
pub(crate) const IDLE_HANDLE: Duration = Duration::from_secs(5);

/// Open files, each shared by the responses that read it. No response owns one, so a stalled reader
/// keeps no file open.
pub(crate) struct Handles {
    open: Mutex<HashMap<Identity, Handle>>,
    max: usize,
}

struct Handle {
    file: Arc<File>,
    used: Instant,
}

impl Handles {
    pub(super) fn new(max: usize) -> Self {
        Self {
            open: Mutex::default(),
            max,
        }
    }

    #[cfg(test)]
    pub(super) fn max(&self) -> usize {
        self.max
    }

    pub(crate) fn get(&self, identity: &Identity) -> Option<Arc<File>> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let handle = open.get_mut(identity)?;
        handle.used = Instant::now();
        Some(Arc::clone(&handle.file))
    }

    /// Keeps a file open. If there are too many, closes the one that was not used
    /// for longest.
    pub(crate) fn keep(&self, identity: Identity, file: Arc<File>) {
        let used = Instant::now();
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if open.len() >= self.max && !open.contains_key(&identity) {
            let oldest = open.iter().min_by_key(|(_, handle)| handle.used);
            let Some(oldest) = oldest.map(|(identity, _)| *identity) else {
                return;
            };
            open.remove(&oldest);
        }
        open.insert(identity, Handle { file, used });
    }

    /// Closes the files that were not read for `idle`.
    pub(crate) fn close_idle(&self, idle: Duration) {
        let now = Instant::now();
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        open.retain(|_, handle| now.saturating_duration_since(handle.used) < idle);
        if open.is_empty() {
            open.shrink_to_fit();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_number_of_open_files_is_bounded_and_idle_ones_are_closed() {
        let handles = Handles::new(2);
        let names = ["Cargo.toml", "README.md", "CHANGELOG.md"];
        let identities = names.map(|name| {
            let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join(name);
            let file = File::open(path).unwrap();
            let identity = Identity::of_file(&file).unwrap();
            handles.keep(identity, Arc::new(file));
            identity
        });
        let open = |identity| handles.get(identity).is_some();
        assert_eq!(identities.each_ref().map(open), [false, true, true]);
        handles.close_idle(Duration::from_secs(3600));
        assert!(open(&identities[2]));
        handles.close_idle(Duration::ZERO);
        assert!(!open(&identities[2]));
    }
}
