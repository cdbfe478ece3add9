//! Unix sockets.

use std::path::PathBuf;

use tokio::net::UnixStream;

use super::{Dial, Dialed, Dialing};
use crate::Origin;

/// Connects to a Unix socket for every origin. The URI's host is still the `:authority` of requests
/// and, with TLS, the name for the certificate.
///
/// ```
/// use lacewing_client::{Client, Unix, Version};
///
/// let client = Client::builder()
///     .cleartext_protocol(Version::Http2)
///     .dial(Unix::new("/run/app.sock"))
///     .build();
/// # drop(client);
/// ```
///
/// gRPC stacks that use its C core send the percent-encoded path of the socket as the authority.
/// It does not fit into a `Uri`; set it as the `host` field of the request:
///
/// ```
/// use lacewing_client::Body;
///
/// let request = http::Request::post("http://localhost/echo.Echo/Unary")
///     .header("host", "%2Frun%2Fapp.sock")
///     .body(Body::empty())?;
/// # drop(request);
/// # Ok::<(), http::Error>(())
/// ```
#[derive(Clone, Debug)]
#[must_use = "it is of use in a Connector or a Client's builder"]
pub struct Unix {
    path: PathBuf,
}

impl Unix {
    /// The socket at a path.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into() }
    }
}

impl Dial for Unix {
    fn dial<'a>(&'a self, _origin: &'a Origin) -> Dialing<'a> {
        Box::pin(async move {
            let stream = UnixStream::connect(&self.path).await.map_err(|error| {
                let text = format!("{}: {error}", self.path.display());
                std::io::Error::new(error.kind(), text)
            })?;
            Ok(Dialed::new(stream))
        })
    }
}
