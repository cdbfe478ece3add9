//! The options of the log.

use std::fmt;

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
    /// off; or a filter of the crate tracing, such as `info,lacewingd=debug`. A module
    /// alone needs its level: `hyper=trace`.
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
    let wrong = |why: &dyn fmt::Display| {
        format!(
            "{why}; choose error, warn, info, debug, trace or off, or write a filter such as \
             info,lacewingd=debug (--log-level, or RUST_LOG in the environment)"
        )
    };
    // The crate takes a misspelled level for the name of a module, and all else is off then. Beside
    // other directives, or with more than letters and digits, a word is meant as a module.
    let word = text.trim();
    let is_word = !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_alphanumeric());
    if is_word && word.parse::<LevelFilter>().is_err() {
        return Err(wrong(&format!(
            "`{word}` is no level; for the module of that name write {word}=trace"
        )));
    }
    match parsed(text) {
        Ok(_) => Ok(text.to_owned()),
        Err(error) => Err(wrong(&format!("`{text}` is no filter: {error}"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_level_is_one_of_those_that_there_are() {
        for right in [
            "warn",
            "INFO",
            "off",
            "info,lacewingd=debug",
            "lacewing_conn=trace",
            "hyper=trace",
            "info,hyper",
            "hyper,tokio",
            "lacewing_conn",
            "my-module",
            "hyper::client",
        ] {
            assert_eq!(filter(right).as_deref(), Ok(right));
        }
        for wrong in ["warning", "inf", "verbose", " hyper ", "a=b=c"] {
            let error = filter(wrong).unwrap_err();
            assert!(error.contains("error, warn, info"), "{wrong}: {error}");
            let module = format!("write {}=trace", wrong.trim());
            assert_eq!(error.contains(&module), !wrong.contains('='), "{error}");
        }
    }
}
