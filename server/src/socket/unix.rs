//! Unix sockets: where they are in the file system, and when they leave it.

use std::{
    fs, io,
    os::unix::{
        fs::{FileTypeExt, MetadataExt},
        net::{UnixListener as StdUnixListener, UnixStream as StdUnixStream},
    },
    path::{Path, PathBuf},
    sync::Arc,
};

use tokio::net::{UnixListener, UnixStream};

use super::Accept;
use crate::{Endpoints, UnixAddress};

/// A Unix listener, and its name if that is ours to remove.
#[derive(Debug)]
pub(crate) struct Listening {
    listener: UnixListener,
    name: Option<Arc<Name>>,
}

/// A [`Listening`] outside of any runtime.
#[derive(Debug)]
pub(crate) struct Detached {
    listener: StdUnixListener,
    name: Option<Arc<Name>>,
}

impl Detached {
    pub(super) fn attach(self) -> io::Result<Listening> {
        Ok(Listening {
            listener: UnixListener::from_std(self.listener)?,
            name: self.name,
        })
    }
}

impl Listening {
    /// Listens at a path. Removes the socket file of a server that no longer runs.
    pub(super) fn bind(path: &Path) -> io::Result<Self> {
        let listener = match UnixListener::bind(path) {
            Err(error) if error.kind() == io::ErrorKind::AddrInUse && is_abandoned(path) => {
                fs::remove_file(path)?;
                UnixListener::bind(path)?
            }
            other => other?,
        };
        Ok(Self {
            listener,
            name: Some(Arc::new(Name::of(path)?)),
        })
    }

    /// Takes the socket out of its runtime, as `count` descriptors with one queue. The
    /// last one removes the file.
    pub(super) fn detach(self, count: usize) -> io::Result<Vec<Detached>> {
        let listener = self.listener.into_std()?;
        let detached = |listener| Detached {
            listener,
            name: self.name.clone(),
        };
        let clones = (1..count).map(|_| listener.try_clone().map(detached));
        let mut all = clones.collect::<io::Result<Vec<_>>>()?;
        all.push(detached(listener));
        Ok(all)
    }

    pub(super) fn address(&self) -> UnixAddress {
        let address = self.listener.local_addr();
        address.map_or_else(|_| UnixAddress::default(), UnixAddress::from)
    }
}

impl From<UnixListener> for Listening {
    fn from(listener: UnixListener) -> Self {
        Self {
            listener,
            name: None,
        }
    }
}

/// A socket without a listener. Others are left alone: files that are no
/// sockets, and sockets whose server is there.
fn is_abandoned(path: &Path) -> bool {
    let is_socket = fs::symlink_metadata(path).is_ok_and(|file| file.file_type().is_socket());
    let refused = |error: io::Error| error.kind() == io::ErrorKind::ConnectionRefused;
    is_socket && StdUnixStream::connect(path).is_err_and(refused)
}

/// The file of a socket that we made. It is removed with the listener, unless another server has
/// taken the path.
#[derive(Debug)]
struct Name {
    path: PathBuf,
    file: (u64, u64),
}

impl Name {
    fn of(path: &Path) -> io::Result<Self> {
        // The folder that is the current one may change.
        let path = std::path::absolute(path)?;
        let file = identity(&path)?;
        Ok(Self { path, file })
    }
}

impl Drop for Name {
    fn drop(&mut self) {
        if identity(&self.path).is_ok_and(|file| file == self.file) {
            let _ = fs::remove_file(&self.path);
        }
    }
}

fn identity(path: &Path) -> io::Result<(u64, u64)> {
    let file = fs::symlink_metadata(path)?;
    Ok((file.dev(), file.ino()))
}

impl Accept for Listening {
    type Io = UnixStream;

    async fn accept(&self) -> io::Result<UnixStream> {
        let (io, _) = self.listener.accept().await?;
        Ok(io)
    }

    fn prepare(io: &UnixStream) -> Endpoints {
        Endpoints::of_unix(io)
    }
}
