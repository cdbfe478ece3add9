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
    /// Certificates that lead to a root certificate. With rustls the roots are
    /// Mozilla's. OpenSSL finds them in its usual place, or where
    /// `SSL_CERT_FILE` or `SSL_CERT_DIR` say.
    Roots,
    /// All certificates, for tests only: an attacker on the path can then read and
    /// change everything.
    DangerAcceptAny,
}
