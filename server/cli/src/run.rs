//! From the command line to a server that runs, and to its end.

use std::{
    ffi::OsString,
    io::{self, Write as _},
    process,
    sync::Arc,
    time::Duration,
};

use lacewing_server::{
    ConnectionConfig, ExtendedConnect, Extension, Server, ServerBuilder, ServerOptions, Shutdown,
    ShutdownSignal, Spawn,
    live::{Board, Page},
    serve_connection,
};
use tokio::runtime::Builder;
use tracing::{info, warn};

use crate::{
    args::{Args, Listen, Runtime},
    configuration::Options,
    contradictions,
    exit::Exit,
    generation::{Generation, Present},
    greeting::{Greeting, described},
    listeners::{self, Inherited},
    live,
    log::{self, Log, Logged},
    prometheus::{self, Metrics, Readiness},
    reload::Reload,
    reverse::{Diallers, Serving, Tunnels},
    settings::{self, Served},
    signals::Ends,
    site::Names,
};

/// The time between two counts of a connection's bytes.
const STATS: Duration = Duration::from_secs(10);

/// Time for the last lines of the log to be written.
const LAST_LINES: Duration = Duration::from_secs(1);

/// The exit code after SIGINT, by custom.
const EXIT_INTERRUPTED: i32 = 130;

/// Serves until a signal.
pub(crate) fn run(command_line: Vec<OsString>, options: Options) -> Result<(), Exit> {
    let args = &options.args;
    contradictions::check(args).map_err(Exit::Usage)?;
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
    Ok(result?)
}

