//! The honest client beside an attack: small requests on its own connection.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
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

/// A client that asks for `/` again and again.
pub(crate) struct Probe {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<Vec<Duration>>,
}

impl Probe {
    pub(crate) fn start(victim: &Arc<Victim>, dialect: Dialect) -> Probe {
        let stop = Arc::new(AtomicBool::new(false));
        let (stopped, victim) = (Arc::clone(&stop), Arc::clone(victim));
        let thread = thread::spawn(move || {
            let mut times = Vec::new();
            let mut peer = None;
            while !stopped.load(Relaxed) {
                victim.sample();
                let began = Instant::now();
                match ask(&mut peer, victim.address, dialect) {
                    true => times.push(began.elapsed()),
                    false => {
                        times.push(PATIENCE);
                        peer = None;
                    }
                }
                thread::sleep(PAUSE);
            }
            times
        });
        Probe { stop, thread }
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
