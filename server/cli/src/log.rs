//! The log: events of the program and the server, and one line for each request.

mod combined;
mod entry;
mod escape;
mod event_format;
mod events;
mod json;
mod output;
mod requests;
mod text;

use std::{
    fmt, io,
    sync::{
        Arc,
        atomic::{AtomicU8, Ordering},
    },
    time::Duration,
};

use clap::ValueEnum;
use tracing_subscriber::EnvFilter;

pub(crate) use self::{entry::Reason, events::Events, output::Output, requests::Logged};

/// The look of the lines about requests.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    #[default]
    Text,
    Json,
    Combined,
}

/// Colours, for terminals.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Style {
    Plain,
    Colored,
}

/// The format and the style of lines. A clone has the same ones, also after a change.
#[derive(Clone, Debug)]
pub(crate) struct Look {
    format: Arc<AtomicU8>,
    style: Style,
}

impl Look {
    pub(crate) fn new(format: Format, style: Style) -> Self {
        Self {
            format: Arc::new(AtomicU8::new(format as u8)),
            style,
        }
    }

    fn format(&self) -> Format {
        match self.format.load(Ordering::Relaxed) {
            1 => Format::Json,
            2 => Format::Combined,
            _ => Format::Text,
        }
    }
}

/// The log on the standard error output.
#[derive(Clone)]
pub(crate) struct Log {
    output: Output,
    look: Look,
    set_filter: Arc<dyn Fn(EnvFilter) -> Result<(), String> + Send + Sync>,
}

impl Log {
    /// Starts the log. A thread of its own writes the lines.
    pub(crate) fn start(format: Format, filter: EnvFilter) -> io::Result<Self> {
        let output = Output::start(io::stderr())?;
        let style = if io::IsTerminal::is_terminal(&io::stderr()) {
            Style::Colored
        } else {
            Style::Plain
        };
        let look = Look::new(format, style);
        let subscriber = tracing_subscriber::fmt()
            .with_writer(output.clone())
            .with_ansi(style == Style::Colored)
            .log_internal_errors(false)
            .event_format(event_format::EventFormat::new(look.clone()))
            .with_env_filter(filter)
            .with_filter_reloading();
        let handle = subscriber.reload_handle();
        subscriber.init();
        Ok(Self {
            output,
            look,
            set_filter: Arc::new(move |filter| {
                let set = handle.reload(filter);
                set.map_err(|error| format!("the level of the log stays as it was: {error}"))
            }),
        })
    }

    /// Later lines have this format and pass this filter.
    pub(crate) fn change(&self, format: Format, filter: EnvFilter) -> Result<(), String> {
        self.look.format.store(format as u8, Ordering::Relaxed);
        (self.set_filter)(filter)
    }

    /// The lines that were left out since the start: nobody read the log in time.
    pub(crate) fn left_out_lines(&self) -> u64 {
        self.output.left_out_lines()
    }

    /// Waits until all lines are written, but no longer than `patience`.
    pub(crate) fn flush(&self, patience: Duration) {
        self.output.flush(patience);
    }

    /// A service whose requests have a line each.
    pub(crate) fn requests_of<S>(&self, service: S) -> Logged<S> {
        Logged {
            service,
            output: self.output.clone(),
            look: self.look.clone(),
        }
    }
}

impl fmt::Debug for Log {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Log")
            .field("look", &self.look)
            .finish_non_exhaustive()
    }
}
