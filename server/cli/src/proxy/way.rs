//! The ways to an upstream: by connections that this program makes, or by those that the upstream
//! made through a tunnel.

use std::{
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use http::{Request, Response, Uri};
use http_body::Body;
#[cfg(unix)]
use lacewing_client::Unix;
use lacewing_client::{
    BoxError, Client, ClientError, ClientResponse, Concurrency, Connect as _, Connector, Incoming,
    MemoryBudget, Origin, RequestError, ResponseFuture, Transport, Tunnel, Version,
    tls::{Certificates, Tls},
};

use super::{
    address::{Speaks, UpstreamAddress},
    connection::connection,
    failure::{Attempt, Failure},
    settings::Reach,
};
use crate::reverse;

/// Connections to one upstream in a multiplexed protocol.
const MAX_MULTIPLEXED: usize = 16;

/// The protocols that are offered by ALPN, beside HTTP/1.1.
const OFFERED: [Version; 4] = Version::ALL;

/// The way to an upstream.
pub(super) enum Way {
    Direct(Box<Direct>),
    Tunnel(Arc<reverse::Tunnel>),
}

/// Connections that this program makes.
pub(super) struct Direct {
    client: Client,
    /// For tunnels over HTTP/1.1.
    connector: Connector,
    origin: Origin,
}

impl Way {
    /// By connections that this program makes.
    pub(super) fn direct(
        address: &UpstreamAddress,
        uri: &Uri,
        reach: &Reach,
        memory: &MemoryBudget,
    ) -> Result<Self, RequestError> {
        let certificates = reach.trust.certificates();
        Ok(Self::Direct(Box::new(Direct {
            origin: Origin::of(uri)?,
            client: client(address, reach, &certificates, memory),
            connector: connector(address, certificates),
        })))
    }

    /// Sends a request.
    pub(super) fn request<B>(&self, request: Request<B>) -> Sending
    where
        B: Body + Send + 'static,
        B::Error: Into<BoxError>,
    {
        match self {
            Self::Direct(direct) => {
                Sending::Direct(direct.client.request_to(&direct.origin, request))
            }
            Self::Tunnel(tunnel) => match tunnel.connection() {
                Some(connection) => Sending::Tunnel(connection.request(request)),
                None => Sending::Nowhere,
            },
        }
    }

    /// Asks for a tunnel by extended CONNECT; `None` if there is no connection for it.
    pub(super) async fn tunnel(
        &self,
        request: Request<()>,
    ) -> Option<Result<(Response<()>, Tunnel), ClientError>> {
        Some(match self {
            Self::Direct(direct) => direct.client.tunnel(&direct.origin, request).await,
            Self::Tunnel(tunnel) => tunnel.connection()?.tunnel(request).await,
        })
    }

    /// A connection in HTTP/1.1 that nobody else has.
    pub(super) async fn connect(&self) -> Result<Box<dyn Transport>, Failure> {
        match self {
            Self::Direct(direct) => Ok(direct.connector.connect(&direct.origin).await?.io),
            Self::Tunnel(_) => Err(Failure::not_dialled().failure),
        }
    }

    /// Returns whether a request could be sent now, as far as that is known.
    pub(super) fn is_there(&self) -> bool {
        match self {
            Self::Direct(_) => true,
            Self::Tunnel(tunnel) => tunnel.is_connected(),
        }
    }

    /// Returns whether several servers may be at its end, each with its own connection.
    pub(super) fn is_shared(&self) -> bool {
        matches!(self, Self::Tunnel(_))
    }
}

/// A request on its way.
#[expect(
    clippy::large_enum_variant,
    reason = "most are direct; a box would be one allocation more"
)]
pub(super) enum Sending {
    Direct(ClientResponse),
    Tunnel(ResponseFuture),
    Nowhere,
}

impl Future for Sending {
    type Output = Result<Response<Incoming>, Attempt>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let response = match self.get_mut() {
            Self::Direct(response) => ready!(Pin::new(response).poll(cx)),
            Self::Tunnel(response) => ready!(Pin::new(response).poll(cx)),
            Self::Nowhere => return Poll::Ready(Err(Failure::not_dialled())),
        };
        Poll::Ready(response.map_err(Attempt::from))
    }
}

fn client(
    address: &UpstreamAddress,
    reach: &Reach,
    certificates: &Certificates,
    memory: &MemoryBudget,
) -> Client {
    let timeouts = reach.timeouts;
    let builder = Client::builder()
        .connection(connection(timeouts, memory))
        .options(|options| {
            options.concurrency(Concurrency::OpenAnother {
                max: MAX_MULTIPLEXED,
            })
        })
        .connect_timeout(timeouts.connect)
        .max_connections(reach.max_connections)
        .max_http1_connections(reach.max_connections)
        .certificates(certificates.clone())
        .protocols(OFFERED);
    let builder = match address.speaks {
        Speaks::Multiplexed(version) => builder.cleartext_protocol(version),
        Speaks::Http1 | Speaks::Tls | Speaks::Dialled => builder.http1(),
    };
    match &address.socket {
        #[cfg(unix)]
        Some(path) => builder.dial(Unix::new(path)).build(),
        _ => builder.build(),
    }
}

/// Offers HTTP/1.1 alone.
fn connector(address: &UpstreamAddress, certificates: Certificates) -> Connector {
    let tls = Tls::with_certificates(certificates, Vec::new());
    let connector = Connector::tls(tls, None).http1();
    match &address.socket {
        #[cfg(unix)]
        Some(path) => connector.dial(Unix::new(path)),
        _ => connector,
    }
}
