//! The transports of a client's builder: dialling and trust.

use std::fmt;

use lacewing_conn::Version;

use super::ClientBuilder;
#[cfg(feature = "tls")]
use crate::tls::{CertificateError, Certificates, Tls};
use crate::{Connect, Connector, Dial};

/// The settings of transports.
#[derive(Default)]
pub(super) struct Transports {
    connector: Option<Box<dyn Connect>>,
    dial: Option<Box<dyn FnOnce(Connector) -> Connector + Send + Sync>>,
    #[cfg(feature = "tls")]
    certificates: Certificates,
    #[cfg(feature = "tls")]
    config: Option<Box<rustls::ClientConfig>>,
}

/// The use of HTTP/1.1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Http1 {
    #[cfg(feature = "http1")]
    Spoken,
    Unknown,
}

impl ClientBuilder {
    /// Reaches servers in another way than by TCP alone. [`Tcp`](crate::Tcp) sets
    /// the local address, or the addresses of a host. [`Unix`](crate::Unix)
    /// connects to a Unix socket. [`dial_fn`](crate::dial_fn) can use a proxy. TLS
    /// and the choice of a protocol stay as they are.
    pub fn dial(mut self, dial: impl Dial) -> Self {
        self.transports.dial = Some(Box::new(|connector| connector.dial(dial)));
        self
    }

    /// Makes the transports in another way than by TCP and TLS; the settings
    /// about protocols, TLS and [`dial`](Self::dial) are then its own.
    pub fn connector(mut self, connector: impl Connect) -> Self {
        self.transports.connector = Some(Box::new(connector));
        self
    }
}

#[cfg(feature = "tls")]
impl ClientBuilder {
    /// Trusts the root certificates of the operating system instead of
    /// Mozilla's.
    ///
    /// # Errors
    ///
    /// [`CertificateError`] if there is none that can be used.
    #[cfg(feature = "platform-roots")]
    pub fn platform_roots(self) -> Result<Self, CertificateError> {
        Ok(self.trust(Certificates::platform()?))
    }

    /// Trusts the certificates of a PEM file too, such as that of an authority
    /// of your own.
    ///
    /// # Errors
    ///
    /// [`CertificateError`], which names the file and what is wrong with it.
    ///
    /// ```no_run
    /// use lacewing_client::Client;
    ///
    /// let client = Client::builder().add_ca_file("ca.pem")?.build();
    /// # drop(client);
    /// # Ok::<(), lacewing_client::tls::CertificateError>(())
    /// ```
    pub fn add_ca_file(
        mut self,
        path: impl AsRef<std::path::Path>,
    ) -> Result<Self, CertificateError> {
        self.transports.certificates = self.transports.certificates.add_ca_file(path)?;
        Ok(self)
    }

    /// Presents a certificate to servers that ask for one. The chain is in a PEM file, the client's
    /// own certificate first; the key is in the same file or in another.
    ///
    /// # Errors
    ///
    /// [`CertificateError`], which names the file and its fault.
    ///
    /// ```no_run
    /// use lacewing_client::Client;
    ///
    /// let client = Client::builder()
    ///     .client_certificate_files("client.pem", "client.key")?
    ///     .build();
    /// # drop(client);
    /// # Ok::<(), lacewing_client::tls::CertificateError>(())
    /// ```
    pub fn client_certificate_files(
        mut self,
        chain: impl AsRef<std::path::Path>,
        key: impl AsRef<std::path::Path>,
    ) -> Result<Self, CertificateError> {
        let certificates = self.transports.certificates;
        self.transports.certificates = certificates.client_certificate_files(chain, key)?;
        Ok(self)
    }

    /// Sets the certificates to trust and to show, in place of all that was set
    /// before.
    /// Default: [`Certificates::mozilla`].
    pub fn certificates(mut self, certificates: Certificates) -> Self {
        self.transports.certificates = certificates;
        self
    }

    /// Sets the configuration of rustls, for options that have no method here: versions,
    /// resumption, verifiers. It replaces all options about certificates; ALPN is set from
    /// [`protocols`](Self::protocols). The library is [`lacewing_client::rustls`](crate::rustls).
    pub fn tls_config(mut self, config: rustls::ClientConfig) -> Self {
        self.transports.config = Some(Box::new(config));
        self
    }

    /// Accepts any server certificate: for tests only. An attacker on the path can
    /// then read and change everything.
    pub fn danger_accept_invalid_certs(self) -> Self {
        self.trust(Certificates::danger_accept_any())
    }

    /// Changes the base; added certificates stay.
    fn trust(mut self, base: Certificates) -> Self {
        self.transports.certificates = self.transports.certificates.upon(base);
        self
    }
}

impl Transports {
    pub(super) fn connector(
        self,
        protocols: Vec<Version>,
        cleartext: Option<Version>,
        http1: Http1,
    ) -> Box<dyn Connect> {
        if let Some(connector) = self.connector {
            return connector;
        }
        #[cfg(feature = "tls")]
        let connector = {
            let tls = match self.config {
                Some(config) => Tls::with_config(*config, protocols),
                None => Tls::with_certificates(self.certificates, protocols),
            };
            Connector::tls(tls, cleartext)
        };
        #[cfg(not(feature = "tls"))]
        let connector = {
            drop(protocols);
            Connector::plain(cleartext)
        };
        #[cfg(feature = "http1")]
        let connector = match http1 {
            Http1::Spoken => connector.http1(),
            Http1::Unknown => connector,
        };
        #[cfg(not(feature = "http1"))]
        let Http1::Unknown = http1;
        Box::new(match self.dial {
            Some(dial) => dial(connector),
            None => connector,
        })
    }
}

impl fmt::Debug for Transports {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut fields = f.debug_struct("Transports");
        fields
            .field("connector", &self.connector.is_some())
            .field("dial", &self.dial.is_some());
        #[cfg(feature = "tls")]
        fields
            .field("certificates", &self.certificates)
            .field("config", &self.config.is_some());
        fields.finish()
    }
}
