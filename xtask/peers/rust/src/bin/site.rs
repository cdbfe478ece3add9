//! site FOLDER CERT KEY PLAIN-PORT TLS-PORT [ADDRESS]: an axum application on our server,
//! for what `lacewingd` has no use for.
//!
//! ```text
//! GET  /NAME      the file NAME of FOLDER
//! POST /digest    `LENGTH SHA256` of the request body; PUT as well
//! POST /echo      the request body, as it comes
//! POST /trailers  the digest, then the request's trailers as the response's
//! POST /refuse    403, without a look at the body
//! GET  /events    1,000 Server-Sent Events, in bursts of 100
//! GET  /hints     103 twice, then 200
//! GET  /push      pushes small.txt, 400kb.bin and 1mb.bin
//! CONNECT         with a protocol: `websocket` messages or bytes are sent back;
//!                 without: a tunnel to the host and port
//! ```
//!
//! Takes `Upgrade: h2c`, and advertises its origin and an alternative to it.

use std::convert::Infallible;
use std::net::IpAddr;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::extract::ws::{Message, WebSocket, WebSocketUpgrade};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{any, get, post};
use bytes::Bytes;
use futures_util::{StreamExt as _, stream};
use http_body::Frame;
use http_body_util::StreamBody;
use lacewing_interop_peers::{Error, files, tls, tunnels};
use lacewing_server::axum::Upgrades;
use lacewing_server::{
    ConnectRequest, ExtendedConnect, Extension, H2cUpgrade, Informer, Pusher, Server,
};
use tokio::net::TcpStream;
use tower_http::services::ServeDir;

#[tokio::main]
async fn main() -> Result<(), Error> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [folder, cert, key, plain, tls_port, rest @ ..] = args.as_slice() else {
        return Err("usage: site FOLDER CERT KEY PLAIN-PORT TLS-PORT [ADDRESS]".into());
    };
    let address: IpAddr = rest.first().map_or("127.0.0.1", String::as_str).parse()?;
    let router = Router::new()
        .route("/digest", post(digest).put(digest))
        .route("/echo", post(echo))
        .route("/trailers", post(trailers))
        .route("/refuse", post(async || StatusCode::FORBIDDEN))
        .route("/events", get(events))
        .route("/hints", get(hints))
        .route("/push", get(push))
        .route(AXUM_WEBSOCKET, any(axum_websocket))
        .fallback_service(ServeDir::new(folder))
        .layer(middleware::from_fn(connect));
    let origin = format!("https://localhost:{tls_port}");
    Server::builder()
        .options(|options| {
            options
                .extended_connect(ExtendedConnect::Offer)
                .informer(Extension::Insert)
                .pusher(Extension::Insert)
                .h2c_upgrade(H2cUpgrade::Accept {
                    max_body: 1_000_000,
                })
                .origins([origin.as_str(), "https://lacewing.example"])
                .alternative_services(origin.as_str(), "h2=\":8000\"; ma=60")
                .observer(|event| println!("{event}"))
        })
        .bind((address, plain.parse()?).into())
        .bind_tls((address, tls_port.parse()?).into(), tls::server(cert, key)?)
        .serve(Upgrades::new(router))
        .await?;
    Ok(())
}

/// By axum's own extractor, and not by a tunnel of ours.
const AXUM_WEBSOCKET: &str = "/axum-websocket";

async fn axum_websocket(upgrade: WebSocketUpgrade) -> Response {
    upgrade.on_upgrade(async |mut socket: WebSocket| {
        while let Some(Ok(message)) = socket.recv().await {
            let is_said = matches!(message, Message::Text(_) | Message::Binary(_));
            if is_said && socket.send(message).await.is_err() {
                return;
            }
        }
    })
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

async fn hints(request: Request) -> &'static str {
    if let Some(informer) = request.extensions().get::<Informer>() {
        for value in ["</a.css>; rel=preload", "</b.css>; rel=preload"] {
            let link = HeaderMap::from_iter([(header::LINK, HeaderValue::from_static(value))]);
            informer.early_hints(link);
        }
    }
    "hinted\n"
}

async fn push(request: Request) -> Result<&'static str, String> {
    let pusher = request.extensions().get::<Pusher>();
    let pusher = pusher.ok_or("the client takes no pushes")?;
    for path in ["/small.txt", "/400kb.bin", "/1mb.bin"] {
        let promised = http::Request::get(path)
            .body(())
            .map_err(|e| e.to_string())?;
        pusher.push(promised).await.map_err(|e| e.to_string())?;
    }
    Ok("pushed\n")
}

/// CONNECT requests; all others go on.
async fn connect(request: Request, next: Next) -> Response {
    match request.extensions().get::<ConnectRequest>() {
        Some(connect)
            if request.method() == Method::CONNECT && request.uri().path() != AXUM_WEBSOCKET =>
        {
            let target = request.uri().to_string();
            println!("CONNECT {target}");
            let tunneled = tunnel(connect, target).await;
            tunneled.unwrap_or_else(|error| {
                println!("tunnel: {error}");
                StatusCode::BAD_GATEWAY.into_response()
            })
        }
        _ => next.run(request).await,
    }
}

async fn tunnel(connect: &ConnectRequest, target: String) -> Result<Response, Error> {
    // Connected first: a target that is not there is no success.
    let upstream = match connect.protocol() {
        None => Some(TcpStream::connect(target).await?),
        Some(_) => None,
    };
    let (response, mut tunnel) = connect.accept()?;
    let websocket = connect.protocol() == Some("websocket");
    tokio::spawn(async move {
        let ended = match upstream {
            Some(mut upstream) => tokio::io::copy_bidirectional(&mut tunnel, &mut upstream)
                .await
                .map(drop)
                .map_err(Error::from),
            None if websocket => tunnels::echo_messages(tunnel).await,
            None => tunnels::echo(tunnel).await,
        };
        if let Err(error) = ended {
            println!("tunnel: {error}");
        }
    });
    Ok(response.map(Body::new))
}
