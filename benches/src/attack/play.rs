//! The stage of one case: how a script reaches its victim, and how large it is.

use std::net::{SocketAddr, TcpListener};
use std::time::{Duration, Instant};

use super::dialect::Dialect;
use super::peer::Peer;
use super::seen::{Manners, Role};
use super::victim::{Stats, Victim};
use super::wire::Fin;

/// The size of the cases.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Size {
    Small,
    Full,
}

impl Size {
    pub(crate) fn pick<T>(self, (small, full): (T, T)) -> T {
        match self {
            Size::Small => small,
            Size::Full => full,
        }
    }
}

/// One run of one case.
pub(crate) struct Play<'a> {
    pub(crate) dialect: Dialect,
    pub(crate) size: Size,
    pub(crate) failures: Vec<String>,
    pub(crate) notes: Vec<String>,
    /// Bytes of connections that the script let go of.
    pub(crate) sent: u64,
    /// Connections that the script let go of.
    pub(crate) gone: u64,
    address: SocketAddr,
    victim: &'a Victim,
    /// The address at which a hostile server waits for its client.
    listener: Option<&'a TcpListener>,
}

impl<'a> Play<'a> {
    pub(crate) fn new(
        dialect: Dialect,
        size: Size,
        victim: &'a Victim,
        listener: Option<&'a TcpListener>,
    ) -> Play<'a> {
        Play {
            dialect,
            size,
            failures: Vec::new(),
            notes: Vec::new(),
            sent: 0,
            gone: 0,
            address: victim.address,
            victim,
            listener,
        }
    }

    pub(crate) fn small_or<T>(&self, small: T, full: T) -> T {
        self.size.pick((small, full))
    }

    /// A client that has said hello and knows the server's settings.
    pub(crate) fn connect(&self) -> Result<Peer, String> {
        self.connect_as(Manners::Polite)
    }

    pub(crate) fn connect_as(&self, manners: Manners) -> Result<Peer, String> {
        let mut peer = self.socket(manners)?;
        peer.greet();
        peer.settle();
        Ok(peer)
    }

    /// As [`connect_as`](Self::connect_as), in another protocol of the same port.
    pub(crate) fn connect_by(&self, dialect: Dialect, manners: Manners) -> Result<Peer, String> {
        let peer = Peer::connect(self.address, dialect, manners);
        let mut peer = peer.map_err(|error| error.to_string())?;
        peer.greet();
        peer.settle();
        Ok(peer)
    }

    /// A connection on which nothing was said.
    pub(crate) fn socket(&self, manners: Manners) -> Result<Peer, String> {
        Peer::connect(self.address, self.dialect, manners).map_err(|error| error.to_string())
    }

    /// A client whose kernel takes a few KiB only.
    pub(crate) fn connect_narrow(&self, manners: Manners) -> Result<Peer, String> {
        let mut peer = Peer::connect_narrow(self.address, self.dialect, manners)
            .map_err(|error| error.to_string())?;
        peer.greet();
        peer.settle();
        Ok(peer)
    }

    /// The client's connection, its first requests read, our SETTINGS sent.
    pub(crate) fn accept(&self, manners: Manners, requests: usize) -> Result<Peer, String> {
        let mut peer = self.accept_silently(manners)?;
        peer.wire.settings();
        peer.flush();
        if !peer.wait(Duration::from_secs(3), |seen| {
            seen.requests.len() >= requests
        }) {
            return Err("the client made too few requests".into());
        }
        peer.flush();
        Ok(peer)
    }

    /// The client's connection; nothing is said on it.
    pub(crate) fn accept_silently(&self, manners: Manners) -> Result<Peer, String> {
        let listener = self.listener.ok_or("no listener: not a case of clients")?;
        let end = Instant::now() + Duration::from_secs(5);
        while Instant::now() < end {
            match listener.accept() {
                Ok((socket, _)) => {
                    socket
                        .set_nonblocking(false)
                        .map_err(|error| error.to_string())?;
                    return Peer::over(socket, self.dialect, Role::Server, manners)
                        .map_err(|error| error.to_string());
                }
                Err(_) => std::thread::sleep(Duration::from_millis(5)),
            }
        }
        Err("the client did not connect".into())
    }

    /// The host and port for which a client makes its requests.
    pub(crate) fn authority(&self) -> String {
        let address = self.listener.map(TcpListener::local_addr);
        address.map_or_else(String::new, |address| {
            address.map_or_else(|error| error.to_string(), |address| address.to_string())
        })
    }

    pub(crate) fn fail(&mut self, why: impl Into<String>) {
        self.failures.push(why.into());
    }

    pub(crate) fn note(&mut self, what: impl Into<String>) {
        self.notes.push(what.into());
    }

    pub(crate) fn stats(&self) -> Stats {
        self.victim.stats().unwrap_or_default()
    }

    /// Lets go of a connection before the end of the case.
    pub(crate) fn leave(&mut self, peer: Peer) {
        self.sent += peer.sent;
        self.gone += 1;
        drop(peer);
    }

    /// The duration of a flood.
    pub(crate) fn flood_time(&self) -> Duration {
        Duration::from_millis(self.small_or(500, 10_000))
    }
}

/// Sends `bytes` again and again on every connection, until each is closed or
/// the time is up.
pub(crate) fn flood(peers: &mut [Peer], bytes: &[u8], time: Duration) {
    let copies = (super::peer::BATCH / bytes.len().max(1)).max(1);
    let batch = bytes.repeat(copies);
    let end = Instant::now() + time;
    while Instant::now() < end {
        let mut open = 0;
        for peer in peers.iter_mut() {
            if peer.seen().closed.is_some() {
                continue;
            }
            open += 1;
            if peer.wire.out.is_empty() {
                peer.wire.raw(&batch);
            }
            peer.flush_within(Duration::from_millis(100));
        }
        if open == 0 {
            return;
        }
    }
}

/// Waits for the answers to all requests of an honest client.
pub(crate) fn answered(play: &mut Play<'_>, peer: &mut Peer, time: Duration) {
    let ids = peer.opened.clone();
    let count = u32::try_from(ids.len()).unwrap_or(u32::MAX);
    let done = if peer.wire.dialect == Dialect::Http1 {
        peer.wait(time, |seen| seen.statuses.len() >= ids.len())
    } else {
        peer.wait(time, |seen| ids.iter().all(|id| seen.is_over(*id)))
    };
    if !done {
        let seen = peer.seen();
        let over = ids.iter().filter(|id| seen.is_over(**id)).count();
        drop(seen);
        play.fail(format!("{over} of {count} requests answered"));
    }
}

/// A small request, to be answered on a connection that is fine.
pub(crate) fn still_answers(play: &mut Play<'_>, peer: &mut Peer) {
    let id = peer.request("GET", "/", Fin::End, &[]);
    peer.flush();
    if !peer.wait(Duration::from_secs(3), |seen| seen.ended.contains(&id)) {
        play.fail("a request afterwards was not answered");
    }
}
