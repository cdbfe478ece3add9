//! The server's part of an upgrade.

use std::{io, time::Duration};

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, HeaderValue, Request, Response, StatusCode, header};
use tokio::io::{AsyncRead, AsyncWrite};

use super::{
    config::Upgrade,
    error::UpgradeError,
    head::{self, Length, encode_head, parse_request, read_exactly, read_head},
    negotiation::{
        ACCEPTED_STREAM_PROTOCOL_VERSIONS, STREAM_PROTOCOL_VERSION, choose_stream_protocol,
        requested, switching, token,
    },
    request::{Kubernetes, stream_protocol},
};
use crate::{
    Side, Version,
    driver::raw::{Mux, MuxConfig, MuxConnection},
};

/// A client's request for an upgrade: [accept](Self::switch) it or
/// [refuse](Self::refuse) it. Dropping it closes the transport without a response.
///
/// ```no_run
/// use http::{HeaderMap, Response, StatusCode};
/// use lacewing_conn::{Side, driver::{Mux, MuxConfig, upgrade::{Upgrade, UpgradeError}}};
///
/// async fn serve(io: tokio::net::TcpStream) -> Result<Option<Mux>, UpgradeError> {
///     let requested = Upgrade::default().accept(io).await?;
///     if requested.request().uri().path() != "/tunnel" {
///         let mut no = Response::new(bytes::Bytes::from("nothing here"));
///         *no.status_mut() = StatusCode::NOT_FOUND;
///         requested.refuse(no).await?;
///         return Ok(None);
///     }
///     let config = MuxConfig::new(Side::Server);
///     let (mux, connection) = requested.switch(HeaderMap::new(), config).await?;
///     tokio::spawn(connection);
///     Ok(Some(mux))
/// }
/// # let _ = serve;
/// ```
#[derive(Debug)]
#[must_use = "the client waits for an answer"]
pub struct Requested<IO> {
    io: IO,
    /// The bytes behind the request: frames, if the protocol is switched.
    input: BytesMut,
    version: Version,
    /// The time in which the client has to take the answer.
    timeout: Duration,
    request: Request<Bytes>,
}

impl Upgrade {
    /// Reads an HTTP/1.1 request that asks for the upgrade, and its body to the end.
    /// The rest of an unread body would be read as frames.
    ///
    /// # Errors
    ///
    /// [`UpgradeError::NotRequested`] for any other request, after it was
    /// answered with 426; [`UpgradeError::Malformed`] and
    /// [`UpgradeError::TooLarge`], after 400. The transport is closed then.
    pub async fn accept<IO>(&self, mut io: IO) -> Result<Requested<IO>, UpgradeError>
    where
        IO: AsyncRead + AsyncWrite + Unpin,
    {
        let asked = tokio::time::timeout(self.timeout, self.read_request(&mut io)).await;
        let error = match asked {
            Ok(Ok((request, input))) => {
                return Ok(Requested {
                    io,
                    input,
                    version: self.version,
                    timeout: self.timeout,
                    request,
                });
            }
            Ok(Err(error)) => error,
            Err(_) => UpgradeError::TimedOut(self.timeout),
        };
        let mut answer = Response::new(Bytes::new());
        *answer.status_mut() = match &error {
            UpgradeError::NotRequested(_) => {
                let token = HeaderValue::from_static(token(self.version));
                answer.headers_mut().insert(header::UPGRADE, token);
                StatusCode::UPGRADE_REQUIRED
            }
            UpgradeError::Malformed(_) | UpgradeError::TooLarge(_) => StatusCode::BAD_REQUEST,
            UpgradeError::TimedOut(_) => StatusCode::REQUEST_TIMEOUT,
            _ => return Err(error),
        };
        // The client may be gone, or take nothing.
        let _ = refuse(&mut io, answer, self.timeout).await;
        Err(error)
    }

    async fn read_request<IO: AsyncRead + Unpin>(
        &self,
        io: &mut IO,
    ) -> Result<(Request<Bytes>, BytesMut), UpgradeError> {
        let mut input = BytesMut::new();
        let request = read_head(io, &mut input, self.max_head, parse_request).await?;
        let body = match head::length(request.headers())? {
            Length::Known(length) => match usize::try_from(length) {
                Ok(length) if length <= self.max_body => {
                    read_exactly(io, &mut input, length).await?
                }
                _ => return Err(UpgradeError::TooLarge(self.max_body)),
            },
            Length::Chunked => {
                return Err(UpgradeError::Malformed("a body of unknown length"));
            }
            Length::Unsaid if request.headers().contains_key(header::TRANSFER_ENCODING) => {
                return Err(UpgradeError::Malformed("a body of unknown length"));
            }
            Length::Unsaid => Bytes::new(),
        };
        let request = request.map(|()| body);
        // HTTP/1.0 has no upgrade (RFC 9110 §7.8).
        let asks = request.version() == http::Version::HTTP_11
            && requested(request.headers()) == Some(self.version);
        if asks {
            Ok((request, input))
        } else {
            Err(UpgradeError::NotRequested(Box::new(request)))
        }
    }
}

impl<IO> Requested<IO> {
    /// Returns the client's request. Its header fields may name the protocols of the
    /// streams ([`choose_stream_protocol`](super::choose_stream_protocol)).
    pub fn request(&self) -> &Request<Bytes> {
        &self.request
    }

    /// Returns the protocol that the client asks for.
    pub fn version(&self) -> Version {
        self.version
    }
}

