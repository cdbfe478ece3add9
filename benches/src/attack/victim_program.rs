//! The victim's program: the facades at their defaults, with routes that behave
//! well and badly, and figures over the standard streams. Every name of the
//! facades that the suite uses is here.

use std::io::{BufRead, Write};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, OnceLock};
use std::time::Duration;

use bytes::Bytes;
use clap::{Parser, Subcommand, ValueEnum};
use http::{
    HeaderMap, HeaderValue, Method, Request, Response, StatusCode,
    header::{CONNECTION, DATE, LOCATION, SET_COOKIE, UPGRADE},
};
use http_body::Body;
use http_body_util::{BodyExt, Either, Empty};
use hyper_util::rt::{TokioExecutor, TokioIo};
use lacewing_client::{ClientOptions, Connection, PushPolicy};
use lacewing_conn::driver::{Mux, MuxConfig};
use lacewing_server::{
    ConnectionConfig, ExtendedConnect, Limits, MemoryBudget, Protocol, RequestBody, Server,
    ServerBuilder, ServerEvent, Side, TunnelBody, Version, service_fn,
};
use tokio::io::AsyncWriteExt as _;
use tokio::net::{TcpListener, TcpStream};
use tokio::time::sleep;

use super::heap;
use crate::routes::{RouteBody, Routes};
use crate::{Error, runtime};

/// The time after which a client reads late.
const LATE: Duration = Duration::from_secs(3);

/// Bytes of errors that are kept.
const MOST_REPORTED: usize = 2_000;

/// The cookies of `/reflect/N`: the same digits in another order.
pub(crate) const SECRETS: [&str; 2] = ["session=7b0e94c1d25f38a6", "session=6a83f52d1c49e0b7"];

/// The time for which a handler that never ends runs.
const FOR_EVER: Duration = Duration::from_secs(3600);

#[derive(Debug, Parser)]
#[command(about = "The victim of the attack suite; its figures go over the standard streams")]
struct Arguments {
    #[command(subcommand)]
    side: Victim,
    /// Worker threads
    #[arg(long, global = true, default_value_t = 2)]
    threads: usize,
    /// A limit other than the default: preface, headers, settings, stall, drain
    /// or idle, and seconds
    #[arg(long, global = true, value_name = "NAME=SECONDS", value_parser = limit)]
    limit: Vec<(String, Duration)>,
    /// Reports what a server's connections met, for the attacker to read
    #[arg(long, global = true)]
    report: bool,
    /// MiB that all connections may hold together, other than the default
    #[arg(long, global = true, value_name = "MIB")]
    memory: Option<usize>,
}

#[derive(Debug, Subcommand)]
enum Victim {
    /// Serves every protocol on one port
    Server {
        /// The protocols in cleartext, preferred first
        #[arg(long, value_delimiter = ',')]
        protocols: Vec<Protocol>,
        /// Offers extended CONNECT
        #[arg(long)]
        extended_connect: bool,
    },
    /// Serves HTTP/2 by hyper: the same routes, for a comparison
    Hyper,
    /// Asks a server for `/`, again and again
    Client {
        #[arg(long)]
        connect: SocketAddr,
        #[arg(long)]
        protocol: Protocol,
        /// Requests at a time
        #[arg(long, default_value_t = 8)]
        requests: usize,
        /// The use of the bodies of responses
        #[arg(long, value_enum, default_value_t = Bodies::Read)]
        bodies: Bodies,
        /// Connections, one after another where they end
        #[arg(long, default_value_t = 1)]
        connections: usize,
        /// Takes pushes, and leaves them waiting
        #[arg(long)]
        push: bool,
    },
}

/// A client's treatment of bodies.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum Bodies {
    Read,
    Hold,
    /// Read after three seconds.
    Late,
}

static HANDLERS: AtomicU64 = AtomicU64::new(0);
static MOST_HANDLERS: AtomicU64 = AtomicU64::new(0);
static ANSWERED: AtomicU64 = AtomicU64::new(0);
static FAILED: AtomicU64 = AtomicU64::new(0);
static ENDED: AtomicU64 = AtomicU64::new(0);
static BUDGET: OnceLock<MemoryBudget> = OnceLock::new();
static ERROR: Mutex<String> = Mutex::new(String::new());

