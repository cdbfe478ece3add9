//! `lacewing conform`: runs the conformance suite on sockets.

mod clients;
mod server;

use std::path::Path;

use lacewing_conform::{
    Case, Conditions, Filter, Outcome, Report, Segmentation, Strictness, Target, client_cases,
    server_cases,
};

use crate::{
    args::Conform,
    console,
    status::{self, Failure},
};

pub(crate) async fn run(args: Conform) -> Result<(), Failure> {
    let all = match args.client {
        true => client_cases(args.protocol),
        false => server_cases(&Target::new("http", "localhost").version(args.protocol)),
    };
    check_filters(&args, &all)?;
    if args.list {
        return list(chosen(&args, all));
    }
    let report = match (&args.url, args.listen) {
        (Some(url), _) => server::run(&args, url).await?,
        (None, Some(address)) => clients::run(&args, address).await?,
        (None, None) => return Err(Failure::usage("give a URL, or --client --listen ADDRESS")),
    };
    let printed = console::print(&report);
    write(args.junit.as_deref(), || report.to_junit())?;
    write(args.json.as_deref(), || report.to_json())?;
    if report.is_success() {
        printed
    } else {
        // The report names the failures.
        Err(Failure::quiet(status::CASE))
    }
}

/// A filter that admits no case is a mistake: else a run with a typing error passes.
fn check_filters(args: &Conform, all: &[Case]) -> Result<(), Failure> {
    for text in &args.only {
        let filter = Filter::new(text);
        if !all.iter().any(|case| filter.admits(case)) {
            let side = if args.client { "--client " } else { "" };
            let protocol = args.protocol.alpn();
            return Err(Failure::usage(format!(
                "no case of {protocol} has the section or id {text:?} (--only); \
                 `lacewing conform {side}--protocol {protocol} --list` lists all cases"
            )));
        }
    }
    Ok(())
}

fn list(cases: Vec<Case>) -> Result<(), Failure> {
    for case in cases {
        console::print(format_args!(
            "{:<12} {} §{} {}: {}\n",
            case.id(),
            case.specification(),
            case.section(),
            case.requirement(),
            case.title()
        ))?;
    }
    Ok(())
}

/// The cases that `--only` admits.
fn chosen(args: &Conform, mut cases: Vec<Case>) -> Vec<Case> {
    let filters: Vec<Filter> = args.only.iter().map(Filter::new).collect();
    if !filters.is_empty() {
        cases.retain(|case| filters.iter().any(|filter| filter.admits(case)));
    }
    cases
}

fn conditions(args: &Conform) -> Conditions {
    Conditions::default().with(|conditions| {
        conditions.timeout = args.timeout;
        if args.strict {
            conditions.strictness = Strictness::Strict;
        }
        if args.bytewise {
            conditions.segmentation = Segmentation::Bytes;
        }
    })
}

/// Prints the outcome of a case that is done, with `--verbose`.
fn report_case(args: &Conform, case: &Case, outcome: &Outcome) {
    if !args.verbose {
        return;
    }
    let text = match outcome {
        Outcome::Passed => "passed".to_owned(),
        Outcome::Skipped(reason) => format!("skipped: {reason}"),
        Outcome::Failed(failure) => format!("failed: {failure}"),
        Outcome::Advised(failure) => format!("advice: {failure}"),
    };
    console::eprint(format_args!("{:<12} {text}\n", case.id()));
}

fn write(path: Option<&Path>, text: impl FnOnce() -> String) -> Result<(), Failure> {
    let Some(path) = path else { return Ok(()) };
    std::fs::write(path, text())
        .map_err(|error| Failure::local(format!("cannot write {}: {error}", path.display())))
}

/// An empty report on `subject`.
fn report(subject: impl std::fmt::Display) -> Report {
    Report::new(format!("conformance of {subject}"))
}
