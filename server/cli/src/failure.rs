//! Failures of requests, and their status.

use std::{fmt, io};

use http::StatusCode;
use rustix::io::Errno;

/// The reason why a request is answered with an error.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Failure {
    /// The path is malformed: 400.
    BadPath,
    /// The path leads to no file that is served: 404.
    NotFound,
    /// The file's permissions forbid it: 403.
    Forbidden,
    /// A limit is reached, which the text names: 503, for now.
    Busy(String),
    /// The disk or the program failed: 500.
    Internal(String),
}

impl Failure {
    pub(crate) fn status(&self) -> StatusCode {
        match self {
            Self::BadPath => StatusCode::BAD_REQUEST,
            Self::NotFound => StatusCode::NOT_FOUND,
            Self::Forbidden => StatusCode::FORBIDDEN,
            Self::Busy(_) => StatusCode::SERVICE_UNAVAILABLE,
            Self::Internal(_) => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Busy(limit) => f.write_str(limit),
            Self::Internal(error) => f.write_str(error),
            _ => write!(f, "{}", self.status()),
        }
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        match Errno::from_io_error(&error) {
            // No file has a name that is too long, or a path that continues below a file. A loop of
            // links leads to no file.
            Some(Errno::NOENT | Errno::NOTDIR | Errno::NAMETOOLONG | Errno::LOOP) => Self::NotFound,
            // A socket, a device without a driver.
            Some(Errno::NXIO | Errno::NODEV) => Self::NotFound,
            Some(Errno::ACCESS | Errno::PERM) => Self::Forbidden,
            Some(Errno::MFILE) => {
                Self::Busy("no file handle is left: RLIMIT_NOFILE (ulimit -n) is reached".into())
            }
            Some(Errno::NFILE | Errno::NOMEM) => Self::Busy(format!("the system's limit: {error}")),
            _ if error.kind() == io::ErrorKind::NotFound => Self::NotFound,
            // A NUL in a name.
            _ if error.kind() == io::ErrorKind::InvalidInput => Self::NotFound,
            _ => Self::Internal(error.to_string()),
        }
    }
}

impl From<Errno> for Failure {
    fn from(error: Errno) -> Self {
        io::Error::from(error).into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_error_of_the_system_has_its_status() {
        for (error, status) in [
            (Errno::NOENT, 404),
            (Errno::NOTDIR, 404),
            (Errno::NAMETOOLONG, 404),
            (Errno::LOOP, 404),
            (Errno::NXIO, 404),
            (Errno::ACCESS, 403),
            (Errno::PERM, 403),
            (Errno::MFILE, 503),
            (Errno::NFILE, 503),
            (Errno::IO, 500),
        ] {
            assert_eq!(Failure::from(error).status(), status, "{error}");
        }
        assert!(
            Failure::from(Errno::MFILE)
                .to_string()
                .contains("RLIMIT_NOFILE")
        );
    }
}
