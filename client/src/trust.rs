//! Trust in server certificates.

/// The server certificates that a client accepts. With rustls,
/// [`Certificates`](crate::tls::Certificates) has more choices.
///
/// ```no_run
/// use lacewing_client::{Client, Connector, Trust, Version, tls::Tls};
///
/// // For a test server whose certificate no authority signed.
/// let tls = Tls::with_trust(Trust::DangerAcceptAny, vec![Version::Http2]);
/// let client = Client::builder().connector(Connector::tls(tls, None)).build();
/// # drop(client);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Trust {
    /// Trusts certificates that a root certificate has signed, directly or over others. With rustls
    /// the roots are Mozilla's. OpenSSL uses its usual place, or `SSL_CERT_FILE` and
    /// `SSL_CERT_DIR`.
    Roots,
    /// All certificates, for tests only: an attacker on the path can then read and
    /// change everything.
    DangerAcceptAny,
}
