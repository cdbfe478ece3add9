//! A file as it was at one moment.

use std::{
    fs::File,
    io,
    path::Path,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use super::system;

/// A change that follows another more closely may not show: clocks of file
/// systems tick every few milliseconds.
const TICK: Duration = Duration::from_millis(50);
/// Some of them count seconds only, or pairs of seconds.
const COARSE_TICK: Duration = Duration::from_secs(2);

/// A file as it was at one moment: the same identity has the same content.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Identity {
    pub(super) device: u64,
    pub(super) inode: u64,
    pub(super) size: u64,
    pub(super) modified: (i64, i64),
    pub(super) changed: (i64, i64),
}

impl Identity {
    /// That of the file at `path`, behind links.
    pub(crate) fn of(path: &Path) -> io::Result<Self> {
        system::identity_of(path)
    }

    pub(crate) fn of_file(file: &File) -> io::Result<Self> {
        system::identity_of_file(file)
    }

    pub(crate) fn size(&self) -> u64 {
        self.size
    }

    /// Device and inode: the file, with any contents.
    pub(crate) fn place(&self) -> (u64, u64) {
        (self.device, self.inode)
    }

    /// Seconds and nanoseconds since 1970; `None` before that.
    pub(crate) fn modified(&self) -> Option<(u64, u32)> {
        let (seconds, nanoseconds) = self.modified;
        Some((seconds.try_into().ok()?, nanoseconds.try_into().ok()?))
    }

    /// Returns true if the last change is so old that the next one will show in
    /// the identity.
    pub(crate) fn is_settled(&self, now: SystemTime) -> bool {
        let (Ok(seconds), Ok(nanoseconds)) =
            (u64::try_from(self.changed.0), u32::try_from(self.changed.1))
        else {
            return false;
        };
        let tick = if nanoseconds == 0 { COARSE_TICK } else { TICK };
        UNIX_EPOCH
            .checked_add(Duration::new(seconds, nanoseconds))
            .and_then(|changed| now.duration_since(changed).ok())
            .is_some_and(|age| age >= tick)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_settled_when_its_last_change_is_old() {
        let mut identity = Identity::of(Path::new(".")).unwrap();
        identity.changed = (100, 1);
        let at = |millis| UNIX_EPOCH + Duration::from_millis(millis);
        assert!(!identity.is_settled(at(99_000)));
        assert!(!identity.is_settled(at(100_010)));
        assert!(identity.is_settled(at(100_051)));
        identity.changed = (100, 0);
        assert!(!identity.is_settled(at(100_051)));
        assert!(identity.is_settled(at(102_000)));
    }
}
