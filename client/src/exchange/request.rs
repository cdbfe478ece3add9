//! Prepares requests for the engine.

use std::mem;

use http::{Extensions, HeaderMap, HeaderValue, Method, Request, Uri, header, uri};
use lacewing_conn::{
    Version,
    proto::{Capabilities, ConnectProtocol, Control, Head, Priority, fields::expects_continue},
};

use super::fields::{self, Host, Section, check_fields};
use crate::{
    OnInformational, PriorityHandle, RequestError, Security, body::RequestBody, spare::Spare,
};

/// The `priority` header field (RFC 9218 §5).
const PRIORITY: header::HeaderName = header::HeaderName::from_static("priority");

/// A request in the parts that the engine needs.
#[derive(Default)]
pub(crate) struct PreparedRequest {
    pub(crate) head: Head,
    pub(super) priority: Option<Priority>,
    pub(crate) body: RequestBody,
    /// The request's extensions. Most requests have none.
    pub(crate) extensions: RequestExtensions,
    /// All of its extensions. Some are the user's own.
    all: Extensions,
    pub(crate) expectation: Expectation,
}

/// Extensions of a request that the connection's task uses.
#[derive(Debug, Default)]
pub(crate) struct RequestExtensions {
    pub(crate) informational: Option<OnInformational>,
    /// Of HTTP/1.1 alone.
    #[cfg(feature = "http1")]
    pub(crate) absolute_form: Option<crate::AbsoluteForm>,
    pub(super) priority: Option<PriorityHandle>,
}

/// The wait of a body for 100 (Continue) (RFC 9110 §10.1.1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Expectation {
    #[default]
    None,
    Continue,
}

/// What a connection's messages can express.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Vocabulary {
    /// 1xx responses.
    informational: bool,
    /// The field of RFC 9218 §5.
    priority_field: bool,
}

impl Vocabulary {
    /// That of HTTP without SPDY's gaps.
    #[cfg(feature = "http1")]
    pub(crate) const HTTP: Self = Self {
        informational: true,
        priority_field: true,
    };
}

impl From<Version> for Vocabulary {
    fn from(version: Version) -> Self {
        let capabilities = Capabilities::of(version);
        Self {
            informational: capabilities.informational,
            priority_field: capabilities.priority_field,
        }
    }
}

/// Prepares a request for a connection with this vocabulary.
#[cfg(any(feature = "h2c", feature = "http1"))]
pub(crate) fn prepare(
    mut request: Request<RequestBody>,
    vocabulary: Vocabulary,
    security: Security,
) -> Result<PreparedRequest, RequestError> {
    let mut prepared = PreparedRequest::default();
    prepared.take(&mut request);
    prepared.complete(vocabulary, security)?;
    Ok(prepared)
}

impl PreparedRequest {
    /// Takes the parts of a request. They are large, and each is moved once.
    /// [`complete`](Self::complete) does the rest.
    pub(super) fn take(&mut self, request: &mut Request<RequestBody>) {
        self.head.control = Control::Request {
            method: mem::take(request.method_mut()),
            uri: mem::take(request.uri_mut()),
            protocol: None,
        };
        self.head.fields = mem::take(request.headers_mut());
        self.body = mem::take(request.body_mut());
        self.all = mem::take(request.extensions_mut());
    }

    /// Reads the extensions. They stay, for another try.
    fn read_extensions(&mut self) {
        let all = &self.all;
        if let Control::Request { protocol, .. } = &mut self.head.control {
            *protocol = all.get::<ConnectProtocol>().cloned();
        }
        self.priority = all.get::<Priority>().copied();
        self.extensions.informational = all.get().cloned();
        #[cfg(feature = "http1")]
        {
            self.extensions.absolute_form = all.get().copied();
        }
        self.extensions.priority = all.get::<PriorityHandle>().cloned();
        if let Some(handle) = &self.extensions.priority {
            self.priority = Some(handle.priority());
        }
    }

    /// Takes the head for another try, once it is sent. What [`complete`](Self::complete) added is
    /// the same on every connection to the origin.
    pub(super) fn spare(&mut self) -> Spare {
        let mut head = Request::new(());
        if let Control::Request { method, uri, .. } = &mut self.head.control {
            *head.method_mut() = mem::take(method);
            *head.uri_mut() = mem::take(uri);
        }
        *head.headers_mut() = mem::take(&mut self.head.fields);
        *head.extensions_mut() = mem::take(&mut self.all);
        Spare {
            head,
            body: self.body.replay(),
        }
    }

    /// Copies the head for another try, before something consumes it.
    #[cfg(feature = "http1")]
    pub(crate) fn copy(&mut self) -> Spare {
        let mut head = Request::new(());
        if let Control::Request { method, uri, .. } = &self.head.control {
            head.method_mut().clone_from(method);
            head.uri_mut().clone_from(uri);
        }
        head.headers_mut().clone_from(&self.head.fields);
        *head.extensions_mut() = mem::take(&mut self.all);
        Spare {
            head,
            body: self.body.replay(),
        }
    }

