//! Accepting a request, and the wait for its transport.

use bytes::{Bytes, BytesMut};
use http::{Request, Response};
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use lacewing_conn::Version;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    time::timeout,
};
#[cfg(feature = "websocket")]
use tokio_tungstenite::WebSocketStream;

#[cfg(feature = "websocket")]
use super::websocket_command;
use super::{
    exec_session::ExecSession,
    handshake::{self, Asked},
    link::Link,
    offer::{CommandOffer, ForwardOffer},
    port_forward::PortForwardSession,
    query_ports::{check_ports, query_ports},
    raw_command,
    rejection::Rejection,
};
use crate::{
    error::KubeError,
    limits::KubeLimits,
    protocol::{ChannelEncoding, PortForwardProtocol, RemoteCommandProtocol, WebSocketProtocol},
};

impl CommandOffer {
    /// Decides about a request for `exec` or `attach`, from its header fields alone.
    ///
    /// Send the response, with an empty body, and run the pending session on another task:
    /// it starts when the client has the response.
    ///
    /// ```
    /// use http::{Request, Response};
    /// use lacewing_kube::{CommandOutcome, server::{CommandOffer, CommandStreams}};
    ///
    /// async fn exec<B>(mut request: Request<B>) -> Response<String> {
    ///     let streams = CommandStreams::from_query(request.uri().query().unwrap_or_default());
    ///     match CommandOffer::new(streams).accept(&mut request) {
    ///         Ok((response, pending)) => {
    ///             tokio::spawn(async move {
    ///                 let session = pending.session().await?;
    ///                 session.finish(CommandOutcome::Success).await
    ///             });
    ///             response.map(|()| String::new())
    ///         }
    ///         Err(rejection) => rejection.into_response(),
    ///     }
    /// }
    /// # let _ = exec::<()>;
    /// ```
    ///
    /// # Errors
    ///
    /// The refusal, with the status and text that Kubernetes' servers have.
    pub fn accept<B>(
        &self,
        request: &mut Request<B>,
    ) -> Result<(Response<()>, PendingCommand), Rejection> {
        let (response, protocol) = match handshake::asked(request)? {
            Asked::Raw(version) => {
                let supported = match version {
                    Version::Http2 => &self.http2,
                    _ => &self.spdy,
                };
                let name = RemoteCommandProtocol::name;
                let (response, protocol) = handshake::raw(request, version, supported, name)?;
                (response, CommandProtocol::Raw(version, protocol))
            }
            Asked::WebSocket => {
                let (response, protocol) = handshake::websocket(request, &self.websocket)?;
                (response, CommandProtocol::WebSocket(protocol))
            }
        };
        let pending = PendingCommand {
            upgrade: hyper::upgrade::on(request),
            protocol,
            offer: self.clone(),
        };
        Ok((response, pending))
    }
}

#[derive(Clone, Copy, Debug)]
enum CommandProtocol {
    Raw(Version, RemoteCommandProtocol),
    WebSocket(WebSocketProtocol),
}

/// An accepted request for `exec` or `attach`, before its transport is there.
#[derive(Debug)]
#[must_use = "the client waits"]
pub struct PendingCommand {
    upgrade: OnUpgrade,
    protocol: CommandProtocol,
    offer: CommandOffer,
}

impl PendingCommand {
    /// Waits until the HTTP server has sent the response and passes on the transport,
    /// then for the client's streams. Call it on another task than the request's handler.
    ///
    /// # Errors
    ///
    /// The HTTP server does not pass on the transport; the client is gone, or does not
    /// open its streams within
    /// [`stream_creation_timeout`](KubeLimits::stream_creation_timeout).
    pub async fn session(self) -> Result<ExecSession, KubeError> {
        let io = upgraded(self.upgrade, &self.offer.limits).await?;
        start_command(TokioIo::new(io), Bytes::new(), self.protocol, &self.offer).await
    }

    /// Starts the session on a transport on which the caller has sent the response.
    /// `early` are the bytes that the caller read behind the request.
    ///
    /// # Errors
    ///
    /// As [`session`](Self::session).
    pub async fn serve_on<IO>(self, io: IO, early: Bytes) -> Result<ExecSession, KubeError>
    where
        IO: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        start_command(io, early, self.protocol, &self.offer).await
    }
}

async fn start_command<IO>(
    io: IO,
    early: Bytes,
    protocol: CommandProtocol,
    offer: &CommandOffer,
) -> Result<ExecSession, KubeError>
where
    IO: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    match protocol {
        CommandProtocol::Raw(version, protocol) => {
            let link = Link::start(version, io, BytesMut::from(early), &offer.limits);
            raw_command::start(link, protocol, offer).await
        }
        #[cfg(feature = "websocket")]
        CommandProtocol::WebSocket(WebSocketProtocol::Channels { version, encoding }) => {
            let socket = websocket(io, early, &offer.limits).await;
            Ok(websocket_command::start(socket, version, encoding, offer))
        }
        // `accept` returns no other protocol.
        CommandProtocol::WebSocket(other) => Err(KubeError::Protocol(other.name())),
    }
}

