//! `lacewingd`: serves a directory, and forwards to other servers, over HTTP/2,
//! SPDY/3.1, SPDY/3, SPDY/2 and HTTP/1.1, with no configuration.

#![forbid(unsafe_code)]

mod args;
mod budget;
mod certificates;
mod complaints;
mod configuration;
mod contradictions;
mod disk;
mod exit;
mod failure;
mod files;
mod generation;
mod greeting;
mod listeners;
mod listing;
mod live;
mod log;
mod prometheus;
mod proxy;
mod reload;
mod reverse;
mod run;
mod settings;
mod signals;
mod site;
mod target;
mod trust;

use std::{
    env,
    io::{self, Write as _},
    process::ExitCode,
};

use crate::{
    configuration::{Error, Options},
    exit::Exit,
};

/// A thread of the allocator returns freed memory to the system within seconds. glibc keeps memory
/// while a later block is in use.
#[cfg(all(feature = "jemalloc", not(windows)))]
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    let command_line: Vec<_> = env::args_os().collect();
    let options = match Options::read(&command_line) {
        Ok(options) => options,
        Err(Error::CommandLine(error)) => error.exit(),
        Err(Error::Unreadable(error)) => return failed(&Exit::Failed(error)),
        Err(Error::Configuration(report)) => {
            let _ = writeln!(io::stderr(), "{report}");
            return Exit::Usage(String::new()).code();
        }
    };
    let done = match options.args.generate.write(&mut io::stdout()) {
        Ok(false) if options.args.check => run::check(&options.args).map(|()| {
            let _ = writeln!(io::stdout(), "the options and their files are valid");
        }),
        Ok(false) => run::run(command_line, options),
        Ok(true) => Ok(()),
        // A reader that has enough is no error.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        Err(error) => Err(format!("cannot write to the standard output: {error}").into()),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => failed(&error),
    }
}

fn failed(why: &Exit) -> ExitCode {
    // The standard error output may be closed.
    let _ = writeln!(io::stderr(), "lacewingd: {}", why.text());
    why.code()
}
