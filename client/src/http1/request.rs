//! Turns requests into those of HTTP/1.1 (RFC 9112 §3).

use http::{
    HeaderMap, HeaderName, HeaderValue, Method, Request, Uri,
    header::{self, Entry},
};
use lacewing_conn::proto::Control;

use crate::{
    AbsoluteForm, OnInformational, RequestError, Security,
    body::RequestBody,
    exchange::{Expectation, Vocabulary, prepare},
    spare::Spare,
};

/// A request in HTTP/1.1, and what goes with it.
pub(super) struct Prepared {
    pub(super) head: Request<()>,
    pub(super) body: RequestBody,
    pub(super) expectation: Expectation,
    pub(super) informational: Option<OnInformational>,
    /// The names in the `trailer` field.
    pub(super) trailers: Vec<HeaderName>,
    /// For another try.
    pub(super) spare: Spare,
}

/// Prepares a request. The rules for its fields are those of the other protocols, so that a request
/// does not depend on the protocol that a server chooses.
pub(super) fn prepare_http1(
    request: Request<RequestBody>,
    security: Security,
) -> Result<Prepared, RequestError> {
    let mut prepared = prepare(request, Vocabulary::HTTP, security)?;
    let spare = prepared.copy();
    let Control::Request {
        method,
        uri,
        protocol,
    } = prepared.head.control
    else {
        return Err(RequestError::NoHost);
    };
    if protocol.is_some() {
        let what =
            "a ConnectProtocol, which HTTP/2 and SPDY have; connect to a server that speaks these";
        return Err(RequestError::NotInHttp1 { what });
    }
    if method == Method::CONNECT {
        let what = "a tunnel by CONNECT; connect to the proxy in a Dial";
        return Err(RequestError::NotInHttp1 { what });
    }
    let mut fields = prepared.head.fields;
    if let Some(authority) = uri.authority() {
        // Else the field has it already. It comes first (RFC 9110 §7.2).
        let host = HeaderValue::from_str(authority.as_str()).map_err(|_| RequestError::NoHost)?;
        insert_first(&mut fields, header::HOST, host);
    }
    if fields.contains_key(header::TE) {
        // RFC 9110 §10.1.4.
        fields.insert(header::CONNECTION, HeaderValue::from_static("TE"));
    }
    let trailers = named_trailers(&fields);
    let length_known =
        prepared.body.length().is_some() || fields.contains_key(header::CONTENT_LENGTH);
    if !prepared.body.is_empty() && (!trailers.is_empty() || !length_known) {
        // Only chunks can be followed by trailers. hyper would send GET without its content.
        fields.remove(header::CONTENT_LENGTH);
        fields.insert(
            header::TRANSFER_ENCODING,
            HeaderValue::from_static("chunked"),
        );
    }
    let mut head = Request::new(());
    *head.uri_mut() = match prepared.extensions.absolute_form {
        None => target(&method, &uri),
        Some(AbsoluteForm) => absolute_target(&method, uri),
    };
    *head.method_mut() = method;
    *head.headers_mut() = fields;
    Ok(Prepared {
        head,
        body: prepared.body,
        expectation: prepared.expectation,
        informational: prepared.extensions.informational,
        trailers,
        spare,
    })
}

/// The origin form (RFC 9112 §3.2.1), or the asterisk form of OPTIONS.
fn target(method: &Method, uri: &Uri) -> Uri {
    let Some(path) = uri.path_and_query() else {
        return Uri::from_static("/");
    };
    if *method == Method::OPTIONS && path.path() == "*" || path.as_str().starts_with('/') {
        return Uri::from(path.clone());
    }
    // A query without a path (`http://a.example?q`) is written with one.
    let text = path.to_string();
    text.parse().unwrap_or_else(|_| Uri::from_static("/"))
}

/// The absolute form (RFC 9112 §3.2.2), for a proxy.
fn absolute_target(method: &Method, uri: Uri) -> Uri {
    let path = target(method, &uri);
    let mut parts = uri.into_parts();
    parts.path_and_query = path.into_parts().path_and_query;
    Uri::from_parts(parts).unwrap_or_default()
}

