//! TLS by rustls: certificates, ALPN, and the negotiated protocol.

mod certificates;

use std::{fmt, io, sync::Arc};

use lacewing_conn::Version;
use rustls::{
    ClientConfig, ConfigBuilder, DigitallySignedStruct, HandshakeKind, SignatureScheme,
    WantsVerifier,
    client::{
        Resumption,
        danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    },
    crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature},
    pki_types::{CertificateDer, ServerName, UnixTime},
};
use tokio_rustls::TlsConnector;

pub use self::certificates::{CertificateError, Certificates};
use crate::{ClientError, Connected, Origin, Transport, Trust, tls_time::in_time};

/// HTTP/1.1 in ALPN.
#[cfg(feature = "http1")]
const HTTP_1_1: &[u8] = b"http/1.1";

/// TLS by rustls: the trusted certificates and the protocols to offer.
///
/// ```
/// use lacewing_client::{Version, tls::Tls};
///
/// let tls = Tls::new(vec![Version::Http2, Version::Spdy31]);
/// assert_eq!(tls.offered(), [Version::Http2, Version::Spdy31]);
/// ```
#[derive(Clone)]
pub struct Tls {
    config: Arc<ClientConfig>,
    offered: Vec<Version>,
    /// The last offer is HTTP/1.1.
    #[cfg(feature = "http1")]
    http1: bool,
}

impl Tls {
    /// Trusts Mozilla's root certificates and offers these protocols, first
    /// choice first.
    pub fn new(offered: Vec<Version>) -> Self {
        Self::with_trust(Trust::Roots, offered)
    }

    /// Trusts these certificates and offers these protocols, first choice first.
    pub fn with_trust(trust: Trust, offered: Vec<Version>) -> Self {
        let certificates = match trust {
            Trust::Roots => Certificates::mozilla(),
            Trust::DangerAcceptAny => Certificates::danger_accept_any(),
        };
        Self::with_certificates(certificates, offered)
    }

    /// Trusts those certificates, shows its own if there is one, and offers
    /// these protocols, first choice first.
    pub fn with_certificates(certificates: Certificates, offered: Vec<Version>) -> Self {
        Self::with_config(certificates.rustls_config(), offered)
    }

    /// Takes a configuration of rustls. The offered protocols replace its ALPN protocols.
    pub fn with_config(mut config: ClientConfig, offered: Vec<Version>) -> Self {
        config.alpn_protocols = offered
            .iter()
            .map(|version| version.alpn().as_bytes().to_vec())
            .collect();
        Self {
            config: Arc::new(config),
            offered,
            #[cfg(feature = "http1")]
            http1: false,
        }
    }

    /// Offers HTTP/1.1 too, as the last choice. A server that answers without ALPN is spoken to in
    /// HTTP/1.1.
    ///
    /// ```
    /// use lacewing_client::{Version, tls::Tls};
    ///
    /// let tls = Tls::new(vec![Version::Http2]).http1();
    /// let only_http1 = Tls::new(Vec::new()).http1();
    /// # let _ = (tls, only_http1);
    /// ```
    #[cfg(feature = "http1")]
    #[must_use]
    pub fn http1(mut self) -> Self {
        let config = Arc::make_mut(&mut self.config);
        config.alpn_protocols.push(HTTP_1_1.to_vec());
        self.http1 = true;
        self
    }

    /// The same, with HTTP/1.1 as the only offer.
    #[cfg(feature = "http1")]
    pub(crate) fn only_http1(&self) -> Self {
        let mut config = ClientConfig::clone(&self.config);
        config.alpn_protocols.clear();
        let only = Self {
            config: Arc::new(config),
            offered: Vec::new(),
            http1: false,
        };
        only.http1()
    }

