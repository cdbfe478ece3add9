//! The rules of requests that hyper leaves to us: the form of the target, and
//! the host that it is for.

use http::{
    HeaderValue, Method, Request, Response, StatusCode, Uri, Version,
    header::{CONNECTION, HOST},
};
use http_body::Body;
use http_body_util::{Either, Empty};
use lacewing_conn::proto::fields::is_authority;

use super::exchange::ReplyBody;

/// Checks a request whose parts hyper has parsed. The error is the reason for a 400.
pub(super) fn check<B: Body>(request: &mut Request<B>) -> Result<(), &'static str> {
    check_target(request.method(), request.uri())?;
    if *request.method() == Method::TRACE && !request.body().is_end_stream() {
        return Err("a TRACE request has no content (RFC 9110 §9.3.8)");
    }
    set_host(request).map_err(|Invalid| "a request needs one valid host (RFC 9112 §3.2)")
}

/// Checks that the target has the form of its method (RFC 9112 §3.2).
fn check_target(method: &Method, uri: &Uri) -> Result<(), &'static str> {
    if *method == Method::CONNECT {
        let fits = uri.scheme().is_none() && uri.port_u16().is_some();
        return match fits {
            true => Ok(()),
            false => Err("the target of CONNECT is a host and a port (RFC 9112 §3.2.3)"),
        };
    }
    if uri.path() == "*" && *method != Method::OPTIONS {
        return Err("the target * is for OPTIONS only (RFC 9112 §3.2.4)");
    }
    if uri.authority().is_some() && uri.scheme().is_none() {
        return Err("a target without a path is for CONNECT only (RFC 9112 §3.2.3)");
    }
    Ok(())
}

/// The host is missing, invalid, or not the only one.
#[derive(Debug, PartialEq, Eq)]
struct Invalid;

/// Checks that the request has one `host` field, and sets it to the authority of the
/// target, which has priority (RFC 9112 §3.2, §3.2.2).
fn set_host<B>(request: &mut Request<B>) -> Result<(), Invalid> {
    let mut hosts = request.headers().get_all(HOST).iter();
    let (host, second) = (hosts.next(), hosts.next());
    let valid = match host {
        None => request.version() < Version::HTTP_11,
        // An empty field stands for a target without an authority.
        Some(host) => host.is_empty() || is_authority(host.as_bytes()),
    };
    if !valid || second.is_some() {
        return Err(Invalid);
    }
    let Some(authority) = request.uri().authority().map(|one| one.as_str()) else {
        return Ok(());
    };
    // User information is an error: it often disguises the host (RFC 9110 §4.2.4).
    if !is_authority(authority.as_bytes()) {
        return Err(Invalid);
    }
    if host.is_none_or(|host| host.as_bytes() != authority.as_bytes()) {
        let host = HeaderValue::from_str(authority).map_err(|_| Invalid)?;
        request.headers_mut().insert(HOST, host);
    }
    Ok(())
}

/// The response to a request that breaks a rule. If the client still sends content, the connection
/// ends with the response, which must say so (RFC 9112 §9.6).
pub(super) fn bad_request<B: Body>(request: &Request<impl Body>) -> Response<ReplyBody<B>> {
    let mut response = refusal(StatusCode::BAD_REQUEST);
    if !request.body().is_end_stream() {
        let close = HeaderValue::from_static("close");
        response.headers_mut().insert(CONNECTION, close);
    }
    response
}

/// The response to a request that no handler sees.
pub(super) fn refusal<B: Body>(status: StatusCode) -> Response<ReplyBody<B>> {
    let mut response = Response::new(Either::Right(Empty::new()));
    *response.status_mut() = status;
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_has_the_form_of_its_method() {
        for (method, target, fine) in [
            ("GET", "/", true),
            ("GET", "http://a/x", true),
            ("GET", "/*", true),
            ("OPTIONS", "*", true),
            ("OPTIONS", "/", true),
            ("CONNECT", "a:443", true),
            ("CONNECT", "[::1]:443", true),
            ("GET", "*", false),
            ("HEAD", "*", false),
            ("GET", "a:443", false),
            ("OPTIONS", "a:443", false),
            ("CONNECT", "a", false),
            ("CONNECT", "/x", false),
            ("CONNECT", "*", false),
            ("CONNECT", "http://a:443/", false),
        ] {
            let method = Method::from_bytes(method.as_bytes()).unwrap();
            let checked = check_target(&method, &target.parse().unwrap());
            assert_eq!(checked.is_ok(), fine, "{method} {target}: {checked:?}");
        }
    }

    fn settled(uri: &str, hosts: &[&'static str]) -> Result<Vec<String>, Invalid> {
        let mut request = Request::new(());
        *request.uri_mut() = uri.parse().unwrap();
        for host in hosts {
            let host = HeaderValue::from_static(host);
            request.headers_mut().append(HOST, host);
        }
        set_host(&mut request)?;
        let hosts = request.headers().get_all(HOST).iter();
        Ok(hosts
            .map(|host| host.to_str().unwrap().to_owned())
            .collect())
    }

    #[test]
    fn a_request_is_for_one_host() {
        for (uri, hosts, expected) in [
            ("/", &["a"][..], "a"),
            ("/", &["%2Frun%2Fsock"], "%2Frun%2Fsock"),
            ("/", &[""], ""),
            ("http://b:1/", &["a"], "b:1"),
            ("http://b/", &["B"], "b"),
        ] {
            assert_eq!(settled(uri, hosts), Ok(vec![expected.to_owned()]), "{uri}");
        }
        for (uri, hosts) in [
            ("/", &[][..]),
            ("http://a/", &[]),
            ("/", &["a", "a"]),
            ("/", &["a", "b"]),
            ("/", &["a b"]),
            ("/", &["u@a"]),
            ("http://u@a/", &["a"]),
        ] {
            assert_eq!(settled(uri, hosts), Err(Invalid), "{uri}");
        }
        let mut old = Request::new(());
        *old.version_mut() = Version::HTTP_10;
        assert_eq!(set_host(&mut old), Ok(()));
    }
}
