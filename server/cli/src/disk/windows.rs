//! Files and directories of Windows.

use std::{
    fs::{self, File, ReadDir},
    io,
    os::windows::fs::{FileExt, OpenOptionsExt},
    path::Path,
    time::UNIX_EPOCH,
};

use cap_std::{ambient_authority, fs::Dir};
use winapi_util::{Handle, file::information};

use super::{Found, Identity, Links, Opened, Root};
use crate::failure::Failure;

/// Devices, whatever extension their name has.
const DEVICES: [&str; 6] = ["con", "prn", "aux", "nul", "conin$", "conout$"];
/// The same, with a digit behind.
const NUMBERED_DEVICES: [&str; 2] = ["com", "lpt"];

/// FILE_FLAG_BACKUP_SEMANTICS: opens directories too.
const BACKUP_SEMANTICS: u32 = 0x0200_0000;

/// Between 1601 and 1970, in units of 100 ns.
const TO_1970: i64 = 116_444_736_000_000_000;
const PER_SECOND: i64 = 10_000_000;

pub(super) fn open(root: &Root, path: &str) -> Result<Opened, Failure> {
    if !path.split('/').all(is_plain) {
        return Err(Failure::NotFound);
    }
    let path = if path.is_empty() { "." } else { path };
    if root.links == Links::Follow {
        let mut options = File::options();
        options.read(true).custom_flags(BACKUP_SEMANTICS);
        return Ok(opened(options.open(root.path.join(path))?)?);
    }
    let directory = Dir::open_ambient_dir(&root.path, ambient_authority())?;
    match open_within(&directory, Path::new(path)) {
        Ok(found) => Ok(found),
        // Perhaps an absolute link to what is below the root.
        Err(error) => match root.resolve(path) {
            Some(below) if below.as_path() != Path::new(path) => {
                Ok(open_within(&directory, &below)?)
            }
            _ => Err(error.into()),
        },
    }
}

/// Opens each directory on the way from the one before, so that a link leads nowhere else.
fn open_within(directory: &Dir, path: &Path) -> io::Result<Opened> {
    let path = if path.as_os_str().is_empty() {
        Path::new(".")
    } else {
        path
    };
    let found = match directory.open(path) {
        Ok(file) => file.into_std(),
        Err(error) => directory.open_dir(path).map_err(|_| error)?.into_std_file(),
    };
    opened(found)
}

fn opened(file: File) -> io::Result<Opened> {
    let metadata = file.metadata()?;
    let identity = identity_of_file(&file)?;
    if metadata.is_file() {
        Ok(Opened::File(file, identity))
    } else if metadata.is_dir() {
        Ok(Opened::Directory(file, identity))
    } else {
        Err(io::ErrorKind::NotFound.into())
    }
}

/// Returns false for a name that is another name of something else: a device, a stream of a file
/// (`a:b`), a short name (`GIT~1` for `.git`), a name whose dots and spaces at the end are dropped.
fn is_plain(name: &str) -> bool {
    let short = |name: &str| {
        let tails = name.split('~').skip(1);
        tails
            .into_iter()
            .any(|tail| tail.starts_with(|digit: char| digit.is_ascii_digit()))
    };
    let stem = name
        .split('.')
        .next()
        .unwrap_or_default()
        .trim_end()
        .to_lowercase();
    let numbered = NUMBERED_DEVICES.iter().any(|device| {
        let digit = stem.strip_prefix(device).unwrap_or_default();
        digit.chars().count() == 1 && digit.contains(|digit: char| digit.is_numeric())
    });
    !(name.contains([':', '"', '<', '>', '|', '?', '*'])
        || name.contains(|character: char| character.is_control())
        || name.ends_with(['.', ' '])
        || short(name)
        || numbered
        || DEVICES.contains(&stem.as_str()))
}

pub(super) fn identity_of(path: &Path) -> io::Result<Identity> {
    let handle = Handle::from_path_any(path)?;
    identity(&information(&handle)?)
}

pub(super) fn identity_of_file(file: &File) -> io::Result<Identity> {
    identity(&information(file)?)
}

