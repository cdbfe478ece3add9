//! The certificates: from files, or one that is made at the start.

use std::{
    fmt::Write,
    net::IpAddr,
    path::{Path, PathBuf},
    sync::Arc,
};

use lacewing_server::Identity;
use rustls::{
    ServerConfig, SupportedCipherSuite,
    crypto::ring::{self, cipher_suite::TLS13_AES_128_GCM_SHA256},
};

use crate::site::Names;

/// Certificate chains and their keys. A clone has the same ones, also after they are replaced.
#[derive(Clone)]
pub(crate) struct Certificates {
    /// For handshakes.
    all: Identity,
    /// In order, each alone.
    each: Vec<Identity>,
    files: Vec<PathBuf>,
}

impl Certificates {
    /// Reads PEM files: of each certificate and of its key.
    pub(crate) fn read(pairs: &[(&PathBuf, &PathBuf)]) -> Result<Self, String> {
        let read = |(certificate, key): &(&PathBuf, &PathBuf)| {
            Identity::from_pem_files(certificate, key)
                .map_err(|error| format!("--cert, --key: {error}"))
        };
        let each = pairs.iter().map(read).collect::<Result<Vec<_>, _>>()?;
        let all = each.iter().cloned().reduce(Identity::and);
        let files = pairs
            .iter()
            .flat_map(|(certificate, key)| [*certificate, *key]);
        Ok(Self {
            all: all.ok_or("no certificate is named (--cert)")?,
            each,
            files: files.cloned().collect(),
        })
    }

    /// Handshakes have the other certificates from now on.
    pub(crate) fn replace(&mut self, other: Self) {
        self.all.replace(&other.all);
        self.each = other.each;
        self.files = other.files;
    }

    /// The files of certificates and keys.
    pub(crate) fn files(&self) -> impl Iterator<Item = &Path> {
        self.files.iter().map(PathBuf::as_path)
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
        let identity = Identity::from_pem(certificate.as_bytes(), key.as_bytes())
            .map_err(|error| format!("cannot use the certificate that was made: {error}"))?;
        Ok(Self {
            all: identity.clone(),
            each: vec![identity],
            files: Vec::new(),
        })
    }

    /// The SHA-256 of each certificate, as browsers and curl show it.
    pub(crate) fn fingerprints(&self) -> Vec<String> {
        self.each.iter().map(Self::fingerprint).collect()
    }

    fn fingerprint(identity: &Identity) -> String {
        let chain = identity.certificates();
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

    /// The names that they are for.
    pub(crate) fn names(&self) -> Names {
        Names::of(self.all.clone())
    }

    /// The configuration of a server that has them.
    pub(crate) fn config(&self) -> Result<ServerConfig, String> {
        Ok(
            ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
                .with_safe_default_protocol_versions()
                .map_err(|error| error.to_string())?
                .with_no_client_auth()
                .with_cert_resolver(self.all.resolver()),
        )
    }

    /// The settings of OpenSSL for a server that has them.
    #[cfg(feature = "npn")]
    pub(crate) fn acceptor(&self) -> Result<lacewing_server::npn::SslAcceptorBuilder, String> {
        lacewing_server::npn::acceptor_with(&self.all).map_err(|error| error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_made_certificate_is_of_use_and_has_a_fingerprint() {
        let certificate = Certificates::make("192.0.2.7".parse().unwrap()).unwrap();
        let fingerprints = certificate.fingerprints();
        let [fingerprint] = &fingerprints[..] else {
            panic!("{fingerprints:?}")
        };
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
        let certificate = Certificates::make("192.0.2.7".parse().unwrap()).unwrap();
        assert!(certificate.acceptor().is_ok());
    }

    #[test]
    fn files_that_are_absent_or_empty_are_named() {
        let absent = PathBuf::from("/nonexistent/cert.pem");
        let error = Certificates::read(&[(&absent, &absent)]).err().unwrap();
        assert!(error.contains("/nonexistent/cert.pem"), "{error}");
        let empty = PathBuf::from("/dev/null");
        let error = Certificates::read(&[(&empty, &empty)]).err().unwrap();
        assert!(error.contains("no certificate"), "{error}");
    }
}
