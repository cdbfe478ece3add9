//! The configuration of an upgrade.

use std::time::Duration;

use crate::Version;

/// Configures an upgrade from HTTP/1.1 over any transport: the protocol, and the
/// bounds of the HTTP part. Feature `upgrade`.
///
/// ```
/// use lacewing_conn::{Side, driver::{MuxConfig, upgrade::Upgrade}};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let (here, there) = tokio::io::duplex(4096);
/// let upgrade = Upgrade::default();
/// let server = tokio::spawn(async move {
///     let requested = Upgrade::default().accept(there).await?;
///     assert_eq!(requested.request().uri(), "/tunnel");
///     requested.switch(http::HeaderMap::new(), MuxConfig::new(Side::Server)).await
/// });
///
/// let request = http::Request::post("http://node:10250/tunnel").body(())?;
/// let switched = upgrade.request(here, request).await?;
/// let (client, connection) = switched.client(MuxConfig::new(Side::Client));
/// tokio::spawn(connection);
/// let (server, connection) = server.await??;
/// tokio::spawn(connection);
/// # let _ = (client, server);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Upgrade {
    /// The protocol of the raw streams. Default SPDY/3.1.
    pub version: Version,
    /// The longest head of a request or response, in bytes. Default 64 KiB.
    pub max_head: usize,
    /// The longest body of a request before the switch, in bytes; also the part of a
    /// refusing response's body that is read. Default 64 KiB.
    pub max_body: usize,
    /// The time for the HTTP part. Default 30 s.
    pub timeout: Duration,
}

impl Default for Upgrade {
    fn default() -> Self {
        Self {
            version: Version::Spdy31,
            max_head: 64 << 10,
            max_body: 64 << 10,
            timeout: Duration::from_secs(30),
        }
    }
}

impl Upgrade {
    /// Returns the configuration after `change`.
    #[must_use]
    pub fn with(mut self, change: impl FnOnce(&mut Self)) -> Self {
        change(&mut self);
        self
    }
}
