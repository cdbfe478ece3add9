//! Faults of certificates and their keys.

use std::{
    fmt, io,
    path::{Path, PathBuf},
};

use crate::BoxError;

/// The error of a certificate or a key that cannot be used.
///
/// ```
/// use lacewing_server::{Identity, IdentityProblem};
///
/// let error = Identity::from_pem_files("/nonexistent/cert.pem", "key.pem").unwrap_err();
/// assert_eq!(error.file(), Some("/nonexistent/cert.pem".as_ref()));
/// assert!(matches!(error.problem(), IdentityProblem::Unreadable(_)));
/// assert!(error.to_string().contains("/nonexistent/cert.pem"));
/// ```
#[derive(Debug)]
pub struct IdentityError(Box<Inner>);

#[derive(Debug)]
struct Inner {
    file: Option<PathBuf>,
    problem: IdentityProblem,
}

impl IdentityError {
    /// The file in question; `None` for PEM from memory.
    pub fn file(&self) -> Option<&Path> {
        self.0.file.as_deref()
    }

    /// The fault.
    pub fn problem(&self) -> &IdentityProblem {
        &self.0.problem
    }

    pub(super) fn of(mut self, file: &Path) -> Self {
        self.0.file = Some(file.to_owned());
        self
    }
}

/// The fault of a certificate or a key.
#[derive(Debug)]
#[non_exhaustive]
pub enum IdentityProblem {
    /// The file cannot be read.
    Unreadable(io::Error),
    /// The certificates are not valid PEM.
    CertificatePem(BoxError),
    /// There is no certificate.
    NoCertificate {
        /// There is a private key instead.
        has_key: bool,
    },
    /// The first certificate, the server's own, is not valid X.509.
    InvalidCertificate(rustls::Error),
    /// The key is not valid PEM.
    KeyPem(BoxError),
    /// There is no private key.
    NoKey {
        /// There is a certificate instead.
        has_certificate: bool,
    },
    /// The private key is encrypted.
    EncryptedKey,
    /// The private key is not a valid key of a supported kind.
    UnusableKey(rustls::Error),
    /// The private key does not belong to the first certificate.
    KeyMismatch,
    /// The identity was made from memory: there are no files to reload.
    NoFiles,
    /// The crypto provider that the process installed for rustls does not support TLS.
    Provider(rustls::Error),
}

impl IdentityProblem {
    pub(super) fn of(self, file: &Path) -> IdentityError {
        IdentityError::from(self).of(file)
    }
}

impl From<IdentityProblem> for IdentityError {
    fn from(problem: IdentityProblem) -> Self {
        Self(Box::new(Inner {
            file: None,
            problem,
        }))
    }
}

impl fmt::Display for IdentityError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(file) = self.file() {
            write!(f, "{}: ", file.display())?;
        }
        self.problem().fmt(f)
    }
}

impl fmt::Display for IdentityProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreadable(error) => write!(f, "cannot be read: {error}"),
            Self::CertificatePem(error) => write!(f, "the certificate is not valid PEM: {error}"),
            Self::NoCertificate { has_key: true } => f.write_str(
                "has a private key but no certificate; are the files of certificate and key swapped?",
            ),
            Self::NoCertificate { has_key: false } => {
                f.write_str("has no certificate in PEM; it must contain -----BEGIN CERTIFICATE-----")
            }
            Self::InvalidCertificate(error) => {
                write!(f, "the first certificate is not a valid X.509 certificate: {error}")
            }
            Self::KeyPem(error) => write!(f, "the private key is not valid PEM: {error}"),
            Self::NoKey {
                has_certificate: true,
            } => f.write_str(
                "has a certificate but no private key; are the files of certificate and key swapped?",
            ),
            Self::NoKey {
                has_certificate: false,
            } => f.write_str("has no private key in PEM; it must contain -----BEGIN PRIVATE KEY-----"),
            Self::EncryptedKey => f.write_str(
                "the private key is encrypted; decrypt it first: openssl pkey -in KEY -out PLAIN",
            ),
            Self::UnusableKey(error) => write!(f, "the private key cannot be used; it must be an ECDSA, Ed25519 or RSA key: {error}"),
            Self::KeyMismatch => f.write_str(
                "the private key does not belong to the first certificate; put the server's own \
                 certificate before the intermediate ones",
            ),
            Self::NoFiles => {
                f.write_str("the identity was made from memory, so there is no file to reload")
            }
            Self::Provider(error) => {
                write!(f, "the default crypto provider of rustls cannot speak TLS: {error}")
            }
        }
    }
}

impl std::error::Error for IdentityError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self.problem() {
            IdentityProblem::Unreadable(error) => Some(error),
            IdentityProblem::CertificatePem(error) | IdentityProblem::KeyPem(error) => {
                Some(&**error)
            }
            IdentityProblem::InvalidCertificate(error)
            | IdentityProblem::UnusableKey(error)
            | IdentityProblem::Provider(error) => Some(error),
            _ => None,
        }
    }
}
