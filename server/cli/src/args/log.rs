//! The options of the log.

use clap::Args;
use tracing_subscriber::{EnvFilter, filter::LevelFilter};

use crate::log::Format;

/// The options of the log.
#[derive(Debug, Args)]
#[command(next_help_heading = "Log")]
pub(crate) struct LogArgs {
    /// The lines about requests. `text`: for people. `json`: an object a line.
    /// `combined`: as Apache and nginx write them, for programs that read logs.
    #[arg(long, value_name = "FORMAT", value_enum, default_value_t)]
    pub(crate) log_format: Format,

    /// What is logged: error, warn, info (with a line for each request), debug, trace,
    /// off; or a filter of the crate tracing, such as `info,lacewingd=debug`.
    #[arg(long, value_name = "LEVEL", env = "RUST_LOG", hide_env_values = true,
        default_value = "info", value_parser = filter)]
    pub(crate) log_level: String,
}

impl LogArgs {
    /// The filter of events and of lines about requests.
    pub(crate) fn filter(&self) -> EnvFilter {
        // It was parsed before.
        parsed(&self.log_level).unwrap_or_default()
    }
}

fn parsed(text: &str) -> Result<EnvFilter, tracing_subscriber::filter::ParseError> {
    EnvFilter::builder()
        .with_default_directive(LevelFilter::INFO.into())
        .parse(text)
}

fn filter(text: &str) -> Result<String, String> {
    match parsed(text) {
        Ok(_) => Ok(text.to_owned()),
        Err(error) => Err(format!("`{text}` is no level or filter: {error}")),
    }
}
