//! visit COMMAND URL …: our client, for what `lacewing get` has no words for.
//!
//! ```text
//! get URL                    prints `STATUS LENGTH SHA256`
//! trailers URL FILE N=V      posts FILE with a trailer, prints the response's trailers
//! hints URL                  prints the interim responses, then as `get`
//! expect URL FILE            posts FILE when the server says 100, prints the body
//! pushes URL COUNT           prints `PATH STATUS LENGTH SHA256` of each push, sorted
//! advertised URL              prints the origins and alternatives that the server names
//! tunnel URL PROTOCOL FILE   sends FILE through extended CONNECT, prints the digest of its echo
//! connect URL HOST:PORT FILE the same through CONNECT; URL is the proxy
//! websocket URL COUNT        sends COUNT messages, each echoed
//! upgrade URL [FILE]         as `get`, or posts FILE, by `Upgrade: h2c`
//! ```

use std::sync::{Arc, Mutex};
use std::time::Duration;

use http::{HeaderMap, HeaderName, Request};
use lacewing_client::{
    Body, Client, ConnectProtocol, OnInformational, Origin, PushPolicy, Pushed, Version,
};
use lacewing_interop_peers::{Error, files, tunnels};

#[tokio::main]
async fn main() -> Result<(), Error> {
    tokio::time::timeout(Duration::from_secs(60), run()).await?
}

async fn run() -> Result<(), Error> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let builder = Client::builder()
        .protocols([Version::Http2])
        .danger_accept_invalid_certs();
    let client = match args[..] {
        ["upgrade", ..] => builder.h2c_upgrade(),
        ["pushes", ..] => builder
            .cleartext_protocol(Version::Http2)
            .options(|options| options.accept_push(PushPolicy::default())),
        _ => builder.cleartext_protocol(Version::Http2),
    };
    let client = client.build();
    match args[..] {
        ["get", url] | ["upgrade", url] => {
            let request = Request::get(url).body(Body::empty())?;
            println!("{}", fetch(&client, request).await?);
        }
        ["upgrade", url, file] => {
            let request = Request::post(url).body(Body::from(std::fs::read(file)?))?;
            println!("{}", fetch(&client, request).await?);
        }
        ["trailers", url, file, field] => trailers(&client, url, file, field).await?,
        ["hints", url] => hints(&client, url).await?,
        ["expect", url, file] => expect(&client, url, file).await?,
        ["pushes", url, count] => pushes(&client, url, count.parse()?).await?,
        ["advertised", url] => advertised(&client, url).await?,
        ["tunnel", url, protocol, file] => {
            let mut request = Request::connect(url).body(())?;
            let protocol = ConnectProtocol::from_bytes(protocol.as_bytes()).ok_or("no protocol")?;
            request.extensions_mut().insert(protocol);
            let origin = Origin::of(&url.parse()?)?;
            let (_, tunnel) = client.tunnel(&origin, request).await?;
            println!("{}", tunnels::exchange(tunnel, std::fs::read(file)?).await?);
        }
        ["connect", url, target, file] => {
            let request = Request::connect(target).body(())?;
            let origin = Origin::of(&url.parse()?)?;
            let (_, tunnel) = client.tunnel(&origin, request).await?;
            println!("{}", tunnels::exchange(tunnel, std::fs::read(file)?).await?);
        }
        ["websocket", url, count] => {
            let mut request = Request::connect(url)
                .header("sec-websocket-version", "13")
                .body(())?;
            let protocol = ConnectProtocol::from_static("websocket");
            request.extensions_mut().insert(protocol);
            let origin = Origin::of(&url.parse()?)?;
            let (_, tunnel) = client.tunnel(&origin, request).await?;
            tunnels::converse(tunnel, count.parse()?).await?;
            println!("{count} echoes");
        }
        _ => return Err("usage: visit COMMAND URL …".into()),
    }
    Ok(())
}

/// `STATUS LENGTH SHA256`.
async fn fetch(client: &Client, request: Request<Body>) -> Result<String, Error> {
    shown(client.request(request).await?).await
}

async fn shown(response: http::Response<lacewing_client::Incoming>) -> Result<String, Error> {
    let status = response.status().as_u16();
    let body = files::digest(response.into_body()).await?;
    Ok(format!("{status} {} {}", body.length, body.sha256))
}

async fn trailers(client: &Client, url: &str, file: &str, field: &str) -> Result<(), Error> {
    let (name, value) = field.split_once('=').ok_or("NAME=VALUE is missing")?;
    let mut fields = HeaderMap::new();
    fields.insert(HeaderName::try_from(name)?, value.try_into()?);
    let request = Request::post(url)
        .header("te", "trailers")
        // Go drops what was not advertised.
        .header("trailer", name)
        .body(files::body(file.into(), Some(fields)))?;
    let response = client.request(request).await?;
    let answer = files::digest(response.into_body()).await?;
    for (name, value) in &answer.trailers.unwrap_or_default() {
        println!("{name}={}", value.to_str()?);
    }
    Ok(())
}

async fn hints(client: &Client, url: &str) -> Result<(), Error> {
    let mut request = Request::get(url).body(Body::empty())?;
    let heard = OnInformational::new(|response| {
        let link = response.headers().get("link");
        let link = link.and_then(|link| link.to_str().ok()).unwrap_or("");
        println!("{} {link}", response.status().as_u16());
    });
    request.extensions_mut().insert(heard);
    println!("{}", fetch(client, request).await?);
    Ok(())
}

async fn expect(client: &Client, url: &str, file: &str) -> Result<(), Error> {
    let heard = Arc::new(Mutex::new(Vec::new()));
    let mut request = Request::post(url)
        .header("expect", "100-continue")
        .body(files::body(file.into(), None))?;
    let sink = Arc::clone(&heard);
    request
        .extensions_mut()
        .insert(OnInformational::new(move |response| {
            if let Ok(mut heard) = sink.lock() {
                heard.push(response.status().as_u16());
            }
        }));
    let answer = shown(client.request(request).await?).await?;
    println!("{:?} {answer}", heard.lock().map_err(|e| e.to_string())?);
    Ok(())
}

async fn pushes(client: &Client, url: &str, count: usize) -> Result<(), Error> {
    let connection = client.connection(&Origin::of(&url.parse()?)?).await?;
    let mut promised = connection.pushes();
    let request = Request::get(url).body(Body::empty())?;
    let answer = shown(connection.request(request).await?).await?;
    let mut lines = Vec::new();
    for _ in 0..count {
        let pushed = promised.next().await;
        let Pushed {
            request, response, ..
        } = pushed.ok_or("too few pushes")?;
        let path = request.uri().path().to_owned();
        lines.push(format!("{path} {}", shown(response.await?).await?));
    }
    lines.sort();
    println!("{}\n{answer}", lines.join("\n"));
    Ok(())
}

async fn advertised(client: &Client, url: &str) -> Result<(), Error> {
    let connection = client.connection(&Origin::of(&url.parse()?)?).await?;
    let request = Request::get(url).body(Body::empty())?;
    shown(connection.request(request).await?).await?;
    for origin in connection.origins() {
        println!("origin {origin}");
    }
    for service in connection.alternative_services() {
        let origin = service.origin.map(|origin| origin.to_string());
        let origin = origin.unwrap_or_else(|| "same".into());
        println!("alternative {origin} {}", service.value.to_str()?);
    }
    Ok(())
}
