//! Finds out the abilities of a server under test.

use lacewing_frames::Version;
use tokio::io::{AsyncRead, AsyncWrite};

use crate::{conditions::Conditions, http2, spdy, target::Target};

impl Target {
    /// Finds out the server's abilities, with three requests on one connection.
    /// Returns the frames of that connection as lines, sent (`>`) and received
    /// (`<`).
    pub async fn probe<T>(&mut self, io: T, conditions: &Conditions) -> Vec<String>
    where
        T: AsyncRead + AsyncWrite + Send + Unpin,
    {
        match self.version {
            Version::Http2 => http2::probe(self, Box::new(io), conditions).await,
            Version::Spdy2 | Version::Spdy3 | Version::Spdy31 => {
                spdy::probe(self, Box::new(io), conditions).await
            }
        }
    }
}
