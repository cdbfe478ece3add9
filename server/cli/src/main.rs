//! `lacewingd`: serves a directory, and forwards to other servers, over HTTP/2,
//! SPDY/3.1, SPDY/3, SPDY/2 and HTTP/1.1, with no configuration.

#![forbid(unsafe_code)]

mod args;
mod budget;
mod certificate;
mod complaints;
mod disk;
mod failure;
mod files;
mod generation;
mod greeting;
mod listing;
mod log;
mod proxy;
mod reload;
mod run;
mod settings;
mod site;
mod target;

use std::{
    io::{self, Write as _},
    process::ExitCode,
};

use clap::Parser;

use crate::args::Args;

/// A thread of the allocator returns freed memory to the system within seconds. glibc keeps memory
/// while a later block is in use.
#[cfg(feature = "jemalloc")]
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    let args = Args::parse();
    let done = match args.generate.write(&mut io::stdout()) {
        Ok(false) => run::run(args),
        Ok(true) => Ok(()),
        // A reader that has enough is no error.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        Err(error) => Err(format!("cannot write to the standard output: {error}")),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // The standard error output may be closed.
            let _ = writeln!(io::stderr(), "lacewingd: {error}");
            ExitCode::FAILURE
        }
    }
}
