//! The error of a copy.

use std::{fmt, io, path::PathBuf};

use super::{super::error::ConnectError, CopySummary};
use crate::{error::KubeError, outcome::CommandOutcome};

/// The failure of a copy. A part of the files may have been copied.
#[derive(Debug)]
#[non_exhaustive]
pub enum CopyError {
    /// A file of this machine cannot be read or written.
    Local {
        /// The file.
        path: PathBuf,
        /// The reason.
        error: io::Error,
    },
    /// The path of the container cannot name the files of a copy.
    RemotePath(&'static str),
    /// The request cannot be built.
    Request(http::Error),
    /// The session did not start.
    Connect(ConnectError),
    /// The connection was lost, or has no outcome.
    Session(KubeError),
    /// The command in the container failed.
    Remote {
        /// Its outcome: never a success.
        outcome: CommandOutcome,
        /// The first 64 KiB of its stderr.
        stderr: String,
    },
    /// The command in the container ended, with success, before it had read all.
    Unread {
        /// The first 64 KiB of its stderr.
        stderr: String,
    },
    /// The archive from the container is incomplete, or not valid.
    Archive(io::Error),
    /// The archive from the container has an entry that would be written outside of the
    /// target, or through a link.
    Unsafe {
        /// The entry.
        name: String,
        /// The broken rule.
        reason: &'static str,
    },
    /// The copy exceeds a bound of [`CopyRequest`](super::CopyRequest).
    TooLarge {
        /// The name of the bound.
        name: &'static str,
        /// Its value.
        limit: u64,
    },
    /// All but some entries were copied: special files, or links that lead out of the copy.
    Incomplete(Box<CopySummary>),
}

impl CopyError {
    pub(super) fn local(path: impl Into<PathBuf>, error: io::Error) -> Self {
        let path = path.into();
        let error = cause(&error).unwrap_or(error);
        Self::Local { path, error }
    }
}

/// The error of the operating system inside another one: the tar library's text does not have it.
fn cause(error: &io::Error) -> Option<io::Error> {
    let source = error.get_ref()?.source()?.downcast_ref::<io::Error>()?;
    cause(source).or_else(|| source.raw_os_error().map(io::Error::from_raw_os_error))
}

impl fmt::Display for CopyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Local { path, error } => write!(f, "{}: {error}", path.display()),
            Self::RemotePath(reason) => f.write_str(reason),
            Self::Request(error) => error.fmt(f),
            Self::Connect(error) => error.fmt(f),
            Self::Session(error) => error.fmt(f),
            Self::Remote { outcome, stderr } => {
                if !stderr.is_empty() {
                    writeln!(f, "{stderr}")?;
                }
                match outcome {
                    CommandOutcome::Failed(text) => f.write_str(text),
                    outcome => {
                        let code = outcome.exit_code().unwrap_or_default();
                        write!(f, "command terminated with exit code {code}")
                    }
                }
            }
            Self::Unread { stderr } => {
                if !stderr.is_empty() {
                    writeln!(f, "{stderr}")?;
                }
                f.write_str("the container's tar ended before it had read the whole archive")
            }
            Self::Archive(error) => write!(f, "the archive from the container: {error}"),
            Self::Unsafe { name, reason } => write!(
                f,
                "the archive from the container has the entry {name:?}: {reason}"
            ),
            Self::TooLarge { name, limit } => write!(f, "the copy exceeds `{name}`, {limit}"),
            Self::Incomplete(summary) => {
                let skipped = summary.skipped;
                write!(f, "{skipped} entries were not copied")?;
                summary
                    .skipped_names
                    .iter()
                    .try_for_each(|name| write!(f, "\n  {name}"))
            }
        }
    }
}

impl std::error::Error for CopyError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Local { error, .. } | Self::Archive(error) => Some(error),
            Self::Request(error) => Some(error),
            Self::Connect(error) => Some(error),
            Self::Session(error) => Some(error),
            _ => None,
        }
    }
}

impl From<ConnectError> for CopyError {
    fn from(error: ConnectError) -> Self {
        Self::Connect(error)
    }
}

impl From<KubeError> for CopyError {
    fn from(error: KubeError) -> Self {
        Self::Session(error)
    }
}
