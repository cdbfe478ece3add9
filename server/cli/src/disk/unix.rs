//! Files and directories of a Unix system.

use std::{
    ffi::OsStr,
    fs::{self, File, Metadata},
    io,
    os::{
        fd::OwnedFd,
        unix::fs::{FileExt, MetadataExt},
    },
    path::{Component, Path},
};

use rustix::{
    fs::{AtFlags, CWD, Dir, FileType, Mode, OFlags, openat, statat},
    io::Errno,
    process::{Resource, getrlimit},
};

use super::{Found, Identity, Links, Opened, Root};
use crate::failure::Failure;

/// For a directory on the way. Its permissions may allow to pass through it and
/// not to read its names.
#[cfg(any(target_os = "linux", target_os = "android", target_os = "freebsd"))]
const PASS: OFlags = OFlags::PATH.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC);
#[cfg(not(any(target_os = "linux", target_os = "android", target_os = "freebsd")))]
const PASS: OFlags = OFlags::RDONLY
    .union(OFlags::DIRECTORY)
    .union(OFlags::CLOEXEC);

/// For a file. Without NONBLOCK, opening a FIFO waits until another program
/// writes to it.
const READ: OFlags = OFlags::RDONLY
    .union(OFlags::NONBLOCK)
    .union(OFlags::NOCTTY)
    .union(OFlags::CLOEXEC);

pub(super) fn open(root: &Root, path: &str) -> Result<Opened, Failure> {
    if root.links == Links::Follow {
        let directory = openat(CWD, &root.path, PASS, Mode::empty())?;
        let path = if path.is_empty() { "." } else { path };
        return Ok(open_last(directory, OsStr::new(path), Links::Follow)?);
    }
    match walk(root, Path::new(path)) {
        // A link is on the way, or a file where a directory should be.
        Err(Errno::LOOP | Errno::NOTDIR) => {
            let below = root.resolve(path).ok_or(Failure::NotFound)?;
            // A link that was put there meanwhile is not followed.
            Ok(walk(root, &below)?)
        }
        other => Ok(other?),
    }
}

/// Opens each directory on the way from the one before, so that a directory that is exchanged
/// meanwhile leads nowhere else. A link ends it with `LOOP` or `NOTDIR`.
fn walk(root: &Root, path: &Path) -> Result<Opened, Errno> {
    let mut directory = openat(CWD, &root.path, PASS, Mode::empty())?;
    let mut names = path.components().filter_map(|component| match component {
        Component::Normal(name) => Some(name),
        _ => None,
    });
    let Some(mut last) = names.next() else {
        return opened(directory);
    };
    for next in names {
        directory = openat(&directory, last, PASS | OFlags::NOFOLLOW, Mode::empty())?;
        last = next;
    }
    open_last(directory, last, Links::Within)
}

/// Looks before it opens: the mere opening of a device or a FIFO has effects.
fn open_last(directory: OwnedFd, name: &OsStr, links: Links) -> Result<Opened, Errno> {
    let (at, flags) = match links {
        Links::Within => (AtFlags::SYMLINK_NOFOLLOW, OFlags::NOFOLLOW),
        Links::Follow => (AtFlags::empty(), OFlags::empty()),
    };
    let found = statat(&directory, name, at)?;
    let flags = flags
        | match FileType::from_raw_mode(found.st_mode) {
            FileType::RegularFile => READ,
            FileType::Directory => PASS,
            FileType::Symlink => return Err(Errno::LOOP),
            _ => return Err(Errno::NXIO),
        };
    opened(openat(&directory, name, flags, Mode::empty())?)
}

/// Looks again, at the handle: the name may have changed in between.
fn opened(found: OwnedFd) -> Result<Opened, Errno> {
    let file = File::from(found);
    let metadata = file
        .metadata()
        .map_err(|error| Errno::from_io_error(&error).unwrap_or(Errno::IO))?;
    let identity = identity(&metadata);
    if metadata.is_file() {
        Ok(Opened::File(file, identity))
    } else if metadata.is_dir() {
        Ok(Opened::Directory(file, identity))
    } else {
        Err(Errno::NXIO)
    }
}

fn identity(metadata: &Metadata) -> Identity {
    Identity {
        device: metadata.dev(),
        inode: metadata.ino(),
        size: metadata.size(),
        modified: (metadata.mtime(), metadata.mtime_nsec()),
        changed: (metadata.ctime(), metadata.ctime_nsec()),
    }
}

pub(super) fn identity_of(path: &Path) -> io::Result<Identity> {
    fs::metadata(path).map(|metadata| identity(&metadata))
}

pub(super) fn identity_of_file(file: &File) -> io::Result<Identity> {
    file.metadata().map(|metadata| identity(&metadata))
}

/// Reads at a position, and leaves that of the handle alone: responses share it.
pub(super) fn read_at(file: &File, piece: &mut [u8], start: u64) -> io::Result<usize> {
    file.read_at(piece, start)
}

/// The names in a directory that [`open`] opened, in the order of the disk, without `.` and `..`.
pub(crate) struct Names(Dir);

impl Names {
    pub(crate) fn of(directory: &File, _: &Root, _: &str) -> Result<Self, Failure> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let names = openat(directory, ".", flags, Mode::empty())?;
        Ok(Self(Dir::new(names)?))
    }

    /// The next name that is UTF-8.
    pub(crate) fn next(&mut self) -> Option<Result<String, Failure>> {
        loop {
            let name = match self.0.read()? {
                Ok(name) => name,
                Err(error) => return Some(Err(error.into())),
            };
            match name.file_name().to_str() {
                Ok("." | "..") | Err(_) => {}
                Ok(name) => return Some(Ok(name.to_owned())),
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
        let directory = self.0.fd()?;
        let mut found = match statat(directory, name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(found) => found,
            Err(Errno::NOENT) => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        if FileType::from_raw_mode(found.st_mode) == FileType::Symlink {
            if !serves_link() {
                return Ok(None);
            }
            found = match statat(directory, name, AtFlags::empty()) {
                Ok(found) => found,
                Err(_) => return Ok(None),
            };
        }
        let size = match FileType::from_raw_mode(found.st_mode) {
            FileType::Directory => None,
            FileType::RegularFile => Some(found.st_size.try_into().unwrap_or(0)),
            _ => return Ok(None),
        };
        let modified = found.st_mtime.try_into().ok();
        Ok(Some(Found { size, modified }))
    }
}

/// The files and sockets that the process may have open.
pub(crate) fn max_descriptors() -> u64 {
    getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX)
}