/// Runs the victim until its standard input ends.
///
/// # Errors
///
/// Sockets that do not open, and arguments without meaning.
pub fn main() -> Result<(), Error> {
    let arguments = Arguments::parse();
    let (begin, begun) = tokio::sync::oneshot::channel();
    std::thread::spawn(move || answer_questions(begin));
    let budget = arguments
        .memory
        .map_or_else(MemoryBudget::global, |mib| MemoryBudget::new(mib << 20));
    let _ = BUDGET.set(budget.clone());
    runtime::build(arguments.threads)?.block_on(async {
        match arguments.side {
            Victim::Server {
                protocols,
                extended_connect,
            } => {
                let mut builder = Server::builder();
                if arguments.report {
                    builder = builder.options(|options| options.observer(report));
                }
                if extended_connect {
                    builder =
                        builder.options(|options| options.extended_connect(ExtendedConnect::Offer));
                }
                serve(builder, &arguments.limit, budget, protocols).await
            }
            Victim::Hyper => serve_by_hyper().await,
            Victim::Client {
                connect,
                protocol,
                requests,
                bodies,
                connections,
                push,
            } => {
                // The server beside it shows whether the client starves others.
                let (limit, shared) = (arguments.limit.clone(), budget.clone());
                let beside = tokio::spawn(async move {
                    serve(Server::builder(), &limit, shared, Vec::new()).await
                });
                let _ = begun.await;
                let Some(version) = protocol.version() else {
                    return Err("the client multiplexes: no HTTP/1.1".into());
                };
                for _ in 0..connections {
                    let limits = limits(Side::Client, &arguments.limit);
                    let config = ConnectionConfig::new(Side::Client).with(|config| {
                        config.limits = limits.into();
                        config.memory_budget = budget.clone();
                    });
                    let mut options = ClientOptions::default().connection(config);
                    if push {
                        options = options.accept_push(PushPolicy::default());
                    }
                    tokio::spawn(ask(connect, version, options, requests, bodies));
                }
                beside.await?
            }
        }
    })
}

/// Changes the limits that the command line names.
fn limits(side: Side, changes: &[(String, Duration)]) -> Limits {
    let mut limits = Limits::new(side);
    for (name, time) in changes {
        match name.as_str() {
            "preface" => limits.preface_timeout = *time,
            "headers" => limits.headers_timeout = *time,
            "settings" => limits.settings_timeout = *time,
            // Every limit on a peer that makes no progress.
            "stall" => {
                limits.write_stall_timeout = *time;
                limits.frame_timeout = *time;
                limits.body_timeout = *time;
                limits.stall_timeout = *time;
                limits.pressed_stall_timeout = *time;
                limits.max_silence = Some(*time);
                limits.keep_alive_timeout = *time;
            }
            "drain" => limits.drain_timeout = *time,
            _ => limits.idle_timeout = Some(*time),
        }
    }
    limits
}

/// Keeps the first errors of a server's connections, in one line.
fn report(event: &ServerEvent<'_>) {
    let worth = matches!(
        event,
        ServerEvent::MemoryPressure { .. }
            | ServerEvent::StreamFailed { .. }
            | ServerEvent::Closed { error: Some(_), .. }
    );
    let Ok(mut text) = ERROR.lock() else { return };
    if worth && text.len() < MOST_REPORTED {
        if !text.is_empty() {
            text.push_str(" | ");
        }
        text.push_str(&event.to_string().replace('\n', " "));
    }
}

async fn serve(
    builder: ServerBuilder,
    changes: &[(String, Duration)],
    budget: MemoryBudget,
    protocols: Vec<Protocol>,
) -> Result<(), Error> {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
    let config = ConnectionConfig::new(Side::Server).with(|config| {
        config.limits = limits(Side::Server, changes).into();
        config.memory_budget = budget;
    });
    let mut builder = builder.connection(config);
    if !protocols.is_empty() {
        builder = builder.options(|options| options.protocols(protocols));
    }
    let address = listener.local_addr()?;
    let server = builder.listen(listener).build().await?;
    crate::say!("{address}");
    server.serve(service_fn(handle::<RequestBody>)).await;
    Ok(())
}

async fn serve_by_hyper() -> Result<(), Error> {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
    crate::say!("{}", listener.local_addr()?);
    let builder = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
    loop {
        let (socket, _) = listener.accept().await?;
        let service = hyper::service::service_fn(handle::<hyper::body::Incoming>);
        let connection = builder.serve_connection(TokioIo::new(socket), service);
        tokio::spawn(connection);
    }
}

type ResponseBody<B> = Either<RouteBody<B>, Either<TunnelBody, Empty<Bytes>>>;

/// A body without content.
fn empty<B: Body<Data = Bytes>>() -> ResponseBody<B> {
    Either::Right(Either::Right(Empty::new()))
}

