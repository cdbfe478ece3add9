//! The messages that the proxy passes on: the heads of requests and responses.

use http::{
    Extensions, HeaderMap, HeaderValue, Method, Request, Response, StatusCode, Uri, Version,
    header::HOST,
    uri::{Authority, PathAndQuery},
};
use lacewing_client::OnInformational;
use lacewing_server::{Informer, RequestBody};

use super::{
    body::{Download, Reply},
    failure::Failure,
    fields::{self, Client},
    settings::{HostField, Settings},
    upstream::Upstream,
};

/// A request, as all upstreams of a route would get it.
pub(super) struct Outbound {
    pub(super) method: Method,
    pub(super) path: PathAndQuery,
    pub(super) fields: HeaderMap,
    /// The host that the client asked for, if upstreams shall see it.
    host: Option<Host>,
    informer: Option<Informer>,
    /// Empty; its memory serves the request to the upstream.
    extensions: Extensions,
}

/// The host of a request: of its URI, or of its field.
enum Host {
    Uri(Authority),
    Field(HeaderValue),
}

impl Host {
    fn as_bytes(&self) -> &[u8] {
        match self {
            Self::Uri(authority) => authority.as_str().as_bytes(),
            Self::Field(value) => value.as_bytes(),
        }
    }
}

impl Outbound {
    /// The request without what is for this connection alone.
    pub(super) fn of(
        request: Request<RequestBody>,
        settings: &Settings,
    ) -> Result<(Self, RequestBody), Failure> {
        let (mut head, body) = request.into_parts();
        let field = head.headers.remove(HOST);
        let uri = head.uri.into_parts();
        let host = uri.authority.map(Host::Uri);
        let host = host.or(field.map(Host::Field));
        let host = host.filter(|host| !host.as_bytes().is_empty());
        let client = Client::of(body.connection(), host.as_ref().map(Host::as_bytes));
        fields::of_request(&mut head.headers, &head.method, client, &settings.trusted)?;
        let informer = head.extensions.remove();
        head.extensions.clear();
        let outbound = Self {
            method: head.method,
            path: uri.path_and_query.unwrap_or(PathAndQuery::from_static("/")),
            fields: head.headers,
            host: host.filter(|_| settings.host == HostField::Client),
            informer,
            extensions: head.extensions,
        };
        Ok((outbound, body))
    }

    /// The URI of the request to one upstream. Its authority is that of `:authority` or `host`;
    /// what does not fit into a URI becomes a field.
    pub(super) fn uri(&self, upstream: &Upstream, fields: &mut HeaderMap) -> Uri {
        let path = self.path.clone();
        match &self.host {
            None => upstream.uri(path),
            // The client refuses user information in a field.
            Some(Host::Uri(host)) if !host.as_str().contains('@') => {
                upstream.uri_of(host.clone(), path)
            }
            Some(host) => {
                if let Ok(host) = HeaderValue::from_bytes(host.as_bytes()) {
                    fields.insert(HOST, host);
                }
                upstream.uri(path)
            }
        }
    }

    /// The `host` field of the request to one upstream in HTTP/1.1.
    pub(super) fn host(&self, upstream: &Upstream) -> Option<HeaderValue> {
        let own = upstream.address.authority.as_str().as_bytes();
        let host = self.host.as_ref().map_or(own, Host::as_bytes);
        HeaderValue::from_bytes(host).ok()
    }

    /// The head of the request to one upstream. With the last one go the fields themselves.
    pub(super) fn head(&mut self, upstream: &Upstream, is_last: bool) -> Request<()> {
        let mut head = Request::new(());
        *head.method_mut() = self.method.clone();
        *head.headers_mut() = match is_last {
            true => std::mem::take(&mut self.fields),
            false => self.fields.clone(),
        };
        let uri = self.uri(upstream, head.headers_mut());
        *head.uri_mut() = uri;
        if let Some(informer) = self.informer.clone() {
            let inform = move |response: Response<()>| inform(&informer, response);
            *head.extensions_mut() = std::mem::take(&mut self.extensions);
            head.extensions_mut().insert(OnInformational::new(inform));
        }
        head
    }
}

/// Passes an informational response on. `100 Continue` is sent when the client's content is wanted.
fn inform(informer: &Informer, mut response: Response<()>) {
    if response.status() == StatusCode::CONTINUE {
        return;
    }
    let version = response.version();
    fields::of_response(response.headers_mut(), version);
    *response.version_mut() = Version::default();
    // The client may be gone, which the response will find.
    drop(informer.inform(response));
}

/// A response as the client gets it.
pub(super) fn passed_on<B>(
    response: Response<B>,
    download: impl FnOnce(B) -> Download,
) -> Response<Reply> {
    let (mut head, body) = response.into_parts();
    fields::of_response(&mut head.headers, head.version);
    head.version = Version::default();
    head.extensions = http::Extensions::default();
    Response::from_parts(head, Reply::Upstream(Box::new(download(body))))
}
