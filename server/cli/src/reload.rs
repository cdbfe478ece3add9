//! Changes while the program runs: SIGHUP reads all options again, and files of certificates that
//! were renewed are read by themselves.

use std::{ffi::OsString, io, net::IpAddr, sync::Arc, time::Duration};

use lacewing_server::MemoryBudget;
use tokio::{
    sync::watch,
    task::spawn_blocking,
    time::{MissedTickBehavior, interval},
};
use tracing::{info, warn};

use crate::{
    certificates::Certificates,
    configuration::Options,
    contradictions,
    disk::Identity,
    generation::Generation,
    log::Log,
    prometheus,
    reverse::{Diallers, Tunnels},
    settings::{self, Served},
    signals::Reloads,
    site::Names,
};

/// The time between two looks at the files of certificates. A watch of the system would miss
/// changes on network file systems.
const LOOK: Duration = Duration::from_secs(5);

/// The options that take effect without a new start.
const LIVE: [&str; 16] = [
    "compress",
    "precompressed",
    "cert",
    "key",
    "hidden",
    "follow-links",
    "index",
    "fallback",
    "spa",
    "cache-control",
    "header",
    "cors",
    "error-page",
    "log-format",
    "log-level",
    "max-open-files",
];
/// So do all options that begin with one of these.
const LIVE_PREFIXES: [&str; 6] = [
    "proxy",
    "health-",
    "trusted-proxy",
    "change-host-header",
    "dial",
    "tunnel",
];

/// What a reload changes.
pub(crate) struct Reload {
    pub(crate) command_line: Vec<OsString>,
    pub(crate) options: Options,
    /// The certificates of the TLS port, and its address.
    pub(crate) certificates: Option<(Certificates, IpAddr)>,
    pub(crate) names: Names,
    pub(crate) memory: MemoryBudget,
    pub(crate) log: Log,
    pub(crate) generation: watch::Sender<Arc<Generation>>,
    pub(crate) tunnels: Tunnels,
    pub(crate) diallers: Diallers,
}

impl Reload {
    /// Reloads at each SIGHUP, and when files are renewed, without an end.
    pub(crate) fn run(mut self) -> io::Result<impl Future<Output = ()> + Send + 'static> {
        let mut reloads = Reloads::new()?;
        let mut looks = interval(LOOK);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut seen = self.files();
        Ok(async move {
            loop {
                let is_hangup = tokio::select! {
                    hangup = reloads.next() => hangup,
                    _ = looks.tick() => false,
                };
                // Reading may wait for a disk.
                let work = spawn_blocking(move || {
                    let present = self.files();
                    if is_hangup {
                        self.reload();
                    } else if present != seen {
                        self.renew();
                    }
                    (self, present)
                });
                match work.await {
                    Ok((reload, present)) => (self, seen) = (reload, present),
                    Err(error) => {
                        warn!("no more reloads: {error}");
                        return;
                    }
                }
            }
        })
    }

    fn reload(&mut self) {
        match self.read_again() {
            Ok(later) => {
                prometheus::reloaded(true);
                info!("SIGHUP: the options and all files were read again");
                self.log_certificates();
                if !later.is_empty() {
                    let later = later.join(", --");
                    warn!("SIGHUP: these take effect at the next start only: --{later}");
                }
            }
            Err(error) => {
                prometheus::reloaded(false);
                warn!("SIGHUP: nothing changes: {error}");
            }
        }
    }

    /// Returns the options that changed without effect.
    fn read_again(&mut self) -> Result<Vec<String>, String> {
        let options = Options::read(&self.command_line).map_err(|error| error.to_string())?;
        let args = &options.args;
        contradictions::check(args)?;
        let served = Served::of(args)?;
        let certificates = self.certificates.as_ref();
        let certificates = match certificates {
            // One that was made stays.
            Some((old, _)) if args.cert.is_empty() && old.files().next().is_none() => None,
            Some((_, host)) => Some(settings::certificates(args, *host)?),
            None => None,
        };
        let before = Arc::clone(&self.generation.borrow());
        let generation = Generation::start(
            &served,
            &self.names,
            &self.memory,
            &self.tunnels,
            Some(&before),
        )?;
        self.log.change(args.log.log_format, args.log.filter())?;
        // Nothing fails from here on.
        if let (Some((old, _)), Some(new)) = (&mut self.certificates, certificates) {
            old.replace(new);
        }
        self.generation.send_replace(Arc::new(generation));
        let reverse = &served.reverse;
        reverse.start(&self.tunnels, &self.diallers, &self.memory);
        let changed = options.differences(&self.options);
        let later = changed.filter(|name| !is_live(name)).map(str::to_owned);
        let later = later.collect();
        self.options = options;
        Ok(later)
    }

    /// The files of certificates have changed.
    fn renew(&mut self) {
        let Some((certificates, host)) = &mut self.certificates else {
            return;
        };
        match settings::certificates(&self.options.args, *host) {
            Ok(new) => {
                certificates.replace(new);
                info!("the files of certificates have changed");
                self.log_certificates();
            }
            Err(error) => warn!("the certificates stay as they were: {error}"),
        }
    }

    fn log_certificates(&self) {
        let certificates = self.certificates.iter();
        for fingerprint in certificates.flat_map(|(all, _)| all.fingerprints()) {
            info!("new connections have the certificate SHA-256 {fingerprint}");
        }
    }

    /// The state of each file of a certificate.
    fn files(&self) -> Vec<Option<Identity>> {
        let certificates = self.certificates.iter();
        let files = certificates.flat_map(|(certificates, _)| certificates.files());
        files.map(|path| Identity::of(path).ok()).collect()
    }
}

fn is_live(name: &str) -> bool {
    LIVE.contains(&name) || LIVE_PREFIXES.iter().any(|prefix| name.starts_with(prefix))
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;
    use crate::args::Args;

    #[test]
    fn options_that_take_effect_at_once_exist() {
        let command = Args::command();
        let longs: Vec<_> = command
            .get_arguments()
            .filter_map(|arg| arg.get_long())
            .collect();
        for name in LIVE {
            assert!(longs.contains(&name), "{name}");
        }
        for prefix in LIVE_PREFIXES {
            assert!(
                longs.iter().any(|long| long.starts_with(prefix)),
                "{prefix}"
            );
        }
        assert!(!is_live("http") && !is_live("threads") && is_live("proxy-ca"));
    }
}
