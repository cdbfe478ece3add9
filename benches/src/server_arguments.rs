//! The command line that every bench server understands.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use clap::Parser;
use rustls::ServerConfig;

use crate::{Error, tls};

/// A bench server on 127.0.0.1: `GET /`, `GET /bytes/N`, `POST /upload`,
/// `POST /echo`, `GET /allocations`
#[derive(Clone, Debug, Parser)]
pub struct ServerArguments {
    /// Port to listen on
    #[arg(long, value_name = "P")]
    pub port: u16,
    /// Worker threads; 1 is a single-threaded runtime
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub threads: usize,
    /// Streams that a client may have open on one connection
    #[arg(long, value_name = "N", default_value_t = 1000)]
    pub max_streams: u32,
    /// Certificate chain (PEM): speak TLS
    #[arg(long, value_name = "FILE", requires = "key")]
    pub cert: Option<PathBuf>,
    /// Private key (PEM) of the certificate
    #[arg(long, value_name = "FILE", requires = "cert")]
    pub key: Option<PathBuf>,
}

impl ServerArguments {
    /// The address to listen on.
    pub fn address(&self) -> SocketAddr {
        (Ipv4Addr::LOCALHOST, self.port).into()
    }

    /// The TLS configuration that `--cert` and `--key` ask for, offering
    /// `protocols` by ALPN; `None` for cleartext.
    ///
    /// # Errors
    ///
    /// As [`tls::server_config`].
    pub fn tls(&self, protocols: &[&str]) -> Result<Option<ServerConfig>, Error> {
        match (&self.cert, &self.key) {
            (Some(cert), Some(key)) => tls::server_config(cert, key, protocols).map(Some),
            _ => Ok(None),
        }
    }
}
