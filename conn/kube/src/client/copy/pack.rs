//! From files of this machine to an archive for the container.

use std::{
    fs::{self, File, Metadata},
    io::{self, BufWriter, Read, Write},
    path::{Path, PathBuf},
};

use tar::{Builder, EntryType, Header};

use super::{Bounds, CopySummary, error::CopyError};

/// The bytes of one write to the connection.
const WRITE: usize = 64 << 10;

/// Returns a path without links at its end, and the name for its copy.
pub(super) fn name_of(local: &Path) -> Result<(PathBuf, PathBuf), CopyError> {
    let real = fs::canonicalize(local).map_err(|error| CopyError::local(local, error))?;
    // A link gives its own name to the copy.
    let name = local.file_name().or_else(|| real.file_name());
    let name = name.map(PathBuf::from).ok_or_else(|| {
        let error = io::Error::new(
            io::ErrorKind::InvalidInput,
            "it has no name; copy its entries",
        );
        CopyError::local(local, error)
    })?;
    Ok((real, name))
}

/// Writes the archive of a file or folder, whose entries begin with `name`. Blocks the
/// thread.
pub(super) fn pack(
    to: impl Write,
    local: &Path,
    name: &Path,
    bounds: Bounds,
) -> Result<CopySummary, CopyError> {
    let mut archive = Builder::new(BufWriter::with_capacity(WRITE, to));
    // Not every tar of a container knows sparse files.
    archive.sparse(false);
    let mut packer = Packer {
        archive,
        bounds,
        summary: CopySummary::default(),
        folders: Vec::new(),
    };
    packer.add(local.to_owned(), name.to_owned())?;
    while let Some((folder, name)) = packer.folders.pop() {
        for entry in entries(&folder).map_err(|error| CopyError::local(&folder, error))? {
            packer.add(folder.join(&entry), name.join(&entry))?;
        }
    }
    let written = packer.archive.into_inner().and_then(|mut to| to.flush());
    written.map_err(CopyError::Archive)?;
    Ok(packer.summary)
}

/// The names in a folder, in order: copies of one tree are the same.
fn entries(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let entries = fs::read_dir(folder)?;
    let mut names = entries
        .map(|entry| Ok(PathBuf::from(entry?.file_name())))
        .collect::<io::Result<Vec<_>>>()?;
    names.sort();
    Ok(names)
}

struct Packer<W: Write> {
    archive: Builder<W>,
    bounds: Bounds,
    summary: CopySummary,
    /// Folders whose entries follow. Each of them is an entry within the bounds.
    folders: Vec<(PathBuf, PathBuf)>,
}

impl<W: Write> Packer<W> {
    fn add(&mut self, path: PathBuf, name: PathBuf) -> Result<(), CopyError> {
        let metadata =
            fs::symlink_metadata(&path).map_err(|error| CopyError::local(&path, error))?;
        let kind = metadata.file_type();
        if kind.is_file() {
            return self.add_file(&path, &name);
        }
        if !(kind.is_dir() || kind.is_symlink()) {
            self.summary.skip(&path, "no file, folder or link");
            return Ok(());
        }
        self.bounds.charge(&mut self.summary, 0)?;
        if kind.is_dir() {
            let mut header = header(&metadata, EntryType::Directory, 0);
            let written = self.archive.append_data(&mut header, &name, io::empty());
            written.map_err(CopyError::Archive)?;
            self.folders.push((path, name));
        } else {
            let target = fs::read_link(&path).map_err(|error| CopyError::local(&path, error))?;
            let mut header = header(&metadata, EntryType::Symlink, 0);
            let written = self.archive.append_link(&mut header, &name, &target);
            written.map_err(CopyError::Archive)?;
        }
        Ok(())
    }

    fn add_file(&mut self, path: &Path, name: &Path) -> Result<(), CopyError> {
        let local = |error| CopyError::local(path, error);
        let file = File::open(path).map_err(local)?;
        let metadata = file.metadata().map_err(local)?;
        let size = metadata.len();
        self.bounds.charge(&mut self.summary, size)?;
        let mut header = header(&metadata, EntryType::Regular, size);
        let mut content = Exactly {
            file,
            left: size,
            failure: None,
        };
        let written = self.archive.append_data(&mut header, name, &mut content);
        match (written, content.failure) {
            (_, Some(error)) => Err(local(error)),
            (Err(error), None) => Err(CopyError::Archive(error)),
            (Ok(()), None) => Ok(()),
        }
    }
}

fn header(metadata: &Metadata, kind: EntryType, size: u64) -> Header {
    let mut header = Header::new_gnu();
    header.set_metadata(metadata);
    header.set_entry_type(kind);
    header.set_size(size);
    header
}

/// As many bytes of a file as its entry names: it may change meanwhile.
struct Exactly {
    file: File,
    left: u64,
    failure: Option<io::Error>,
}

impl Read for Exactly {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let most = usize::try_from(self.left)
            .unwrap_or(usize::MAX)
            .min(buffer.len());
        if most == 0 {
            return Ok(0);
        }
        let read = match self.file.read(buffer.get_mut(..most).unwrap_or_default()) {
            Ok(0) => Err(io::Error::new(
                io::ErrorKind::UnexpectedEof,
                "it became shorter while it was read; copy it again",
            )),
            read => read,
        };
        match read {
            Ok(len) => {
                let len_read = u64::try_from(len).unwrap_or(u64::MAX);
                self.left = self.left.saturating_sub(len_read);
                Ok(len)
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => Err(error),
            Err(error) => {
                let kind = error.kind();
                self.failure = Some(error);
                Err(kind.into())
            }
        }
    }
}
