//! From a host's name to its addresses.

use std::{fmt, future::Future, io, net::SocketAddr, pin::Pin};

use crate::BoxError;

/// Finds the addresses of a host, for [`Tcp`](crate::Tcp). The usual one asks
/// the operating system; [`resolve_fn`] makes another of a closure.
///
/// ```
/// use lacewing_client::{Resolve, Resolving};
///
/// /// Resolves every name to this machine.
/// struct Localhost;
///
/// impl Resolve for Localhost {
///     fn resolve<'a>(&'a self, _host: &'a str, port: u16) -> Resolving<'a> {
///         Box::pin(async move { Ok(vec![([127, 0, 0, 1], port).into()]) })
///     }
/// }
/// ```
pub trait Resolve: Send + Sync + 'static {
    /// Returns the addresses of a host, best first; an empty list is an error. The
    /// client does not call it for IP addresses.
    fn resolve<'a>(&'a self, host: &'a str, port: u16) -> Resolving<'a>;
}

/// The future of addresses; from [`Resolve::resolve`].
pub type Resolving<'a> = Pin<Box<dyn Future<Output = io::Result<Vec<SocketAddr>>> + Send + 'a>>;

/// A [`Resolve`] from a closure, which receives the host and the port.
///
/// ```
/// use lacewing_client::{Tcp, resolve_fn};
///
/// let tcp = Tcp::new().resolver(resolve_fn(|host: String, port| async move {
///     println!("asked for {host}");
///     Ok::<_, std::io::Error>(vec![([127, 0, 0, 1], port).into()])
/// }));
/// # let _ = tcp;
/// ```
pub fn resolve_fn<F, Fut, E>(resolve: F) -> ResolveFn<F>
where
    F: Fn(String, u16) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Result<Vec<SocketAddr>, E>> + Send + 'static,
    E: Into<BoxError>,
{
    ResolveFn(resolve)
}

/// A closure that resolves; from [`resolve_fn`].
#[derive(Clone, Copy)]
pub struct ResolveFn<F>(F);

impl<F, Fut, E> Resolve for ResolveFn<F>
where
    F: Fn(String, u16) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Result<Vec<SocketAddr>, E>> + Send + 'static,
    E: Into<BoxError>,
{
    fn resolve<'a>(&'a self, host: &'a str, port: u16) -> Resolving<'a> {
        let resolving = (self.0)(host.to_owned(), port);
        Box::pin(async move {
            resolving
                .await
                .map_err(|error| super::io_error(error.into()))
        })
    }
}

impl<F> fmt::Debug for ResolveFn<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ResolveFn")
    }
}

/// The error of a name without an address. It is the inner error of the `source` of
/// [`ClientError::Connect`](crate::ClientError::Connect).
///
/// ```
/// use lacewing_client::{ClientError, ResolveError};
///
/// fn is_misspelt(error: &ClientError) -> bool {
///     let ClientError::Connect { source, .. } = error else { return false };
///     source.get_ref().is_some_and(|inner| inner.is::<ResolveError>())
/// }
/// # let _ = is_misspelt;
/// ```
#[derive(Debug)]
pub struct ResolveError {
    source: Option<io::Error>,
}

impl ResolveError {
    /// The error of a resolver; `None` if it found no address.
    pub fn new(source: Option<io::Error>) -> Self {
        Self { source }
    }
}

impl fmt::Display for ResolveError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.source {
            Some(source) => source.fmt(f),
            None => f.write_str("the name has no address"),
        }
    }
}

impl std::error::Error for ResolveError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        // Its own text is that of the resolver's error.
        self.source.as_ref()?.source()
    }
}

impl From<ResolveError> for io::Error {
    fn from(error: ResolveError) -> Self {
        let kind = error.source.as_ref().map(io::Error::kind);
        Self::new(kind.unwrap_or(io::ErrorKind::NotFound), error)
    }
}

/// Asks the operating system.
#[derive(Debug)]
pub(super) struct System;

impl Resolve for System {
    fn resolve<'a>(&'a self, host: &'a str, port: u16) -> Resolving<'a> {
        Box::pin(async move { Ok(tokio::net::lookup_host((host, port)).await?.collect()) })
    }
}
