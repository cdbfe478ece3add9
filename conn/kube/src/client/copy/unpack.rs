//! From an archive of the container to files of this machine.
//!
//! The container may be hostile. Names stay below the target, and nothing is written through
//! a symbolic link: links of the archive are made after everything else, and links that were
//! there before end the copy.

use std::{
    fs, io,
    io::{BufReader, Read},
    path::{Path, PathBuf},
};

use tar::{Archive, Entry, EntryType};

use super::{
    Bounds, CopySummary, READ,
    error::CopyError,
    metered::{Meter, Metered},
    paths::{RemoteSource, below, stays_inside},
};

/// The bytes behind the end of an archive: tar fills its last block.
const MAX_TRAILER: u64 = 1 << 20;

/// A copy from the container, before its first byte.
pub(super) struct Unpacking {
    source: RemoteSource,
    local: PathBuf,
    bounds: Bounds,
}

impl Unpacking {
    pub(super) fn new(source: RemoteSource, local: PathBuf, bounds: Bounds) -> Self {
        Self {
            source,
            local,
            bounds,
        }
    }

    /// Reads the archive to its end. Blocks the thread.
    pub(super) fn run(self, archive: impl Read) -> Result<CopySummary, CopyError> {
        let (reader, meter) = Metered::new(BufReader::with_capacity(READ, archive));
        let mut archive = Archive::new(reader);
        let mut target = None;
        meter.expect_names();
        for entry in archive.entries().map_err(CopyError::Archive)? {
            let mut entry = entry.map_err(CopyError::Archive)?;
            if entry.header().entry_type() != EntryType::XGlobalHeader {
                let path = self.place(&entry)?;
                let target = match &mut target {
                    Some(target) => target,
                    none => none.insert(Target::new(&self, &entry, &meter)?),
                };
                target.write(&mut entry, path)?;
            }
            // What is left of an entry is read by the archive.
            meter.expect_content();
            io::copy(&mut entry, &mut io::sink()).map_err(CopyError::Archive)?;
            meter.expect_names();
        }
        let target = target.ok_or_else(|| {
            CopyError::Archive(io::Error::new(
                io::ErrorKind::UnexpectedEof,
                "it has no entries",
            ))
        })?;
        meter.expect_content();
        let mut trailer = archive.into_inner().take(MAX_TRAILER);
        io::copy(&mut trailer, &mut io::sink()).map_err(CopyError::Archive)?;
        if trailer.limit() == 0 {
            let error = io::Error::other("more than 1 MiB follows its end");
            return Err(CopyError::Archive(error));
        }
        target.finish()
    }

    /// Returns the path of an entry below the source.
    fn place<R: Read>(&self, entry: &Entry<'_, R>) -> Result<PathBuf, CopyError> {
        let path = entry.path().map_err(CopyError::Archive)?;
        below(&self.source.name, &path).map_err(|reason| unsafe_entry(&path, reason))
    }
}

/// The place that an archive is written to.
struct Target {
    /// A folder without links in its path.
    root: PathBuf,
    /// The only name in it, if the source is no folder.
    file: Option<PathBuf>,
    /// The folder that was last found to be one, on the way to an entry.
    checked: Option<PathBuf>,
    folders: Vec<(PathBuf, u32)>,
    links: Vec<(PathBuf, PathBuf)>,
    source: String,
    bounds: Bounds,
    summary: CopySummary,
    meter: Meter,
}

impl Target {
    fn new<R: Read>(
        copy: &Unpacking,
        first: &Entry<'_, R>,
        meter: &Meter,
    ) -> Result<Self, CopyError> {
        let local = &copy.local;
        let is_folder = first.header().entry_type().is_dir();
        let (root, file) = if is_folder {
            (local.as_path(), None)
        } else if local.is_dir() {
            (local.as_path(), Some(PathBuf::from(&copy.source.name)))
        } else {
            let name = local.file_name().ok_or_else(|| {
                let error = io::Error::new(io::ErrorKind::InvalidInput, "it names no file");
                CopyError::local(local, error)
            })?;
            (local.parent().unwrap_or(local), Some(PathBuf::from(name)))
        };
        let root = match root.as_os_str().is_empty() {
            true => Path::new("."),
            false => root,
        };
        let made = fs::create_dir_all(root).and_then(|()| fs::canonicalize(root));
        Ok(Self {
            root: made.map_err(|error| CopyError::local(root, error))?,
            file,
            checked: None,
            folders: Vec::new(),
            links: Vec::new(),
            source: copy.source.name.clone(),
            bounds: copy.bounds,
            summary: CopySummary::default(),
            meter: meter.clone(),
        })
    }

