//! The options of the streaming server.

use std::{net::SocketAddr, time::Duration};

use lacewing_conn::Side;

use crate::{
    limits::KubeLimits,
    protocol::{RemoteCommandProtocol, WebSocketProtocol},
};

/// The options of a [`CriServer`](super::CriServer). The defaults are those of the
/// kubelet's own streaming server, with WebSocket v5 besides.
///
/// ```
/// use lacewing_kube::cri::CriOptions;
///
/// let address = "[::1]:10010".parse()?;
/// let options = CriOptions::at(address).with(|options| options.max_tokens = 100);
/// assert_eq!(options.base_url, "http://[::1]:10010/");
/// # Ok::<(), std::net::AddrParseError>(())
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct CriOptions {
    /// The start of the URLs: absolute, with a scheme. Kubelets take a URL without one for
    /// https. The URLs extend the directory of its path: `http://host:1/cri/` becomes
    /// `http://host:1/cri/exec/TOKEN`.
    pub base_url: String,
    /// The time for a client to connect to a URL. Default 1 minute.
    pub token_lifetime: Duration,
    /// URLs that wait for their client. Default 1,000.
    pub max_tokens: usize,
    /// The protocols of commands over SPDY/3.1. Default
    /// [`RemoteCommandProtocol::SPDY`].
    pub spdy: Vec<RemoteCommandProtocol>,
    /// The protocols of commands over raw streams of HTTP/2: see
    /// [`CommandOffer::http2`](crate::server::CommandOffer::http2).
    pub http2: Vec<RemoteCommandProtocol>,
    /// The protocols of commands over WebSocket. Default
    /// [`WebSocketProtocol::CHANNELS`].
    pub websocket: Vec<WebSocketProtocol>,
    /// The bounds of each session.
    pub limits: KubeLimits,
}

impl CriOptions {
    /// Creates the default options of a server that listens on `address` in cleartext.
    /// Bind the listener first: the address must have its real port.
    pub fn at(address: SocketAddr) -> Self {
        Self::new(format!("http://{address}/"))
    }

    /// Creates the default options with a [`base_url`](Self::base_url).
    pub fn new(base_url: impl Into<String>) -> Self {
        Self {
            base_url: base_url.into(),
            token_lifetime: Duration::from_secs(60),
            max_tokens: 1_000,
            spdy: RemoteCommandProtocol::SPDY.to_vec(),
            http2: vec![RemoteCommandProtocol::V4],
            websocket: WebSocketProtocol::CHANNELS.to_vec(),
            limits: KubeLimits::new(Side::Server),
        }
    }

    /// Returns the options after `change`.
    #[must_use]
    pub fn with(mut self, change: impl FnOnce(&mut Self)) -> Self {
        change(&mut self);
        self
    }
}
