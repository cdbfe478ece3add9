//! The heads of responses: what a server adds to them and takes away.

use std::time::Instant;

use bytes::Buf;
use http::{
    HeaderMap, HeaderName, Response, StatusCode,
    header::{CONTENT_LENGTH, TE},
};
use http_body::Body;
use lacewing_conn::proto::{AddedFields, Head, Priority, fields::CONNECTION_SPECIFIC};

use crate::{
    BoxError, DateHeader, StreamError,
    content::{Content, Kind},
    date, outgoing, telemetry,
};

/// Prepares the heads of a connection's responses.
pub(super) struct Heads {
    date: DateHeader,
}

/// What follows from a response's head.
pub(super) struct Prepared {
    /// The fields that the engine sends with the head, if it does not have them.
    pub(super) added: AddedFields,
    /// The priority that the response sets; it overrides the client's (RFC 9218
    /// §8).
    pub(super) priority: Option<Priority>,
    /// A body may follow the head.
    pub(super) permits_body: bool,
    /// The length of the body.
    pub(super) length: Option<u64>,
    /// The server left out a body that the status does not allow.
    pub(super) left_out: bool,
}

impl Heads {
    pub(super) fn new(date: DateHeader) -> Self {
        Self { date }
    }

    /// Prepares the head of a response, where it is, to be sent.
    ///
    /// # Errors
    ///
    /// [`StreamError::Response`], if its content-length is not a number.
    pub(super) fn prepare<B: Body<Data: Buf, Error: Into<BoxError>>>(
        &self,
        response: &mut Response<B>,
        kind: Kind,
        now: Instant,
    ) -> Result<Prepared, StreamError> {
        let priority = remove_connection_fields(response.headers_mut());
        let content = Content::of_response(kind, response.status());
        content.remove_length(response.headers_mut());
        let body = response.body();
        let left_out = content.is_left_out(kind, body);
        let mut added = self.added(now);
        let mut length = None;
        if content == Content::Permitted {
            length = outgoing::declared(response.headers().get_all(CONTENT_LENGTH))?;
            if length.is_none() && !body.is_end_stream() {
                length = body.size_hint().exact();
                added.length = length;
            }
        }
        Ok(Prepared {
            added,
            priority,
            permits_body: content.has_body(kind),
            length,
            left_out,
        })
    }

    /// The response to send if the service has none.
    pub(super) fn internal_error(&self, now: Instant) -> (Head, AddedFields) {
        let mut added = self.added(now);
        added.length = Some(0);
        (Head::response(StatusCode::INTERNAL_SERVER_ERROR), added)
    }

    fn added(&self, now: Instant) -> AddedFields {
        AddedFields {
            length: None,
            date: self.date.is_added().then(|| date::value(now)),
        }
    }
}

