//! `lacewing get`: fetches URLs and uploads files.

mod answer;
mod assets;
mod attachment;
mod clients;
mod content;
pub(crate) mod dials;
mod fetch;
pub(crate) mod options;
mod page;
mod pushes;
mod record;
mod redirect;
mod resume;
mod run;
mod save;
mod transfer;
mod waterfall;
mod write_out;

use std::sync::Arc;

use tokio::task::JoinSet;

use self::{
    clients::Clients, content::Content, dials::Dials, options::Get, pushes::Promises,
    record::Record, run::Run, waterfall::Trace, write_out::Format,
};
use crate::{
    console,
    output::Plan,
    progress::{Meter, Quiet},
    status::Failure,
};

/// Fetches every URL of the command line. Goes on after a failure; the first
/// one decides the exit code.
pub(crate) async fn run(mut get: Get) -> Result<(), Failure> {
    get.multiply();
    let content = Content::new(&get.message).await?;
    if content.is_stdin() && get.urls.len() > 1 {
        return Err(Failure::usage("stdin can be uploaded to one URL only"));
    }
    let plan = Plan::new(&get)?;
    let quiet = if get.telling.verbose || get.telling.silent {
        Quiet::Yes
    } else {
        plan.disturbed_by_progress()
    };
    let dials = Dials::default();
    let output = &get.output;
    let keeps = output.stat || output.har.is_some() || output.waterfall.is_some();
    let trace = output.waterfall.is_some().then(Trace::new);
    let record = keeps.then(Arc::<Record>::default);
    let run = Arc::new(Run {
        clients: Clients::new(&get, &dials, trace.as_ref())?,
        format: get
            .output
            .write_out
            .as_deref()
            .map(Format::new)
            .transpose()?,
        content,
        meter: Meter::new(quiet),
        pushed: Arc::new(Promises::new(record.clone(), dials.clone())),
        dials,
        record,
        get,
    });
    let jobs = run.get.urls.iter().zip(plan.into_destinations());
    let mut running = JoinSet::new();
    let mut failures = Vec::new();
    for (index, (url, destination)) in jobs.enumerate() {
        if running.len() >= run.get.course.parallel() {
            failures.extend(finished(running.join_next().await));
        }
        if failures.iter().any(|(_, failure)| failure.is_unread()) {
            break;
        }
        let (run, url) = (Arc::clone(&run), url.clone());
        running.spawn(async move {
            let done = transfer::transfer(&run, index, &url, &destination).await;
            (index, done)
        });
    }
    while !running.is_empty() {
        failures.extend(finished(running.join_next().await));
    }
    run.pushed.finish().await;
    run.meter.finish();
    failures.extend(write_records(&run, trace.as_ref()));
    let telling = &run.get.telling;
    let quiet = match telling.silent && !telling.show_error {
        true => Quiet::Yes,
        false => Quiet::No,
    };
    report(failures, quiet)
}

/// Writes the table, the HAR and the waterfall that the options ask for.
fn write_records(run: &Run, trace: Option<&Trace>) -> Vec<(usize, Failure)> {
    let mut failures = Vec::new();
    if let Some(record) = &run.record {
        if run.get.output.stat {
            record.print_table();
        }
        let har = run
            .get
            .output
            .har
            .as_deref()
            .map(|path| record.write_har(path));
        failures.extend(
            har.and_then(Result::err)
                .map(|failure| (usize::MAX, failure)),
        );
    }
    if let (Some(trace), Some(record), Some(place)) =
        (trace, &run.record, &run.get.output.waterfall)
    {
        let shown = waterfall::show(place, trace, &record.exchanges());
        failures.extend(shown.err().map(|failure| (usize::MAX, failure)));
    }
    failures
}

type Finished = Result<(usize, Result<(), Failure>), tokio::task::JoinError>;

fn finished(joined: Option<Finished>) -> Option<(usize, Failure)> {
    match joined? {
        Ok((_, Ok(()))) => None,
        Ok((index, Err(failure))) => Some((index, failure)),
        Err(error) => Some((usize::MAX, Failure::local(error))),
    }
}

/// Prints every failure, if that is wanted; returns the exit code of the first.
fn report(mut failures: Vec<(usize, Failure)>, quiet: Quiet) -> Result<(), Failure> {
    // A reader that has left needs no message.
    failures.retain(|(_, failure)| !failure.is_unread());
    failures.sort_by_key(|(index, _)| *index);
    let Some(first) = failures.first().map(|(_, failure)| failure.status()) else {
        return Ok(());
    };
    for (_, failure) in failures.iter().filter(|_| quiet == Quiet::No) {
        if let Some(message) = failure.message() {
            console::note(message);
        }
    }
    Err(Failure::quiet(first))
}
