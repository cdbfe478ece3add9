//! tower-http's client layers on a `Client`: redirects, decompression, a timeout, and a field of
//! every request.
//!
//! ```text
//! cargo run -p lacewing-client --example layers
//! ```

use std::{convert::Infallible, error::Error, io::Write, time::Duration};

use http::{HeaderValue, Request, Response, StatusCode, header};
use http_body_util::BodyExt as _;
use lacewing_client::{Body, Client, Version};
use lacewing_server::{RequestBody, Server, service_fn};
use tower::{Service as _, ServiceBuilder, ServiceExt as _};
use tower_http::{
    compression::CompressionLayer, decompression::DecompressionLayer,
    follow_redirect::FollowRedirectLayer, set_header::SetRequestHeaderLayer, timeout::TimeoutLayer,
};

#[tokio::main]
pub(crate) async fn main() -> Result<(), Box<dyn Error>> {
    run(&mut std::io::stdout()).await
}

pub(crate) async fn run(output: &mut impl Write) -> Result<(), Box<dyn Error>> {
    let server = Server::builder().bind(([127, 0, 0, 1], 0).into());
    let server = server.build().await?;
    let address = server.local_addrs().next().ok_or("no address")?;
    let service = ServiceBuilder::new()
        .layer(CompressionLayer::new())
        .service(service_fn(site));
    tokio::spawn(server.serve(service));

    let client = Client::builder()
        .cleartext_protocol(Version::Spdy31)
        .build();
    let agent = HeaderValue::from_static("layers/1.0");
    let timeout = Duration::from_secs(10);
    // A request passes from the first to the last, and a response back.
    let mut client = ServiceBuilder::new()
        .layer(SetRequestHeaderLayer::overriding(header::USER_AGENT, agent))
        .layer(FollowRedirectLayer::new())
        .layer(DecompressionLayer::new())
        .layer(TimeoutLayer::with_status_code(
            StatusCode::GATEWAY_TIMEOUT,
            timeout,
        ))
        .service(client.for_body::<Body>());
    let request = Request::get(format!("http://{address}/old")).body(Body::empty())?;
    let response = client.ready().await?.call(request).await?;
    // The coding is undone, and so its name is gone.
    let coding = response.headers().contains_key(header::CONTENT_ENCODING);
    let text = response
        .into_body()
        .collect()
        .await
        .map_err(|error| error.to_string())?;
    let text = text.to_bytes();
    writeln!(output, "{} bytes, still coded: {coding}", text.len())?;
    let first = text.split(|byte| *byte == b'\n').next().unwrap_or_default();
    writeln!(output, "{}", String::from_utf8_lossy(first))?;
    Ok(())
}

/// Redirects `/old`, and tells what it knows of the request.
async fn site(request: Request<RequestBody>) -> Result<Response<String>, Infallible> {
    let mut response = Response::new(String::new());
    if request.uri().path() == "/old" {
        *response.status_mut() = StatusCode::FOUND;
        let location = HeaderValue::from_static("/new");
        response.headers_mut().insert(header::LOCATION, location);
        return Ok(response);
    }
    let field = |name| {
        let value = request.headers().get(name).map(HeaderValue::as_bytes);
        String::from_utf8_lossy(value.unwrap_or(b"none")).into_owned()
    };
    let (agent, accepted) = (field(header::USER_AGENT), field(header::ACCEPT_ENCODING));
    let path = request.uri().path();
    *response.body_mut() = format!("{path} for {agent}, which accepts {accepted}\n");
    response.body_mut().push_str(&"x".repeat(5_000));
    Ok(response)
}
