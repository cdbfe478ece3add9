//! The certificates that a client trusts, and its own.

use std::{
    fmt, fs, io,
    path::{Path, PathBuf},
    sync::Arc,
};

use rustls::{
    ClientConfig, RootCertStore,
    pki_types::{CertificateDer, PrivateKeyDer, pem, pem::PemObject},
    sign::{CertifiedKey, SingleCertAndKey},
};

use super::AcceptAny;

/// The certificates that a client trusts, and its own, which it presents to servers on request.
///
/// ```no_run
/// use lacewing_client::{Version, tls::{Certificates, Tls}};
///
/// // Mozilla's roots, an authority of our own, and a client certificate.
/// let certificates = Certificates::mozilla()
///     .add_ca_file("ca.pem")?
///     .client_certificate_files("client.pem", "client.key")?;
/// let tls = Tls::with_certificates(certificates, vec![Version::Http2]);
/// # drop(tls);
/// # Ok::<(), lacewing_client::tls::CertificateError>(())
/// ```
#[derive(Clone)]
#[must_use = "certificates are of use in a Tls or a Client's builder"]
pub struct Certificates {
    base: Base,
    added: Vec<CertificateDer<'static>>,
    identity: Option<Arc<CertifiedKey>>,
}

/// The base of trust, besides added certificates.
#[derive(Clone)]
enum Base {
    Mozilla,
    #[cfg(feature = "platform-roots")]
    Platform(Arc<RootCertStore>),
    Empty,
    Any,
}

/// The error of a certificate or key that cannot be used. It names the file and the fault.
///
/// ```
/// use lacewing_client::tls::Certificates;
///
/// let error = Certificates::empty().add_ca_file("/no/such/ca.pem").err().unwrap();
/// assert!(error.to_string().contains("/no/such/ca.pem"));
/// assert_eq!(error.path().unwrap(), std::path::Path::new("/no/such/ca.pem"));
/// ```
#[derive(Clone, Debug)]
pub struct CertificateError {
    path: Option<PathBuf>,
    fault: Fault,
}

#[derive(Clone, Debug)]
enum Fault {
    Unreadable(Arc<io::Error>),
    NotPem(String),
    NoCertificate,
    NoKey,
    EncryptedKey,
    /// The certificate with this number, from 1.
    BadCertificate(usize, String),
    BadKey(String),
    OtherKey(PathBuf),
    #[cfg(feature = "platform-roots")]
    NoRoots(String),
}

impl Certificates {
    /// Trusts Mozilla's root certificates, which are built in.
    pub fn mozilla() -> Self {
        Self::of(Base::Mozilla)
    }

    /// Trusts the root certificates of the operating system, as they are now.
    ///
    /// # Errors
    ///
    /// [`CertificateError`] if there is none that can be used.
    #[cfg(feature = "platform-roots")]
    pub fn platform() -> Result<Self, CertificateError> {
        let base = Base::Platform(Arc::new(platform_roots()?));
        Ok(Self::of(base))
    }

    /// Trusts no certificate except those that are added.
    pub fn empty() -> Self {
        Self::of(Base::Empty)
    }

    /// Trusts every certificate, for tests only: an attacker on the path can then
    /// read and change everything.
    pub fn danger_accept_any() -> Self {
        Self::of(Base::Any)
    }

    fn of(base: Base) -> Self {
        Self {
            base,
            added: Vec::new(),
            identity: None,
        }
    }

    /// Replaces the base, and keeps the added certificates and the identity.
    pub(crate) fn upon(mut self, other: Self) -> Self {
        self.base = other.base;
        self
    }

    /// Trusts the certificates of a PEM file too.
    ///
    /// # Errors
    ///
    /// [`CertificateError`]: the file cannot be read, has no certificate, or
    /// one that is broken.
    pub fn add_ca_file(mut self, path: impl AsRef<Path>) -> Result<Self, CertificateError> {
        let path = path.as_ref();
        let mut roots = RootCertStore::empty();
        let certificates = certificates_in(path)?;
        for (index, certificate) in certificates.iter().enumerate() {
            roots.add(certificate.clone()).map_err(|error| {
                let number = index.saturating_add(1);
                CertificateError::at(path, Fault::BadCertificate(number, error.to_string()))
            })?;
        }
        self.added.extend(certificates);
        Ok(self)
    }

    /// Presents a certificate to servers that ask for one. The chain is in a PEM file, the client's
    /// own certificate first; the key is in the same file or in another.
    ///
    /// # Errors
    ///
    /// [`CertificateError`], if a file cannot be read, or lacks its certificate or key. Also if the
    /// key is encrypted, of an unknown kind, or that of another certificate.
    pub fn client_certificate_files(
        mut self,
        chain: impl AsRef<Path>,
        key: impl AsRef<Path>,
    ) -> Result<Self, CertificateError> {
        let (chain, key) = (chain.as_ref(), key.as_ref());
        let certificates = certificates_in(chain)?;
        let private = key_in(key)?;
        let certified = CertifiedKey::from_der(certificates, private, &super::provider());
        let certified = certified.map_err(|error| match error {
            rustls::Error::InconsistentKeys(_) => {
                CertificateError::at(key, Fault::OtherKey(chain.to_owned()))
            }
            rustls::Error::InvalidCertificate(error) => {
                CertificateError::at(chain, Fault::BadCertificate(1, error.to_string()))
            }
            error => CertificateError::at(key, Fault::BadKey(error.to_string())),
        })?;
        self.identity = Some(Arc::new(certified));
        Ok(self)
    }

