//! hyper-client PORT plain|tls COMMAND …: hyper as an HTTP/2 client.
//!
//! ```text
//! get PATH                 prints `STATUS LENGTH SHA256`
//! post PATH FILE           the same, of the response to FILE as the request body
//! parallel N PATH          N requests at once: `N STATUS LENGTH SHA256` if all agree
//! trailers PATH FILE N=V   posts FILE with a trailer, and prints the response's trailers
//! ```

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, Request};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt as _, Empty};
use hyper::client::conn::http2::{self, SendRequest};
use hyper_util::rt::{TokioExecutor, TokioIo};
use lacewing_interop_peers::files::Digested;
use lacewing_interop_peers::{Error, files, tls};
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

type Body = UnsyncBoxBody<Bytes, std::io::Error>;

#[tokio::main]
async fn main() -> Result<(), Error> {
    tokio::time::timeout(Duration::from_secs(60), run()).await?
}

async fn run() -> Result<(), Error> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let [port, security, command @ ..] = args.as_slice() else {
        return Err("usage: hyper-client PORT plain|tls COMMAND …".into());
    };
    let socket = TcpStream::connect(("127.0.0.1", port.parse()?)).await?;
    let (scheme, mut sender) = if *security == "tls" {
        let connector = TlsConnector::from(Arc::new(tls::client()?));
        let name = ServerName::try_from("localhost")?;
        let socket = connector.connect(name, socket).await?;
        if socket.get_ref().1.alpn_protocol() != Some(b"h2") {
            return Err("the server does not choose h2".into());
        }
        ("https", handshake(socket).await?)
    } else {
        ("http", handshake(socket).await?)
    };
    let url = |path: &str| format!("{scheme}://localhost:{port}{path}");
    match command {
        ["get", path] => {
            let request = Request::get(url(path)).body(empty())?;
            println!("{}", shown(&exchange(&mut sender, request).await?));
        }
        ["post", path, file] => {
            let body = files::body(file.into(), None).boxed_unsync();
            let request = Request::post(url(path)).body(body)?;
            println!("{}", shown(&exchange(&mut sender, request).await?));
        }
        ["parallel", count, path] => {
            let mut answers = tokio::task::JoinSet::new();
            for _ in 0..count.parse()? {
                let (mut sender, url) = (sender.clone(), url(path));
                answers.spawn(async move {
                    let request = Request::get(url).body(empty())?;
                    exchange(&mut sender, request)
                        .await
                        .map(|answer| shown(&answer))
                });
            }
            let mut first = None;
            while let Some(answer) = answers.join_next().await {
                let answer = answer??;
                if *first.get_or_insert_with(|| answer.clone()) != answer {
                    return Err(format!("{answer} differs").into());
                }
            }
            println!("{count} {}", first.unwrap_or_default());
        }
        ["trailers", path, file, field] => {
            let (name, value) = field.split_once('=').ok_or("NAME=VALUE is missing")?;
            let mut trailers = HeaderMap::new();
            trailers.insert(HeaderName::try_from(name)?, value.try_into()?);
            let body = files::body(file.into(), Some(trailers)).boxed_unsync();
            let request = Request::post(url(path))
                .header("te", "trailers")
                .body(body)?;
            let (_, answer) = exchange(&mut sender, request).await?;
            for (name, value) in &answer.trailers.unwrap_or_default() {
                println!("{name}={}", value.to_str()?);
            }
        }
        _ => return Err(format!("no command {command:?}").into()),
    }
    Ok(())
}

async fn handshake<T>(socket: T) -> Result<SendRequest<Body>, Error>
where
    T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let builder = http2::Builder::new(TokioExecutor::new());
    let (sender, connection) = builder.handshake(TokioIo::new(socket)).await?;
    tokio::spawn(async move {
        if let Err(error) = connection.await {
            eprintln!("connection: {error}");
        }
    });
    Ok(sender)
}

async fn exchange(
    sender: &mut SendRequest<Body>,
    request: Request<Body>,
) -> Result<(u16, Digested), Error> {
    sender.ready().await?;
    let response = sender.send_request(request).await?;
    let status = response.status().as_u16();
    Ok((status, files::digest(response.into_body()).await?))
}

fn shown((status, answer): &(u16, Digested)) -> String {
    format!("{status} {} {}", answer.length, answer.sha256)
}

fn empty() -> Body {
    Empty::new().map_err(|never| match never {}).boxed_unsync()
}
