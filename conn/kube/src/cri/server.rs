//! The streaming server.

use std::{fmt, sync::Arc};

use http::{Method, Request, Response, StatusCode, Uri};
use tokio::time::Instant;

use super::{
    error::CriError,
    options::CriOptions,
    request::{AttachRequest, ExecRequest, PortForwardRequest},
    runtime::Runtime,
    session_end::{SessionEnd, SessionRequest},
    token::TokenStore,
};
use crate::{
    error::KubeError,
    outcome::CommandOutcome,
    server::{
        CommandOffer, CommandStreams, ForwardOffer, PendingCommand, PendingForward, Rejection,
    },
};

/// The streaming server of a container runtime. A handle, cheap to clone.
///
/// It has no listener: pass it the requests of an HTTP/1.1 server that serves upgrades.
///
/// ```no_run
/// use axum::{Router, extract::Request};
/// use lacewing_kube::cri::{CriError, CriOptions, CriServer, Runtime};
///
/// async fn serve(runtime: impl Runtime) -> Result<(), Box<dyn std::error::Error>> {
///     let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
///     let cri = CriServer::new(runtime, CriOptions::at(listener.local_addr()?))?;
///     // The RPCs call `cri.exec_url(request)`, and answer with the URL.
///     let handler = move |request: Request| std::future::ready(cri.handle(request));
///     Ok(axum::serve(listener, Router::new().fallback(handler)).await?)
/// }
/// ```
pub struct CriServer<R> {
    inner: Arc<Inner<R>>,
}

struct Inner<R> {
    runtime: R,
    options: CriOptions,
    /// The base URL up to the last `/` of its path, and the path alone.
    prefix: String,
    path: String,
    tokens: TokenStore<SessionRequest>,
}

impl<R> Clone for CriServer<R> {
    fn clone(&self) -> Self {
        Self {
            inner: Arc::clone(&self.inner),
        }
    }
}

impl<R> fmt::Debug for CriServer<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CriServer")
            .field("options", &self.inner.options)
            .finish_non_exhaustive()
    }
}

impl<R: Runtime> CriServer<R> {
    /// Creates a server.
    ///
    /// # Errors
    ///
    /// [`CriError::BaseUrl`] if [`CriOptions::base_url`] is not absolute.
    pub fn new(runtime: R, options: CriOptions) -> Result<Self, CriError> {
        let wrong = || CriError::BaseUrl(options.base_url.clone());
        let uri: Uri = options.base_url.parse().map_err(|_| wrong())?;
        let (scheme, authority) = uri.scheme_str().zip(uri.authority()).ok_or_else(wrong)?;
        let (directory, _) = uri.path().rsplit_once('/').unwrap_or_default();
        let path = format!("{directory}/");
        Ok(Self {
            inner: Arc::new(Inner {
                prefix: format!("{scheme}://{authority}{path}"),
                path,
                tokens: TokenStore::new(options.max_tokens, options.token_lifetime),
                runtime,
                options,
            }),
        })
    }

    /// Returns the URL that answers the RPC `Exec`. It is valid once.
    ///
    /// # Errors
    ///
    /// The request is not valid, or too many URLs wait for their client.
    pub fn exec_url(&self, request: ExecRequest) -> Result<String, CriError> {
        request.check()?;
        self.url(SessionRequest::Exec(request))
    }

    /// Returns the URL that answers the RPC `Attach`. It is valid once.
    ///
    /// # Errors
    ///
    /// The request is not valid, or too many URLs wait for their client.
    pub fn attach_url(&self, request: AttachRequest) -> Result<String, CriError> {
        request.check()?;
        self.url(SessionRequest::Attach(request))
    }

    /// Returns the URL that answers the RPC `PortForward`. It is valid once.
    ///
    /// # Errors
    ///
    /// The request is not valid, or too many URLs wait for their client.
    pub fn port_forward_url(&self, request: PortForwardRequest) -> Result<String, CriError> {
        request.check()?;
        self.url(SessionRequest::PortForward(request))
    }

    fn url(&self, waiting: SessionRequest) -> Result<String, CriError> {
        let segment = waiting.segment();
        let token = self.inner.tokens.insert(waiting)?;
        Ok(format!("{}{segment}/{token}", self.inner.prefix))
    }

