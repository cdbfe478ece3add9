//! The paths of a copy: those of the container as texts, those of the archive as paths that
//! stay in the target.

use std::path::{Component, Path, PathBuf};

use super::error::CopyError;

/// The part of the container that is copied: an entry of a folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct RemoteSource {
    pub(super) folder: String,
    /// The name, or `.` for the content of the folder.
    pub(super) name: String,
}

impl RemoteSource {
    /// A slash at the end names the content of a folder, also behind a link.
    pub(super) fn new(path: &str) -> Result<Self, CopyError> {
        if path.is_empty() {
            return Err(CopyError::RemotePath("the path of the container is empty"));
        }
        let (folder, name) = match path.rsplit_once('/') {
            Some(("", name)) => ("/", name),
            Some((folder, name)) => (folder, name),
            None => (".", path),
        };
        let (folder, name) = match name {
            "" | "." | ".." => (path, "."),
            name => (folder, name),
        };
        Ok(Self {
            folder: folder.to_owned(),
            name: name.to_owned(),
        })
    }
}

/// The place in the container that receives a copy.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct RemoteTarget {
    pub(super) folder: String,
    pub(super) name: PathBuf,
}

impl RemoteTarget {
    pub(super) fn new(path: &str, local: &Path, is_folder: bool) -> Result<Self, CopyError> {
        if is_folder {
            return Ok(Self {
                folder: path.to_owned(),
                name: local.to_owned(),
            });
        }
        let path = path.trim_end_matches('/');
        let (folder, name) = match path.rsplit_once('/') {
            Some(("", name)) => ("/", name),
            Some((folder, name)) => (folder, name),
            None => (".", path),
        };
        if matches!(name, "" | "." | "..") {
            return Err(CopyError::RemotePath(
                "the path of the container is no folder, and names no file",
            ));
        }
        Ok(Self {
            folder: folder.to_owned(),
            name: name.into(),
        })
    }
}

/// Returns an entry's path below the entry `base`, which was asked for.
pub(super) fn below(base: &str, path: &Path) -> Result<PathBuf, &'static str> {
    let mut inside = PathBuf::new();
    for component in path.components() {
        match component {
            Component::CurDir => {}
            Component::Normal(name) => inside.push(name),
            Component::ParentDir => return Err("it leads out of the target by `..`"),
            Component::RootDir | Component::Prefix(_) => return Err("its path is absolute"),
        }
    }
    match base {
        "." => Ok(inside),
        base => inside
            .strip_prefix(base)
            .map(Path::to_owned)
            .map_err(|_| "it is not a part of what was asked for"),
    }
}

/// Returns `true` if a link at `path` with this target stays in the folder that `path`
/// starts in. The parents of `path` are folders and no links.
///
/// A `..` behind a name is refused: the name may be a link, and its parent elsewhere.
pub(super) fn stays_inside(path: &Path, target: &Path) -> bool {
    let mut depth = path.components().count().saturating_sub(1);
    let mut has_name = false;
    target.components().all(|component| match component {
        Component::CurDir => true,
        Component::Normal(_) => {
            has_name = true;
            true
        }
        Component::ParentDir if !has_name => match depth.checked_sub(1) {
            Some(less) => {
                depth = less;
                true
            }
            None => false,
        },
        _ => false,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sources_are_entries_of_a_folder() {
        for (path, folder, name) in [
            ("/var/log", "/var", "log"),
            ("/var", "/", "var"),
            ("log", ".", "log"),
            ("a/b c", "a", "b c"),
            ("-f", ".", "-f"),
            ("/", "/", "."),
            ("/var/log/", "/var/log/", "."),
            (".", ".", "."),
            ("a/..", "a/..", "."),
        ] {
            let source = RemoteSource::new(path).unwrap();
            assert_eq!(
                (source.folder.as_str(), source.name.as_str()),
                (folder, name)
            );
        }
        assert!(RemoteSource::new("").is_err());
    }

    #[test]
    fn targets_are_entries_of_a_folder() {
        let local = Path::new("here");
        for (path, is_folder, folder, name) in [
            ("/tmp", true, "/tmp", "here"),
            ("/", true, "/", "here"),
            ("/tmp/new", false, "/tmp", "new"),
            ("/new/", false, "/", "new"),
            ("new", false, ".", "new"),
        ] {
            let target = RemoteTarget::new(path, local, is_folder).unwrap();
            assert_eq!((target.folder.as_str(), target.name), (folder, name.into()));
        }
        for path in ["", "/", ".", "a/.."] {
            assert!(RemoteTarget::new(path, local, false).is_err(), "{path}");
        }
    }

    #[test]
    fn entries_stay_below_their_base() {
        let below = |base, path| below(base, Path::new(path)).ok();
        assert_eq!(below("log", "log"), Some(PathBuf::new()));
        assert_eq!(below("log", "./log/a/./b"), Some("a/b".into()));
        assert_eq!(below(".", "./a"), Some("a".into()));
        for path in ["/log/a", "log/../a", "../log", "logs/a", "a", ".."] {
            assert_eq!(below("log", path), None, "{path}");
        }
    }

    #[test]
    fn links_stay_inside() {
        for (path, target, expected) in [
            ("a", "b", true),
            ("a", "./b/c", true),
            ("d/a", "../b", true),
            ("d/e/a", "../../b", true),
            ("a", "../b", false),
            ("d/a", "../../b", false),
            ("a", "/etc", false),
            // `x` may be a link to another folder.
            ("d/a", "x/..", false),
        ] {
            let is_inside = stays_inside(Path::new(path), Path::new(target));
            assert_eq!(is_inside, expected, "{path} -> {target}");
        }
    }
}
