//! A TLS server with a certificate of its own making, for tests and for looking at traffic.

use std::{net::SocketAddr, sync::Arc};

use rustls::{
    ServerConfig,
    crypto::ring,
    pki_types::{CertificateDer, PrivateKeyDer},
};

use crate::status::Failure;

/// Makes a certificate for the names of the loopback and for the address.
pub(crate) fn config(address: SocketAddr) -> Result<ServerConfig, Failure> {
    make(address).map_err(|error| Failure::local(format!("cannot make a certificate: {error}")))
}

fn make(address: SocketAddr) -> Result<ServerConfig, Box<dyn std::error::Error>> {
    let mut names = ["localhost", "127.0.0.1", "::1"].map(String::from).to_vec();
    let host = address.ip().to_string();
    if !address.ip().is_unspecified() && !names.contains(&host) {
        names.push(host);
    }
    let made = rcgen::generate_simple_self_signed(names)?;
    let key = PrivateKeyDer::try_from(made.signing_key.serialize_der())?;
    let chain: Vec<CertificateDer<'static>> = vec![made.cert.der().clone()];
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(chain, key)?;
    Ok(config)
}
