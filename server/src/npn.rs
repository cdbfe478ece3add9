//! TLS by OpenSSL, with Next Protocol Negotiation (draft-agl-tls-nextprotoneg)
//! beside ALPN: for legacy clients (NPN era, 2011 to 2016). All others are
//! better served by [`ServerBuilder::bind_tls`](crate::ServerBuilder#method.bind_tls).
//!
//! The [protocols](crate::ServerOptions::protocols) are offered in their order.
//! If a client knows ALPN, the server chooses. If it only knows NPN, the client
//! chooses. It may choose a protocol that was not offered; the server then
//! closes the connection. HTTP/2 is not offered by NPN, since RFC 9113 §3.2
//! requires ALPN for it.
//!
//! ```no_run
//! # async fn run() -> Result<(), Box<dyn std::error::Error>> {
//! use lacewing_server::{Identity, Protocol, Server, npn};
//!
//! let identity = Identity::from_pem_files("cert.pem", "key.pem")?;
//! let acceptor = npn::acceptor_with(&identity)?;
//! Server::builder()
//!     .bind_npn(([0, 0, 0, 0], 8443).into(), acceptor)
//!     .options(|options| options.protocols([Protocol::Spdy31, Protocol::Spdy3, Protocol::Spdy2]))
//!     .serve(axum::Router::new())
//!     .await?;
//! # Ok(())
//! # }
//! # let _ = run;
//! ```

use std::pin::Pin;

use bytes::Bytes;
use lacewing_conn::npn;
use openssl::{
    error::ErrorStack,
    pkey::PKey,
    ssl::{
        self, AlpnError, NameType, SniError, Ssl, SslAcceptor, SslAlert, SslMethod, SslVersion,
        select_next_proto,
    },
    x509::X509,
};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_openssl::SslStream;

use crate::{
    Identity, Protocol, ServeError, ServerOptions, StartError, TlsInfo,
    tls::{in_time, negotiated},
};

pub use openssl::ssl::SslAcceptorBuilder;

/// The settings of OpenSSL for an identity. Each handshake uses the identity's present
/// certificate, so it can be [reloaded](Identity::reload). Of
/// [several](Identity::and) certificates, the client's server name (SNI) selects one.
///
/// For the rest, see [`acceptor`].
///
/// # Errors
///
/// [`StartError::Tls`] if OpenSSL does not accept one of the certificates or keys.
pub fn acceptor_with(identity: &Identity) -> Result<SslAcceptorBuilder, StartError> {
    let unusable = |error| failed("certificate and key are of no use", &error);
    for pair in identity.pairs() {
        pair.check_for_openssl().map_err(unusable)?;
    }
    let mut builder = legacy().map_err(unusable)?;
    let identity = identity.clone();
    // OpenSSL calls it for clients without a name too.
    builder.set_servername_callback(move |ssl, alert| {
        let pair = identity.choose(ssl.servername(NameType::HOST_NAME));
        let shown = pair.is_some_and(|pair| pair.show(ssl).is_ok());
        if shown {
            return Ok(());
        }
        *alert = SslAlert::INTERNAL_ERROR;
        Err(SniError::ALERT_FATAL)
    });
    Ok(builder)
}

fn legacy() -> Result<SslAcceptorBuilder, ErrorStack> {
    let mut builder = SslAcceptor::mozilla_intermediate_v5(SslMethod::tls_server())?;
    builder.set_max_proto_version(Some(SslVersion::TLS1_2))?;
    Ok(builder)
}

