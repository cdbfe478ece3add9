//! The client's part of an upgrade.

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, header};
use tokio::io::{AsyncRead, AsyncWrite};

use super::{
    config::Upgrade,
    error::UpgradeError,
    head::{self, Length, encode_head, parse_response, read_head, read_start},
    negotiation::{STREAM_PROTOCOL_VERSION, token, tokens, version},
};
use crate::{
    Side, Version,
    driver::raw::{Mux, MuxConfig, MuxConnection},
};

/// The most informational responses before the final one.
const MAX_INFORMATIONAL: usize = 8;

/// A transport whose peer has switched protocols.
///
/// ```no_run
/// use lacewing_conn::{Side, driver::{Mux, MuxConfig, upgrade::{Upgrade, UpgradeError}}};
///
/// async fn tunnel(io: tokio::net::TcpStream) -> Result<Mux, UpgradeError> {
///     let request = http::Request::post("http://node/tunnel").body(());
///     let request = request.map_err(|_| UpgradeError::Unsendable("the URI"))?;
///     let switched = Upgrade::default().request(io, request).await?;
///     println!("{:?}", switched.response.headers());
///     let (mux, connection) = switched.client(MuxConfig::new(Side::Client));
///     tokio::spawn(connection);
///     Ok(mux)
/// }
/// # let _ = tunnel;
/// ```
#[derive(Debug)]
#[non_exhaustive]
pub struct Switched<IO> {
    /// The transport.
    pub io: IO,
    /// The bytes that arrived right behind the 101 response.
    pub input: BytesMut,
    /// The protocol of the transport from now on.
    pub version: Version,
    /// The 101 response.
    pub response: Response<()>,
}

/// A connection between a Kubernetes client and a node or API server, on either
/// side: see [`Upgrade::request_kubernetes`] and
/// [`Requested::switch_kubernetes`](super::Requested::switch_kubernetes).
///
/// ```
/// use lacewing_conn::driver::upgrade::Kubernetes;
///
/// fn speaks_v4<IO>(answer: &Kubernetes<IO>) -> bool {
///     answer.protocol.as_deref() == Some("v4.channel.k8s.io")
/// }
/// # let _ = speaks_v4::<tokio::io::DuplexStream>;
/// ```
#[derive(Debug)]
#[non_exhaustive]
#[must_use = "a connection does nothing unless it is polled"]
pub struct Kubernetes<IO> {
    /// Opens streams.
    pub mux: Mux,
    /// The connection's future, to spawn.
    pub connection: MuxConnection<IO>,
    /// The stream protocol that the server chose; `None` stands for the oldest.
    pub protocol: Option<String>,
    /// The 101 response, with its header fields.
    pub response: Response<()>,
}

impl<IO> Switched<IO> {
    /// Starts raw streams over the transport, in the client's role. For the other
    /// role, pass the same parts to [`Mux::server`].
    pub fn client(self, config: MuxConfig) -> (Mux, MuxConnection<IO>) {
        let (mux, connection) = Mux::client(self.io, self.version, config);
        (mux, connection.with_input(self.input))
    }
}

impl Upgrade {
    /// Asks the server at the other end of `io` to switch to raw streams, and waits for its
    /// response. Sends the request in HTTP/1.1 as given, with its path and query as
    /// the target. Adds the fields that the upgrade needs: `Host` (from the URI, if
    /// there is none), `Connection`, `Upgrade` and `Content-Length: 0`. Over TLS,
    /// offer no ALPN, or `http/1.1`.
    ///
    /// # Errors
    ///
    /// [`UpgradeError::Refused`] has the server's response when it refuses; the
    /// others report a failure before it. Either way the transport is dropped.
    pub async fn request<IO>(
        &self,
        mut io: IO,
        request: Request<()>,
    ) -> Result<Switched<IO>, UpgradeError>
    where
        IO: AsyncRead + AsyncWrite + Unpin,
    {
        let request = self.encode(request)?;
        let deadline = tokio::time::Instant::now().checked_add(self.timeout);
        let deadline = deadline.ok_or(UpgradeError::TimedOut(self.timeout))?;
        let mut input = BytesMut::new();
        let asking = async {
            head::write(&mut io, request).await?;
            self.read_final(&mut io, &mut input).await
        };
        let response = tokio::time::timeout_at(deadline, asking)
            .await
            .map_err(|_| UpgradeError::TimedOut(self.timeout))??;
        if response.status() != StatusCode::SWITCHING_PROTOCOLS {
            let length = head::length(response.headers()).unwrap_or(Length::Unsaid);
            let mut body = BytesMut::new();
            let reading = read_start(&mut io, &mut input, length, self.max_body, &mut body);
            // The error has the part that arrived by the deadline.
            let _ = tokio::time::timeout_at(deadline, reading).await;
            let refused = response.map(|()| Bytes::from(body));
            return Err(UpgradeError::Refused(Box::new(refused)));
        }
        let agreed = tokens(response.headers(), &header::UPGRADE)
            .any(|name| version(name) == Some(self.version));
        if !agreed {
            let name = response.headers().get(header::UPGRADE);
            let name = name.map_or_else(Default::default, |name| {
                String::from_utf8_lossy(name.as_bytes()).into_owned()
            });
            return Err(UpgradeError::WrongProtocol(name));
        }
        Ok(Switched {
            io,
            input,
            version: self.version,
            response,
        })
    }

