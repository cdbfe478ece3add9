//! site FOLDER CERT KEY PLAIN-PORT TLS-PORT: an axum application on our server,
//! for what `lacewingd` has no use for.
//!
//! ```text
//! GET  /NAME      the file NAME of FOLDER
//! POST /digest    `LENGTH SHA256` of the request body; PUT as well
//! POST /echo      the request body, as it comes
//! POST /trailers  the digest, then the request's trailers as the response's
//! POST /refuse    403, without a look at the body
//! GET  /events    1,000 Server-Sent Events, in bursts of 100
//! ```

use std::convert::Infallible;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use bytes::Bytes;
use futures_util::{StreamExt as _, stream};
use http_body::Frame;
use http_body_util::StreamBody;
use lacewing_interop_peers::{Error, files, tls};
use lacewing_server::Server;
use tower_http::services::ServeDir;

#[tokio::main]
async fn main() -> Result<(), Error> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [folder, cert, key, plain, tls_port] = args.as_slice() else {
        return Err("usage: site FOLDER CERT KEY PLAIN-PORT TLS-PORT".into());
    };
    let router = Router::new()
        .route("/digest", post(digest).put(digest))
        .route("/echo", post(echo))
        .route("/trailers", post(trailers))
        .route("/refuse", post(async || StatusCode::FORBIDDEN))
        .route("/events", get(events))
        .fallback_service(ServeDir::new(folder));
    Server::builder()
        .bind(([127, 0, 0, 1], plain.parse()?).into())
        .bind_tls(
            ([127, 0, 0, 1], tls_port.parse()?).into(),
            tls::server(cert, key)?,
        )
        .observer(|event| println!("{event}"))
        .serve(router)
        .await?;
    Ok(())
}

async fn digest(request: Request) -> Response {
    match files::digest(request.into_body()).await {
        Ok(body) => format!("{} {}", body.length, body.sha256).into_response(),
        Err(error) => (StatusCode::BAD_REQUEST, error.to_string()).into_response(),
    }
}

async fn echo(request: Request) -> Body {
    request.into_body()
}

async fn trailers(request: Request) -> Response {
    match files::digest(request.into_body()).await {
        Ok(body) => {
            let text = Frame::data(Bytes::from(body.sha256));
            let fields = Frame::trailers(body.trailers.unwrap_or_default());
            let frames = [text, fields].map(Ok::<_, Infallible>);
            Body::new(StreamBody::new(stream::iter(frames))).into_response()
        }
        Err(error) => (StatusCode::BAD_REQUEST, error.to_string()).into_response(),
    }
}

async fn events() -> Response {
    let events = stream::iter(0..1_000).then(async |number| {
        if number % 100 == 0 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        Ok::<_, Infallible>(format!("id: {number}\ndata: event {number}\n\n"))
    });
    let head = [
        (header::CONTENT_TYPE, "text/event-stream"),
        (header::CACHE_CONTROL, "no-store"),
    ];
    (head, Body::from_stream(events)).into_response()
}