    /// Checks the request, and adds what is missing.
    pub(super) fn complete(
        &mut self,
        vocabulary: Vocabulary,
        security: Security,
    ) -> Result<(), RequestError> {
        if !self.all.is_empty() {
            self.read_extensions();
        }
        let Head { control, fields } = &mut self.head;
        let Control::Request {
            method,
            uri,
            protocol,
        } = control
        else {
            return Ok(());
        };
        let present = check_fields(fields, Section::Head)?;
        if protocol.is_some() && *method != Method::CONNECT {
            return Err(RequestError::ProtocolWithoutConnect);
        }
        let target = Target::of(method, protocol.as_ref());
        let (mut host, mut declared) = (None, None);
        if present.host {
            let named = fields::host(fields)?;
            // `:authority` has the same value. Two fields could contradict each other.
            fields.remove(header::HOST);
            if let Host::Field(value) = &named {
                fields.insert(header::HOST, value.clone());
            }
            host = Some(named);
        }
        if present.length {
            declared = Some(fields::settle_length(fields)?);
        }
        complete_uri(uri, target, host, security)?;
        declare_length(fields, method, declared, &mut self.body)?;
        if let Some(priority) = self.priority.filter(|_| vocabulary.priority_field) {
            insert_priority(fields, priority);
        }
        // SPDY has no frame for a 100 (Continue) response.
        if vocabulary.informational && !self.body.is_empty() && expects_continue(fields) {
            self.expectation = Expectation::Continue;
        }
        Ok(())
    }
}

/// Adds the `priority` field for the servers and caches on the path (RFC 9218 §5),
/// unless the caller set it.
fn insert_priority(fields: &mut HeaderMap, priority: Priority) {
    const WHOLE: [&str; 8] = ["u=0", "u=1", "u=2", "u=3", "u=4", "u=5", "u=6", "u=7"];
    const IN_PIECES: [&str; 8] = [
        "u=0, i", "u=1, i", "u=2, i", "u=3, i", "u=4, i", "u=5, i", "u=6, i", "u=7, i",
    ];
    let texts = if priority.incremental() {
        IN_PIECES
    } else {
        WHOLE
    };
    if let Some(text) = texts.get(usize::from(priority.urgency())) {
        fields
            .entry(PRIORITY)
            .or_insert(HeaderValue::from_static(text));
    }
}

/// The target of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Target {
    /// A host and port to connect to, without a scheme or a path (RFC 9110 §9.3.6).
    Host,
    /// A resource on a server.
    Resource,
}

impl Target {
    fn of(method: &Method, protocol: Option<&ConnectProtocol>) -> Self {
        if *method == Method::CONNECT && protocol.is_none() {
            Self::Host
        } else {
            Self::Resource
        }
    }
}

/// Completes the URI with scheme and authority. The authority is that of the `host` field, if there
/// is one. The field names the request's target, and the URI the server to connect to. A URI in
/// origin form gets the scheme of the connection. If only the field can hold the authority, the URI
/// is in origin form.
fn complete_uri(
    uri: &mut Uri,
    target: Target,
    host: Option<Host>,
    security: Security,
) -> Result<(), RequestError> {
    let (host, only_field) = match host {
        Some(Host::Uri(host)) => (Some(host), false),
        Some(Host::Field(_)) => (None, true),
        None => (None, false),
    };
    if target == Target::Host {
        let differs = |host| uri.authority().is_some_and(|authority| authority != host);
        if only_field || host.as_ref().is_some_and(differs) {
            return Err(RequestError::ForbiddenField {
                name: header::HOST,
                why: "a CONNECT request is for the host of its URI; leave it out",
            });
        }
    }
    let path = uri.path_and_query().map_or("/", uri::PathAndQuery::as_str);
    if target == Target::Host && path != "/" {
        return Err(RequestError::ConnectToPath);
    }
    if only_field {
        let path = mem::take(uri).into_parts().path_and_query;
        *uri = path.map_or_else(Uri::default, Uri::from);
        return Ok(());
    }
    let same = host.is_none() || host.as_ref() == uri.authority();
    let whole = uri.authority().is_some() && (uri.scheme().is_some() || target == Target::Host);
    if whole && same {
        return Ok(());
    }
    let mut parts = mem::take(uri).into_parts();
    let authority = host.or(parts.authority).ok_or(RequestError::NoHost)?;
    parts.authority = Some(authority);
    parts.scheme.get_or_insert_with(|| security.uri_scheme());
    parts
        .path_and_query
        .get_or_insert(uri::PathAndQuery::from_static("/"));
    *uri = Uri::from_parts(parts).map_err(|_| RequestError::NoHost)?;
    Ok(())
}

