//! Finds out what a server under test can show.

use lacewing_conn::Version;
use tokio::io::{AsyncRead, AsyncWrite};

use crate::{conditions::Conditions, http2, spdy, target::Target};

impl Target {
    /// Finds out on one connection what the server can show. Returns the frames
    /// of that connection as text, sent (`>`) and received (`<`).
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
