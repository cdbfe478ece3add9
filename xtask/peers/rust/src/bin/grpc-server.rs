//! grpc-server PORT|unix:PATH tonic|lacewing: the echo service on tonic's own
//! transport (hyper) or on ours.

use lacewing_interop_peers::Error;
use lacewing_interop_peers::echo::{Echo, EchoServer};
use lacewing_server::{Server, ServerOptions, Version, serve_connection};
use tokio::net::UnixListener;

#[tokio::main]
async fn main() -> Result<(), Error> {
    let mut args = std::env::args().skip(1);
    let usage = "usage: grpc-server PORT|unix:PATH tonic|lacewing";
    let place = args.next().ok_or(usage)?;
    let transport = args.next().ok_or(usage)?;
    if let (Some(path), "lacewing") = (place.strip_prefix("unix:"), &transport[..]) {
        return unix(UnixListener::bind(path)?).await;
    }
    let address = ([127, 0, 0, 1], place.parse()?).into();
    match &transport[..] {
        "tonic" => {
            let router = tonic::transport::Server::builder().add_service(EchoServer::new(Echo));
            router.serve(address).await?;
        }
        "lacewing" => {
            let routes = tonic::service::Routes::new(EchoServer::new(Echo));
            let server = Server::builder()
                .bind(address)
                .options(|options| options.observer(|event| eprintln!("{event}")));
            server.serve(routes.into_axum_router()).await?;
        }
        _ => return Err(usage.into()),
    }
    Ok(())
}

async fn unix(listener: UnixListener) -> Result<(), Error> {
    let router = tonic::service::Routes::new(EchoServer::new(Echo)).into_axum_router();
    loop {
        let (io, _) = listener.accept().await?;
        let options = ServerOptions::default().observer(|event| eprintln!("{event}"));
        let serving = serve_connection(io, Version::Http2, options, router.clone());
        tokio::spawn(async {
            if let Err(error) = serving.await {
                eprintln!("{error}");
            }
        });
    }
}
