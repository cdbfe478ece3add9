//! A request that is sent again and again, in the forms of all protocols.

use bytes::Bytes;
use http::{
    HeaderMap, Method, Uri,
    header::{CONTENT_LENGTH, HOST, HeaderValue},
};
use http_body_util::Full;
use lacewing_conn::proto::Head;

/// A request that is sent again and again.
#[derive(Clone, Debug)]
pub(super) struct Template {
    pub(super) head: Head,
    pub(super) content: Bytes,
    http1: http::Request<()>,
}

impl Template {
    /// A request to an absolute URL. `content`: `None` for a request that has none.
    pub(super) fn new(
        method: &Method,
        url: &Uri,
        fields: HeaderMap,
        content: Option<Bytes>,
    ) -> Result<Self, http::Error> {
        let mut head = Head::request(method.clone(), url.clone());
        head.fields = fields;
        if let Some(content) = &content {
            let length = HeaderValue::from(content.len());
            head.fields.insert(CONTENT_LENGTH, length);
        }
        let target = url.path_and_query().map_or("/", |target| target.as_str());
        let mut http1 = http::Request::builder()
            .method(method.clone())
            .uri(target)
            .body(())?;
        let mut fields = head.fields.clone();
        if let (Some(authority), false) = (url.authority(), fields.contains_key(HOST)) {
            let host = HeaderValue::from_str(authority.as_str())?;
            fields.insert(HOST, host);
        }
        *http1.headers_mut() = fields;
        Ok(Self {
            head,
            content: content.unwrap_or_default(),
            http1,
        })
    }

    /// Its method and path, for people.
    pub(super) fn line(&self) -> (&str, &str) {
        (self.http1.method().as_str(), self.http1.uri().path())
    }

    /// The request in HTTP/1.1.
    pub(super) fn http1(&self) -> http::Request<Full<Bytes>> {
        self.http1.clone().map(|()| Full::new(self.content.clone()))
    }
}
