//! SIGHUP: the certificate's files are read again.

use std::io;

use tokio::signal::unix::{SignalKind, signal};
use tracing::{info, warn};

use crate::certificate::Certificate;

/// Reads the certificate's files again at each SIGHUP, without an end. New handshakes have the new
/// certificate; open connections continue.
pub(crate) fn at_hangup(
    certificate: Certificate,
) -> io::Result<impl Future<Output = ()> + Send + 'static> {
    let mut hangups = signal(SignalKind::hangup())?;
    Ok(async move {
        while hangups.recv().await.is_some() {
            match certificate.reload() {
                Ok(()) => info!(
                    "SIGHUP: new connections have the certificate SHA-256 {}",
                    certificate.fingerprint()
                ),
                Err(error) => warn!("SIGHUP: the certificate stays as it was: {error}"),
            }
        }
    })
}
