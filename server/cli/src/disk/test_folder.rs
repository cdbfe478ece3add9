//! Folders of tests.

use std::{
    fs,
    path::{Path, PathBuf},
};

/// A folder that is removed when it is dropped. Its path has no symbolic link.
pub(crate) struct TestFolder(PathBuf);

impl TestFolder {
    /// Creates a folder. `name` belongs to one test.
    pub(crate) fn new(name: &str) -> Self {
        let name = format!("lacewingd-{name}-{}", std::process::id());
        let path = std::env::temp_dir().join(name);
        fs::create_dir_all(&path).unwrap();
        Self(fs::canonicalize(path).unwrap())
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    pub(crate) fn join(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}

impl Drop for TestFolder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}
