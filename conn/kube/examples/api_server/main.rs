//! An API server of one pod, for kubectl: `exec`, `attach`, `cp` and `port-forward` run
//! real commands and connections on this machine.
//!
//! ```text
//! cargo run -p lacewing-kube --features process,websocket --example api_server -- 127.0.0.1:8443 [--tls] > kubeconfig
//! kubectl --kubeconfig kubeconfig exec mypod -- date
//! ```
//!
//! Everyone who reaches the port may run commands: loopback only.

mod api;
mod command;
mod forward;
#[cfg(unix)]
mod terminal;

use std::{convert::Infallible, error::Error, io::Write, net::SocketAddr, sync::Arc};

use hyper::{server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpListener,
};
use tokio_rustls::TlsAcceptor;

type BoxError = Box<dyn Error + Send + Sync>;

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    let (options, arguments): (Vec<String>, Vec<String>) = std::env::args()
        .skip(1)
        .partition(|argument| argument.starts_with("--"));
    let [address] = arguments.as_slice() else {
        return Err("usage: api_server ADDRESS [--tls]".into());
    };
    let listener = TcpListener::bind(address).await?;
    let address = listener.local_addr()?;
    let tls = match options.iter().any(|option| option == "--tls") {
        true => Some(acceptor()?),
        false => None,
    };
    let config = kubeconfig(address, tls.as_ref().map(|(_, pem)| pem.as_str()));
    let mut stdout = std::io::stdout();
    stdout.write_all(config.as_bytes())?;
    stdout.flush()?;
    loop {
        let (io, _) = listener.accept().await?;
        io.set_nodelay(true)?;
        let tls = tls.as_ref().map(|(acceptor, _)| acceptor.clone());
        tokio::spawn(async move {
            match tls {
                None => serve(io).await,
                Some(acceptor) => match acceptor.accept(io).await {
                    Ok(io) => serve(io).await,
                    Err(error) => eprintln!("TLS: {error}"),
                },
            }
        });
    }
}

async fn serve<IO>(io: IO)
where
    IO: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let service =
        service_fn(|request| std::future::ready(Ok::<_, Infallible>(api::answer(request))));
    let connection = http1::Builder::new().serve_connection(TokioIo::new(io), service);
    if let Err(error) = connection.with_upgrades().await {
        eprintln!("HTTP: {error}");
    }
}

/// A certificate of its own for this run, and its PEM text.
fn acceptor() -> Result<(TlsAcceptor, String), BoxError> {
    let names = ["localhost".to_owned(), "127.0.0.1".to_owned()];
    let own = rcgen::generate_simple_self_signed(names)?;
    let key = rustls::pki_types::PrivateKeyDer::try_from(own.signing_key.serialize_der())?;
    let mut config = rustls::ServerConfig::builder()
        .with_no_client_auth()
        .with_single_cert(vec![own.cert.der().clone()], key)?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok((TlsAcceptor::from(Arc::new(config)), own.cert.pem()))
}

/// A kubeconfig is YAML, of which JSON is a part.
fn kubeconfig(address: SocketAddr, certificate: Option<&str>) -> String {
    let cluster = match certificate {
        // `certificate-authority-data` is base64 of PEM; this example trusts the loopback.
        Some(_) => serde_json::json!({
            "server": format!("https://{address}"), "insecure-skip-tls-verify": true,
        }),
        None => serde_json::json!({ "server": format!("http://{address}") }),
    };
    let config = serde_json::json!({
        "apiVersion": "v1", "kind": "Config", "current-context": "example",
        "clusters": [{ "name": "example", "cluster": cluster }],
        // Without a credential, kubectl would ask for one over TLS.
        "users": [{ "name": "example", "user": { "token": "example" } }],
        "contexts": [{ "name": "example", "context": { "cluster": "example", "user": "example" } }],
    });
    format!("{config}\n")
}