/// The bench routes, and handlers that are slow or rude.
///
/// | request | answer |
/// |---|---|
/// | `GET /sleep/N` | after N milliseconds |
/// | `POST /unread` | never; keeps the body and does not read it |
/// | `POST /ignore` | at once; drops the body |
/// | `GET /reflect/N?TEXT` | at once, with secret N as its cookie and TEXT in `location` |
/// | `CONNECT` | a tunnel that echoes; by extended CONNECT for `/unread`, never |
/// | `GET /tunnel`, HTTP/1.1 | 101: the streams of SPDY/3.1, or the connection, echo |
async fn handle<B>(request: Request<B>) -> Result<Response<ResponseBody<B>>, Error>
where
    B: Body<Data = Bytes> + Unpin,
    Error: From<B::Error>,
{
    let _counted = Handler::count();
    let path = request.uri().path();
    let slept = path.strip_prefix("/sleep/").map(str::parse::<u64>);
    if *request.method() == Method::CONNECT && path != "/unread" {
        let (response, tunnel) = lacewing_server::tunnel(&request)?;
        tokio::spawn(echo(tunnel));
        return Ok(response.map(|body| Either::Right(Either::Left(body))));
    }
    match path {
        "/tunnel" => return Ok(switch(request)),
        "/unread" => {
            sleep(FOR_EVER).await;
            drop(request);
        }
        "/ignore" => drop(request),
        _ if path.starts_with("/reflect/") => return Ok(reflect(&request)),
        _ => match slept {
            Some(Ok(milliseconds)) => {
                sleep(Duration::from_millis(milliseconds)).await;
                drop(request);
            }
            Some(Err(_)) => {
                let mut response = Response::new(empty());
                *response.status_mut() = StatusCode::BAD_REQUEST;
                return Ok(response);
            }
            None => {
                let response = Routes.respond(request).await.map_err(Error::from)?;
                return Ok(response.map(Either::Left));
            }
        },
    }
    Ok(Response::new(empty()))
}

/// A response whose only variable parts are a secret and a text of the client.
fn reflect<B>(request: &Request<B>) -> Response<ResponseBody<B>>
where
    B: Body<Data = Bytes>,
{
    let mut response = Response::new(empty());
    let fields = response.headers_mut();
    let number = request.uri().path().trim_start_matches("/reflect/");
    let secret = number.parse().ok().and_then(|at: usize| SECRETS.get(at));
    fields.extend(secret.map(|secret| (SET_COOKIE, HeaderValue::from_static(secret))));
    let text = request.uri().query().map(HeaderValue::from_str);
    fields.extend(text.and_then(Result::ok).map(|text| (LOCATION, text)));
    // The time of day would change the length too.
    let date = HeaderValue::from_static("Sun, 06 Nov 1994 08:49:37 GMT");
    fields.insert(DATE, date);
    response
}

/// Switches a connection of HTTP/1.1 to another protocol.
fn switch<B>(request: Request<B>) -> Response<ResponseBody<B>>
where
    B: Body<Data = Bytes> + Unpin,
{
    let mut response = Response::new(empty());
    let Some(protocol) = request.headers().get(UPGRADE).cloned() else {
        *response.status_mut() = StatusCode::UPGRADE_REQUIRED;
        return response;
    };
    let spdy = protocol == "SPDY/3.1";
    let fields = response.headers_mut();
    fields.insert(CONNECTION, HeaderValue::from_static("upgrade"));
    fields.insert(UPGRADE, protocol);
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    let upgrading = hyper::upgrade::on(request);
    tokio::spawn(async move {
        let Ok(io) = upgrading.await else { return };
        let io = TokioIo::new(io);
        if !spdy {
            return echo(io).await;
        }
        let config = MuxConfig::kubernetes(Side::Server);
        let (mux, connection) = Mux::server(io, Version::Spdy31, config);
        tokio::spawn(connection);
        while let Some((_, stream)) = mux.accept().await {
            stream.reply(HeaderMap::new());
            tokio::spawn(echo(stream));
        }
    });
    response
}

/// Sends back what arrives, and then an end.
async fn echo(io: impl tokio::io::AsyncRead + tokio::io::AsyncWrite) {
    let (mut reader, mut writer) = tokio::io::split(io);
    if tokio::io::copy(&mut reader, &mut writer).await.is_ok() {
        let _ = writer.shutdown().await;
    }
}

/// A handler that runs.
struct Handler;

