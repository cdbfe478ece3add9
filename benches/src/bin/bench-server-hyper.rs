//! The bench routes on hyper, HTTP/2 only: prior knowledge, or TLS with ALPN `h2`.

use std::error::Error;
use std::sync::Arc;

use clap::Parser;
use hyper::server::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo};
use lacewing_benches::routes::Routes;
use lacewing_benches::server_arguments::ServerArguments;
use lacewing_benches::{runtime, tls};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

#[cfg(feature = "count-allocations")]
#[global_allocator]
static ALLOCATOR: lacewing_benches::allocations::Counting = lacewing_benches::allocations::Counting;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments = ServerArguments::parse();
    runtime::build(arguments.threads)?.block_on(serve(arguments))
}

async fn serve(arguments: ServerArguments) -> Result<(), Box<dyn Error>> {
    let acceptor = match (&arguments.cert, &arguments.key) {
        (Some(cert), Some(key)) => {
            let config = tls::server_config(cert, key, &["h2"])?;
            Some(TlsAcceptor::from(Arc::new(config)))
        }
        _ => None,
    };
    let mut builder = http2::Builder::new(TokioExecutor::new());
    builder.max_concurrent_streams(arguments.max_streams);
    let listener = TcpListener::bind(arguments.address()).await?;
    println!("hyper listens on {}", listener.local_addr()?);
    loop {
        let (socket, _) = listener.accept().await?;
        socket.set_nodelay(true)?;
        let (builder, acceptor) = (builder.clone(), acceptor.clone());
        tokio::spawn(async move {
            match acceptor {
                None => connection(&builder, socket).await,
                Some(acceptor) => match acceptor.accept(socket).await {
                    Ok(socket) => connection(&builder, socket).await,
                    Err(error) => eprintln!("TLS handshake: {error}"),
                },
            }
        });
    }
}

async fn connection<T>(builder: &http2::Builder<TokioExecutor>, socket: T)
where
    T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let served = builder.serve_connection(TokioIo::new(socket), Routes);
    if let Err(error) = served.await {
        eprintln!("connection: {error}");
    }
}
