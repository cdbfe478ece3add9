//! A reverse tunnel: an origin that is not reachable dials out to a relay, and
//! *serves* over the connection that it dialled. Roles do not depend on who
//! dialled: the relay takes the connection, and is the client on it.
//!
//! ```text
//! cargo run -p lacewing-client --features tls --example reverse_tunnel -- \
//!     relay 127.0.0.1:8080 127.0.0.1:7000         # for the public, for origins
//! cargo run -p lacewing-client --features tls --example reverse_tunnel -- \
//!     origin 127.0.0.1:7000                       # behind a NAT
//! ```

use std::io::Write as _;

#[path = "proxy/forward.rs"]
mod forward;

use std::{
    convert::Infallible,
    error::Error,
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Full};
use lacewing_client::{ClientOptions, Connection, Version};
use lacewing_server::{RequestBody, Server, ServerOptions, serve_connection, service_fn};
use tokio::net::{TcpListener, TcpStream};

/// Both sides know it beforehand.
const PROTOCOL: Version = Version::Spdy31;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments.as_slice() {
        ["relay", public, origins] => relay(public.parse()?, origins.parse()?).await,
        ["origin", relay] => origin(relay.parse()?).await,
        _ => Err("usage: reverse_tunnel relay PUBLIC ORIGINS | origin RELAY".into()),
    }
}

/// Serves the public from the origin that connected last.
async fn relay(public: SocketAddr, origins: SocketAddr) -> Result<(), Box<dyn Error>> {
    let current: Arc<Mutex<Option<Connection>>> = Arc::default();
    let listener = TcpListener::bind(origins).await?;
    let taking = Arc::clone(&current);
    tokio::spawn(async move {
        while let Ok((io, from)) = listener.accept().await {
            let _ = writeln!(std::io::stdout(), "an origin at {from}");
            // It dialled, and we ask.
            let (connection, task) = Connection::handshake(io, PROTOCOL, ClientOptions::default());
            tokio::spawn(task);
            *taking.lock().unwrap_or_else(PoisonError::into_inner) = Some(connection);
        }
    });
    let service = service_fn(move |request: Request<RequestBody>| {
        let connection = current
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        async move {
            let open = connection.filter(Connection::is_open);
            let response = match open {
                Some(connection) => forward::forward(&connection, request).await,
                None => {
                    let body = Full::from("no origin is connected\n").map_err(Into::into);
                    let mut response = Response::new(body.boxed_unsync());
                    *response.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
                    response
                }
            };
            Ok::<_, Infallible>(response)
        }
    });
    let server = Server::builder().bind(public).build().await?;
    let _ = writeln!(
        std::io::stdout(),
        "for the public: {public}; for origins: {origins}"
    );
    server.serve(service).await;
    Ok(())
}

/// Dials out, serves, and dials again when the connection is over.
async fn origin(relay: SocketAddr) -> Result<(), Box<dyn Error>> {
    let service = service_fn(|request: Request<RequestBody>| async move {
        let text = format!("{} from behind the tunnel\n", request.uri().path());
        Ok::<_, Infallible>(Response::new(text))
    });
    loop {
        match TcpStream::connect(relay).await {
            Ok(io) => {
                io.set_nodelay(true)?;
                let _ = writeln!(std::io::stdout(), "connected to {relay}");
                let serving = serve_connection(io, PROTOCOL, ServerOptions::default(), service);
                if let Err(error) = serving.await {
                    let _ = writeln!(std::io::stderr(), "{error}");
                }
            }
            Err(error) => {
                let _ = writeln!(std::io::stderr(), "{relay}: {error}");
            }
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
}