impl Handler {
    fn count() -> Handler {
        let now = HANDLERS.fetch_add(1, Relaxed) + 1;
        MOST_HANDLERS.fetch_max(now, Relaxed);
        Handler
    }
}

impl Drop for Handler {
    fn drop(&mut self) {
        HANDLERS.fetch_sub(1, Relaxed);
    }
}

/// Makes requests on one connection until it ends.
async fn ask(
    to: SocketAddr,
    version: Version,
    options: ClientOptions,
    requests: usize,
    bodies: Bodies,
) {
    let Ok(socket) = TcpStream::connect(to).await else {
        return;
    };
    let (connection, driver) = Connection::handshake(socket, version, options);
    for _ in 0..requests {
        let connection = connection.clone();
        tokio::spawn(async move {
            let mut held = Vec::new();
            while connection.is_open() {
                let request = Request::get(format!("http://{to}/")).body(Empty::<Bytes>::new());
                let Ok(request) = request else { return };
                match connection.request(request).await {
                    Err(_) => {
                        FAILED.fetch_add(1, Relaxed);
                        sleep(Duration::from_millis(5)).await;
                    }
                    Ok(response) => match bodies {
                        Bodies::Hold => {
                            ANSWERED.fetch_add(1, Relaxed);
                            held.push(response);
                        }
                        Bodies::Read | Bodies::Late => {
                            if let Bodies::Late = bodies {
                                sleep(LATE).await;
                            }
                            let counter = match read(response.into_body()).await {
                                Ok(()) => &ANSWERED,
                                Err(error) => {
                                    if let (Bodies::Late, Ok(mut text)) = (bodies, ERROR.lock()) {
                                        *text = error.to_string();
                                    }
                                    &FAILED
                                }
                            };
                            counter.fetch_add(1, Relaxed);
                        }
                    },
                }
            }
            // The connection is over, and with it what was held.
            drop(held);
        });
    }
    let result = driver.await;
    ENDED.fetch_add(1, Relaxed);
    if let (Err(error), Ok(mut text)) = (result, ERROR.lock()) {
        *text = error.to_string();
    }
}

/// Reads a body piece by piece, and keeps nothing.
async fn read(mut body: lacewing_client::Incoming) -> Result<(), Error> {
    while let Some(frame) = body.frame().await {
        frame?;
    }
    Ok(())
}

/// A thread of its own: a busy runtime answers no request.
fn answer_questions(begin: tokio::sync::oneshot::Sender<()>) {
    let mut begin = Some(begin);
    for line in std::io::stdin().lock().lines() {
        let Ok(line) = line else { break };
        let mut out = std::io::stdout().lock();
        let written = match line.as_str() {
            "restart" => {
                heap::restart();
                writeln!(out, "restarted")
            }
            "begin" => {
                if let Some(begin) = begin.take() {
                    let _ = begin.send(());
                }
                writeln!(out, "begun")
            }
            _ => writeln!(
                out,
                "live={} peak={} held={} handlers={} answered={} failed={} ended={} error={}",
                heap::live(),
                heap::peak(),
                BUDGET.get().map_or(0, MemoryBudget::held),
                MOST_HANDLERS.load(Relaxed),
                ANSWERED.load(Relaxed),
                FAILED.load(Relaxed),
                ENDED.load(Relaxed),
                ERROR.lock().map(|text| text.clone()).unwrap_or_default(),
            ),
        };
        if written.is_err() {
            break;
        }
    }
    std::process::exit(0);
}

/// `NAME=SECONDS`.
fn limit(text: &str) -> Result<(String, Duration), String> {
    const NAMES: [&str; 6] = ["preface", "headers", "settings", "stall", "drain", "idle"];
    let (name, seconds) = text.split_once('=').ok_or("NAME=SECONDS")?;
    if !NAMES.contains(&name) {
        return Err(format!("no limit `{name}`: {}", NAMES.join(", ")));
    }
    let seconds = seconds.strip_suffix('s').unwrap_or(seconds);
    let seconds = seconds
        .parse()
        .map_err(|_| format!("no time: `{seconds}`"))?;
    Ok((name.to_owned(), Duration::from_secs(seconds)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_have_a_name_and_seconds() {
        let two = Duration::from_secs(2);
        assert_eq!(limit("stall=2s"), Ok(("stall".to_owned(), two)));
        assert!(limit("stall").is_err() && limit("stall=x").is_err() && limit("x=1").is_err());
        let changed = limits(Side::Server, &[("headers".to_owned(), two)]);
        assert_eq!(changed.headers_timeout, two);
    }
}