fn identity(information: &winapi_util::file::Information) -> io::Result<Identity> {
    let written = information.last_write_time().unwrap_or_default();
    let written = i64::try_from(written).map_err(io::Error::other)?;
    let written = written.saturating_sub(TO_1970);
    let seconds = written.div_euclid(PER_SECOND);
    let nanoseconds = written.rem_euclid(PER_SECOND) * 100;
    Ok(Identity {
        device: information.volume_serial_number(),
        inode: information.file_index(),
        size: information.file_size(),
        modified: (seconds, nanoseconds),
        changed: (seconds, nanoseconds),
    })
}

/// Reads at a position. It moves that of the handle, which nobody uses.
pub(super) fn read_at(file: &File, piece: &mut [u8], start: u64) -> io::Result<usize> {
    file.seek_read(piece, start)
}

/// The names in a directory that [`open`] opened, in the order of the disk.
pub(crate) struct Names {
    names: ReadDir,
    directory: std::path::PathBuf,
}

impl Names {
    pub(crate) fn of(_: &File, root: &Root, path: &str) -> Result<Self, Failure> {
        // Not by a link that was put there meanwhile.
        let below = root.resolve(path).ok_or(Failure::NotFound)?;
        let directory = root.path.join(below);
        let names = fs::read_dir(&directory)?;
        Ok(Self { names, directory })
    }

    /// The next name that is Unicode and that [`open`] takes.
    pub(crate) fn next(&mut self) -> Option<Result<String, Failure>> {
        loop {
            let name = match self.names.next()? {
                Ok(entry) => entry.file_name().into_string(),
                Err(error) => return Some(Err(error.into())),
            };
            if let Some(name) = name.ok().filter(|name| is_plain(name)) {
                return Some(Ok(name));
            }
        }
    }

    /// What has the name, behind links that `serves_link` lets pass; `None` for what is not served,
    /// and for what was removed meanwhile.
    pub(crate) fn find(
        &self,
        name: &str,
        serves_link: impl FnOnce() -> bool,
    ) -> Result<Option<Found>, Failure> {
        let path = self.directory.join(name);
        let mut found = match fs::symlink_metadata(&path) {
            Ok(found) => found,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        if found.is_symlink() {
            if !serves_link() {
                return Ok(None);
            }
            found = match fs::metadata(&path) {
                Ok(found) => found,
                Err(_) => return Ok(None),
            };
        }
        let size = match (found.is_dir(), found.is_file()) {
            (true, _) => None,
            (_, true) => Some(found.len()),
            _ => return Ok(None),
        };
        let modified = found.modified().ok();
        let modified = modified.and_then(|time| time.duration_since(UNIX_EPOCH).ok());
        Ok(Some(Found {
            size,
            modified: modified.map(|time| time.as_secs()),
        }))
    }
}

/// Windows has no such limit for a process.
pub(crate) fn max_descriptors() -> u64 {
    u64::MAX
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_has_one_name() {
        for name in [
            "a", "a.txt", "console", "com", "com10", "a~b", "ü", ".git", "a b",
        ] {
            assert!(is_plain(name), "{name}");
        }
        for name in [
            "con",
            "NUL.txt",
            "nul .txt",
            "COM1",
            "lpt9.a",
            "com¹",
            "GIT~1",
            "LONGFI~2.TXT",
            "a:b",
            "a::$DATA",
            "a.",
            "a ",
            "a?",
            "a\u{1}",
        ] {
            assert!(!is_plain(name), "{name}");
        }
    }

    #[test]
    fn an_open_file_can_be_replaced() {
        for links in [Links::Follow, Links::Within] {
            let folder = crate::disk::TestFolder::new("replaced");
            let path = folder.join("file");
            fs::write(&path, "old").unwrap();
            let found = open(&Root::new(folder.path(), links), "file").unwrap();
            let removed = fs::remove_file(&path);
            drop(found);
            removed.unwrap_or_else(|error| panic!("{links:?}: {error}"));
        }
    }
}
