//! Lines on stdout and stderr. A pipe without a reader (`… | head`) is no failure.

/// Prints a line, as `println!` does, and ignores a closed pipe.
#[macro_export]
macro_rules! say {
    ($($line:tt)*) => {{
        use std::io::Write as _;
        let _ = writeln!(std::io::stdout(), $($line)*);
    }};
}

/// Prints a line on stderr, as `eprintln!` does, and ignores a closed pipe.
#[macro_export]
macro_rules! note {
    ($($line:tt)*) => {{
        use std::io::Write as _;
        let _ = writeln!(std::io::stderr(), $($line)*);
    }};
}
