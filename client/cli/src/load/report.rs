//! The report of a run, for people.

use std::{fmt, time::Duration};

use super::{
    machine::CpuTime,
    outcome::Outcome,
    tally::{Causes, Connections, Tally},
    times::Times,
};

pub(super) const PERCENTILES: [f64; 7] = [50.0, 75.0, 90.0, 95.0, 99.0, 99.9, 99.99];

/// Displays an outcome as text.
pub(super) struct Report<'a>(pub(super) &'a Outcome);

impl fmt::Display for Report<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (outcome, tally) = (self.0, &self.0.tally);
        writeln!(f, "{}", outcome.headline)?;
        let protocol = tally.connections.protocol.as_deref();
        let protocol = protocol.unwrap_or("no protocol");
        writeln!(f, "protocol       {protocol}{}", outcome.security)?;
        writeln!(f, "ended by       {}", outcome.end)?;
        writeln!(
            f,
            "finished in    {}, {:.1} responses/s",
            Shown(outcome.elapsed),
            outcome.rate()
        )?;
        if let Some(plan) = &outcome.open_loop {
            writeln!(
                f,
                "plan           {} requests, {} arrivals at {:.1}/s; {} dropped by --max-waiting",
                plan.planned,
                plan.arrival.name(),
                plan.rate,
                plan.dropped
            )?;
        }
        requests(f, outcome)?;
        causes(f, "failed", &tally.failures)?;
        causes(f, "sent again", &tally.repeated)?;
        match tally.statuses {
            [raw, rest @ ..] if raw > 0 && rest == [0; 5] => {
                writeln!(f, "raw streams    {raw} echoed")?;
            }
            _ => statuses(f, tally)?,
        }
        writeln!(f, "connections    {} made", tally.connections.made)?;
        resumptions(f, &tally.connections)?;
        causes(f, "not made", &tally.connections.failed)?;
        causes(f, "ended early", &tally.connections.ended)?;
        writeln!(
            f,
            "received       {} bytes of content; header fields {}",
            tally.received,
            saved(&tally.response_fields)
        )?;
        writeln!(
            f,
            "sent           header fields {}",
            saved(&tally.request_fields)
        )?;
        times(f, "first byte", &tally.first_byte)?;
        times(f, "service time", &tally.service)?;
        times(f, "response time", &tally.response)?;
        own_time(f, outcome)?;
        for note in &outcome.notes {
            writeln!(f, "note           {note}")?;
        }
        for broken in &outcome.broken {
            writeln!(f, "threshold      {broken}")?;
        }
        let saturation = outcome.cpu_time.as_ref();
        let saturation = saturation.and_then(CpuTime::saturation);
        for remark in [outcome.shortfall(), saturation].into_iter().flatten() {
            writeln!(f, "{remark}")?;
        }
        writeln!(f, "{}", outcome.verdict())
    }
}

/// The requests, each in one class.
fn requests(f: &mut fmt::Formatter<'_>, outcome: &Outcome) -> fmt::Result {
    let tally = &outcome.tally;
    writeln!(
        f,
        "requests       {} sent, {} answered, {} failed, {} in flight at the end",
        tally.sent,
        tally.answered(),
        tally.failures.total(),
        tally.in_flight
    )?;
    if outcome.unsent > 0 {
        writeln!(f, "               {} never sent", outcome.unsent)?;
    }
    if tally.warm_up > 0 || tally.warm_up_failed > 0 {
        writeln!(
            f,
            "warm-up        {} answered, {} failed; not in the figures",
            tally.warm_up, tally.warm_up_failed
        )?;
    }
    Ok(())
}

/// A count for each cause, indented below its heading.
fn statuses(f: &mut fmt::Formatter<'_>, tally: &Tally) -> fmt::Result {
    write!(f, "status")?;
    for (class, count) in tally.statuses.iter().enumerate().skip(1) {
        write!(
            f,
            "{} {count} {class}xx",
            if class == 1 { "        " } else { "," }
        )?;
    }
    writeln!(f)
}

fn causes(f: &mut fmt::Formatter<'_>, heading: &str, causes: &Causes) -> fmt::Result {
    for (cause, count) in causes.iter() {
        writeln!(f, "  {heading:<12} {count} × {cause}")?;
    }
    Ok(())
}

/// The TLS handshakes that resumed an earlier session.
fn resumptions(f: &mut fmt::Formatter<'_>, connections: &Connections) -> fmt::Result {
    let Connections {
        handshakes,
        resumed,
        ..
    } = connections;
    if *handshakes == 0 {
        return Ok(());
    }
    #[expect(clippy::cast_precision_loss, reason = "a share for people")]
    let share = *resumed as f64 / *handshakes as f64 * 100.0;
    writeln!(
        f,
        "TLS            {handshakes} handshakes, {resumed} resumed ({share:.1} %)"
    )
}

fn saved(bytes: &lacewing_conn::proto::HeaderBytes) -> String {
    let saved = bytes.ratio().map_or(0.0, |ratio| (1.0 - ratio) * 100.0);
    let (plain, compressed) = (bytes.plain, bytes.compressed);
    format!("{compressed} bytes for {plain} ({saved:.1} % saved)")
}

fn times(f: &mut fmt::Formatter<'_>, name: &str, times: &Times) -> fmt::Result {
    if times.len() == 0 {
        return Ok(());
    }
    write!(f, "{name:<14} n {}", times.len())?;
    write!(
        f,
        ", min {}, mean {}",
        Shown(times.min()),
        Shown(times.mean())
    )?;
    for percent in PERCENTILES {
        if let Some(time) = times.percentile(percent) {
            write!(f, ", p{percent} {}", Shown(time))?;
        }
    }
    writeln!(f, ", max {}", Shown(times.max()))
}

/// What the program itself took.
fn own_time(f: &mut fmt::Formatter<'_>, outcome: &Outcome) -> fmt::Result {
    let Some(time) = &outcome.cpu_time else {
        return Ok(());
    };
    writeln!(
        f,
        "this client    {} of CPU time, {:.0} % of {} {}",
        Shown(time.used),
        time.busy() * 100.0,
        time.threads,
        if time.threads == 1 {
            "thread"
        } else {
            "threads"
        }
    )
}

/// A time in a unit that fits.
pub(super) struct Shown(pub(super) Duration);

impl fmt::Display for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.0.as_secs_f64();
        if seconds < 0.001 {
            write!(f, "{:.0} µs", seconds * 1e6)
        } else if seconds < 1.0 {
            write!(f, "{:.2} ms", seconds * 1e3)
        } else {
            write!(f, "{seconds:.2} s")
        }
    }
}