    /// Asks a Kubernetes node or API server for streams, as `exec`, `attach` and
    /// `portforward` begin. `protocols` are the stream protocols that the caller
    /// supports, best first, such as `v5.channel.k8s.io`, `v4.channel.k8s.io` or
    /// `portforward.k8s.io`. The connection has the profile
    /// [`MuxConfig::kubernetes`].
    ///
    /// ```no_run
    /// use lacewing_conn::driver::{OpenOptions, upgrade::Upgrade};
    ///
    /// # async fn run(io: tokio::net::TcpStream) -> Result<(), Box<dyn std::error::Error>> {
    /// let request = http::Request::post(
    ///     "http://node/api/v1/namespaces/default/pods/mypod/exec?command=date&stdout=true",
    /// )
    /// .body(())?;
    /// let answer = Upgrade::default().request_kubernetes(io, request, &["v4.channel.k8s.io"]).await?;
    /// tokio::spawn(answer.connection);
    /// let mut headers = http::HeaderMap::new();
    /// headers.insert("streamtype", "error".parse()?);
    /// let mut error = answer.mux.open(headers, OpenOptions::default()).await?;
    /// error.recv_reply().await?;
    /// # Ok(())
    /// # }
    /// # let _ = run;
    /// ```
    ///
    /// # Errors
    ///
    /// Those of [`request`](Self::request), and
    /// [`UpgradeError::WrongProtocol`] for a protocol that we did not name.
    pub async fn request_kubernetes<IO>(
        &self,
        io: IO,
        mut request: Request<()>,
        protocols: &[&str],
    ) -> Result<Kubernetes<IO>, UpgradeError>
    where
        IO: AsyncRead + AsyncWrite + Unpin,
    {
        for protocol in protocols {
            let value = stream_protocol(protocol)?;
            request.headers_mut().append(STREAM_PROTOCOL_VERSION, value);
        }
        let switched = self.request(io, request).await?;
        let chosen = switched.response.headers().get(STREAM_PROTOCOL_VERSION);
        let chosen = chosen.map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned());
        if let Some(chosen) = &chosen {
            if !protocols.contains(&chosen.as_str()) {
                return Err(UpgradeError::WrongProtocol(chosen.clone()));
            }
        }
        let response = switched.response.clone();
        let (mux, connection) = switched.client(MuxConfig::kubernetes(Side::Client));
        Ok(Kubernetes {
            mux,
            connection,
            protocol: chosen,
            response,
        })
    }

    fn encode(&self, request: Request<()>) -> Result<BytesMut, UpgradeError> {
        if *request.method() == Method::CONNECT {
            return Err(UpgradeError::Unsendable("CONNECT has no upgrade"));
        }
        let (parts, ()) = request.into_parts();
        let mut headers = HeaderMap::with_capacity(parts.headers.len().saturating_add(4));
        match (parts.headers.get(header::HOST), parts.uri.authority()) {
            (Some(host), _) => headers.insert(header::HOST, host.clone()),
            (None, Some(authority)) => {
                // Without the userinfo before an @ (RFC 9110 §4.2.4).
                let host = authority.as_str().rsplit('@').next().unwrap_or_default();
                let host = HeaderValue::from_str(host)
                    .map_err(|_| UpgradeError::Unsendable("the URI's authority"))?;
                headers.insert(header::HOST, host)
            }
            (None, None) => {
                return Err(UpgradeError::Unsendable(
                    "neither its URI nor a header field names the host",
                ));
            }
        };
        let ours = [
            header::HOST,
            header::CONNECTION,
            header::UPGRADE,
            header::CONTENT_LENGTH,
            header::TRANSFER_ENCODING,
        ];
        for (name, value) in &parts.headers {
            if !ours.contains(name) {
                headers.append(name.clone(), value.clone());
            }
        }
        headers.insert(header::CONNECTION, HeaderValue::from_static("Upgrade"));
        headers.insert(
            header::UPGRADE,
            HeaderValue::from_static(token(self.version)),
        );
        if !matches!(parts.method, Method::GET | Method::HEAD) {
            headers.insert(header::CONTENT_LENGTH, HeaderValue::from_static("0"));
        }
        let target = parts.uri.path_and_query().map_or("/", |path| path.as_str());
        let first_line = format!("{} {target} HTTP/1.1", parts.method);
        Ok(encode_head(&first_line, &headers))
    }

    /// Reads responses until one is final, or 101.
    async fn read_final<IO: AsyncRead + Unpin>(
        &self,
        io: &mut IO,
        input: &mut BytesMut,
    ) -> Result<Response<()>, UpgradeError> {
        for _ in 0..=MAX_INFORMATIONAL {
            let response = read_head(io, input, self.max_head, parse_response).await?;
            let status = response.status();
            if status == StatusCode::SWITCHING_PROTOCOLS || !status.is_informational() {
                return Ok(response);
            }
        }
        Err(UpgradeError::Malformed(
            "more than 8 informational responses",
        ))
    }
}

/// Turns the name of a stream protocol into a field value.
pub(super) fn stream_protocol(name: &str) -> Result<HeaderValue, UpgradeError> {
    HeaderValue::from_str(name)
        .map_err(|_| UpgradeError::Unsendable("the name of a stream protocol"))
}
