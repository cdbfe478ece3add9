//! The certificate of a TLS server and its key: from PEM, and replaced while
//! the server runs.

mod error;
#[cfg(feature = "npn")]
mod openssl;

use std::{
    fmt,
    path::{Path, PathBuf},
    sync::{Arc, PoisonError, RwLock},
};

use rustls::{
    ServerConfig,
    client::verify_server_name,
    crypto::{CryptoProvider, ring},
    pki_types::{CertificateDer, PrivateKeyDer, ServerName, pem::PemObject},
    server::{ClientHello, ParsedCertificate, ResolvesServerCert},
    sign::CertifiedKey,
};

pub use self::error::{IdentityError, IdentityProblem};

/// A certificate chain and its private key, for
/// [`ServerBuilder::bind_tls`](crate::ServerBuilder#method.bind_tls) and everything else
/// that takes a `rustls::ServerConfig`, and for OpenSSL with NPN
/// ([`npn::acceptor_with`](crate::npn#functions)). They can be replaced while a server runs.
/// A clone is the same identity: keep one to [`reload`](Self::reload) it.
///
/// ```no_run
/// # async fn run() -> Result<(), Box<dyn std::error::Error>> {
/// use lacewing_server::{Identity, Server};
///
/// let identity = Identity::from_pem_files("cert.pem", "key.pem")?;
/// let server = Server::builder()
///     .bind_tls(([0, 0, 0, 0], 443).into(), &identity)
///     .build()
///     .await?;
/// tokio::spawn(async move {
///     let mut daily = tokio::time::interval(std::time::Duration::from_secs(24 * 3600));
///     loop {
///         daily.tick().await;
///         if let Err(error) = identity.reload() {
///             eprintln!("the old certificate stays: {error}");
///         }
///     }
/// });
/// server.serve(axum::Router::new()).await;
/// # Ok(())
/// # }
/// # let _ = run;
/// ```
///
/// The cryptography is that of rustls's process-wide default provider if one is
/// installed, else ring. It speaks TLS 1.2 and 1.3, and asks clients for no
/// certificate. For other settings, make a configuration with the
/// [`resolver`](Self::resolver).
#[derive(Clone)]
pub struct Identity {
    slots: Arc<Slots>,
    template: Arc<ServerConfig>,
}

/// The certificates of a listener. The first is for clients without a server name, or with a name
/// that no certificate is valid for.
#[derive(Debug)]
struct Slots(RwLock<Arc<[Arc<Slot>]>>);

/// One certificate at a time.
#[derive(Debug)]
struct Slot {
    files: Option<Files>,
    current: RwLock<Arc<Pair>>,
}

/// A certificate chain and its key, for either library.
#[derive(Debug)]
pub(crate) struct Pair {
    certified: Arc<CertifiedKey>,
    /// Made at the first handshake by OpenSSL.
    #[cfg(feature = "npn")]
    openssl: std::sync::OnceLock<openssl::Converted>,
    #[cfg(feature = "npn")]
    key: PrivateKeyDer<'static>,
}

/// The source of a certificate and its key.
#[derive(Clone, Debug)]
struct Files {
    certificates: PathBuf,
    key: PathBuf,
}

impl Identity {
    /// Reads PEM files. The first has the server's certificate, and then those that lead to its
    /// root. The second has the private key, unencrypted (PKCS #8, PKCS #1 or SEC 1). Both may be
    /// the same file.
    ///
    /// The calls block; the files are small.
    ///
    /// # Errors
    ///
    /// [`IdentityError`], which names the file and its fault.
    pub fn from_pem_files(
        certificates: impl AsRef<Path>,
        key: impl AsRef<Path>,
    ) -> Result<Self, IdentityError> {
        let files = Files {
            certificates: certificates.as_ref().to_owned(),
            key: key.as_ref().to_owned(),
        };
        let template = template()?;
        let current = files.load(template.crypto_provider())?;
        Ok(Self::new(current, Some(files), template))
    }

