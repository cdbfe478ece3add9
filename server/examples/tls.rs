//! A server with TLS in HTTP/2, SPDY and HTTP/1.1. SIGHUP has it read its
//! certificate and key again:
//!
//! ```text
//! openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes \
//!     -subj /CN=localhost -addext subjectAltName=DNS:localhost \
//!     -addext basicConstraints=critical,CA:FALSE -keyout key.pem -out cert.pem
//! cargo run -p lacewing-server --features tls,http1 --example tls
//! curl --cacert cert.pem https://localhost:8443/
//! ```

use std::io::Write as _;

use axum::{Extension, Router, routing::get};
use lacewing_server::{ConnectionInfo, Extension::Insert, Identity, Server};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let identity = Identity::from_pem_files("cert.pem", "key.pem")?;
    let server = Server::builder()
        .bind_tls(([127, 0, 0, 1], 8443).into(), &identity)
        .options(|options| {
            options.connection_info(Insert).observer(|event| {
                // eprintln! would panic if the log is closed.
                let _ = writeln!(std::io::stderr(), "{event}");
            })
        })
        .shutdown(async {
            let _ = tokio::signal::ctrl_c().await;
        })
        .build()
        .await?;
    #[cfg(unix)]
    tokio::spawn(reload_when_told(identity));
    let _ = writeln!(std::io::stdout(), "https://localhost:8443/");
    server.serve(Router::new().route("/", get(hello))).await;
    Ok(())
}

async fn hello(Extension(connection): Extension<ConnectionInfo>) -> String {
    let name = connection.tls().and_then(|tls| tls.server_name());
    let name = name.unwrap_or("an address");
    format!("hello over {}, you asked {name}\n", connection.protocol())
}

/// New connections have the new certificate; open ones continue.
#[cfg(unix)]
async fn reload_when_told(identity: Identity) {
    use tokio::signal::unix::{SignalKind, signal};

    let Ok(mut hangups) = signal(SignalKind::hangup()) else {
        return;
    };
    while hangups.recv().await.is_some() {
        match identity.reload() {
            Ok(()) => {
                let _ = writeln!(std::io::stderr(), "certificate and key were read again");
            }
            Err(error) => {
                let _ = writeln!(std::io::stderr(), "the old certificate stays: {error}");
            }
        }
    }
}
