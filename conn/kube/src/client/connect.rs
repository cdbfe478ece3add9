//! From a request to a session: connecting, the upgrade, and the fallback.

use std::{future::Future, io};

use lacewing_conn::Version;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    time::timeout,
};

#[cfg(feature = "websocket")]
use super::websocket;
use super::{
    error::ConnectError,
    forward::PortForwardSession,
    raw,
    request::{CommandRequest, ForwardRequest, StreamingProtocol},
    session::CommandSession,
    upgrade::{Ask, Upgraded},
};
#[cfg(feature = "websocket")]
use crate::protocol::WebSocketProtocol;
use crate::protocol::{PortForwardProtocol, RemoteCommandProtocol};

impl CommandRequest {
    /// Connects, and starts the session. `connect` opens a transport to the server. It is
    /// called once, and with [`StreamingProtocol::WebSocketFirst`] a second time if the server
    /// refuses WebSocket.
    ///
    /// ```no_run
    /// use lacewing_kube::client::CommandRequest;
    /// use tokio::net::TcpStream;
    ///
    /// async fn run(request: CommandRequest) -> Result<Option<u8>, Box<dyn std::error::Error>> {
    ///     let mut session = request.connect(|| TcpStream::connect("127.0.0.1:8001")).await?;
    ///     if let Some(mut stdout) = session.stdout.take() {
    ///         tokio::io::copy(&mut stdout, &mut tokio::io::stdout()).await?;
    ///     }
    ///     Ok(session.outcome().await?.exit_code())
    /// }
    /// # let _ = run;
    /// ```
    ///
    /// # Errors
    ///
    /// [`ConnectError::Refused`] has the server's response, such as 403; the others are
    /// failures before and behind it. [`StreamingProtocol::WebSocketFirst`] reports the failure
    /// of the second attempt, and does not try SPDY after a failure of the transport.
    pub async fn connect<C, F, IO>(&self, mut connect: C) -> Result<CommandSession, ConnectError>
    where
        C: FnMut() -> F,
        F: Future<Output = io::Result<IO>>,
        IO: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        self.check()?;
        let upgraded = self.ask().connect(&mut connect).await?;
        CommandSession::start(upgraded, self).await
    }

    /// Starts the session on a transport that is connected, and authenticated if it is
    /// TLS. There is no second one for a fallback: [`StreamingProtocol::WebSocketFirst`] is
    /// WebSocket here.
    ///
    /// # Errors
    ///
    /// As [`connect`](Self::connect).
    pub async fn connect_on<IO>(&self, io: IO) -> Result<CommandSession, ConnectError>
    where
        IO: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        self.check()?;
        let upgraded = self.ask().upgrade_on(io).await?;
        CommandSession::start(upgraded, self).await
    }

    /// A session without streams has no command: the server would wait for them.
    fn check(&self) -> Result<(), ConnectError> {
        match self.streams().is_empty() {
            true => Err(ConnectError::NoStreams),
            false => Ok(()),
        }
    }

    fn ask(&self) -> Ask<'_> {
        Ask {
            uri: &self.uri,
            headers: &self.headers,
            transport: self.transport,
            limits: &self.limits,
            // As kubectl does; servers choose v4 here.
            stream_protocols: match self.transport {
                StreamingProtocol::Http2 => vec![RemoteCommandProtocol::V4.name()],
                _ => RemoteCommandProtocol::ALL
                    .map(RemoteCommandProtocol::name)
                    .to_vec(),
            },
            // As kubectl does: older versions cannot end stdin.
            #[cfg(feature = "websocket")]
            websocket: WebSocketProtocol::V5,
        }
    }
}

impl ForwardRequest {
    /// Connects, and starts the session. See [`CommandRequest::connect`].
    ///
    /// # Errors
    ///
    /// As [`CommandRequest::connect`].
    pub async fn connect<C, F, IO>(
        &self,
        mut connect: C,
    ) -> Result<PortForwardSession, ConnectError>
    where
        C: FnMut() -> F,
        F: Future<Output = io::Result<IO>>,
        IO: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let upgraded = self.ask().connect(&mut connect).await?;
        PortForwardSession::start(upgraded, &self.limits)
    }

    /// Starts the session on a transport that is connected. See
    /// [`CommandRequest::connect_on`].
    ///
    /// # Errors
    ///
    /// As [`CommandRequest::connect`].
    pub async fn connect_on<IO>(&self, io: IO) -> Result<PortForwardSession, ConnectError>
    where
        IO: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let upgraded = self.ask().upgrade_on(io).await?;
        PortForwardSession::start(upgraded, &self.limits)
    }

    fn ask(&self) -> Ask<'_> {
        Ask {
            uri: &self.uri,
            headers: &self.headers,
            transport: self.transport,
            limits: &self.limits,
            stream_protocols: PortForwardProtocol::ALL
                .map(PortForwardProtocol::name)
                .to_vec(),
            #[cfg(feature = "websocket")]
            websocket: WebSocketProtocol::PortForwardTunnel,
        }
    }
}

impl Ask<'_> {
    async fn connect<F, IO>(
        &self,
        connect: &mut impl FnMut() -> F,
    ) -> Result<Upgraded<IO>, ConnectError>
    where
        F: Future<Output = io::Result<IO>>,
        IO: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let io = self.dial(connect).await?;
        match self.transport {
            #[cfg(feature = "websocket")]
            StreamingProtocol::WebSocketFirst => match self.websocket(io).await {
                Err(error) if error.permits_fallback() => {
                    let io = self.dial(connect).await?;
                    self.raw(Version::Spdy31, io).await
                }
                other => other,
            },
            _ => self.upgrade_on(io).await,
        }
    }

    async fn upgrade_on<IO>(&self, io: IO) -> Result<Upgraded<IO>, ConnectError>
    where
        IO: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        match self.transport {
            StreamingProtocol::Spdy => self.raw(Version::Spdy31, io).await,
            StreamingProtocol::Http2 => self.raw(Version::Http2, io).await,
            #[cfg(feature = "websocket")]
            StreamingProtocol::WebSocket | StreamingProtocol::WebSocketFirst => {
                self.websocket(io).await
            }
        }
    }

    async fn dial<F, IO>(&self, connect: &mut impl FnMut() -> F) -> Result<IO, ConnectError>
    where
        F: Future<Output = io::Result<IO>>,
    {
        let limit = self.limits.connect_timeout;
        match timeout(limit, connect()).await {
            Ok(connected) => connected.map_err(ConnectError::Connect),
            Err(_) => Err(ConnectError::TimedOut(limit)),
        }
    }

    async fn raw<IO>(&self, version: Version, io: IO) -> Result<Upgraded<IO>, ConnectError>
    where
        IO: AsyncRead + AsyncWrite + Unpin,
    {
        let (switched, protocol) = raw::upgrade(version, io, self).await?;
        Ok(Upgraded::Raw(switched, protocol))
    }

    #[cfg(feature = "websocket")]
    async fn websocket<IO>(&self, io: IO) -> Result<Upgraded<IO>, ConnectError>
    where
        IO: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let limit = self.limits.connect_timeout;
        match timeout(limit, websocket::handshake(io, self)).await {
            Ok(socket) => Ok(Upgraded::WebSocket(Box::new(socket?))),
            Err(_) => Err(ConnectError::TimedOut(limit)),
        }
    }
}
