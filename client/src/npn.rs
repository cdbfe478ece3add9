//! TLS by OpenSSL, with Next Protocol Negotiation (draft-agl-tls-nextprotoneg) beside ALPN, for
//! servers from 2011 to 2016. For all other servers, use TLS by rustls (`tls`).
//!
//! A server with ALPN selects one of the offered protocols. A server with only NPN advertises its
//! protocols, and this client selects the first of them that it offers too. HTTP/2 is excluded from
//! NPN, since RFC 9113 §3.2 requires ALPN.
//!
//! ```
//! use lacewing_client::{Client, Connector, Version, npn::Npn};
//!
//! let npn = Npn::new(vec![Version::Spdy31, Version::Spdy3, Version::Spdy2])?;
//! let client = Client::builder().connector(Connector::npn(npn, None)).build();
//! # drop(client);
//! # Ok::<(), lacewing_client::npn::SetupError>(())
//! ```

use std::{fmt, io, pin::Pin};

use lacewing_conn::{
    Version,
    npn::{self, NoOverlap, NpnError, Preference},
};
use openssl::{
    error::ErrorStack,
    ssl::{self, SslConnector, SslConnectorBuilder, SslMethod, SslRef, SslVerifyMode, SslVersion},
    x509::X509VerifyResult,
};
use tokio_openssl::SslStream;

use crate::{
    ClientError, Connected, Origin, Transport, Trust, tls_failure::UntrustedCertificate,
    tls_time::in_time,
};

/// The alert of servers that have ALPN but none of our protocols (RFC 7301 §3.2). OpenSSL adds 1000
/// to the number of the alert.
const NO_APPLICATION_PROTOCOL: std::ffi::c_int = 1120;

/// TLS by OpenSSL: the trusted certificates and the protocols to offer.
///
/// ```
/// use lacewing_client::{Version, npn::Npn};
///
/// let npn = Npn::new(vec![Version::Http2, Version::Spdy31])?;
/// assert_eq!(npn.offered(), [Version::Http2, Version::Spdy31]);
/// # Ok::<(), lacewing_client::npn::SetupError>(())
/// ```
#[derive(Clone)]
pub struct Npn {
    connector: SslConnector,
    trust: Trust,
    offered: Vec<Version>,
}

/// OpenSSL could not be set up.
#[derive(Clone, Debug)]
pub struct SetupError(NpnError);

impl Npn {
    /// Trusts the system's root certificates and offers these protocols, first choice first.
    ///
    /// # Errors
    ///
    /// [`SetupError`] if there is no protocol, or if OpenSSL fails.
    pub fn new(offered: Vec<Version>) -> Result<Self, SetupError> {
        Self::with_trust(Trust::Roots, offered)
    }

    /// Trusts these certificates and offers these protocols, first choice first.
    ///
    /// # Errors
    ///
    /// As [`new`](Self::new).
    pub fn with_trust(trust: Trust, offered: Vec<Version>) -> Result<Self, SetupError> {
        let mut builder = SslConnector::builder(SslMethod::tls_client())?;
        if trust == Trust::DangerAcceptAny {
            builder.set_verify(SslVerifyMode::NONE);
        }
        Self::make(builder, trust, offered)
    }

    /// Takes the settings of an OpenSSL builder. The offered protocols replace its ALPN protocols;
    /// TLS 1.3 is off, because it has no NPN.
    ///
    /// # Errors
    ///
    /// As [`new`](Self::new).
    pub fn with_builder(
        builder: SslConnectorBuilder,
        offered: Vec<Version>,
    ) -> Result<Self, SetupError> {
        Self::make(builder, Trust::Roots, offered)
    }

    fn make(
        mut builder: SslConnectorBuilder,
        trust: Trust,
        offered: Vec<Version>,
    ) -> Result<Self, SetupError> {
        if offered.is_empty() {
            return Err(SetupError(NpnError::NoProtocol));
        }
        builder.set_max_proto_version(Some(SslVersion::TLS1_2))?;
        let names = offered.iter().map(|version| version.alpn());
        builder.set_alpn_protos(&npn::alpn_list(names.clone()).map_err(SetupError)?)?;
        let by_npn: Vec<_> = names.filter(|name| npn::may_negotiate(name)).collect();
        if !by_npn.is_empty() {
            // Without a common protocol, the selection is HTTP/1.1: never a protocol that the
            // server did not offer. The connection is closed anyway.
            let server = Preference::Server;
            npn::select(&mut builder, by_npn, server, NoOverlap::Http1).map_err(SetupError)?;
        }
        Ok(Self {
            connector: builder.build(),
            trust,
            offered,
        })
    }

    /// The protocols that are offered, first choice first.
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
        let failed = |error: io::Error| ClientError::tls(origin, error);
        let ssl = self
            .connector
            .configure()
            .and_then(|configuration| {
                configuration
                    .verify_hostname(self.trust != Trust::DangerAcceptAny)
                    .into_ssl(origin.host())
            })
            .map_err(|error| failed(error.into()))?;
        let mut stream = SslStream::new(ssl, stream).map_err(|error| failed(error.into()))?;
        if let Err(error) = in_time(origin, Pin::new(&mut stream).connect()).await? {
            return Err(if says_no_protocol(&error) {
                ClientError::not_negotiated(&self.offered, None)
            } else {
                failed(io_error(error, stream.ssl()))
            });
        }
        let ssl = stream.ssl();
        let name = npn::protocol(ssl);
        let version = name
            .and_then(Version::from_alpn)
            .filter(|version| self.offered.contains(version));
        match version {
            Some(version) => Ok(Connected::new(stream, version)),
            None => Err(ClientError::not_negotiated(&self.offered, name)),
        }
    }
}

fn says_no_protocol(error: &ssl::Error) -> bool {
    error.ssl_error().is_some_and(|stack| {
        let mut errors = stack.errors().iter();
        errors.any(|error| error.reason_code() == NO_APPLICATION_PROTOCOL)
    })
}

/// Converts the error of a handshake, with what is wrong with the certificate
/// if that is the cause.
fn io_error(error: ssl::Error, ssl: &SslRef) -> io::Error {
    let verified = ssl.verify_result();
    let verifies = ssl.verify_mode() != SslVerifyMode::NONE;
    if error.ssl_error().is_some() && verifies && verified != X509VerifyResult::OK {
        let text = format!("{error} ({})", verified.error_string());
        return io::Error::new(io::ErrorKind::InvalidData, UntrustedCertificate(text));
    }
    npn::io_error(error)
}

impl fmt::Debug for Npn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Npn")
            .field("trust", &self.trust)
            .field("offered", &self.offered)
            .finish_non_exhaustive()
    }
}

impl fmt::Display for SetupError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cannot set up TLS by OpenSSL: {}", self.0)
    }
}

impl std::error::Error for SetupError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.0)
    }
}

impl From<ErrorStack> for SetupError {
    fn from(error: ErrorStack) -> Self {
        Self(NpnError::OpenSsl(error))
    }
}