    /// Resumes TLS sessions of servers that permit it (RFC 8446 §2.2), or performs a full handshake
    /// for each connection. Default: it resumes, unless a configuration of your own says otherwise.
    ///
    /// ```
    /// use lacewing_client::{Version, tls::Tls};
    ///
    /// let full_handshakes = Tls::new(vec![Version::Http2]).resumption(false);
    /// # let _ = full_handshakes;
    /// ```
    #[must_use]
    pub fn resumption(mut self, resume: bool) -> Self {
        Arc::make_mut(&mut self.config).resumption = match resume {
            true => Resumption::default(),
            false => Resumption::disabled(),
        };
        self
    }

    /// Passes the secrets of each connection to this log, so that a capture can be decrypted.
    /// rustls's `KeyLogFile` writes them to the file that the variable `SSLKEYLOGFILE` names.
    ///
    /// ```
    /// use std::sync::Arc;
    /// use lacewing_client::{Version, rustls::KeyLogFile, tls::Tls};
    ///
    /// let tls = Tls::new(vec![Version::Http2]).key_log(Arc::new(KeyLogFile::new()));
    /// # let _ = tls;
    /// ```
    #[must_use]
    pub fn key_log(mut self, log: Arc<dyn rustls::KeyLog>) -> Self {
        Arc::make_mut(&mut self.config).key_log = log;
        self
    }

    /// The protocols that are offered, first choice first, without HTTP/1.1.
    pub fn offered(&self) -> &[Version] {
        &self.offered
    }

    /// Performs the handshake with an origin, over a new transport: for a
    /// [`Connect`](crate::Connect) of your own. It takes a minute at most, and a client's
    /// [`connect_timeout`](crate::ClientBuilder::connect_timeout) bounds it too.
    ///
    /// # Errors
    ///
    /// [`ClientError::Tls`]; [`ClientError::NotNegotiated`] when the server accepts none of the
    /// protocols.
    pub async fn handshake(
        &self,
        origin: &Origin,
        stream: impl Transport,
    ) -> Result<Connected, ClientError> {
        let name = ServerName::try_from(origin.host().to_owned()).map_err(|error| {
            let error = io::Error::new(io::ErrorKind::InvalidInput, error);
            ClientError::tls(origin, error)
        })?;
        let connector = TlsConnector::from(Arc::clone(&self.config));
        let stream = in_time(origin, connector.connect(name, stream))
            .await?
            .map_err(|error| self.explain(origin, error))?;
        let session = stream.get_ref().1;
        let resumed = session.handshake_kind() == Some(HandshakeKind::Resumed);
        let chosen = session.alpn_protocol();
        #[cfg(feature = "http1")]
        if self.http1 && chosen.is_none_or(|name| name == HTTP_1_1) {
            return Ok(Connected::http1(stream).resumed(resumed));
        }
        match chosen.and_then(Version::from_alpn) {
            Some(version) => Ok(Connected::new(stream, version).resumed(resumed)),
            None => Err(ClientError::not_negotiated(&self.offered, chosen)),
        }
    }

    /// Servers that have ALPN but none of our protocols end the handshake with an alert (RFC 7301
    /// §3.2).
    fn explain(&self, origin: &Origin, error: io::Error) -> ClientError {
        let alert = error
            .get_ref()
            .and_then(|inner| inner.downcast_ref::<rustls::Error>());
        match alert {
            Some(rustls::Error::AlertReceived(rustls::AlertDescription::NoApplicationProtocol)) => {
                ClientError::not_negotiated(&self.offered, None)
            }
            _ => ClientError::tls(origin, error),
        }
    }
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tls")
            .field("offered", &self.offered)
            .finish_non_exhaustive()
    }
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}

fn config_builder(provider: &Arc<CryptoProvider>) -> ConfigBuilder<ClientConfig, WantsVerifier> {
    // ring supports the default versions, so the fallback is never used.
    ClientConfig::builder_with_provider(Arc::clone(provider))
        .with_protocol_versions(rustls::DEFAULT_VERSIONS)
        .unwrap_or_else(|_| ClientConfig::builder())
}

/// Accepts any certificate, but still checks that the server has its key.
#[derive(Debug)]
struct AcceptAny(Arc<CryptoProvider>);

impl ServerCertVerifier for AcceptAny {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signature, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
