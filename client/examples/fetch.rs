//! Fetches one URL with the library and prints the response: for tests against
//! other implementations.
//!
//! ```text
//! fetch URL PROTOCOL [--insecure] [--upload FILE]
//! ```
//!
//! `PROTOCOL` is `h2`, `spdy/3.1`, `spdy/3` or `spdy/2`: what is offered by
//! ALPN to an `https` server, and spoken without asking to an `http` server.
//! Prints the status, and the length and SHA-256 of the body, each on a line;
//! exits with 1 if there is no complete response.

use std::io::Write as _;
use std::{error::Error, fs, process::ExitCode};

use http::{Method, Request};
use http_body_util::BodyExt as _;
use lacewing_client::{Body, Client, Version};
use sha2::{Digest as _, Sha256};

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    match run().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "fetch: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run() -> Result<(), Box<dyn Error>> {
    let usage = "usage: fetch URL PROTOCOL [--insecure] [--upload FILE]";
    let mut args = std::env::args().skip(1);
    let url = args.next().ok_or(usage)?;
    let version: Version = args.next().ok_or(usage)?.parse().map_err(|_| usage)?;
    let mut builder = Client::builder()
        .protocols([version])
        .cleartext_protocol(version);
    let mut request = Request::get(url).body(Body::empty())?;
    while let Some(arg) = args.next() {
        match arg.as_str() {
            "--insecure" => builder = builder.danger_accept_invalid_certs(),
            "--upload" => {
                let path = args.next().ok_or(usage)?;
                *request.method_mut() = Method::POST;
                *request.body_mut() = Body::from(fs::read(path)?);
            }
            _ => return Err(usage.into()),
        }
    }
    let client = builder.build();
    let response = client.request(request).await?;
    let status = response.status();
    let mut body = response.into_body();
    let mut digest = Sha256::new();
    let mut length = 0_u64;
    while let Some(frame) = body.frame().await {
        if let Ok(data) = frame?.into_data() {
            length += data.len() as u64;
            digest.update(&data);
        }
    }
    let _ = writeln!(std::io::stdout(), "status {}", status.as_u16());
    let _ = writeln!(std::io::stdout(), "length {length}");
    let _ = writeln!(std::io::stdout(), "sha256 {:x}", digest.finalize());
    Ok(())
}
