//! The certificate: from files, or made at the start.

use std::{fmt::Write, net::IpAddr, path::Path, sync::Arc};

use rustls::{
    ServerConfig, SupportedCipherSuite,
    crypto::ring::{self, cipher_suite::TLS13_AES_128_GCM_SHA256},
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
};

use crate::site::Names;

/// A certificate chain and its key.
pub(crate) struct Certificate {
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
}

impl Certificate {
    /// Reads PEM files.
    pub(crate) fn read(cert: &Path, key: &Path) -> Result<Self, String> {
        let chain = CertificateDer::pem_file_iter(cert)
            .and_then(Iterator::collect::<Result<Vec<_>, _>>)
            .map_err(|error| format!("cannot read {}: {error}", cert.display()))?;
        if chain.is_empty() {
            return Err(format!(
                "{} has no certificate (-----BEGIN CERTIFICATE-----)",
                cert.display()
            ));
        }
        let key = PrivateKeyDer::from_pem_file(key).map_err(|error| {
            format!("cannot read a private key from {}: {error}", key.display())
        })?;
        Ok(Self { chain, key })
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
        let key = PrivateKeyDer::try_from(made.signing_key.serialize_der())
            .map_err(|error| format!("cannot use the key that was made: {error}"))?;
        Ok(Self {
            chain: vec![made.cert.der().clone()],
            key,
        })
    }

    /// The SHA-256 of the certificate, as browsers and curl show it.
    pub(crate) fn fingerprint(&self) -> String {
        let (Some(certificate), SupportedCipherSuite::Tls13(suite)) =
            (self.chain.first(), TLS13_AES_128_GCM_SHA256)
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
        self.chain
            .first()
            .map_or_else(Names::default, |first| Names::of(first.clone()))
    }

    /// The configuration of a server that has it.
    pub(crate) fn into_config(self) -> Result<ServerConfig, String> {
        ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(|error| error.to_string())?
            .with_no_client_auth()
            .with_single_cert(self.chain, self.key)
            .map_err(|error| format!("certificate and key are of no use: {error}"))
    }

    /// The settings of OpenSSL for a server that has it.
    #[cfg(feature = "npn")]
    pub(crate) fn into_acceptor(self) -> Result<lacewing_server::npn::SslAcceptorBuilder, String> {
        use openssl::{pkey::PKey, x509::X509};

        let pem = || {
            let mut chain = Vec::new();
            for certificate in &self.chain {
                chain.extend(X509::from_der(certificate)?.to_pem()?);
            }
            let key = PKey::private_key_from_der(self.key.secret_der())?;
            Ok((chain, key.private_key_to_pem_pkcs8()?))
        };
        let (chain, key) = pem().map_err(|error: openssl::error::ErrorStack| {
            format!("OpenSSL cannot use certificate and key: {error}")
        })?;
        lacewing_server::npn::acceptor(&chain, &key).map_err(|error| error.to_string())
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
        assert!(certificate.into_config().is_ok());
    }

    #[cfg(feature = "npn")]
    #[test]
    fn a_made_certificate_is_of_use_to_openssl() {
        let certificate = Certificate::make("192.0.2.7".parse().unwrap()).unwrap();
        assert!(certificate.into_acceptor().is_ok());
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
