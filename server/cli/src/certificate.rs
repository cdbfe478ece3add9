//! The certificate: from files, or made at the start.

use std::{fmt::Write, net::IpAddr, path::Path, sync::Arc};

use lacewing_server::Identity;
use rustls::{
    ServerConfig, SupportedCipherSuite,
    crypto::ring::{self, cipher_suite::TLS13_AES_128_GCM_SHA256},
};

use crate::site::Names;

/// A certificate chain and its key. A clone has the same ones, also after a reload.
#[derive(Clone)]
pub(crate) struct Certificate(Identity);

impl Certificate {
    /// Reads PEM files.
    pub(crate) fn read(cert: &Path, key: &Path) -> Result<Self, String> {
        let identity = Identity::from_pem_files(cert, key);
        identity.map(Self).map_err(|error| error.to_string())
    }

    /// Reads the files again, for all clones. After an error, the old certificate stays.
    pub(crate) fn reload(&self) -> Result<(), String> {
        self.0.reload().map_err(|error| error.to_string())
    }

    /// Makes a certificate for this machine's own names, and for `host` if
    /// that is an address that a client could connect to.
    pub(crate) fn make(host: IpAddr) -> Result<Self, String> {
        let mut names = vec![
            "localhost".to_owned(),
            "127.0.0.1".to_owned(),
            "::1".to_owned(),
        ];
        let host_name = host.to_string();
        if !host.is_unspecified() && !names.contains(&host_name) {
            names.push(host_name);
        }
        let made = rcgen::generate_simple_self_signed(names)
            .map_err(|error| format!("cannot make a certificate: {error}"))?;
        let (certificate, key) = (made.cert.pem(), made.signing_key.serialize_pem());
        let identity = Identity::from_pem(certificate.as_bytes(), key.as_bytes());
        identity
            .map(Self)
            .map_err(|error| format!("cannot use the certificate that was made: {error}"))
    }

    /// The SHA-256 of the certificate, as browsers and curl show it.
    pub(crate) fn fingerprint(&self) -> String {
        let chain = self.0.certificates();
        let (Some(certificate), SupportedCipherSuite::Tls13(suite)) =
            (chain.first(), TLS13_AES_128_GCM_SHA256)
        else {
            return String::new();
        };
        let digest = suite.common.hash_provider.hash(certificate);
        let mut text = String::with_capacity(3 * digest.as_ref().len());
        for byte in digest.as_ref() {
            let colon = if text.is_empty() { "" } else { ":" };
            let _ = write!(text, "{colon}{byte:02X}");
        }
        text
    }

    /// The names that it is for.
    pub(crate) fn names(&self) -> Names {
        Names::of(self.0.clone())
    }

    /// The configuration of a server that has it.
    pub(crate) fn config(&self) -> Result<ServerConfig, String> {
        Ok(
            ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
                .with_safe_default_protocol_versions()
                .map_err(|error| error.to_string())?
                .with_no_client_auth()
                .with_cert_resolver(self.0.resolver()),
        )
    }

    /// The settings of OpenSSL for a server that has it.
    #[cfg(feature = "npn")]
    pub(crate) fn acceptor(&self) -> Result<lacewing_server::npn::SslAcceptorBuilder, String> {
        lacewing_server::npn::acceptor_with(&self.0).map_err(|error| error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_made_certificate_is_of_use_and_has_a_fingerprint() {
        let certificate = Certificate::make("192.0.2.7".parse().unwrap()).unwrap();
        let fingerprint = certificate.fingerprint();
        assert_eq!(fingerprint.len(), 32 * 3 - 1);
        assert!(
            fingerprint
                .split(':')
                .all(|byte| u8::from_str_radix(byte, 16).is_ok())
        );
        assert!(certificate.config().is_ok());
    }

    #[cfg(feature = "npn")]
    #[test]
    fn a_made_certificate_is_of_use_to_openssl() {
        let certificate = Certificate::make("192.0.2.7".parse().unwrap()).unwrap();
        assert!(certificate.acceptor().is_ok());
    }

    #[test]
    fn files_that_are_absent_or_empty_are_named() {
        let absent = Path::new("/nonexistent/cert.pem");
        let error = Certificate::read(absent, absent).err().unwrap();
        assert!(error.contains("/nonexistent/cert.pem"), "{error}");
        let empty = Path::new("/dev/null");
        let error = Certificate::read(empty, empty).err().unwrap();
        assert!(error.contains("no certificate"), "{error}");
    }
}