/// Inserts a field before all others. The field that was the first becomes the last: a map fills the
/// place of a field that is removed with its last one.
fn insert_first(fields: &mut HeaderMap, name: HeaderName, value: HeaderValue) {
    let front = fields.keys().next().cloned();
    fields.insert(name, value);
    let Some(front) = front else { return };
    if let Entry::Occupied(entry) = fields.entry(front) {
        let (front, values) = entry.remove_entry_mult();
        let values: Vec<_> = values.collect();
        for value in values {
            fields.append(front.clone(), value);
        }
    }
}

fn named_trailers(fields: &HeaderMap) -> Vec<HeaderName> {
    let lists = fields.get_all(header::TRAILER).iter();
    lists
        .filter_map(|list| list.to_str().ok())
        .flat_map(|list| list.split(','))
        .filter_map(|name| name.trim().parse().ok())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::body::Replay;

    fn prepared(request: http::request::Builder) -> Request<()> {
        let request = request.body(RequestBody::Empty).unwrap();
        prepare_http1(request, Security::Cleartext)
            .map_or_else(|error| panic!("{error}"), |it| it.head)
    }

    #[test]
    fn the_target_is_in_origin_form_and_host_is_first() {
        let head = prepared(Request::get("http://a.example:81/x?y").header("accept", "*/*"));
        assert_eq!(head.uri(), "/x?y");
        let fields: Vec<_> = head
            .headers()
            .iter()
            .map(|(name, _)| name.as_str())
            .collect();
        assert_eq!(fields, ["host", "accept"]);
        assert_eq!(head.headers()["host"], "a.example:81");
        assert_eq!(prepared(Request::get("http://a.example")).uri(), "/");
        assert_eq!(prepared(Request::get("http://a.example?q")).uri(), "/?q");
    }

    #[test]
    fn host_is_first_and_every_other_field_stays() {
        for list in [
            &["a=1"][..],
            &["a=1", "a=2", "b=3"],
            &["a=1", "b=2", "a=3", "c=4"],
            &[],
        ] {
            let mut request = Request::get("http://h.example/");
            for field in list {
                let (name, value) = field.split_once('=').unwrap();
                request = request.header(name, value);
            }
            let head = prepared(request);
            let fields = head.headers();
            assert_eq!(fields.keys().next(), Some(&header::HOST), "{list:?}");
            let all = fields.iter().skip(1);
            let mut all: Vec<_> = all
                .map(|(name, value)| format!("{name}={}", value.to_str().unwrap()))
                .collect();
            all.sort();
            let mut expected = list.to_vec();
            expected.sort_unstable();
            assert_eq!(all, expected);
            let of_a: Vec<_> = fields.get_all("a").iter().collect();
            assert!(of_a.is_sorted(), "{of_a:?}");
        }
    }

    #[test]
    fn a_proxy_gets_the_whole_uri() {
        for (uri, line) in [
            ("http://a.example:81/x?y", "http://a.example:81/x?y"),
            ("http://a.example?q", "http://a.example/?q"),
            ("http://a.example", "http://a.example/"),
        ] {
            let head = prepared(Request::get(uri).extension(AbsoluteForm));
            assert_eq!(head.uri().to_string(), line);
            assert!(head.headers().contains_key("host"));
        }
    }

    #[test]
    fn a_body_of_unknown_length_is_sent_in_chunks_with_any_method() {
        let frame = http_body::Frame::data(bytes::Bytes::from("x"));
        let frames = futures_util::stream::iter([Ok::<_, std::io::Error>(frame)]);
        let body = http_body_util::StreamBody::new(frames);
        let body = RequestBody::new(body, Replay::Never);
        let request = Request::get("http://a.example/").body(body).unwrap();
        let prepared = prepare_http1(request, Security::Cleartext);
        let head = prepared.map_or_else(|error| panic!("{error}"), |it| it.head);
        assert_eq!(head.headers()["transfer-encoding"], "chunked");
    }

    #[test]
    fn what_http1_lacks_is_refused() {
        let request = Request::connect("a.example:443")
            .body(RequestBody::Empty)
            .unwrap();
        let refused = prepare_http1(request, Security::Cleartext).err();
        assert!(
            matches!(refused, Some(RequestError::NotInHttp1 { .. })),
            "{refused:?}"
        );
    }
}
