//! Requests in the engine's words.

use http::{HeaderMap, HeaderValue, Method, Request, Uri, header, uri};
use lacewing_conn::{
    Version,
    proto::{Control, Head, Priority, Protocol},
};

use crate::{OnInformational, PriorityHandle, RequestError, Security, body::RequestBody};

/// The field of RFC 9218 §5.
const PRIORITY: header::HeaderName = header::HeaderName::from_static("priority");

/// A request, taken apart.
pub(crate) struct Message {
    pub(crate) head: Head,
    pub(super) priority: Option<Priority>,
    pub(crate) body: RequestBody,
    /// What the request's extensions ask for. Most have none.
    pub(super) wishes: Wishes,
    pub(super) expectation: Expectation,
}

/// What a request's extensions ask of the connection's task.
#[derive(Debug, Default)]
pub(crate) struct Wishes {
    pub(super) informational: Option<OnInformational>,
    pub(super) priority: Option<PriorityHandle>,
}

/// Whether the body waits for a word of the server (RFC 9110 §10.1.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Expectation {
    None,
    Continue,
}

/// Takes a request apart for a connection of this protocol.
pub(crate) fn message(
    request: Request<RequestBody>,
    version: Version,
    security: Security,
) -> Result<Message, RequestError> {
    let (mut parts, body) = request.into_parts();
    let (mut protocol, mut priority, mut wishes) = (None, None, Wishes::default());
    if !parts.extensions.is_empty() {
        protocol = parts.extensions.remove::<Protocol>();
        priority = parts.extensions.remove::<Priority>();
        wishes.informational = parts.extensions.remove();
        wishes.priority = parts.extensions.remove::<PriorityHandle>();
        if let Some(handle) = &wishes.priority {
            priority = Some(handle.priority());
        }
    }
    let uri = complete(parts.uri, &parts.method, &parts.headers, security)?;
    announce_length(&mut parts.headers, &parts.method, &body);
    // The authority says it; twice is an invitation to differ.
    parts.headers.remove(header::HOST);
    let mut expectation = Expectation::None;
    if version == Version::Http2 {
        if let Some(priority) = priority {
            announce_priority(&mut parts.headers, priority);
        }
        // Elsewhere there is no frame for the answer.
        if !body.is_empty() && expects_continue(&parts.headers) {
            expectation = Expectation::Continue;
        }
    }
    let control = Control::Request {
        method: parts.method,
        uri,
        protocol,
    };
    Ok(Message {
        head: Head {
            control,
            fields: parts.headers,
        },
        priority,
        body,
        wishes,
        expectation,
    })
}

fn expects_continue(fields: &HeaderMap) -> bool {
    fields
        .get(header::EXPECT)
        .is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"100-continue"))
}

/// The `priority` field tells servers and caches behind them (RFC 9218 §5),
/// unless the caller said something else.
fn announce_priority(fields: &mut HeaderMap, priority: Priority) {
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

/// A URI with scheme and authority: those of an origin-form URI come from the
/// `host` field and the connection.
fn complete(
    uri: Uri,
    method: &Method,
    fields: &HeaderMap,
    security: Security,
) -> Result<Uri, RequestError> {
    if uri.authority().is_some() && (uri.scheme().is_some() || method == Method::CONNECT) {
        return Ok(uri);
    }
    let authority = match (uri.authority(), fields.get(header::HOST)) {
        (Some(authority), _) => authority.clone(),
        (None, Some(host)) => {
            uri::Authority::try_from(host.as_bytes()).map_err(|_| RequestError::NoHost)?
        }
        (None, None) => return Err(RequestError::NoHost),
    };
    let mut parts = uri.into_parts();
    parts.authority = Some(authority);
    parts.scheme.get_or_insert(match security {
        Security::Cleartext => uri::Scheme::HTTP,
        Security::Tls => uri::Scheme::HTTPS,
    });
    parts
        .path_and_query
        .get_or_insert(uri::PathAndQuery::from_static("/"));
    Uri::from_parts(parts).map_err(|_| RequestError::NoHost)
}

/// `content-length` where it is known and tells something (RFC 9110 §8.6).
fn announce_length(fields: &mut HeaderMap, method: &Method, body: &RequestBody) {
    let means_something =
        !body.is_empty() || matches!(*method, Method::POST | Method::PUT | Method::PATCH);
    if !means_something || *method == Method::CONNECT {
        return;
    }
    if let (Some(length), false) = (body.length(), fields.contains_key(header::CONTENT_LENGTH)) {
        fields.insert(header::CONTENT_LENGTH, HeaderValue::from(length));
    }
}

pub(super) fn content_length(fields: &HeaderMap) -> Option<u64> {
    fields
        .get(header::CONTENT_LENGTH)?
        .to_str()
        .ok()?
        .parse()
        .ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn uri_of(uri: &str, host: Option<&str>) -> Result<String, RequestError> {
        let mut fields = HeaderMap::new();
        if let Some(host) = host {
            fields.insert(header::HOST, host.parse().unwrap());
        }
        complete(uri.parse().unwrap(), &Method::GET, &fields, Security::Tls)
            .map(|uri| uri.to_string())
    }

    #[test]
    fn an_origin_form_uri_is_completed_from_the_host_field() {
        assert_eq!(uri_of("http://a/x", None), Ok("http://a/x".into()));
        assert_eq!(uri_of("/x?y", Some("b:1")), Ok("https://b:1/x?y".into()));
        assert_eq!(uri_of("/x", None), Err(RequestError::NoHost));
        assert_eq!(uri_of("/x", Some("no host")), Err(RequestError::NoHost));
    }

    #[test]
    fn a_priority_is_told_unless_the_caller_did() {
        let told = |priority| {
            let mut fields = HeaderMap::new();
            announce_priority(&mut fields, priority);
            fields
                .get("priority")
                .map(|value| value.to_str().unwrap().to_owned())
        };
        assert_eq!(told(Priority::new(0, false)), Some("u=0".into()));
        assert_eq!(told(Priority::new(7, true)), Some("u=7, i".into()));
        let mut fields = HeaderMap::new();
        fields.insert("priority", HeaderValue::from_static("u=1"));
        announce_priority(&mut fields, Priority::new(5, false));
        assert_eq!(fields.get("priority").unwrap(), "u=1");
    }

    #[test]
    fn a_length_is_announced_when_it_tells_something() {
        let announced = |method: Method, body| {
            let mut fields = HeaderMap::new();
            announce_length(&mut fields, &method, &body);
            content_length(&fields)
        };
        assert_eq!(announced(Method::GET, RequestBody::Empty), None);
        assert_eq!(announced(Method::POST, RequestBody::Empty), Some(0));
        let body = || RequestBody::new(crate::Body::from("four"), crate::body::Replay::Never);
        assert_eq!(announced(Method::POST, body()), Some(4));
        assert_eq!(announced(Method::CONNECT, body()), None);
    }
}