/// Does all that can fail before the addresses are bound.
pub(crate) fn check(args: &Args) -> Result<(), Exit> {
    contradictions::check(args).map_err(Exit::Usage)?;
    let served = Served::of(args)?;
    served.missing_fallback().map_or(Ok(()), Err)?;
    let failed = |error| format!("cannot start threads: {error}");
    let runtime = Builder::new_current_thread().enable_all().build();
    runtime.map_err(failed)?.block_on(async {
        if let Some(host) = args.https.host() {
            settings::certificates(args, host)?;
        }
        let memory = settings::memory_budget(args);
        Generation::start(
            &served,
            &Names::default(),
            &memory,
            &Tunnels::default(),
            None,
        )?;
        Ok(())
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
    let metrics = metrics(args).await?;
    let readiness = Readiness::default();
    let memory = settings::memory_budget(args);
    let signals = until_signalled(log.clone(), readiness.clone())?;
    let (board, page) = live::bind(args.status, &memory).await?.unzip();
    let end = end_at(signals);
    let options_of_connections = options_of(args, board);
    let connection = settings::connection(args, &memory);
    let mut builder = server(
        args,
        options_of_connections.clone(),
        connection.clone(),
        &end,
    );
    let (mut certificates, mut names, mut secured) = (None, Names::default(), 0);
    if let Some(host) = args.https.host() {
        let these = settings::certificates(args, host)?;
        names = these.names();
        (builder, secured) = listeners::bind_tls(builder, args, &these, inherited)?;
        certificates = Some((these, host));
    }
    let (builder, _) = listeners::bind_cleartext(builder, &args.http, inherited)?;
    inherited.report_left();
    let tunnels = Tunnels::default();
    let generation = Generation::start(served, &names, &memory, &tunnels, None)?;
    let server = bound(builder, args).await?;
    let addresses: Vec<_> = server.iter().flat_map(Server::addresses).cloned().collect();
    let (https, http) = addresses.split_at_checked(secured).unwrap_or_default();
    let fingerprints = certificates.iter().flat_map(|(all, _)| all.fingerprints());
    let greeting = Greeting {
        what: &described(served.root.as_deref(), generation.proxy()),
        https,
        http,
        dials: &served.reverse.dials,
        metrics: metrics.as_ref().and_then(Metrics::address),
        status: page.as_ref().map(Page::local_addr),
        fingerprints: &fingerprints.collect::<Vec<_>>(),
    };
    greet(&greeting.text(args), served);
    let (generation, service) = Present::start(generation);
    if let Some(metrics) = metrics {
        tokio::spawn(metrics.serve(generation.subscribe(), log.clone(), readiness));
    }
    let service = log.requests_of(service);
    let diallers = diallers(service.clone(), options_of_connections, connection);
    served.reverse.start(&tunnels, &diallers, &memory);
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
        tunnels: tunnels.clone(),
        diallers: diallers.clone(),
    };
    let reloads = reload.run();
    tokio::spawn(reloads.map_err(|error| format!("cannot wait for signals: {error}"))?);
    tokio::join!(answer(server, service), diallers.serve_until(end));
    // Requests of the last clients went through them.
    tunnels.shut_down().await;
    info!("all requests are answered, goodbye");
    Ok(())
}

fn greet(text: &str, served: &Served) {
    // The standard output may be closed.
    let _ = io::stdout().write_all(text.as_bytes());
    if let Some(why) = served.missing_fallback() {
        // It may be built later.
        warn!("{why}");
    }
}

async fn metrics(args: &Args) -> Result<Option<Metrics>, String> {
    Ok(match args.metrics {
        Some(address) => Some(Metrics::bind(address).await?),
        None => None,
    })
}

/// The end of all connections, at the first signal.
fn end_at(signals: impl Future<Output = ()> + Send + 'static) -> ShutdownSignal {
    let end = Shutdown::new();
    let signal = end.signal();
    tokio::spawn(async move {
        signals.await;
        end.start();
    });
    signal
}

/// A server with all options that do not concern its addresses.
fn server(
    args: &Args,
    options: ServerOptions,
    connection: ConnectionConfig,
    end: &ShutdownSignal,
) -> ServerBuilder {
    let mut end = end.clone();
    let mut builder = Server::builder()
        .options(|_| options.connection(connection))
        .shutdown(async move { end.wait().await });
    if args.runtime == Runtime::PerThread {
        builder = builder.threads(settings::threads(args));
    }
    #[cfg(target_os = "linux")]
    if args.reuse_port {
        builder = builder.reuse_port();
    }
    builder
}

/// Binds the addresses; `None` if there are none.
async fn bound(builder: ServerBuilder, args: &Args) -> Result<Option<Server>, String> {
    if !settings::listens(args) {
        return Ok(None);
    }
    let server = builder.build().await;
    let failed = |error| format!("{error}{}", hint(args));
    server.map(Some).map_err(failed)
}

/// Serves until the end, if there are addresses.
async fn answer(server: Option<Server>, service: Logged<Present>) {
    if let Some(server) = server {
        server.serve(service).await;
    }
}

/// Those who serve the same over connections that they dial.
fn diallers(
    service: Logged<Present>,
    options: ServerOptions,
    connection: ConnectionConfig,
) -> Diallers {
    Diallers::new(Serving {
        serve: Arc::new(move |io, info, options| {
            let service = service.clone();
            Box::pin(serve_connection(io, info, options, service))
        }),
        options,
        connection,
    })
}

/// The options of connections, whoever dials them.
fn options_of(args: &Args, board: Option<Board>) -> ServerOptions {
    let events = log::Events::default();
    tokio::spawn(events.clone().report_left_out());
    let measured = args.metrics.is_some();
    let mut options = ServerOptions::default()
        .protocols(args.protocols.iter().copied())
        // What reads disks has threads of its own; the rest of a handler waits. A body is encoded
        // while it is sent, on the connection's task with any choice.
        .spawn(Spawn::Never)
        .h2c_upgrade(settings::h2c_upgrade(args))
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
}

/// The options for another address.
fn hint(args: &Args) -> &'static str {
    match (&args.https, &args.http) {
        (Listen::Off, _) => " (--http ADDR)",
        (_, Listen::Off) => " (--https ADDR)",
        _ => " (--https ADDR, --http ADDR)",
    }
}

/// Completes at the first signal of [`Ends`]; the second one ends the program.
fn until_signalled(
    log: Log,
    readiness: Readiness,
) -> Result<impl Future<Output = ()> + Send + 'static, String> {
    let failed = |error: io::Error| format!("cannot wait for signals: {error}");
    let mut ends = Ends::new().map_err(failed)?;
    Ok(async move {
        ends.next().await;
        readiness.end();
        info!("no more connections; open requests are being answered (once more to end now)");
        tokio::spawn(async move {
            ends.next().await;
            log.flush(LAST_LINES);
            process::exit(EXIT_INTERRUPTED);
        });
    })
}
