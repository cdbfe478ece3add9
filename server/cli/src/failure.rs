//! Failures of requests, and their status.

use std::{fmt, io};

use http::StatusCode;
#[cfg(unix)]
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
        of_system(&error).unwrap_or_else(|| match error.kind() {
            io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => Self::NotFound,
            // A NUL in a name.
            io::ErrorKind::InvalidInput => Self::NotFound,
            io::ErrorKind::PermissionDenied => Self::Forbidden,
            _ => Self::Internal(error.to_string()),
        })
    }
}

#[cfg(unix)]
impl From<Errno> for Failure {
    fn from(error: Errno) -> Self {
        io::Error::from(error).into()
    }
}

/// The failures that Unix tells apart and [`io::ErrorKind`] does not.
#[cfg(unix)]
fn of_system(error: &io::Error) -> Option<Failure> {
    Some(match Errno::from_io_error(error)? {
        // No file has a name that is too long, or a path that continues below a file. A loop of
        // links leads to no file.
        Errno::NOENT | Errno::NOTDIR | Errno::NAMETOOLONG | Errno::LOOP => Failure::NotFound,
        // A socket, a device without a driver.
        Errno::NXIO | Errno::NODEV => Failure::NotFound,
        Errno::ACCESS | Errno::PERM => Failure::Forbidden,
        Errno::MFILE => {
            Failure::Busy("no file handle is left: RLIMIT_NOFILE (ulimit -n) is reached".into())
        }
        Errno::NFILE | Errno::NOMEM => Failure::Busy(format!("the system's limit: {error}")),
        _ => return None,
    })
}

/// The failures that Windows tells apart and [`io::ErrorKind`] does not.
#[cfg(windows)]
fn of_system(error: &io::Error) -> Option<Failure> {
    /// ERROR_TOO_MANY_OPEN_FILES, ERROR_NOT_ENOUGH_MEMORY.
    const NO_ROOM: [i32; 2] = [4, 8];
    /// ERROR_INVALID_NAME, ERROR_FILENAME_EXCED_RANGE, ERROR_CANT_RESOLVE_FILENAME: no file has
    /// such a name.
    const NO_NAME: [i32; 3] = [123, 206, 1921];
    let code = error.raw_os_error()?;
    if NO_ROOM.contains(&code) {
        return Some(Failure::Busy(format!("the system's limit: {error}")));
    }
    NO_NAME.contains(&code).then_some(Failure::NotFound)
}

#[cfg(unix)]
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