    /// Returns the configuration of rustls, without ALPN protocols: for TLS of your own,
    /// beside this crate's protocols.
    pub fn rustls_config(&self) -> ClientConfig {
        let provider = super::provider();
        let builder = super::config_builder(&provider);
        let verified = match &self.base {
            Base::Any => builder
                .dangerous()
                .with_custom_certificate_verifier(Arc::new(AcceptAny(provider))),
            _ => builder.with_root_certificates(self.roots()),
        };
        match &self.identity {
            Some(identity) => {
                let identity = SingleCertAndKey::from(Arc::clone(identity));
                verified.with_client_cert_resolver(Arc::new(identity))
            }
            None => verified.with_no_client_auth(),
        }
    }

    fn roots(&self) -> RootCertStore {
        let mut roots = match &self.base {
            Base::Mozilla => RootCertStore {
                roots: webpki_roots::TLS_SERVER_ROOTS.to_vec(),
            },
            #[cfg(feature = "platform-roots")]
            Base::Platform(roots) => (**roots).clone(),
            Base::Empty | Base::Any => RootCertStore::empty(),
        };
        // All of them were parsed before.
        roots.add_parsable_certificates(self.added.iter().cloned());
        roots
    }
}

impl Default for Certificates {
    fn default() -> Self {
        Self::mozilla()
    }
}

impl fmt::Debug for Certificates {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let base = match self.base {
            Base::Mozilla => "Mozilla",
            #[cfg(feature = "platform-roots")]
            Base::Platform(_) => "Platform",
            Base::Empty => "Empty",
            Base::Any => "Any",
        };
        f.debug_struct("Certificates")
            .field("base", &base)
            .field("added", &self.added.len())
            .field("identity", &self.identity.is_some())
            .finish()
    }
}

fn certificates_in(path: &Path) -> Result<Vec<CertificateDer<'static>>, CertificateError> {
    let text = read(path)?;
    let certificates: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&text).collect();
    match certificates {
        Ok(certificates) if certificates.is_empty() => {
            Err(CertificateError::at(path, Fault::NoCertificate))
        }
        Ok(certificates) => Ok(certificates),
        Err(error) => Err(CertificateError::at(path, Fault::NotPem(error.to_string()))),
    }
}

fn key_in(path: &Path) -> Result<PrivateKeyDer<'static>, CertificateError> {
    let text = read(path)?;
    // Of PKCS #8, and of OpenSSL's own older format.
    let marks = [
        &b"BEGIN ENCRYPTED PRIVATE KEY"[..],
        b"Proc-Type: 4,ENCRYPTED",
    ];
    let is_encrypted = marks
        .iter()
        .any(|mark| text.windows(mark.len()).any(|window| window == *mark));
    PrivateKeyDer::from_pem_slice(&text).map_err(|error| {
        let fault = match error {
            _ if is_encrypted => Fault::EncryptedKey,
            pem::Error::NoItemsFound => Fault::NoKey,
            error => Fault::NotPem(error.to_string()),
        };
        CertificateError::at(path, fault)
    })
}

fn read(path: &Path) -> Result<Vec<u8>, CertificateError> {
    fs::read(path).map_err(|error| CertificateError::at(path, Fault::Unreadable(Arc::new(error))))
}

#[cfg(feature = "platform-roots")]
fn platform_roots() -> Result<RootCertStore, CertificateError> {
    let found = rustls_native_certs::load_native_certs();
    let mut roots = RootCertStore::empty();
    // A system's store usually has a few certificates that the library cannot parse.
    roots.add_parsable_certificates(found.certs);
    if roots.is_empty() {
        let errors: Vec<_> = found.errors.iter().map(ToString::to_string).collect();
        return Err(CertificateError {
            path: None,
            fault: Fault::NoRoots(errors.join("; ")),
        });
    }
    Ok(roots)
}

impl CertificateError {
    fn at(path: &Path, fault: Fault) -> Self {
        Self {
            path: Some(path.to_owned()),
            fault,
        }
    }

    /// The file that is at fault; `None` for the operating system's store.
    pub fn path(&self) -> Option<&Path> {
        self.path.as_deref()
    }
}

impl fmt::Display for CertificateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(path) = &self.path {
            write!(f, "{}: ", path.display())?;
        }
        match &self.fault {
            Fault::Unreadable(error) => write!(f, "cannot be read: {error}"),
            Fault::NotPem(error) => write!(f, "is not PEM: {error}"),
            Fault::NoCertificate => {
                f.write_str("has no certificate; one begins with -----BEGIN CERTIFICATE-----")
            }
            Fault::NoKey => {
                f.write_str("has no private key; one begins with -----BEGIN PRIVATE KEY-----")
            }
            Fault::EncryptedKey => f.write_str(
                "the private key is encrypted; decrypt it first, as by `openssl pkey -in FILE`",
            ),
            Fault::BadCertificate(number, error) => {
                write!(f, "certificate {number} cannot be used: {error}")
            }
            Fault::BadKey(error) => write!(f, "the private key cannot be used: {error}"),
            Fault::OtherKey(chain) => write!(
                f,
                "the private key is not that of the first certificate in {}",
                chain.display()
            ),
            #[cfg(feature = "platform-roots")]
            Fault::NoRoots(errors) if errors.is_empty() => {
                f.write_str("the operating system has no root certificates")
            }
            #[cfg(feature = "platform-roots")]
            Fault::NoRoots(errors) => write!(
                f,
                "the operating system's root certificates cannot be loaded: {errors}"
            ),
        }
    }
}

impl std::error::Error for CertificateError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match &self.fault {
            Fault::Unreadable(error) => Some(&**error),
            _ => None,
        }
    }
}
