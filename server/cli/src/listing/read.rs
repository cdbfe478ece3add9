//! The names in a directory.

use super::entry::{Entry, LeftOut};
use crate::{
    disk::{Names, Opened, Root, below},
    failure::Failure,
    target::Hidden,
};

/// Entries on one page; a directory of a million files must not become a page
/// of a hundred megabytes.
const MAX_ENTRIES: usize = 10_000;
/// The most names beyond those that are counted.
const MAX_COUNTED: usize = 200_000;

/// Reads the directory at `path` below the root. Names that are not served are
/// skipped: they are hidden, lead out of the root, or are not UTF-8.
pub(super) fn read(
    root: &Root,
    path: &str,
    hidden: Hidden,
) -> Result<(Vec<Entry>, LeftOut), Failure> {
    let Opened::Directory(directory, _) = root.open(path)? else {
        return Err(Failure::NotFound);
    };
    let mut names = Names::of(&directory, root, path)?;
    drop(directory);
    let mut entries = Vec::new();
    let mut left_out: usize = 0;
    while let Some(name) = names.next() {
        let name = name?;
        if name.contains('\\') || name.starts_with('.') && hidden == Hidden::Omit {
            continue;
        }
        if entries.len() == MAX_ENTRIES {
            left_out += 1;
            if left_out == MAX_COUNTED {
                return Ok((entries, LeftOut::AtLeast(left_out)));
            }
            continue;
        }
        let serves_link = || root.serves_link(&below(path, &name));
        // Not a link out of the root or to no file, a FIFO, a socket, a device.
        if let Some(found) = names.find(&name, serves_link)? {
            entries.push(Entry {
                name,
                size: found.size,
                modified: found.modified,
            });
        }
    }
    Ok((entries, LeftOut::Exactly(left_out)))
}

#[cfg(unix)]
#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::symlink, path::Path};

    use super::*;
    use crate::disk::{Links, TestFolder};

    fn names(root: &Path, links: Links, hidden: Hidden) -> Vec<String> {
        let (entries, left_out) = read(&Root::new(root, links), "", hidden).unwrap();
        assert_eq!(left_out, LeftOut::Exactly(0));
        let mut names: Vec<_> = entries.into_iter().map(|entry| entry.name).collect();
        names.sort();
        names
    }

    #[test]
    fn a_page_has_what_can_be_asked_for() {
        let folder = TestFolder::new("read");
        let root = folder.join("root");
        fs::create_dir_all(root.join("sub")).unwrap();
        fs::write(root.join("file"), "").unwrap();
        fs::write(root.join(".env"), "").unwrap();
        fs::write(folder.join("outside"), "").unwrap();
        symlink("file", root.join("within")).unwrap();
        symlink("../outside", root.join("without")).unwrap();
        symlink("nothing", root.join("dangling")).unwrap();
        let _socket = std::os::unix::net::UnixListener::bind(root.join("socket")).unwrap();
        let safe = names(&root, Links::Within, Hidden::Omit);
        assert_eq!(safe, ["file", "sub", "within"]);
        let all = names(&root, Links::Follow, Hidden::Serve);
        assert_eq!(all, [".env", "file", "sub", "within", "without"]);
    }

    #[test]
    fn more_names_than_a_page_has_are_counted() {
        let folder = TestFolder::new("many");
        for number in 0..MAX_ENTRIES + 3 {
            fs::write(folder.join(&number.to_string()), "").unwrap();
        }
        let root = Root::new(folder.path(), Links::Within);
        let (entries, left_out) = read(&root, "", Hidden::Omit).unwrap();
        assert_eq!(
            (entries.len(), left_out),
            (MAX_ENTRIES, LeftOut::Exactly(3))
        );
    }
}
