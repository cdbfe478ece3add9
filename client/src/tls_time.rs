//! The time of a TLS handshake, by either TLS library.

use std::{io, time::Duration};

use tokio::time::timeout;

use crate::{ClientError, Origin};

/// The longest handshake. A pool gives it less: its `connect_timeout` is for the handshake too.
const MAX_HANDSHAKE: Duration = Duration::from_secs(60);

/// Waits for a handshake. A server that is silent, or sends a byte now and then, ends it by an error.
pub(crate) async fn in_time<F: Future>(
    origin: &Origin,
    handshake: F,
) -> Result<F::Output, ClientError> {
    timeout(MAX_HANDSHAKE, handshake).await.map_err(|_| {
        let text = format!("the handshake took longer than {MAX_HANDSHAKE:?}");
        ClientError::tls(origin, io::Error::new(io::ErrorKind::TimedOut, text))
    })
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncWriteExt as _;

    use super::*;
    use crate::{Connected, Version};

    /// The error of a handshake with a server that sends its first record byte by byte.
    async fn of_dripping_server<F>(handshake: impl FnOnce(Origin, tokio::io::DuplexStream) -> F)
    where
        F: Future<Output = Result<Connected, ClientError>>,
    {
        let (client, mut server) = tokio::io::duplex(16 << 10);
        let origin = Origin::of(&"https://localhost/".parse().unwrap()).unwrap();
        let dripping = tokio::spawn(async move {
            // A handshake record of 16 KiB.
            for byte in [22, 3, 3, 64, 0].into_iter().chain(std::iter::repeat(0)) {
                let _ = server.write_all(&[byte]).await;
                tokio::time::sleep(Duration::from_secs(5)).await;
            }
        });
        let ended = timeout(Duration::from_secs(3600), handshake(origin, client)).await;
        let error = ended.expect("hangs").err().unwrap().to_string();
        assert!(error.contains("longer than 60s"), "{error}");
        dripping.abort();
    }

    #[cfg(feature = "tls")]
    #[tokio::test(start_paused = true)]
    async fn a_handshake_that_drips_ends() {
        let tls = crate::tls::Tls::new(vec![Version::Http2]);
        of_dripping_server(|origin, io| async move { tls.handshake(&origin, io).await }).await;
    }

    #[cfg(feature = "npn")]
    #[tokio::test(start_paused = true)]
    async fn a_handshake_by_openssl_that_drips_ends() {
        let npn = crate::npn::Npn::new(vec![Version::Spdy31]).unwrap();
        of_dripping_server(|origin, io| async move { npn.handshake(&origin, io).await }).await;
    }
}