    /// Answers a request of the HTTP server: GET or POST to one of the URLs. A session starts
    /// on a task of its own once the client has the response.
    ///
    /// The token is spent before any header field is looked at, as in Go's server.
    pub fn handle<B>(&self, mut request: Request<B>) -> Response<String> {
        match self.start(&mut request) {
            Ok(response) => response.map(|()| String::new()),
            Err(rejection) => rejection.into_response(),
        }
    }

    fn start<B>(&self, request: &mut Request<B>) -> Result<Response<()>, Rejection> {
        let not_found = || Rejection::new(StatusCode::NOT_FOUND, "404 page not found");
        if !matches!(*request.method(), Method::GET | Method::POST) {
            let text = "405: Method Not Allowed";
            return Err(Rejection::new(StatusCode::METHOD_NOT_ALLOWED, text));
        }
        let path = request.uri().path().strip_prefix(&self.inner.path);
        let (segment, token) = path
            .and_then(|path| path.split_once('/'))
            .ok_or_else(not_found)?;
        let waiting = self.inner.tokens.take(token).ok_or_else(not_found)?;
        // conmon-rs has a hyphen in the name.
        let is_right_kind = segment == waiting.segment()
            || (segment == "port-forward" && matches!(waiting, SessionRequest::PortForward(_)));
        if !is_right_kind {
            return Err(not_found());
        }
        let server = self.clone();
        let started = Instant::now();
        match &waiting {
            SessionRequest::Exec(ExecRequest { streams, .. })
            | SessionRequest::Attach(AttachRequest { streams, .. }) => {
                let (response, pending) = self.offer(*streams).accept(request)?;
                tokio::spawn(server.serve_command(waiting, pending, started));
                Ok(response)
            }
            SessionRequest::PortForward(forward) => {
                let limits = self.inner.options.limits.clone();
                let offer = ForwardOffer::new().with(|offer| {
                    offer.ports.clone_from(&forward.ports);
                    offer.limits = limits;
                });
                let (response, pending) = offer.accept(request)?;
                tokio::spawn(server.serve_forwards(forward.clone(), pending, started));
                Ok(response)
            }
        }
    }

    fn offer(&self, streams: CommandStreams) -> CommandOffer {
        let options = &self.inner.options;
        CommandOffer::new(streams).with(|offer| {
            offer.spdy = options.spdy.clone();
            offer.http2 = options.http2.clone();
            offer.websocket = options.websocket.clone();
            offer.limits = options.limits.clone();
        })
    }

    async fn serve_command(
        self,
        request: SessionRequest,
        pending: PendingCommand,
        started: Instant,
    ) {
        // On a task of its own: after a panic of the runtime, the log has the session too.
        let running = tokio::spawn(self.clone().run_command(request.clone(), pending));
        let (outcome, error) = running.await.unwrap_or((None, None));
        self.inner.runtime.session_ended(SessionEnd {
            request,
            duration: started.elapsed(),
            outcome,
            connections: 0,
            error,
        });
    }

    async fn run_command(
        self,
        request: SessionRequest,
        pending: PendingCommand,
    ) -> (Option<CommandOutcome>, Option<KubeError>) {
        let runtime = &self.inner.runtime;
        let mut session = match pending.session().await {
            Ok(session) => session,
            Err(error) => return (None, Some(error)),
        };
        let outcome = match request {
            SessionRequest::Exec(exec) => runtime.exec(exec, &mut session).await,
            SessionRequest::Attach(attach) => runtime.attach(attach, &mut session).await,
            SessionRequest::PortForward(_) => return (None, None),
        };
        let finished = session.finish(outcome.clone()).await;
        (Some(outcome), finished.err())
    }

    async fn serve_forwards(
        self,
        request: PortForwardRequest,
        pending: PendingForward,
        started: Instant,
    ) {
        let mut connections: u64 = 0;
        let error = match pending.session().await {
            Ok(mut session) => {
                let client_gone = session.cancellation();
                while let Some(forward) = session.accept().await {
                    connections = connections.saturating_add(1);
                    let (server, request) = (self.clone(), request.clone());
                    let serving = async move {
                        server.inner.runtime.port_forward(request, forward).await;
                    };
                    tokio::spawn(client_gone.clone().run_until_cancelled_owned(serving));
                }
                None
            }
            Err(error) => Some(error),
        };
        self.inner.runtime.session_ended(SessionEnd {
            request: SessionRequest::PortForward(request),
            duration: started.elapsed(),
            outcome: None,
            connections,
            error,
        });
    }
}
