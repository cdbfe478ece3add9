//! TLS with certificates from PEM files: an authority of one's own, and a
//! client certificate for servers that ask for one.
//!
//! ```text
//! cargo run -p lacewing-client --features platform-roots --example certificates -- \
//!     https://localhost:8443/ --ca ca.pem --cert client.pem client.key
//! ```
//!
//! Without `--ca`, Mozilla's root certificates are trusted, which are built in;
//! with `--platform`, those of the operating system.

use std::error::Error;
use std::io::Write as _;

use http::Request;
use http_body_util::BodyExt as _;
use lacewing_client::{Body, Client};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let usage = "usage: certificates URL [--platform] [--ca FILE] [--cert CHAIN KEY]";
    let mut arguments = std::env::args().skip(1);
    let url = arguments.next().ok_or(usage)?;
    let mut builder = Client::builder();
    while let Some(argument) = arguments.next() {
        builder = match argument.as_str() {
            "--platform" => builder.platform_roots()?,
            "--ca" => builder.add_ca_file(arguments.next().ok_or(usage)?)?,
            "--cert" => {
                let chain = arguments.next().ok_or(usage)?;
                let key = arguments.next().ok_or(usage)?;
                builder.client_certificate_files(chain, key)?
            }
            _ => return Err(usage.into()),
        };
    }
    let client = builder.build();
    let response = client
        .request(Request::get(url).body(Body::empty())?)
        .await?;
    let _ = writeln!(
        std::io::stdout(),
        "{} by {:?}",
        response.status(),
        response.version()
    );
    let body = response.into_body().collect().await?.to_bytes();
    let _ = writeln!(std::io::stdout(), "{}", String::from_utf8_lossy(&body));
    Ok(())
}
