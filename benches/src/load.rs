//! The load that a bench client makes: many requests, at most so many at once on
//! so many connections, the same code for every library.

use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode, Uri};
use http_body::Body;
use http_body_util::Empty;
use tokio::task::JoinSet;

use crate::Error;
use crate::routes::RouteBody;

/// The body of a bench client's request.
pub type RequestBody = RouteBody<Empty<Bytes>>;

/// A library's client, as far as the load needs it: one connection.
pub trait Peer: Clone + Send + 'static {
    /// The body of a response.
    type Body: Body<Data = Bytes, Error: Into<Error>> + Unpin + Send;

    /// Connects in cleartext, by prior knowledge.
    fn connect(address: SocketAddr) -> impl Future<Output = Result<Self, Error>> + Send;

    /// Sends a request once the connection takes one, and awaits the head of the
    /// response.
    fn send(
        &mut self,
        request: Request<RequestBody>,
    ) -> impl Future<Output = Result<Response<Self::Body>, Error>> + Send;
}

/// The target of a request.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// `GET /`
    Small,
    /// `GET /bytes/N`
    Download(u64),
    /// `POST /upload` with N bytes
    Upload(u64),
}

/// The number of requests, and their form.
#[derive(Clone, Copy, Debug)]
pub struct Load {
    /// The target of each request.
    pub kind: Kind,
    /// Requests in all.
    pub requests: u64,
    /// Connections.
    pub connections: usize,
    /// Requests at once on each connection.
    pub streams: usize,
}

impl Load {
    /// Bytes of bodies that one request moves, the answer of an upload aside.
    pub fn bytes_per_request(&self) -> u64 {
        match self.kind {
            Kind::Small => 0,
            Kind::Download(len) | Kind::Upload(len) => len,
        }
    }

    /// Makes the connections.
    ///
    /// # Errors
    ///
    /// The first that fails.
    pub async fn connect<P: Peer>(&self, address: SocketAddr) -> Result<Vec<P>, Error> {
        let mut peers = Vec::with_capacity(self.connections);
        for _ in 0..self.connections {
            peers.push(P::connect(address).await?);
        }
        Ok(peers)
    }

    /// Makes the requests, and checks every answer's status and length.
    ///
    /// # Errors
    ///
    /// The first request that fails or is not answered as it must be.
    pub async fn run<P: Peer>(&self, peers: &[P], address: SocketAddr) -> Result<(), Error> {
        let uri: Uri = match self.kind {
            Kind::Small => format!("http://{address}/"),
            Kind::Download(len) => format!("http://{address}/bytes/{len}"),
            Kind::Upload(_) => format!("http://{address}/upload"),
        }
        .parse()?;
        let left = Arc::new(AtomicU64::new(self.requests));
        let mut tasks = JoinSet::new();
        for peer in peers {
            for _ in 0..self.streams {
                let (peer, uri) = (peer.clone(), uri.clone());
                tasks.spawn(worker(peer, self.kind, uri, Arc::clone(&left)));
            }
        }
        while let Some(result) = tasks.join_next().await {
            result??;
        }
        Ok(())
    }
}

/// One request after the other, until none is left.
async fn worker<P: Peer>(
    mut peer: P,
    kind: Kind,
    uri: Uri,
    left: Arc<AtomicU64>,
) -> Result<(), Error> {
    while left
        .fetch_update(Relaxed, Relaxed, |left| left.checked_sub(1))
        .is_ok()
    {
        let (method, body) = match kind {
            Kind::Upload(left) => (Method::POST, RouteBody::Repeat { left }),
            Kind::Small | Kind::Download(_) => (Method::GET, RouteBody::Once(None)),
        };
        let mut request = Request::new(body);
        *request.method_mut() = method;
        *request.uri_mut() = uri.clone();
        let response = peer.send(request).await?;
        let status = response.status();
        let length = Length {
            body: response.into_body(),
            length: 0,
        }
        .await
        .map_err(Into::into)?;
        let expected = match kind {
            Kind::Small => 11,
            Kind::Download(len) => len,
            Kind::Upload(len) => u64::from(len.max(1).ilog10()) + 1,
        };
        if status != StatusCode::OK || length != expected {
            let text = format!("{uri}: {status} with {length} bytes instead of {expected}");
            return Err(text.into());
        }
    }
    Ok(())
}

/// Reads a body to its end: its length.
struct Length<B> {
    body: B,
    length: u64,
}

impl<B: Body<Data = Bytes> + Unpin> Future for Length<B> {
    type Output = Result<u64, B::Error>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let Length { body, length } = self.get_mut();
        while let Some(frame) = ready!(Pin::new(&mut *body).poll_frame(context)) {
            if let Some(data) = frame?.data_ref() {
                *length += data.len() as u64;
            }
        }
        Poll::Ready(Ok(*length))
    }
}
