//! The rules of requests that hyper leaves to us: the host that one is for.

use http::{HeaderValue, Request, Response, StatusCode, Version, header::HOST};
use http_body::Body;
use http_body_util::{Either, Empty};
use lacewing_conn::proto::fields::is_authority;

use super::exchange::ReplyBody;

/// Every request of HTTP/1.1 has one `host` field, and it says what the target
/// says, which goes before it (RFC 9112 §3.2, §3.2.2). Others are to be answered
/// with this status.
pub(super) fn settle_host<B>(request: &mut Request<B>) -> Result<(), StatusCode> {
    let mut hosts = request.headers().get_all(HOST).iter();
    let (host, second) = (hosts.next(), hosts.next());
    let valid = match host {
        None => request.version() < Version::HTTP_11,
        // The target has no authority.
        Some(host) => host.is_empty() || is_authority(host.as_bytes()),
    };
    if !valid || second.is_some() {
        return Err(StatusCode::BAD_REQUEST);
    }
    let Some(authority) = request.uri().authority().map(|one| one.as_str()) else {
        return Ok(());
    };
    // User information is an error, and often a lure (RFC 9110 §4.2.4).
    if !is_authority(authority.as_bytes()) {
        return Err(StatusCode::BAD_REQUEST);
    }
    if host.is_none_or(|host| host.as_bytes() != authority.as_bytes()) {
        let host = HeaderValue::from_str(authority).map_err(|_| StatusCode::BAD_REQUEST)?;
        request.headers_mut().insert(HOST, host);
    }
    Ok(())
}

/// A request that no handler sees.
pub(super) fn refusal<B: Body>(status: StatusCode) -> Response<ReplyBody<B>> {
    let mut response = Response::new(Either::Right(Empty::new()));
    *response.status_mut() = status;
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settled(uri: &str, hosts: &[&'static str]) -> Result<Vec<String>, StatusCode> {
        let mut request = Request::new(());
        *request.uri_mut() = uri.parse().unwrap();
        for host in hosts {
            let host = HeaderValue::from_static(host);
            request.headers_mut().append(HOST, host);
        }
        settle_host(&mut request)?;
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
            assert_eq!(settled(uri, hosts), Err(StatusCode::BAD_REQUEST), "{uri}");
        }
        let mut old = Request::new(());
        *old.version_mut() = Version::HTTP_10;
        assert_eq!(settle_host(&mut old), Ok(()));
    }
}
