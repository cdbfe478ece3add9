//! Output on stdout and stderr. A pipe without a reader (`… | head`) is not an
//! error.

use std::{
    fmt,
    io::{self, IsTerminal as _, Write as _},
};

use crate::status::Failure;

/// Writes to the standard output. Returns [`Failure::unread`] if its reader
/// has left; the program then stops without a message.
pub(crate) fn print(text: impl fmt::Display) -> Result<(), Failure> {
    let mut stdout = io::stdout().lock();
    write!(stdout, "{text}")
        .and_then(|()| stdout.flush())
        .map_err(|error| unwritten(&error))
}

/// Writes bytes to the standard output, as [`print()`] does.
pub(crate) fn print_bytes(bytes: &[u8]) -> Result<(), Failure> {
    let mut stdout = io::stdout().lock();
    stdout
        .write_all(bytes)
        .and_then(|()| stdout.flush())
        .map_err(|error| unwritten(&error))
}

/// Writes a line with the program's name to the standard error output.
pub(crate) fn note(text: impl fmt::Display) {
    eprint(format_args!("lacewing: {text}\n"));
}

/// Returns whether standard error is a terminal, and NO_COLOR (no-color.org) is not set.
pub(crate) fn stderr_has_colour() -> bool {
    let no_color = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    let dumb = std::env::var_os("TERM").is_some_and(|value| value == "dumb");
    io::stderr().is_terminal() && !no_color && !dumb
}

/// Writes text to the standard error output.
pub(crate) fn eprint(text: impl fmt::Display) {
    // One write for each text, so that the texts of several tasks do not mix. Errors are ignored:
    // the program also works without standard error.
    let text = text.to_string();
    let _ = io::stderr().lock().write_all(text.as_bytes());
}

/// Converts an error of the standard output.
pub(crate) fn unwritten(error: &io::Error) -> Failure {
    if error.kind() == io::ErrorKind::BrokenPipe {
        Failure::unread()
    } else {
        Failure::local(format!("cannot write to stdout: {error}"))
    }
}
