//! `Upgrade: h2c`: from HTTP/1.1 to HTTP/2 in cleartext (RFC 7540 §3.2; not in
//! RFC 9113 any more, but curl and others still ask).

#[cfg(feature = "http1")]
mod request;

#[cfg(feature = "http1")]
pub(crate) use self::request::{Drained, Upgrade, UpgradeRequest, drain};

/// Permits a cleartext HTTP/1.1 request to turn its connection into an HTTP/2
/// one.
///
/// Turn this on only where clients connect without a proxy. A proxy that passes
/// `Upgrade: h2c` on without understanding it, and filters requests by their
/// heads, does not see the requests after the switch.
///
/// ```
/// use lacewing_server::{H2cUpgrade, Server};
///
/// let server = Server::builder()
///     .options(|options| options.h2c_upgrade(H2cUpgrade::Accept { max_body: 64 * 1024 }));
/// # let _ = server;
/// assert_eq!(H2cUpgrade::default(), H2cUpgrade::Ignore);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum H2cUpgrade {
    /// Ignores the field, and serves the request over HTTP/1.1.
    #[default]
    Ignore,
    /// Accepts the upgrade, in cleartext. The server reads the request's body to its
    /// end first, and then answers over HTTP/2, on stream 1.
    Accept {
        /// The largest such body, in bytes. A request with a larger one is
        /// served over HTTP/1.1.
        max_body: usize,
    },
}
