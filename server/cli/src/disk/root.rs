//! The root directory: opens only files below it.

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
};

use super::{Identity, system};
use crate::failure::Failure;

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
    pub(super) path: PathBuf,
    pub(super) links: Links,
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
        system::open(self, path)
    }

    /// A link's target is served too.
    pub(crate) fn serves_link(&self, path: &str) -> bool {
        self.links == Links::Follow || self.resolve(path).is_some()
    }

    /// The path below the root without links; `None` if it leads elsewhere.
    pub(super) fn resolve(&self, path: &str) -> Option<PathBuf> {
        let real = fs::canonicalize(self.path.join(path)).ok()?;
        real.strip_prefix(&self.path).ok().map(Path::to_path_buf)
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

#[cfg(unix)]
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
        let outside = Identity::of(&tree.0.join("file")).unwrap();
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
