//! The log: events of the program and the server, and one line for each request.

mod events;
mod output;
mod requests;

use std::io;

use tracing_subscriber::{EnvFilter, filter::LevelFilter};

pub(crate) use self::{
    events::Events,
    output::Output,
    requests::{Logged, Style},
};

/// Starts the log on standard error, at the level `info` or that of the environment variable
/// `RUST_LOG`. A thread of its own writes the lines.
pub(crate) fn start() -> io::Result<(Output, Style)> {
    let output = Output::start(io::stderr())?;
    let style = if io::IsTerminal::is_terminal(&io::stderr()) {
        Style::Colored
    } else {
        Style::Plain
    };
    let filter = EnvFilter::builder()
        .with_default_directive(LevelFilter::INFO.into())
        .from_env_lossy();
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(output.clone())
        .with_ansi(style == Style::Colored)
        .with_target(false)
        .log_internal_errors(false)
        .init();
    Ok((output, style))
}
