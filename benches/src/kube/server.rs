//! Our server: exec runs a process, and port-forward connects to this machine.

use std::convert::Infallible;
use std::time::Duration;

use http::{HeaderMap, Request, Response};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use lacewing_conn::driver::{Mux, MuxConfig};
use lacewing_conn::{Side, Version};
use lacewing_kube::CommandOutcome;
use lacewing_kube::server::{
    CommandOffer, CommandStreams, ExecSession, ForwardOffer, PortForwardSession, Rejection,
};
use percent_encoding::percent_decode_str;
use tokio::net::TcpListener;
use tokio::process::Command;

use super::{exchange, socket};
use crate::{Error, note};

/// Serves exec and port-forward.
///
/// # Errors
///
/// The listener fails.
pub async fn serve(listener: TcpListener) -> Result<(), Error> {
    loop {
        let (io, _) = listener.accept().await?;
        io.set_nodelay(true)?;
        tokio::spawn(async move {
            let service =
                service_fn(|request| std::future::ready(Ok::<_, Infallible>(answer(request))));
            let connection = http1::Builder::new().serve_connection(TokioIo::new(io), service);
            if let Err(error) = connection.with_upgrades().await {
                note!("HTTP: {error}");
            }
        });
    }
}

/// Serves exchanges on the streams of SPDY/3.1 without HTTP.
///
/// # Errors
///
/// The listener fails.
pub async fn serve_raw(listener: TcpListener) -> Result<(), Error> {
    loop {
        let (io, _) = listener.accept().await?;
        io.set_nodelay(true)?;
        let config = MuxConfig::kubernetes(Side::Server);
        let (mux, connection) = Mux::server(io, Version::Spdy31, config);
        tokio::spawn(connection);
        tokio::spawn(async move {
            while let Some((_, stream)) = mux.accept().await {
                stream.reply(HeaderMap::new());
                tokio::spawn(async move {
                    if let Err(error) = exchange::answer(stream).await {
                        note!("stream: {error}");
                    }
                });
            }
        });
    }
}

fn answer(mut request: Request<Incoming>) -> Response<String> {
    let started = match request.uri().path().ends_with("/exec") {
        true => start_command(&mut request),
        false => start_forward(&mut request),
    };
    match started {
        Ok(response) => response.map(|()| String::new()),
        Err(rejection) => rejection.into_response(),
    }
}

fn start_command(request: &mut Request<Incoming>) -> Result<Response<()>, Rejection> {
    let query = request.uri().query().unwrap_or_default().to_owned();
    let offer = CommandOffer::new(CommandStreams::from_query(&query));
    let (response, pending) = offer.accept(request)?;
    tokio::spawn(async move {
        match pending.session().await {
            Ok(session) => run_command(session, &query).await,
            Err(error) => note!("exec: {error}"),
        }
    });
    Ok(response)
}

async fn run_command(mut session: ExecSession, query: &str) {
    let mut argv = query
        .split('&')
        .filter_map(|pair| pair.strip_prefix("command="))
        .map(decode);
    let mut command = Command::new(argv.next().unwrap_or_default());
    command.args(argv);
    let outcome = session.run(command, Duration::from_secs(2)).await;
    let outcome = outcome.unwrap_or_else(|error| CommandOutcome::Failed(error.to_string()));
    if let Err(error) = session.finish(outcome).await {
        note!("exec: {error}");
    }
}

fn decode(argument: &str) -> String {
    let spaced = argument.replace('+', " ");
    percent_decode_str(&spaced).decode_utf8_lossy().into_owned()
}

fn start_forward(request: &mut Request<Incoming>) -> Result<Response<()>, Rejection> {
    let (response, pending) = ForwardOffer::new().accept(request)?;
    tokio::spawn(async move {
        match pending.session().await {
            Ok(session) => forward(session).await,
            Err(error) => note!("port-forward: {error}"),
        }
    });
    Ok(response)
}

async fn forward(mut session: PortForwardSession) {
    while let Some(forward) = session.accept().await {
        tokio::spawn(async move {
            match socket::connect(forward.port()).await {
                Ok(mut pod) => {
                    // A client that is gone needs no report.
                    let _ = forward.into_io().relay(&mut pod).await;
                }
                Err(error) => forward.fail(&error.to_string()).await,
            }
        });
    }
}
