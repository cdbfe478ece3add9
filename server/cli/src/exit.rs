//! The exit codes, and the errors that choose them.

use std::process::ExitCode;

/// The reason why the program ends before it could serve.
#[derive(Debug)]
pub(crate) enum Exit {
    /// The options are malformed, or contradict each other. clap has the same code.
    Usage(String),
    /// A file, an address or the system fails.
    Failed(String),
}

impl Exit {
    pub(crate) fn code(&self) -> ExitCode {
        match self {
            Self::Usage(_) => ExitCode::from(2),
            Self::Failed(_) => ExitCode::FAILURE,
        }
    }

    pub(crate) fn text(&self) -> &str {
        match self {
            Self::Usage(text) | Self::Failed(text) => text,
        }
    }
}

impl From<String> for Exit {
    fn from(text: String) -> Self {
        Self::Failed(text)
    }
}
