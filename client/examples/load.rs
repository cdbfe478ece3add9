//! Makes many requests of one URL at once, over as many connections as the
//! server requires, and counts the failures. For tests against servers that end
//! connections under load.
//!
//! ```text
//! load URL PROTOCOL REQUESTS AT_ONCE [--post BYTES]
//! ```
//!
//! Prints `REQUESTS requests, FAILED failed`, and each error with its number;
//! exits with 1 if a request failed.

use std::io::Write as _;
use std::{collections::BTreeMap, error::Error, process::ExitCode};

use bytes::Bytes;
use futures_util::{StreamExt as _, stream};
use http::Request;
use http_body_util::{BodyExt as _, Full};
use lacewing_client::{Client, Version};

#[tokio::main]
async fn main() -> ExitCode {
    match run().await {
        Ok(0) => ExitCode::SUCCESS,
        Ok(_) => ExitCode::FAILURE,
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "load: {error}");
            ExitCode::FAILURE
        }
    }
}

/// The number of failed requests.
async fn run() -> Result<usize, Box<dyn Error>> {
    let usage = "usage: load URL PROTOCOL REQUESTS AT_ONCE [--post BYTES]";
    let args: Vec<_> = std::env::args().skip(1).collect();
    let (url, version, numbers) = match &args[..] {
        [url, version, numbers @ ..] => (url, version.parse::<Version>()?, numbers),
        _ => return Err(usage.into()),
    };
    let (requests, at_once, upload) = match numbers {
        [requests, at_once] => (requests.parse()?, at_once.parse()?, None),
        [requests, at_once, post, bytes] if post == "--post" => {
            let upload = Bytes::from(vec![b'x'; bytes.parse()?]);
            (requests.parse()?, at_once.parse()?, Some(upload))
        }
        _ => return Err(usage.into()),
    };
    let client = Client::builder()
        .protocols([version])
        .cleartext_protocol(version)
        .danger_accept_invalid_certs()
        .build();
    let request = |_| {
        let request = match &upload {
            Some(_) => Request::post(url),
            None => Request::get(url),
        };
        let request = request.body(Full::new(upload.clone().unwrap_or_default()));
        let client = &client;
        async move {
            let response = client.request(request?).await?;
            response.into_body().collect().await?;
            Ok::<(), Box<dyn Error>>(())
        }
    };
    let requests: usize = requests;
    let all: Vec<_> = stream::iter(0..requests)
        .map(request)
        .buffer_unordered(at_once)
        .collect()
        .await;
    let mut errors: BTreeMap<String, usize> = BTreeMap::new();
    for error in all.into_iter().filter_map(Result::err) {
        *errors.entry(error.to_string()).or_default() += 1;
    }
    let failed = errors.values().sum();
    let _ = writeln!(std::io::stdout(), "{requests} requests, {failed} failed");
    for (error, times) in errors {
        let _ = writeln!(std::io::stdout(), "{times} × {error}");
    }
    Ok(failed)
}
