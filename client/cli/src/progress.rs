//! The progress bar, on a terminal only.

use std::{io::IsTerminal as _, time::Duration};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// Counts bytes for a progress bar, if there is one. Clones share the bar.
#[derive(Clone, Debug, Default)]
pub(crate) struct Meter {
    bar: Option<ProgressBar>,
}

/// The suppression of the progress bar, for output that shares its terminal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Quiet {
    Yes,
    No,
}

impl Meter {
    /// Shows a bar on stderr, if that is a terminal and `quiet` permits it.
    pub(crate) fn new(quiet: Quiet) -> Self {
        if quiet == Quiet::Yes || !std::io::stderr().is_terminal() {
            return Self::default();
        }
        let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
        bar.enable_steady_tick(Duration::from_millis(200));
        bar.set_style(style(
            "{spinner} {decimal_bytes} {decimal_bytes_per_sec} {elapsed}",
        ));
        Self { bar: Some(bar) }
    }

    /// Adds bytes to the expected total.
    pub(crate) fn set_total(&self, bytes: u64) {
        if let Some(bar) = &self.bar {
            bar.set_length(bar.length().unwrap_or(0).saturating_add(bytes));
            bar.set_style(style(
                "{wide_bar} {decimal_bytes}/{decimal_total_bytes} {decimal_bytes_per_sec} {eta}",
            ));
        }
    }

    /// Adds transferred bytes.
    pub(crate) fn advance(&self, bytes: usize) {
        if let Some(bar) = &self.bar {
            bar.inc(u64::try_from(bytes).unwrap_or(u64::MAX));
        }
    }

    /// Removes the bar from the terminal.
    pub(crate) fn finish(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar())
}
