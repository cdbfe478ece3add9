//! A request on a bare transport, without an HTTP server.

use std::{io, time::Duration};

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, Uri, Version, header};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    time::timeout,
};

use super::rejection::Rejection;

/// The most header fields of a request.
const MAX_FIELDS: usize = 100;

/// The longest head of a request, in bytes.
const MAX_HEAD: usize = 64 << 10;

/// The time for a head to arrive, and for an answer to be taken.
const TIMEOUT: Duration = Duration::from_secs(30);

/// The head of an HTTP/1.1 request on a bare transport: for servers that have no HTTP
/// library, or that decide about the transport themselves.
///
/// Nothing is written before the caller decides. For a request that is no upgrade,
/// [`into_parts`](Self::into_parts) returns the transport, and every byte that was read.
///
/// ```no_run
/// use lacewing_kube::server::{BareRequest, CommandOffer, CommandStreams, ExecSession};
/// use tokio::net::TcpStream;
///
/// async fn exec(io: TcpStream) -> Result<ExecSession, Box<dyn std::error::Error>> {
///     let mut bare = BareRequest::read(io).await?;
///     let query = bare.request().uri().query().unwrap_or_default();
///     let offer = CommandOffer::new(CommandStreams::from_query(query));
///     match offer.accept(bare.request_mut()) {
///         Ok((response, pending)) => {
///             let (io, early) = bare.switch(response).await?;
///             Ok(pending.serve_on(io, early).await?)
///         }
///         Err(rejection) => {
///             bare.refuse(rejection.clone()).await?;
///             Err(rejection.into())
///         }
///     }
/// }
/// # let _ = exec;
/// ```
#[derive(Debug)]
#[must_use = "the client waits for an answer"]
pub struct BareRequest<IO> {
    io: IO,
    request: Request<()>,
    /// Everything that was read: the head, and the bytes behind it.
    input: BytesMut,
    head: usize,
}

impl<IO: AsyncRead + AsyncWrite + Unpin> BareRequest<IO> {
    /// Reads the head of a request, of 64 KiB at most, within 30 s.
    ///
    /// # Errors
    ///
    /// The bytes are no request of HTTP/1 ([`InvalidData`](io::ErrorKind::InvalidData)), the
    /// head is too long, the transport ended, or the time is over.
    pub async fn read(mut io: IO) -> io::Result<Self> {
        let mut input = BytesMut::new();
        let reading = async {
            loop {
                if let Some((head, request)) = parse(&input)? {
                    return Ok((head, request));
                }
                if input.len() >= MAX_HEAD {
                    return Err(invalid("the head of the request exceeds 64 KiB"));
                }
                if io.read_buf(&mut input).await? == 0 {
                    return Err(io::ErrorKind::UnexpectedEof.into());
                }
            }
        };
        let (head, request) = timeout(TIMEOUT, reading).await.map_err(|_| late())??;
        Ok(Self {
            io,
            request,
            input,
            head,
        })
    }

    /// Returns the request.
    pub fn request(&self) -> &Request<()> {
        &self.request
    }

    /// Returns the request for [`CommandOffer::accept`](super::CommandOffer::accept) and
    /// [`ForwardOffer::accept`](super::ForwardOffer::accept).
    pub fn request_mut(&mut self) -> &mut Request<()> {
        &mut self.request
    }

    /// Returns the transport and every byte that was read from it, the head included.
    pub fn into_parts(self) -> (IO, BytesMut) {
        (self.io, self.input)
    }

    /// Sends the 101 response. Returns the transport and the bytes behind the request, for
    /// `serve_on`.
    ///
    /// # Errors
    ///
    /// The transport fails, or takes nothing for 30 s.
    pub async fn switch(mut self, response: Response<()>) -> io::Result<(IO, Bytes)> {
        let early = self.input.split_off(self.head.min(self.input.len()));
        let head = encode(&response.map(|()| String::new()));
        self.send(&head).await?;
        Ok((self.io, early.freeze()))
    }

    /// Sends a refusal, and closes the transport.
    ///
    /// # Errors
    ///
    /// The transport fails, or takes nothing for 30 s.
    pub async fn refuse(mut self, rejection: Rejection) -> io::Result<()> {
        let mut response: Response<String> = rejection.into_response();
        let length = HeaderValue::from(response.body().len());
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_LENGTH, length);
        headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
        self.send(&encode(&response)).await?;
        timeout(TIMEOUT, self.io.shutdown())
            .await
            .map_err(|_| late())?
    }

    async fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        let sending = async {
            self.io.write_all(bytes).await?;
            self.io.flush().await
        };
        timeout(TIMEOUT, sending).await.map_err(|_| late())?
    }
}

/// Parses a head; `None` while it is not complete.
fn parse(input: &[u8]) -> io::Result<Option<(usize, Request<()>)>> {
    let mut fields = [httparse::EMPTY_HEADER; MAX_FIELDS];
    let mut parsed = httparse::Request::new(&mut fields);
    let head = match parsed.parse(input) {
        Ok(httparse::Status::Complete(head)) => head,
        Ok(httparse::Status::Partial) => return Ok(None),
        Err(error) => return Err(io::Error::new(io::ErrorKind::InvalidData, error)),
    };
    let mut request = Request::new(());
    let method = parsed.method.unwrap_or_default();
    *request.method_mut() =
        Method::from_bytes(method.as_bytes()).map_err(|_| invalid("the method"))?;
    *request.uri_mut() = Uri::try_from(parsed.path.unwrap_or_default())
        .map_err(|_| invalid("the target of the request"))?;
    *request.version_mut() = match parsed.version {
        Some(1) => Version::HTTP_11,
        _ => Version::HTTP_10,
    };
    let mut headers = HeaderMap::with_capacity(parsed.headers.len());
    for field in parsed.headers.iter() {
        let name = HeaderName::from_bytes(field.name.as_bytes());
        let value = HeaderValue::from_bytes(field.value);
        let (Ok(name), Ok(value)) = (name, value) else {
            return Err(invalid("a header field"));
        };
        headers.append(name, value);
    }
    *request.headers_mut() = headers;
    Ok(Some((head, request)))
}

fn encode(response: &Response<String>) -> Vec<u8> {
    let status = response.status();
    let reason = status.canonical_reason().unwrap_or_default();
    let mut bytes = format!("HTTP/1.1 {} {reason}\r\n", status.as_u16()).into_bytes();
    for (name, value) in response.headers() {
        bytes.extend_from_slice(name.as_str().as_bytes());
        bytes.extend_from_slice(b": ");
        bytes.extend_from_slice(value.as_bytes());
        bytes.extend_from_slice(b"\r\n");
    }
    bytes.extend_from_slice(b"\r\n");
    bytes.extend_from_slice(response.body().as_bytes());
    bytes
}

fn invalid(what: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}

fn late() -> io::Error {
    io::Error::new(
        io::ErrorKind::TimedOut,
        "the peer takes or sends nothing for 30 s",
    )
}
