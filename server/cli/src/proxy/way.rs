//! The way to an upstream: a client of its own, which dials.

use http::{Request, Response, Uri};
use http_body::Body;
use lacewing_client::{
    BoxError, Client, ClientError, ClientResponse, Concurrency, Connect as _, Connector,
    MemoryBudget, Origin, RequestError, Transport, Tunnel, Unix, Version,
    tls::{Certificates, Tls},
};

use super::{
    address::{Speaks, UpstreamAddress},
    connection::connection,
    settings::Reach,
};

/// Connections to one upstream in a multiplexed protocol.
const MAX_MULTIPLEXED: usize = 16;

/// The protocols that are offered by ALPN, beside HTTP/1.1.
const OFFERED: [Version; 4] = Version::ALL;

/// The way to an upstream.
pub(super) struct Way {
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
        Ok(Self {
            origin: Origin::of(uri)?,
            client: client(address, reach, &certificates, memory),
            connector: connector(address, certificates),
        })
    }

    /// Sends a request.
    pub(super) fn request<B>(&self, request: Request<B>) -> ClientResponse
    where
        B: Body + Send + 'static,
        B::Error: Into<BoxError>,
    {
        self.client.request(request)
    }

    /// Asks for a tunnel by extended CONNECT.
    pub(super) async fn tunnel(
        &self,
        request: Request<()>,
    ) -> Result<(Response<()>, Tunnel), ClientError> {
        self.client.tunnel(&self.origin, request).await
    }

    /// A connection in HTTP/1.1 that nobody else has.
    pub(super) async fn connect(&self) -> Result<Box<dyn Transport>, ClientError> {
        Ok(self.connector.connect(&self.origin).await?.io)
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
        Speaks::Http1 | Speaks::Tls => builder.http1(),
    };
    match &address.socket {
        Some(path) => builder.dial(Unix::new(path)).build(),
        None => builder.build(),
    }
}

/// Offers HTTP/1.1 alone.
fn connector(address: &UpstreamAddress, certificates: Certificates) -> Connector {
    let tls = Tls::with_certificates(certificates, Vec::new());
    let connector = Connector::tls(tls, None).http1();
    match &address.socket {
        Some(path) => connector.dial(Unix::new(path)),
        None => connector,
    }
}