#[cfg(feature = "websocket")]
async fn websocket<IO>(io: IO, early: Bytes, limits: &KubeLimits) -> WebSocketStream<IO>
where
    IO: AsyncRead + AsyncWrite + Unpin,
{
    let config = Some(crate::websocket::config(limits));
    let role = tokio_tungstenite::tungstenite::protocol::Role::Server;
    WebSocketStream::from_partially_read(io, early.into(), role, config).await
}

impl ForwardOffer {
    /// Decides about a request for port-forward, from its header fields alone. See
    /// [`CommandOffer::accept`].
    ///
    /// # Errors
    ///
    /// The refusal, with the status and text that Kubernetes' servers have.
    pub fn accept<B>(
        &self,
        request: &mut Request<B>,
    ) -> Result<(Response<()>, PendingForward), Rejection> {
        let (response, protocol) = match handshake::asked(request)? {
            Asked::Raw(version) => {
                let (name, supported) = (PortForwardProtocol::name, PortForwardProtocol::ALL);
                let (response, _) = handshake::raw(request, version, &supported, name)?;
                (response, ForwardProtocol::Raw(version))
            }
            Asked::WebSocket => {
                let (response, chosen) =
                    handshake::websocket(request, &WebSocketProtocol::FORWARD)?;
                (
                    response,
                    self.over_websocket(chosen, request.uri().query())?,
                )
            }
        };
        let pending = PendingForward {
            upgrade: hyper::upgrade::on(request),
            protocol,
            limits: self.limits.clone(),
        };
        Ok((response, pending))
    }

    fn over_websocket(
        &self,
        chosen: WebSocketProtocol,
        query: Option<&str>,
    ) -> Result<ForwardProtocol, Rejection> {
        let WebSocketProtocol::Channels { encoding, .. } = chosen else {
            return Ok(ForwardProtocol::Tunnel);
        };
        let ports = match self.ports.is_empty() {
            true => query_ports(query.unwrap_or_default())?,
            false => self.ports.clone(),
        };
        check_ports(&ports)?;
        Ok(ForwardProtocol::Channels { encoding, ports })
    }
}

#[derive(Debug)]
#[cfg_attr(
    not(feature = "websocket"),
    expect(dead_code, reason = "`accept` refuses a WebSocket")
)]
enum ForwardProtocol {
    Raw(Version),
    Tunnel,
    Channels {
        encoding: ChannelEncoding,
        ports: Vec<u16>,
    },
}

/// An accepted request for port-forward, before its transport is there.
#[derive(Debug)]
#[must_use = "the client waits"]
pub struct PendingForward {
    upgrade: OnUpgrade,
    protocol: ForwardProtocol,
    limits: KubeLimits,
}

impl PendingForward {
    /// Waits until the HTTP server has sent the response and passes on the transport.
    /// Call it on another task than the request's handler.
    ///
    /// # Errors
    ///
    /// The HTTP server does not pass on the transport, or the client is gone.
    pub async fn session(self) -> Result<PortForwardSession, KubeError> {
        let io = upgraded(self.upgrade, &self.limits).await?;
        Ok(start_forward(TokioIo::new(io), Bytes::new(), self.protocol, &self.limits).await)
    }

    /// Starts the session on a transport on which the caller has sent the response.
    /// `early` are the bytes that the caller read behind the request.
    pub async fn serve_on<IO>(self, io: IO, early: Bytes) -> PortForwardSession
    where
        IO: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        start_forward(io, early, self.protocol, &self.limits).await
    }
}

async fn start_forward<IO>(
    io: IO,
    early: Bytes,
    protocol: ForwardProtocol,
    limits: &KubeLimits,
) -> PortForwardSession
where
    IO: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    match protocol {
        #[cfg(feature = "websocket")]
        ForwardProtocol::Channels { encoding, ports } => {
            let socket = websocket(io, early, limits).await;
            PortForwardSession::start_channels(socket, encoding, &ports, limits)
        }
        #[cfg(feature = "websocket")]
        ForwardProtocol::Tunnel => {
            let socket = websocket(io, early, limits).await;
            let tunnel = crate::websocket::Tunnel::new(socket);
            let link = Link::start(Version::Spdy31, tunnel, BytesMut::new(), limits);
            PortForwardSession::start(link, limits)
        }
        ForwardProtocol::Raw(version) => {
            let link = Link::start(version, io, BytesMut::from(early), limits);
            PortForwardSession::start(link, limits)
        }
        // `accept` refuses a WebSocket.
        #[cfg(not(feature = "websocket"))]
        _ => {
            let link = Link::start(Version::Spdy31, io, BytesMut::from(early), limits);
            PortForwardSession::start(link, limits)
        }
    }
}

async fn upgraded(
    upgrade: OnUpgrade,
    limits: &KubeLimits,
) -> Result<hyper::upgrade::Upgraded, KubeError> {
    let limit = limits.stream_creation_timeout;
    match timeout(limit, upgrade).await {
        Ok(Ok(io)) => Ok(io),
        Ok(Err(error)) => Err(KubeError::NoUpgrade(Box::new(error))),
        Err(_) => Err(KubeError::TimedOut {
            event: "the transport of the request",
            limit,
        }),
    }
}
