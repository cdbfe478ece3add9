//! From the command line to a server that runs, and to its end.

use std::{
    ffi::OsString,
    io::{self, Write as _},
    process,
    time::Duration,
};

use lacewing_server::{
    ExtendedConnect, Extension, MemoryBudget, Server, ServerBuilder,
    live::{Board, Page},
};
use tokio::{
    runtime::Builder,
    signal::unix::{SignalKind, signal},
};
use tracing::info;

use crate::{
    args::{Args, Listen, Runtime},
    configuration::Options,
    generation::{Generation, Present},
    greeting::{Greeting, described},
    listeners::{self, Inherited},
    live,
    log::{self, Log},
    prometheus::{self, Metrics, Readiness},
    reload::Reload,
    settings::{self, Served},
    site::Names,
};

/// The time between two counts of a connection's bytes.
const STATS: Duration = Duration::from_secs(10);

/// Time for the last lines of the log to be written.
const LAST_LINES: Duration = Duration::from_secs(1);

/// The exit code after SIGINT, by custom.
const EXIT_INTERRUPTED: i32 = 130;

/// Serves until a signal.
pub(crate) fn run(command_line: Vec<OsString>, options: Options) -> Result<(), String> {
    let args = &options.args;
    // Before there are threads.
    let mut inherited = Inherited::take();
    let served = Served::of(args)?;
    let failed = |error| format!("cannot start threads: {error}");
    let log = Log::start(args.log.log_format, args.log.filter()).map_err(failed)?;
    let runtime = runtime(args).map_err(failed)?;
    let result = runtime.block_on(serve(command_line, options, &served, &log, &mut inherited));
    // A file that is being read must not keep the program alive.
    runtime.shutdown_background();
    log.flush(LAST_LINES);
    result
}

/// Does all that can fail before the addresses are bound.
pub(crate) fn check(args: &Args) -> Result<(), String> {
    let served = Served::of(args)?;
    settings::check_addresses(args)?;
    let failed = |error| format!("cannot start threads: {error}");
    let runtime = Builder::new_current_thread().enable_all().build();
    runtime.map_err(failed)?.block_on(async {
        if let Some(host) = args.https.host() {
            settings::certificates(args, host)?;
        }
        let memory = settings::memory_budget(args);
        Generation::start(&served, &Names::default(), &memory, None).map(drop)
    })
}

/// Builds the runtime that serves, or that waits for threads which do.
fn runtime(args: &Args) -> io::Result<tokio::runtime::Runtime> {
    match (args.runtime, args.threads) {
        (Runtime::PerThread, _) | (Runtime::Shared, Some(1)) => {
            Builder::new_current_thread().enable_all().build()
        }
        (Runtime::Shared, Some(threads)) => Builder::new_multi_thread()
            .worker_threads(threads.into())
            .enable_all()
            .build(),
        (Runtime::Shared, None) => Builder::new_multi_thread().enable_all().build(),
    }
}