/// Adds `content-length` if the length is known and has a meaning (RFC 9110 §8.6). Checks the body
/// against it while it is sent.
fn declare_length(
    fields: &mut HeaderMap,
    method: &Method,
    declared: Option<u64>,
    body: &mut RequestBody,
) -> Result<(), RequestError> {
    if *method == Method::CONNECT {
        // A CONNECT request has no content: a tunnel follows.
        return match declared {
            None => Ok(()),
            Some(_) => Err(RequestError::ForbiddenField {
                name: header::CONTENT_LENGTH,
                why: "a CONNECT request has no content; leave it out",
            }),
        };
    }
    let length = match (declared, body.length()) {
        (Some(declared), Some(length)) if declared != length => {
            return Err(RequestError::ContentLength { declared, length });
        }
        (Some(length), _) => length,
        (None, Some(length)) => {
            let method = matches!(*method, Method::POST | Method::PUT | Method::PATCH);
            if method || !body.is_empty() {
                fields.insert(header::CONTENT_LENGTH, HeaderValue::from(length));
            }
            length
        }
        (None, None) => return Ok(()),
    };
    body.declare(length);
    Ok(())
}

#[cfg(test)]
mod tests {
    use lacewing_conn::proto::fields::content_length;

    use super::*;

    fn uri_of(uri: &str, host: Option<&str>) -> Result<String, RequestError> {
        let host = host.map(|host| Host::Uri(host.parse().unwrap()));
        let (mut uri, target) = (uri.parse().unwrap(), Target::Resource);
        complete_uri(&mut uri, target, host, Security::Tls)?;
        Ok(uri.to_string())
    }

    #[test]
    fn an_origin_form_uri_is_completed_from_the_host_field() {
        assert_eq!(uri_of("http://a/x", None), Ok("http://a/x".into()));
        assert_eq!(uri_of("/x?y", Some("b:1")), Ok("https://b:1/x?y".into()));
        assert_eq!(uri_of("/x", None), Err(RequestError::NoHost));
    }

    /// As in curl and Go, the URI names the server to connect to.
    #[test]
    fn a_host_field_names_the_authority() {
        assert_eq!(uri_of("http://a/x", Some("b:1")), Ok("http://b:1/x".into()));
        assert_eq!(uri_of("http://a/x", Some("A")), Ok("http://a/x".into()));
    }

    #[test]
    fn a_priority_is_told_unless_the_caller_did() {
        let field = |priority| {
            let mut fields = HeaderMap::new();
            insert_priority(&mut fields, priority);
            fields
                .get("priority")
                .map(|value| value.to_str().unwrap().to_owned())
        };
        assert_eq!(field(Priority::new(0, false)), Some("u=0".into()));
        assert_eq!(field(Priority::new(7, true)), Some("u=7, i".into()));
        let mut fields = HeaderMap::new();
        fields.insert("priority", HeaderValue::from_static("u=1"));
        insert_priority(&mut fields, Priority::new(5, false));
        assert_eq!(fields.get("priority").unwrap(), "u=1");
    }

    #[test]
    fn what_remains_for_another_try_is_the_request_as_it_was_sent() {
        let (hints, hinted) = std::sync::mpsc::channel();
        let mut request = Request::post("http://a.example/x?y")
            .header("host", "b.example")
            .header("x-own", "1")
            .extension(7_u8)
            .extension(Priority::new(1, true))
            .extension(OnInformational::new(move |_| hints.send(()).unwrap()))
            .body(RequestBody::Bytes("four".into()))
            .unwrap();
        for _ in 0..2 {
            let mut prepared = PreparedRequest::default();
            prepared.take(&mut request);
            let vocabulary = Vocabulary::from(Version::Http2);
            prepared.complete(vocabulary, Security::Cleartext).unwrap();
            assert_eq!(prepared.priority, Some(Priority::new(1, true)));
            let informational = prepared.extensions.informational.take().unwrap();
            informational.call(http::Response::new(()));
            assert!(hinted.try_recv().is_ok());
            let spare = prepared.spare();
            request = spare.restore(crate::link::Rest::Nothing).unwrap();
            assert_eq!(*request.method(), Method::POST);
            assert_eq!(*request.uri(), "http://b.example/x?y");
            let mut fields: Vec<_> = request
                .headers()
                .iter()
                .map(|(name, value)| format!("{name}: {}", value.to_str().unwrap()))
                .collect();
            fields.sort();
            assert_eq!(
                fields,
                ["content-length: 4", "priority: u=1, i", "x-own: 1"]
            );
            assert_eq!(request.extensions().get(), Some(&7_u8));
            assert_eq!(request.body().length(), Some(4));
        }
    }

    #[test]
    fn a_length_is_declared_when_it_tells_something() {
        let declared = |method: Method, mut body| {
            let mut fields = HeaderMap::new();
            declare_length(&mut fields, &method, None, &mut body).unwrap();
            content_length(fields.get_all(header::CONTENT_LENGTH)).unwrap()
        };
        assert_eq!(declared(Method::GET, RequestBody::Empty), None);
        assert_eq!(declared(Method::POST, RequestBody::Empty), Some(0));
        let body = || RequestBody::new(crate::Body::from("four"), crate::body::Replay::Never);
        assert_eq!(declared(Method::POST, body()), Some(4));
        assert_eq!(declared(Method::CONNECT, body()), None);
    }
}
