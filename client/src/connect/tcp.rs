//! TCP: resolves a name, and connects to the first of its addresses that answers.

use std::{
    collections::HashMap,
    fmt, io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use tokio::net::{TcpSocket, TcpStream};

use super::{
    Dial, Dialed, Dialing, Resolve,
    race::{self, AddressErrors},
    resolve::{ResolveError, System},
};
use crate::Origin;

/// Connects by TCP. It tries all addresses of a host, IPv6 and IPv4 in turn.
/// The next attempt starts when one failed or has not answered for 250 ms. The
/// first answer wins ("happy eyeballs", RFC 8305). If none answers, the error has
/// that of each: [`AddressErrors`].
///
/// ```
/// use lacewing_client::{Client, Tcp};
///
/// // As curl's `--resolve` and `--interface`.
/// let tcp = Tcp::new()
///     .resolve_to("example.org", [([127, 0, 0, 1], 8443).into()])
///     .local_address([127, 0, 0, 1].into());
/// let client = Client::builder().dial(tcp).build();
/// # drop(client);
/// ```
#[derive(Clone)]
#[must_use = "it is of use in a Connector or a Client's builder"]
pub struct Tcp {
    resolver: Arc<dyn Resolve>,
    /// By name in lower case.
    overrides: HashMap<String, Vec<SocketAddr>>,
    local_v4: Option<Ipv4Addr>,
    local_v6: Option<Ipv6Addr>,
    attempt_delay: Duration,
}

impl Tcp {
    /// Connects from any local address, and resolves names with the operating system.
    pub fn new() -> Self {
        Self {
            resolver: Arc::new(System),
            overrides: HashMap::new(),
            local_v4: None,
            local_v6: None,
            attempt_delay: Duration::from_millis(250),
        }
    }

    /// Sets the resolver of names. Default: the operating system.
    pub fn resolver(mut self, resolver: impl Resolve) -> Self {
        self.resolver = Arc::new(resolver);
        self
    }

    /// Sets the addresses of a host, in place of the resolver's. A port of 0 means the port of the
    /// URI. Certificates are still checked against the host's name.
    pub fn resolve_to(
        mut self,
        host: &str,
        addresses: impl IntoIterator<Item = SocketAddr>,
    ) -> Self {
        let addresses = addresses.into_iter().collect();
        self.overrides.insert(host.to_ascii_lowercase(), addresses);
        self
    }

    /// Sets the local address of connections, for the family of this address. If only
    /// one family has a local address, the other is not tried.
    pub fn local_address(mut self, address: IpAddr) -> Self {
        match address {
            IpAddr::V4(address) => self.local_v4 = Some(address),
            IpAddr::V6(address) => self.local_v6 = Some(address),
        }
        self
    }

    /// Sets the time after which the next address is tried beside an attempt without an
    /// answer (RFC 8305 §5). Default 250 ms.
    pub fn attempt_delay(mut self, delay: Duration) -> Self {
        self.attempt_delay = delay;
        self
    }

    pub(super) async fn connect(&self, origin: &Origin) -> io::Result<TcpStream> {
        let addresses = self.addresses(origin.host(), origin.port()).await?;
        let addresses = race::interleave(addresses);
        if addresses.is_empty() {
            return Err(ResolveError::new(None).into());
        }
        let attempt = |address| attempt(address, self.local_for(address));
        race::first(addresses, self.attempt_delay, attempt)
            .await
            .map_err(AddressErrors::into_io)
    }

    async fn addresses(&self, host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
        if let Some(addresses) = self.overrides.get(&host.to_ascii_lowercase()) {
            let mut addresses = addresses.clone();
            for address in addresses.iter_mut().filter(|address| address.port() == 0) {
                address.set_port(port);
            }
            return Ok(addresses);
        }
        match host.parse::<IpAddr>() {
            Ok(address) => Ok(vec![(address, port).into()]),
            Err(_) => {
                let resolved = self.resolver.resolve(host, port).await;
                resolved.map_err(|error| ResolveError::new(Some(error)).into())
            }
        }
    }

    fn local_for(&self, address: SocketAddr) -> Local {
        if self.local_v4.is_none() && self.local_v6.is_none() {
            return Local::Any;
        }
        let local = match address {
            SocketAddr::V4(_) => self.local_v4.map(IpAddr::V4),
            SocketAddr::V6(_) => self.local_v6.map(IpAddr::V6),
        };
        local.map_or(Local::None, Local::Address)
    }
}

/// The local end of a connection.
#[derive(Clone, Copy, Debug)]
enum Local {
    Any,
    Address(IpAddr),
    /// The peer's address family has no local address.
    None,
}

async fn attempt(address: SocketAddr, local: Local) -> io::Result<TcpStream> {
    let socket = match address {
        SocketAddr::V4(_) => TcpSocket::new_v4()?,
        SocketAddr::V6(_) => TcpSocket::new_v6()?,
    };
    match local {
        Local::Any => {}
        Local::Address(local) => socket.bind((local, 0).into())?,
        Local::None => {
            let error = "no local address of its family was given";
            return Err(io::Error::new(io::ErrorKind::AddrNotAvailable, error));
        }
    }
    let stream = socket.connect(address).await?;
    // Nagle's algorithm would delay a small request until the peer acknowledges the previous one
    // (by 40 ms and more).
    stream.set_nodelay(true)?;
    Ok(stream)
}

impl Default for Tcp {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Tcp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tcp")
            .field("overrides", &self.overrides)
            .field("local_v4", &self.local_v4)
            .field("local_v6", &self.local_v6)
            .field("attempt_delay", &self.attempt_delay)
            .finish_non_exhaustive()
    }
}

impl Dial for Tcp {
    fn dial<'a>(&'a self, origin: &'a Origin) -> Dialing<'a> {
        Box::pin(async move {
            let stream = self.connect(origin).await?;
            let address = stream.peer_addr().ok();
            Ok(Dialed::new(stream).at(address))
        })
    }
}