    /// Reads PEM from memory, as [`from_pem_files`](Self::from_pem_files) does from files.
    ///
    /// ```
    /// use lacewing_server::Identity;
    ///
    /// let made = rcgen::generate_simple_self_signed(["localhost".to_owned()])?;
    /// let (certificate, key) = (made.cert.pem(), made.signing_key.serialize_pem());
    /// let identity = Identity::from_pem(certificate.as_bytes(), key.as_bytes())?;
    /// # let _ = identity;
    ///
    /// let error = Identity::from_pem(key.as_bytes(), key.as_bytes()).unwrap_err();
    /// assert!(error.to_string().contains("no certificate"));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`IdentityError`], which says what is wrong.
    pub fn from_pem(certificates: &[u8], key: &[u8]) -> Result<Self, IdentityError> {
        let template = template()?;
        let current = parse(certificates, key, template.crypto_provider())?;
        Ok(Self::new(current, None, template))
    }

    fn new(current: Pair, files: Option<Files>, template: ServerConfig) -> Self {
        let slot = Slot {
            files,
            current: RwLock::new(Arc::new(current)),
        };
        Self {
            slots: Arc::new(Slots::of([Arc::new(slot)])),
            template: Arc::new(template),
        }
    }

    /// Adds certificates for the same listener. Each client gets the first certificate that is
    /// valid for its server name (SNI). Without such a certificate, or without a name, it gets the
    /// very first.
    ///
    /// ```no_run
    /// use lacewing_server::Identity;
    ///
    /// let identity = Identity::from_pem_files("example.org.pem", "example.org.key")?
    ///     .and(Identity::from_pem_files("example.net.pem", "example.net.key")?);
    /// # let _ = identity;
    /// # Ok::<(), lacewing_server::IdentityError>(())
    /// ```
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        let (first, further) = (self.slots.all(), other.slots.all());
        let all = first.iter().chain(&*further).cloned();
        Self {
            slots: Arc::new(Slots::of(all)),
            template: self.template,
        }
    }

    /// Reads the files again. New handshakes use their present contents. Open connections stay as
    /// they are.
    ///
    /// # Errors
    ///
    /// As [`from_pem_files`](Self::from_pem_files), and [`IdentityProblem::NoFiles`] for an
    /// identity from memory. After an error, the old certificate stays.
    pub fn reload(&self) -> Result<(), IdentityError> {
        let provider = self.template.crypto_provider();
        let slots = self.slots.all();
        let mut loaded = Vec::with_capacity(slots.len());
        for slot in &*slots {
            match &slot.files {
                Some(files) => loaded.push(files.load(provider)?),
                None => return Err(IdentityProblem::NoFiles.into()),
            }
        }
        for (slot, new) in slots.iter().zip(loaded) {
            slot.replace(new);
        }
        Ok(())
    }

    /// Replaces the first certificate and its key with others, PEM in memory. New handshakes use
    /// them. Open connections stay as they are.
    ///
    /// # Errors
    ///
    /// As [`from_pem`](Self::from_pem). After an error, the old certificate stays.
    pub fn replace_pem(&self, certificates: &[u8], key: &[u8]) -> Result<(), IdentityError> {
        let new = parse(certificates, key, self.template.crypto_provider())?;
        if let Some(slot) = self.slots.all().first() {
            slot.replace(new);
        }
        Ok(())
    }

    /// Replaces all certificates with those of another identity, which may be more or fewer. New
    /// handshakes use them. Open connections stay as they are.
    ///
    /// ```no_run
    /// # fn changed() -> Result<(), lacewing_server::IdentityError> {
    /// # let running = lacewing_server::Identity::from_pem_files("cert.pem", "key.pem")?;
    /// use lacewing_server::Identity;
    ///
    /// let new = Identity::from_pem_files("example.org.pem", "example.org.key")?
    ///     .and(Identity::from_pem_files("example.net.pem", "example.net.key")?);
    /// running.replace(&new);
    /// # Ok(())
    /// # }
    /// # let _ = changed;
    /// ```
    pub fn replace(&self, other: &Self) {
        self.slots.set(other.slots.all());
    }

    /// The certificate chain that the server shows now, its own certificate first: for a log, or
    /// a check of the day on which it expires. Of several, the first.
    pub fn certificates(&self) -> Vec<CertificateDer<'static>> {
        self.certificates_for(None)
    }

    /// As [`certificates`](Self::certificates): the chain that a client with this server name
    /// (SNI) receives now.
    pub fn certificates_for(&self, name: Option<&str>) -> Vec<CertificateDer<'static>> {
        let pair = self.choose(name);
        pair.map_or_else(Vec::new, |pair| pair.chain().to_vec())
    }

    /// Returns the pair for a client with this server name (SNI).
    pub(crate) fn choose(&self, name: Option<&str>) -> Option<Arc<Pair>> {
        self.slots.choose(name)
    }

    /// Returns the present pair of each certificate.
    #[cfg(feature = "npn")]
    pub(crate) fn pairs(&self) -> Vec<Arc<Pair>> {
        self.slots.all().iter().map(|slot| slot.current()).collect()
    }

    /// Returns the source of certificates for a rustls configuration of your
    /// own, for example one that asks clients for certificates.
    ///
    /// ```
    /// use std::sync::Arc;
    ///
    /// use lacewing_server::{
    ///     Identity,
    ///     rustls::{
    ///         RootCertStore, ServerConfig,
    ///         crypto::ring,
    ///         server::WebPkiClientVerifier,
    ///     },
    /// };
    ///
    /// fn config(
    ///     identity: &Identity,
    ///     roots: RootCertStore,
    /// ) -> Result<ServerConfig, Box<dyn std::error::Error>> {
    ///     let provider = Arc::new(ring::default_provider());
    ///     let roots = Arc::new(roots);
    ///     let clients =
    ///         WebPkiClientVerifier::builder_with_provider(roots, Arc::clone(&provider)).build()?;
    ///     Ok(ServerConfig::builder_with_provider(provider)
    ///         .with_safe_default_protocol_versions()?
    ///         .with_client_cert_verifier(clients)
    ///         .with_cert_resolver(identity.resolver()))
    /// }
    /// # let _ = config;
    /// ```
    pub fn resolver(&self) -> Arc<dyn ResolvesServerCert> {
        Arc::new(Resolver(Arc::clone(&self.slots)))
    }
}