    /// Writes an entry, whose path is below the source.
    fn write<R: Read>(&mut self, entry: &mut Entry<'_, R>, path: PathBuf) -> Result<(), CopyError> {
        let kind = entry.header().entry_type();
        let path = match &self.file {
            Some(file) if path.as_os_str().is_empty() => file.clone(),
            None if !path.as_os_str().is_empty() || kind.is_dir() => path,
            _ => return Err(unsafe_entry(&path, "a file has no entries in it")),
        };
        let content = match kind.is_file() || kind.is_contiguous() || kind.is_gnu_sparse() {
            true => Some(entry.header().entry_size().map_err(CopyError::Archive)?),
            false => None,
        };
        self.bounds
            .charge(&mut self.summary, content.unwrap_or_default())?;
        if content.is_some() {
            return self.write_file(entry, &path);
        }
        match kind {
            EntryType::Directory => {
                self.make_folder(&path)?;
                let mode = entry.header().mode().map_err(CopyError::Archive)?;
                self.folders.push((path, mode & 0o777));
            }
            EntryType::Symlink => {
                let target = link_name(entry)?;
                match stays_inside(&path, &target) {
                    true => self.links.push((path, target)),
                    false => {
                        let reason = format!("the link leads to {}", target.display());
                        self.leave_out(&path, &reason);
                    }
                }
            }
            EntryType::Link => self.write_hard_link(&path, &link_name(entry)?)?,
            _ => self.leave_out(&path, "no file, folder or link"),
        }
        Ok(())
    }

    fn leave_out(&mut self, path: &Path, reason: &str) {
        self.summary.entries = self.summary.entries.saturating_sub(1);
        self.summary.skip(path, reason);
    }

    fn write_file<R: Read>(
        &mut self,
        entry: &mut Entry<'_, R>,
        path: &Path,
    ) -> Result<(), CopyError> {
        self.make_parents(path)?;
        let place = self.root.join(path);
        entry.set_preserve_permissions(false);
        self.meter.expect_content();
        match entry.unpack(&place) {
            Ok(_) => Ok(()),
            Err(error) if self.meter.has_ended() => Err(CopyError::Archive(error)),
            Err(error) => Err(CopyError::local(place, error)),
        }
    }

    fn write_hard_link(&mut self, path: &Path, original: &Path) -> Result<(), CopyError> {
        let original =
            below(&self.source, original).map_err(|reason| unsafe_entry(original, reason))?;
        self.make_parents(&original)?;
        self.make_parents(path)?;
        let (from, to) = (self.root.join(&original), self.root.join(path));
        if !fs::symlink_metadata(&from).is_ok_and(|metadata| metadata.is_file()) {
            return Err(unsafe_entry(
                path,
                "the original of this hard link is no file",
            ));
        }
        replace(&to, |to| fs::hard_link(&from, to))
    }

    fn make_folder(&mut self, path: &Path) -> Result<(), CopyError> {
        if !path.as_os_str().is_empty() {
            self.make_parents(path)?;
            make_folder(&self.root, path)?;
        }
        Ok(())
    }

    /// Makes the folders on the way to `path`, none of which may be a link.
    fn make_parents(&mut self, path: &Path) -> Result<(), CopyError> {
        let Some(parent) = path.parent() else {
            return Ok(());
        };
        if self.checked.as_deref() == Some(parent) {
            return Ok(());
        }
        let mut place = PathBuf::new();
        for component in parent.components() {
            place.push(component);
            make_folder(&self.root, &place)?;
        }
        self.checked = Some(parent.to_owned());
        Ok(())
    }

    /// Makes the links, and sets the modes of folders: until then they are writable.
    fn finish(mut self) -> Result<CopySummary, CopyError> {
        for (path, target) in std::mem::take(&mut self.links) {
            // An earlier link may have taken the place of a folder.
            self.checked = None;
            self.make_parents(&path)?;
            #[cfg(unix)]
            replace(&self.root.join(&path), |place| {
                std::os::unix::fs::symlink(&target, place)
            })?;
            #[cfg(not(unix))]
            {
                let _ = target;
                self.leave_out(&path, "this machine has no symbolic links");
            }
        }
        #[cfg(unix)]
        for (path, mode) in self.folders.iter().rev() {
            use std::os::unix::fs::PermissionsExt as _;

            let place = self.root.join(path);
            let permissions = fs::Permissions::from_mode(*mode);
            let is_folder = fs::symlink_metadata(&place).is_ok_and(|metadata| metadata.is_dir());
            if is_folder {
                fs::set_permissions(&place, permissions)
                    .map_err(|error| CopyError::local(place, error))?;
            }
        }
        Ok(self.summary)
    }
}

fn link_name<R: Read>(entry: &Entry<'_, R>) -> Result<PathBuf, CopyError> {
    let name = entry.link_name().map_err(CopyError::Archive)?;
    let name = name.ok_or_else(|| io::Error::other("a link has no target"));
    Ok(name.map_err(CopyError::Archive)?.into_owned())
}

/// Makes a folder of the target, unless it is there.
fn make_folder(root: &Path, path: &Path) -> Result<(), CopyError> {
    let place = root.join(path);
    match fs::symlink_metadata(&place) {
        Ok(metadata) if metadata.is_dir() => Ok(()),
        Ok(_) => Err(unsafe_entry(
            path,
            "on this machine it is a file or a link, and no folder; remove it, or copy to \
             another place",
        )),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            fs::create_dir(&place).map_err(|error| CopyError::local(place, error))
        }
        Err(error) => Err(CopyError::local(place, error)),
    }
}

/// Makes an entry in the place of a file or link.
fn replace(place: &Path, make: impl Fn(&Path) -> io::Result<()>) -> Result<(), CopyError> {
    let made = match make(place) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            fs::remove_file(place).and_then(|()| make(place))
        }
        made => made,
    };
    made.map_err(|error| CopyError::local(place, error))
}

fn unsafe_entry(path: &Path, reason: &'static str) -> CopyError {
    CopyError::Unsafe {
        name: path.display().to_string(),
        reason,
    }
}
