//! The causes of failed TLS handshakes, of either TLS library.

use std::io;

#[cfg(feature = "npn")]
pub(crate) use self::openssl::UntrustedCertificate;

/// The cause of a failed TLS handshake.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(
    not(feature = "tls"),
    expect(dead_code, reason = "without rustls there are fewer")
)]
pub(crate) enum TlsFailure {
    Certificate,
    /// The server's own certificate is that of a certificate authority.
    Authority,
    /// The peer's bytes are no TLS.
    NotTls,
    /// The peer closed the transport instead of an answer.
    Closed,
    Other,
}

/// Without the feature `tls` there is no TLS error.
#[cfg(not(any(feature = "tls", feature = "npn")))]
pub(crate) fn tls_failure(_: &io::Error) -> TlsFailure {
    TlsFailure::Other
}

#[cfg(any(feature = "tls", feature = "npn"))]
pub(crate) fn tls_failure(error: &io::Error) -> TlsFailure {
    use io::ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset, UnexpectedEof};
    // A server that closes with bytes of ours unread resets the transport.
    if let BrokenPipe | ConnectionAborted | ConnectionReset | UnexpectedEof = error.kind() {
        return TlsFailure::Closed;
    }
    let Some(inner) = error.get_ref() else {
        return TlsFailure::Other;
    };
    #[cfg(feature = "tls")]
    if let Some(error) = inner.downcast_ref::<rustls::Error>() {
        use rustls::{Error as Tls, InvalidMessage};
        return match error {
            // The type of webpki's error is not public in rustls.
            Tls::InvalidCertificate(error) if error.to_string().contains("CaUsedAsEndEntity") => {
                TlsFailure::Authority
            }
            Tls::InvalidCertificate(_) | Tls::NoCertificatesPresented => TlsFailure::Certificate,
            // Text in place of a record: its first bytes are no valid type, version or length.
            Tls::InvalidMessage(
                InvalidMessage::InvalidContentType
                | InvalidMessage::UnknownProtocolVersion
                | InvalidMessage::MessageTooLarge,
            ) => TlsFailure::NotTls,
            _ => TlsFailure::Other,
        };
    }
    #[cfg(feature = "npn")]
    return openssl::failure(inner);
    #[cfg(not(feature = "npn"))]
    TlsFailure::Other
}

/// The errors of OpenSSL.
#[cfg(feature = "npn")]
mod openssl {
    use std::fmt;

    use ::openssl::{error::ErrorStack, ssl};

    use super::TlsFailure;

    /// OpenSSL's reasons for bytes that are no record of TLS: WRONG_VERSION_NUMBER,
    /// and two for plain HTTP.
    const NO_TLS: [std::ffi::c_int; 3] = [267, 156, 155];

    const UNEXPECTED_EOF: std::ffi::c_int = 294;

    /// Classifies the error of an OpenSSL handshake.
    pub(super) fn failure(error: &(dyn std::error::Error + Send + Sync + 'static)) -> TlsFailure {
        if error.is::<UntrustedCertificate>() {
            return TlsFailure::Certificate;
        }
        let stack = error
            .downcast_ref::<ssl::Error>()
            .and_then(ssl::Error::ssl_error);
        let mut errors = stack.map(ErrorStack::errors).unwrap_or_default().iter();
        let reason = errors.find_map(|error| match error.reason_code() {
            UNEXPECTED_EOF => Some(TlsFailure::Closed),
            code => NO_TLS.contains(&code).then_some(TlsFailure::NotTls),
        });
        reason.unwrap_or(TlsFailure::Other)
    }

    /// A certificate that OpenSSL does not trust.
    #[derive(Debug)]
    pub(crate) struct UntrustedCertificate(pub(crate) String);

    impl fmt::Display for UntrustedCertificate {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str(&self.0)
        }
    }

    impl std::error::Error for UntrustedCertificate {}
}
