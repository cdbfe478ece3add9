//! From the options to the settings of the program: the only place that knows both.

use std::{
    net::IpAddr,
    num::NonZeroUsize,
    path::{Path, PathBuf},
    thread,
    time::Duration,
};

use lacewing_server::{ConnectionConfig, H2cUpgrade, Limits, MemoryBudget, Side};

use crate::{
    args::{Args, ContentArgs, Listen},
    certificates::Certificates,
    disk::{self, Links, MIN_OPEN_FILES, Opened, Root},
    proxy,
    reverse::{Dial, Diallers, Token, TunnelName, Tunnels},
    site::{Compression, ErrorPages, Policy, Rules},
    target::Hidden,
};

/// Files have a quarter of the file descriptors that the system grants, and at
/// most this many; the others are for connections.
const OPEN_FILES_SHARE: usize = 4;
const MAX_OPEN_FILES: usize = 1024;

/// The largest body of a request that turns its connection into one of HTTP/2.
const UPGRADE_BODY: usize = 64 << 10;

/// What decides about responses.
#[derive(Clone, Debug)]
pub(crate) struct Served {
    /// The directory, without links in its path; `None` serves no files.
    pub(crate) root: Option<PathBuf>,
    pub(crate) policy: Policy,
    pub(crate) proxy: Option<proxy::Settings>,
    pub(crate) reverse: Reverse,
}

/// The reverse tunnels of both kinds.
#[derive(Clone, Debug)]
pub(crate) struct Reverse {
    /// Those that this program dials.
    pub(crate) dials: Vec<Dial>,
    /// Those that others dial, with their tokens.
    pub(crate) tokens: Vec<(TunnelName, Token)>,
    pub(crate) keep_alive: Duration,
    /// The waits for those who dial in.
    pub(crate) timeouts: proxy::Timeouts,
}

impl Served {
    /// Reads the files that the options name.
    pub(crate) fn of(args: &Args) -> Result<Self, String> {
        let named = args.directory.as_deref();
        let served = named.or((!args.proxy.is_used()).then_some(Path::new(".")));
        let proxy = args.proxy.is_used().then(|| args.proxy.settings());
        Ok(Self {
            root: served.map(directory).transpose()?,
            policy: policy(args, rules(&args.content)?),
            proxy: proxy.transpose()?,
            reverse: reverse(args)?,
        })
    }

    /// The text about a --fallback that is not there.
    pub(crate) fn missing_fallback(&self) -> Option<String> {
        let fallback = self.policy.rules.fallback.as_deref()?;
        // The site looks for it in the same way, with the same links.
        let root = Root::new(self.root.as_deref()?, self.policy.links);
        match root.open(fallback) {
            Ok(Opened::File(..)) => None,
            _ => Some(format!(
                "--fallback {fallback}: {} is no file that is served",
                root.whole(fallback).display()
            )),
        }
    }
}

impl Reverse {
    /// Puts the settings into effect. Tunnels whose settings are the same stay.
    pub(crate) fn start(&self, tunnels: &Tunnels, diallers: &Diallers, memory: &MemoryBudget) {
        let connection = proxy::connection(self.timeouts, memory);
        tunnels.set(&self.tokens, connection, self.keep_alive);
        diallers.set(&self.dials);
    }
}

fn reverse(args: &Args) -> Result<Reverse, String> {
    Ok(Reverse {
        dials: args.reverse.dialled()?,
        tokens: args.reverse.accepted()?,
        keep_alive: args.reverse.keep_alive(),
        timeouts: args.proxy.timeouts(),
    })
}

fn directory(path: &Path) -> Result<PathBuf, String> {
    let root = path
        .canonicalize()
        .map_err(|error| format!("the directory {}: {error}", path.display()))?;
    if root.is_dir() {
        Ok(root)
    } else {
        Err(format!("{} is no directory", path.display()))
    }
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
        precompressed: args.content.precompressed.clone(),
        compression: if args.content.compress {
            Compression::On
        } else {
            Compression::Off
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
    let descriptors = usize::try_from(disk::max_descriptors()).unwrap_or(usize::MAX);
    (descriptors / OPEN_FILES_SHARE).clamp(MIN_OPEN_FILES, MAX_OPEN_FILES)
}

/// Returns whether clients may connect.
pub(crate) fn listens(args: &Args) -> bool {
    args.https != Listen::Off || args.http != Listen::Off
}

/// The certificates of the files, or a new one for `host`.
pub(crate) fn certificates(args: &Args, host: IpAddr) -> Result<Certificates, String> {
    let pairs: Vec<_> = args.cert.iter().zip(&args.key).collect();
    match pairs[..] {
        [] => Certificates::make(host),
        _ => Certificates::read(&pairs),
    }
}

/// The number of threads that serve by themselves.
pub(crate) fn threads(args: &Args) -> NonZeroUsize {
    let named = args.threads.map(usize::from).and_then(NonZeroUsize::new);
    let cores = || thread::available_parallelism().unwrap_or(NonZeroUsize::MIN);
    named.unwrap_or_else(cores)
}

/// The limits of each connection, and the memory that all share.
pub(crate) fn connection(args: &Args, memory: &MemoryBudget) -> ConnectionConfig {
    ConnectionConfig::new(Side::Server).with(|config| {
        config.limits = limits(args).into();
        config.memory_budget = memory.clone();
    })
}

fn limits(args: &Args) -> Limits {
    Limits::new(Side::Server).with(|limits| {
        limits.keep_alive_interval = args.limits.keep_alive;
        limits.idle_timeout = args.limits.idle_timeout.or(limits.idle_timeout);
        limits.max_connection_age = args.limits.max_age;
    })
}

pub(crate) fn memory_budget(args: &Args) -> MemoryBudget {
    let mib = args
        .limits
        .max_memory
        .and_then(|mib| usize::try_from(mib).ok());
    mib.map_or_else(MemoryBudget::global, |mib| {
        MemoryBudget::new(mib.saturating_mul(1 << 20))
    })
}

pub(crate) fn h2c_upgrade(args: &Args) -> H2cUpgrade {
    if args.h2c_upgrade {
        H2cUpgrade::Accept {
            max_body: UPGRADE_BODY,
        }
    } else {
        H2cUpgrade::Ignore
    }
}
