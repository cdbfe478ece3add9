//! What the program says. A pipe that nobody reads any more (`… | head`) is no
//! error: there is nobody to tell.

use std::{
    fmt,
    io::{self, Write as _},
};

use crate::status::Failure;

/// Writes to the standard output. If its reader has left that is
/// [`Failure::unread`]: the program stops, in silence.
pub(crate) fn print(text: impl fmt::Display) -> Result<(), Failure> {
    let mut stdout = io::stdout().lock();
    write!(stdout, "{text}")
        .and_then(|()| stdout.flush())
        .map_err(|error| unwritten(&error))
}

/// A note on the standard error output, with the program's name in front.
pub(crate) fn note(text: impl fmt::Display) {
    eprint(format_args!("lacewing: {text}\n"));
}

/// The same, as it is.
pub(crate) fn eprint(text: impl fmt::Display) {
    // One write a note, so that those of several tasks do not mix. A closed
    // standard error output is no reason to stop.
    let text = text.to_string();
    let _ = io::stderr().lock().write_all(text.as_bytes());
}

/// Why the standard output takes nothing.
pub(crate) fn unwritten(error: &io::Error) -> Failure {
    if error.kind() == io::ErrorKind::BrokenPipe {
        Failure::unread()
    } else {
        Failure::local(format!("cannot write to stdout: {error}"))
    }
}
