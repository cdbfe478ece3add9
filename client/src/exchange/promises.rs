//! Pushes, from the server's promise to the user's handle.

use std::sync::Arc;

use http::{Method, Request, Uri};
use lacewing_conn::{
    Reason,
    driver::facade::Context,
    proto::{Control, Head, PushScope, StreamKey},
};

use super::{Exchange, Exchanges};
use crate::{Pushed, ResponseFuture, link::Reply, telemetry::Clock};

impl Exchanges {
    /// Handles a promise of the server. Refuses it if too many pushes wait already, or if the
    /// server is not authoritative for it.
    pub(super) fn promised(
        &mut self,
        conn: &mut Context<'_>,
        parent: StreamKey,
        stream: StreamKey,
        head: Head,
    ) {
        self.telemetry.interim(stream.id(), "promise");
        let Some(waiting) = self.pushes.clone() else {
            // Pushes are not accepted.
            return conn.reset(stream, Reason::RefusedStream);
        };
        let parent = self
            .exchanges
            .get(parent)
            .and_then(|exchange| exchange.uri.as_deref().cloned());
        let Control::Request { method, uri, .. } = head.control else {
            return conn.reset(stream, Reason::ProtocolError);
        };
        // The parent was cancelled before the promise arrived, so the origins cannot be compared.
        let Some(parent) = parent else {
            return conn.reset(stream, Reason::Cancel);
        };
        // RFC 9113 §8.4: a promised request must be safe and cacheable, and the server
        // authoritative for its origin.
        let allowed = match conn.capabilities().push_scope {
            PushScope::SameOrigin => same_origin(&uri, &parent),
            PushScope::SameServer => same_origin(&uri, &parent) || same_server(&uri, &parent),
        };
        if !matches!(method, Method::GET | Method::HEAD) || !allowed {
            return conn.reset(stream, Reason::ProtocolError);
        }
        if waiting.is_full() {
            return conn.reset(stream, Reason::RefusedStream);
        }
        let mut request = Request::new(());
        *request.method_mut() = method;
        *request.uri_mut() = uri;
        *request.version_mut() = conn.capabilities().http_version;
        *request.headers_mut() = head.fields;
        let reply = Reply::of_stream(stream);
        let response = ResponseFuture::new(Arc::clone(&reply), Arc::clone(&self.link));
        self.exchanges.insert(
            stream,
            Exchange {
                reply: Some(reply),
                upload: None,
                informational: None,
                uri: None,
                clock: Clock::start(conn.now()),
                answered: self.answered,
            },
        );
        waiting.put(Pushed {
            parent,
            request,
            response,
        });
    }
}

fn same_origin(one: &Uri, other: &Uri) -> bool {
    one.scheme() == other.scheme()
        && one.host().map(str::to_ascii_lowercase) == other.host().map(str::to_ascii_lowercase)
        && port(one) == port(other)
}

/// Compares the servers instead of the origins, in cleartext: spdy-transport sends `https` in all
/// its pushes, on cleartext connections too.
fn same_server(pushed: &Uri, parent: &Uri) -> bool {
    let host = |uri: &Uri| uri.host().map(str::to_ascii_lowercase);
    let pushed_port = pushed.port_u16().or_else(|| port(parent));
    parent.scheme_str() == Some("http")
        && host(pushed) == host(parent)
        && pushed_port == port(parent)
}

fn port(uri: &Uri) -> Option<u16> {
    let default = if uri.scheme_str() == Some("https") {
        443
    } else {
        80
    };
    uri.authority()?.port_u16().or(Some(default))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn in_cleartext_the_server_counts() {
        let same =
            |one: &str, other: &str| same_server(&one.parse().unwrap(), &other.parse().unwrap());
        assert!(same("https://a.example:8080/x", "http://a.example:8080/"));
        assert!(same("https://a.example/x", "http://a.example/"));
        assert!(!same("https://a.example:8080/x", "http://b.example:8080/"));
        assert!(!same("http://a.example/x", "https://a.example/"));
    }

    #[test]
    fn an_origin_is_scheme_host_and_port() {
        let same =
            |one: &str, other: &str| same_origin(&one.parse().unwrap(), &other.parse().unwrap());
        assert!(same("https://a.example/x", "https://A.example:443/y"));
        assert!(same("http://a.example:80/x", "http://a.example/y"));
        assert!(!same("http://a.example/", "https://a.example/"));
        assert!(!same("https://a.example/", "https://b.example/"));
        assert!(!same("https://a.example/", "https://a.example:444/"));
    }
}
