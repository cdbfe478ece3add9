//! Metrics for Prometheus, on an address of their own, with the answers for probes.

mod endpoint;
mod page;
mod registry;

use std::{io, net::SocketAddr, sync::Arc};

use lacewing_server::{ServeError, ServerEvent};
use metrics::{counter, gauge};
use tokio::{net::TcpListener, sync::watch};

pub(crate) use self::endpoint::Readiness;
use self::{endpoint::Endpoint, registry::Registry};
use crate::{generation::Generation, log::Log};

/// The address of the metrics, and their values.
pub(crate) struct Metrics {
    listener: TcpListener,
    registry: Registry,
}

impl Metrics {
    /// Binds the address. Everything that the program counts from now on has values.
    pub(crate) async fn bind(address: SocketAddr) -> Result<Self, String> {
        let failed = |error: &dyn std::fmt::Display| format!("--metrics {address}: {error}");
        let listener = TcpListener::bind(address).await;
        let listener = listener.map_err(|error| match error.kind() {
            io::ErrorKind::AddrInUse => {
                let port = address.port();
                failed(&format!(
                    "another program has port {port}: stop it, or choose another port"
                ))
            }
            _ => failed(&error),
        })?;
        let registry = Registry::default();
        let installed = metrics::set_global_recorder(registry.clone());
        installed.map_err(|error| failed(&error))?;
        gauge!("lacewingd_build_info", "version" => env!("CARGO_PKG_VERSION")).set(1);
        reloaded(true);
        Ok(Self { listener, registry })
    }

    pub(crate) fn address(&self) -> Option<SocketAddr> {
        self.listener.local_addr().ok()
    }

    /// Answers those who ask, without an end.
    pub(crate) fn serve(
        self,
        generation: watch::Receiver<Arc<Generation>>,
        log: Log,
        readiness: Readiness,
    ) -> impl Future<Output = ()> + Send + 'static {
        let endpoint = Endpoint {
            registry: self.registry,
            generation,
            log,
            readiness,
        };
        endpoint.serve(self.listener)
    }
}

/// Counts what the server tells and its own metrics do not have.
pub(crate) fn observe(event: &ServerEvent<'_>) {
    match event {
        ServerEvent::Closed {
            connection, error, ..
        } => {
            let (by, reason) = match error {
                None => ("none", "graceful".into()),
                Some(ServeError::Connection(error)) => (
                    match error.initiator() {
                        lacewing_server::Initiator::Peer => "client",
                        lacewing_server::Initiator::Io => "transport",
                        _ => "server",
                    },
                    match error.reason() {
                        lacewing_server::Reason::Unknown(_) => "unknown".into(),
                        known => known.to_string(),
                    },
                ),
                Some(error) => ("server", kind_of(error).into()),
            };
            let protocol = connection.protocol().alpn();
            counter!("lacewingd_connections_closed_total",
                "protocol" => protocol, "by" => by, "reason" => reason)
            .increment(1);
        }
        ServerEvent::Rejected { error, .. } => {
            counter!("lacewingd_connections_rejected_total", "reason" => kind_of(error))
                .increment(1);
        }
        ServerEvent::AcceptFailed { .. } => {
            counter!("lacewingd_accept_failures_total").increment(1);
        }
        ServerEvent::AcceptPaused { .. } => {
            counter!("lacewingd_accept_pauses_total").increment(1);
        }
        _ => {}
    }
}

fn kind_of(error: &ServeError) -> &'static str {
    match error {
        ServeError::Detect(_) => "no_protocol",
        ServeError::NotOffered { .. } | ServeError::NoAlpn => "not_offered",
        ServeError::Tls(_) => "tls",
        ServeError::TlsTimeout { .. } => "tls_timeout",
        ServeError::MadeRoom { .. } => "made_room",
        ServeError::DrainTimeout { .. } => "drain_timeout",
        ServeError::Http1(_) => "http1",
        ServeError::Connection(_) => "connection",
        _ => "other",
    }
}

/// Counts a reload.
pub(crate) fn reloaded(is_good: bool) {
    let result = if is_good { "success" } else { "failure" };
    counter!("lacewingd_config_loads_total", "result" => result).increment(1);
    gauge!("lacewingd_config_last_load_successful").set(f64::from(u8::from(is_good)));
}
