//! A proxy between transports: a client that has only WebSocket reaches a server or a container
//! runtime that has only SPDY, and the reverse. `exec`, `attach` and `port-forward` pass; put it
//! beside a proxy for the rest of the API.
//!
//! ```text
//! cargo run -p lacewing-kube --features client,server,websocket --example bridge -- 127.0.0.1:9000 127.0.0.1:8001 spdy
//! cargo run -p lacewing-kube --features client,websocket --example exec_client -- http://127.0.0.1:9000 mypod date
//! ```

use std::{convert::Infallible, error::Error, net::SocketAddr};

use http::{Request, Response, StatusCode, Uri};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use lacewing_kube::{
    CommandOutcome, CommandStreams, bridge,
    client::{CommandRequest, ForwardRequest, StreamingProtocol},
    server::{CommandOffer, ForwardOffer, PendingCommand, PendingForward, Rejection},
};
use tokio::net::{TcpListener, TcpStream};

/// The server behind the proxy.
#[derive(Clone, Copy)]
struct Upstream {
    address: SocketAddr,
    transport: StreamingProtocol,
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [listen, address, transport] = arguments.as_slice() else {
        return Err("usage: bridge LISTEN UPSTREAM spdy|websocket|http2".into());
    };
    let upstream = Upstream {
        address: address.parse()?,
        transport: match transport.as_str() {
            "spdy" => StreamingProtocol::Spdy,
            "websocket" => StreamingProtocol::WebSocket,
            "http2" => StreamingProtocol::Http2,
            other => return Err(format!("no transport: {other}").into()),
        },
    };
    let listener = TcpListener::bind(listen).await?;
    loop {
        let (io, _) = listener.accept().await?;
        io.set_nodelay(true)?;
        tokio::spawn(async move {
            let service = service_fn(move |request| {
                std::future::ready(Ok::<_, Infallible>(answer(request, upstream)))
            });
            let connection = http1::Builder::new().serve_connection(TokioIo::new(io), service);
            if let Err(error) = connection.with_upgrades().await {
                eprintln!("HTTP: {error}");
            }
        });
    }
}

fn answer(mut request: Request<Incoming>, upstream: Upstream) -> Response<String> {
    let path = request.uri().path();
    let task = path.rsplit('/').next().unwrap_or_default().to_owned();
    let started = match task.as_str() {
        "exec" | "attach" => start_command(&mut request, upstream),
        "portforward" => start_forward(&mut request, upstream),
        _ => {
            let mut response = Response::new("404 page not found".to_owned());
            *response.status_mut() = StatusCode::NOT_FOUND;
            return response;
        }
    };
    match started {
        Ok(response) => response.map(|()| String::new()),
        Err(rejection) => rejection.into_response(),
    }
}

fn start_command(
    request: &mut Request<Incoming>,
    upstream: Upstream,
) -> Result<Response<()>, Rejection> {
    let streams = CommandStreams::from_query(request.uri().query().unwrap_or_default());
    let (response, pending) = CommandOffer::new(streams).accept(request)?;
    let uri = request.uri().clone();
    tokio::spawn(async move {
        if let Err(error) = carry_command(pending, uri, upstream).await {
            eprintln!("command: {error}");
        }
    });
    Ok(response)
}

async fn carry_command(
    pending: PendingCommand,
    uri: Uri,
    upstream: Upstream,
) -> Result<(), Box<dyn Error + Send + Sync>> {
    let downstream = pending.session().await?;
    let uri = upstream.uri(&uri)?;
    let request = CommandRequest::new(uri).with(|ask| ask.transport = upstream.transport);
    match request.connect(|| upstream.dial()).await {
        Ok(session) => drop(bridge::join_command(downstream, session).await?),
        // The client prints the text.
        Err(error) => {
            let failed = CommandOutcome::Failed(error.to_string());
            downstream.finish(failed).await?;
        }
    }
    Ok(())
}

fn start_forward(
    request: &mut Request<Incoming>,
    upstream: Upstream,
) -> Result<Response<()>, Rejection> {
    let (response, pending) = ForwardOffer::new().accept(request)?;
    let uri = request.uri().clone();
    tokio::spawn(async move {
        if let Err(error) = carry_forward(pending, uri, upstream).await {
            eprintln!("port-forward: {error}");
        }
    });
    Ok(response)
}

async fn carry_forward(
    pending: PendingForward,
    uri: Uri,
    upstream: Upstream,
) -> Result<(), Box<dyn Error + Send + Sync>> {
    let downstream = pending.session().await?;
    let uri = upstream.uri(&uri)?;
    let request = ForwardRequest::new(uri).with(|ask| ask.transport = upstream.transport);
    // Without it, the drop of the client's session ends that one, too.
    let session = request.connect(|| upstream.dial()).await?;
    bridge::join_forward(downstream, session).await;
    Ok(())
}

impl Upstream {
    /// The client's URI, at the server.
    fn uri(self, uri: &Uri) -> Result<Uri, http::Error> {
        let path = uri.path_and_query().map_or("/", |path| path.as_str());
        Uri::builder()
            .scheme("http")
            .authority(self.address.to_string())
            .path_and_query(path)
            .build()
    }

    async fn dial(self) -> std::io::Result<TcpStream> {
        let io = TcpStream::connect(self.address).await?;
        io.set_nodelay(true)?;
        Ok(io)
    }
}
