//! The report of a run in the form of h2load's closing lines, which scripts read.

use std::{fmt::Write as _, time::Duration};

use super::{outcome::Outcome, times::Times};

/// Returns the lines. The line `req/s` has figures for each client in h2load; it is left out. The
/// traffic leaves the heads of frames out.
pub(super) fn report(outcome: &Outcome) -> String {
    let tally = &outcome.tally;
    let fields = tally.response_fields;
    let total = fields.compressed + tally.received;
    #[expect(clippy::cast_precision_loss, reason = "a rate for people")]
    let bytes_per_second = total as f64 / outcome.elapsed.as_secs_f64().max(1e-9);
    let errored = tally.failures.total();
    let timeouts = tally.failures.iter();
    let timeouts = timeouts.filter(|(cause, _)| cause.starts_with("timeout"));
    let timeouts: u64 = timeouts.map(|(_, count)| count).sum();
    let failed = tally.answered() - tally.succeeded() + errored;
    let [_, _, ok, redirected, client, server] = tally.statuses;
    let saved = fields.ratio().map_or(0.0, |ratio| (1.0 - ratio) * 100.0);
    let mut text = String::new();
    // Writing to a string cannot fail.
    let _ = write!(
        text,
        "\nfinished in {}, {:.2} req/s, {}/s\n\
         requests: {} total, {} started, {} done, {} succeeded, {failed} failed, \
         {errored} errored, {timeouts} timeout\n\
         status codes: {ok} 2xx, {redirected} 3xx, {client} 4xx, {server} 5xx\n\
         traffic: {} ({total}) total, {} ({}) headers (space savings {saved:.2}%), {} ({}) data\n",
        time(outcome.elapsed),
        outcome.rate(),
        size(bytes_per_second),
        tally.sent + outcome.unsent,
        tally.sent,
        tally.answered() + errored,
        tally.succeeded(),
        count(total),
        count(fields.compressed),
        fields.compressed,
        count(tally.received),
        tally.received,
    );
    text += "                     min         max         mean         sd        +/- sd\n";
    row(&mut text, "time for request", &tally.service);
    row(&mut text, "time for connect", &tally.connections.connect);
    row(&mut text, "time to 1st byte", &tally.first_byte);
    text
}

fn row(text: &mut String, name: &str, times: &Times) {
    // Writing to a string cannot fail.
    let _ = writeln!(
        text,
        "{name}: {:>10}  {:>10}  {:>10}  {:>10}  {:>8.2}%",
        time(times.min()),
        time(times.max()),
        time(times.mean()),
        time(times.deviation()),
        times.near_mean()
    );
}

/// h2load's times: `12us`, `3.45ms`, `1.20s`.
fn time(time: Duration) -> String {
    let seconds = time.as_secs_f64();
    if seconds >= 1.0 {
        format!("{seconds:.2}s")
    } else if seconds >= 0.001 {
        format!("{:.2}ms", seconds * 1e3)
    } else {
        format!("{}us", time.as_micros())
    }
}

#[expect(clippy::cast_precision_loss, reason = "a size for people")]
fn count(bytes: u64) -> String {
    size(bytes as f64)
}

/// h2load's sizes: `12B`, `3.45KB`, `1.20MB`, with K = 1024.
fn size(bytes: f64) -> String {
    let units = [
        (1024.0 * 1024.0 * 1024.0, "GB"),
        (1024.0 * 1024.0, "MB"),
        (1024.0, "KB"),
    ];
    for (unit, name) in units {
        if bytes >= unit {
            return format!("{:.2}{name}", bytes / unit);
        }
    }
    format!("{bytes:.0}B")
}
