//! The figures of a run on a terminal.

use std::{
    io::IsTerminal as _,
    sync::Arc,
    time::{Duration, Instant},
};

use indicatif::{HumanCount, ProgressBar, ProgressDrawTarget, ProgressStyle};
use tokio::{task::JoinHandle, time::interval};

use super::{
    args::Args,
    live::{Figures, Live, Look},
};

/// The time between two looks at the counts.
const TICK: Duration = Duration::from_millis(250);

/// The display of a run. It ends with it.
pub(super) struct Display {
    bar: ProgressBar,
    task: JoinHandle<()>,
}

/// Whether the figures are shown: on a terminal, unless that is not wanted.
pub(super) fn is_wanted(args: &Args) -> bool {
    let dumb = std::env::var_os("TERM").is_some_and(|value| value == "dumb");
    std::io::stderr().is_terminal() && !dumb && !args.report.no_live
}

impl Display {
    /// Shows the counts until the end of the run.
    pub(super) fn start(args: &Args, live: &Arc<Live>) -> Self {
        let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
        let time = args
            .run_time()
            .map(|time| time + args.warm_up.unwrap_or_default());
        let template = match (args.requests, time) {
            (Some(requests), _) => {
                bar.set_length(requests);
                "{elapsed} {bar:24} {msg}"
            }
            (None, Some(time)) => {
                bar.set_length(u64::try_from(time.as_millis()).unwrap_or(u64::MAX));
                "{elapsed} {bar:24} {msg}"
            }
            (None, None) => "{elapsed} {spinner} {msg}",
        };
        let style = ProgressStyle::with_template(template);
        bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
        let by_requests = args.requests.is_some();
        let (line, live) = (bar.clone(), Arc::clone(live));
        let task = tokio::spawn(async move {
            let start = Instant::now();
            let mut ticks = interval(TICK);
            let mut look = Look::new(start);
            loop {
                ticks.tick().await;
                let figures = look.figures(&live, Instant::now());
                line.set_message(text(&figures));
                line.set_position(match by_requests {
                    true => figures.answered,
                    false => u64::try_from(start.elapsed().as_millis()).unwrap_or(u64::MAX),
                });
            }
        });
        Self { bar, task }
    }
}

impl Drop for Display {
    fn drop(&mut self) {
        self.task.abort();
        self.bar.finish_and_clear();
    }
}

/// The line of figures.
fn text(figures: &Figures) -> String {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a rate of responses"
    )]
    let rate = HumanCount(figures.rate.unwrap_or_default() as u64);
    let times = match figures.times {
        Some((half, most)) => format!(", p50 {half:.1?}, p99 {most:.1?}"),
        None => String::new(),
    };
    format!(
        "{rate}/s, {} answered, {} failed, {} open, {} connections{times}",
        HumanCount(figures.answered),
        figures.failed,
        HumanCount(figures.open),
        figures.connections
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_has_all_figures() {
        let mut figures = Figures {
            rate: Some(1234.5),
            answered: 100,
            failed: 1,
            open: 2,
            connections: 3,
            times: Some((Duration::from_millis(50), Duration::from_micros(99_500))),
        };
        assert_eq!(
            text(&figures),
            "1,234/s, 100 answered, 1 failed, 2 open, 3 connections, p50 50.0ms, p99 99.5ms"
        );
        figures.times = None;
        assert!(text(&figures).ends_with("3 connections"));
    }
}
