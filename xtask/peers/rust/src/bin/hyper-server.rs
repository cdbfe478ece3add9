//! hyper-server PORT FOLDER [CERT KEY]: hyper as an HTTP/2 server.
//!
//! ```text
//! GET  /NAME      the file NAME of FOLDER
//! POST /digest    the SHA-256 of the request body, in hex
//! POST /echo      the request body
//! POST /trailers  the request's trailers, as the response's
//! ```

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt as _, Full, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::server::conn::http2;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use lacewing_interop_peers::{Error, files, tls};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

#[tokio::main]
async fn main() -> Result<(), Error> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let (port, folder, tls) = match args.as_slice() {
        [port, folder] => (port, folder, None),
        [port, folder, cert, key] => {
            let mut config = tls::server(cert, key)?;
            config.alpn_protocols = vec![b"h2".to_vec()];
            (port, folder, Some(TlsAcceptor::from(Arc::new(config))))
        }
        _ => return Err("usage: hyper-server PORT FOLDER [CERT KEY]".into()),
    };
    let folder: Arc<Path> = Path::new(folder).into();
    let listener = TcpListener::bind(("127.0.0.1", port.parse()?)).await?;
    loop {
        let (socket, _) = listener.accept().await?;
        let (folder, tls) = (Arc::clone(&folder), tls.clone());
        tokio::spawn(async move {
            match tls {
                None => serve(socket, folder).await,
                Some(tls) => match tls.accept(socket).await {
                    Ok(socket) => serve(socket, folder).await,
                    Err(error) => println!("TLS: {error}"),
                },
            }
        });
    }
}

async fn serve<T>(socket: T, folder: Arc<Path>)
where
    T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let service = service_fn(move |request: Request<Incoming>| {
        let folder = Arc::clone(&folder);
        async move { answer(request, &folder).await }
    });
    let builder = http2::Builder::new(TokioExecutor::new());
    if let Err(error) = builder
        .serve_connection(TokioIo::new(socket), service)
        .await
    {
        println!("connection: {error}");
    }
}

async fn answer(
    request: Request<Incoming>,
    folder: &Path,
) -> Result<Response<UnsyncBoxBody<Bytes, io::Error>>, io::Error> {
    println!(
        "{} {} {:?}",
        request.method(),
        request.uri().path(),
        request.version()
    );
    let path = request.uri().path().to_owned();
    let body = match (request.method(), path.as_str()) {
        (&Method::POST, "/digest") => {
            let digested = files::digest(request.into_body())
                .await
                .map_err(io::Error::other)?;
            whole(digested.sha256)
        }
        (&Method::POST, "/echo") => request.into_body().map_err(io::Error::other).boxed_unsync(),
        (&Method::POST, "/trailers") => {
            let digested = files::digest(request.into_body())
                .await
                .map_err(io::Error::other)?;
            let text = Frame::data(Bytes::from(digested.sha256));
            let trailers = Frame::trailers(digested.trailers.unwrap_or_default());
            StreamBody::new(futures_util::stream::iter([Ok(text), Ok(trailers)])).boxed_unsync()
        }
        _ => return file(folder.join(path.trim_start_matches('/'))).await,
    };
    Ok(Response::new(body))
}

async fn file(path: PathBuf) -> Result<Response<UnsyncBoxBody<Bytes, io::Error>>, io::Error> {
    let Ok(about) = tokio::fs::metadata(&path).await else {
        let mut response = Response::new(whole("no such file\n"));
        *response.status_mut() = StatusCode::NOT_FOUND;
        return Ok(response);
    };
    let body = files::body(path, None);
    let mut response = Response::new(body.boxed_unsync());
    response
        .headers_mut()
        .insert("content-length", about.len().into());
    Ok(response)
}

fn whole(text: impl Into<Bytes>) -> UnsyncBoxBody<Bytes, io::Error> {
    Full::new(text.into())
        .map_err(|never| match never {})
        .boxed_unsync()
}
