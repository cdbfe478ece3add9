//! The requests of a client.

use std::fmt::Write as _;

use http::{HeaderMap, Uri};
use lacewing_conn::Side;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

use crate::{command_streams::CommandStreams, limits::KubeLimits};

/// The protocol that carries the streams of a session.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum StreamingProtocol {
    /// SPDY/3.1, which every server has.
    #[default]
    Spdy,
    /// Raw streams over HTTP/2, which only servers of this crate have. See
    /// [the mapping](crate#raw-streams-over-http2).
    Http2,
    /// WebSocket: `v5.channel.k8s.io`, or SPDY inside of messages for port-forward.
    #[cfg(feature = "websocket")]
    WebSocket,
    /// WebSocket, and SPDY on a second connection if the server refuses it. kubectl's
    /// choice since 1.30.
    #[cfg(feature = "websocket")]
    WebSocketFirst,
}

/// The pod of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pod<'a> {
    /// The namespace, such as `default`.
    pub namespace: &'a str,
    /// The name.
    pub name: &'a str,
    /// The container, for `exec` and `attach`. Without one, the server takes the only
    /// one.
    pub container: Option<&'a str>,
}

/// A request for `exec` or `attach`.
///
/// ```
/// use http::{Uri, header};
/// use lacewing_kube::{CommandStreams, client::{CommandRequest, Pod}};
///
/// let server = Uri::from_static("https://127.0.0.1:6443");
/// let pod = Pod { namespace: "default", name: "mypod", container: None };
/// let streams = CommandStreams { stdout: true, ..CommandStreams::default() };
/// let mut request = CommandRequest::exec(&server, pod, ["echo", "a b"], streams)?;
/// let path = "/api/v1/namespaces/default/pods/mypod/exec?command=echo&command=a%20b&stdout=true";
/// assert_eq!(request.uri.path_and_query().map(|path| path.as_str()), Some(path));
/// request.headers.insert(header::AUTHORIZATION, "Bearer token".parse()?);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct CommandRequest {
    /// The URI, with its query. The query names the streams of the session.
    pub uri: Uri,
    /// Further header fields, such as `Authorization`.
    pub headers: HeaderMap,
    /// The transport. Default SPDY.
    pub transport: StreamingProtocol,
    /// The bounds of the session.
    pub limits: KubeLimits,
}

impl CommandRequest {
    /// Creates a request with a URI as a kubelet has it. Its query names the streams.
    pub fn new(uri: Uri) -> Self {
        Self {
            uri,
            headers: HeaderMap::new(),
            transport: StreamingProtocol::default(),
            limits: KubeLimits::new(Side::Client),
        }
    }

    /// Creates a request for the URL of a container runtime, which answers the RPCs `Exec` and `Attach`
    /// with it. The URL does not name the streams. They must be those that the RPC named: the
    /// server waits for each of them.
    ///
    /// ```
    /// use http::Uri;
    /// use lacewing_kube::{CommandStreams, client::CommandRequest};
    ///
    /// let url = Uri::from_static("http://127.0.0.1:10010/exec/Zm9vYmFy");
    /// let request = CommandRequest::of_url(&url, CommandStreams::from_query("stdout=true"))?;
    /// assert_eq!(request.uri, "http://127.0.0.1:10010/exec/Zm9vYmFy?stdout=true");
    /// # Ok::<(), http::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// The path and the query together are too long for a URI.
    pub fn of_url(url: &Uri, streams: CommandStreams) -> Result<Self, http::Error> {
        let mut path = url.path().to_owned();
        let queries = [url.query().unwrap_or_default(), &streams.to_query()];
        for (query, separator) in queries
            .iter()
            .filter(|query| !query.is_empty())
            .zip(['?', '&'])
        {
            path.push(separator);
            path.push_str(query);
        }
        let mut parts = url.clone().into_parts();
        parts.path_and_query = Some(path.parse()?);
        Ok(Self::new(Uri::from_parts(parts)?))
    }