/// Removes the header fields of an HTTP/1.1 connection, which have no meaning in the
/// other protocols (RFC 9113 §8.2.2, SPDY/3 §3.2.2). Services that were written for
/// HTTP/1.1 set them. A `tracing` event names each. Returns the priority that the
/// response sets.
pub(super) fn remove_connection_fields(fields: &mut HeaderMap) -> Option<Priority> {
    // The field of a request for an upgrade (RFC 7540 §3.2.1).
    const HTTP2_SETTINGS: HeaderName = HeaderName::from_static("http2-settings");
    const PRIORITY: HeaderName = HeaderName::from_static("priority");
    if fields.is_empty() {
        return None;
    }
    // Nearly always there are none, and comparing names costs less than
    // looking each of them up.
    let (mut connection, mut priority) = (false, None);
    for (name, value) in &*fields {
        connection |= CONNECTION_SPECIFIC.contains(name) || *name == TE || *name == HTTP2_SETTINGS;
        if *name == PRIORITY {
            priority = Some(Priority::from_field(value.as_bytes()));
        }
    }
    if connection {
        for name in CONNECTION_SPECIFIC.into_iter().chain([TE, HTTP2_SETTINGS]) {
            if fields.remove(&name).is_some() {
                telemetry::left_out(&name);
            }
        }
    }
    priority
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::outgoing::Outgoing;
    use http::{HeaderValue, header::DATE};
    use http_body_util::{Either, Empty, Full};

    type TestBody = Either<Full<&'static [u8]>, Empty<&'static [u8]>>;

    fn prepare(mut response: Response<TestBody>, kind: Kind) -> (Head, Option<Outgoing<TestBody>>) {
        let prepared = Heads::new(DateHeader::Add).prepare(&mut response, kind, Instant::now());
        let prepared = prepared.unwrap();
        let (parts, body) = response.into_parts();
        let head = Head {
            fields: parts.headers,
            ..Head::response(parts.status)
        };
        let body = Outgoing::new(body, prepared.length);
        let has_body = prepared.permits_body && !body.is_end_stream();
        (as_sent(head, prepared.added), has_body.then_some(body))
    }

    /// The engine leaves out the added fields that the head has.
    fn as_sent(mut head: Head, added: AddedFields) -> Head {
        let length = added.length.map(|length| (CONTENT_LENGTH, length.into()));
        let date = added.date.map(|date| (DATE, date));
        for (name, value) in length.into_iter().chain(date) {
            head.fields.entry(name).or_insert(value);
        }
        head
    }

    fn full() -> Response<TestBody> {
        Response::new(Either::Left(Full::new(b"hello")))
    }

    #[test]
    fn length_and_date_are_added_unless_the_handler_set_them() {
        let (head, body) = prepare(full(), Kind::Other);
        assert_eq!(head.fields[CONTENT_LENGTH], "5");
        assert!(head.fields.contains_key(DATE) && body.is_some());

        let mut response = full();
        response
            .headers_mut()
            .insert(DATE, HeaderValue::from_static("yesterday"));
        response
            .headers_mut()
            .insert(CONTENT_LENGTH, HeaderValue::from_static("6"));
        let (head, _) = prepare(response, Kind::Other);
        assert_eq!(head.fields[CONTENT_LENGTH], "6");
        assert_eq!(head.fields[DATE], "yesterday");

        let heads = Heads::new(DateHeader::Leave);
        let mut response = full();
        let prepared = heads.prepare(&mut response, Kind::Other, Instant::now());
        assert!(prepared.unwrap().added.date.is_none() && response.headers().is_empty());
    }

    #[test]
    fn a_response_to_head_tells_the_length_and_has_no_body() {
        let (head, body) = prepare(full(), Kind::Head);
        assert_eq!(head.fields[CONTENT_LENGTH], "5");
        assert!(body.is_none());
    }

    #[test]
    fn a_tunnel_has_no_length() {
        for status in [200, 204, 205, 299] {
            let mut response = full();
            *response.status_mut() = StatusCode::from_u16(status).unwrap();
            response
                .headers_mut()
                .insert(CONTENT_LENGTH, HeaderValue::from_static("5"));
            let (head, body) = prepare(response, Kind::Connect);
            assert!(!head.fields.contains_key(CONTENT_LENGTH) && body.is_some());
        }
        let mut refusal = full();
        *refusal.status_mut() = StatusCode::FORBIDDEN;
        let (head, _) = prepare(refusal, Kind::Connect);
        assert_eq!(head.fields[CONTENT_LENGTH], "5");
    }

    #[test]
    fn a_response_may_set_its_priority() {
        let mut response = full();
        response
            .headers_mut()
            .insert("priority", HeaderValue::from_static("u=0, i"));
        let heads = Heads::new(DateHeader::Add);
        let prepared = heads.prepare(&mut response, Kind::Other, Instant::now());
        let prepared = prepared.ok().unwrap();
        assert_eq!(prepared.priority, Some(Priority::new(0, true)));
        assert_eq!(response.headers()["priority"], "u=0, i");
    }

    #[test]
    fn some_responses_never_have_a_body() {
        for (status, kept) in [(204, false), (205, false), (304, true)] {
            for kind in [Kind::Other, Kind::Head] {
                let mut response = full();
                *response.status_mut() = StatusCode::from_u16(status).unwrap();
                let (head, body) = prepare(response, kind);
                assert!(!head.fields.contains_key(CONTENT_LENGTH) && body.is_none());

                let mut response = full();
                *response.status_mut() = StatusCode::from_u16(status).unwrap();
                response
                    .headers_mut()
                    .insert(CONTENT_LENGTH, HeaderValue::from_static("5"));
                let (head, body) = prepare(response, kind);
                assert_eq!(head.fields.contains_key(CONTENT_LENGTH), kept, "{status}");
                assert!(body.is_none());
            }
        }
        let (head, body) = prepare(Response::new(Either::Right(Empty::new())), Kind::Other);
        assert!(!head.fields.contains_key(CONTENT_LENGTH) && body.is_none());
    }

    #[test]
    fn fields_of_http1_connections_are_left_out() {
        let mut response = full();
        for name in [
            "connection",
            "transfer-encoding",
            "keep-alive",
            "proxy-connection",
            "upgrade",
            "te",
            "http2-settings",
            "x-mine",
        ] {
            response
                .headers_mut()
                .insert(name, HeaderValue::from_static("x"));
        }
        let (head, _) = prepare(response, Kind::Other);
        let mut names: Vec<_> = head.fields.keys().map(HeaderName::as_str).collect();
        names.sort_unstable();
        assert_eq!(names, ["content-length", "date", "x-mine"]);
    }
}
