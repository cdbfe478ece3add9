//! From the command line to a server that runs, and to its end.

use std::{
    fmt::Write as _,
    io::{self, Write as _},
    net::{IpAddr, Ipv4Addr, SocketAddr},
    num::NonZeroUsize,
    path::{Path, PathBuf},
    process, thread,
    time::Duration,
};

use lacewing_server::{
    ConnectionConfig, ExtendedConnect, Extension, H2cUpgrade, Limits, MemoryBudget, Server,
    ServerBuilder, Side,
};
use rustix::process::{Resource, getrlimit};
use tokio::{
    runtime::Builder,
    signal::unix::{SignalKind, signal},
};
use tracing::info;

use crate::{
    args::{Args, ContentArgs, Listen, Runtime},
    certificate::Certificate,
    disk::{Links, MIN_OPEN_FILES},
    log::{self, Logged, Output, Style},
    proxy::{Front, Proxy},
    reload,
    site::{ErrorPages, Names, Policy, Rules, Site},
    target::Hidden,
};

/// Files have a quarter of the file descriptors that the system grants, and at
/// most this many; the others are for connections.
const OPEN_FILES_SHARE: usize = 4;
const MAX_OPEN_FILES: usize = 1024;

/// Time for the last lines of the log to be written.
const LAST_LINES: Duration = Duration::from_secs(1);

/// The largest body of a request that turns its connection into one of HTTP/2.
const UPGRADE_BODY: usize = 64 << 10;

/// The exit code after SIGINT, by custom.
const EXIT_INTERRUPTED: i32 = 130;

pub(crate) fn run(args: Args) -> Result<(), String> {
    let named = args.directory.as_deref();
    let served = named.or((!args.proxy.is_used()).then_some(Path::new(".")));
    let root = served.map(directory).transpose()?;
    let failed = |error| format!("cannot start threads: {error}");
    let (log, style) = log::start().map_err(failed)?;
    let runtime = runtime(&args).map_err(failed)?;
    let result = runtime.block_on(serve(&args, root.as_deref(), &log, style));
    // A file that is being read must not keep the program alive.
    runtime.shutdown_background();
    log.flush(LAST_LINES);
    result
}