impl<IO: AsyncRead + AsyncWrite + Unpin> Requested<IO> {
    /// Answers with 101 and `headers`, and continues with raw streams. Bytes behind
    /// the request are not lost.
    ///
    /// # Errors
    ///
    /// [`UpgradeError::TimedOut`], if the client does not take the response; [`UpgradeError::Io`].
    pub async fn switch(
        mut self,
        headers: HeaderMap,
        config: MuxConfig,
    ) -> Result<(Mux, MuxConnection<IO>), UpgradeError> {
        let response = switching(self.version);
        let mut all = headers;
        for (name, value) in response.headers() {
            all.insert(name.clone(), value.clone());
        }
        let head = encode_head("HTTP/1.1 101 Switching Protocols", &all);
        in_time(self.timeout, head::write(&mut self.io, head)).await?;
        let (mux, connection) = Mux::server(self.io, self.version, config);
        Ok((mux, connection.with_input(self.input)))
    }

    /// Answers as a Kubernetes node or API server does. If one of the client's
    /// stream protocols is among `ours`, the answer is 101 with the first of
    /// them. Otherwise it is 403 with all of ours. The connection has the
    /// profile [`MuxConfig::kubernetes`].
    ///
    /// A client that names no stream protocol is accepted. The response then
    /// names none, which stands for the oldest.
    ///
    /// ```no_run
    /// use lacewing_conn::driver::upgrade::{Kubernetes, Upgrade, UpgradeError};
    /// use tokio::net::TcpStream;
    ///
    /// async fn node(io: TcpStream) -> Result<Kubernetes<TcpStream>, UpgradeError> {
    ///     let requested = Upgrade::default().accept(io).await?;
    ///     requested.switch_kubernetes(&["v4.channel.k8s.io", "v3.channel.k8s.io"]).await
    /// }
    /// # let _ = node;
    /// ```
    ///
    /// # Errors
    ///
    /// [`UpgradeError::NoCommonProtocol`], after the 403;
    /// [`UpgradeError::Unsendable`] for a name that no header field can carry;
    /// [`UpgradeError::TimedOut`]; [`UpgradeError::Io`].
    pub async fn switch_kubernetes(self, ours: &[&str]) -> Result<Kubernetes<IO>, UpgradeError> {
        let theirs = self.request.headers();
        let named = theirs.contains_key(&STREAM_PROTOCOL_VERSION);
        let chosen = choose_stream_protocol(theirs, ours);
        if named && chosen.is_none() {
            let mut no = Response::new(Bytes::from_static(
                b"unable to upgrade: unable to negotiate protocol\n",
            ));
            *no.status_mut() = StatusCode::FORBIDDEN;
            for name in ours {
                let name = stream_protocol(name)?;
                no.headers_mut()
                    .append(ACCEPTED_STREAM_PROTOCOL_VERSIONS, name);
            }
            self.refuse(no).await?;
            return Err(UpgradeError::NoCommonProtocol);
        }
        let mut headers = HeaderMap::new();
        if let Some(chosen) = chosen {
            headers.insert(STREAM_PROTOCOL_VERSION, stream_protocol(chosen)?);
        }
        let mut response = Response::new(());
        *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
        *response.headers_mut() = headers.clone();
        let protocol = chosen.map(str::to_owned);
        let (mux, connection) = self
            .switch(headers, MuxConfig::kubernetes(Side::Server))
            .await?;
        Ok(Kubernetes {
            mux,
            connection,
            protocol,
            response,
        })
    }

    /// Answers with another response, and closes the transport.
    ///
    /// # Errors
    ///
    /// [`UpgradeError::TimedOut`], if the client does not take the response within
    /// [`timeout`](Upgrade::timeout); [`UpgradeError::Io`].
    pub async fn refuse(mut self, response: Response<Bytes>) -> Result<(), UpgradeError> {
        refuse(&mut self.io, response, self.timeout).await
    }
}

/// Bounds a wait for the client.
async fn in_time(
    timeout: Duration,
    writing: impl Future<Output = io::Result<()>>,
) -> Result<(), UpgradeError> {
    match tokio::time::timeout(timeout, writing).await {
        Ok(written) => Ok(written?),
        Err(_) => Err(UpgradeError::TimedOut(timeout)),
    }
}

async fn refuse<IO: AsyncWrite + Unpin>(
    io: &mut IO,
    response: Response<Bytes>,
    timeout: Duration,
) -> Result<(), UpgradeError> {
    let (mut parts, body) = response.into_parts();
    let headers = &mut parts.headers;
    headers.remove(header::TRANSFER_ENCODING);
    headers.insert(header::CONTENT_LENGTH, HeaderValue::from(body.len()));
    // A sender of Upgrade must name it in Connection (RFC 9110 §7.8).
    let options = match headers.contains_key(header::UPGRADE) {
        true => "Upgrade, close",
        false => "close",
    };
    headers.insert(header::CONNECTION, HeaderValue::from_static(options));
    let status = parts.status;
    let reason = status.canonical_reason().unwrap_or_default();
    let first_line = format!("HTTP/1.1 {} {reason}", status.as_u16());
    let mut bytes = encode_head(&first_line, headers);
    bytes.extend_from_slice(&body);
    let writing = async {
        head::write(io, bytes).await?;
        head::close(io).await;
        Ok(())
    };
    in_time(timeout, writing).await
}
