//! A reverse proxy: takes any protocol in cleartext, and forwards to one
//! origin, by a protocol of its own.
//!
//! ```text
//! cargo run -p lacewing-client --features tls --example proxy -- \
//!     127.0.0.1:8080 http://127.0.0.1:9090 spdy/3.1
//! ```
//!
//! The protocol is what an `http` origin speaks, or what is offered by ALPN to
//! an `https` origin.

use std::io::Write as _;

mod forward;

use std::{convert::Infallible, error::Error};

use http::{Request, Uri, uri::PathAndQuery};
use lacewing_client::{Client, Version};
use lacewing_server::{RequestBody, Server, service_fn};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [listen, origin, protocol] = arguments.as_slice() else {
        return Err("usage: proxy LISTEN ORIGIN PROTOCOL".into());
    };
    let origin: Uri = origin.parse()?;
    let version: Version = protocol.parse()?;
    let client = Client::builder()
        .protocols([version])
        .cleartext_protocol(version)
        .build();
    let server = Server::builder().bind(listen.parse()?).build().await?;
    for address in server.local_addrs() {
        let _ = writeln!(
            std::io::stdout(),
            "listening on {address}, in front of {protocol}"
        );
    }
    serve(server, client, origin).await;
    Ok(())
}

/// Forwards the requests of a server's clients to an origin.
pub(crate) async fn serve(server: Server, client: Client, origin: Uri) {
    let service = service_fn(move |mut request: Request<RequestBody>| {
        let (client, origin) = (client.clone(), origin.clone());
        async move {
            if let Some(uri) = at(&origin, request.uri()) {
                *request.uri_mut() = uri;
            }
            Ok::<_, Infallible>(forward::forward(&client, request).await)
        }
    });
    server.serve(service).await;
}

/// The same resource at the origin.
fn at(origin: &Uri, asked: &Uri) -> Option<Uri> {
    let mut parts = origin.clone().into_parts();
    let path = asked.path_and_query().cloned();
    parts.path_and_query = Some(path.unwrap_or(PathAndQuery::from_static("/")));
    Uri::from_parts(parts).ok()
}
