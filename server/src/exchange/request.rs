//! Requests: from the engine's events to the service's `http::Request`.

use http::{Method, Request};
use lacewing_conn::{
    Reason,
    driver::facade::Context,
    proto::{Control, Head, StreamKey, fields::expects_continue},
};

use super::Exchanges;
use crate::{ConnectRequest, HttpService, Informer, Pusher, RequestBody};

/// The body of a request that arrived over HTTP/1.1 and is answered over
/// HTTP/2.
#[cfg(feature = "http1")]
#[derive(Debug)]
pub(crate) struct Replayed {
    pub(crate) data: bytes::Bytes,
    pub(crate) trailers: Option<http::HeaderMap>,
}

impl<S: HttpService> Exchanges<S> {
    /// Keeps the body of stream 1, which arrived before the connection spoke
    /// HTTP/2.
    #[cfg(feature = "http1")]
    pub(crate) fn replay(&mut self, body: Replayed) {
        self.replayed = Some(Box::new(body));
    }

    #[cfg(feature = "http1")]
    fn replayed(&mut self) -> RequestBody {
        self.replayed
            .take()
            .map_or_else(RequestBody::empty, |body| {
                RequestBody::replayed(body.data, body.trailers)
            })
    }

    #[cfg(not(feature = "http1"))]
    #[expect(clippy::unused_self, reason = "of use with the feature")]
    fn replayed(&mut self) -> RequestBody {
        RequestBody::empty()
    }

    /// Puts the request for the service into `place`, unless there is none to be served. To return
    /// it would copy it.
    pub(super) fn request(
        &mut self,
        conn: &mut Context<'_>,
        stream: StreamKey,
        head: Head,
        fin: bool,
        place: &mut Option<Request<RequestBody>>,
    ) {
        self.advertise(conn);
        let Head {
            control:
                Control::Request {
                    method,
                    uri,
                    protocol,
                },
            fields,
        } = head
        else {
            // The engine refuses all other heads.
            return conn.reset(stream, Reason::ProtocolError);
        };
        let connect = (method == Method::CONNECT).then(|| {
            let incoming = conn.incoming_of_tunnel(stream, fin);
            ConnectRequest::new(incoming, protocol.clone())
        });
        let body = if fin || connect.is_some() {
            self.replayed()
        } else {
            let length = conn.stream(stream).content_left();
            let body = conn.incoming(stream, length);
            if expects_continue(&fields) {
                conn.watch_incoming(stream);
            }
            body.into()
        };
        let request = place.insert(Request::new(body));
        *request.method_mut() = method;
        *request.uri_mut() = uri;
        *request.headers_mut() = fields;
        self.attach(conn, stream, request);
        if let Some(connect) = connect {
            request.extensions_mut().insert(connect);
        }
        if let Some(protocol) = protocol {
            request.extensions_mut().insert(protocol);
        }
    }

    /// The extensions that all requests of a connection share, as configured.
    pub(super) fn attach(
        &mut self,
        conn: &mut Context<'_>,
        stream: StreamKey,
        request: &mut Request<RequestBody>,
    ) {
        *request.version_mut() = self.http_version;
        request.body_mut().set_connection(&self.info);
        if self.options.connection_info.is_inserted() {
            request.extensions_mut().insert(self.info.clone());
        }
        if self.options.informer.is_inserted() {
            let informer = Informer::new(self.commands(conn), stream);
            request.extensions_mut().insert(informer);
        }
        // A push belongs to a request of the client's (RFC 9113 §8.4).
        let pushable = self.options.pusher.is_inserted()
            && super::is_of_peer(stream)
            && conn.peer_allows_push();
        if pushable {
            let uri = request.uri().clone();
            let pusher = Pusher::new(self.commands(conn), stream, uri);
            request.extensions_mut().insert(pusher);
        }
    }
}
