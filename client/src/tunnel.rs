//! Streams of bytes through a server: CONNECT (RFC 9113 §8.5) and extended
//! CONNECT (RFC 8441).

use http::{Method, Request, Response};
use lacewing_conn::driver::{Incoming, Tunnel, TunnelBody, facade::PendingTunnel};

use crate::{Client, ClientError, Connection, Origin};

impl Connection {
    /// Opens a tunnel through the server. If the URI is an authority alone (`example.org:443`), the
    /// tunnel leads to that host. With a [`ConnectProtocol`](crate::ConnectProtocol) among the
    /// request's extensions, it leads to that protocol on the server, such as a WebSocket. The
    /// method becomes CONNECT.
    ///
    /// Returns the response's head, and the bytes of both directions as one `AsyncRead +
    /// AsyncWrite`. Each direction buffers at most a window: a writer waits for a slow reader.
    /// Dropping the tunnel without a shutdown resets the stream.
    ///
    /// The server's SETTINGS state whether it accepts a `ConnectProtocol`; the request waits for
    /// them.
    ///
    /// ```no_run
    /// # async fn run(connection: lacewing_client::Connection) -> Result<(), Box<dyn std::error::Error>> {
    /// use lacewing_client::ConnectProtocol;
    /// use tokio::io::AsyncWriteExt;
    ///
    /// let mut request = http::Request::connect("https://example.org/chat").body(())?;
    /// request.extensions_mut().insert(ConnectProtocol::from_static("websocket"));
    /// let (response, mut tunnel) = connection.tunnel(request).await?;
    /// println!("{}", response.status());
    /// tunnel.write_all(b"frames of RFC 6455").await?;
    /// # Ok(())
    /// # }
    /// # let _ = run;
    /// ```
    ///
    /// # Errors
    ///
    /// Those of [`request`](Self::request); [`ClientError::TunnelRefused`] when the
    /// response's status is not 2xx;
    /// [`RequestError::NoExtendedConnect`](crate::RequestError::NoExtendedConnect).
    pub async fn tunnel(
        &self,
        request: Request<()>,
    ) -> Result<(Response<()>, Tunnel), ClientError> {
        let (request, pending) = connect(request);
        let response = self.request(request).await?;
        accepted(response, pending)
    }
}

impl Client {
    /// Asks an origin for a tunnel, as [`Connection::tunnel`] does: the origin
    /// of the URI where the request has a [`ConnectProtocol`](crate::ConnectProtocol), else
    /// that of the proxy. A request that the server did not process is sent
    /// again.
    ///
    /// # Errors
    ///
    /// As [`Connection::tunnel`], and those for which [`ClientError::is_connect`] is true.
    pub async fn tunnel(
        &self,
        origin: &Origin,
        request: Request<()>,
    ) -> Result<(Response<()>, Tunnel), ClientError> {
        let (request, pending) = connect(request);
        let response = self.request_to(origin, request).await?;
        accepted(response, pending)
    }
}

fn connect(request: Request<()>) -> (Request<TunnelBody>, PendingTunnel) {
    let (pending, body) = Tunnel::pending();
    let mut request = request.map(|()| body);
    *request.method_mut() = Method::CONNECT;
    (request, pending)
}

fn accepted(
    response: Response<Incoming>,
    pending: PendingTunnel,
) -> Result<(Response<()>, Tunnel), ClientError> {
    let (head, body) = response.into_parts();
    let response = Response::from_parts(head, ());
    if !response.status().is_success() {
        let response = response.into();
        return Err(ClientError::TunnelRefused { response });
    }
    Ok((response, pending.attach(body)))
}