    /// Creates a request to run a command. `server` is the API server's URI; it may have
    /// a path.
    ///
    /// # Errors
    ///
    /// The URI has no authority.
    pub fn exec<'a>(
        server: &Uri,
        pod: Pod<'_>,
        command: impl IntoIterator<Item = &'a str>,
        streams: CommandStreams,
    ) -> Result<Self, http::Error> {
        let mut query = container(pod);
        for argument in command {
            append(&mut query, "command", argument);
        }
        Self::of_pod(server, pod, "exec", query, streams)
    }

    /// Creates a request for the streams of a running container.
    ///
    /// # Errors
    ///
    /// The URI has no authority.
    pub fn attach(
        server: &Uri,
        pod: Pod<'_>,
        streams: CommandStreams,
    ) -> Result<Self, http::Error> {
        Self::of_pod(server, pod, "attach", container(pod), streams)
    }

    fn of_pod(
        server: &Uri,
        pod: Pod<'_>,
        subresource: &str,
        mut query: String,
        streams: CommandStreams,
    ) -> Result<Self, http::Error> {
        let streams = streams.to_query();
        if !streams.is_empty() {
            if !query.is_empty() {
                query.push('&');
            }
            query.push_str(&streams);
        }
        uri(server, pod, subresource, &query).map(Self::new)
    }

    /// Returns the streams that the URI's query names.
    pub fn streams(&self) -> CommandStreams {
        CommandStreams::from_query(self.uri.query().unwrap_or_default())
    }

    /// Returns the request after `change`.
    #[must_use]
    pub fn with(mut self, change: impl FnOnce(&mut Self)) -> Self {
        change(&mut self);
        self
    }
}

/// A request for port-forward. The ports are named later, one for each
/// [`open`](super::PortForwardSession::open).
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ForwardRequest {
    /// The URI.
    pub uri: Uri,
    /// Further header fields, such as `Authorization`.
    pub headers: HeaderMap,
    /// The transport. Default SPDY.
    pub transport: StreamingProtocol,
    /// The bounds of the session.
    pub limits: KubeLimits,
}

impl ForwardRequest {
    /// Creates a request with a URI as a kubelet or container runtime has it.
    pub fn new(uri: Uri) -> Self {
        Self {
            uri,
            headers: HeaderMap::new(),
            transport: StreamingProtocol::default(),
            limits: KubeLimits::new(Side::Client),
        }
    }

    /// Creates a request to an API server.
    ///
    /// # Errors
    ///
    /// The URI has no authority.
    pub fn of_pod(server: &Uri, pod: Pod<'_>) -> Result<Self, http::Error> {
        uri(server, pod, "portforward", "").map(Self::new)
    }

    /// Returns the request after `change`.
    #[must_use]
    pub fn with(mut self, change: impl FnOnce(&mut Self)) -> Self {
        change(&mut self);
        self
    }
}

fn container(pod: Pod<'_>) -> String {
    let mut query = String::new();
    if let Some(container) = pod.container {
        append(&mut query, "container", container);
    }
    query
}

fn append(query: &mut String, name: &str, value: &str) {
    let separator = if query.is_empty() { "" } else { "&" };
    // Writing to a string cannot fail.
    let _ = write!(query, "{separator}{name}={}", encode(value));
}

fn encode(text: &str) -> impl std::fmt::Display {
    utf8_percent_encode(text, NON_ALPHANUMERIC)
}

fn uri(server: &Uri, pod: Pod<'_>, subresource: &str, query: &str) -> Result<Uri, http::Error> {
    let base = server.path().trim_end_matches('/');
    let (namespace, name) = (segment(pod.namespace), segment(pod.name));
    let mut path = format!("{base}/api/v1/namespaces/{namespace}/pods/{name}/{subresource}");
    if !query.is_empty() {
        path.push('?');
        path.push_str(query);
    }
    let mut parts = server.clone().into_parts();
    parts.path_and_query = Some(path.parse()?);
    Ok(Uri::from_parts(parts)?)
}

/// Encodes a segment of a path. Names of Kubernetes keep their form.
fn segment(text: &str) -> String {
    const RESERVED: &percent_encoding::AsciiSet =
        &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_');
    match text {
        // They would name other segments.
        "." => "%2E".to_owned(),
        ".." => "%2E%2E".to_owned(),
        text => utf8_percent_encode(text, RESERVED).to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_arguments_are_encoded() {
        let server = Uri::from_static("https://host:6443/k8s/clusters/c/");
        let pod = Pod {
            namespace: "kube-system",
            name: "a.b/../c",
            container: Some("x&y"),
        };
        let streams = CommandStreams::from_query("stdin=true&tty=true");
        let request = CommandRequest::exec(&server, pod, ["sh", "-c", "a=1&b"], streams).unwrap();
        assert_eq!(
            request.uri.to_string(),
            "https://host:6443/k8s/clusters/c/api/v1/namespaces/kube-system/pods/a.b%2F..%2Fc/exec\
             ?container=x%26y&command=sh&command=%2Dc&command=a%3D1%26b&stdin=true&tty=true"
        );
        assert_eq!(request.streams(), streams);
        let request = ForwardRequest::of_pod(&server, Pod { name: "..", ..pod }).unwrap();
        let end = "/pods/%2E%2E/portforward";
        assert!(request.uri.to_string().ends_with(end), "{}", request.uri);
    }
}
