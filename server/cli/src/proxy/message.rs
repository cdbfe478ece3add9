//! The messages that the proxy passes on: the heads of requests and responses.

use http::{
    HeaderMap, HeaderValue, Method, Request, Response, StatusCode, Version, header::HOST,
    uri::PathAndQuery,
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
    pub(super) host: Option<HeaderValue>,
    informer: Option<Informer>,
}

impl Outbound {
    /// The request without what is for this connection alone.
    pub(super) fn of(
        request: Request<RequestBody>,
        settings: &Settings,
    ) -> Result<(Self, RequestBody), Failure> {
        let (mut head, body) = request.into_parts();
        let mut host = head.headers.remove(HOST);
        if let Some(authority) = head.uri.authority() {
            host = HeaderValue::from_str(authority.as_str()).ok();
        }
        let client = Client::of(body.connection(), host.as_ref());
        fields::of_request(&mut head.headers, &head.method, client, &settings.trusted)?;
        let path = head.uri.into_parts().path_and_query;
        let outbound = Self {
            method: head.method,
            path: path.unwrap_or(PathAndQuery::from_static("/")),
            fields: head.headers,
            host: host.filter(|host| settings.host == HostField::Client && !host.is_empty()),
            informer: head.extensions.remove(),
        };
        Ok((outbound, body))
    }

    /// The head of the request to one upstream. With the last one go the fields themselves.
    pub(super) fn head(&mut self, upstream: &Upstream, is_last: bool) -> Request<()> {
        let mut head = Request::new(());
        *head.method_mut() = self.method.clone();
        *head.uri_mut() = upstream.uri(self.path.clone());
        *head.headers_mut() = match is_last {
            true => std::mem::take(&mut self.fields),
            false => self.fields.clone(),
        };
        if let Some(host) = &self.host {
            head.headers_mut().insert(HOST, host.clone());
        }
        if let Some(informer) = self.informer.clone() {
            let inform = move |response: Response<()>| inform(&informer, response);
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
