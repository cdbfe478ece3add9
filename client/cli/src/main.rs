//! `lacewing`: fetches URLs over HTTP/2 and SPDY, shows the frames, loads servers, and
//! tests other servers and clients.

#![forbid(unsafe_code)]

mod args;
mod capture;
mod conform;
mod connect_to;
mod console;
mod conversation;
mod decode;
mod decoding;
mod detect;
mod dialling;
mod frame_log;
mod frame_meaning;
mod frame_output;
mod frame_text;
mod get;
mod headers;
mod hex;
#[cfg(feature = "kube")]
mod kube;
mod live_page;
mod load;
mod mux;
mod output;
mod parse;
mod ping;
mod probe;
mod progress;
mod proxy;
mod self_signed;
mod status;
mod tap;
mod upload;
mod watched;
mod windows;

use std::{process::ExitCode, time::Duration};

use clap::{CommandFactory as _, Parser as _};

use crate::{
    args::{Args, Command},
    status::Failure,
};

fn main() -> ExitCode {
    let args = match Args::try_parse() {
        Ok(args) => args,
        Err(error) => {
            // clap reports help and version as errors, for stdout.
            let _ = error.print();
            let status = if error.use_stderr() {
                status::USAGE
            } else {
                status::OK
            };
            return ExitCode::from(status);
        }
    };
    let command = match args.command {
        Some(command) => command,
        None => return ended(args.generate.write(Args::command())),
    };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build();
    let done = runtime
        .map_err(Failure::local)
        .and_then(|runtime| match command {
            Command::Get(get) => runtime.block_on(async {
                let done = get::run(*get).await;
                wait_for_connections().await;
                done
            }),
            Command::Load(load) => runtime.block_on(load::run(*load)),
            Command::Conform(conform) => runtime.block_on(conform::run(*conform)),
            Command::Decode(decode) => decode::run(&decode),
            Command::Ping(ping) => runtime.block_on(ping::run(&ping)),
            Command::Probe(probe) => runtime.block_on(probe::run(probe)),
            Command::Tap(tap) => runtime.block_on(tap::run(tap)),
            Command::Mux(mux) => {
                let done = runtime.block_on(mux::run(mux));
                // A read of stdin cannot be cancelled: nothing waits for it.
                runtime.shutdown_background();
                done
            }
            Command::Headers(headers) => headers::run(&headers),
            #[cfg(feature = "kube")]
            Command::Kube(kube) => {
                let done = runtime.block_on(kube::run(kube));
                // A read of the terminal may be in progress.
                runtime.shutdown_background();
                done
            }
        });
    ended(done)
}

/// Reports a failure, and returns the exit code.
fn ended(done: Result<(), Failure>) -> ExitCode {
    match done {
        Ok(()) => ExitCode::from(status::OK),
        Err(failure) => {
            if let Some(message) = failure.message() {
                console::note(message);
            }
            ExitCode::from(failure.status())
        }
    }
}

/// Waits until the connections have sent GOAWAY and closed, half a second at
/// most.
async fn wait_for_connections() {
    let tasks = tokio::runtime::Handle::current().metrics();
    for _ in 0..100 {
        if tasks.num_alive_tasks() == 0 {
            return;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}