fn directory(path: &Path) -> Result<PathBuf, String> {
    let root = path
        .canonicalize()
        .map_err(|error| format!("{}: {error}", path.display()))?;
    if root.is_dir() {
        Ok(root)
    } else {
        Err(format!("{} is no directory", path.display()))
    }
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

/// The number of threads that serve by themselves.
fn threads(args: &Args) -> NonZeroUsize {
    let named = args.threads.map(usize::from).and_then(NonZeroUsize::new);
    let cores = || thread::available_parallelism().unwrap_or(NonZeroUsize::MIN);
    named.unwrap_or_else(cores)
}

async fn serve(args: &Args, root: Option<&Path>, log: &Output, style: Style) -> Result<(), String> {
    if args.https == Listen::Off && args.http == Listen::Off {
        return Err("both --https and --http are off: no client could connect".into());
    }
    let rules = rules(&args.content)?;
    let memory = memory_budget(args);
    let mut builder = configured(args, &memory).shutdown(until_signalled(log.clone())?);
    if args.runtime == Runtime::PerThread {
        builder = builder.threads(threads(args));
    }
    let mut fingerprint = None;
    let mut names = Names::default();
    if let Some(address) = args.https.address() {
        let certificate = certificate(args, address.ip())?;
        fingerprint = Some(certificate.fingerprint());
        names = certificate.names();
        builder = secured(builder, args, address, &certificate)?;
        if args.cert.is_some() {
            let reloads = reload::at_hangup(certificate);
            tokio::spawn(reloads.map_err(|error| format!("cannot wait for signals: {error}"))?);
        }
    }
    if let Some(address) = args.http.address() {
        builder = builder.bind(address);
    }
    let proxy = proxy(args, &rules, &names, &memory)?;
    let server = builder
        .build()
        .await
        .map_err(|error| format!("{error}{}", hint(args)))?;
    let mut addresses = server.local_addrs();
    let https = fingerprint.as_ref().and_then(|_| addresses.next());
    let http = addresses.next();
    drop(addresses);
    let what = described(root, proxy.as_ref());
    let greeting = greeting(args, &what, https, http, fingerprint.as_deref());
    // The standard output may be closed.
    let _ = io::stdout().write_all(greeting.as_bytes());
    let site = root.map(|root| {
        let site = Site::new(root, policy(args, rules), names, memory.alarm());
        tokio::spawn(site.clone().maintain_handles());
        site
    });
    let output = log.clone();
    match (proxy, site) {
        (Some(proxy), site) => {
            tokio::spawn(proxy.clone().check_health());
            let service = Front { proxy, site };
            server
                .serve(Logged {
                    service,
                    output,
                    style,
                })
                .await;
        }
        (None, Some(service)) => {
            server
                .serve(Logged {
                    service,
                    output,
                    style,
                })
                .await
        }
        (None, None) => {}
    }
    info!("all requests are answered, goodbye");
    Ok(())
}

/// A server with all options that do not concern its addresses.
fn configured(args: &Args, memory: &MemoryBudget) -> ServerBuilder {
    let upgrade = if args.h2c_upgrade {
        H2cUpgrade::Accept {
            max_body: UPGRADE_BODY,
        }
    } else {
        H2cUpgrade::Ignore
    };
    let connection = ConnectionConfig::new(Side::Server).with(|config| {
        config.limits = limits(args).into();
        config.memory_budget = memory.clone();
    });
    let events = log::Events::default();
    tokio::spawn(events.clone().report_left_out());
    Server::builder().connection(connection).options(|options| {
        let mut options = options
            .protocols(args.protocols.iter().copied())
            .h2c_upgrade(upgrade)
            .observer(move |event| events.log(event));
        if args.proxy.is_used() {
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

/// The proxy, if there is anything to forward.
fn proxy(
    args: &Args,
    rules: &Rules,
    names: &Names,
    memory: &MemoryBudget,
) -> Result<Option<Proxy>, String> {
    if !args.proxy.is_used() {
        return Ok(None);
    }
    let settings = args.proxy.settings()?;
    Proxy::new(settings, rules.clone(), names.clone(), memory).map(Some)
}

/// What is served, for the greeting.
fn described(root: Option<&Path>, proxy: Option<&Proxy>) -> String {
    let mut text = match root {
        Some(root) => root.display().to_string(),
        None => "no files".to_owned(),
    };
    if let Some(proxy) = proxy {
        text.push('\n');
        text.push_str(proxy.describe().trim_end());
    }
    text
}

fn policy(args: &Args, rules: Rules) -> Policy {
    Policy {
        index: args.content.index.clone(),
        rules,
        links: if args.follow_links {
            Links::Follow
        } else {
            Links::Within
        },
        hidden: if args.hidden {
            Hidden::Serve
        } else {
            Hidden::Omit
        },
        max_open_files: args
            .limits
            .max_open_files
            .map_or_else(max_open_files, |max| usize::from(max.get())),
    }
}

fn rules(args: &ContentArgs) -> Result<Rules, String> {
    let mut error_pages = ErrorPages::default();
    for page in &args.error_page {
        error_pages.read(page.0, &page.1)?;
    }
    let mut rules = Rules {
        fallback: args.fallback(),
        cache_control: args.cache_control.clone(),
        error_pages,
        ..Rules::default()
    };
    if args.cors {
        rules.allow_origins();
    }
    for field in &args.header {
        rules.added.append(field.0.clone(), field.1.clone());
    }
    Ok(rules)
}

/// The share of the system's limit that is for files.
fn max_open_files() -> usize {
    let descriptors = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
    let descriptors = usize::try_from(descriptors).unwrap_or(usize::MAX);
    (descriptors / OPEN_FILES_SHARE).clamp(MIN_OPEN_FILES, MAX_OPEN_FILES)
}

fn memory_budget(args: &Args) -> MemoryBudget {
    let mib = args
        .limits
        .max_memory
        .and_then(|mib| usize::try_from(mib).ok());
    mib.map_or_else(MemoryBudget::global, |mib| {
        MemoryBudget::new(mib.saturating_mul(1 << 20))
    })
}

fn limits(args: &Args) -> Limits {
    Limits::new(Side::Server).with(|limits| {
        limits.keep_alive_interval = args.limits.keep_alive;
        limits.idle_timeout = args.limits.idle_timeout.or(limits.idle_timeout);
        limits.max_connection_age = args.limits.max_age;
    })
}

#[cfg(not(feature = "npn"))]
fn secured(
    builder: ServerBuilder,
    _: &Args,
    address: SocketAddr,
    certificate: &Certificate,
) -> Result<ServerBuilder, String> {
    Ok(builder.bind_tls(address, certificate.config()?))
}

#[cfg(feature = "npn")]
fn secured(
    builder: ServerBuilder,
    args: &Args,
    address: SocketAddr,
    certificate: &Certificate,
) -> Result<ServerBuilder, String> {
    Ok(if args.npn {
        builder.bind_npn(address, certificate.acceptor()?)
    } else {
        builder.bind_tls(address, certificate.config()?)
    })
}

/// The options for another address.
fn hint(args: &Args) -> &'static str {
    match (args.https, args.http) {
        (Listen::On(_), Listen::On(_)) => " (--https ADDR, --http ADDR)",
        (Listen::On(_), Listen::Off) => " (--https ADDR)",
        _ => " (--http ADDR)",
    }
}

fn certificate(args: &Args, host: IpAddr) -> Result<Certificate, String> {
    match (&args.cert, &args.key) {
        (Some(cert), Some(key)) => Certificate::read(cert, key),
        _ => Certificate::make(host),
    }
}

/// The text that names the server's addresses.
fn greeting(
    args: &Args,
    what: &str,
    https: Option<SocketAddr>,
    http: Option<SocketAddr>,
    fingerprint: Option<&str>,
) -> String {
    let names: Vec<_> = args
        .protocols
        .iter()
        .map(|protocol| protocol.alpn())
        .collect();
    let names = names.join(", ");
    let mut text = format!("lacewingd {} serves {what}\n", env!("CARGO_PKG_VERSION"),);
    if let Some(address) = https {
        let _ = writeln!(text, "  https://{}/  {names}", reachable(address));
    }
    if let Some(address) = http {
        let _ = writeln!(text, "  http://{}/  {names}", reachable(address));
    }
    if let Some(fingerprint) = fingerprint {
        let made = if args.cert.is_none() {
            " (self-signed, made for this run)"
        } else {
            ""
        };
        let _ = writeln!(text, "  certificate SHA-256 {fingerprint}{made}");
    }
    text
}

/// An address that a URL may have.
fn reachable(address: SocketAddr) -> SocketAddr {
    match address.ip() {
        ip if !ip.is_unspecified() => address,
        IpAddr::V4(_) => SocketAddr::from((Ipv4Addr::LOCALHOST, address.port())),
        IpAddr::V6(_) => SocketAddr::from((std::net::Ipv6Addr::LOCALHOST, address.port())),
    }
}

/// Completes at the first SIGTERM or SIGINT; the second one ends the program.
fn until_signalled(log: Output) -> Result<impl Future<Output = ()> + Send + 'static, String> {
    let failed = |error: io::Error| format!("cannot wait for signals: {error}");
    let mut terminate = signal(SignalKind::terminate()).map_err(failed)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(failed)?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
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
