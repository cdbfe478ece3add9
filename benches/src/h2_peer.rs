//! h2, both sides, with its own defaults: the bench routes served as its
//! examples do, and a connection to make requests on.

use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use h2::server::SendResponse;
use h2::{RecvStream, SendStream, client, server};
use http::{Request, Response};
use http_body::{Body, Frame};
use http_body_util::BodyExt;
use rustls::ServerConfig;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

use crate::Error;
use crate::load::{Peer, RequestBody};
use crate::routes::Routes;

/// The protocols that ALPN offers.
pub const PROTOCOLS: &[&str] = &["h2"];

/// Serves the routes on `listener` for ever: prior knowledge, or behind TLS.
///
/// # Errors
///
/// The listener accepts no more connections.
pub async fn serve(
    listener: TcpListener,
    max_streams: u32,
    tls: Option<ServerConfig>,
) -> Result<(), Error> {
    let acceptor = tls.map(|config| TlsAcceptor::from(Arc::new(config)));
    loop {
        let (socket, _) = listener.accept().await?;
        socket.set_nodelay(true)?;
        let acceptor = acceptor.clone();
        tokio::spawn(async move {
            let served = match acceptor {
                None => connection(socket, max_streams).await,
                Some(acceptor) => match acceptor.accept(socket).await {
                    Ok(socket) => connection(socket, max_streams).await,
                    Err(error) => Err(error.into()),
                },
            };
            if let Err(error) = served {
                crate::note!("connection: {error}");
            }
        });
    }
}

async fn connection<T>(socket: T, max_streams: u32) -> Result<(), Error>
where
    T: AsyncRead + AsyncWrite + Unpin,
{
    let mut builder = server::Builder::new();
    builder.max_concurrent_streams(max_streams);
    let mut connection = builder.handshake::<_, Bytes>(socket).await?;
    while let Some(request) = connection.accept().await {
        let (request, reply) = request?;
        tokio::spawn(async move {
            if let Err(error) = answer(request, reply).await {
                crate::note!("stream: {error}");
            }
        });
    }
    Ok(())
}

async fn answer(request: Request<RecvStream>, mut reply: SendResponse<Bytes>) -> Result<(), Error> {
    let response = Routes.respond(request.map(ReceivedBody)).await?;
    let (head, body) = response.into_parts();
    let head = Response::from_parts(head, ());
    if body.is_end_stream() {
        reply.send_response(head, true)?;
        return Ok(());
    }
    let stream = reply.send_response(head, false)?;
    send(stream, body).await
}

/// Sends a body piece by piece, as far as the windows permit.
async fn send<B>(mut stream: SendStream<Bytes>, mut body: B) -> Result<(), Error>
where
    B: Body<Data = Bytes, Error: Into<Error>> + Unpin,
{
    while let Some(frame) = body.frame().await {
        let Ok(mut data) = frame.map_err(Into::into)?.into_data() else {
            continue;
        };
        let last = body.is_end_stream();
        while !data.is_empty() {
            stream.reserve_capacity(data.len());
            if stream.capacity() == 0 {
                let granted = std::future::poll_fn(|cx| stream.poll_capacity(cx)).await;
                granted.ok_or("the stream is closed")??;
                continue;
            }
            let piece = data.split_to(stream.capacity().min(data.len()));
            stream.send_data(piece, last && data.is_empty())?;
        }
        if last {
            return Ok(());
        }
    }
    stream.send_data(Bytes::new(), true)?;
    Ok(())
}

/// A received body that returns its window when it is read.
#[derive(Debug)]
pub struct ReceivedBody(RecvStream);

impl Body for ReceivedBody {
    type Data = Bytes;
    type Error = h2::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, h2::Error>>> {
        let Some(data) = ready!(self.0.poll_data(context)) else {
            return Poll::Ready(None);
        };
        let data = data?;
        self.0.flow_control().release_capacity(data.len())?;
        Poll::Ready(Some(Ok(Frame::data(data))))
    }

    fn is_end_stream(&self) -> bool {
        self.0.is_end_stream()
    }
}

/// A client's connection.
#[derive(Clone, Debug)]
pub struct H2Client(client::SendRequest<Bytes>);

impl Peer for H2Client {
    type Body = ReceivedBody;

    async fn connect(address: SocketAddr) -> Result<Self, Error> {
        let socket = TcpStream::connect(address).await?;
        socket.set_nodelay(true)?;
        let (sender, connection) = client::handshake(socket).await?;
        tokio::spawn(async move {
            if let Err(error) = connection.await {
                crate::note!("connection: {error}");
            }
        });
        Ok(Self(sender))
    }

    async fn send(
        &mut self,
        request: Request<RequestBody>,
    ) -> Result<Response<ReceivedBody>, Error> {
        let (head, body) = request.into_parts();
        let mut sender = self.0.clone().ready().await?;
        let ended = body.is_end_stream();
        let (response, stream) = sender.send_request(Request::from_parts(head, ()), ended)?;
        if !ended {
            send(stream, body).await?;
        }
        Ok(response.await?.map(ReceivedBody))
    }
}