async fn serve(
    command_line: Vec<OsString>,
    options: Options,
    served: &Served,
    log: &Log,
    inherited: &mut Inherited,
) -> Result<(), String> {
    let args = &options.args;
    settings::check_addresses(args)?;
    let metrics = match args.metrics {
        Some(address) => Some(Metrics::bind(address).await?),
        None => None,
    };
    let readiness = Readiness::default();
    let memory = settings::memory_budget(args);
    let signals = until_signalled(log.clone(), readiness.clone())?;
    let (board, page) = match args.status {
        Some(address) => {
            let (board, page) = live::bind(address, &memory).await?;
            (Some(board), Some(page))
        }
        None => (None, None),
    };
    let mut builder = configured(args, &memory, board).shutdown(signals);
    if args.runtime == Runtime::PerThread {
        builder = builder.threads(settings::threads(args));
    }
    #[cfg(target_os = "linux")]
    if args.reuse_port {
        builder = builder.reuse_port();
    }
    let (mut certificates, mut names, mut secured) = (None, Names::default(), 0);
    if let Some(host) = args.https.host() {
        let these = settings::certificates(args, host)?;
        names = these.names();
        (builder, secured) = listeners::bind_tls(builder, args, &these, inherited)?;
        certificates = Some((these, host));
    }
    let (builder, _) = listeners::bind_cleartext(builder, &args.http, inherited)?;
    inherited.report_left();
    let generation = Generation::start(served, &names, &memory, None)?;
    let server = builder
        .build()
        .await
        .map_err(|error| format!("{error}{}", hint(args)))?;
    let addresses: Vec<_> = server.addresses().cloned().collect();
    let (https, http) = addresses.split_at_checked(secured).unwrap_or_default();
    let fingerprints = certificates.iter().flat_map(|(all, _)| all.fingerprints());
    let greeting = Greeting {
        what: &described(served.root.as_deref(), generation.proxy()),
        https,
        http,
        metrics: metrics.as_ref().and_then(Metrics::address),
        status: page.as_ref().map(Page::local_addr),
        fingerprints: &fingerprints.collect::<Vec<_>>(),
    };
    // The standard output may be closed.
    let _ = io::stdout().write_all(greeting.text(args).as_bytes());
    let (generation, service) = Present::start(generation);
    if let Some(metrics) = metrics {
        tokio::spawn(metrics.serve(generation.subscribe(), log.clone(), readiness));
    }
    if let Some(page) = page {
        tokio::spawn(page.serve());
    }
    let reload = Reload {
        command_line,
        options,
        certificates,
        names,
        memory,
        log: log.clone(),
        generation,
    };
    let reloads = reload.run();
    tokio::spawn(reloads.map_err(|error| format!("cannot wait for signals: {error}"))?);
    server.serve(log.requests_of(service)).await;
    info!("all requests are answered, goodbye");
    Ok(())
}

/// A server with all options that do not concern its addresses.
fn configured(args: &Args, memory: &MemoryBudget, board: Option<Board>) -> ServerBuilder {
    let upgrade = settings::h2c_upgrade(args);
    let connection = settings::connection(args, memory);
    let events = log::Events::default();
    tokio::spawn(events.clone().report_left_out());
    let measured = args.metrics.is_some();
    Server::builder().connection(connection).options(|options| {
        let mut options = options
            .protocols(args.protocols.iter().copied())
            .h2c_upgrade(upgrade)
            .observer(move |event| {
                events.log(event);
                if measured {
                    prometheus::observe(event);
                }
            });
        if measured {
            options = options.stats_every(STATS);
        }
        if let Some(board) = board {
            options = options.board(board);
        }
        // A configuration may have a proxy later.
        if args.proxy.is_used() || args.config.is_some() {
            // For WebSockets (RFC 8441), and for 103 (Early Hints).
            options = options
                .extended_connect(ExtendedConnect::Offer)
                .informer(Extension::Insert);
        }
        let max = args.limits.max_connections;
        match max.and_then(|max| usize::try_from(max).ok()) {
            Some(max) => options.max_connections(max),
            None => options,
        }
    })
}

/// The options for another address.
fn hint(args: &Args) -> &'static str {
    match (&args.https, &args.http) {
        (Listen::Off, _) => " (--http ADDR)",
        (_, Listen::Off) => " (--https ADDR)",
        _ => " (--https ADDR, --http ADDR)",
    }
}

/// Completes at the first SIGTERM or SIGINT; the second one ends the program.
fn until_signalled(
    log: Log,
    readiness: Readiness,
) -> Result<impl Future<Output = ()> + Send + 'static, String> {
    let failed = |error: io::Error| format!("cannot wait for signals: {error}");
    let mut terminate = signal(SignalKind::terminate()).map_err(failed)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(failed)?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        readiness.end();
        info!("no more connections; open requests are being answered (once more to end now)");
        tokio::spawn(async move {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
            log.flush(LAST_LINES);
            process::exit(EXIT_INTERRUPTED);
        });
    })
}
