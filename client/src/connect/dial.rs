//! Dialling: transports, before TLS.

use std::{fmt, future::Future, io, net::SocketAddr, pin::Pin};

use super::io_error;
use crate::{BoxError, Origin, Transport};

/// A way to reach an origin: by TCP ([`Tcp`](crate::Tcp), the usual one), a Unix
/// socket ([`Unix`](crate::Unix)), through a proxy, in memory. The client does
/// TLS and chooses the protocol on top of it.
///
/// [`dial_fn`] makes one of a closure.
///
/// ```
/// use lacewing_client::{Client, Dial, Dialed, Dialing, Origin, Tcp};
///
/// /// Connects by TCP, and logs each attempt.
/// struct Loud(Tcp);
///
/// impl Dial for Loud {
///     fn dial<'a>(&'a self, origin: &'a Origin) -> Dialing<'a> {
///         println!("to {origin}");
///         self.0.dial(origin)
///     }
/// }
///
/// let client = Client::builder().dial(Loud(Tcp::new())).build();
/// # drop(client);
/// ```
pub trait Dial: Send + Sync + 'static {
    /// Connects to the server of an origin.
    fn dial<'a>(&'a self, origin: &'a Origin) -> Dialing<'a>;
}

/// The future of a transport; from [`Dial::dial`].
pub type Dialing<'a> = Pin<Box<dyn Future<Output = io::Result<Dialed>> + Send + 'a>>;

/// A new transport, before its first byte.
#[non_exhaustive]
pub struct Dialed {
    /// The transport.
    pub io: Box<dyn Transport>,
    /// The address that answered, if there is one.
    pub address: Option<SocketAddr>,
}

impl Dialed {
    /// A transport without an address.
    pub fn new(io: impl Transport) -> Self {
        Self {
            io: Box::new(io),
            address: None,
        }
    }

    /// Sets the address that answered.
    #[must_use]
    pub fn at(mut self, address: Option<SocketAddr>) -> Self {
        self.address = address;
        self
    }
}

impl fmt::Debug for Dialed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Dialed")
            .field("address", &self.address)
            .finish_non_exhaustive()
    }
}

/// A [`Dial`] of a closure that returns any transport.
///
/// ```
/// use lacewing_client::{Client, Origin, Version, dial_fn};
///
/// let client = Client::builder()
///     .cleartext_protocol(Version::Http2)
///     .dial(dial_fn(|origin: Origin| async move {
///         tokio::net::TcpStream::connect(("127.0.0.1", origin.port())).await
///     }))
///     .build();
/// # drop(client);
/// ```
pub fn dial_fn<F, Fut, IO, E>(dial: F) -> DialFn<F>
where
    F: Fn(Origin) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Result<IO, E>> + Send + 'static,
    IO: Transport,
    E: Into<BoxError>,
{
    DialFn(dial)
}

/// A closure that dials; from [`dial_fn`].
#[derive(Clone, Copy)]
pub struct DialFn<F>(F);

impl<F, Fut, IO, E> Dial for DialFn<F>
where
    F: Fn(Origin) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Result<IO, E>> + Send + 'static,
    IO: Transport,
    E: Into<BoxError>,
{
    fn dial<'a>(&'a self, origin: &'a Origin) -> Dialing<'a> {
        let dialing = (self.0)(origin.clone());
        Box::pin(async move {
            let io = dialing.await.map_err(|error| io_error(error.into()))?;
            Ok(Dialed::new(io))
        })
    }
}

impl<F> fmt::Debug for DialFn<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("DialFn")
    }
}
