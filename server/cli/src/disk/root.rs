//! The root directory: opens only files below it.

use std::{
    ffi::OsStr,
    fs::{self, File},
    os::fd::OwnedFd,
    path::{Component, Path, PathBuf},
};

use rustix::{
    fs::{AtFlags, CWD, FileType, Mode, OFlags, openat, statat},
    io::Errno,
};

use super::Identity;
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

/// Symbolic links that are followed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Links {
    /// Follows links that stay below the root.
    Within,
    /// All.
    Follow,
}

/// The directory that is served.
#[derive(Debug)]
pub(crate) struct Root {
    /// Without links.
    path: PathBuf,
    links: Links,
}

/// A file or a directory. FIFOs, sockets and devices are never opened.
#[derive(Debug)]
pub(crate) enum Opened {
    File(File, Identity),
    /// A handle to look into, not to read names from.
    Directory(File, Identity),
}

impl Root {
    /// `path` has no links in it.
    pub(crate) fn new(path: &Path, links: Links) -> Self {
        Self {
            path: path.to_path_buf(),
            links,
        }
    }

    /// The whole path of what is below the root.
    pub(crate) fn whole(&self, path: &str) -> PathBuf {
        self.path.join(path)
    }

    /// Opens what is below the root. `path` has plain names only.
    pub(crate) fn open(&self, path: &str) -> Result<Opened, Failure> {
        if self.links == Links::Follow {
            let root = openat(CWD, &self.path, PASS, Mode::empty())?;
            let path = if path.is_empty() { "." } else { path };
            return Ok(open_last(root, OsStr::new(path), Links::Follow)?);
        }
        match self.walk(Path::new(path)) {
            // A link is on the way, or a file where a directory should be.
            Err(Errno::LOOP | Errno::NOTDIR) => {
                let below = self.resolve(path).ok_or(Failure::NotFound)?;
                // A link that was put there meanwhile is not followed.
                Ok(self.walk(&below)?)
            }
            other => Ok(other?),
        }
    }

    /// A link's target is served too.
    pub(crate) fn serves_link(&self, path: &str) -> bool {
        self.links == Links::Follow || self.resolve(path).is_some()
    }

    /// The path below the root without links; `None` if it leads elsewhere.
    fn resolve(&self, path: &str) -> Option<PathBuf> {
        let real = fs::canonicalize(self.path.join(path)).ok()?;
        real.strip_prefix(&self.path).ok().map(Path::to_path_buf)
    }

    /// Opens each directory on the way from the one before, so that a
    /// directory that is exchanged meanwhile leads nowhere else. A link ends it
    /// with `LOOP` or `NOTDIR`.
    fn walk(&self, path: &Path) -> Result<Opened, Errno> {
        let mut directory = openat(CWD, &self.path, PASS, Mode::empty())?;
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
}

/// The path of a name in a directory. The root's path is empty.
pub(crate) fn below(directory: &str, name: &str) -> String {
    if directory.is_empty() {
        name.to_owned()
    } else {
        format!("{directory}/{name}")
    }
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
    let identity = Identity::from(&metadata);
    if metadata.is_file() {
        Ok(Opened::File(file, identity))
    } else if metadata.is_dir() {
        Ok(Opened::Directory(file, identity))
    } else {
        Err(Errno::NXIO)
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;
    use crate::disk::TestFolder;

    struct Tree(TestFolder);

    impl Tree {
        fn new(name: &str) -> Self {
            let folder = TestFolder::new(name);
            fs::create_dir_all(folder.join("root/a/b")).unwrap();
            fs::write(folder.join("outside"), "outside").unwrap();
            fs::write(folder.join("root/a/b/file"), "inside").unwrap();
            Self(folder)
        }

        fn root(&self, links: Links) -> Root {
            Root::new(&self.0.join("root"), links)
        }
    }

    fn is_file(opened: &Result<Opened, Failure>) -> bool {
        matches!(opened, Ok(Opened::File(..)))
    }

    #[test]
    fn links_are_followed_as_far_as_the_root() {
        let tree = Tree::new("root");
        let root = tree.0.join("root");
        symlink("a/b", root.join("down")).unwrap();
        symlink(root.join("a/b/file"), root.join("absolute")).unwrap();
        symlink("../outside", root.join("out")).unwrap();
        symlink("..", root.join("up")).unwrap();
        symlink("loop", root.join("loop")).unwrap();
        let within = tree.root(Links::Within);
        for path in ["a/b/file", "down/file", "absolute"] {
            assert!(is_file(&within.open(path)), "{path}");
        }
        for path in ["out", "up/outside", "up", "loop", "a/b/file/c"] {
            let failure = within.open(path).err();
            assert_eq!(failure, Some(Failure::NotFound), "{path}");
        }
        assert!(within.serves_link("down") && !within.serves_link("out"));
        let all = tree.root(Links::Follow);
        for path in ["a/b/file", "down/file", "absolute", "out", "up/outside"] {
            assert!(is_file(&all.open(path)), "{path}");
        }
        assert_eq!(all.open("loop").err(), Some(Failure::NotFound));
        for root in [within, all] {
            assert!(matches!(root.open(""), Ok(Opened::Directory(..))));
            assert!(matches!(root.open("a/b"), Ok(Opened::Directory(..))));
        }
    }

    #[test]
    fn a_directory_that_becomes_a_link_leads_nowhere() {
        let tree = Tree::new("race");
        let root = tree.0.join("root");
        fs::write(tree.0.join("file"), "outside").unwrap();
        let within = tree.root(Links::Within);
        let swapping = std::thread::spawn(move || {
            for _ in 0..300 {
                fs::rename(root.join("a/b"), root.join("a/c")).unwrap();
                symlink("../..", root.join("a/b")).unwrap();
                fs::remove_file(root.join("a/b")).unwrap();
                fs::rename(root.join("a/c"), root.join("a/b")).unwrap();
            }
        });
        let outside = Identity::from(&fs::metadata(tree.0.join("file")).unwrap());
        while !swapping.is_finished() {
            if let Ok(Opened::File(_, identity)) = within.open("a/b/file") {
                assert_ne!(identity, outside);
            }
        }
        swapping.join().unwrap();
        assert!(is_file(&within.open("a/b/file")));
    }

    #[test]
    fn only_files_and_directories_are_opened() {
        let tree = Tree::new("special");
        let root = tree.0.join("root");
        let fifo = std::process::Command::new("mkfifo")
            .arg(root.join("fifo"))
            .status();
        assert!(fifo.unwrap().success());
        symlink("fifo", root.join("to-fifo")).unwrap();
        let _socket = std::os::unix::net::UnixListener::bind(root.join("socket")).unwrap();
        for links in [Links::Within, Links::Follow] {
            for path in ["fifo", "to-fifo", "socket"] {
                let failure = tree.root(links).open(path).err();
                assert_eq!(failure, Some(Failure::NotFound), "{path}");
            }
        }
    }
}
