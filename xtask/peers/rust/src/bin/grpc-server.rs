//! grpc-server PORT tonic|lacewing: the echo service on tonic's own transport
//! (hyper) or on ours.

use lacewing_interop_peers::Error;
use lacewing_interop_peers::echo::{Echo, EchoServer};
use lacewing_server::Server;

#[tokio::main]
async fn main() -> Result<(), Error> {
    let mut args = std::env::args().skip(1);
    let usage = "usage: grpc-server PORT tonic|lacewing";
    let port: u16 = args.next().ok_or(usage)?.parse()?;
    let address = ([127, 0, 0, 1], port).into();
    match args.next().as_deref() {
        Some("tonic") => {
            let router = tonic::transport::Server::builder().add_service(EchoServer::new(Echo));
            router.serve(address).await?;
        }
        Some("lacewing") => {
            let routes = tonic::service::Routes::new(EchoServer::new(Echo));
            let server = Server::builder()
                .bind(address)
                .observer(|event| eprintln!("{event}"));
            server.serve(routes.into_axum_router()).await?;
        }
        _ => return Err(usage.into()),
    }
    Ok(())
}