impl Slots {
    fn of(all: impl IntoIterator<Item = Arc<Slot>>) -> Self {
        Self(RwLock::new(all.into_iter().collect()))
    }

    fn all(&self) -> Arc<[Arc<Slot>]> {
        Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn set(&self, all: Arc<[Arc<Slot>]>) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = all;
    }

    /// Returns the pair for a client with this server name (SNI).
    fn choose(&self, name: Option<&str>) -> Option<Arc<Pair>> {
        let slots = self.all();
        let first = slots.first()?;
        let name = name.and_then(|name| ServerName::try_from(name).ok());
        let Some(name) = name.filter(|_| slots.len() > 1) else {
            return Some(first.current());
        };
        let mut all = slots.iter().map(|slot| slot.current());
        all.find(|pair| is_valid_for(&pair.certified, &name))
            .or_else(|| Some(first.current()))
    }
}

impl Slot {
    fn replace(&self, new: Pair) {
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(new);
    }

    fn current(&self) -> Arc<Pair> {
        Arc::clone(&self.current.read().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Pair {
    /// The server's own certificate is the first.
    pub(crate) fn chain(&self) -> &[CertificateDer<'static>] {
        &self.certified.cert
    }
}

impl Files {
    fn load(&self, provider: &CryptoProvider) -> Result<Pair, IdentityError> {
        let certificates = read(&self.certificates)?;
        let key = read(&self.key)?;
        parse(&certificates, &key, provider).map_err(|error| match error.problem() {
            IdentityProblem::NoCertificate { .. }
            | IdentityProblem::CertificatePem(_)
            | IdentityProblem::InvalidCertificate(_) => error.of(&self.certificates),
            _ => error.of(&self.key),
        })
    }
}

fn read(file: &Path) -> Result<Vec<u8>, IdentityError> {
    std::fs::read(file).map_err(|error| IdentityProblem::Unreadable(error).of(file))
}

/// Parses a certificate chain and its key, and checks that they belong together.
fn parse(
    certificates: &[u8],
    key: &[u8],
    provider: &CryptoProvider,
) -> Result<Pair, IdentityError> {
    let chain = CertificateDer::pem_slice_iter(certificates)
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| IdentityProblem::CertificatePem(error.into()))?;
    let Some(own) = chain.first() else {
        let has_key = PrivateKeyDer::from_pem_slice(certificates).is_ok();
        return Err(IdentityProblem::NoCertificate { has_key }.into());
    };
    ParsedCertificate::try_from(own).map_err(IdentityProblem::InvalidCertificate)?;
    // Checked before parsing: the parser finds no key in an encrypted file, or reports
    // invalid base64.
    if is_encrypted(key) {
        return Err(IdentityProblem::EncryptedKey.into());
    }
    let key = match PrivateKeyDer::pem_slice_iter(key).next() {
        Some(Ok(key)) => key,
        Some(Err(error)) => return Err(IdentityProblem::KeyPem(error.into()).into()),
        None => {
            let has_certificate = CertificateDer::from_pem_slice(key).is_ok();
            return Err(IdentityProblem::NoKey { has_certificate }.into());
        }
    };
    #[cfg(feature = "npn")]
    let own_key = key.clone_key();
    let certified = CertifiedKey::from_der(chain, key, provider).map_err(|error| match error {
        rustls::Error::InconsistentKeys(_) => IdentityProblem::KeyMismatch,
        error => IdentityProblem::UnusableKey(error),
    })?;
    Ok(Pair {
        certified: Arc::new(certified),
        #[cfg(feature = "npn")]
        openssl: std::sync::OnceLock::new(),
        #[cfg(feature = "npn")]
        key: own_key,
    })
}

/// Returns whether the key is encrypted, in PKCS #8 or in OpenSSL's older format (RFC 1421
/// §4.6.1.1).
fn is_encrypted(key: &[u8]) -> bool {
    let has = |text: &[u8]| key.windows(text.len()).any(|window| window == text);
    has(b"-----BEGIN ENCRYPTED PRIVATE KEY-----") || has(b"Proc-Type: 4,ENCRYPTED")
}

/// A configuration that only lacks its certificate.
fn template() -> Result<ServerConfig, IdentityError> {
    let provider = CryptoProvider::get_default()
        .cloned()
        .unwrap_or_else(|| Arc::new(ring::default_provider()));
    let builder = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(IdentityProblem::Provider)?;
    Ok(builder
        .with_no_client_auth()
        .with_cert_resolver(Arc::new(Resolver(Arc::new(Slots::of([]))))))
}

/// Finds the certificate for each client.
#[derive(Debug)]
struct Resolver(Arc<Slots>);

impl ResolvesServerCert for Resolver {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let pair = self.0.choose(hello.server_name());
        pair.map(|pair| Arc::clone(&pair.certified))
    }
}

fn is_valid_for(key: &CertifiedKey, name: &ServerName<'_>) -> bool {
    let own = key.end_entity_cert().and_then(ParsedCertificate::try_from);
    own.is_ok_and(|own| verify_server_name(&own, name).is_ok())
}

impl From<&Identity> for ServerConfig {
    fn from(identity: &Identity) -> Self {
        let mut config = Self::clone(&identity.template);
        config.cert_resolver = identity.resolver();
        config
    }
}

impl From<Identity> for ServerConfig {
    fn from(identity: Identity) -> Self {
        Self::from(&identity)
    }
}

impl From<&Identity> for Arc<ServerConfig> {
    fn from(identity: &Identity) -> Self {
        Self::new(identity.into())
    }
}

impl From<Identity> for Arc<ServerConfig> {
    fn from(identity: Identity) -> Self {
        Self::new(identity.into())
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let slots = self.slots.all();
        let files = slots.iter().map(|slot| &slot.files);
        f.debug_struct("Identity")
            .field("files", &files.collect::<Vec<_>>())
            .finish_non_exhaustive()
    }
}
