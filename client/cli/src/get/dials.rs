//! The times of connections: observers around the resolver, the dialling and the handshake.

use std::{
    collections::HashMap,
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Instant,
};

use lacewing_client::{Connect, Connecting, Dial, Dialing, Origin, Resolve, Resolving, Version};

/// The latest connection to each host and port of a run.
#[derive(Clone, Debug, Default)]
pub(crate) struct Dials(Arc<Mutex<HashMap<(String, u16), DialTimes>>>);

/// The steps of one connection.
#[derive(Clone, Copy, Debug)]
pub(crate) struct DialTimes {
    pub(crate) start: Instant,
    pub(crate) resolved: Option<Instant>,
    pub(crate) connected: Option<Instant>,
    /// After TLS and the choice of a protocol.
    pub(crate) ready: Option<Instant>,
    pub(crate) address: Option<SocketAddr>,
    /// `None` for HTTP/1.1, once it is ready.
    pub(crate) version: Option<Version>,
}

impl Dials {
    pub(crate) fn of(&self, origin: &Origin) -> Option<DialTimes> {
        let key = (origin.host().to_owned(), origin.port());
        self.lock().get(&key).copied()
    }

    fn start(&self, origin: &Origin) {
        let times = DialTimes {
            start: Instant::now(),
            resolved: None,
            connected: None,
            ready: None,
            address: None,
            version: None,
        };
        self.lock()
            .insert((origin.host().to_owned(), origin.port()), times);
    }

    fn note(&self, host: &str, port: u16, change: impl FnOnce(&mut DialTimes)) {
        if let Some(times) = self.lock().get_mut(&(host.to_owned(), port)) {
            change(times);
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<(String, u16), DialTimes>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Something that is observed.
#[derive(Clone, Debug)]
pub(crate) struct Observed<T> {
    inner: T,
    dials: Dials,
}

impl<T> Observed<T> {
    pub(crate) fn new(inner: T, dials: &Dials) -> Self {
        let dials = dials.clone();
        Self { inner, dials }
    }
}

impl<T: Resolve> Resolve for Observed<T> {
    fn resolve<'a>(&'a self, host: &'a str, port: u16) -> Resolving<'a> {
        Box::pin(async move {
            let addresses = self.inner.resolve(host, port).await?;
            let now = Instant::now();
            self.dials
                .note(host, port, |times| times.resolved = Some(now));
            Ok(addresses)
        })
    }
}

impl<T: Dial> Dial for Observed<T> {
    fn dial<'a>(&'a self, origin: &'a Origin) -> Dialing<'a> {
        Box::pin(async move {
            let dialed = self.inner.dial(origin).await?;
            let now = Instant::now();
            let (host, port) = (origin.host(), origin.port());
            self.dials
                .note(host, port, |times| times.connected = Some(now));
            Ok(dialed)
        })
    }
}

impl<T: Connect> Connect for Observed<T> {
    fn connect<'a>(&'a self, origin: &'a Origin) -> Connecting<'a> {
        self.note_ready(origin, self.inner.connect(origin))
    }

    fn connect_http1<'a>(&'a self, origin: &'a Origin) -> Option<Connecting<'a>> {
        let connecting = self.inner.connect_http1(origin)?;
        Some(self.note_ready(origin, connecting))
    }
}

impl<T: Connect> Observed<T> {
    fn note_ready<'a>(&'a self, origin: &'a Origin, connecting: Connecting<'a>) -> Connecting<'a> {
        Box::pin(async move {
            self.dials.start(origin);
            let connected = connecting.await?;
            let now = Instant::now();
            self.dials.note(origin.host(), origin.port(), |times| {
                times.ready = Some(now);
                times.address = connected.address;
                times.version = connected.version;
            });
            Ok(connected)
        })
    }
}
