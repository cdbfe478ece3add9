//! Pushes over SPDY, with our server and with our client.
//!
//! ```text
//! push serve FOLDER CERT KEY PLAIN-PORT TLS-PORT VERSION
//!     files; GET /push pushes small.txt and 400kb.bin. VERSION is preferred
//!     where SPDY/3 and SPDY/3.1 look the same
//! push take VERSION URL COUNT
//!     prints `STATUS LENGTH SHA256` of URL, and `URL STATUS LENGTH SHA256` of
//!     COUNT pushes, sorted
//! ```

use std::path::{Path, PathBuf};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt as _, Full};
use lacewing_client::{Body, Client, Incoming, Origin, PushPolicy, Pushed, Version};
use lacewing_interop_peers::{Error, files, tls};
use lacewing_server::{Extension, Protocol, Pusher, Server, service_fn};

#[tokio::main]
async fn main() -> Result<(), Error> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    match args[..] {
        ["serve", folder, cert, key, plain, tls_port, version] => {
            let first: Protocol = version.parse()?;
            let folder = PathBuf::from(folder);
            Server::builder()
                .options(|options| {
                    options
                        .protocols([first].into_iter().chain(Protocol::ALL))
                        .pusher(Extension::Insert)
                        .observer(|event| println!("{event}"))
                })
                .bind(([127, 0, 0, 1], plain.parse()?).into())
                .bind_tls(
                    ([127, 0, 0, 1], tls_port.parse()?).into(),
                    tls::server(cert, key)?,
                )
                .serve(service_fn(move |request: Request<_>| {
                    let folder = folder.clone();
                    async move { serve(&folder, &request).await }
                }))
                .await?;
            Ok(())
        }
        ["take", version, url, count] => {
            let taking = take(version.parse()?, url, count.parse()?);
            tokio::time::timeout(Duration::from_secs(30), taking).await?
        }
        _ => Err("usage: push serve|take …".into()),
    }
}

type Answer = Response<UnsyncBoxBody<Bytes, Error>>;

async fn serve<B>(folder: &Path, request: &Request<B>) -> Result<Answer, Error> {
    let path = request.uri().path();
    println!("{} {}", request.method(), request.uri());
    if path == "/push" {
        let pusher = request.extensions().get::<Pusher>();
        let pusher = pusher.ok_or("the client takes no pushes")?;
        for path in ["/small.txt", "/400kb.bin"] {
            pusher.push(Request::get(path).body(())?).await?;
        }
        return Ok(text(StatusCode::OK, "pushed\n"));
    }
    let file = folder.join(path.trim_start_matches('/'));
    if !file.is_file() {
        return Ok(text(StatusCode::NOT_FOUND, "no such file\n"));
    }
    let body = files::body(file, None).map_err(Error::from);
    Ok(Response::new(body.boxed_unsync()))
}

fn text(status: StatusCode, text: &'static str) -> Answer {
    let body = Full::from(text).map_err(|never| match never {});
    let mut answer = Response::new(body.boxed_unsync());
    *answer.status_mut() = status;
    answer
}

async fn take(version: Version, url: &str, count: usize) -> Result<(), Error> {
    let client = Client::builder()
        .protocols([version])
        .cleartext_protocol(version)
        .danger_accept_invalid_certs()
        .options(|options| options.accept_push(PushPolicy::default()))
        .build();
    let connection = client.connection(&Origin::of(&url.parse()?)?).await?;
    let mut promised = connection.pushes();
    let request = Request::get(url).body(Body::empty())?;
    println!("{}", shown(connection.request(request).await?).await?);
    let mut lines = Vec::new();
    for _ in 0..count {
        let pushed = promised.next().await;
        let Pushed {
            request, response, ..
        } = pushed.ok_or("too few pushes")?;
        lines.push(format!(
            "{} {}",
            request.uri(),
            shown(response.await?).await?
        ));
    }
    lines.sort();
    println!("{}", lines.join("\n"));
    Ok(())
}

/// `STATUS LENGTH SHA256`.
async fn shown(response: Response<Incoming>) -> Result<String, Error> {
    let status = response.status().as_u16();
    let body = files::digest(response.into_body()).await?;
    Ok(format!("{status} {} {}", body.length, body.sha256))
}
