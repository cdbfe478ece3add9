//! Requests that belong to another server than the one of the TLS handshake.

use http::{Request, header::HOST, uri::Authority};
use lacewing_server::{ConnectionInfo, Identity};
use rustls::{client::verify_server_name, pki_types::ServerName, server::ParsedCertificate};

/// The names in the current certificates of the TLS port; none without such a port.
#[derive(Clone, Default)]
pub(crate) struct Names(Option<Identity>);

impl Names {
    pub(crate) fn of(identity: Identity) -> Self {
        Self(Some(identity))
    }

    /// Returns true if the host is neither the name of the handshake (SNI) nor in
    /// the certificate for that name (421, RFC 9110 §15.5.20). A client may use one
    /// connection for every name in the certificate (RFC 9113 §9.1.1).
    pub(crate) fn is_misdirected<B>(
        &self,
        request: &Request<B>,
        connection: Option<&ConnectionInfo>,
    ) -> bool {
        let Some(asked) = connection.and_then(|info| info.tls()?.server_name()) else {
            return false;
        };
        let host = match request.uri().authority() {
            Some(authority) => authority.host().to_owned(),
            None => match request.headers().get(HOST).map(host) {
                Some(host) if !host.is_empty() => host,
                _ => return false,
            },
        };
        let plain = |name: &str| name.trim_end_matches('.').to_ascii_lowercase();
        plain(&host) != plain(asked) && !self.cover(asked, &host)
    }

    /// Returns whether the certificate for a client that asked for one name has another too.
    fn cover(&self, asked: &str, host: &str) -> bool {
        let chain = self.0.as_ref().map(|all| all.certificates_for(Some(asked)));
        let Some(certificate) = chain.iter().flatten().next() else {
            return false;
        };
        let host = host.trim_start_matches('[').trim_end_matches(']');
        let name = ServerName::try_from(host.trim_end_matches('.'));
        let certificate = ParsedCertificate::try_from(certificate);
        match (name, certificate) {
            (Ok(name), Ok(certificate)) => verify_server_name(&certificate, &name).is_ok(),
            _ => false,
        }
    }
}

fn host(field: &http::HeaderValue) -> String {
    match Authority::try_from(field.as_bytes()) {
        Ok(authority) => authority.host().to_owned(),
        Err(_) => String::from_utf8_lossy(field.as_bytes()).into_owned(),
    }
}

#[cfg(test)]
mod tests {
    use lacewing_server::{Protocol, TlsInfo};

    use super::*;
    use crate::certificates::Certificates;

    fn is_misdirected(asked: Option<&str>, uri: &str, host: Option<&str>) -> bool {
        let certificate = Certificates::make("192.0.2.7".parse().unwrap()).unwrap();
        let mut tls = TlsInfo::default();
        if let Some(asked) = asked {
            tls = tls.with_server_name(asked);
        }
        let mut request = Request::builder().uri(uri);
        if let Some(host) = host {
            request = request.header(HOST, host);
        }
        let request = request.body(()).unwrap();
        let connection = ConnectionInfo::new(Protocol::Http2).with_tls_info(tls);
        certificate
            .names()
            .is_misdirected(&request, Some(&connection))
    }

    #[test]
    fn a_request_is_for_the_name_of_the_handshake_or_of_the_certificate() {
        for (asked, uri, host) in [
            (Some("localhost"), "https://localhost:8443/", None),
            (Some("localhost"), "https://LOCALHOST./", None),
            (Some("localhost"), "https://127.0.0.1:8443/", None),
            (Some("localhost"), "https://[::1]:8443/", None),
            (Some("localhost"), "https://192.0.2.7/", None),
            (Some("other.example"), "https://other.example/", None),
            (Some("localhost"), "/", Some("localhost:8443")),
            (Some("localhost"), "/", Some("")),
            (None, "https://other.example/", None),
            (None, "/", Some("other.example")),
        ] {
            assert!(
                !is_misdirected(asked, uri, host),
                "{asked:?} {uri} {host:?}"
            );
        }
        for (asked, uri, host) in [
            (Some("localhost"), "https://other.example/", None),
            (Some("localhost"), "https://localhost.example/", None),
            (Some("other.example"), "https://another.example/", None),
            (Some("localhost"), "https://192.0.2.8/", None),
            (Some("localhost"), "/", Some("other.example:8443")),
            (Some("localhost"), "/", Some("%2Frun%2Fsock")),
        ] {
            assert!(is_misdirected(asked, uri, host), "{asked:?} {uri} {host:?}");
        }
    }
}
