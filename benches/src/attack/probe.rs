//! The honest client beside an attack: small requests on its own connection.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering::Relaxed};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use super::dialect::Dialect;
use super::peer::Peer;
use super::seen::Manners;
use super::victim::Victim;

/// Between two requests.
const PAUSE: Duration = Duration::from_millis(4);
/// A request that takes longer is given up, and the client connects anew.
pub(crate) const PATIENCE: Duration = Duration::from_secs(2);

/// Requests over which the cost of one is measured.
const CALIBRATION: u32 = 20;

/// A client that asks for `/` again and again.
pub(crate) struct Probe {
    stop: Arc<AtomicBool>,
    /// Requests that were answered.
    served: Arc<AtomicU32>,
    thread: JoinHandle<Vec<Duration>>,
}

impl Probe {
    pub(crate) fn start(victim: &Arc<Victim>, dialect: Dialect) -> Probe {
        let stop = Arc::new(AtomicBool::new(false));
        let (stopped, victim) = (Arc::clone(&stop), Arc::clone(victim));
        let served = Arc::new(AtomicU32::new(0));
        let count = Arc::clone(&served);
        let thread = thread::spawn(move || {
            let mut times = Vec::new();
            let mut peer = None;
            while !stopped.load(Relaxed) {
                victim.sample();
                let began = Instant::now();
                match ask(&mut peer, victim.address, dialect) {
                    true => {
                        times.push(began.elapsed());
                        count.fetch_add(1, Relaxed);
                    }
                    false => {
                        times.push(PATIENCE);
                        peer = None;
                    }
                }
                thread::sleep(PAUSE);
            }
            times
        });
        Probe {
            stop,
            served,
            thread,
        }
    }

    /// Requests that were answered so far.
    pub(crate) fn served(&self) -> u32 {
        self.served.load(Relaxed)
    }

    /// Measures the victim's CPU for one honest request, before the attack. The
    /// first request is left out: it opens the connection.
    pub(crate) fn cost(&self, victim: &Victim) -> Duration {
        let latest = Instant::now() + PATIENCE;
        let await_served = |count: u32| {
            while self.served() < count && Instant::now() < latest {
                thread::sleep(PAUSE);
            }
        };
        await_served(1);
        let (before, first) = (victim.cpu(), self.served());
        await_served(first + CALIBRATION);
        let spent = before
            .zip(victim.cpu())
            .map(|(then, now)| now.saturating_sub(then));
        let requests = self.served().saturating_sub(first).max(1);
        spent.unwrap_or_default() / requests
    }

    /// The time of each request.
    pub(crate) fn finish(self) -> Vec<Duration> {
        self.stop.store(true, Relaxed);
        self.thread.join().unwrap_or_default()
    }
}

/// Returns whether a new client is served now.
pub(crate) fn is_served(address: SocketAddr, dialect: Dialect) -> bool {
    ask(&mut None, address, dialect)
}

fn ask(peer: &mut Option<Peer>, address: SocketAddr, dialect: Dialect) -> bool {
    let connected = match peer {
        Some(peer) => peer,
        None => {
            let Ok(mut fresh) = Peer::connect(address, dialect, Manners::Polite) else {
                return false;
            };
            fresh.greet();
            peer.insert(fresh)
        }
    };
    // The statuses of HTTP/1.1 are kept by number: one connection each.
    if dialect == Dialect::Http1 {
        connected.get("/");
        connected.flush();
        let served = connected.wait(PATIENCE, |seen| !seen.statuses.is_empty());
        *peer = None;
        return served;
    }
    let id = connected.get("/");
    connected.opened.clear();
    connected.flush();
    let served = connected.wait(PATIENCE, |seen| seen.is_over(id));
    let seen = connected.seen();
    served && seen.ended.contains(&id)
}