/// The settings of OpenSSL for a certificate chain, the server's own
/// certificate first, and its key, both PEM. OpenSSL reads them, so that they
/// may be of kinds that an [`Identity`] does not have, such as ECDSA on P-521.
///
/// TLS 1.2 is all that it speaks: there is no NPN in TLS 1.3, so that a client
/// that has both would negotiate nothing. The ciphers are those that Mozilla
/// calls intermediate. For others, or for TLS 1.3 with
/// clients that have ALPN, change the builder that this returns, or bring one.
///
/// # Errors
///
/// [`StartError::Tls`] for a certificate or key that cannot be read, and for
/// two that don't belong together.
pub fn acceptor(certificates: &[u8], key: &[u8]) -> Result<SslAcceptorBuilder, StartError> {
    let chain = X509::stack_from_pem(certificates)
        .map_err(|error| failed("the certificate cannot be read", &error))?;
    let key = PKey::private_key_from_pem(key)
        .map_err(|error| failed("the private key cannot be read", &error))?;
    let mut chain = chain.into_iter();
    let own = chain
        .next()
        .ok_or_else(|| StartError::Tls("no certificate (-----BEGIN CERTIFICATE-----)".into()))?;
    let build = || {
        let mut builder = legacy()?;
        builder.set_certificate(&own)?;
        for certificate in chain {
            builder.add_extra_chain_cert(certificate)?;
        }
        builder.set_private_key(&key)?;
        builder.check_private_key()?;
        Ok(builder)
    };
    build().map_err(|error| failed("certificate and key are of no use", &error))
}

fn failed(what: &str, error: &ErrorStack) -> StartError {
    StartError::Tls(format!("{what}: {error}").into())
}

/// The TLS of a listener with NPN.
#[derive(Clone)]
pub(crate) struct Npn {
    acceptor: SslAcceptor,
}

impl Npn {
    /// Offers `protocols` in this order of preference, instead of those that
    /// the builder offered before.
    pub(crate) fn new(
        mut builder: SslAcceptorBuilder,
        protocols: &[Protocol],
    ) -> Result<Self, StartError> {
        let names = protocols.iter().map(|protocol| protocol.alpn());
        let list = npn::alpn_list(names.clone()).map_err(|error| StartError::Tls(error.into()))?;
        builder.set_alpn_select_callback(move |_, theirs| {
            select_next_proto(&list, theirs)
                .and_then(Protocol::from_alpn)
                .map(|protocol| protocol.alpn().as_bytes())
                // As RFC 7301 §3.2 demands.
                .ok_or(AlpnError::ALERT_FATAL)
        });
        let by_npn: Vec<_> = names.filter(|name| npn::may_negotiate(name)).collect();
        // An empty list would invite clients to choose what they like.
        if !by_npn.is_empty() {
            npn::advertise(&mut builder, by_npn).map_err(|error| StartError::Tls(error.into()))?;
        }
        Ok(Self {
            acceptor: builder.build(),
        })
    }

    /// Performs the handshake.
    pub(crate) async fn accept<T>(
        &self,
        io: T,
        options: &ServerOptions,
    ) -> Result<(Protocol, TlsInfo, SslStream<T>), ServeError>
    where
        T: AsyncRead + AsyncWrite + Unpin,
    {
        let stream = Ssl::new(self.acceptor.context()).and_then(|ssl| SslStream::new(ssl, io));
        let mut stream = stream.map_err(|error| ServeError::Tls(error.into()))?;
        let handshake = async {
            let accepted = Pin::new(&mut stream).accept().await;
            accepted.map_err(npn::io_error)
        };
        in_time(handshake, options).await?;
        let ssl = stream.ssl();
        let name = npn::protocol(ssl);
        let protocol = negotiated(name, options)?;
        let mut tls = info(ssl);
        if name.is_some() {
            tls = tls.with_alpn(protocol);
        }
        // With NPN, the client chooses, and may choose a protocol that was not offered.
        if options.protocols.contains(&protocol) {
            Ok((protocol, tls, stream))
        } else {
            Err(ServeError::NotOffered { protocol })
        }
    }
}

/// The name that the client asked for, and its certificates.
fn info(ssl: &ssl::SslRef) -> TlsInfo {
    let mut tls = TlsInfo::default();
    if let Some(name) = ssl.servername(NameType::HOST_NAME) {
        tls = tls.with_server_name(name);
    }
    // A server has the client's own certificate beside the chain, not in it.
    let own = ssl.peer_certificate().and_then(|own| own.to_der().ok());
    let chain = ssl.peer_cert_chain().into_iter().flatten();
    let chain = chain.filter_map(|certificate| certificate.to_der().ok());
    let all = own.into_iter().chain(chain).map(Bytes::from);
    tls.with_peer_certificates(all)
}
